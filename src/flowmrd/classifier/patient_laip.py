"""The leukaemia-associated immunophenotype of one patient, found in the diagnosis tube without labels.

The tube's T, NK, granulocytic and erythroid cells say how its staining lies against the reference; normal B-lineage
components follow that shift only. What the window then holds beside them, and where blasts are plausible, starts a
mixture of one to three components that is refined together with the normal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.abundance_outliers import excessive
from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import Bools, CandidateCells, thin
from flowmrd.classifier.mixture import (
    Floats,
    Mixture,
    component_log_density,
    fit_mixture,
    log_density,
    log_sum,
    moments,
    products,
)
from flowmrd.classifier.normal_model import DEGREES, NormalModel, TubeModel, fit_tube
from flowmrd.classifier.normal_reference import NormalReference, rescore
from flowmrd.classifier.phenotype_score import fit_template

MAX_CELLS = 30_000
STORED_CELLS = 2_000
INDISTINCT_PER_MILLION = 300.0
"""A component that claims more than this of every control's cells, at a score of 8, is normal and not leukaemic."""
FOUNDED = 0.5
"""Least share of a component's cells that must have been aberrant before it was refined."""
DRIFT_SD = 0.22
"""Expected drift of a marker between two tubes of one patient, decades: two tubes of one person differ by 0.1 to 0.3 in
the group means of normal B cells (128 persons)."""


@dataclass(frozen=True)
class PatientLaip:
    """Phenotype of one patient's leukaemia.

    Attributes
    ----------
    mixture
        Components in the staining of the diagnosis tube, decades.
    staining
        Shape (d,): common shift of the diagnosis tube against the reference, decades.
    share
        Share of the diagnosis tube's nucleated cells.
    cells
        Shape (m, d): some of its cells, for spike-in.
    indistinct
        True where controls hold cells that cannot be told from it.
    by_expert
        True where an expert's labels said which cells are leukaemic.
    rows
        Which cells of the diagnosis tube ``cells`` are; empty for a phenotype read from disk.
    """

    patient: str
    features: tuple[str, ...]
    mixture: Mixture
    staining: Floats
    share: float
    n_cells: int
    cells: npt.NDArray[np.float32]
    indistinct: bool
    by_expert: bool = False
    rows: tuple[int, ...] = ()

    def select(self, features: tuple[str, ...]) -> PatientLaip:
        """The phenotype in some of its features."""
        index = [self.features.index(name) for name in features]
        return PatientLaip(
            self.patient,
            features,
            self.mixture.marginal(index),
            self.staining[index],
            self.share,
            self.n_cells,
            np.ascontiguousarray(self.cells[:, index]),
            self.indistinct,
            self.by_expert,
        )


def drift_covariance(
    features: tuple[str, ...],
    unreliable: frozenset[str] = frozenset(),
    shifted: frozenset[str] = frozenset(),
    *,
    sd: float = DRIFT_SD,
) -> Floats:
    """Covariance of the shift expected between diagnosis and follow-up.

    Parameters
    ----------
    unreliable
        Markers that targeted therapy given in between may take away: twice the spread.
    shifted
        Markers that steroids move: one and a half times the spread.
    """
    factor = [2.0 if name in unreliable else 1.5 if name in shifted else 1.0 for name in features]
    return np.diag([(sd * f) ** 2 for f in factor])


def find_laip(
    patient: str,
    tube: CandidateCells,
    reference: NormalReference,
    *,
    min_cells: int,
    seed: int,
    max_components: int = 3,
    model: NormalModel | None = None,
    labelled: npt.NDArray[np.bool_] | None = None,
) -> PatientLaip | None:
    """Find what the diagnosis tube holds that normal marrow does not.

    Parameters
    ----------
    min_cells
        Fewest aberrant cells that make a phenotype.
    labelled
        Shape (tube.n,): cells that an expert called leukaemic; they are the phenotype then.
    model
        Normal model to use instead of the reference's full one, where the tube is a control.

    Returns
    -------
    PatientLaip or None
        None where fewer than ``min_cells`` aberrant cells were found.
    """
    features = tuple(name for name in reference.features if name in tube.features)
    tube = tube.select(features)
    model = (model or reference.model).select(features)
    inside = thin(tube.window, MAX_CELLS)
    if len(inside) < min_cells or len(inside) <= 2 * len(features):
        return None
    scale = float(tube.window.sum()) / len(inside)
    x = tube.values[inside].astype(np.float64)
    rng = np.random.default_rng(seed)
    unit = scale / max(tube.n, 1)
    if labelled is not None:
        sure = np.flatnonzero(labelled[inside])
        if len(sure) * scale < min_cells or len(sure) <= 2 * len(features):
            return None
        laip = _best_mixture(x[sure], max_components, rng)
        fitted = fit_tube(model, tube, foreign=laip, foreign_share=min(len(sure) * unit, 0.9))
        laip, indistinct = _distinct(laip, reference, features)
    else:
        anchored = fit_tube(model, tube, anchors_only=True)
        normal = loosened(model, anchored)
        prior = blast_prior(features, model.normal_b + anchored.shift)
        aberrant = log_density(prior, x, degrees=DEGREES) - log_density(normal, x, degrees=DEGREES) > 0.0
        aberrant |= excessive(x, unit, anchored.shift, reference, features)
        if aberrant.sum() * scale < min_cells or aberrant.sum() <= 2 * len(features):
            return None
        laip = _best_mixture(x[aberrant], max_components, rng)
        share = float(aberrant.sum()) * unit
        for _ in range(2):
            laip, share = _refine(laip, share, normal, x, unit)
            laip = _founded(laip, share, normal, x, aberrant)
            fitted = fit_tube(model, tube, foreign=laip, foreign_share=min(share, 0.9))
            normal = fitted.mixture
        laip, indistinct = _distinct(laip, reference, features)
        values = log_sum(component_log_density(laip, x)) - log_density(normal, x, degrees=DEGREES)
        sure = np.flatnonzero(np.log(max(share, 1e-9)) + values > 2.0)
        if len(sure) * scale < min_cells:
            return None
    picks = sure[:: max(1, len(sure) // STORED_CELLS)][:STORED_CELLS]
    return PatientLaip(
        patient=patient,
        features=features,
        mixture=laip,
        staining=fitted.shift,
        share=float(len(sure)) * scale / max(tube.n, 1),
        n_cells=round(float(len(sure)) * scale),
        cells=x[picks].astype(np.float32),
        indistinct=indistinct,
        by_expert=labelled is not None,
        rows=tuple(inside[picks].tolist()),
    )


def loosened(model: NormalModel, anchored: TubeModel) -> Mixture:
    """Window components widened by how far controls move them: nothing in this tube can be trusted to place them."""
    spread = np.zeros_like(anchored.mixture.mean)
    spread[: len(model.inside)] = np.where((model.inside > 0.5)[:, None], model.between, 0.0) ** 2
    covariance = anchored.mixture.covariance + spread[:, :, None] * np.eye(spread.shape[1])
    return Mixture(anchored.mixture.weight, anchored.mixture.mean, covariance)


def _best_mixture(x: Floats, most: int, rng: np.random.Generator) -> Mixture:
    """The mixture with the smallest Bayesian information criterion (Schwarz 1978)."""
    best: Mixture | None = None
    lowest = np.inf
    n, d = x.shape
    for k in range(1, most + 1):
        if n < 3 * k * d:
            break
        mixture = fit_mixture(x, k, rng, floor=0.05, steps=30)
        parameters = k * (1 + d + d * (d + 1) / 2) - 1
        criterion = -2 * float(log_density(mixture, x).sum()) + parameters * np.log(n)
        if criterion < lowest:
            best, lowest = mixture, criterion
    return best if best is not None else fit_mixture(x, 1, rng)


def _refine(
    laip: Mixture, share: float, normal: Mixture, x: Floats, unit: float, steps: int = 15
) -> tuple[Mixture, float]:
    """EM of the leukaemic components beside fixed normal ones; ``unit`` is what one row of x stands for, as a share."""
    centre = x.mean(axis=0)
    table = products(x, centre)
    ones = np.ones(len(x))
    log_normal = log_density(normal, x, degrees=DEGREES)
    belongs = ones
    d = x.shape[1]
    for _ in range(steps):
        values = component_log_density(laip, x)
        total = log_sum(values)
        odds = np.log(max(share, 1e-9)) + total - log_normal - np.log(max(1 - share, 1e-3))
        belongs = 1.0 / (1.0 + np.exp(-np.clip(odds, -60, 60)))
        stats = moments(np.exp(values - total[:, None]) * belongs[:, None], table, centre, ones)
        share = min(float(belongs.sum()) * unit, 0.98)
        weight = np.maximum(stats.count, 1e-6) / np.maximum(stats.count, 1e-6).sum()
        pooled = np.einsum("k,kij->ij", weight, stats.covariance)
        covariance = (stats.count[:, None, None] * stats.covariance + 20.0 * pooled) / (stats.count + 20.0)[
            :, None, None
        ]
        covariance = covariance + 0.04**2 * np.eye(d)
        keep = stats.count >= 2 * d
        if not keep.any():
            break
        laip = Mixture(weight, stats.mean, covariance).only(keep)
    return laip, share


def _founded(laip: Mixture, share: float, normal: Mixture, x: Floats, aberrant: Bools) -> Mixture:
    """Drop components that have wandered to cells which were not aberrant to begin with: the tube's own B cells."""
    values = component_log_density(laip, x)
    claimed = np.log(max(share, 1e-9)) + log_sum(values) > log_density(normal, x, degrees=DEGREES)
    label = np.where(claimed, values.argmax(axis=1), -1)
    own = np.array([aberrant[label == j].mean() if (label == j).any() else 0.0 for j in range(laip.k)])
    return laip.only(own >= FOUNDED) if (own >= FOUNDED).any() else laip.only(own == own.max())


def _distinct(laip: Mixture, reference: NormalReference, features: tuple[str, ...]) -> tuple[Mixture, bool]:
    """Drop components that controls are full of; say so where nothing else is left."""
    if not reference.controls:
        return laip, False
    index = [reference.features.index(name) for name in features]
    drift = drift_covariance(features)
    burden = np.empty((len(reference.controls), laip.k))
    for i, control in enumerate(reference.controls):
        normal = control.log_normal
        if features != reference.features:
            normal = rescore(control, index)
        for j in range(laip.k):
            flags = np.arange(laip.k) == j
            fitted = fit_template(
                laip.only(flags), drift, control.values[:, index], normal, control.denominator, steps=5
            )
            claimed = (fitted.score > 8.0).sum() / control.sampling
            burden[i, j] = 1e6 * claimed / max(control.denominator, 1)
    worst = np.median(burden, axis=0)
    keep = (worst < INDISTINCT_PER_MILLION) & (laip.weight > 0.02)
    if keep.any():
        return laip.only(keep), False
    keep = np.arange(laip.k) == int(worst.argmin())
    return laip.only(keep), True

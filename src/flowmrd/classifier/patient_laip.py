"""The leukaemia-associated immunophenotype of one patient, found in the diagnosis tube without labels.

The tube's T, NK, granulocytic and erythroid cells show how its staining differs from that of the reference. The normal
B-lineage components follow that shift only. Window cells that these components do not explain, and that lie where
blasts may lie, start a mixture of one to three components. This mixture is then refined together with the normal
components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.abundance_outliers import abundance_outliers
from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import Bools, CandidateCells, thin
from flowmrd.classifier.catalogue import anchor_levels, match_catalogue
from flowmrd.classifier.mixture import (
    Floats,
    Mixture,
    component_log_density,
    em_step,
    fit_mixture,
    log_density,
    log_sum,
    membership,
    products,
)
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ReferenceModel, rescore
from flowmrd.classifier.offscale_evidence import learn_offscale, rates_of_controls
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype_score import fit_phenotype
from flowmrd.classifier.tube_model import TubeModel, fit_input, fit_tube

MATURE_B = "normal:mature_b"
"""The catalogue's call of mature B cells."""


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
        Shape (m, d): some of its cells for the spike-in, decades.
    indistinct
        True where controls hold cells that cannot be told from it.
    by_expert
        True where an expert's labels said which cells are leukaemic.
    rows
        Rows of ``cells`` among the candidate cells of the diagnosis tube; empty for a phenotype read from disk.
    others, other_values
        Names of channels that the classifier does not use (pulse height and width), and the values of ``cells`` in
        them, shape (m, number of channels), 0..1 scale.
    """

    patient: str
    features: tuple[str, ...]
    mixture: Mixture = field(repr=False)
    staining: Floats = field(repr=False)
    share: float
    n_cells: int
    cells: npt.NDArray[np.float32] = field(repr=False)
    indistinct: bool
    by_expert: bool = False
    rows: tuple[int, ...] = field(default=(), repr=False)
    others: tuple[str, ...] = ()
    other_values: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, 0), dtype=np.float32), repr=False
    )
    offscale: Mapping[str, float] = field(default_factory=dict)

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
            others=self.others,
            other_values=self.other_values,
            offscale=self.offscale,
        )


def drift_covariance(
    features: tuple[str, ...],
    parameters: ClassifierParameters,
    unreliable: frozenset[str] = frozenset(),
    shifted: frozenset[str] = frozenset(),
) -> Floats:
    """Covariance of the shift expected between diagnosis and follow-up, shape (d, d), decades squared.

    Parameters
    ----------
    unreliable
        Markers that a targeted therapy between the two tubes may remove.
    shifted
        Markers whose level steroids change.
    """
    factor = [
        parameters.drift_unreliable if name in unreliable else parameters.drift_shifted if name in shifted else 1.0
        for name in features
    ]
    return np.diag([(parameters.drift_sd * f) ** 2 for f in factor])


def find_laip(
    patient: str,
    tube: CandidateCells,
    reference: ReferenceModel,
    *,
    min_cells: int,
    parameters: ClassifierParameters,
    model: NormalModel | None = None,
    labelled: Bools | None = None,
) -> PatientLaip | None:
    """Find the cells of a diagnosis tube that normal marrow does not have, and their phenotype.

    Parameters
    ----------
    min_cells
        Fewest aberrant cells that make a phenotype.
    model
        Normal model to use instead of the reference's full one, where the tube is a control.
    labelled
        Shape (tube.n,): cells that an expert called leukaemic. Where given, these cells make the phenotype.

    Returns
    -------
    PatientLaip or None
        None where fewer than ``min_cells`` aberrant cells were found.
    """
    features = tuple(name for name in reference.features if name in tube.features)
    tube = tube.select(features)
    model = (model or reference.model).select(features)
    inside = thin(tube.window, parameters.fitted_cells)
    if len(inside) < min_cells or len(inside) <= 2 * len(features):
        return None
    scale = float(tube.window.sum()) / len(inside)
    diagnosis = _Diagnosis(tube, model, reference, tube.values[inside].astype(np.float64), scale, parameters)
    if labelled is not None:
        found = _learn_labelled(diagnosis, np.flatnonzero(labelled[inside]), min_cells)
    else:
        found = _learn_aberrant(diagnosis, min_cells)
    if found is None:
        return None
    picks = _spread(found.membership, parameters.laip_stored_cells)
    offscale, bright = _learn_offscale(found, diagnosis)
    n_cells = found.expected * scale + bright
    return PatientLaip(
        patient=patient,
        features=features,
        mixture=found.mixture,
        staining=found.staining,
        share=n_cells / max(tube.n + (tube.offscale.n if tube.offscale is not None else 0), 1),
        n_cells=round(n_cells),
        cells=diagnosis.x[picks].astype(np.float32),
        indistinct=found.indistinct,
        by_expert=labelled is not None,
        rows=tuple(inside[picks].tolist()),
        offscale=offscale,
    )


@dataclass(frozen=True)
class _Diagnosis:
    """A diagnosis tube while its phenotype is learned.

    Attributes
    ----------
    x
        Shape (n, d): cells of its window, decades.
    scale
        Cells of the window that one row of ``x`` stands for.
    """

    tube: CandidateCells
    model: NormalModel
    reference: ReferenceModel
    x: Floats
    scale: float
    parameters: ClassifierParameters

    @property
    def unit(self) -> float:
        """Share of the tube's cells that one row stands for."""
        return self.scale / max(self.tube.n, 1)


@dataclass(frozen=True)
class _Learned:
    """A phenotype and the tube's cells that have it.

    Attributes
    ----------
    membership
        Shape (n,): probability that a row is leukaemic.
    """

    mixture: Mixture
    indistinct: bool
    staining: Floats
    membership: Floats
    model: TubeModel

    @property
    def expected(self) -> float:
        """Expected number of leukaemic rows."""
        return float(self.membership.sum())


def _spread(membership: Floats, most: int) -> npt.NDArray[np.intp]:
    """Rows, at most so many, each taken as often as it is leukaemic, evenly over the tube.

    Cells that are leukaemic beyond doubt alone would not stand for the leukaemia: they lack those of its cells that lie
    between it and normal ones, which are the hardest to find again.
    """
    total = np.cumsum(membership)
    count = min(most, int(total[-1])) if len(total) else 0
    places = (np.arange(count) + 0.5) * (total[-1] / count) if count else np.zeros(0)
    rows: npt.NDArray[np.intp] = np.unique(np.searchsorted(total, places))
    return rows


def _learn_offscale(found: _Learned, diagnosis: _Diagnosis) -> tuple[dict[str, float], float]:
    """How often the leukaemia is off scale in every detector, and the number of such cells in the tube."""
    tube, parameters, reference = diagnosis.tube, diagnosis.parameters, diagnosis.reference
    if tube.offscale is None or tube.offscale.n == 0:
        return {}, 0.0
    columns = [reference.features.index(name) for name in tube.features]
    return learn_offscale(
        tube.offscale,
        found.mixture,
        found.expected * diagnosis.scale,
        found.model,
        tube.n + tube.offscale.n,
        rates_of_controls(tube.offscale, reference.controls, columns, found.model, parameters),
        parameters,
    )


def _learn_labelled(diagnosis: _Diagnosis, rows: npt.NDArray[np.intp], min_cells: int) -> _Learned | None:
    """The phenotype of the cells that an expert called leukaemic."""
    parameters, x = diagnosis.parameters, diagnosis.x
    if len(rows) * diagnosis.scale < min_cells or len(rows) <= 2 * x.shape[1]:
        return None
    laip = _best_mixture(x[rows], parameters)
    share = min(len(rows) * diagnosis.unit, parameters.laip_share_most)
    fitted = fit_tube(diagnosis.model, diagnosis.tube, parameters, leukaemia=laip, leukaemia_share=share)
    laip, indistinct = _without_normal_components(laip, diagnosis.reference, diagnosis.tube.features, parameters)
    labelled = np.zeros(len(x))
    labelled[rows] = 1.0
    return _Learned(laip, indistinct, fitted.shift, labelled, fitted)


def _learn_aberrant(diagnosis: _Diagnosis, min_cells: int) -> _Learned | None:
    """The phenotype of the cells that normal marrow does not explain."""
    parameters, x, model, tube = diagnosis.parameters, diagnosis.x, diagnosis.model, diagnosis.tube
    tails, unit = parameters.tail_degrees, diagnosis.unit
    start = fit_input(model, tube, parameters)
    anchored = fit_tube(model, tube, parameters, outside_window_only=True, start=start)
    normal = widened_by_spread(model, anchored)
    prior = blast_prior(tube.features, model.normal_b + anchored.shift, parameters)
    aberrant = log_density(prior, x, degrees=tails) - log_density(normal, x, degrees=tails) > 0.0
    aberrant |= abundance_outliers(x, unit, anchored.shift, diagnosis.reference, tube.features, parameters, aberrant)
    if aberrant.sum() * diagnosis.scale < min_cells or aberrant.sum() <= 2 * x.shape[1]:
        return None
    laip = _best_mixture(x[aberrant], parameters)
    share = float(aberrant.sum()) * unit
    staining, fitted = anchored.shift, anchored
    anchors = anchor_levels(tube, parameters)
    for _ in range(parameters.laip_rounds):
        laip, share = _refine(laip, share, normal, x, unit, parameters)
        laip = _aberrant_components(laip, share, normal, x, aberrant, parameters)
        laip, share = _without_mature_b(laip, share, tube, anchors, parameters)
        known = min(share, parameters.laip_share_most)
        fitted = fit_tube(model, tube, parameters, leukaemia=laip, leukaemia_share=known, start=start)
        normal, staining = fitted.mixture, fitted.shift
    laip, indistinct = _without_normal_components(laip, diagnosis.reference, tube.features, parameters)
    values = log_sum(component_log_density(laip, x)) - log_density(normal, x, degrees=tails)
    log_odds = np.log(max(share, 1e-9)) - np.log(max(1.0 - share, 1e-9)) + values
    rows = np.flatnonzero(log_odds > parameters.laip_cell_log_odds)
    if len(rows) * diagnosis.scale < min_cells:
        return None
    return _Learned(laip, indistinct, staining, membership(log_odds), fitted)


def widened_by_spread(model: NormalModel, anchored: TubeModel) -> Mixture:
    """Window components widened by their spread between tubes, since no cells of this tube can be trusted to place
    them.
    """
    spread = np.zeros_like(anchored.mixture.mean)
    spread[: len(model.in_window)] = np.where(model.in_window[:, None], model.between_tube_sd, 0.0) ** 2
    covariance = anchored.mixture.covariance + spread[:, :, None] * np.eye(spread.shape[1])
    return Mixture(anchored.mixture.weight, anchored.mixture.mean, covariance)


def _best_mixture(x: Floats, parameters: ClassifierParameters) -> Mixture:
    """The mixture with the smallest Bayesian information criterion (Schwarz 1978)."""
    rng = np.random.default_rng(parameters.seed)
    best: Mixture | None = None
    lowest = np.inf
    n, d = x.shape
    for k in range(1, parameters.laip_components + 1):
        if n < parameters.laip_cells_per_number * k * d:
            break
        mixture = fit_mixture(x, k, rng, parameters, steps=parameters.laip_start_steps)
        free = k * (1 + d + d * (d + 1) / 2) - 1
        criterion = -2 * float(log_density(mixture, x).sum()) + free * np.log(n)
        if criterion < lowest:
            best, lowest = mixture, criterion
    return best if best is not None else fit_mixture(x, 1, rng, parameters)


def _refine(
    laip: Mixture, share: float, normal: Mixture, x: Floats, unit: float, parameters: ClassifierParameters
) -> tuple[Mixture, float]:
    """EM of the leukaemic components beside fixed normal ones; ``unit`` is the share of the cells that one row stands
    for.
    """
    centre = x.mean(axis=0)
    table = products(x, centre)
    ones = np.ones(len(x))
    log_normal = log_density(normal, x, degrees=parameters.tail_degrees)
    prior_events = parameters.laip_shape_events
    d = x.shape[1]
    for _ in range(parameters.phenotype_steps):
        beside = log_normal[None] + np.log(max(1 - share, 1e-3))
        stats = em_step(laip.with_share(max(share, 1e-9)), table, centre, ones, beside).moments
        share = min(float(stats.count.sum()) * unit, parameters.laip_share_limit)
        weight = np.maximum(stats.count, 1e-6) / np.maximum(stats.count, 1e-6).sum()
        pooled = np.einsum("k,kij->ij", weight, stats.covariance)
        covariance = (stats.count[:, None, None] * stats.covariance + prior_events * pooled) / (
            stats.count + prior_events
        )[:, None, None]
        covariance = covariance + parameters.laip_sd_least**2 * np.eye(d)
        keep = stats.count >= 2 * d
        if not keep.any():
            break
        laip = Mixture(weight, stats.mean, covariance).only(keep)
    return laip, share


def _aberrant_components(
    laip: Mixture, share: float, normal: Mixture, x: Floats, aberrant: Bools, parameters: ClassifierParameters
) -> Mixture:
    """Drop components that moved to cells that were not aberrant before the fit, which are the tube's own B cells."""
    values = component_log_density(laip, x)
    log_normal = log_density(normal, x, degrees=parameters.tail_degrees)
    claimed = np.log(max(share, 1e-9)) + log_sum(values) > log_normal
    label = np.where(claimed, values.argmax(axis=1), -1)
    own = np.array([aberrant[label == j].mean() if (label == j).any() else 0.0 for j in range(laip.k)])
    keep = own >= parameters.aberrant_at_start
    return laip.only(keep) if keep.any() else laip.only(own == own.max())


def _without_mature_b(
    laip: Mixture, share: float, tube: CandidateCells, anchors: Mapping[str, Floats], parameters: ClassifierParameters
) -> tuple[Mixture, float]:
    """Drop components in the place of the tube's mature B cells, where others lie elsewhere; and their share.

    Mature B cells may be a fifth of a marrow, and the average leukaemia explains the rim of so many cells better than
    the reference does. Learned as leukaemia, they were called in the patient's clean follow-up.
    """
    places = [
        match_catalogue(mean, tube.features, anchors, parameters, share=share * float(weight))
        for mean, weight in zip(laip.mean, laip.weight, strict=True)
    ]
    keep = np.array([place is None or place.call != MATURE_B for place in places])
    if keep.all() or not keep.any():
        return laip, share
    return laip.only(keep), share * float(laip.weight[keep].sum())


def _without_normal_components(
    laip: Mixture, reference: ReferenceModel, features: tuple[str, ...], parameters: ClassifierParameters
) -> tuple[Mixture, bool]:
    """Drop components with many cells in controls; if none is left, keep the rarest of them and return True."""
    if not reference.controls:
        return laip, False
    index = [reference.features.index(name) for name in features]
    drift = drift_covariance(features, parameters)
    per_million = np.empty((len(reference.controls), laip.k))
    for i, control in enumerate(reference.controls):
        normal = control.log_normal
        if features != reference.features:
            normal = rescore(control, index, parameters)
        for j in range(laip.k):
            fitted = fit_phenotype(
                laip.only(np.arange(laip.k) == j),
                drift,
                control.values[:, index],
                normal,
                control.denominator,
                parameters,
                steps=parameters.indistinct_steps,
            )
            claimed = (fitted.score > parameters.indistinct_score).sum() / control.sampling
            per_million[i, j] = 1e6 * claimed / max(control.denominator, 1)
    middle = np.median(per_million, axis=0)
    keep = (middle < parameters.indistinct_per_million) & (laip.weight > parameters.laip_component_share_least)
    if keep.any():
        return laip.only(keep), False
    return laip.only(np.arange(laip.k) == int(middle.argmin())), True

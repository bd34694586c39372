"""What normal marrow looks like: a hierarchical Gaussian mixture over control tubes, and its fit to one tube.

All controls share the components of one mixture. Each control shifts all of them together (its staining) and may move
each a little besides; how far controls do so (``between``) is learned and bounds how far a sample may. A sample is
described by the same components, moved to where its own cells are, within that bound: normal is learned from controls,
staining is adapted to the tube.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import CandidateCells, Floats32, thin, training_sample
from flowmrd.classifier.doublet_model import doublet_mixture
from flowmrd.classifier.mixture import (
    Floats,
    Mixture,
    chi2_quantile,
    coefficients,
    combine,
    component_log_density,
    fit_mixture,
    log_sum,
    moments,
    products,
)

DEGREES = 12.0
"""Degrees of freedom of the t tails of normal cells when scores are computed."""
STRAY_WEIGHT = 0.01
"""Share given to a broad component while fitting, so that foreign cells do not drag normal ones along."""
STRAY_SD = 1.2
"""Standard deviation of that component, decades: wider than any population."""
FLOOR = 0.06
"""Smallest standard deviation of a population, decades."""
MIN_BETWEEN_SD = 0.08
"""Never assume that a population moves less than this between tubes beside their common shift, decades."""
FEW_TUBES_SD = 0.15
"""What two pseudo-tubes say of that movement, so that it stays sensible with few controls, decades."""
SHIFT_SD = 0.6
"""Expected size of the common shift of a tube's staining, decades: weak, since the cells tell it well. Measured marrows
of one laboratory shift by 0.1 to 0.5 (nucleic acid dye)."""
DOUBLET_SHARE = 1e-4
"""Starting share of the doublets that pass the singlet gate with a cell of the B-lineage window among them."""
MOST_DOUBLETS = 0.02
BLAST_SHARE = 1e-4
"""Starting share of leukaemia of unknown phenotype."""
LEAST_SHARE = 1e-7
VEILED_SHARE = 1e-3
"""Starting share of normal cells of the window whose unreliable markers therapy has hidden."""
FURTHEST = 4.0
"""A population of a tube lies at most this many standard deviations of its place away, in any one marker."""
PLACES = 0.9999
"""Share of normal populations whose place, by all markers together, is no further away than what is still believed."""
MOST_SPREAD = 1.2
"""A population of a tube spreads at most this many times as widely as in controls."""
ALIGN_CELLS = 6_000
ALIGN_COMPONENTS = 10
MIN_ALIGN_CELLS = 300
"""Fewer cells outside the window than this do not tell the staining of a tube."""
ALIGN_BLUR = (0.6, 0.45, 0.3, 0.2, 0.1, 0.05, 0.0, 0.0)
"""Standard deviations by which the reference is broadened while it is laid on a tube, decades."""
ALIGN_BETWEEN = 0.2
PRIOR_COUNT = 40.0
COVARIANCE_COUNT = 600.0
TRAINING_CELLS = 60_000


@dataclass(frozen=True)
class NormalModel:
    """Components of normal marrow with how they vary between tubes.

    Attributes
    ----------
    features
        Marker names.
    mixture
        Average tube.
    between
        Shape (k, d): standard deviation of each component's mean over tubes, beside the common shift of each tube,
        decades.
    inside
        Shape (k,): share of each component's cells that lie in the B-lineage window.
    normal_b
        Shape (d,): centre of the window's normal cells, averaged over the controls, decades.
    """

    features: tuple[str, ...]
    mixture: Mixture
    between: Floats
    inside: Floats
    normal_b: Floats

    def select(self, features: tuple[str, ...]) -> NormalModel:
        """The model of some of its features."""
        if features == self.features:
            return self
        index = [self.features.index(name) for name in features]
        return NormalModel(
            features, self.mixture.marginal(index), self.between[:, index], self.inside, self.normal_b[index]
        )


@dataclass(frozen=True)
class TubeModel:
    """Normal components as they lie in one tube.

    Attributes
    ----------
    mixture
        Moved components, in the order of the reference's; behind them doublets that pass the singlet gate and
        cells whose markers therapy has hidden.
    shift
        Shape (d,): common shift of the tube against the reference, decades.
    strays
        Share of the cells that no normal component explains.
    distance
        Root mean square of the components' standardised displacement beside the common shift, weighted by their cells
        outside the window.
    held
        The same components with those of the window that lie too far from their place drawn back
        (:func:`drawn_back`); None where none does. Not stored.
    """

    mixture: Mixture
    shift: Floats
    strays: float
    distance: float
    held: Mixture | None = None

    def select(self, index: list[int]) -> TubeModel:
        """The model of some of its features."""
        held = None if self.held is None else self.held.marginal(index)
        return TubeModel(self.mixture.marginal(index), self.shift[index], self.strays, self.distance, held)

    def log_density(self, x: Floats32 | Floats) -> Floats:
        """Log density with heavy tails, shape (n,)."""
        out = np.empty(len(x))
        for start in range(0, len(x), 65_536):
            part = slice(start, start + 65_536)
            out[part] = log_sum(component_log_density(self.mixture, x[part], degrees=DEGREES))
        return out


def fit_normal(
    tubes: list[CandidateCells], features: tuple[str, ...], seed: int, *, components: int = 26
) -> NormalModel:
    """Fit the hierarchical mixture to control tubes.

    Parameters
    ----------
    tubes
        Controls, in an order that does not depend on their content. Every tube counts the same whatever its size.
    features
        Markers to use; every tube has them all.

    Returns
    -------
    NormalModel
        With one tube alone ``between`` is the floor.
    """
    tubes = [tube.select(features) for tube in tubes]
    rng = np.random.default_rng(seed)
    per_tube = max(1500, TRAINING_CELLS // max(len(tubes), 1))
    samples = [training_sample(tube, min(per_tube, 12_000)) for tube in tubes]
    shifts = align([x for x, _ in samples], rng)
    # Brought to one staining first, so that components are populations and not tubes.
    pooled = np.concatenate([x - shift for (x, _), shift in zip(samples, shifts, strict=True)])
    d = len(features)
    start_rows = rng.permutation(len(pooled))[:20_000]
    start = fit_mixture(pooled[start_rows], components, rng, floor=FLOOR, steps=12)
    mixture, between = start, np.full((start.k, d), 0.3)
    models = [start.mean + shift for shift in shifts]
    shares = [start.weight.copy() for _ in tubes]
    tables = [(products(x, pooled.mean(axis=0)), w) for x, w in samples]
    centre = pooled.mean(axis=0)
    for _ in range(14):
        total_cov = np.zeros((mixture.k, d, d))
        total_n = np.zeros(mixture.k)
        means = np.empty((len(tubes), mixture.k, d))
        counts = np.empty((len(tubes), mixture.k))
        for t, (table, weight) in enumerate(tables):
            local = Mixture(shares[t], models[t], mixture.covariance)
            coefficient, norm = coefficients(local, centre)
            values = np.log(np.maximum(local.weight, 1e-300)) + norm - 0.5 * (table @ coefficient)
            responsibility = np.exp(values - log_sum(values)[:, None])
            stats = moments(responsibility, table, centre, weight)
            shares[t] = (stats.count + 1e-6) / (stats.count + 1e-6).sum()
            precision_data = stats.effective[:, None] / np.maximum(
                np.diagonal(mixture.covariance, axis1=1, axis2=2), FLOOR**2
            )
            shifts[t] = _common_shift(stats.mean - mixture.mean, stats.effective, precision_data, between)
            models[t] = _moved(stats.mean, precision_data, mixture.mean + shifts[t], between)
            offset = stats.mean - models[t]
            total_cov += stats.effective[:, None, None] * (stats.covariance + offset[:, :, None] * offset[:, None, :])
            total_n += stats.effective
            means[t], counts[t] = models[t], stats.effective
        trust = counts / (counts + 20.0)
        total = np.maximum(trust.sum(axis=0), 1e-9)
        shifts -= shifts.mean(axis=0)
        settled = means - shifts[:, None, :]
        mean = np.einsum("tk,tkd->kd", trust, settled) / total[:, None]
        spread = np.einsum("tk,tkd->kd", trust, (settled - mean) ** 2) / total[:, None]
        between = np.sqrt((spread * total[:, None] + 2 * FEW_TUBES_SD**2) / (total[:, None] + 2))
        between = np.maximum(between, MIN_BETWEEN_SD)
        pooled_cov = total_cov.sum(axis=0) / max(total_n.sum(), 1.0)
        covariance = (total_cov + PRIOR_COUNT * pooled_cov) / (total_n + PRIOR_COUNT)[:, None, None]
        weight = np.mean(shares, axis=0)
        mixture = Mixture(weight / weight.sum(), mean, covariance + FLOOR**2 * np.eye(d))
    return NormalModel(features, mixture, between, _inside_share(tubes, mixture), _window_centre(tubes, mixture))


def align(samples: list[Floats], rng: np.random.Generator) -> Floats:
    """Common shift of every tube's cells against those of the most typical tube, shape (tubes, d), decades."""
    medians = np.array([np.median(x, axis=0) for x in samples])
    typical = int(np.abs(medians - np.median(medians, axis=0)).sum(axis=1).argmin())
    rows = rng.permutation(len(samples[typical]))[:ALIGN_CELLS]
    mixture = fit_mixture(samples[typical][rows], ALIGN_COMPONENTS, rng, floor=FLOOR, steps=15)
    return np.array([staining_shift(mixture, x) for x in samples])


def staining_shift(mixture: Mixture, x: Floats) -> Floats:
    """Shift at which a mixture lies best on the cells x (n, d), shape (d,), decades.

    The mixture is broadened at first, so that it catches cells from afar, and sharpened step by step.
    """
    step = max(1, len(x) // ALIGN_CELLS)
    cells = x[::step]
    centre = cells.mean(axis=0)
    table = products(cells, centre)
    weight = np.ones(len(cells))
    shift = np.zeros(mixture.d)
    stray = Mixture(np.ones(1), centre[None], STRAY_SD**2 * np.eye(mixture.d)[None])
    agreement = np.full((mixture.k, mixture.d), ALIGN_BETWEEN)
    for blur in ALIGN_BLUR:
        broad = mixture.shifted(shift).broadened(blur**2 * np.eye(mixture.d))
        full = combine([broad, stray], [1.0 - STRAY_WEIGHT, STRAY_WEIGHT])
        coefficient, norm = coefficients(full, centre)
        values = np.log(np.maximum(full.weight, 1e-300)) + norm - 0.5 * (table @ coefficient)
        responsibility = np.exp(values - log_sum(values)[:, None])
        stats = moments(responsibility, table, centre, weight)
        k = mixture.k
        precision = stats.effective[:k, None] / np.diagonal(broad.covariance, axis1=1, axis2=2)
        shift = _common_shift(stats.mean[:k] - mixture.mean, stats.effective[:k], precision, agreement)
    return shift


def _common_shift(offset: Floats, effective: Floats, precision: Floats, between: Floats) -> Floats:
    """What all components agree on, each weighted by how well tube and reference know it; shape (d,).

    Parameters
    ----------
    offset
        Shape (k, d): where the tube's cells of a component lie, less where the reference has it.
    effective, precision
        Events behind each component (k,) and the precision of their mean (k, d).
    """
    gain = (effective[:, None] > 50) / (between**2 + 1.0 / np.maximum(precision, 1e-9))
    out: Floats = (gain * offset).sum(axis=0) / (gain.sum(axis=0) + 1.0 / SHIFT_SD**2)
    return out


def _moved(mean: Floats, precision: Floats, expected: Floats, between: Floats) -> Floats:
    """Where components lie in a tube: between where its cells are and where they are expected; shape (k, d)."""
    prior = 1.0 / between**2
    out: Floats = (precision * mean + prior * expected) / (precision + prior)
    return out


def drawn_back(local: Mixture, expected: Mixture, between: Floats, inside: npt.NDArray[np.bool_]) -> Mixture | None:
    """Populations of the window that lie further from their place than normal ones do, put where one may be.

    Where treatment has left few precursors, their component is free: a few hundred leukaemic cells near its place draw
    it onto themselves and would pass for normal. Such a component keeps its cells' number and the direction in which it
    lies, but goes no further than populations of controls typically do, with the spread it has there. Marrow without
    leukaemia can hold such populations too, so that what then is unlike normal is a doubt.

    Parameters
    ----------
    local, expected
        Components as the tube's cells have them, and as the reference does with the staining of the tube.
    between
        Shape (k, d): standard deviation of their places over controls, decades.
    inside
        Shape (k,): components of the B-lineage window; the others have no leukaemia to explain.

    Returns
    -------
    Mixture or None
        None where every population lies where a normal one may.
    """
    d = local.d
    distance = (((local.mean - expected.mean) / between) ** 2).sum(axis=1)
    strained = inside & (distance > chi2_quantile(PLACES, d))
    if not strained.any():
        return None
    share = np.sqrt(d / np.maximum(distance, 1e-9))[:, None]
    mean = np.where(strained[:, None], expected.mean + share * (local.mean - expected.mean), local.mean)
    covariance = np.where(strained[:, None, None], expected.covariance, local.covariance)
    return Mixture(local.weight, mean, covariance)


def bounded(covariance: Floats, reference: Floats) -> Floats:
    """Covariances (k, d, d) whose standard deviations exceed the reference's at most :data:`MOST_SPREAD` times."""
    own = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    most = MOST_SPREAD * np.sqrt(np.diagonal(reference, axis1=1, axis2=2))
    factor = np.minimum(1.0, most / own)
    out: Floats = covariance * factor[:, :, None] * factor[:, None, :]
    return out


def veiled_normals(model: NormalModel, shift: Floats, unreliable: frozenset[str]) -> Mixture | None:
    """Normal cells of the window whose unreliable markers lie anywhere between lost and normal.

    A drug that is an antibody covers its target on normal B cells too: CD22 after inotuzumab, CD20 after rituximab.
    Such cells are no leukaemia. None where no marker is unreliable.
    """
    columns = [j for j, name in enumerate(model.features) if name in unreliable]
    inside = model.inside > 0.5
    if not columns or not inside.any():
        return None
    own = model.mixture.only(inside)
    mean, covariance = own.mean + shift, own.covariance.copy()
    for j in columns:
        # Cells without the marker: the lowest tenth of all normal components.
        lowest = float(np.quantile(model.mixture.mean[:, j], 0.1)) + shift[j]
        gap = np.maximum(mean[:, j] - lowest, 0.0)
        variance = covariance[:, j, j] + gap**2 / 12.0  # of a uniform distribution over the gap
        covariance[:, j, :] = covariance[:, :, j] = 0.0
        covariance[:, j, j] = variance
        mean[:, j] -= gap / 2.0
    return Mixture(own.weight, mean, covariance)


def _inside_share(tubes: list[CandidateCells], mixture: Mixture) -> Floats:
    """Share of each component's cells inside the window, over all tubes; between 0 and 1."""
    total, inside = np.full(mixture.k, 1e-9), np.zeros(mixture.k)
    for tube in tubes:
        for flag in (True, False):
            index = thin(tube.window == flag, 3000)
            if len(index) == 0:
                continue
            values = component_log_density(mixture, tube.values[index])
            mass = np.exp(values - log_sum(values)[:, None]).mean(axis=0) * (tube.window == flag).mean()
            total += mass
            inside += mass if flag else 0.0
    out: Floats = inside / total
    return out


def _window_centre(tubes: list[CandidateCells], mixture: Mixture) -> Floats:
    """Median of the window's cells, averaged over the tubes that have enough of them."""
    centres = [np.median(tube.values[tube.window], axis=0) for tube in tubes if tube.window.sum() >= 100]
    if not centres:
        centres = [(mixture.weight[:, None] * mixture.mean).sum(axis=0)]
    out: Floats = np.mean(np.asarray(centres, dtype=np.float64), axis=0)
    return out


def fit_tube(
    model: NormalModel,
    tube: CandidateCells,
    *,
    foreign: Mixture | None = None,
    foreign_share: float = 0.0,
    anchors_only: bool = False,
    unreliable: frozenset[str] = frozenset(),
    cells: int = 30_000,
    steps: int = 12,
) -> TubeModel:
    """Move the normal components to where this tube's cells are, within what controls allow.

    Parameters
    ----------
    foreign
        Leukaemia known to be in the tube; its cells are explained by it and do not pull normal components.
    foreign_share
        Starting share of ``foreign``.
    anchors_only
        True where the window may be full of leukaemia: only cells outside it tell the common shift, and the window's
        components follow it without moving by themselves.
    unreliable
        Markers that the therapy given takes from normal cells too, or hides on them.
    """
    tube = tube.select(model.features)
    d = len(model.features)
    base, between = model.mixture, model.between
    if tube.n == 0:
        return TubeModel(base, np.zeros(d), 0.0, 0.0)
    x, weight = training_sample(tube, cells)
    centre = base.mean.mean(axis=0)
    table = products(x, centre)
    k = base.k
    outside = thin(~tube.window, ALIGN_CELLS)
    shift = np.zeros(d)
    if len(outside) >= MIN_ALIGN_CELLS:
        anchors = model.inside < 0.5
        known = base.only(anchors) if anchors.any() else base
        shift = staining_shift(known, tube.values[outside].astype(np.float64))
    # Beside the normal populations: strays, doublets, leukaemia, each with a share of its own. Without a place of their
    # own, a few hundred leukaemic cells would draw a small normal population onto themselves.
    others = [Mixture(np.ones(1), x.mean(axis=0)[None], STRAY_SD**2 * np.eye(d)[None])]
    share = [STRAY_WEIGHT]
    doublets = None if tube.doublets is None else doublet_mixture(tube.doublets)
    if doublets is not None:
        others.append(doublets)
        share.append(DOUBLET_SHARE)
    veiled = veiled_normals(model, shift, unreliable)
    if veiled is not None:
        others.append(veiled)
        share.append(VEILED_SHARE)
    if not anchors_only:
        others.append(blast_prior(model.features, model.normal_b + shift))
        share.append(BLAST_SHARE)
    if foreign is not None:
        others.append(foreign)
        share.append(foreign_share)
    first = np.cumsum([k, *(other.k for other in others)])
    local = base.shifted(shift)
    for step in range(steps):
        full = combine([local, *others], [max(1.0 - sum(share), 0.01), *share])
        coefficient, norm = coefficients(full, centre)
        values = np.log(np.maximum(full.weight, 1e-300)) + norm - 0.5 * (table @ coefficient)
        responsibility = np.exp(values - log_sum(values)[:, None])
        stats = moments(responsibility, table, centre, weight)
        normal = stats.count[:k].sum()
        found = [float(stats.count[start:stop].sum()) for start, stop in pairwise(first)]
        share = [share[0], *(max(value, LEAST_SHARE) for value in found[1:])]
        if doublets is not None:
            share[1] = min(share[1], MOST_DOUBLETS)
        n_eff = np.where(model.inside > 0.5, 1e-9, stats.effective[:k]) if anchors_only else stats.effective[:k]
        variance = np.maximum(np.diagonal(local.covariance, axis1=1, axis2=2), FLOOR**2)
        precision_data = n_eff[:, None] / variance
        shift = _common_shift(stats.mean[:k] - base.mean, n_eff, precision_data, between)
        prior_mean = base.mean + shift
        mean = _moved(stats.mean[:k], precision_data, prior_mean, between)
        limit = FURTHEST * between
        mean = prior_mean + np.clip(mean - prior_mean, -limit, limit)
        offset = stats.mean[:k] - mean
        own = stats.covariance[:k] + offset[:, :, None] * offset[:, None, :]
        covariance = (n_eff[:, None, None] * own + COVARIANCE_COUNT * base.covariance) / (n_eff + COVARIANCE_COUNT)[
            :, None, None
        ]
        covariance = bounded(covariance, base.covariance)
        own_weight = (stats.count[:k] + 1e-7) / max(normal + k * 1e-7, 1e-12)
        # Weights follow from the second step on: the first one only settles the common shift.
        local = Mixture(base.weight if step == 0 or anchors_only else own_weight, mean, covariance)
    # The window may hold leukaemia or nothing at all; how foreign a tube is shows in the cells outside it.
    displacement = ((local.mean - base.mean - shift) / between) ** 2
    judged = base.weight * (1.0 - model.inside)
    judged = judged / max(judged.sum(), 1e-12)
    distance = float(np.sqrt((judged[:, None] * displacement).sum() / d))
    # Doublets and veiled cells come first behind the strays, in this order, as far as there are any.
    seen = [part for part in (doublets, veiled) if part is not None]
    shares = share[1 : 1 + len(seen)]
    held = drawn_back(local, base.shifted(shift), between, model.inside > 0.5)
    rest = [1.0 - sum(shares), *shares]
    whole = combine([local, *seen], rest) if seen else local
    if held is not None and seen:
        held = combine([held, *seen], rest)
    return TubeModel(whole, shift, found[0], distance, held)

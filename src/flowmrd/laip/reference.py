"""What normal marrow looks like: a hierarchical Gaussian mixture over control tubes, and its fit to one tube.

All controls share the components of one mixture. Each control may move every component a little; how far controls move
them (``between``) is learned and bounds how far a sample may move them. A sample is described by the same components,
moved to where its own cells are, within that bound: normal is learned from controls, staining is adapted to the tube.

A control is never judged by a reference it helped to build: controls are dealt into folds and each fold has a reference
built from the other folds alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flowmrd.laip.doublets import doublet_mixture
from flowmrd.laip.gaussian import (
    Floats,
    Mixture,
    coefficients,
    combine,
    component_log_density,
    fit_mixture,
    log_sum,
    mahalanobis_squared,
    moments,
    products,
)
from flowmrd.laip.tube import Floats32, Tube, thin, training_sample

DEGREES = 12.0
"""Degrees of freedom of the t tails of normal cells when scores are computed."""
STRAY_WEIGHT = 0.01
"""Share given to a broad component while fitting, so that foreign cells do not drag normal ones along."""
STRAY_SD = 1.2
"""Standard deviation of that component, decades: wider than any population."""
FLOOR = 0.06
"""Smallest standard deviation of a population, decades."""
MIN_BETWEEN_SD = 0.12
"""Two controls say little about how far staining moves; never assume less than this between tubes, decades."""
DOUBLET_SHARE = 1e-4
"""Starting share of the doublets that pass the singlet gate with a cell of the B-lineage window among them."""
DOUBLET_BOUNDS = (1e-6, 0.02)
PRIOR_COUNT = 40.0
COVARIANCE_COUNT = 60.0
TRAINING_CELLS = 60_000
MIN_STAGE_CELLS = 30
"""Fewer cells of a population than this in a control do not place it."""


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
        Shape (k, d): standard deviation of each component's mean over tubes, decades.
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
        Moved components, in the order of the reference's; behind them those of doublets that pass the singlet gate.
    shift
        Shape (d,): common shift of the tube against the reference, decades.
    strays
        Share of the cells that no normal component explains.
    distance
        Root mean square of the components' standardised displacement, weighted by their cells outside the window:
        how unlike the controls the tube is.
    """

    mixture: Mixture
    shift: Floats
    strays: float
    distance: float

    def select(self, index: list[int]) -> TubeModel:
        """The model of some of its features."""
        return TubeModel(self.mixture.marginal(index), self.shift[index], self.strays, self.distance)

    def log_density(self, x: Floats32 | Floats) -> Floats:
        """Log density with heavy tails, shape (n,)."""
        out = np.empty(len(x))
        for start in range(0, len(x), 65_536):
            part = slice(start, start + 65_536)
            out[part] = log_sum(component_log_density(self.mixture, x[part], degrees=DEGREES))
        return out


def fit_normal(tubes: list[Tube], features: tuple[str, ...], seed: int, *, components: int = 26) -> NormalModel:
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
    pooled = np.concatenate([x for x, _ in samples])
    d = len(features)
    start_rows = rng.permutation(len(pooled))[:20_000]
    start = fit_mixture(pooled[start_rows], components, rng, floor=FLOOR, steps=12)
    mixture, between = start, np.full((start.k, d), 0.3)
    models = [start.mean.copy() for _ in tubes]
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
            precision_prior = 1.0 / between**2
            models[t] = (precision_data * stats.mean + precision_prior * mixture.mean) / (
                precision_data + precision_prior
            )
            offset = stats.mean - models[t]
            total_cov += stats.effective[:, None, None] * (stats.covariance + offset[:, :, None] * offset[:, None, :])
            total_n += stats.effective
            means[t], counts[t] = models[t], stats.effective
        trust = counts / (counts + 20.0)
        total = np.maximum(trust.sum(axis=0), 1e-9)
        mean = np.einsum("tk,tkd->kd", trust, means) / total[:, None]
        spread = np.einsum("tk,tkd->kd", trust, (means - mean) ** 2) / total[:, None]
        # A prior of two pseudo-tubes keeps the spread sensible when controls are few or lack a population.
        between = np.sqrt((spread * total[:, None] + 2 * 0.2**2) / (total[:, None] + 2))
        between = np.maximum(between, MIN_BETWEEN_SD)
        pooled_cov = total_cov.sum(axis=0) / max(total_n.sum(), 1.0)
        covariance = (total_cov + PRIOR_COUNT * pooled_cov) / (total_n + PRIOR_COUNT)[:, None, None]
        weight = np.mean(shares, axis=0)
        mixture = Mixture(weight / weight.sum(), mean, covariance + FLOOR**2 * np.eye(d))
    return NormalModel(features, mixture, between, _inside_share(tubes, mixture), _window_centre(tubes, mixture))


def _inside_share(tubes: list[Tube], mixture: Mixture) -> Floats:
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


def _window_centre(tubes: list[Tube], mixture: Mixture) -> Floats:
    """Median of the window's cells, averaged over the tubes that have enough of them."""
    centres = [np.median(tube.values[tube.window], axis=0) for tube in tubes if tube.window.sum() >= 100]
    if not centres:
        centres = [(mixture.weight[:, None] * mixture.mean).sum(axis=0)]
    out: Floats = np.mean(np.asarray(centres, dtype=np.float64), axis=0)
    return out


def fit_tube(
    model: NormalModel,
    tube: Tube,
    *,
    foreign: Mixture | None = None,
    foreign_share: float = 0.0,
    anchors_only: bool = False,
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
    # Beside the normal populations: strays, doublets, leukaemia, each with a share of its own.
    others = [Mixture(np.ones(1), x.mean(axis=0)[None], STRAY_SD**2 * np.eye(d)[None])]
    share = [STRAY_WEIGHT]
    doublets = None if tube.doublets is None else doublet_mixture(tube.doublets)
    if doublets is not None:
        others.append(doublets)
        share.append(DOUBLET_SHARE)
    if foreign is not None:
        others.append(foreign)
        share.append(foreign_share)
    first = np.cumsum([k, *(other.k for other in others)])
    local, shift = base, np.zeros(d)
    for step in range(steps):
        full = combine([local, *others], [max(1.0 - sum(share), 0.01), *share])
        coefficient, norm = coefficients(full, centre)
        values = np.log(np.maximum(full.weight, 1e-300)) + norm - 0.5 * (table @ coefficient)
        responsibility = np.exp(values - log_sum(values)[:, None])
        stats = moments(responsibility, table, centre, weight)
        normal = stats.count[:k].sum()
        found = [float(stats.count[start:stop].sum()) for start, stop in pairwise(first)]
        if doublets is not None:
            share[1] = float(np.clip(found[1], *DOUBLET_BOUNDS))
        if foreign is not None:
            share[-1] = found[-1]
        n_eff = np.where(model.inside > 0.5, 1e-9, stats.effective[:k]) if anchors_only else stats.effective[:k]
        variance = np.maximum(np.diagonal(local.covariance, axis1=1, axis2=2), FLOOR**2)
        precision_data = n_eff[:, None] / variance
        # The common shift is what all components agree on, each weighted by how well tube and reference know it.
        gain = 1.0 / (between**2 + 1.0 / np.maximum(precision_data, 1e-9))
        seen = n_eff[:, None] > 50
        shift = (gain * seen * (stats.mean[:k] - base.mean)).sum(axis=0) / ((gain * seen).sum(axis=0) + 1.0 / 0.3**2)
        prior_mean = base.mean + shift
        precision_prior = 1.0 / between**2
        mean = (precision_data * stats.mean[:k] + precision_prior * prior_mean) / (precision_data + precision_prior)
        limit = 4.0 * between
        mean = prior_mean + np.clip(mean - prior_mean, -limit, limit)
        offset = stats.mean[:k] - mean
        own = stats.covariance[:k] + offset[:, :, None] * offset[:, None, :]
        covariance = (n_eff[:, None, None] * own + COVARIANCE_COUNT * base.covariance) / (n_eff + COVARIANCE_COUNT)[
            :, None, None
        ]
        own_weight = (stats.count[:k] + 1e-7) / max(normal + k * 1e-7, 1e-12)
        # Weights follow from the second step on: the first one only settles the common shift.
        local = Mixture(base.weight if step == 0 or anchors_only else own_weight, mean, covariance)
    # The window may hold leukaemia or nothing at all; how foreign a tube is shows in the cells outside it.
    displacement = ((local.mean - base.mean) / between) ** 2
    judged = base.weight * (1.0 - model.inside)
    judged = judged / max(judged.sum(), 1e-12)
    distance = float(np.sqrt((judged[:, None] * displacement).sum() / d))
    whole = local if doublets is None else combine([local, doublets], [1.0 - share[1], share[1]])
    return TubeModel(whole, shift, found[0], distance)


@dataclass(frozen=True)
class ControlRecord:
    """What is kept of a control: the cells of its window and how an independent reference sees them.

    Attributes
    ----------
    values, log_normal
        Candidate cells (n, d) that any LAIP may claim, and their log density under the fold's model of this tube.
    sampling
        Share of such cells that was kept; counts are divided by it.
    """

    name: str
    fold: int
    denominator: int
    values: Floats32
    log_normal: Floats32
    sampling: float
    model: TubeModel


@dataclass(frozen=True)
class NormalReference:
    """The frozen normal: full model, fold models and the controls as judged by them.

    ``provisional`` is true where no real control stood behind it; its background rates are not to be believed.
    ``stage_names`` and ``stage_centres`` (s, d) are the normal populations of the window, for naming only.
    """

    panel: str
    model: NormalModel
    folds: tuple[NormalModel, ...]
    controls: tuple[ControlRecord, ...]
    novelty_limit: float
    strays_limit: float
    stage_names: tuple[str, ...]
    stage_centres: Floats
    provisional: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """Marker names of the model."""
        return self.model.features

    def novelty(self, tube_model: TubeModel) -> tuple[float, bool]:
        """How unlike the controls a tube is: 1 is the farthest a control lies from the others, with a margin."""
        score = max(
            tube_model.distance / max(self.novelty_limit, 1e-9), tube_model.strays / max(self.strays_limit, 1e-9)
        )
        return score, score > 1.0


def fold_of(names: list[str], folds: int) -> dict[str, int]:
    """Deal controls into folds by their names alone."""
    return {name: i % folds for i, name in enumerate(sorted(names))}


def build_reference(
    panel: str,
    controls: list[Tube],
    *,
    seed: int,
    max_cells: int = 200_000,
    max_folds: int = 5,
    provisional: bool = False,
) -> NormalReference:
    """Fit the reference and judge every control by the fold that it did not help to build.

    Parameters
    ----------
    controls
        At least one. With one, its own fold cannot exist and the controls' judgement is left empty.
    max_cells
        Candidate cells kept per control.
    """
    controls = sorted(controls, key=lambda tube: tube.name)
    features = controls[0].features
    for tube in controls[1:]:
        features = tuple(name for name in features if name in tube.features)
    model = fit_normal(controls, features, seed)
    records: list[ControlRecord] = []
    folds: list[NormalModel] = []
    if len(controls) > 1:
        n_folds = min(len(controls), max_folds)
        member = fold_of([tube.name for tube in controls], n_folds)
        for fold in range(n_folds):
            rest = [tube for tube in controls if member[tube.name] != fold]
            folds.append(fit_normal(rest, features, seed))
        records = [judge(folds[member[tube.name]], tube, member[tube.name], max_cells) for tube in controls]
    distances = np.array([record.model.distance for record in records] or [1.0])
    strays = np.array([record.model.strays for record in records] or [STRAY_WEIGHT])
    # Few controls know little about the next tube: the limit is the mean plus a prediction bound, not the maximum.
    factor = 3.0 * np.sqrt(1 + 1 / len(distances))
    novelty_limit = float(distances.mean() + factor * max(distances.std(), 0.2 * distances.mean(), 0.1))
    strays_limit = float(max(strays.mean() + factor * max(strays.std(), 0.005), 0.03))
    names, centres = _stages(controls, model)
    return NormalReference(
        panel, model, tuple(folds), tuple(records), novelty_limit, strays_limit, names, centres, provisional=provisional
    )


def _stages(tubes: list[Tube], model: NormalModel) -> tuple[tuple[str, ...], Floats]:
    """Centres of the named normal populations of the window, averaged over the controls that hold them.

    Where the tubes name no population, the components of the model that lie in the window stand for stages.
    """
    found: dict[str, list[Floats]] = {}
    for given in tubes:
        tube = given.select(model.features)
        if tube.population is None:
            continue
        for code, name in enumerate(tube.populations):
            chosen = tube.window & (tube.population == code)
            if name and chosen.sum() >= MIN_STAGE_CELLS:
                found.setdefault(name, []).append(np.median(tube.values[chosen], axis=0).astype(np.float64))
    if found:
        names = tuple(sorted(found))
        return names, np.array([np.mean(found[name], axis=0) for name in names])
    inside = np.flatnonzero(model.inside > 0.5)
    if len(inside) == 0:
        inside = np.arange(model.mixture.k)
    return tuple(f"component_{k}" for k in inside), model.mixture.mean[inside]


def judge(model: NormalModel, tube: Tube, fold: int, max_cells: int) -> ControlRecord:
    """Fit a control by a model it did not help to build and keep its candidate cells."""
    tube = tube.select(model.features)
    fitted = fit_tube(model, tube)
    inside = np.flatnonzero(tube.window)
    step = max(1, -(-len(inside) // max_cells))
    kept = inside[::step]
    values = np.ascontiguousarray(tube.values[kept])
    return ControlRecord(
        name=tube.name,
        fold=fold,
        denominator=tube.denominator,
        values=values,
        log_normal=fitted.log_density(values).astype(np.float32),
        sampling=1.0 / step,
        model=fitted,
    )


def rescore(control: ControlRecord, index: list[int]) -> Floats32:
    """Log normal density of a control's cells in some of the features."""
    return control.model.select(index).log_density(control.values[:, index]).astype(np.float32)


def coverage(model: TubeModel, x: Floats32) -> float:
    """Share of cells within the 99.9 % region of some normal component."""
    from scipy.stats import chi2

    if len(x) == 0:
        return 1.0
    nearest = mahalanobis_squared(model.mixture, x).min(axis=1)
    return float((nearest < chi2.ppf(0.999, model.mixture.d)).mean())


def digest(reference: NormalReference) -> str:
    """SHA-256 over the numbers of the model: two references with the same digest judge alike."""
    sha = hashlib.sha256()
    sha.update("\0".join((reference.panel, *reference.features)).encode())
    for array in (reference.model.mixture.weight, reference.model.mixture.mean, reference.model.mixture.covariance):
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()

"""Different from normal: compact groups of blast-like cells that the tube's normal cells do not explain.

A single strange cell says nothing; forty in one place do. Cells more like a blast than like any normal cell of this
tube are searched for the densest spot at the scale of one patient's blasts; a Gaussian grown from there is judged by
how much it gains over the normal model. What the same search gains in control tubes says how much is worth reporting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.mixture import Floats, Mixture, log_density
from flowmrd.classifier.phenotype_score import TAIL, score_cells

CANDIDATES = 3_000
"""Most cells that enter the search for the densest spot; its cost is their square."""
START_EVENTS = 20.0
"""Size of a group at the start of its growth."""
LEAST_WORTH = 0.01
SEEDS = 5
APART = 9.0
"""Squared distance of two seeds at least, in typical standard deviations."""
AROUND = 150.0
"""Squared distance, in typical standard deviations, within which cells are looked at while a group grows."""
SHAPE_COUNT = 25.0
"""Pseudo-events that hold a cluster's covariance near that of a typical leukaemia."""
LARGEST = 1.3
"""Largest size of a cluster; 341 leukaemias: 0.88 in the median, 1.21 at the 99th percentile, 1.25 at most."""
WIDEST = 2.0
"""Largest standard deviation in a single marker, in those of the typical shape."""
NEAR = -3.0
SPOT_PURITY, DOUBTFUL_PURITY = 2.0, 1.2
"""Least gain per event of a spot that counts, and of one worth a doubt: cells of a leukaemia are each clearly unlike
normal ones, a normal population that the model describes badly is large and gains little per cell."""


@dataclass(frozen=True)
class CompactGroup:
    """One compact group.

    Attributes
    ----------
    mixture
        A single Gaussian, decades.
    share
        Share of the tube's nucleated cells.
    gain
        Log likelihood gained over the normal model.
    events
        Cells that the Gaussian explains better than not, by their expected number.
    """

    mixture: Mixture
    share: float
    gain: float
    events: float

    @property
    def purity(self) -> float:
        """Gain per event: how far from normal its cells are on average. Ill-described normal cells gain little each."""
        return self.gain / max(self.events, 1.0)

    @property
    def is_pure(self) -> bool:
        """Whether its cells are each clearly unlike normal ones."""
        return self.purity >= SPOT_PURITY


def plausible_spots(
    features: tuple[str, ...], x: Floats32, log_normal: Floats32 | Floats, denominator: int, normal_b: Floats
) -> tuple[CompactGroup, ...]:
    """Compact groups of cells unlike normal ones, where blasts may lie; by falling gain.

    Parameters
    ----------
    normal_b
        Shape (d,): centre of normal B-lineage cells in the staining of this tube, decades.
    """
    found = find_spots(x, log_normal, denominator, blast_prior(features, normal_b), cluster_shape(features))[0]
    return tuple(spot for spot in found if spot.purity >= DOUBTFUL_PURITY)


def find_spots(
    x: Floats32,
    log_normal: Floats32 | Floats,
    denominator: int,
    plausible: Mixture,
    shape: Floats,
    *,
    most: int = 3,
    min_events: float = 8.0,
) -> tuple[list[CompactGroup], Floats]:
    """Search a tube's candidate cells.

    Parameters
    ----------
    plausible
        Where blasts may lie at all (prior or library), decades.
    shape
        Covariance (d, d) of one patient's blasts.

    Returns
    -------
    spots, score
        Spots by falling gain; score (n,) of every cell under ``plausible`` against normal.
    """
    if len(x) == 0 or denominator == 0:
        return [], np.zeros(0)
    log_plausible = log_density(plausible, x, degrees=TAIL)
    score = log_plausible - log_normal
    near = np.flatnonzero(score > NEAR)
    spots: list[CompactGroup] = []
    if len(near) < min_events:
        return spots, score
    cells = x[near].astype(np.float64)
    normal = np.asarray(log_normal, dtype=np.float64)[near]
    alive = np.ones(len(near))
    narrow = 0.5 * float(np.linalg.slogdet(plausible.covariance[0])[1] - np.linalg.slogdet(shape)[1])
    worth = np.log1p(np.exp(np.clip(score[near] + narrow - np.log(denominator / START_EVENTS), -30, 30)))
    for _ in range(most):
        grown = [_grow(cells, normal, alive, seed, shape, denominator) for seed in _seeds(cells, worth * alive, shape)]
        if not grown:
            break
        spot, belongs = max(grown, key=lambda one: one[0].gain)
        if spot.events < min_events or spot.gain <= 0:
            break
        spots.append(spot)
        alive = alive * (1.0 - belongs)
    return sorted(spots, key=lambda spot: -spot.gain), score


def _seeds(cells: Floats, worth: Floats, shape: Floats) -> list[Floats]:
    """Cells around which there is most to gain, apart from each other by more than the size of a leukaemia.

    Parameters
    ----------
    worth
        Shape (n,): what a cell would gain as part of a compact group, natural log. Weighing by it, not by mere number,
        keeps the many cells at the rim of normal populations from drowning thirty far outside.
    """
    order = np.argsort(-worth, kind="stable")[:CANDIDATES]
    order = order[worth[order] > LEAST_WORTH]
    if len(order) < 5:
        return []
    white = np.linalg.inv(np.linalg.cholesky(shape))
    z = cells[order] @ white.T
    norm = (z**2).sum(axis=1)
    mass = np.empty(len(z))
    for start in range(0, len(z), 512):
        part = slice(start, start + 512)
        distance = norm[part, None] + norm - 2.0 * z[part] @ z.T
        mass[part] = np.exp(-0.25 * np.maximum(distance, 0.0)) @ worth[order]
    seeds: list[Floats] = []
    for _ in range(SEEDS):
        top = int(mass.argmax())
        if mass[top] <= 0.0:
            break
        seeds.append(cells[order[top]])
        mass[((z - z[top]) ** 2).sum(axis=1) < APART] = 0.0
    return seeds


def compact(covariance: Floats, shape: Floats) -> Floats:
    """A cluster's covariance held to the size that leukaemias have, shape (d, d).

    Scattered odd cells make a Gaussian several times as large as any leukaemia's. Size is the geometric mean of the
    standard deviations over the axes of the ellipsoid, relative to those of the typical ``shape``.
    """
    typical = np.sqrt(np.diagonal(shape))
    factor = np.minimum(1.0, WIDEST * typical / np.sqrt(np.diagonal(covariance)))
    held = covariance * np.outer(factor, factor)
    size = float(np.exp(0.5 * np.linalg.slogdet(held / np.outer(typical, typical))[1] / len(typical)))
    out: Floats = held * min(1.0, LARGEST / size) ** 2
    return out


def _grow(
    cells: Floats, normal: Floats, alive: Floats, seed: Floats, shape: Floats, denominator: int
) -> tuple[CompactGroup, npt.NDArray[np.float64]]:
    """EM of one Gaussian beside the fixed normal density, among the cells around the seed."""
    typical = np.sqrt(np.diagonal(shape))
    close = np.flatnonzero((((cells - seed) / typical) ** 2).sum(axis=1) < AROUND)
    around, log_normal, log_alive = cells[close], normal[close], np.log(np.maximum(alive[close], 1e-12))
    mean, covariance, share = seed, shape, START_EVENTS / denominator
    belongs = np.zeros(len(close))
    gain = 0.0
    for _ in range(25):
        mixture = Mixture(np.ones(1), mean[None], covariance[None])
        odds = np.log(max(share, 1e-12)) + score_cells(mixture, around, log_normal) + log_alive
        gain = float(np.logaddexp(0.0, odds).sum() - share * denominator)
        belongs = 1.0 / (1.0 + np.exp(-np.clip(odds, -60, 60)))
        count = float(belongs.sum())
        if count < 2.0:
            break
        new_mean = (belongs @ around) / count
        offset = around - new_mean
        own = (offset * belongs[:, None]).T @ offset
        covariance = compact((own + SHAPE_COUNT * shape) / (count + SHAPE_COUNT), shape)
        new_share = count / denominator
        done = np.abs(new_mean - mean).max() < 0.003 and abs(new_share - share) < 0.01 * share
        mean, share = new_mean, new_share
        if done:
            break
    spot = CompactGroup(Mixture(np.ones(1), mean[None], covariance[None]), share, gain, float(belongs.sum()))
    whole = np.zeros(len(cells))
    whole[close] = belongs
    return spot, whole

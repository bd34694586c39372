"""Compact groups of blast-like cells that the model of the tube's normal cells does not explain.

A single atypical cell is no evidence, but forty of one phenotype are. The search takes the cells that are more like a
blast than like any normal cell of this tube. It finds the point where they lie most densely at the spread of one
patient's blasts. A Gaussian is fitted there and judged by its gain in log likelihood over the normal model. The same
search in control tubes shows which gain is worth a report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.mixture import Floats, Mixture, log_density, membership
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype_score import score_cells

SEED_BLOCK = 64
"""Number of cells whose distances to all others are computed at a time and fit into a processor's cache."""


@dataclass(frozen=True)
class CompactGroup:
    """One compact group.

    Attributes
    ----------
    mixture
        A single Gaussian, decades.
    share
        Share of the tube's nucleated cells.
    log_likelihood_gain
        Log likelihood gained over the normal model, natural log.
    events
        Expected number of cells that belong to the Gaussian.
    """

    mixture: Mixture
    share: float
    log_likelihood_gain: float
    events: float

    @property
    def gain_per_event(self) -> float:
        """Mean gain per cell. Normal cells that the model describes badly gain little each."""
        return self.log_likelihood_gain / max(self.events, 1.0)

    def is_distinct(self, parameters: ClassifierParameters) -> bool:
        """Whether the mean gain per cell shows that the cells are clearly unlike normal ones."""
        return self.gain_per_event >= parameters.gain_per_event_counted


def even_score(share: float) -> float:
    """Natural log score from which a cell belongs more probably to a group than to the tube's normal cells.

    Parameters
    ----------
    share
        Share of the tube's nucleated cells that the group has.
    """
    return -float(np.log(max(share, 1e-12)))


def blast_like_groups(
    features: tuple[str, ...],
    x: Floats32,
    log_normal: Floats32 | Floats,
    denominator: int,
    normal_b: Floats,
    parameters: ClassifierParameters,
) -> tuple[CompactGroup, ...]:
    """Compact groups of cells that are unlike normal ones, at marker levels that blasts may have; by decreasing gain.

    Parameters
    ----------
    normal_b
        Shape (d,): centre of normal B-lineage cells in the staining of this tube, decades.
    """
    prior, shape = blast_prior(features, normal_b, parameters), cluster_shape(features)
    found = search_groups(x, log_normal, denominator, prior, shape, parameters)
    return tuple(group for group in found if group.gain_per_event >= parameters.gain_per_event_atypical)


def search_groups(
    x: Floats32,
    log_normal: Floats32 | Floats,
    denominator: int,
    prior: Mixture,
    shape: Floats,
    parameters: ClassifierParameters,
) -> list[CompactGroup]:
    """Compact groups among a tube's candidate cells, sorted by decreasing gain.

    Parameters
    ----------
    prior
        Prior distribution of blasts, decades.
    shape
        Covariance (d, d) of one patient's blasts.
    """
    if len(x) == 0 or denominator == 0:
        return []
    score = log_density(prior, x, degrees=parameters.blast_tail_degrees) - log_normal
    near = np.flatnonzero(score > parameters.group_reach)
    groups: list[CompactGroup] = []
    if len(near) < parameters.group_events_least:
        return groups
    normal = np.asarray(log_normal, dtype=np.float64)[near]
    cells = _CandidateCells.of(x[near].astype(np.float64), normal, np.sqrt(np.diagonal(shape)))
    unclaimed = np.ones(len(near))
    narrow = 0.5 * float(np.linalg.slogdet(prior.covariance[0])[1] - np.linalg.slogdet(shape)[1])
    log_share = np.log(denominator / parameters.start_events)
    worth = np.log1p(np.exp(np.clip(score[near] + narrow - log_share, -30, 30)))
    # A leukaemia that is aberrant in a marker lies far from the prior; the gain of its group does not depend on the
    # prior.
    typical = -0.5 * (len(shape) * (1.0 + np.log(2.0 * np.pi)) + float(np.linalg.slogdet(shape)[1]))
    odd_worth = np.log1p(np.exp(np.clip(typical - normal - log_share, -30, 30)))
    grown: dict[int, _GrownGroup] = {}
    for _ in range(parameters.groups_most):
        seeds = (
            *_seeds(cells.values, worth * unclaimed, shape, parameters, parameters.seeds),
            *_seeds(cells.values, odd_worth * unclaimed, shape, parameters, parameters.seeds_odd),
        )
        if not seeds:
            break
        for seed in seeds:
            # A seed of both kinds, or of a round that claimed none of the cells around it, gives the same group again.
            if seed not in grown or not np.array_equal(grown[seed].unclaimed, unclaimed[grown[seed].close]):
                grown[seed] = _grow(cells, unclaimed, cells.values[seed], shape, denominator, parameters)
        best = max((grown[seed] for seed in seeds), key=lambda one: one.group.log_likelihood_gain)
        if best.group.events < parameters.group_events_least or best.group.log_likelihood_gain <= 0:
            break
        groups.append(best.group)
        unclaimed[best.close] *= 1.0 - best.belongs
    return sorted(groups, key=lambda group: -group.log_likelihood_gain)


@dataclass(frozen=True)
class _CandidateCells:
    """Candidate cells and, for finding those around a point, their markers in units of a leukaemia's typical size.

    Attributes
    ----------
    values, log_normal
        Shapes (n, d), decades, and (n,).
    typical
        Shape (d,): standard deviations of a leukaemia, decades.
    relative, squares
        Values over ``typical``, shape (n, d), and their squared norms, shape (n,).
    """

    values: Floats
    log_normal: Floats
    typical: Floats
    relative: Floats
    squares: Floats

    @classmethod
    def of(cls, values: Floats, log_normal: Floats, typical: Floats) -> _CandidateCells:
        """The cells with what the search for neighbours needs."""
        relative = values / typical
        return cls(values, log_normal, typical, relative, np.einsum("ij,ij->i", relative, relative))

    def around(self, point: Floats, reach: float) -> npt.NDArray[np.intp]:
        """Indices of the cells whose squared distance to a point, in typical sizes, is below ``reach``."""
        at = point / self.typical
        return np.flatnonzero(self.squares - 2.0 * (self.relative @ at) + at @ at < reach)


@dataclass(frozen=True)
class _GrownGroup:
    """A group that grew from a seed.

    Attributes
    ----------
    close
        Shape (m,): indices of the cells around the seed.
    unclaimed, belongs
        Shape (m,): the part of each of them that no earlier group had claimed, and the part that the group claims.
    """

    group: CompactGroup
    close: npt.NDArray[np.intp]
    unclaimed: Floats
    belongs: Floats


def _seeds(cells: Floats, worth: Floats, shape: Floats, parameters: ClassifierParameters, most: int) -> list[int]:
    """Indices of cells around which a group would gain most; any two are further apart than the size of a leukaemia.

    Parameters
    ----------
    worth
        Shape (n,): what a cell would gain as part of a compact group, natural log. Cells are weighted by it because a
        mere number of cells would let the many at the rim of normal populations hide thirty that lie far outside.
    """
    order = np.argsort(-worth, kind="stable")[: parameters.seed_cells]
    order = order[worth[order] > parameters.seed_worth_least]
    if len(order) < parameters.seed_cells_least:
        return []
    white = np.linalg.inv(np.linalg.cholesky(shape))
    z = cells[order] @ white.T
    # A quarter of the negative squared distance of two cells is a product of these columns of one and of the other.
    quarter, ones = -0.25 * (z**2).sum(axis=1), np.ones(len(z))
    one, other, weight = np.column_stack([0.5 * z, quarter, ones]), np.column_stack([z, ones, quarter]).T, worth[order]
    mass = np.zeros(len(z))
    for start in range(0, len(z), SEED_BLOCK):  # every pair of cells once
        end = start + SEED_BLOCK
        near = one[start:end] @ other[:, start:]
        np.exp(near, out=near)
        mass[start:end] += near @ weight[start:]
        mass[end:] += weight[start:end] @ near[:, SEED_BLOCK:]
    seeds: list[int] = []
    for _ in range(most):
        top = int(mass.argmax())
        if mass[top] <= 0.0:
            break
        seeds.append(int(order[top]))
        mass[((z - z[top]) ** 2).sum(axis=1) < parameters.seed_distance] = 0.0
    return seeds


def compact(covariance: Floats, shape: Floats, parameters: ClassifierParameters) -> Floats:
    """A group's covariance limited to the size that leukaemias have, shape (d, d).

    Scattered atypical cells make a Gaussian several times as large as that of any leukaemia. Size is the geometric mean
    of the standard deviations over the axes of the ellipsoid, relative to those of the typical ``shape``.
    """
    typical = np.sqrt(np.diagonal(shape))
    factor = np.minimum(1.0, parameters.group_width_most * typical / np.sqrt(np.diagonal(covariance)))
    narrowed = covariance * np.outer(factor, factor)
    size = float(np.exp(0.5 * np.linalg.slogdet(narrowed / np.outer(typical, typical))[1] / len(typical)))
    out: Floats = narrowed * min(1.0, parameters.group_size_most / size) ** 2
    return out


def _grow(
    cells: _CandidateCells,
    unclaimed: Floats,
    seed: Floats,
    shape: Floats,
    denominator: int,
    parameters: ClassifierParameters,
) -> _GrownGroup:
    """EM of one Gaussian beside the fixed normal density, among the cells around the seed."""
    close = cells.around(seed, parameters.group_neighbourhood)
    around, log_normal = cells.values[close], cells.log_normal[close]
    left = unclaimed[close]
    log_unclaimed = np.log(np.maximum(left, 1e-12))
    mean, covariance, share = seed, shape, parameters.start_events / denominator
    prior_events, tails = parameters.group_shape_events, parameters.blast_tail_degrees
    for _ in range(parameters.group_steps):
        mixture = Mixture(np.ones(1), mean[None], covariance[None])
        odds = np.log(max(share, 1e-12)) + score_cells(mixture, around, log_normal, tails) + log_unclaimed
        expected = share * denominator
        belongs = membership(odds - parameters.group_margin)
        count = float(belongs.sum())
        if count < 2.0:
            break
        new_mean = (belongs @ around) / count
        offset = around - new_mean
        own = (offset * belongs[:, None]).T @ offset
        covariance = compact((own + prior_events * shape) / (count + prior_events), shape, parameters)
        new_share = count / denominator
        done = (
            np.abs(new_mean - mean).max() < parameters.group_shift_tolerance
            and abs(new_share - share) < parameters.share_tolerance * share
        )
        mean, share = new_mean, new_share
        if done:
            break
    gain = float(np.logaddexp(0.0, odds).sum() - expected)
    group = CompactGroup(Mixture(np.ones(1), mean[None], covariance[None]), share, gain, float(belongs.sum()))
    return _GrownGroup(group, close, left, belongs)

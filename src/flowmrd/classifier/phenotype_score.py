"""Searching a tube for a known phenotype, allowing for drift.

The phenotype is a Gaussian mixture that may have moved by an unknown common shift with a known spread (the *drift*).
Where cells match it, they determine the shift, and the phenotype becomes narrow around them. Where none do, it stays as
broad as the drift. The score of a cell is the natural log of the ratio of two densities, that of the phenotype and that
of the tube's own normal cells. Both densities are per nucleated cell, so a cut of s passes at most exp(-s) of the
normal cells if the normal model is right. The controls show whether it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Bools, Floats32, thin
from flowmrd.classifier.mixture import (
    CHUNK,
    Floats,
    Mixture,
    chi2_quantile,
    combine,
    component_log_density,
    log_sum,
    mahalanobis_squared,
    membership,
)
from flowmrd.classifier.parameters import ClassifierParameters

NO_SCORE = -99.0
"""Score of a cell that no phenotype claims."""

MOSTLY = float(np.log(0.5))
"""Score, against a normal density that includes it, of a cell of which a fitted normal population explains half."""


@dataclass(frozen=True)
class PhenotypeFit:
    """A phenotype as it lies in one tube.

    Attributes
    ----------
    mixture
        Moved phenotype, broadened by the remaining uncertainty of the shift.
    shift
        Shape (d,), decades.
    share
        Share of the tube's nucleated cells that the phenotype explains.
    log_likelihood_gain
        Log likelihood gained by allowing the phenotype, less the price of the shift.
    score
        Shape (n,), for all given cells, natural log; :data:`NO_SCORE` for cells that even the broadened phenotype
        cannot claim.
    scatter
        Mean squared Mahalanobis distance of the cells it explains, per marker: 1 for cells that lie as the phenotype
        does, more for a diffuse group that it only overlaps.
    strain
        Squared distance of the shift from the expected one, in standard deviations of the drift; over tubes of one
        patient it follows a chi-squared distribution with d degrees of freedom.
    """

    mixture: Mixture
    shift: Floats
    share: float
    log_likelihood_gain: float
    score: Floats
    scatter: float = 0.0
    strain: float = 0.0


def score_cells(mixture: Mixture, x: Floats32 | Floats, log_normal: Floats32 | Floats, tail_degrees: float) -> Floats:
    """Natural log of the ratio of phenotype density to normal density, shape (n,)."""
    return score_each([mixture], x, log_normal, tail_degrees)[:, 0]


def score_each(
    mixtures: Sequence[Mixture], x: Floats32 | Floats, log_normal: Floats32 | Floats, tail_degrees: float
) -> Floats:
    """The same for several phenotypes, shape (n, number of phenotypes), at little more than the cost of one."""
    together = combine(mixtures, [1.0] * len(mixtures))
    first = np.cumsum([0, *(mixture.k for mixture in mixtures)])
    out = np.empty((len(x), len(mixtures)))
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        values = component_log_density(together, x[part], degrees=tail_degrees)
        for column, (begin, end) in enumerate(pairwise(first)):
            out[part, column] = log_sum(values[:, begin:end]) - log_normal[part]
    return out


@dataclass(frozen=True)
class PhenotypePlacement:
    """A phenotype where it explains the most cells of a tube (attributes as in :class:`PhenotypeFit`).

    Attributes
    ----------
    near
        Indices of the cells within reach of it.
    """

    mixture: Mixture
    shift: Floats
    share: float = 0.0
    log_likelihood_gain: float = 0.0
    scatter: float = 0.0
    strain: float = 0.0
    near: npt.NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def scored(self, x: Floats32, log_normal: Floats32 | Floats, tail_degrees: float) -> PhenotypeFit:
        """The same with the score of every cell."""
        score = np.full(len(x), NO_SCORE)
        if len(self.near):
            cells, normal = x[self.near].astype(np.float64), np.asarray(log_normal, dtype=np.float64)[self.near]
            score[self.near] = score_cells(self.mixture, cells, normal, tail_degrees)
        return PhenotypeFit(
            self.mixture, self.shift, self.share, self.log_likelihood_gain, score, self.scatter, self.strain
        )


def fit_phenotype(
    phenotype: Mixture,
    drift: Floats,
    x: Floats32,
    log_normal: Floats32 | Floats,
    denominator: int,
    parameters: ClassifierParameters,
    *,
    starts: Sequence[Floats] | None = None,
    steps: int | None = None,
) -> PhenotypeFit:
    """Find the shift at which the phenotype explains the most cells of the tube.

    Parameters
    ----------
    phenotype
        Phenotype where it is expected, decades.
    drift
        Covariance (d, d) of the common shift.
    x, log_normal
        Candidate cells (n, d) and their log density under the tube's normal model.
    denominator
        Nucleated cells of the tube; shares are of this number.
    starts
        Expected shifts (d,), for example the staining difference of the two tubes; 0 where absent. The fit with the
        largest gain is kept.
    steps
        EM steps at most; ``phenotype_steps`` where absent.
    """
    tails = parameters.blast_tail_degrees
    expected = [np.zeros(phenotype.d)] if starts is None else starts
    broad = [phenotype.shifted(shift).broadened(drift) for shift in expected]
    if len(x) == 0 or denominator == 0:
        return PhenotypePlacement(broad[0], expected[0]).scored(x, log_normal, tails)
    reached = score_each(broad, x, log_normal, tails) > parameters.match_reach

    def best(most: int) -> PhenotypePlacement:
        fits: list[PhenotypePlacement] = []
        most_steps = steps or parameters.phenotype_steps

        def placed(reach: Bools, shift: Floats, at: Mixture) -> PhenotypePlacement:
            some, near = thin(reach, most), np.flatnonzero(reach)
            cells = _Cells(
                x[some].astype(np.float64), np.asarray(log_normal, dtype=np.float64)[some], near, denominator
            )
            return _place(phenotype, drift, cells, shift, at, most_steps, parameters)

        for shift, at, reach in zip(expected, broad, reached.T, strict=True):
            fit = placed(reach, shift, at)
            if fit.share == 0.0 and reach.any():
                # Cells that are neither normal nor this leukaemia may be more than its own and pull the fit too far
                # away to be believed. Those that the drift does not explain are then left out.
                near_by = reach.copy()
                near_by[reach] = _within(at, x[reach], parameters)
                fit = placed(near_by, shift, at)
            fits.append(fit)
        return max(fits, key=lambda fit: fit.log_likelihood_gain)

    found = best(parameters.match_cells)
    thinned = reached.sum(axis=0).max() > parameters.match_cells
    if thinned and found.share * denominator < parameters.match_all_below:
        found = best(len(x))
    return found.scored(x, log_normal, tails)


def _within(at: Mixture, x: Floats32, parameters: ClassifierParameters) -> Bools:
    """Cells (n,) in the place of nearly all cells of a phenotype, wherever it drifted."""
    inside: Bools = mahalanobis_squared(at, x).min(axis=1) < chi2_quantile(parameters.match_near_by, at.d)
    return inside


@dataclass(frozen=True)
class _Cells:
    """Cells within reach of a phenotype (indices ``near``), and the part of them that the fit uses."""

    values: Floats
    log_normal: Floats
    near: npt.NDArray[np.intp]
    denominator: int


def _place(
    phenotype: Mixture,
    drift: Floats,
    cells: _Cells,
    expected: Floats,
    broad: Mixture,
    steps: int,
    parameters: ClassifierParameters,
) -> PhenotypePlacement:
    """The fit from one start."""
    nowhere = PhenotypePlacement(broad, expected)
    x, normal, denominator, tails = cells.values, cells.log_normal, cells.denominator, parameters.blast_tail_degrees
    if len(x) == 0:
        return nowhere
    d = phenotype.d
    each = len(cells.near) / len(x)  # cells that one of them stands for
    drift_precision = np.linalg.inv(drift)
    share = max(parameters.rare_share_start, parameters.start_events / denominator)
    shift = expected
    gain = 0.0
    precision = np.linalg.inv(phenotype.covariance)
    current = broad
    for _ in range(steps):
        values = component_log_density(current, x, degrees=tails)
        total = log_sum(values)
        odds = np.log(max(share, 1e-9)) + total - normal
        belongs = membership(odds)
        gain = float(each * np.logaddexp(0.0, odds).sum() - share * denominator)
        new_share = min(each * float(belongs.sum()) / denominator, parameters.match_share_most)
        part = each * np.exp(values - total[:, None]) * belongs[:, None]
        count = part.sum(axis=0)
        known = drift_precision + np.einsum("k,kij->ij", count, precision)
        pull = np.einsum("kij,kj->i", precision, part.T @ x - count[:, None] * phenotype.mean)
        unknown = np.linalg.inv(known)
        new_shift = unknown @ (pull + drift_precision @ expected)
        current = phenotype.shifted(new_shift).broadened(unknown + parameters.residual_drift_sd**2 * np.eye(d))
        done = (
            np.abs(new_shift - shift).max() < parameters.match_shift_tolerance
            and abs(new_share - share) < parameters.share_tolerance * share + 1e-7
        )
        share, shift = new_share, new_shift
        if done:
            break
    moved = shift - expected
    strain = float(moved @ drift_precision @ moved)
    furthest = parameters.strain_most_in_one * np.sqrt(np.diagonal(drift))
    if strain > parameters.strain_most * d or (np.abs(moved) > furthest).any():
        return nowhere
    gain -= 0.5 * strain
    belongs = membership(np.log(max(share, 1e-9)) + score_cells(current, x, normal, tails))
    apart = mahalanobis_squared(current, x).min(axis=1)
    scatter = float((belongs * apart).sum() / max(float(belongs.sum()), 1e-9)) / d
    return PhenotypePlacement(current, shift, share, gain, scatter, strain, cells.near)

"""Looking for a known phenotype in a tube, allowing for drift.

The leukaemia is a Gaussian mixture (the *template*) that may have moved by an unknown common shift with a known spread
(the *drift*). Where cells answer to it, they tell the shift and the template sharpens around them; where none do, it
stays as broad as the drift. The score of a cell is the natural log of how much better the template explains it than the
tube's own normal cells do. Scores are densities per nucleated cell, so that a cut of s lets through at most exp(-s) of
normal cells if the normal model is right; the controls say whether it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Floats32, thin
from flowmrd.classifier.mixture import (
    CHUNK,
    Floats,
    Mixture,
    combine,
    component_log_density,
    log_sum,
    mahalanobis_squared,
)

NOTHING = -99.0
"""Score of a cell that nothing claims."""
REACH = -4.0
"""Cells scoring below this under the broad template cannot be called MRD and are not looked at again."""
LEFT_OVER_SD = 0.04
"""The cells of a known shift still scatter this much more than at diagnosis, decades."""
MOST_STRAIN, MOST_IN_ONE = 7.5, 5.0
"""Squared shift in units of the drift, per marker, and shift of any one marker, from which what was found is something
else: drift of 0.3 decades in each of nine markers stays below with 99.99 and 99.8 %."""
FIT_CELLS = 100_000
"""Shift and share are fitted to at most so many of the cells within reach, evenly thinned: a diagnosis tube may hold
millions."""
MANY_CELLS = 10_000
"""Fewer cells explained by a fit to thinned cells, and it is made again with all: none of a rare group is left out."""
TAIL = 20.0
"""Degrees of freedom of the template's tails: cells a little outside it still belong to it."""


@dataclass(frozen=True)
class Fitted:
    """A template as it lies in one tube.

    Attributes
    ----------
    mixture
        Moved template, broadened by what is still unknown of the shift.
    shift
        Shape (d,), decades.
    share
        Share of the tube's nucleated cells that the template explains.
    gain
        Log likelihood gained by allowing the template, less the price of the shift.
    score
        Shape (n,), for all cells given; :data:`NOTHING` for cells that even the broad template cannot claim.
    scatter
        Mean squared Mahalanobis distance of the cells it explains, per marker: 1 for cells that lie as the phenotype
        does, more for a diffuse group that it only overlaps.
    """

    mixture: Mixture
    shift: Floats
    share: float
    gain: float
    score: Floats
    scatter: float = 0.0


def score_cells(mixture: Mixture, x: Floats32 | Floats, log_normal: Floats32 | Floats) -> Floats:
    """Natural log of template density over normal density, shape (n,)."""
    return score_each([mixture], x, log_normal)[:, 0]


def score_each(mixtures: Sequence[Mixture], x: Floats32 | Floats, log_normal: Floats32 | Floats) -> Floats:
    """The same for several templates at the cost of little more than one, shape (n, number of templates)."""
    together = combine(mixtures, [1.0] * len(mixtures))
    first = np.cumsum([0, *(mixture.k for mixture in mixtures)])
    out = np.empty((len(x), len(mixtures)))
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        values = component_log_density(together, x[part], degrees=TAIL)
        for column, (begin, end) in enumerate(pairwise(first)):
            out[part, column] = log_sum(values[:, begin:end]) - log_normal[part]
    return out


@dataclass(frozen=True)
class Placed:
    """A template where it explains the most cells of a tube (attributes as in :class:`Fitted`).

    Attributes
    ----------
    near
        Indices of the cells within reach of it.
    """

    mixture: Mixture
    shift: Floats
    share: float = 0.0
    gain: float = 0.0
    scatter: float = 0.0
    near: npt.NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def scored(self, x: Floats32, log_normal: Floats32 | Floats) -> Fitted:
        """The same with the score of every cell."""
        score = np.full(len(x), NOTHING)
        if len(self.near):
            cells = x[self.near].astype(np.float64)
            score[self.near] = score_cells(self.mixture, cells, np.asarray(log_normal, dtype=np.float64)[self.near])
        return Fitted(self.mixture, self.shift, self.share, self.gain, score, self.scatter)


def fit_template(
    template: Mixture,
    drift: Floats,
    x: Floats32,
    log_normal: Floats32 | Floats,
    denominator: int,
    *,
    starts: Sequence[Floats] | None = None,
    steps: int = 15,
) -> Fitted:
    """Find the shift at which the template explains the most cells of the tube.

    Parameters
    ----------
    template
        Phenotype where it is expected, decades.
    drift
        Covariance (d, d) of the common shift.
    x, log_normal
        Candidate cells (n, d) and their log density under the tube's normal model.
    denominator
        Nucleated cells; turns counts into shares.
    starts
        Expected shifts (d,), for example the staining difference of the two tubes; 0 where absent. The fit with the
        largest gain is kept.
    """
    expected = [np.zeros(template.d)] if starts is None else starts
    broad = [template.shifted(shift).broadened(drift) for shift in expected]
    if len(x) == 0 or denominator == 0:
        return Placed(broad[0], expected[0]).scored(x, log_normal)
    reached = score_each(broad, x, log_normal) > REACH

    def best(most: int) -> Placed:
        fits: list[Placed] = []
        for shift, at, reach in zip(expected, broad, reached.T, strict=True):
            some, near = thin(reach, most), np.flatnonzero(reach)
            fits.append(_place(template, drift, x, log_normal, denominator, shift, at, some, near, steps))
        return max(fits, key=lambda fit: fit.gain)

    found = best(FIT_CELLS)
    if reached.sum(axis=0).max() > FIT_CELLS and found.share * denominator < MANY_CELLS:
        found = best(len(x))
    return found.scored(x, log_normal)


def _place(  # the state of one fit
    template: Mixture,
    drift: Floats,
    x: Floats32,
    log_normal: Floats32 | Floats,
    denominator: int,
    expected: Floats,
    broad: Mixture,
    fitted: npt.NDArray[np.intp],
    near: npt.NDArray[np.intp],
    steps: int,
) -> Placed:
    """The fit from one start to some (``fitted``) of the cells within reach (``near``)."""
    nowhere = Placed(broad, expected)
    if len(fitted) == 0:
        return nowhere
    d = template.d
    each = len(near) / len(fitted)  # cells that one of them stands for
    cells = x[fitted].astype(np.float64)
    normal = np.asarray(log_normal, dtype=np.float64)[fitted]
    drift_precision = np.linalg.inv(drift)
    share, shift, unknown = max(1e-4, 20.0 / denominator), expected, drift
    gain = 0.0
    precision = np.linalg.inv(template.covariance)
    current = broad
    for _ in range(steps):
        values = component_log_density(current, cells, degrees=TAIL)
        total = log_sum(values)
        odds = np.log(max(share, 1e-9)) + total - normal
        belongs = 1.0 / (1.0 + np.exp(-np.clip(odds, -60, 60)))
        gain = float(each * np.logaddexp(0.0, odds).sum() - share * denominator)
        new_share = min(each * float(belongs.sum()) / denominator, 0.95)
        part = each * np.exp(values - total[:, None]) * belongs[:, None]
        count = part.sum(axis=0)
        known = drift_precision + np.einsum("k,kij->ij", count, precision)
        pull = np.einsum("kij,kj->i", precision, part.T @ cells - count[:, None] * template.mean)
        unknown = np.linalg.inv(known)
        new_shift = unknown @ (pull + drift_precision @ expected)
        current = template.shifted(new_shift).broadened(unknown + LEFT_OVER_SD**2 * np.eye(d))
        done = np.abs(new_shift - shift).max() < 0.002 and abs(new_share - share) < 0.01 * share + 1e-7
        share, shift = new_share, new_shift
        if done:
            break
    moved = shift - expected
    strain = float(moved @ drift_precision @ moved)
    if strain > MOST_STRAIN * d or (np.abs(moved) > MOST_IN_ONE * np.sqrt(np.diagonal(drift))).any():
        return nowhere
    gain -= 0.5 * strain
    odds = np.log(max(share, 1e-9)) + score_cells(current, cells, normal)
    belongs = 1.0 / (1.0 + np.exp(-np.clip(odds, -60, 60)))
    apart = mahalanobis_squared(current, cells).min(axis=1)
    scatter = float((belongs * apart).sum() / max(float(belongs.sum()), 1e-9)) / d
    return Placed(current, shift, share, gain, scatter, near)

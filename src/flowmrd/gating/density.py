"""One-dimensional density of a channel: smoothed histogram, peaks, valleys and the edge of a population.

Everything works on a histogram of the 0..1 scale, so that an estimate costs the same for 1,000 and 5,000,000 events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "Density",
    "edge_of_peak",
    "estimate_density",
    "medians_beside",
    "mode",
    "thinned",
    "two_normals",
    "valley",
]

Scalar = TypeVar("Scalar", bound=np.generic)
Values = npt.NDArray[np.floating[Any]]
Float64 = npt.NDArray[np.float64]

LOW: Final = -0.25
HIGH: Final = 2.25
BIN: Final = 0.004
"""0.018 decades: a fifth of the spread of the narrowest population."""

MAX_EVENTS: Final = 100_000
"""Events that enter an estimate; more are thinned evenly."""

BANDWIDTH: Final = (0.008, 0.024)
"""Smallest and largest standard deviation of the smoothing kernel on the 0..1 scale."""

DEPTH: Final = 1.25
"""A valley counts where the lower of its two shoulders is at least this much higher than its bottom."""

SIGNIFICANCE: Final = 4.0
"""The difference must also be this many standard deviations of the counts, so that no valley is made of noise."""

MIN_SIDE: Final = 25
"""Events that must lie on each side of a valley: fewer make a shoulder of noise."""


@dataclass(frozen=True)
class Density:
    """Smoothed histogram.

    Attributes
    ----------
    grid, counts, smooth
        Bin centres, events per bin and smoothed events per bin, each of shape (n_bins,).
    n
        Events that entered.
    sigma
        Standard deviation of the smoothing kernel in bins.
    """

    grid: Float64
    counts: Float64
    smooth: Float64
    n: int
    sigma: float

    def curve(self, points: int = 100) -> tuple[list[float], list[float]]:
        """Places and heights of the smoothed curve over the range that holds events; at most ``points`` points."""
        filled = np.flatnonzero(self.counts)
        if len(filled) == 0:
            return [], []
        first, last = max(int(filled[0]) - 3, 0), min(int(filled[-1]) + 4, len(self.grid))
        step = max(1, -(-(last - first) // points))
        top = float(self.smooth.max())
        places = [round(float(value), 4) for value in self.grid[first:last:step]]
        return places, [round(float(value) / top, 4) for value in self.smooth[first:last:step]]


def thinned(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Every k-th value of shape (n,), so that at most :data:`MAX_EVENTS` are left; deterministic."""
    return values if len(values) <= MAX_EVENTS else values[:: -(-len(values) // MAX_EVENTS)]


def estimate_density(values: Values) -> Density:
    """Density of finite values of shape (n,) on the 0..1 scale; those beyond -0.25..2.25 count in the outermost bins.

    Leaning cuts reach 2.
    """
    chosen = thinned(values)
    chosen = chosen[np.isfinite(chosen)]
    n_bins = round((HIGH - LOW) / BIN)
    place = np.clip(((chosen - LOW) * (1.0 / BIN)).astype(np.int64), 0, n_bins - 1)
    counts = np.bincount(place, minlength=n_bins).astype(np.float64)
    grid: Float64 = np.asarray(LOW + BIN * (np.arange(n_bins) + 0.5), dtype=np.float64)
    if len(chosen) == 0:
        return Density(grid, counts, counts, 0, 1.0)
    # Silverman's rule with the inter-quartile range, bounded: two peaks far apart would otherwise be smeared.
    cumulative = np.cumsum(counts)
    low, high = (float(grid[np.searchsorted(cumulative, share * len(chosen))]) for share in (0.25, 0.75))
    width = 0.9 * max((high - low) / 1.34, 1e-6) * len(chosen) ** -0.2
    sigma = min(max(width, BANDWIDTH[0]), BANDWIDTH[1]) / BIN
    reach = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    return Density(grid, counts, smooth, len(chosen), sigma)


def valley(density: Density, bounds: tuple[float, float]) -> float | None:
    """Deepest valley within ``bounds``, or None where no interior minimum has a shoulder on both sides.

    Of several minima the one with the largest ratio of its lower shoulder to its bottom wins.
    """
    smooth, counts = density.smooth, density.counts
    inside = np.flatnonzero((density.grid >= bounds[0]) & (density.grid <= bounds[1]))
    best: tuple[float, int] | None = None
    if len(inside) < 3 or density.n == 0:
        return None
    left_top = np.maximum.accumulate(smooth)
    right_top = np.maximum.accumulate(smooth[::-1])[::-1]
    below = np.cumsum(counts)
    # Bins that a smoothed value is the mean of: 2 sqrt(pi) standard deviations of the kernel.
    reach = 2 * np.sqrt(np.pi) * density.sigma
    for i in inside:
        if not (0 < i < len(smooth) - 1 and smooth[i] <= smooth[i - 1] and smooth[i] <= smooth[i + 1]):
            continue
        if below[i] < MIN_SIDE or density.n - below[i] < MIN_SIDE:
            continue
        shoulder = min(left_top[i], right_top[i])
        ratio = shoulder / max(smooth[i], 0.5)
        clear = (shoulder - smooth[i]) * reach >= SIGNIFICANCE * np.sqrt((shoulder + smooth[i]) * reach)
        if ratio >= DEPTH and clear and (best is None or ratio > best[0]):
            best = (float(ratio), int(i))
    if best is None:
        return None
    # An empty valley is flat: take its middle.
    flat = best[1]
    end = flat
    while end + 1 < len(smooth) and smooth[end + 1] <= max(1.02 * smooth[flat], 0.5) and end + 1 <= inside[-1]:
        end += 1
    start = flat
    while start > inside[0] and smooth[start - 1] <= max(1.02 * smooth[flat], 0.5):
        start -= 1
    return float(0.5 * (density.grid[start] + density.grid[end]))


def edge_of_peak(
    density: Density, bounds: tuple[float, float], *, upper: bool, n_sd: float, facing: bool = False
) -> float | None:
    """Edge of the population beside ``bounds``: its centre plus (``upper``) or minus ``n_sd`` robust SD.

    The centre is the mode, or the median of what lies on that side if that is nearer to the threshold.
    The spread is read off the flank that points away from the threshold, because the other one may hold the cells that
    the gate is to find; off the other one if ``facing``. None where no population lies on that side.
    """
    window = density.grid <= bounds[1] if upper else density.grid >= bounds[0]
    smooth = np.where(window, density.smooth, 0.0)
    if smooth.max(initial=0.0) <= 0:
        return None
    top = int(np.argmax(smooth))
    if not facing:
        # A logicle with too narrow a linear region splits a population around 0 in two: its median lies further in.
        cumulative = np.cumsum(np.where(window, density.counts, 0.0))
        middle = int(np.searchsorted(cumulative, 0.5 * cumulative[-1]))
        top = max(top, middle) if upper else min(top, middle)
    flank = density.counts[: top + 1][::-1] if upper != facing else density.counts[top:]
    total = float(flank.sum())
    if total < MIN_SIDE:
        return None
    # 68.3 % of a half normal lie within one standard deviation of the mode.
    sd = (float(np.searchsorted(np.cumsum(flank), 0.683 * total)) + 0.5) * BIN
    edge = float(density.grid[top]) + (n_sd * sd if upper else -n_sd * sd)
    return min(max(edge, bounds[0]), bounds[1])


def mode(density: Density) -> float | None:
    """Place of the highest point of the smoothed density, or None without events."""
    return float(density.grid[int(np.argmax(density.smooth))]) if density.n else None


def medians_beside(density: Density, valley: float) -> tuple[float, float]:
    """Medians of the events below and above a valley."""
    sides = []
    for side in (density.grid < valley, density.grid >= valley):
        cumulative = np.cumsum(np.where(side, density.counts, 0.0))
        sides.append(float(density.grid[int(np.searchsorted(cumulative, 0.5 * cumulative[-1]))]))
    return sides[0], sides[1]


def two_normals(density: Density, bounds: tuple[float, float]) -> float | None:
    """Threshold where two fitted normals are equally likely, or None where they do not separate within ``bounds``.

    Expectation-maximisation on the histogram, started at the quartiles; no random numbers.
    """
    weight = density.counts
    if density.n < 4 * MIN_SIDE:
        return None
    cumulative = np.cumsum(weight) / density.n
    mean = np.array([density.grid[np.searchsorted(cumulative, q)] for q in (0.2, 0.8)])
    sd = np.full(2, max(float(mean[1] - mean[0]) / 3, 2 * BIN))
    share = np.array([0.5, 0.5])
    for _ in range(200):
        z = (density.grid[None, :] - mean[:, None]) / sd[:, None]
        likelihood = share[:, None] * np.exp(-0.5 * z * z) / sd[:, None]
        member = likelihood / np.maximum(likelihood.sum(axis=0), 1e-300) * weight
        size = np.maximum(member.sum(axis=1), 1e-9)
        new = member @ density.grid / size
        sd = np.sqrt(np.maximum((member * (density.grid[None, :] - new[:, None]) ** 2).sum(axis=1) / size, BIN**2))
        share = size / size.sum()
        if float(np.abs(new - mean).max()) < 1e-7:
            break
        mean = new
    low, high = (0, 1) if mean[0] <= mean[1] else (1, 0)
    if share.min() * density.n < MIN_SIDE or mean[high] - mean[low] < 1.5 * max(sd):
        return None
    between = np.flatnonzero((density.grid > mean[low]) & (density.grid < mean[high]))
    z = (density.grid[None, between] - mean[:, None]) / sd[:, None]
    likelihood = share[:, None] * np.exp(-0.5 * z * z) / sd[:, None]
    crossing = np.flatnonzero(likelihood[high] >= likelihood[low])
    if len(crossing) == 0:
        return None
    threshold = float(density.grid[between[crossing[0]]])
    return threshold if bounds[0] <= threshold <= bounds[1] else None

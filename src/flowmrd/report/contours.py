"""Outlines of populations on two axes: smallest region that holds most cells, and 2-SD ellipses of a mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.report.charts.description import Point
from flowmrd.report.density import BINS, HIGH, LOW, Counts

SMOOTHING: Final = 2.2
"""SD of the smoothing kernel in bins (0.09 decades); a display choice, wide enough for a few hundred cells."""
MOST: Final = 0.9
"""Share of a population's cells inside its outline."""
MIN_CELLS: Final = 40
"""A population of fewer cells than this has no outline."""
MAX_POINTS: Final = 60
SD: Final = 2.0
"""Half axes of an ellipse; it holds 86 % of a normal population."""


def region(counts: Counts, share: float = MOST) -> list[tuple[Point, ...]]:
    """Closed outlines of the smallest region of the grid that holds ``share`` of the events (highest density region,
    Hyndman, Am Stat 1996;50:120-126), largest first; none from fewer than :data:`MIN_CELLS` events.
    """
    total = float(counts.sum())
    if total < MIN_CELLS:
        return []
    smooth = _smoothed(counts.astype(np.float64))
    ordered = np.sort(smooth, axis=None)[::-1]
    held = np.cumsum(ordered)
    level = float(ordered[min(int(np.searchsorted(held, share * held[-1])), len(ordered) - 1)])
    rings = [ring for ring in _rings(np.pad(smooth, 1), level) if len(ring) >= 8]
    rings.sort(key=lambda ring: -abs(_area(ring)))
    kept = [ring for ring in rings[:3] if abs(_area(ring)) >= 0.1 * abs(_area(rings[0]))]
    return [tuple(_to_axis(point) for point in _fewer(ring)) for ring in kept]


def ellipse(mean: npt.NDArray[np.float64], covariance: npt.NDArray[np.float64], sd: float = SD) -> tuple[Point, ...]:
    """Outline at ``sd`` standard deviations of a bivariate normal distribution, 48 points."""
    values, vectors = np.linalg.eigh(covariance)
    angles = np.linspace(0, 2 * math.pi, 49)[:-1]
    circle = np.stack([np.cos(angles), np.sin(angles)]) * np.sqrt(np.maximum(values, 0))[:, None] * sd
    border = (vectors @ circle).T + mean
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in border)


def _smoothed(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    reach = math.ceil(3 * SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    kernel /= kernel.sum()
    index = np.arange(BINS)
    matrix = np.zeros((BINS, BINS))
    for step, weight in zip(range(-reach, reach + 1), kernel, strict=True):
        np.add.at(matrix, (index, np.clip(index + step, 0, BINS - 1)), weight)
    smooth: npt.NDArray[np.float64] = matrix @ grid @ matrix.T
    return smooth


def _rings(grid: npt.NDArray[np.float64], level: float) -> list[list[Point]]:
    """Closed lines of equal height by marching squares (Lorensen and Cline 1987, in two dimensions), in bins."""
    above = grid >= level
    code = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, 1:] + 8 * above[1:, :-1]
    following: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    places: dict[tuple[int, int, int], Point] = {}

    def edge(row: int, column: int, side: int) -> tuple[int, int, int]:
        # Sides: 0 lower, 1 right, 2 upper, 3 left; every edge of the grid has one name.
        key = {0: (row, column, 0), 1: (row, column + 1, 1), 2: (row + 1, column, 0), 3: (row, column, 1)}[side]
        if key not in places:
            i, j, upright = key
            a = float(grid[i, j])
            b = float(grid[i + 1, j] if upright else grid[i, j + 1])
            t = (level - a) / (b - a)
            places[key] = (j, i + t) if upright else (j + t, i)
        return key

    for row, column in zip(*np.nonzero((code > 0) & (code < 15)), strict=True):
        for start, end in _SEGMENTS[int(code[row, column])]:
            following[edge(int(row), int(column), start)] = edge(int(row), int(column), end)
    rings = []
    while following:
        first, at = next(iter(following.items()))
        del following[first]
        ring = [places[first]]
        while at != first and at in following:
            ring.append(places[at])
            at = following.pop(at)
        rings.append(ring)
    return rings


_SEGMENTS: Final[dict[int, tuple[tuple[int, int], ...]]] = {
    1: ((0, 3),),
    2: ((1, 0),),
    3: ((1, 3),),
    4: ((2, 1),),
    5: ((0, 3), (2, 1)),
    6: ((2, 0),),
    7: ((2, 3),),
    8: ((3, 2),),
    9: ((0, 2),),
    10: ((1, 0), (3, 2)),
    11: ((1, 2),),
    12: ((3, 1),),
    13: ((0, 1),),
    14: ((3, 0),),
}
"""Line through a square, by the corners that lie above the level; the high side is always on the same side."""


def _fewer(ring: Sequence[Point]) -> list[Point]:
    if len(ring) <= MAX_POINTS:
        return list(ring)
    return [ring[(index * len(ring)) // MAX_POINTS] for index in range(MAX_POINTS)]


def _to_axis(point: Point) -> Point:
    """From bins of the padded grid to the axes; in the grid, the middle of bin i lies at i + 1."""
    step = (HIGH - LOW) / BINS
    x, y = (min(max(LOW + (value - 0.5) * step, LOW), HIGH) for value in point)
    return (round(x, 4), round(y, 4))


def _area(ring: Sequence[Point]) -> float:
    points = np.asarray(ring)
    x, y = points[:, 0], points[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


_MARK_ROOM: Final = 0.06
"""Smallest distance between two marks, on the 0..1 scale."""


def free_place(points: Sequence[tuple[float, float]], taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A place on the outline, the highest first, that covers no other number."""
    for x, y in sorted(points, key=lambda point: -point[1]):
        if all(abs(x - a) > _MARK_ROOM or abs(y - b) > _MARK_ROOM for a, b in taken):
            return (x, y)
    return max(points, key=lambda point: point[1])

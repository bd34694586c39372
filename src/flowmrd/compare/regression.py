"""Straight lines between two methods that both have errors: Deming and Passing-Bablok, with 95 % intervals.

Both are fitted to log10 of the levels, so a slope of 1 and an intercept of 0 mean equal levels over the whole range.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Floats = npt.NDArray[np.float64]

LEAST_PAIRS = 5
"""With fewer pairs no line is fitted."""
Z975 = 1.959963984540054
"""97.5 % point of the standard normal distribution."""


class RegressionLine(BaseModel):
    """A straight line with 95 % intervals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slope: float
    slope_ci95: tuple[float, float]
    intercept: float = Field(description="log10 of the second method where the first gives 1.")
    intercept_ci95: tuple[float, float]


def deming(x: Floats, y: Floats) -> RegressionLine | None:
    """Deming regression with equal error of both methods; intervals by the jackknife.

    Linnet K, Stat Med 1990;9:1463 (estimate and jackknife). ``None`` with fewer than :data:`LEAST_PAIRS` pairs or
    where one method does not vary.

    Parameters
    ----------
    x, y
        Shape (n,): log10 levels of the first and the second method.
    """
    if len(x) < LEAST_PAIRS or x.std() == 0.0 or y.std() == 0.0:
        return None
    slope, intercept = _deming(x, y)
    n = len(x)
    keep = ~np.eye(n, dtype=bool)
    left_out = np.array([_deming(x[row], y[row]) for row in keep])
    pseudo = n * np.array([slope, intercept]) - (n - 1) * left_out
    from scipy.special import stdtrit

    half = stdtrit(n - 1, 0.975) * pseudo.std(axis=0, ddof=1) / np.sqrt(n)
    return RegressionLine(
        slope=slope,
        slope_ci95=(slope - half[0], slope + half[0]),
        intercept=intercept,
        intercept_ci95=(intercept - half[1], intercept + half[1]),
    )


def _deming(x: Floats, y: Floats) -> tuple[float, float]:
    covariance = np.cov(x, y)
    difference = covariance[1, 1] - covariance[0, 0]
    product = covariance[0, 1]
    slope = 0.0 if product == 0.0 else float((difference + np.hypot(difference, 2.0 * product)) / (2.0 * product))
    return slope, float(y.mean() - slope * x.mean())


def passing_bablok(x: Floats, y: Floats) -> RegressionLine | None:
    """Passing-Bablok regression: shifted median of all pairwise slopes, with rank intervals.

    Passing H, Bablok W, J Clin Chem Clin Biochem 1983;21:709. ``None`` with fewer than :data:`LEAST_PAIRS` pairs or
    where one method does not vary.

    Parameters
    ----------
    x, y
        Shape (n,): log10 levels of the first and the second method.
    """
    n = len(x)
    if n < LEAST_PAIRS or x.std() == 0.0 or y.std() == 0.0:
        return None
    i, j = np.triu_indices(n, 1)
    dx, dy = x[j] - x[i], y[j] - y[i]
    different = (dx != 0.0) | (dy != 0.0)
    dx, dy = dx[different], dy[different]
    slopes = np.where(dx == 0.0, np.copysign(np.inf, dy), dy / np.where(dx == 0.0, 1.0, dx))
    slopes = np.sort(slopes[slopes != -1.0])
    count, shift = len(slopes), int(np.count_nonzero(slopes < -1.0))
    slope = _ranked(slopes, shift + (count - 1) / 2)
    spread = Z975 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = round((count - spread) / 2)
    low, high = _ranked(slopes, shift + first - 1), _ranked(slopes, shift + count - first)
    ends = sorted((float(np.median(y - high * x)), float(np.median(y - low * x))))
    return RegressionLine(
        slope=slope,
        slope_ci95=(low, high),
        intercept=float(np.median(y - slope * x)),
        intercept_ci95=(ends[0], ends[1]),
    )


def _ranked(values: Floats, position: float) -> float:
    """Value at a position in sorted values; the mean of two neighbours between two positions."""
    low = int(np.clip(np.floor(position), 0, len(values) - 1))
    high = int(np.clip(np.ceil(position), 0, len(values) - 1))
    return float((values[low] + values[high]) / 2)

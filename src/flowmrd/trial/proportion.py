"""Proportions with exact intervals, and never without their denominator."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from flowmrd.errors import InternalError

SMALL_N = 20
"""Below this many patients a percentage is shown with its count and interval and a warning, and no p-value is given."""


class Proportion(BaseModel):
    """``successes`` of ``total`` patients of a named population."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    population: str = Field(description="Which patients are in the denominator.")
    successes: int
    total: int
    percent: float | None = Field(description="null where the population is empty.")
    ci95_percent: tuple[float, float] | None = Field(description="Exact (Clopper-Pearson) 95 % interval, in percent.")


def clopper_pearson(successes: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a binomial proportion.

    Clopper & Pearson, Biometrika 1934;26:404-413, in its beta-quantile form: the lower limit is the ``a/2`` quantile
    of Beta(k, n-k+1), the upper one the ``1-a/2`` quantile of Beta(k+1, n-k). The inverse survival function is used
    for the upper limit so that it stays below 1 for tiny ``a``.

    Parameters
    ----------
    successes, total
        Counts; ``0 <= successes <= total`` and ``total >= 1``.
    level
        Confidence, 0 < level < 1.

    Returns
    -------
    tuple of float
        Lower and upper limit as fractions.

    Raises
    ------
    InternalError
        Where the counts are impossible.
    """
    if not (total >= 1 and 0 <= successes <= total and 0 < level < 1):
        raise InternalError(f"no binomial interval for {successes} of {total} at level {level}")
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, total - successes + 1))
    high = 1.0 if successes == total else float(beta.isf(tail, successes + 1, total - successes))
    return low, high


def proportion(population: str, successes: int, total: int) -> Proportion:
    """A :class:`Proportion`; an empty population has no percentage and no interval."""
    if total == 0:
        return Proportion(population=population, successes=successes, total=0, percent=None, ci95_percent=None)
    low, high = clopper_pearson(successes, total)
    return Proportion(
        population=population,
        successes=successes,
        total=total,
        percent=100 * successes / total,
        ci95_percent=(100 * low, 100 * high),
    )

"""Proportions with exact intervals, always given with their denominator."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from flowmrd.mrd.limits import binomial_interval

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


def proportion(population: str, successes: int, total: int) -> Proportion:
    """A :class:`Proportion`; an empty population has no percentage and no interval."""
    if total == 0:
        return Proportion(population=population, successes=successes, total=0, percent=None, ci95_percent=None)
    low, high = binomial_interval(successes, total)
    return Proportion(
        population=population,
        successes=successes,
        total=total,
        percent=100 * successes / total,
        ci95_percent=(100 * low, 100 * high),
    )

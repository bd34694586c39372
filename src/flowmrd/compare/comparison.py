"""All figures of a comparison of two methods in one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from flowmrd.compare.agreement import (
    CallsAtThreshold,
    Censored,
    ComparisonPart,
    LevelAgreement,
    calls_at,
    censored,
    level_agreement,
    log_levels,
)
from flowmrd.compare.measurement import MeasuredPair
from flowmrd.compare.regression import RegressionLine, deming, passing_bablok

THRESHOLDS = (1e-3, 1e-4, 1e-5)


class PairRow(ComparisonPart):
    """One specimen by both methods."""

    name: str
    first: float = Field(description="Fraction; 0 where nothing was detected.")
    first_limit: float | None
    second: float
    second_limit: float | None


class Comparison(ComparisonPart):
    """``agreement.json``: agreement of two methods that measured the same specimens."""

    schema_version: Literal["1"] = "1"
    first: str = Field(description="Name of the method to which agreement refers.")
    second: str
    pairs: int
    without_partner: tuple[str, ...] = Field(description="Specimens that one method measured and the other did not.")
    calls: tuple[CallsAtThreshold, ...]
    levels: LevelAgreement
    below_limits: Censored
    deming: RegressionLine | None = Field(description="Of log10 levels; null with fewer than 5 pairs.")
    passing_bablok: RegressionLine | None
    rows: tuple[PairRow, ...]


def compare_methods(
    pairs: Sequence[MeasuredPair],
    *,
    first: str,
    second: str,
    thresholds: Sequence[float] = THRESHOLDS,
    without_partner: Sequence[str] = (),
) -> Comparison:
    """Compute every figure.

    Parameters
    ----------
    first, second
        Names of the methods. Positive and negative agreement refer to the first.
    thresholds
        Fractions at which calls are compared.
    without_partner
        Specimens that only one method measured.
    """
    x, y = log_levels(pairs)
    return Comparison(
        first=first,
        second=second,
        pairs=len(pairs),
        without_partner=tuple(without_partner),
        calls=tuple(calls_at(pairs, threshold) for threshold in thresholds),
        levels=level_agreement(pairs),
        below_limits=censored(pairs),
        deming=deming(x, y),
        passing_bablok=passing_bablok(x, y),
        rows=tuple(
            PairRow(
                name=pair.name,
                first=pair.first.fraction,
                first_limit=pair.first.limit,
                second=pair.second.fraction,
                second_limit=pair.second.limit,
            )
            for pair in pairs
        ),
    )

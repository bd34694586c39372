"""One MRD level in a table: a number, or the statement that it is below a limit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from flowmrd.errors import SheetError

NOT_DETECTED = frozenset({"neg", "negative", "nd", "not detected", "undetected", "undetectable", "no mrd", "0"})
"""Texts of cells that mean "nothing found" without a limit."""
NOT_MEASURED = frozenset({"", "na", "n/a", "nan", "none", "missing", "not done", "failed", "-"})
_NUMBER = re.compile(r"^(?P<below>[<≤]?)\s*(?P<number>\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)\s*(?P<percent>%?)$")


@dataclass(frozen=True)
class Measurement:
    """MRD of one tube by one method.

    Attributes
    ----------
    fraction
        Level as a fraction of the method's own denominator; 0 where nothing was found.
    limit
        Fraction below which the method says "not detected"; ``None`` where it does not say. A measurement with a
        fraction of 0 is censored: the level lies somewhere between 0 and the limit.
    events
        Cells in the method's denominator; ``None`` where the table does not say.
    """

    fraction: float
    limit: float | None = None
    events: float | None = None

    @property
    def detected(self) -> bool:
        """Whether the method gives a level at all."""
        return self.fraction > 0.0

    def is_positive(self, threshold: float) -> bool | None:
        """Whether the level reaches a threshold; ``None`` for "not detected" with a limit above the threshold."""
        if self.detected:
            return self.fraction >= threshold
        return None if self.limit is not None and self.limit > threshold else False


@dataclass(frozen=True)
class MeasuredPair:
    """The same specimen by two methods."""

    name: str
    first: Measurement
    second: Measurement


def parse_measurement(cell: str, *, percent: bool, where: str) -> Measurement | None:
    """Read a cell: ``0.02 %``, ``1e-4``, ``0,02``, ``< 0.01 %``, ``neg``; ``None`` where nothing was measured.

    Parameters
    ----------
    percent
        Whether a number without a per cent sign is a percentage. A cell with ``%`` is always one.
    where
        File and line, for the message.

    Raises
    ------
    SheetError
        If the cell is none of these, or a fraction above 1.
    """
    text = " ".join(cell.split())
    if text.lower() in NOT_MEASURED:
        return None
    if text.lower() in NOT_DETECTED:
        return Measurement(0.0)
    match = _NUMBER.match(text)
    if match is None:
        raise SheetError(
            where,
            found=f"the level {text[:40]!r}",
            expected="a number, a percentage, '< LIMIT', 'neg', or an empty cell",
            todo="write the level as a number, and what was not detected as '< LIMIT'",
        )
    value = float(match["number"].replace(",", "."))
    if percent or match["percent"]:
        value /= 100.0
    if not math.isfinite(value) or value > 1.0:
        raise SheetError(
            where,
            found=f"the level {text[:40]!r}, which is more than all cells",
            expected="at most 1 (or 100 %)",
            todo="say whether the levels are fractions or percentages (--unit)",
        )
    return Measurement(0.0, limit=value) if match["below"] else Measurement(value)

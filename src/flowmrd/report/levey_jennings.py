"""Levey-Jennings charts: whether a tube lies within the spread of the controls, and whether the tubes drift.

Centre and spread come from the control tubes alone (mean and sample standard deviation), so that patients' marrows do
not set the limits that judge them. Every control is judged by the *other* controls. If its own value were among the n
that make the limits, it could not lie further out than (n - 1) / sqrt(n) SD, and a chart of seven could never fail.
Fewer than :data:`MIN_CONTROLS` controls give no limits. Fewer than :data:`ENOUGH` give limits that are drawn, but only
the rule of 3 SD is judged (CLSI C24 asks for 20 values). The rules are Westgard's multi-rule set (Westgard et al., Clin
Chem 27:493-501, 1981) on the sequence of tubes in order of acquisition:

======  =============================================================
1-3s    one value beyond 3 SD
2-2s    two consecutive values beyond 2 SD on the same side
R-4s    two consecutive values, one above +2 SD and one below -2 SD
4-1s    four consecutive values beyond 1 SD on the same side
10x     ten consecutive values on the same side of the mean
======  =============================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

MIN_CONTROLS: Final = 5
"""Fewer control tubes give no limits, because an SD of three values means little."""

ENOUGH: Final = 20
"""Number of controls from which a chart is judged by all rules (CLSI C24-A3: at least 20 values). With fewer, only a
value beyond 3 SD of the others is reported.
"""

RULES: Final = {
    "1-3s": "one value beyond 3 SD",
    "2-2s": "two consecutive values beyond 2 SD on the same side",
    "R-4s": "two consecutive values more than 4 SD apart, beyond 2 SD on either side",
    "4-1s": "four consecutive values beyond 1 SD on the same side",
    "10x": "ten consecutive values on the same side of the mean",
}


@dataclass(frozen=True)
class ControlLimits:
    """Mean and standard deviation of the controls."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class ChartPoint:
    """One tube on a chart: its distance from the mean in SD, and the rules that it breaks."""

    sample: str
    value: float
    z: float
    broken: tuple[str, ...]


def control_limits(values: Sequence[float], *, floor: float = 0.0) -> ControlLimits | None:
    """Limits from control values; ``None`` from fewer than :data:`MIN_CONTROLS`.

    Parameters
    ----------
    floor
        Smallest SD that is believed, in the unit of the values.
    """
    if len(values) < MIN_CONTROLS:
        return None
    return ControlLimits(fmean(values), max(stdev(values), floor), len(values))


def left_out(values: Sequence[float], *, floor: float = 0.0) -> list[float]:
    """Distance of every value from the mean of the others, in their SD; empty for :data:`MIN_CONTROLS` or fewer."""
    if len(values) <= MIN_CONTROLS:
        return []
    distances = []
    for index, value in enumerate(values):
        others = control_limits([*values[:index], *values[index + 1 :]], floor=floor)
        assert others is not None  # noqa: S101 - there are enough of them
        distances.append(
            (value - others.mean) / others.sd if others.sd > 0 else 0.0 if value == others.mean else math.inf
        )
    return distances


def judged(z: Sequence[float], n: int | None = None) -> list[tuple[str, ...]]:
    """Rules that each value of a sequence breaks; limits from fewer than :data:`ENOUGH` values judge only rule 1-3s.

    Parameters
    ----------
    n
        Number of values behind the limits; the length of the sequence where not given.
    """
    rules = [broken_rules(z[: index + 1]) for index in range(len(z))]
    return (
        rules
        if (len(z) if n is None else n) >= ENOUGH
        else [tuple(rule for rule in found if rule == "1-3s") for found in rules]
    )


def broken_rules(z: Sequence[float]) -> tuple[str, ...]:
    """Rules that the last value of a sequence of SD distances breaks."""
    broken = []
    if abs(z[-1]) > 3:
        broken.append("1-3s")
    if _run(z, 2, lambda value: value > 2):
        broken.append("2-2s")
    if len(z) >= 2 and min(z[-2:]) < -2 and max(z[-2:]) > 2:
        broken.append("R-4s")
    if _run(z, 4, lambda value: value > 1):
        broken.append("4-1s")
    if _run(z, 10, lambda value: value > 0):
        broken.append("10x")
    return tuple(broken)


def _run(z: Sequence[float], length: int, beyond: Callable[[float], bool]) -> bool:
    """Whether the last ``length`` values are all beyond the bound on the same side."""
    last = z[-length:]
    return len(last) == length and (all(beyond(value) for value in last) or all(beyond(-value) for value in last))

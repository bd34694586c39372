"""Levey-Jennings charts: is a tube's instrument state within what the controls show, and do the tubes run off?

Centre and spread come from the control tubes alone (mean and sample standard deviation, at least
:data:`MIN_CONTROLS`), so that patients' marrows do not set the limits they are judged by. The rules are Westgard's
multi-rule set (Westgard et al., Clin Chem 27:493-501, 1981) on the sequence of tubes in order of acquisition:

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
"""Fewer control tubes give no limits: an SD of three values says nothing."""

RULES: Final = {
    "1-3s": "one value beyond 3 SD",
    "2-2s": "two consecutive values beyond 2 SD on the same side",
    "R-4s": "two consecutive values more than 4 SD apart, beyond 2 SD on either side",
    "4-1s": "four consecutive values beyond 1 SD on the same side",
    "10x": "ten consecutive values on the same side of the mean",
}


@dataclass(frozen=True)
class Limits:
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


def control_limits(values: Sequence[float], *, floor: float = 0.0) -> Limits | None:
    """Limits from control values; ``None`` from fewer than :data:`MIN_CONTROLS`.

    Parameters
    ----------
    floor
        Smallest SD that is believed, in the unit of the values.
    """
    if len(values) < MIN_CONTROLS:
        return None
    return Limits(fmean(values), max(stdev(values), floor), len(values))


def chart(samples: Sequence[str], values: Sequence[float], limits: Limits) -> list[ChartPoint]:
    """Judge a sequence of values in order of acquisition; a rule is noted at the value that completes it."""
    if limits.sd > 0:
        z = [(value - limits.mean) / limits.sd for value in values]
    else:
        z = [
            0.0 if math.isclose(value, limits.mean) else math.copysign(math.inf, value - limits.mean)
            for value in values
        ]
    return [
        ChartPoint(sample, value, z[index], broken_rules(z[: index + 1]))
        for index, (sample, value) in enumerate(zip(samples, values, strict=True))
    ]


def broken_rules(z: Sequence[float]) -> tuple[str, ...]:
    """Rules that the last of a sequence of SD distances completes."""
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

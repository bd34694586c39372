"""Choosing T and W where the panel leaves them open.

**T** (top of the scale) is the panel's; else the channel's ``$PnR`` when it is a plausible instrument range; else the
smallest usual range that covers the data. ``$PnR`` is plausible when it lies between 2^10 and 2^24 and no more than 1
event in 1000 of any fluorescence channel (they share electronics) is above it. Files violate both: a ``$PnR`` of 1024
above 18-bit data, or of 10^9 to 2^31 - 1 to mean "no limit". Taken literally, either would compress the cells into a
small part of the scale.

**W** (width of the linear region) is the panel's; else ``(M - log10(T / |r|)) / 2`` with r the 5th percentile of the
negative values (Parks, Roederer & Moore, Cytometry A 69A:541, 2006), bounded to 0..M/2 - 0.05.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["MIN_NEGATIVE", "RANGES", "choose_top", "estimate_width", "negative_reference", "upper_value"]

Values = npt.NDArray[np.floating[Any]]

RANGES: Final = (262144.0, 1048576.0, 4194304.0, 16777216.0)
"""Usual linear ranges: 18-bit (BD), 20-bit (Navios), 22-bit (Aurora), 24-bit (CytoFLEX, DxFLEX, Attune)."""

MIN_RANGE: Final = 1024.0
MIN_NEGATIVE: Final = 50
"""Fewer negative values than this leave W undetermined."""

SHARE_ABOVE: Final = 1e-3


def choose_top(file_range: float | None, upper: float) -> tuple[float, str]:
    """T of a channel and where it came from (``file`` or ``ladder``).

    Parameters
    ----------
    file_range
        ``$PnR`` after log scaling, or None where the file gives none.
    upper
        Value exceeded by 1 event in 1000 on the brightest fluorescence channel, in raw units.
    """
    if (
        file_range is not None
        and math.isfinite(file_range)
        and MIN_RANGE <= file_range <= RANGES[-1]
        and upper <= 1.001 * file_range
    ):
        return float(file_range), "file"
    for top in RANGES:
        if upper <= 1.001 * top:
            return top, "ladder"
    return float(2.0 ** math.ceil(math.log2(upper))), "ladder"


def upper_value(columns: Sequence[Values], *, stride: int = 1) -> float:
    """Largest over the columns of the value that 1 event in 1000 exceeds (raw units, finite events only).

    Parameters
    ----------
    columns
        Raw fluorescence columns, each of shape (n_events,).
    stride
        Only every such event is looked at.
    """
    largest = 0.0
    for column in columns:
        values = column[::stride]
        values = values[np.isfinite(values)]
        if len(values):
            k = min(len(values) - 1, int(len(values) * (1 - SHARE_ABOVE)))
            largest = max(largest, float(np.partition(values, k)[k]))
    return largest


def negative_reference(compensated: Values) -> float | None:
    """5th percentile of the negative values (raw units, below 0), or None where fewer than 50 events are negative.

    Parameters
    ----------
    compensated
        Compensated values, raw units, shape (n_events,).
    """
    negative = compensated[compensated < 0]
    negative = negative[np.isfinite(negative)]
    return None if len(negative) < MIN_NEGATIVE else float(np.percentile(negative, 5))


def estimate_width(reference: float, T: float, M: float) -> float:
    """W that puts the raw value ``reference`` (< 0) at the low end of the scale."""
    width = (M - math.log10(T / abs(reference))) / 2.0
    return float(min(max(width, 0.0), M / 2.0 - 0.05))

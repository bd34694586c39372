"""The same events more than once in a file, as joined or doubled exports hold them.

Two cells never give the same value in every channel. Repeated events double every count: a tube too small for the
target would look large enough, and ten leukaemic cells would be twenty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import FcsError

__all__ = ["refuse_repeated", "repeated_share"]

Values = npt.NDArray[np.floating[Any]]

MOST: Final = 0.2
"""Share of repeated events from which a file is refused. In 90 files of many instruments it was at most 0.05, in one of
seven coarse channels."""
LEAST_CHANNELS: Final = 6
LEAST_EVENTS: Final = 200
_SCREEN: Final = 2
"""Channels that are compared first; all of them only where these repeat."""
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)


def repeated_share(columns: Sequence[Values]) -> float:
    """Share of the events that repeat an earlier one in all these channels, each of shape (n_events,).

    Events that lie at the lowest or highest value of every channel do not count: they are clipped, not the same. Fewer
    than six channels or 200 events give 0.
    """
    if len(columns) < LEAST_CHANNELS or len(columns[0]) < LEAST_EVENTS:
        return 0.0
    widest = sorted(columns, key=lambda values: -float(np.ptp(np.nan_to_num(values[:1000]))))
    if _share(_keys(widest[:_SCREEN])) <= MOST:
        return 0.0
    inside = np.logical_or.reduce([(values > np.nanmin(values)) & (values < np.nanmax(values)) for values in columns])
    return _share(_keys(columns)[inside]) if int(inside.sum()) >= LEAST_EVENTS else 0.0


def refuse_repeated(path: Path, columns: Sequence[Values]) -> None:
    """Refuse a file that holds events more than once.

    Raises
    ------
    FcsError
        If more than a fifth of the events repeat another one.
    """
    share = repeated_share(columns)
    if share > MOST:
        raise FcsError(
            str(path),
            found=f"{share:.0%} of the events more than once, with the same value in every channel",
            expected="every event once",
            todo="export the tube again; two files of one tube must not be joined",
        )


def _keys(columns: Sequence[Values]) -> npt.NDArray[np.uint64]:
    keys = np.zeros(len(columns[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for values in columns:
            keys = keys * _FACTOR + np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return keys


def _share(keys: npt.NDArray[np.uint64]) -> float:
    ordered = np.sort(keys)
    return float(np.count_nonzero(ordered[1:] == ordered[:-1])) / max(len(ordered), 1)

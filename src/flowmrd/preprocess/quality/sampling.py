"""Evenly spaced rows for estimates that need no more than some hundred thousand events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["sampled_rows"]


def sampled_rows(n: int, within: npt.NDArray[np.bool_] | None, most: int) -> npt.NDArray[np.int64]:
    """About ``most`` evenly spaced rows of the first ``n`` that are True in ``within``, shape (n,).

    Rows are thinned before they are listed, because a list of all rows takes eight bytes an event.
    """
    if within is None:
        return np.arange(0, n, max(-(-n // most), 1))
    count = int(np.count_nonzero(within))
    stride = max(-(-count // most), 1)
    return np.flatnonzero(within[::stride]) * stride

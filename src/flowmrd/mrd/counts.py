"""Counting cells: all candidate denominators of one tube, and the MRD level for the reportable one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.mrd.limits import poisson_interval
from flowmrd.mrd.result import Counts, Level

Mask = npt.NDArray[np.bool_]

COUNTED_GATES = ("singlets", "nucleated", "mononuclear", "b_lineage")
"""Gates whose events are counted, besides all and all analysable events."""


def count_events(analysable: Mask, gates: Mapping[str, Mask | None], mrd: Mask) -> Counts:
    """Count the events of each population among the analysable ones.

    Parameters
    ----------
    gates
        Gate name to membership, shape (n_events,); ``None`` (a gate that could not be placed) stays ``None``.
    """
    inside: dict[str, int | None] = {}
    for name in COUNTED_GATES:
        members = gates.get(name)
        inside[name] = None if members is None else int(np.count_nonzero(members & analysable))
    return Counts(
        total=len(analysable),
        analysable=int(np.count_nonzero(analysable)),
        mrd_events=int(np.count_nonzero(mrd & analysable)),
        **inside,
    )


def level(mrd_events: int, denominator: int) -> Level:
    """MRD fraction with its exact Poisson 95 % interval; all ``None`` where the denominator is empty."""
    if denominator == 0:
        return Level(fraction=None, percent=None, log10=None, ci95=None)
    low, high = poisson_interval(mrd_events)
    fraction = mrd_events / denominator
    return Level(
        fraction=fraction,
        percent=100 * fraction,
        log10=math.log10(fraction) if mrd_events else None,
        ci95=(low / denominator, min(high / denominator, 1.0)),
    )


def finite_or_none(value: Any) -> float | None:
    """A number for JSON: ``None`` for infinity, which arises from an empty denominator."""
    return float(value) if math.isfinite(value) else None

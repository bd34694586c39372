"""Margin events: events at the end of a detector's range, whose value is only known to lie beyond it.

Rules by kind of channel:

* **Forward scatter at the top of its range**: masked, unless the pulse is that of one cell
  (:mod:`flowmrd.preprocess.quality.clipped_singles`). The size is unknown (aggregates, bubbles), and the ratio of area
  to height, on which the doublet check rests, is meaningless where both are clipped.
* **Forward scatter not above 0**: masked.
* **Side scatter at the top**: *not* masked, only counted. Granulocytes of many marrows saturate SSC (20 % of intact
  cells in one tube compared with), laboratories keep them in the denominator, and dropping them raises the MRD
  fraction. Side scatter at or below 0 is not masked either: small lymphoid cells reach it where the instrument restores
  the baseline.
* **Fluorescence at either end**: *not* masked, only counted. A blast too bright for one detector is still a blast, and
  compensated values below 0 are ordinary.
* **Time**: never masked here; see :mod:`flowmrd.preprocess.quality.time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["MARGIN_CHANNELS", "PILE_UP_WARN", "clip_edge", "margin_edges", "saturated_share", "scatter_margin"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

PILE_UP_WARN: Final = 0.05
"""Share of events at the top of one channel that raises a flag: a detector voltage set too high for the sample."""

EDGE: Final = 0.9999
"""An event counts as clipped from this share of the range on: instruments store range - 1, scaled and rounded."""

SMALLEST_RANGE: Final = 256.0
"""From this range on values are channels of a converter, the highest of which is range - 1."""

COARSE_EDGE: Final = 0.995
PILE_SHARE: Final = 1e-3
"""Files of 1,024 channels end at 1023 / 1024: their largest value is the clip where this share of the events has it."""


MARGIN_CHANNELS: Final = ("FSC-A", "FSC-H")
"""Channels whose clipped events are masked."""


def margin_edges(columns: Mapping[str, Values]) -> dict[str, float]:
    """Forward scatter channel to the value from which its events are clipped, on the 0..1 scale.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, each of shape (n_events,).
    """
    return {name: clip_edge(columns[name]) for name in MARGIN_CHANNELS if name in columns}


def scatter_margin(columns: Mapping[str, Values], edges: Mapping[str, float] | None = None) -> Mask:
    """True where forward scatter is clipped at the top of its range or is not above 0; shape (n_events,).

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, shape (n_events,) each.
    edges
        Result of :func:`margin_edges` for this tube or another; computed from ``columns`` where absent.
    """
    n = len(next(iter(columns.values())))
    margin = np.zeros(n, dtype=np.bool_)
    for name, edge in (margin_edges(columns) if edges is None else edges).items():
        if name in columns:
            values = columns[name]
            margin |= values >= edge
            margin |= values <= 0
    return margin


def clip_edge(values: Values) -> float:
    """Value (0..1 scale) from which a scatter column of shape (n_events,) is clipped."""
    largest = float(np.max(values, initial=-np.inf, where=np.isfinite(values)))
    if COARSE_EDGE <= largest < EDGE and np.count_nonzero(values == largest) >= PILE_SHARE * len(values):
        return largest
    return EDGE


def saturated_share(raw: Values, top: float) -> float:
    """Share of finite events at or above the top of a range; ``raw`` is uncompensated, of shape (n_events,)."""
    edge = min(EDGE * top, top - 1) if top >= SMALLEST_RANGE else EDGE * top
    return float(np.count_nonzero(raw >= edge)) / max(len(raw), 1)

"""Debris mask: particles smaller than any cell. The cut is conservative, so that small erythroblasts are kept.

Debris is what lies *below* the smallest real cells in forward scatter and also has low side scatter. The cut on FSC is
the deepest valley of the FSC density below the smallest cell peak, kept within bounds. It is never above
:data:`CELL_SHARE` of the median FSC of CD45-bright low-SSC events (lymphocytes, the smallest leucocytes and about the
size of late erythroblasts), or of the median FSC of all events where the panel has no CD45. Without a deep valley the
low bound is used. An event is debris only if it is under the cut *and* under the SSC limit. CD45-bright events
(shrunken leucocytes) are never debris.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.records.quality import DebrisEntry

__all__ = ["DebrisCut", "find_debris_cut"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

CELL_SHARE: Final = 0.35
"""The cut never exceeds this share of the lymphocytes' median FSC."""

DEEP: Final = 0.05
"""A valley counts below this share of the cells' peak; a shallower one runs through small cells."""

MAX_EVENTS: Final = 60_000
LOW_SHARE: Final = 0.20
"""The cut is never below this share: smaller events are debris on any instrument with a linear FSC."""


@dataclass(frozen=True)
class DebrisCut:
    """Where debris ends: ``FSC-A < fsc``, ``SSC-A < ssc`` and, where CD45 exists, ``CD45 < cd45``; all on 0..1.

    ``anchor`` is the median FSC of the cells the bounds come from, ``method`` is ``valley``, ``bound`` or ``none``.
    """

    fsc: float
    ssc: float
    cd45: float | None
    anchor: float
    method: str
    reason: str = ""

    def inside(self, columns: Mapping[str, Values], *, cd45: str = "CD45") -> Mask:
        """True for debris, shape (n_events,)."""
        fsc = columns["FSC-A"]
        if self.method == "none":
            return np.zeros(len(fsc), dtype=np.bool_)
        debris = np.asarray(fsc < self.fsc)
        if "SSC-A" in columns:
            debris &= columns["SSC-A"] < self.ssc
        if self.cd45 is not None and cd45 in columns:
            debris &= ~(columns[cd45] >= self.cd45)
        return debris

    def as_record(self) -> DebrisEntry:
        """The cut as ``qc.json`` holds it."""
        return DebrisEntry(
            fsc=self.fsc,
            ssc=self.ssc,
            cd45=self.cd45,
            anchor=self.anchor,
            method=self.method,
            reason=self.reason,
        )

    @classmethod
    def from_record(cls, entry: DebrisEntry) -> DebrisCut:
        """The cut that ``qc.json`` holds."""
        return cls(entry.fsc, entry.ssc, entry.cd45, entry.anchor, entry.method, entry.reason)


def find_debris_cut(
    columns: Mapping[str, Values], *, usable: Mask | None = None, cd45: str = "CD45", min_events: int = 200
) -> DebrisCut:
    """Place the debris cut.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, each of shape (n_events,): ``FSC-A`` and, where present, ``SSC-A`` and CD45.
    usable
        Events that may be used (finite, not at a margin); all where absent.
    """
    if "FSC-A" not in columns:
        return DebrisCut(0.0, 0.0, None, 0.0, "none", "the file has no FSC-A")
    rows = sampled_rows(len(columns["FSC-A"]), usable, MAX_EVENTS)
    fsc = columns["FSC-A"][rows].astype(np.float64)
    if len(fsc) < min_events:
        return DebrisCut(0.0, 0.0, None, 0.0, "none", f"{len(fsc)} usable events, fewer than {min_events}")
    ssc = columns["SSC-A"][rows].astype(np.float64) if "SSC-A" in columns else np.zeros_like(fsc)
    bright: float | None = None
    anchor = float(np.median(fsc))
    if cd45 in columns:
        leucocyte = columns[cd45][rows].astype(np.float64)
        bright = float(np.quantile(leucocyte, 0.60))
        chosen = (leucocyte >= bright) & (ssc <= np.median(ssc))
        if int(chosen.sum()) >= min_events // 2:
            anchor = float(np.median(fsc[chosen]))
    low, high = LOW_SHARE * anchor, CELL_SHARE * anchor
    edges = np.linspace(0.0, 1.5 * anchor, 151)
    counts = np.histogram(fsc, bins=edges)[0].astype(np.float64)
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), mode="same")
    grid = 0.5 * (edges[:-1] + edges[1:])
    window = np.flatnonzero((grid >= low) & (grid <= high))
    cut, method = low, "bound"
    lowest = int(window[np.argmin(density[window])])
    left, right = float(density[: lowest + 1].max()), float(density[lowest:].max())
    if left > 1.5 * density[lowest] and density[lowest] < DEEP * right:
        cut, method = float(grid[lowest]), "valley"
    ssc_cut = float(max(np.quantile(ssc, 0.5), 2.0 * np.quantile(ssc, 0.25)))
    return DebrisCut(cut, ssc_cut, bright, anchor, method)

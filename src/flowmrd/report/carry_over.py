"""Distribution of the MRD cells over the run.

Cells of a real population are spread evenly over the run. Cells carried over from the tube before come first, and a
bubble or a clog produces abnormal cells within a short time. The cohort page (:mod:`flowmrd.report.batch`) says which
tube ran before; :func:`from_own_tube` looks for a leukaemic tube of the same patient. The places of the MRD cells among
the analysable events are compared with an even spread by the one-sample Kolmogorov-Smirnov test (Massey, J Am Stat
Assoc 1951;46:68-78).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.mrd.result import MrdResult
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.report import formatting
from flowmrd.report.page_inputs import Visit
from flowmrd.report.page_tube import PageTube

MIN_EVENTS: Final = 10
"""Fewer MRD cells than this are drawn, but their spread is not tested."""
UNEVEN: Final = 0.001
"""p value below which the spread is called uneven; a thousand tubes with an even spread give one false alarm."""
MAX_TICKS: Final = 300


@dataclass(frozen=True)
class Arrival:
    """Places of the MRD cells in the run.

    Attributes
    ----------
    events
        MRD cells.
    places
        At most :data:`MAX_TICKS` of them, evenly chosen, as fractions of the file's events.
    first_tenth
        Share of the MRD cells among the first tenth of the analysable events; 0.1 is even.
    p_value
        p value of the test for an even spread; ``None`` for too few cells.
    """

    events: int
    places: tuple[float, ...]
    first_tenth: float | None
    p_value: float | None

    @property
    def uneven(self) -> bool:
        """Whether the spread over the run is uneven."""
        return self.p_value is not None and self.p_value < UNEVEN

    def sentence(self) -> str:
        """The finding in words."""
        if self.events == 0:
            return "No MRD cells, so carry-over within the run was not checked."
        if self.p_value is None or self.first_tenth is None:
            return f"{self.events} MRD cells are too few to tell whether they came evenly over the run."
        share = f"{formatting.percent(self.first_tenth)} of them in its first tenth"
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        if self.uneven:
            return (
                f"The MRD cells did not come evenly over the run ({share}; {p}): think of carry-over from the tube "
                "before, or of a disturbance."
            )
        return f"The MRD cells came evenly over the run ({share}; {p}), as cells of the sample itself do."


def arrival(tube: PageTube) -> Arrival:
    """Places of a tube's MRD cells in the order of acquisition, and the test for an even spread."""
    rows = np.flatnonzero(tube.mrd)
    if len(rows) == 0:
        return Arrival(0, (), None, None)
    step = max(1, -(-len(rows) // MAX_TICKS))
    places = tuple(round(float(row) / tube.n_events, 4) for row in rows[::step])
    if len(rows) < MIN_EVENTS:
        return Arrival(len(rows), places, None, None)
    order = np.cumsum(tube.analysable)
    even = (order[rows] - 0.5) / order[-1]
    p_value = uniform_p_value(np.sort(even))
    return Arrival(len(rows), places, round(float(np.mean(even < 0.1)), 4), float(f"{p_value:.3g}"))


SOON: Final = 30 * 60.0
"""Seconds between two runs within which cells of the first are looked for in the second (a default)."""
SOURCE: Final = 0.01
"""MRD fraction from which a tube can leave cells in the line that the next tube shows."""


def from_own_tube(result: MrdResult, acquisition: AcquisitionEntry, history: Sequence[Visit]) -> list[str]:
    """Sentences about leukaemic tubes of the same patient that ran just before this one.

    They hold the same leukaemia, so carried-over cells cannot be distinguished from MRD.
    """
    day, begin = acquisition.date, acquisition.begin
    if result.role != "followup" or not result.mrd.detected or not day or begin is None:
        return []
    said = []
    for visit in history:
        before, when = visit.result, visit.acquisition
        if before.sample == result.sample or (before.mrd.fraction or 0.0) < SOURCE or when.date != day:
            continue
        ended = when.end if when.end is not None else when.begin
        if ended is not None and 0 <= begin - ended <= SOON:
            said.append(
                f"Carry-over possible: {before.sample} ({formatting.percent(before.mrd.fraction)} leukaemic) ran "
                f"{(begin - ended) / 60:.0f} min before this tube. Rinse and run the tube again."
            )
    return said


def uniform_p_value(ordered: npt.NDArray[np.float64]) -> float:
    """p value of the one-sample Kolmogorov-Smirnov test against an even spread over 0..1, by the limiting distribution
    (Kolmogorov 1933; scipy's ``kstest(..., method="asymp")``, whose import would cost more than the whole page).

    Parameters
    ----------
    ordered
        Values in rising order, shape (n,).
    """
    n = len(ordered)
    rank = np.arange(1, n + 1) / n
    distance = float(max((rank - ordered).max(), (ordered - rank + 1 / n).max()))
    at = math.sqrt(n) * distance
    if at < 0.2:  # the series alternates slowly there, and the value is 1 to 12 digits
        return 1.0
    k = np.arange(1, 101)
    return float(min(1.0, max(0.0, 2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * (k * at) ** 2)))))

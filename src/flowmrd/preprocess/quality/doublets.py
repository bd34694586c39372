"""Doublet detection: singlets lie in a band of pulse shape, which the quality mask and the ``singlet`` gate share.

Two cells that pass the laser together have about twice the area of one cell at little more height. The ratio of area to
height, or the pulse width that instruments derive from it, is therefore between 1 and 2 times that of single cells. The
band is centred on the mode of the singlets (their mean is pulled by doublets) and bounded

* above by the valley between singlets and doublets where the density shows one below 1.41 = sqrt(2) times the centre,
  the logarithmic midpoint between one cell and two; else by the place where the right flank of the singlets has fallen
  to 1 % of the peak, at most 30 % over the centre; never less than ``n_mad`` robust SD over it;
* below by ``max(n_mad robust SD, 20 %)`` under the centre (electronic noise, coincidence with debris).

The flank holds large cells (monocytes, large blasts), which a purely MAD-based cut as in PeacoQC's RemoveDoublets
(median + 4 MAD) loses. In two real tubes experts put the cut 26 and 35 % over the mode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.records.quality import DoubletsEntry

__all__ = ["DoubletBand", "estimate_doublet_band", "find_doublet_band"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

UPPER_RATIO: Final = 1.30
LOWER_RATIO: Final = 0.80
FLANK_SHARE: Final = 0.01
VALLEY_LIMIT: Final = math.sqrt(2.0)
BINS_PER_E: Final = 200
MAX_EVENTS: Final = 60_000
"""Events that enter the estimate; more are thinned evenly, because a mode needs no more."""


@dataclass(frozen=True)
class DoubletBand:
    """The band of singlets, in a form that GatingML can express.

    Attributes
    ----------
    kind
        ``ratio``: singlets obey ``low * y <= x <= high * y`` (x area, y height): a wedge between two lines through the
        origin. ``width``: ``low <= y <= high`` (y width): a rectangle. ``none``: nothing is excluded, see ``reason``.
    x, y
        Channels: area and height, or area and width. ``y`` is empty where ``kind`` is ``none``.
    low, high, centre
        Bounds and mode of the ratio (dimensionless) or of the width (0..1 scale).
    spread
        Robust standard deviation of ln(ratio) or ln(width) among singlets.
    method
        Rule that determined the upper bound: ``valley``, ``flank`` (end of the singlets' flank), ``ratio`` (30 %) or
        ``mad``.
    n_events
        Number of events used for the estimate.
    reason
        Why nothing is excluded; empty otherwise.
    """

    kind: Literal["ratio", "width", "none"]
    x: str = ""
    y: str = ""
    low: float = 0.0
    high: float = math.inf
    centre: float = 1.0
    spread: float = 0.0
    method: Literal["valley", "flank", "ratio", "mad", "none"] = "none"
    n_events: int = 0
    reason: str = ""

    def inside(self, columns: Mapping[str, Values]) -> Mask:
        """True for singlets, shape (n_events,). Everything is inside where no band could be placed."""
        if self.kind == "width":
            width = columns[self.y]
            return np.asarray((width >= self.low) & (width <= self.high))
        if self.kind == "ratio":
            x, y = columns[self.x], columns[self.y]
            return np.asarray((x >= self.low * y) & (x <= self.high * y))
        n = len(next(iter(columns.values()))) if columns else 0
        return np.ones(n, dtype=np.bool_)

    def vertices(self, top: float = 1.2) -> tuple[tuple[float, float], ...]:
        """Polygon (x, y) of the wedge up to ``y = top``; the rectangle of a width band from x = -top to 2 top.

        Raises
        ------
        ValueError
            Where there is no band.
        """
        if self.kind == "ratio":
            return ((0.0, 0.0), (self.low * top, top), (self.high * top, top))
        if self.kind == "width":
            return ((-top, self.low), (2 * top, self.low), (2 * top, self.high), (-top, self.high))
        raise ValueError("no doublet band was placed")

    def as_record(self) -> DoubletsEntry:
        """The band as ``qc.json`` holds it; an open upper end is null."""
        return DoubletsEntry(
            kind=self.kind,
            x=self.x,
            y=self.y,
            low=self.low,
            high=None if math.isinf(self.high) else self.high,
            centre=self.centre,
            spread=self.spread,
            method=self.method,
            n_events=self.n_events,
            reason=self.reason,
        )

    @classmethod
    def from_record(cls, entry: DoubletsEntry) -> DoubletBand:
        """The band that ``qc.json`` holds."""
        return cls(
            kind=entry.kind,
            x=entry.x,
            y=entry.y,
            low=entry.low,
            high=math.inf if entry.high is None else entry.high,
            centre=entry.centre,
            spread=entry.spread,
            method=entry.method,
            n_events=entry.n_events,
            reason=entry.reason,
        )


def find_doublet_band(
    columns: Mapping[str, Values],
    *,
    area: str = "FSC-A",
    partners: tuple[str, ...] = ("FSC-H", "FSC-W"),
    within: Mask | None = None,
    n_mad: float = 5.0,
    min_events: int = 200,
) -> DoubletBand:
    """Place the singlet band with the first of ``partners`` that the file has.

    Parameters
    ----------
    columns
        Scatter columns on the 0..1 scale, each of shape (n_events,); a partner ending in ``-H`` is a height, any other
        a width.
    within
        Events that the estimate may use (the parent gate, or the events inside the margins); all where absent.

    Returns
    -------
    DoubletBand
        Of kind ``none``, with the reason, where neither height nor width exists or too few events do.
    """
    for partner in partners:
        if partner not in columns:
            continue
        if partner.endswith("-H"):
            if area not in columns:
                continue
            return estimate_doublet_band(
                columns[partner],
                columns[area],
                names=(area, partner),
                within=within,
                n_mad=n_mad,
                min_events=min_events,
            )
        return estimate_doublet_band(
            columns[partner], None, names=(area, partner), within=within, n_mad=n_mad, min_events=min_events
        )
    return DoubletBand("none", reason=f"the file has none of {', '.join(partners)} to set against {area}")


def estimate_doublet_band(
    partner: Values,
    area: Values | None,
    *,
    names: tuple[str, str],
    within: Mask | None = None,
    n_mad: float = 5.0,
    min_events: int = 200,
) -> DoubletBand:
    """Place the band of ``area / partner`` (height given) or of ``partner`` alone (``area`` None: width).

    Events without a positive pulse, and those clipped at the largest stored value, do not enter the estimate.

    Parameters
    ----------
    partner, area
        Pulse height or width, and pulse area, 0..1 scale, each of shape (n_events,).
    names
        Names of area and partner, for the band.
    within
        Events that the estimate may use, shape (n_events,); all where absent.
    """
    kind: Literal["ratio", "width"] = "width" if area is None else "ratio"
    chosen = sampled_rows(len(partner), within, MAX_EVENTS)
    shape = partner[chosen].astype(np.float64)
    usable = np.isfinite(shape) & (shape > 0)
    if area is not None:
        a = area[chosen].astype(np.float64)
        usable &= np.isfinite(a) & (a > 0) & (a < a.max(initial=0.0)) & (shape < shape.max(initial=0.0))
        shape, a = shape[usable], a[usable]
        shape = a / shape
    else:
        shape = shape[usable]
    if len(shape) < min_events:
        return DoubletBand(
            "none",
            x=names[0],
            y=names[1],
            n_events=len(shape),
            reason=f"{len(shape)} usable events, fewer than the {min_events} an estimate needs",
        )
    logs = np.log(shape)
    if float(np.ptp(logs)) == 0.0:
        return DoubletBand("none", x=names[0], y=names[1], n_events=len(shape), reason=f"{names[1]} has one value only")
    grid, density = _density(logs)
    mode = float(grid[np.argmax(density)])
    # Doublets lie on the right, so the spread of singlets is read off the left half of the peak alone.
    left = mode - logs[logs <= mode]
    near = left[left < 0.5]
    spread = float(np.median(near) / 0.6745) if len(near) else 0.0
    spread = max(spread, 1.0 / BINS_PER_E)
    method: Literal["valley", "flank", "ratio", "mad"] = "mad"
    upper = mode + n_mad * spread
    if upper < mode + math.log(UPPER_RATIO):
        flank = _flank_end(grid, density, upper)
        upper = min(flank, mode + math.log(UPPER_RATIO))
        method = "ratio" if upper < flank else "flank"
    valley = _valley(grid, density, mode + 3 * spread, mode + math.log(VALLEY_LIMIT))
    if valley is not None:
        upper, method = valley, "valley"
    lower = mode - max(n_mad * spread, -math.log(LOWER_RATIO))
    return DoubletBand(
        kind,
        x=names[0],
        y=names[1],
        low=math.exp(lower),
        high=math.exp(upper),
        centre=math.exp(mode),
        spread=spread,
        method=method,
        n_events=len(shape),
    )


def _density(logs: Values) -> tuple[Values, Values]:
    """Smoothed histogram of log pulse shapes within a factor e of their median: grid and density."""
    centre = float(np.median(logs))
    edges = np.linspace(centre - 1.0, centre + 1.0, 2 * BINS_PER_E + 1)
    counts = np.histogram(logs, bins=edges)[0].astype(np.float64)
    width = 1.06 * float(np.median(np.abs(logs - centre)) / 0.6745) * len(logs) ** -0.2
    bandwidth = min(max(width * BINS_PER_E, 1.0), 12.0)
    reach = int(4 * bandwidth) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / bandwidth) ** 2)
    return 0.5 * (edges[:-1] + edges[1:]), np.convolve(counts, kernel / kernel.sum(), mode="same")


def _flank_end(grid: Values, density: Values, start: float) -> float:
    """First place from ``start`` on where the density is below :data:`FLANK_SHARE` of its peak."""
    below = np.flatnonzero((grid >= start) & (density < FLANK_SHARE * float(density.max())))
    return float(grid[below[0]]) if len(below) else math.inf


def _valley(grid: Values, density: Values, low: float, high: float) -> float | None:
    """Lowest point between ``low`` and ``high`` if a peak at least 1.5 times as high and 20 events strong follows."""
    window = np.flatnonzero((grid >= low) & (grid <= high))
    if len(window) < 3:
        return None
    lowest = int(window[np.argmin(density[window])])
    after = density[lowest:]
    bottom = float(density[lowest])
    top = float(after.max())
    if lowest in (int(window[0]), int(window[-1])) or top < 1.5 * bottom or float(after.sum()) < 20:
        return None
    return float(grid[lowest])

"""The panel scale: converting a tube's columns to the numbers of the panel file, and back.

A panel file says "CD19+ begins between 0.22 and 0.5". Such a number is valid on one scale only, but tubes differ: the
width W of a channel's logicle is estimated from the controls, and scatter depends on the voltages of the instrument. So
every threshold is estimated on the *panel scale*, which is

* for fluorescence the logicle of the panel's channel with T as in the tube and W of the panel, or
  :data:`PANEL_WIDTH` where the panel leaves W open, on an instrument of other brightness of the value times a factor;
* for the scatter channels of the panel's ``landmark`` the stored value times a factor that puts the lymphocytes of the
  tube, or of the controls, at the place the panel gives them (:mod:`flowmrd.gating.landmark`);
* for everything else the stored value.

All three are monotone, so a threshold found there is the same gate as its image on the stored scale, and a tube stored
with another W gets the same cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.panel.model import Channel, PanelModel
from flowmrd.preprocess.transform import ChannelScale, logicle

__all__ = ["PANEL_WIDTH", "STORED", "PanelScale", "panel_channel_scale", "tube_panel_scale"]

Values = npt.NDArray[np.floating[Any]]
Float64 = npt.NDArray[np.float64]

PANEL_WIDTH: Final = 0.75
"""W of the panel scale in decades where the panel leaves it open: that of the panels' own numbers."""

KNOTS: Final = np.linspace(-0.75, 1.75, 5001)
"""Stored values between which the way to the panel scale is a straight line (error below 2e-4, 0.001 decades)."""

LEAN: Final = tuple(round(-0.15 + 0.075 * k, 3) for k in range(16))
"""Places on the second channel, on the panel scale, at which a leaning line is carried over; straight lines between."""


@dataclass(frozen=True)
class PanelScale:
    """Conversions between the stored and the panel scale; channels without one are the same on both.

    Attributes
    ----------
    tables
        By channel, the value on the panel scale at each of :data:`KNOTS`.
    factors
        By channel, the factor that stored values are multiplied with.
    """

    tables: Mapping[str, Float64] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)

    def to_panel(self, channel: str, values: Values) -> Values:
        """Stored values on the panel scale, any shape."""
        if channel in self.factors:
            return np.asarray(values * values.dtype.type(self.factors[channel]))
        if channel in self.tables:
            table = self.tables[channel]
            inside = np.interp(values, KNOTS, table)
            # Beyond the knots the last segment is extended, so that the conversion stays monotone.
            first, last = (table[1] - table[0]) / _STEP, (table[-1] - table[-2]) / _STEP
            below, above = np.minimum(values - KNOTS[0], 0.0), np.maximum(values - KNOTS[-1], 0.0)
            return np.asarray(inside + first * below + last * above)
        return values

    def from_panel(self, channel: str, value: float) -> float:
        """Stored value of a value on the panel scale."""
        if channel in self.factors:
            return value / self.factors[channel]
        if channel in self.tables:
            table = self.tables[channel]
            if value < table[0]:
                return float(KNOTS[0] + (value - table[0]) * _STEP / (table[1] - table[0]))
            if value > table[-1]:
                return float(KNOTS[-1] + (value - table[-1]) * _STEP / (table[-1] - table[-2]))
            return float(np.interp(value, table, KNOTS))
        return value

    def line_from_panel(
        self, x: str, y: str, slope: float, threshold: float
    ) -> tuple[float, float, tuple[tuple[float, float], ...]]:
        """Slope, threshold and bends on the stored scale of the line ``x = threshold + slope * y`` of the panel scale.

        There are no bends where both channels are stored as the panel has them or differ by a factor; see
        :class:`flowmrd.gating.shapes.HalfPlane`.
        """
        border = [(self.from_panel(y, place), self.from_panel(x, threshold + slope * place)) for place in LEAN]
        (y0, x0), (y1, x1) = border[0], border[-1]
        stored = (x1 - x0) / (y1 - y0)
        start = x0 - stored * y0
        if x not in self.tables and y not in self.tables:
            return stored, start, ()
        return stored, start, tuple((at, edge - start - stored * at) for at, edge in border)


_STEP: Final = float(KNOTS[1] - KNOTS[0])
STORED: Final = PanelScale()
"""Columns as the panel has them."""


def panel_channel_scale(channel: Channel, stored: ChannelScale) -> ChannelScale:
    """Scale of the panel's numbers on one channel of a tube that is stored on ``stored``."""
    wanted = channel.transform
    if wanted.kind != "logicle" or stored.kind == "linear":
        return stored
    width = PANEL_WIDTH if wanted.W is None else wanted.W
    return ChannelScale("logicle", stored.T, wanted.M, width, wanted.A)


def tube_panel_scale(
    panel: PanelModel, scales: Mapping[str, ChannelScale], factors: Mapping[str, float] | None = None
) -> PanelScale:
    """The panel scale of one tube.

    Parameters
    ----------
    scales
        Channel to the transform that the tube is stored with; an absent channel is taken to be as the panel has it.
    factors
        Scatter channel to the factor that puts its landmark where the panel has it; channel on a logicle to the factor
        that brings its raw values to the brightness of the panel's instrument (:mod:`flowmrd.gating.brightness`).
    """
    tables = {}
    factors = dict(factors or {})
    for channel in panel.channels:
        stored = scales.get(channel.marker)
        if stored is None:
            continue
        wanted = panel_channel_scale(channel, stored)
        if wanted.kind != "logicle":
            continue
        brightness = factors.pop(channel.marker, 1.0)
        same = (stored.kind, stored.M, stored.W, stored.A) == ("logicle", wanted.M, wanted.W, wanted.A)
        if same and brightness == 1.0:
            continue
        raw = np.asarray(stored.inverse(KNOTS), dtype=np.float64) * brightness
        tables[channel.marker] = np.asarray(logicle(raw, wanted.T, wanted.M, wanted.W, wanted.A), dtype=np.float64)
    return PanelScale(tables, factors)

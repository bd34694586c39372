"""Parts of charts whose two axes are levels (log10 of a fraction)."""

from __future__ import annotations

from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import Area, Outline


def equality(axis: Axis) -> Outline:
    """The line on which both levels are the same; ``axis`` is either of two equal ones."""
    return Outline(((axis.low, axis.low), (axis.high, axis.high)), False, "equal", role="equality")


def half_log_band(axis: Axis) -> Area:
    """The area in which two levels differ by at most half a log (a factor of 3.2)."""
    low, high = axis.low, axis.high
    return Area(((low, low), (low, low + 0.5), (high - 0.5, high), (high, high), (high, high - 0.5), (low + 0.5, low)))

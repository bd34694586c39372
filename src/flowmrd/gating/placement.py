"""Placing one gate: from its definition and its parent's events to a shape, with the reason.

Thresholds are estimated in :mod:`flowmrd.gating.cuts`; here are the gates whose geometry is given or follows
the pulse shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from flowmrd.gating.panel_scale import STORED, PanelScale
from flowmrd.gating.shapes import (
    Columns,
    Combination,
    Ellipse,
    Everything,
    Nothing,
    Polygon,
    Rectangle,
    Shape,
)
from flowmrd.panel.gates import (
    BooleanGate,
    DebrisGate,
    EllipseGate,
    Gate,
    PolygonGate,
    RectangleGate,
    SingletGate,
)
from flowmrd.preprocess.quality import find_doublet_band
from flowmrd.preprocess.quality.debris import find_debris_cut
from flowmrd.records.gates import CurveEntry

__all__ = ["Parameters", "Placement", "Source", "State", "build_shape", "estimate_geometry"]

Mask = npt.NDArray[np.bool_]
Parameters = dict[str, float]
Source = Literal["sample", "reference", "sample-shift", "fallback", "default", "override"]
State = Literal["ok", "insufficient_parent", "unavailable"]


@dataclass(frozen=True)
class Placement:
    """The placement of a gate and its reason.

    Attributes
    ----------
    shape
        Geometry on the 0..1 scale.
    state
        ``insufficient_parent``: too few parent events for an estimate; the gate named in ``source`` stands instead.
        ``unavailable``: a channel or a gate it needs is missing, so no event is inside and none was looked for.
    source
        ``sample`` estimated here; ``reference`` frozen from the controls; ``sample-shift`` the reference moved by the
        anchors; ``fallback`` the panel's fallback; ``default`` fixed in the panel; ``override`` set by a reviewer.
    how, why
        Rule that gave the threshold, and one sentence about it.
    parameters
        The numbers that were estimated, on the 0..1 scale as stored; empty for fixed gates.
    shift
        How far anchors moved the reference, in decades.
    curve
        Density a threshold was read from, the threshold and the bounds it was looked for in; for the explaining plot.
    nominal
        ``parameters`` on the panel scale (:mod:`flowmrd.gating.panel_scale`): what a reference keeps.
    """

    name: str
    shape: Shape
    state: State
    source: Source
    how: str
    why: str
    parent_events: int
    parameters: Parameters = field(default_factory=dict)
    shift: float = 0.0
    curve: CurveEntry | None = None
    nominal: Parameters = field(default_factory=dict)


def estimate_geometry(gate: Gate, columns: Columns, parent: Mask, panel_scale: PanelScale = STORED) -> Placement:
    """Place a gate that is not a cut on the tube's own events.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, shape (n_events,) each.
    parent
        Analysable events inside the parent gate.
    panel_scale
        Conversion of the stored columns to the panel scale.
    """
    n = int(np.count_nonzero(parent))
    if isinstance(gate, SingletGate):
        band = find_doublet_band(
            columns, area=gate.area, partners=gate.partners, within=parent, n_mad=gate.n_mad, min_events=gate.min_events
        )
        if band.kind == "none":
            few = n < gate.min_events
            return Placement(
                gate.name,
                Everything(),
                "insufficient_parent" if few else "ok",
                "fallback",
                "none",
                f"no event is excluded: {band.reason}",
                n,
            )
        parameters = {"low": band.low, "high": band.high}
        why = f"{band.y} band around its mode {band.centre:.3f}, upper bound by {band.method}"
        how = f"{band.kind}-{band.method}"
        shape = build_shape(gate, parameters, columns)
        return Placement(gate.name, shape, "ok", "sample", how, why, n, parameters, nominal=parameters)
    if isinstance(gate, DebrisGate):
        cut = find_debris_cut(columns, usable=parent, cd45=gate.cd45, min_events=gate.min_events)
        if cut.method == "none":
            few = n < gate.min_events
            return Placement(
                gate.name,
                Nothing(),
                "insufficient_parent" if few else "ok",
                "fallback",
                "none",
                f"nothing is called debris: {cut.reason}",
                n,
            )
        parameters = {"fsc": cut.fsc, "ssc": cut.ssc} | ({} if cut.cd45 is None else {"cd45": cut.cd45})
        why = f"FSC-A below {cut.fsc:.3f} ({cut.method}); the smallest leucocytes have {cut.anchor:.3f}"
        shape = build_shape(gate, parameters, columns)
        return Placement(gate.name, shape, "ok", "sample", cut.method, why, n, parameters, nominal=parameters)
    shape = build_shape(gate, {}, columns, panel_scale)
    return Placement(gate.name, shape, "ok", "default", "fixed", "as the panel says", n)


def build_shape(
    gate: Gate, parameters: Mapping[str, float], columns: Columns, panel_scale: PanelScale = STORED
) -> Shape:
    """Geometry of a gate other than a cut: its definition is on the panel scale, estimated numbers are as stored."""
    if isinstance(gate, SingletGate):
        partner = next((name for name in gate.partners if name in columns), None)
        if partner is None or "low" not in parameters:
            return Everything()
        low, high = parameters["low"], parameters["high"]
        if partner.endswith("-H"):
            top = 8.0
            return Polygon(gate.area, partner, ((0.0, 0.0), (low * top, top), (high * top, top)))
        return Rectangle(((partner, low, high),))
    if isinstance(gate, DebrisGate):
        if "fsc" not in parameters:
            return Nothing()
        ranges: list[tuple[str, float | None, float | None]] = [("FSC-A", None, parameters["fsc"])]
        if "SSC-A" in columns:
            ranges.append(("SSC-A", None, parameters["ssc"]))
        if "cd45" in parameters and gate.cd45 in columns:
            ranges.append((gate.cd45, None, parameters["cd45"]))
        return Rectangle(tuple(ranges))
    if isinstance(gate, RectangleGate):
        ranges = [(channel, *_stored(panel_scale, channel, ends)) for channel, ends in gate.ranges.items()]
        return Rectangle(tuple(ranges))
    if isinstance(gate, PolygonGate):
        return Polygon(
            gate.x,
            gate.y,
            tuple((panel_scale.from_panel(gate.x, x), panel_scale.from_panel(gate.y, y)) for x, y in gate.vertices),
        )
    if isinstance(gate, EllipseGate):
        return _ellipse(gate, panel_scale)
    assert isinstance(gate, BooleanGate)  # noqa: S101 - cuts have a shape of their own, and the union is exhausted
    return Combination(gate.all_of, gate.any_of, (*gate.none_of, *gate.unless), gate.at_least)


def _stored(
    panel_scale: PanelScale, channel: str, ends: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    low, high = (None if end is None else panel_scale.from_panel(channel, end) for end in ends)
    return low, high


def _ellipse(gate: EllipseGate, panel_scale: PanelScale) -> Ellipse:
    """The ellipse as stored; where a channel is stored on another scale, with the slope of the scale at the centre."""
    mean = tuple(panel_scale.from_panel(channel, at) for channel, at in zip(gate.channels, gate.mean, strict=True))
    step = 0.01
    slopes = [
        (panel_scale.from_panel(channel, at + step) - panel_scale.from_panel(channel, at - step)) / (2 * step)
        for channel, at in zip(gate.channels, gate.mean, strict=True)
    ]
    covariance = tuple(
        tuple(value * a * b for value, b in zip(row, slopes, strict=True))
        for row, a in zip(gate.covariance, slopes, strict=True)
    )
    return Ellipse(gate.channels, mean, covariance, gate.distance_squared)

"""Estimating one gate: from its definition and its parent's events to a placed shape with the reason for its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.gating.density import edge_of_peak, estimate_density, mode, thinned, two_normals, valley
from flowmrd.gating.shapes import (
    Columns,
    Combination,
    Ellipse,
    Everything,
    HalfPlane,
    Nothing,
    Polygon,
    Rectangle,
    Shape,
    project,
)
from flowmrd.panel.gates import (
    BooleanGate,
    CutGate,
    DebrisGate,
    EllipseGate,
    Gate,
    PolygonGate,
    RectangleGate,
    SingletGate,
)
from flowmrd.quality import find_doublet_band
from flowmrd.quality.debris import find_debris_cut
from flowmrd.units import LOGICLE_M

__all__ = ["Parameters", "Placement", "build_shape", "estimate_gate", "snap"]

Mask = npt.NDArray[np.bool_]
Parameters = dict[str, float]
Source = Literal["sample", "reference", "sample-shift", "fallback", "default", "override"]
State = Literal["ok", "insufficient_parent", "unavailable"]

SNAP: Final = 5e-4
"""A threshold may move this far (0.002 decades) into the widest gap between events; see :func:`snap`."""


@dataclass(frozen=True)
class Placement:
    """Where a gate was put and why.

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
        The numbers that were estimated (thresholds on the 0..1 scale); empty for fixed gates.
    shift
        What anchors added to the reference, on the 0..1 scale.
    curve
        Density the threshold was read from, at most 100 points.
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
    curve: Mapping[str, list[float]] | None = None


def estimate_gate(
    gate: Gate, columns: Columns, parent: Mask, masks: Mapping[str, Mask], *, n_parent: int | None = None
) -> Placement:
    """Place one gate on the sample's own events.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, shape (n_events,) each.
    parent
        Analysable events inside the parent gate.
    masks
        Masks of the gates placed before, for estimators that read another population.
    """
    n = int(np.count_nonzero(parent)) if n_parent is None else n_parent
    if isinstance(gate, CutGate):
        return _estimate_cut(gate, columns, parent, masks, n)
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
        return Placement(gate.name, build_shape(gate, parameters, columns), "ok", "sample", how, why, n, parameters)
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
        return Placement(
            gate.name, build_shape(gate, parameters, columns), "ok", "sample", cut.method, why, n, parameters
        )
    return Placement(gate.name, build_shape(gate, {}, columns), "ok", "default", "fixed", "as the panel says", n)


def build_shape(gate: Gate, parameters: Mapping[str, float], columns: Columns) -> Shape:
    """Geometry of a gate from its definition and estimated numbers."""
    if isinstance(gate, CutGate):
        threshold = parameters["threshold"]
        if gate.tilt:
            ((other, slope),) = gate.tilt.items()
            return HalfPlane(gate.channel, other, slope, threshold, gate.side == "above")
        low, high = (threshold, None) if gate.side == "above" else (None, threshold)
        return Rectangle(((gate.channel, low, high),))
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
        return Rectangle(tuple((channel, low, high) for channel, (low, high) in gate.ranges.items()))
    if isinstance(gate, PolygonGate):
        return Polygon(gate.x, gate.y, gate.vertices)
    if isinstance(gate, EllipseGate):
        return Ellipse(gate.channels, gate.mean, gate.covariance, gate.distance_squared)
    assert isinstance(gate, BooleanGate)  # noqa: S101 - the union is exhausted
    return Combination(gate.all_of, gate.any_of, gate.none_of)


def cut_values(gate: CutGate, columns: Columns, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.floating[Any]]:
    """The numbers a cut compares with its threshold, for some rows."""
    values = columns[gate.channel][rows]
    if gate.tilt:
        ((other, slope),) = gate.tilt.items()
        return project(values, columns[other][rows], slope)
    return values


def _estimate_cut(gate: CutGate, columns: Columns, parent: Mask, masks: Mapping[str, Mask], n: int) -> Placement:
    rows = np.asarray(thinned(np.flatnonzero(parent)))
    density = estimate_density(cut_values(gate, columns, rows))
    base = Placement(gate.name, Nothing(), "ok", "sample", "", "", n, curve=density.curve())

    def placed(threshold: float, source: Source, how: str, why: str, state: State = "ok") -> Placement:
        parameters = {"threshold": threshold}
        shape = build_shape(gate, parameters, columns)
        return replace(base, shape=shape, state=state, source=source, how=how, why=why, parameters=parameters)

    if gate.estimator == "fixed":
        return placed(gate.fallback, "default", "fixed", "the panel fixes this threshold")
    if density.n < gate.min_events:
        where = gate.estimate_in or gate.parent
        why = f"{density.n} events in {where}, an estimate needs {gate.min_events}; the panel's fallback stands"
        return placed(gate.fallback, "fallback", "fallback", why, "insufficient_parent")
    if gate.estimator == "negative_quantile" and gate.negative is not None:
        negative = masks.get(gate.negative)
        reference = np.empty(0, np.intp) if negative is None else np.flatnonzero(negative)
        if len(reference) < gate.min_events:
            why = f"{len(reference)} events in the negative population {gate.negative}; the panel's fallback stands"
            return placed(gate.fallback, "fallback", "fallback", why, "insufficient_parent")
        level = float(np.nanquantile(cut_values(gate, columns, np.asarray(thinned(reference))), gate.quantile))
        threshold = min(max(level, gate.bounds[0]), gate.bounds[1])
        why = f"{100 * gate.quantile:g} % quantile of {gate.negative}" + _at_bound(level, threshold)
        return placed(threshold, "sample", "negative_quantile", why)
    if gate.estimator == "offset":
        level = (mode(density) or 0.0) + gate.offset_decades / LOGICLE_M
        threshold = min(max(level, gate.bounds[0]), gate.bounds[1])
        why = f"{gate.offset_decades:+g} decades from the mode of {gate.estimate_in or gate.parent}"
        return placed(threshold, "sample", "offset", why + _at_bound(level, threshold))
    found = None
    if gate.estimator != "edge":
        found = (two_normals if gate.estimator == "mixture" else valley)(density, gate.bounds)
    if found is not None:
        why = "the two populations cross here" if gate.estimator == "mixture" else "deepest valley within the bounds"
        return placed(found, "sample", gate.estimator, why)
    edge = edge_of_peak(
        density, gate.bounds, upper=gate.peak == "negative", n_sd=gate.n_sd, facing=gate.flank == "towards"
    )
    if edge is not None:
        start = "" if gate.estimator == "edge" else "no valley within the bounds: "
        why = f"{start}{gate.n_sd:g} robust standard deviations from the {gate.peak} peak"
        return placed(edge, "sample", "edge", why + (", held at a bound" if edge in gate.bounds else ""))
    return placed(gate.fallback, "fallback", "fallback", "neither a valley nor a peak to start from")


def _at_bound(level: float, threshold: float) -> str:
    return "" if level == threshold else ", held at a bound"


def snap(threshold: float, values: npt.NDArray[np.floating[Any]]) -> float:
    """Move a threshold into the middle of the widest gap between events nearby.

    Other software computes compensation and logicle in its own arithmetic, which differs in the seventh digit. A
    threshold in a gap wider than that gives the same events everywhere.
    """
    near = values[(values > threshold - SNAP) & (values < threshold + SNAP)].astype(np.float64)
    edges = np.unique(np.concatenate([near, [threshold - SNAP, threshold + SNAP]]))
    gaps = np.diff(edges)
    widest = gaps.max()
    # Of equally wide gaps the one nearest the threshold, so that an empty surrounding leaves it where it was.
    middles = edges[:-1] + gaps / 2
    candidates = middles[gaps >= 0.999 * widest]
    return float(candidates[np.argmin(np.abs(candidates - threshold))])

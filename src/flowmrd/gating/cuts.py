"""Placing a cut: the threshold of one channel is estimated on the panel scale and converted to the stored scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.gating.density import (
    MAX_EVENTS,
    Density,
    edge_of_peak,
    estimate_density,
    medians_beside,
    mode,
    thinned,
    two_normals,
    valley,
)
from flowmrd.gating.panel_scale import STORED, PanelScale
from flowmrd.gating.placement import Placement, Source, State
from flowmrd.gating.shapes import Columns, HalfPlane, Rectangle, project
from flowmrd.panel.gates import CutGate
from flowmrd.preprocess.quality.margins import clip_edge
from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.records.gates import CurveEntry
from flowmrd.units import LOGICLE_M

__all__ = ["estimate_cut", "frozen_cut", "moved_cut", "own_cut", "snap", "snapped", "stored_cut"]

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.floating[Any]]

SNAP: Final = 5e-4
"""A threshold may move this far (0.002 decades) into the widest gap between events; see :func:`snap`."""


CURVE_EVENTS: Final = 20_000
"""Events that a density is drawn from where the threshold was found elsewhere."""

PEAK: Final = "peak"
"""Number of an ``own_tube`` cut beside its threshold: the mode of the cells above it, panel scale."""

DIMMER: Final = 0.12
"""A tube's stain is looked for down to this much below that of the controls, panel scale: half a decade."""

ABOVE_PRIOR: Final = 0.07
"""A valley of the tube may lie this far above the controls' threshold that moved with the cells: 0.3 decades."""

BELOW_CELLS: Final = 0.3
"""A valley this far below the peak of the cells, panel scale (1.35 decades), lies below the dimmest of them as well:
leukaemias have down to a tenth of the usual stain."""


@dataclass(frozen=True)
class _Found:
    """A threshold on the panel scale and how it came about."""

    threshold: float
    source: Source
    how: str
    why: str
    state: State = "ok"


def estimate_cut(
    gate: CutGate, columns: Columns, within: Mask, masks: Mapping[str, Mask], panel_scale: PanelScale = STORED
) -> Placement:
    """Place a cut on the tube's own events.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale as stored, shape (n_events,) each.
    within
        Analysable events that the estimate looks at.
    masks
        Masks of the gates placed before, for estimators that use another population.
    panel_scale
        Conversion between the stored columns and the panel scale.
    """
    density = _density(gate, columns, within, panel_scale)
    found = _threshold(gate, columns, density, masks, panel_scale)
    placed = _placed(gate, found.threshold, within, panel_scale)
    curve = _curve(gate, density, found.threshold, panel_scale)
    nominal = placed.nominal
    if gate.own_tube:
        nominal = {**nominal, PEAK: _peak_above(density, min(found.threshold, gate.bounds[1]))}
    return replace(
        placed, state=found.state, source=found.source, how=found.how, why=found.why, curve=curve, nominal=nominal
    )


def own_cut(
    gate: CutGate,
    prior: Mapping[str, float],
    columns: Columns,
    within: Mask,
    masks: Mapping[str, Mask],
    panel_scale: PanelScale,
    label: str,
) -> Placement:
    """Place a cut of ``own_tube`` where there are controls: the tube's own valley, else the controls' threshold.

    The controls' threshold is moved with the peak of the cells, because the stain varies between tubes and the distance
    of the valley from the cells does not. A valley :data:`ABOVE_PRIOR` or more above it is one between kinds of cells,
    unless it lies :data:`BELOW_CELLS` or more below them and not above the controls' threshold: events without the
    stain are equally dark in every tube.

    Parameters
    ----------
    prior
        ``threshold`` and ``peak`` of the controls, panel scale.
    label
        Name of the reference for the record.
    within, masks
        Events that the estimate looks at, and masks of the gates placed before; each of shape (n_events,).
    """
    own = estimate_cut(gate, columns, within, masks, panel_scale)
    expected, far = prior["threshold"], -np.inf
    if own.state == "ok" and PEAK in prior:
        density = _density(gate, columns, within, panel_scale)
        # The peak of other cells above a valley must not be taken for the peak of the cells.
        peak = _peak_above(density, max(prior["threshold"] - DIMMER, gate.bounds[0]))
        expected += peak - prior[PEAK]
        far = min(peak - BELOW_CELLS, prior["threshold"])
    expected = min(max(expected, gate.bounds[0]), gate.bounds[1])
    if own.how == gate.estimator and own.nominal["threshold"] <= max(expected + ABOVE_PRIOR, far):
        return own
    moved = (expected - prior["threshold"]) * LOGICLE_M
    placed = _placed(gate, expected, within, panel_scale)
    why = f"no valley of this tube's own near it: threshold of {label}, moved by {moved:+.2f} decades with the cells"
    return replace(
        placed,
        state=own.state,
        source="sample-shift",
        how="reference",
        why=why,
        shift=moved,
        curve=_curve(gate, _density(gate, columns, within, panel_scale, CURVE_EVENTS), expected, panel_scale),
    )


def _peak_above(density: Density, threshold: float) -> float:
    """Mode of the events above a threshold; the threshold itself where there are none."""
    above = np.where(density.grid > threshold, density.smooth, 0.0)
    return float(density.grid[int(np.argmax(above))]) if above.any() else threshold


def frozen_cut(
    gate: CutGate, threshold: float, columns: Columns, within: Mask, panel_scale: PanelScale, *, explain: bool
) -> Placement:
    """Place a cut at a threshold of the panel scale that was found elsewhere; the caller sets source and reason.

    Parameters
    ----------
    within
        Analysable events that the density is drawn from, shape (n_events,).
    """
    placed = _placed(gate, threshold, within, panel_scale)
    if not explain:
        return placed
    return replace(
        placed, curve=_curve(gate, _density(gate, columns, within, panel_scale, CURVE_EVENTS), threshold, panel_scale)
    )


def _placed(gate: CutGate, threshold: float, within: Mask, panel_scale: PanelScale) -> Placement:
    shape = stored_cut(gate, threshold, panel_scale)
    return Placement(
        gate.name,
        shape,
        "ok",
        "sample",
        "",
        "",
        int(np.count_nonzero(within)),
        {"threshold": _threshold_of(shape)},
        nominal={"threshold": threshold},
    )


def stored_cut(gate: CutGate, threshold: float, panel_scale: PanelScale) -> Rectangle | HalfPlane:
    """Geometry of a cut for a threshold on the panel scale."""
    if gate.tilt:
        ((other, lean),) = gate.tilt.items()
        slope, start, bends = panel_scale.line_from_panel(gate.channel, other, lean, threshold)
        return HalfPlane(gate.channel, other, slope, start, gate.side == "above", bends)
    return _half_line(gate, panel_scale.from_panel(gate.channel, threshold))


def _half_line(gate: CutGate, threshold: float) -> Rectangle:
    low, high = (threshold, None) if gate.side == "above" else (None, threshold)
    return Rectangle(((gate.channel, low, high),))


def moved_cut(gate: CutGate, shape: Rectangle | HalfPlane, threshold: float) -> Rectangle | HalfPlane:
    """The same cut with another threshold on the stored scale."""
    return replace(shape, threshold=threshold) if isinstance(shape, HalfPlane) else _half_line(gate, threshold)


def _threshold_of(shape: Rectangle | HalfPlane) -> float:
    if isinstance(shape, HalfPlane):
        return shape.threshold
    ((_, low, high),) = shape.ranges
    return float((high if low is None else low) or 0.0)


def _panel_values(gate: CutGate, columns: Columns, rows: npt.NDArray[np.intp], panel_scale: PanelScale) -> Values:
    """The numbers that a cut compares with its threshold, on the panel scale."""
    values = panel_scale.to_panel(gate.channel, columns[gate.channel][rows])
    if gate.tilt:
        ((other, slope),) = gate.tilt.items()
        return project(values, panel_scale.to_panel(other, columns[other][rows]), slope)
    return values


def _density(gate: CutGate, columns: Columns, within: Mask, panel_scale: PanelScale, most: int = MAX_EVENTS) -> Density:
    return estimate_density(_panel_values(gate, columns, sampled_rows(len(within), within, most), panel_scale))


def _curve(gate: CutGate, density: Density, threshold: float, panel_scale: PanelScale) -> CurveEntry:
    """The density with the threshold and its bounds, on the stored scale; a leaning cut's on its own axis."""
    x, y = density.curve()
    marks = [threshold, *gate.bounds]
    if not gate.tilt:
        x = [round(panel_scale.from_panel(gate.channel, value), 4) for value in x]
        marks = [panel_scale.from_panel(gate.channel, mark) for mark in marks]
    bounds = tuple(round(mark, 4) for mark in marks[1:])
    return CurveEntry(x=tuple(x), y=tuple(y), threshold=round(marks[0], 4), bounds=bounds)


def _threshold(
    gate: CutGate, columns: Columns, density: Density, masks: Mapping[str, Mask], panel_scale: PanelScale
) -> _Found:
    where = gate.estimate_in or gate.parent
    if gate.estimator == "fixed":
        return _Found(gate.fallback, "default", "fixed", "the panel fixes this threshold")
    if gate.estimator == "top":
        top = float(panel_scale.to_panel(gate.channel, np.array([clip_edge(columns[gate.channel])]))[0])
        return _Found(top, "default", "top", "events clipped at the top of the channel")
    if density.n < gate.min_events:
        why = f"{density.n} events in {where}, an estimate needs {gate.min_events}; the panel's fallback stands"
        return _Found(gate.fallback, "fallback", "fallback", why, "insufficient_parent")
    if gate.estimator == "negative_quantile":
        return _negative_quantile(gate, columns, masks, panel_scale)
    if gate.estimator == "offset":
        return _offset(gate, density, where)
    bounds = gate.bounds
    origin = _origin(gate, columns, masks, panel_scale)
    if origin is not None and gate.window_decades is not None:
        low, high = (origin + end / LOGICLE_M for end in gate.window_decades)
        bounds = (max(low, bounds[0]), min(high, bounds[1]))
    if gate.estimator != "edge" and bounds[0] < bounds[1]:
        found = (two_normals if gate.estimator == "mixture" else valley)(density, bounds)
        if found is not None and gate.estimator == "between":
            return _between(gate, density, found, origin)
        if found is not None:
            what = {"mixture": "the two populations cross here"}.get(gate.estimator, "deepest valley within the bounds")
            return _Found(found, "sample", gate.estimator, what)
    start = "" if gate.estimator == "edge" else "no valley within the bounds: "
    if origin is not None:
        level = origin + gate.offset_decades / LOGICLE_M
        threshold = min(max(level, gate.bounds[0]), gate.bounds[1])
        why = f"{start}{gate.offset_decades:+g} decades from the mode of {gate.relative_to}"
        return _Found(threshold, "sample", "offset", why + _at_bound(level, threshold))
    edge = edge_of_peak(
        density, gate.bounds, upper=gate.peak == "negative", n_sd=gate.n_sd, facing=gate.flank == "towards"
    )
    if edge is not None:
        why = f"{start}{gate.n_sd:g} robust standard deviations from the {gate.peak} peak"
        return _Found(edge, "sample", "edge", why + (", held at a bound" if edge in gate.bounds else ""))
    return _Found(gate.fallback, "fallback", "fallback", "neither a valley nor a peak to start from")


def _between(gate: CutGate, density: Density, valley_at: float, origin: float | None) -> _Found:
    lower, upper = medians_beside(density, valley_at)
    upper = upper if origin is None else origin
    level = lower + gate.share * (upper - lower)
    why = f"{100 * gate.share:g} % of the way from {lower:.3f} to {upper:.3f}, the centres of the two populations"
    if level > valley_at:
        level, why = valley_at, f"{why}, and not beyond the valley at {valley_at:.3f}"
    threshold = min(max(level, gate.bounds[0]), gate.bounds[1])
    return _Found(threshold, "sample", "between", why + _at_bound(level, threshold))


def _negative_quantile(gate: CutGate, columns: Columns, masks: Mapping[str, Mask], panel_scale: PanelScale) -> _Found:
    negative = masks.get(gate.negative or "")
    rows = np.empty(0, np.intp) if negative is None else np.flatnonzero(negative)
    if len(rows) < gate.min_events:
        why = f"{len(rows)} events in the negative population {gate.negative}; the panel's fallback stands"
        # A tube with hardly any such events has none to tell from its cells: the fallback is no makeshift there.
        return _Found(gate.fallback, "fallback", "fallback", why, "ok" if gate.own_tube else "insufficient_parent")
    level = float(np.nanquantile(_panel_values(gate, columns, thinned(rows), panel_scale), gate.quantile))
    threshold = min(max(level, gate.bounds[0]), gate.bounds[1])
    why = f"{100 * gate.quantile:g} % quantile of {gate.negative}" + _at_bound(level, threshold)
    return _Found(threshold, "sample", "negative_quantile", why)


def _offset(gate: CutGate, density: Density, where: str) -> _Found:
    level = (mode(density) or 0.0) + gate.offset_decades / LOGICLE_M
    threshold = min(max(level, gate.bounds[0]), gate.bounds[1])
    why = f"{gate.offset_decades:+g} decades from the mode of {where}" + _at_bound(level, threshold)
    return _Found(threshold, "sample", "offset", why)


def _origin(gate: CutGate, columns: Columns, masks: Mapping[str, Mask], panel_scale: PanelScale) -> float | None:
    """Mode of the population that the search window is measured from; None where it is too small or not asked for."""
    if gate.relative_to is None or gate.relative_to not in masks:
        return None
    rows = sampled_rows(len(masks[gate.relative_to]), masks[gate.relative_to], MAX_EVENTS)
    if len(rows) < gate.min_events:
        return None
    return mode(estimate_density(_panel_values(gate, columns, rows, panel_scale)))


def _at_bound(level: float, threshold: float) -> str:
    return "" if level == threshold else ", held at a bound"


def snapped(gate: CutGate, placement: Placement, columns: Columns) -> tuple[Placement, Mask | None]:
    """The same cut with its threshold in a gap between events, on the scale as stored.

    Returns
    -------
    placement, inside
        ``inside``: events on the chosen side, shape (n_events,), where they had to be computed anyway.
    """
    shape = placement.shape
    if "threshold" not in placement.parameters or placement.how == "top":
        return placement, None
    assert isinstance(shape, Rectangle | HalfPlane)  # noqa: S101 - cuts have no other shape
    projected = shape.project(columns) if isinstance(shape, HalfPlane) else None
    threshold = snap(placement.parameters["threshold"], columns[gate.channel] if projected is None else projected)
    moved = moved_cut(gate, shape, threshold)
    inside = moved.side(projected) if isinstance(moved, HalfPlane) and projected is not None else None
    return replace(placement, shape=moved, parameters={"threshold": threshold}), inside


def snap(threshold: float, values: npt.NDArray[np.floating[Any]]) -> float:
    """Move a threshold into the middle of the widest gap between events nearby.

    Other software computes compensation and logicle in its own arithmetic, which differs in the seventh digit. A
    threshold in a gap wider than that gives the same events everywhere.

    Parameters
    ----------
    values
        Values that the threshold is compared with, on its scale, shape (n_events,).
    """
    near = values[(values > threshold - SNAP) & (values < threshold + SNAP)].astype(np.float64)
    edges = np.unique(np.concatenate([near, [threshold - SNAP, threshold + SNAP]]))
    gaps = np.diff(edges)
    widest = gaps.max()
    # Of equally wide gaps the one nearest the threshold, so that an empty surrounding leaves it where it was.
    middles = edges[:-1] + gaps / 2
    candidates = middles[gaps >= 0.999 * widest]
    return float(candidates[np.argmin(np.abs(candidates - threshold))])

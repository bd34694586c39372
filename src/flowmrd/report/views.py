"""The plots of a page: the panel's gates in order, then the MRD cells on the markers that set them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flowmrd.gating.shapes import HalfPlane, shape_from_record
from flowmrd.records.gates import EllipseShape, GateEntry, ShapeEntry, channels_of
from flowmrd.report import formatting
from flowmrd.report.charts.description import Outline, Point
from flowmrd.report.density import HIGH, LOW
from flowmrd.report.gate_labels import with_marks
from flowmrd.report.page_tube import PageTube

_SIDE_SCATTER = ("SSC-A", "SSC-H")
_PARTNERS = ("CD45", "FSC-A")
_PULSE = ("FSC-A", "FSC-H", "FSC-W", "SSC-W")


@dataclass
class View:
    """One plot.

    Attributes
    ----------
    parent
        Gate whose events make the density; ``root`` are all analysable events.
    outlines
        Their borders on the 0..1 scale.
    """

    id: str
    title: str
    parent: str
    x: str
    y: str
    gates: list[str] = field(default_factory=list)
    outlines: list[Outline] = field(default_factory=list)


def gate_views(tube: PageTube, placed: Mapping[str, GateEntry]) -> list[View]:
    """Plots of the gate tree, parents before children; gates on the same axes of the same parent share a plot.

    Parameters
    ----------
    placed
        Gate name to its record in ``gates.json``, which holds the gate's actual place in this tube, including
        overrides.
    """
    views: dict[tuple[str, str, str], View] = {}
    partners = _paired(tube, placed)
    titles = tube.titles
    parents = {gate.name: gate.parent for gate in tube.panel.gates}
    for name in tube.gate_names:
        entry = placed.get(name)
        parent = entry.parent if entry is not None else parents.get(name, "root")
        axes = partners.get(name) or (None if entry is None else _axes(entry.shape, tube))
        if entry is None or axes is None or parent not in {"root", *tube.gate_names}:
            continue
        view = views.setdefault((parent, *axes), View(f"plot-{len(views) + 1}", "", parent, *axes))
        view.gates.append(name)
        view.outlines.extend(outlines(entry.shape, *axes, label=name))
    for view in views.values():
        view.title = ", ".join(formatting.clip(titles.get(name, name), 160) for name in view.gates)
        several = len(view.gates) > 1
        view.outlines = with_marks(
            view.outlines, [str(view.gates.index(item.label) + 1) if several else "" for item in view.outlines]
        )
        if len(view.gates) > 2:
            view.title = f"{view.x} and {view.y}: {len(view.gates)} gates"
    return list(views.values())


def mrd_views(tube: PageTube, markers: Sequence[str], start: int) -> list[View]:
    """Plots of the B lineage on pairs of the markers that set the MRD cells apart, most distinctive first."""
    parent = "b_lineage" if "b_lineage" in tube.gate_names else "root"
    usable = [marker for marker in dict.fromkeys(markers) if marker in tube.channels]
    pairs = [(usable[index], usable[index + 1]) for index in range(0, len(usable) - 1, 2)][:3]
    return [
        View(f"plot-{start + index}", f"MRD cells on {x} and {y}", parent, x, y) for index, (x, y) in enumerate(pairs)
    ]


def _paired(tube: PageTube, placed: Mapping[str, GateEntry]) -> dict[str, tuple[str, str]]:
    """Axes of gates that cut one marker; two such gates of one parent share a plot of both markers."""
    waiting: dict[str, list[tuple[str, str]]] = {}
    for name in tube.gate_names:
        record = placed.get(name)
        channels = list(record.shape.ranges) if record is not None and record.shape.type == "rectangle" else []
        if (
            record is not None
            and len(channels) == 1
            and channels[0] in tube.channels
            and channels[0] not in {*_SIDE_SCATTER, *_PULSE}
        ):
            waiting.setdefault(record.parent, []).append((name, channels[0]))
    axes: dict[str, tuple[str, str]] = {}
    for gates in waiting.values():
        markers = list(dict.fromkeys(channel for _, channel in gates))
        for x, y in zip(markers[::2], markers[1::2], strict=False):
            axes.update({name: (x, y) for name, channel in gates if channel in (x, y)})
    return axes


def _axes(shape: ShapeEntry, tube: PageTube) -> tuple[str, str] | None:
    """The two channels a shape is shown on, or None for shapes without a border of their own."""
    present = [name for name in channels_of(shape) if name in tube.channels]
    if not present:
        return None
    if len(present) == 1:
        only = present[0]
        candidates = _PARTNERS if only in _SIDE_SCATTER else (*_SIDE_SCATTER, *_PARTNERS)
        partner = next((name for name in candidates if name in tube.channels and name != only), None)
        if partner is None:
            return None
        present.append(partner)
    x, y = present[:2]
    return (y, x) if x in _SIDE_SCATTER else (x, y)


def outlines(shape: ShapeEntry, x: str, y: str, *, label: str) -> list[Outline]:
    """Borders of a placed shape on two axes, cut to the plot."""
    if shape.type == "rectangle":
        return _rectangle(shape.ranges, x, y, label)
    if shape.type == "halfplane":
        cut = shape_from_record(shape)
        assert isinstance(cut, HalfPlane)  # noqa: S101 - that is what the type says
        places = [LOW, *(at for at, _ in cut.bends if LOW < at < HIGH), HIGH]
        ends: list[Point] = [(cut.edge(at), at) for at in places]
        side = {"above": 1.0, "below": -1.0}[shape.side]
        if shape.x == x:
            return [Outline(tuple(ends), False, label, (side, -side * cut.slope))]
        return [Outline(tuple((b, a) for a, b in ends), False, label, (-side * cut.slope, side))]
    if shape.type == "polygon":
        corners = list(shape.vertices)
        clipped = clip_to_plot(corners if shape.x == x else [(b, a) for a, b in corners])
        return [Outline(tuple(clipped), True, label)] if clipped else []
    if shape.type == "ellipse":
        return _ellipse(shape, x, y, label)
    return []


def _rectangle(ranges: Mapping[str, tuple[float | None, float | None]], x: str, y: str, label: str) -> list[Outline]:
    """A closed box where both axes are bounded, else the lines of the bounded one."""

    (x0, x1), (y0, y1) = ranges.get(x, (None, None)), ranges.get(y, (None, None))
    if (y0, y1) == (None, None):
        bounds = ((x0, (1.0, 0.0)), (x1, (-1.0, 0.0)))
        return [Outline(((at, LOW), (at, HIGH)), False, label, way) for at, way in bounds if at is not None]
    if (x0, x1) == (None, None):
        bounds = ((y0, (0.0, 1.0)), (y1, (0.0, -1.0)))
        return [Outline(((LOW, at), (HIGH, at)), False, label, way) for at, way in bounds if at is not None]
    left, right = LOW if x0 is None else x0, HIGH if x1 is None else x1
    bottom, top = LOW if y0 is None else y0, HIGH if y1 is None else y1
    clipped = clip_to_plot([(left, bottom), (right, bottom), (right, top), (left, top)])
    return [Outline(tuple(clipped), True, label)] if clipped else []


def clip_to_plot(corners: Sequence[Point]) -> list[Point]:
    """Part of a polygon within the plot (Sutherland and Hodgman 1974: clip at one side of the box after the other)."""
    points = list(corners)
    for axis, bound, keep_above in ((0, LOW, True), (0, HIGH, False), (1, LOW, True), (1, HIGH, False)):
        result: list[Point] = []
        for index, point in enumerate(points):
            before = points[index - 1]
            inside = (point[axis] >= bound) == keep_above or point[axis] == bound
            was_inside = (before[axis] >= bound) == keep_above or before[axis] == bound
            if inside != was_inside:
                share = (bound - before[axis]) / (point[axis] - before[axis])
                crossing = [before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])]
                crossing[axis] = bound
                result.append((crossing[0], crossing[1]))
            if inside:
                result.append(point)
        points = result
    return points


def _ellipse(shape: EllipseShape, x: str, y: str, label: str) -> list[Outline]:
    """Border of the ellipse's projection onto the two axes."""
    channels = shape.channels
    if x not in channels or y not in channels:
        return []
    chosen = [channels.index(x), channels.index(y)]
    mean = np.asarray(shape.mean, dtype=np.float64)[chosen]
    covariance = np.asarray(shape.covariance, dtype=np.float64)[np.ix_(chosen, chosen)]
    values, vectors = np.linalg.eigh(covariance)
    angles = np.linspace(0, 2 * math.pi, 49)[:-1]
    radii = np.sqrt(np.maximum(values, 0) * shape.distance_squared)
    points = (vectors @ (np.stack([np.cos(angles), np.sin(angles)]) * radii[:, None])).T + mean
    clipped = clip_to_plot([(float(a), float(b)) for a, b in points])
    return [Outline(tuple(clipped), True, label)] if clipped else []

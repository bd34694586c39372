"""MRD, its interval and the limits of the tube on a log10 axis, against the target, 10⁻⁴ and 10⁻⁵.

Two layouts of the same chart: one with the names beside the bars, one with the names above them for a narrow window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from flowmrd.report import formatting
from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import Bar, Chart, Label, Layer, Outline, Points, Role, Room
from flowmrd.report.charts.svg import to_svg

_LOW, _HIGH = -7, 0
_REFERENCE_LINES = (1e-4, 1e-5)


@dataclass(frozen=True)
class _Layout:
    """Size and margins of the chart, distances of the rows from its top (result, LOD, LOQ), and places of the names."""

    width: float
    height: float
    room: Room
    rows: tuple[float, float, float]
    beside: bool
    small: float


_WIDE = _Layout(560.0, 96.0, Room(226.0, 26.0, 14.0, 36.0), (22.0, 56.0, 80.0), beside=True, small=11.5)
_NARROW = _Layout(300.0, 140.0, Room(22.0, 26.0, 18.0, 36.0), (38.0, 82.0, 124.0), beside=False, small=11.0)


@dataclass(frozen=True)
class Levels:
    """The values on the scale, all as fractions; ``None`` where a value is not known."""

    level: float | None
    interval: tuple[float, float] | None
    target: float
    lod: float | None
    loq: float | None
    lod_nominal: float | None = None
    absent: str = formatting.NOT_AVAILABLE
    """Words that are shown where there is no result to draw."""


def draw(levels: Levels, *, narrow: bool = False) -> Markup:
    """The scale for a desktop screen and paper, or (``narrow``) for a telephone."""
    return to_svg(level_chart(levels, narrow=narrow), css="level-scale")


def level_chart(levels: Levels, *, narrow: bool = False) -> Chart:
    """The chart of both layouts: log10 of a fraction across, a row for the result and for each limit."""
    at = _NARROW if narrow else _WIDE
    result, lod, loq = (at.height - row for row in at.rows)
    layers: list[Layer] = [Bar((_log(levels.target), float(_HIGH)), (0.0, at.height), "positive")]
    layers += _axis(at, levels.target)
    layers += _result(at, result, levels)
    layers += _limit(at, lod, "LOD, 95 % power", levels.lod, levels.lod_nominal)
    layers += _limit(at, loq, "LOQ", levels.loq, None)
    layers.append(Outline(((float(_LOW), 0.0), (float(_HIGH), 0.0)), False, role="axis"))
    return Chart(
        "level-scale-narrow" if narrow else "level-scale", "MRD and the limits of the tube",
        Axis("level", "", (), float(_LOW), float(_HIGH)), Axis("row", "", (), 0.0, at.height), tuple(layers),
        size=(at.width, at.height), room=at.room,
    )  # fmt: skip


def _log(value: float) -> float:
    return min(max(math.log10(max(value, 1e-12)), _LOW), _HIGH)


def _axis(at: _Layout, target: float) -> list[Layer]:
    layers: list[Layer] = []
    for power in range(_LOW, _HIGH + 1):
        x = float(power)
        layers.append(Outline(((x, 0.0), (x, at.height)), False, role="grid"))
        if at.beside or power % 2 == 0:
            percent = formatting.percent(10.0**power, 1)
            # The last label has no room to its right.
            last = power == _HIGH
            shift = (at.room.right - 2 if last else 0.0, 12.0)
            layers.append(Label(percent, (x, 0.0), "end" if last else "middle", shift, "faint", at.small))
        label = "1" if power == 0 else "10" + formatting.superscript(power)
        layers.append(Label(f"({label})", (x, 0.0), "middle", (0.0, 27.0), "faint", at.small - 1))
    for value in (target, *(line for line in _REFERENCE_LINES if not math.isclose(line, target))):
        x, is_target = _log(value), value == target
        layers += _beside_names(at, x, "target" if is_target else "reference")
        label = f"target {formatting.percent(value, 1)}" if is_target else formatting.percent(value, 1)
        middle = at.beside or not is_target
        layers.append(Label(label, (x, at.height), "middle" if middle else "start", (0.0, -14.0), size=11.5))
    return layers


NAME_ABOVE = 17.0
"""Distance between a bar and a name above it."""
_NAME_HALF = 9.0


def _beside_names(at: _Layout, x: float, role: Role) -> list[Layer]:
    """A vertical line through the whole chart that leaves out the names above the bars."""
    names = [] if at.beside else sorted(at.height - row + NAME_ABOVE for row in at.rows)
    ends = [0.0, *(end for y in names for end in (y - _NAME_HALF, y + _NAME_HALF)), at.height]
    return [
        Outline(((x, low), (x, high)), False, role=role)
        for low, high in zip(ends[::2], ends[1::2], strict=True)
        if high > low
    ]


def _name(at: _Layout, y: float, name: str, value: str, *, known: bool) -> list[Layer]:
    left, css = float(_LOW), "strong" if known else "faint"
    if at.beside:
        return [
            Label(name, (left, y), "end", (-96.0, 0.0)),
            Label(value, (left, y), "end", (-12.0, 0.0), css, 12.0 if known else 11.0),
        ]
    both = f"{name}: {value}" if value else name
    return [Label(both, (left, y), "start", (2.0, -NAME_ABOVE), "halo")]


def _result(at: _Layout, y: float, levels: Levels) -> list[Layer]:
    left = float(_LOW)
    if at.beside:
        layers: list[Layer] = [Label("MRD, 95 % interval", (left, y), "end", (-12.0, 0.0))]
    else:
        layers = _name(at, y, "MRD, 95 % interval", "", known=True)
    if levels.interval is None:
        return [*layers, Label(levels.absent, (left, y), "start", (6.0, 0.0), "faint halo", 11.0)]
    low, high = levels.interval
    layers.append(Outline(((_log(low) if low > 0 else left, y), (_log(high), y)), False, "95 %", role="interval"))
    if low <= 0 or math.log10(low) < _LOW:
        layers.append(Points("below the scale", "unlimited", ((left, y),)))
    if levels.level:
        layers.append(Points("MRD", "answer", ((_log(levels.level), y),)))
    return layers


def _limit(at: _Layout, y: float, name: str, limit: float | None, nominal: float | None) -> list[Layer]:
    if limit is None:
        return _name(at, y, name, formatting.NOT_AVAILABLE, known=False)
    layers = _name(at, y, name, formatting.percent(limit), known=True)
    layers.append(Outline(((_log(limit), y), (float(_HIGH), y)), False, name, role="measurable"))
    layers.append(Points(name, "limit_end", ((_log(limit), y),)))
    if nominal:
        layers.append(Points(f"{name}, nominal", "nominal", ((_log(nominal), y),)))
    return layers

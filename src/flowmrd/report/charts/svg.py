"""A chart as inline SVG, for paper, for pages without scripts, and until the figure has been drawn."""

from __future__ import annotations

import base64
from typing import Final

from markupsafe import Markup, escape

from flowmrd.report import svg
from flowmrd.report.charts.description import (
    STYLES,
    Area,
    Band,
    Bar,
    CellMarks,
    Chart,
    CountGrid,
    Interval,
    Label,
    Layer,
    Outline,
    Point,
    Points,
    Room,
    Style,
)
from flowmrd.report.density import picture

LEFT, BOTTOM, TOP, RIGHT = 52.0, 42.0, 10.0, 18.0
TITLE: Final = 27.0
"""Width of an upright title with the space on both sides, CSS pixels."""
TICK_LETTER: Final = 6.7
"""Width of a letter of a tick, CSS pixels: a tick of four letters needs more room than ``LEFT``."""
POWERS: Final = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
"""Raised letters, which take half that width."""
"""Room beside the plot; letters of the widest usual fonts (Noto, DejaVu) have room in it."""


def to_svg(chart: Chart, *, css: str = "gate-still") -> Markup:
    """Draw a chart. The same chart gives the same bytes; every text is escaped."""
    draw = _Canvas(chart)
    hatched = [layer.role for layer in chart.layers if isinstance(layer, Bar) and layer.hatched]
    parts = [_hatching(chart.id, STYLES[hatched[0]].colour)] if hatched else []
    for layer in chart.layers:
        parts += draw.layer(layer)
    parts += draw.frame()
    for layer in chart.layers:
        if isinstance(layer, Outline) and layer.mark is not None:
            x, y = draw.place(layer.mark.at)
            parts.append(
                f'<text x="{_n(x)}" y="{_n(y + 4)}" text-anchor="{layer.mark.anchor}" class="halo mark {layer.role}" '
                f'style="font-size:11px">{escape(layer.mark.text)}</text>'
            )
    (width, height), room = chart.size, draw.room
    return svg.drawing(width + room.left + room.right, height + room.top + room.bottom, parts, css=css)


def _hatching(chart: str, colour: str) -> str:
    """The pattern for hatched bars, under a name that only this chart uses; ``var(--fail)`` on ``var(--fail-wash)``."""
    wash = colour.replace(")", "-wash)")
    return (
        f'<defs><pattern id="{escape(chart)}-hatching" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{wash}"/>'
        f'<path d="M0 0v6" stroke="{colour}" stroke-width="1.6"/></pattern></defs>'
    )


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


class _Canvas:
    """Places of one chart's coordinates on the paper."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.width, self.height = chart.size
        bottom = BOTTOM if chart.x.label or any(label for _, label in chart.x.ticks) else TOP
        longest = max((len(label.rstrip(POWERS)) for _, label in chart.y.ticks), default=0)
        left = max(LEFT, TITLE + TICK_LETTER * longest) if chart.y.label else LEFT
        self.room = chart.room or Room(left, TOP, RIGHT, bottom)

    def place(self, point: Point) -> Point:
        """Place of a point on the paper; a point beyond an axis is put at its end."""
        x, y = self.chart.x, self.chart.y
        across = (min(max(point[0], x.low), x.high) - x.low) / (x.high - x.low)
        up = (min(max(point[1], y.low), y.high) - y.low) / (y.high - y.low)
        return (self.room.left + across * self.width, self.room.top + self.height - up * self.height)

    def _beyond(self, point: Point) -> Point:
        """Place of a point on the paper, also outside the axes."""
        x, y = self.chart.x, self.chart.y
        return (
            self.room.left + (point[0] - x.low) / (x.high - x.low) * self.width,
            self.room.top + self.height - (point[1] - y.low) / (y.high - y.low) * self.height,
        )

    def layer(self, layer: Layer) -> list[str]:
        match layer:
            case CountGrid():
                source = "data:image/png;base64," + base64.b64encode(picture(layer.counts)).decode("ascii")
                return [
                    f'<image href="{source}" x="{_n(self.room.left)}" y="{_n(self.room.top)}" width="{_n(self.width)}" '
                    f'height="{_n(self.height)}" preserveAspectRatio="none" class="density"/>'
                ]
            case Outline():
                path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in map(self.place, layer.points))
                style = STYLES[layer.role]
                return [_path(path + ("z" if layer.closed else ""), style, fill="none")]
            case CellMarks():
                return self._dots(layer.still, STYLES[layer.role])
            case Points():
                return self._dots(layer.at, STYLES[layer.role]) + [
                    svg.tip(*self.place(at), 7, text) for at, text in zip(layer.at, layer.texts, strict=False) if text
                ]
            case Interval():
                (x, low), (_, high) = self.place((layer.x, layer.low)), self.place((layer.x, layer.high))
                return [_path(f"M{_n(x)} {_n(low)}V{_n(high)}", STYLES[layer.role], fill="none")]
            case Band():
                top, foot = self.place((0, layer.high))[1], self.place((0, layer.low))[1]
                return [svg.rect(self.room.left, top, self.width, foot - top, "var(--pass-wash)")]
            case Area():
                path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in map(self.place, layer.corners))
                seen = "" if layer.opacity >= 1 else f' fill-opacity="{layer.opacity:.2f}"'
                return [f'<path d="{path}z" fill="{STYLES[layer.role].colour}"{seen}/>']
            case Bar():
                (left, foot), (right, top) = (self.place(at) for at in zip(layer.x, layer.y, strict=True))
                fill = f"url(#{self.chart.id}-hatching)" if layer.hatched else STYLES[layer.role].colour
                return [svg.rect(left, top, right - left, foot - top, fill, opacity=layer.opacity)]
            case Label():
                x, y = self._beyond(layer.at)
                x, y = x + layer.shift[0], y + layer.shift[1]
                if not layer.angle:
                    return [svg.text(x, y + 4, layer.text, anchor=layer.anchor, css=layer.css, size=layer.size)]
                text = svg.text(0, 0, layer.text, anchor=layer.anchor, css=layer.css, size=layer.size)
                return [svg.turned(x, y, layer.angle, text)]

    def _dots(self, points: tuple[Point, ...], style: Style) -> list[str]:
        if not points:
            return []
        sign = _SIGNS.get(style.symbol, _SIGNS["circle"])
        half = style.size / 2 + 0.5
        path = "".join(sign(x, y, half) for x, y in map(self.place, points))
        if style.filled and style.symbol != "x":
            # The edges are drawn first: marks that lie close together must not cover each other with them.
            edge = 'stroke="var(--paper)" stroke-width="1.6" paint-order="stroke"'
            return [f'<path d="{path}" fill="{style.colour}" {edge}/>']
        fill = "var(--paper)" if style.disc else "none"
        return [f'<path d="{path}" fill="{fill}" stroke="{style.colour}" stroke-width="{_n(style.width)}"/>']

    def _names(self) -> list[str]:
        """Texts of the ticks of a chart without a frame."""
        x, y = self.chart.x, self.chart.y
        parts = [
            svg.text(self.room.left - 8, self.place((x.low, at))[1] + 4, name, anchor="end", size=11.5)
            for at, name in y.ticks
        ]
        foot = self.room.top + self.height + 15
        return parts + [
            svg.text(self.place((at, y.low))[0], foot, name, anchor="middle", css="faint", size=11)
            for at, name in x.ticks
        ]

    def frame(self) -> list[str]:
        if self.chart.room is not None:
            return self._names()
        x, y = self.chart.x, self.chart.y
        foot, left = TOP + self.height, self.room.left
        parts = [
            f'<rect x="{_n(left)}" y="{_n(TOP)}" width="{_n(self.width)}" height="{_n(self.height)}" fill="none" '
            'stroke="var(--soft)"/>'
        ]
        for at, label in x.ticks:
            place = self.place((at, y.low))[0]
            parts.append(svg.line(place, foot, place, foot + (5 if label else 3), stroke="var(--soft)"))
            if label:
                parts.append(svg.text(place, foot + 17, label, anchor="middle", css="faint", size=10.5))
        for at, label in y.ticks:
            place = self.place((x.low, at))[1]
            parts.append(svg.line(left - (5 if label else 3), place, left, place, stroke="var(--soft)"))
            if label:
                parts.append(svg.text(left - 7, place + 4, label, anchor="end", css="faint", size=10.5))
        if x.label:
            parts.append(svg.text(left + self.width / 2, foot + BOTTOM - 8, x.label, anchor="middle", size=11.5))
        if y.label:
            turned = svg.text(0, 0, y.label, anchor="middle", size=11.5)
            parts.append(svg.turned(15, TOP + self.height / 2, -90, turned))
        return parts


def _path(path: str, style: Style, *, fill: str) -> str:
    dash = f' stroke-dasharray="{style.dash.replace("px", "")}"' if style.dash else ""
    return f'<path d="{path}" fill="{fill}" stroke="{style.colour}" stroke-width="{_n(style.width)}"{dash}/>'


def _circle(x: float, y: float, r: float) -> str:
    return f"M{_n(x - r)} {_n(y)}a{_n(r)} {_n(r)} 0 1 0 {_n(2 * r)} 0a{_n(r)} {_n(r)} 0 1 0 {_n(-2 * r)} 0"


def _diamond(x: float, y: float, r: float) -> str:
    return f"M{_n(x)} {_n(y - r)}l{_n(r)} {_n(r)}l{_n(-r)} {_n(r)}l{_n(-r)} {_n(-r)}z"


def _square(x: float, y: float, r: float) -> str:
    return f"M{_n(x - r)} {_n(y - r)}h{_n(2 * r)}v{_n(2 * r)}h{_n(-2 * r)}z"


def _triangle(x: float, y: float, r: float) -> str:
    return f"M{_n(x)} {_n(y - r)}l{_n(r)} {_n(1.8 * r)}h{_n(-2 * r)}z"


def _cross(x: float, y: float, r: float) -> str:
    t = r / 3
    return (
        f"M{_n(x - t)} {_n(y - r)}h{_n(2 * t)}v{_n(r - t)}h{_n(r - t)}v{_n(2 * t)}h{_n(t - r)}v{_n(r - t)}"
        f"h{_n(-2 * t)}v{_n(t - r)}h{_n(t - r)}v{_n(-2 * t)}h{_n(r - t)}z"
    )


def _times(x: float, y: float, r: float) -> str:
    return f"M{_n(x - r)} {_n(y - r)}l{_n(2 * r)} {_n(2 * r)}m0 {_n(-2 * r)}l{_n(-2 * r)} {_n(2 * r)}"


def _upright(x: float, y: float, r: float) -> str:
    return f"M{_n(x)} {_n(y - r)}v{_n(2 * r)}"


def _triangle_left(x: float, y: float, r: float) -> str:
    return f"M{_n(x - r)} {_n(y)}l{_n(1.6 * r)} {_n(-r)}v{_n(2 * r)}z"


_SIGNS: Final = {
    "circle": _circle,
    "diamond": _diamond,
    "square": _square,
    "triangle-up": _triangle,
    "cross": _cross,
    "x": _times,
    "line-ns": _upright,
    "triangle-left": _triangle_left,
}

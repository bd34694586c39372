"""Small drawings as inline SVG: they print, need no script and take their colours from the page's theme.

All coordinates are rounded, so the same numbers give the same bytes. All text is escaped here.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from flowmrd.report.axes import Axis
from flowmrd.report.density import HIGH, LOW

Point = tuple[float, float]


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if value == value else "0"


def text(x: float, y: float, content: object, *, anchor: str = "start", css: str = "", size: float = 12) -> str:
    """One line of text."""
    style = f' style="font-size:{_n(size)}px"' if size != 12 else ""
    css = f' class="{css}"' if css else ""
    return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{css}{style}>{escape(content)}</text>'


def line(
    x1: float, y1: float, x2: float, y2: float, *, stroke: str = "var(--line)", width: float = 1, dash: str = ""
) -> str:
    """A straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{stroke}" '
        f'stroke-width="{_n(width)}"{dashed}/>'
    )


def rect(x: float, y: float, width: float, height: float, fill: str, *, opacity: float = 1.0) -> str:
    """A filled rectangle."""
    seen = "" if opacity >= 1 else f' opacity="{opacity:.2f}"'
    return f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" fill="{fill}"{seen}/>'


def turned(x: float, y: float, angle: float, content: str) -> str:
    """A part moved to a point and turned there."""
    return f'<g transform="translate({_n(x)} {_n(y)}) rotate({_n(angle)})">{content}</g>'


def drawing(width: float, height: float, parts: Sequence[str], *, css: str = "") -> Markup:
    """Wrap parts; hidden from assistive technology because every figure has a text summary and a table."""
    return Markup(  # noqa: S704 - texts were escaped by text()
        f'<svg viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}" '
        f'class="{css}" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class Mark:
    """A short text at a border: the gate's number, an arrow to its inside. ``anchor`` is start, middle or end."""

    text: str
    at: Point
    anchor: str


@dataclass(frozen=True)
class Outline:
    """Border of a gate on the two axes of a plot: a closed polygon, or an open line.

    ``label`` is the gate's name, ``inward`` the direction in which a line's inside lies (zero where it is not known).
    """

    points: tuple[Point, ...]
    closed: bool
    label: str = ""
    inward: Point = (0.0, 0.0)
    mark: Mark | None = None


SIZE = 240.0
_LEFT, _BOTTOM, _TOP, _RIGHT = 44.0, 40.0, 8.0, 8.0


def gate_plot(*, png: bytes, x: Axis, y: Axis, outlines: Sequence[Outline], mrd: Sequence[Point]) -> Markup:
    """Density picture with gate borders and MRD events: what the printed page and a page without scripts show."""
    width, height = SIZE + _LEFT + _RIGHT, SIZE + _TOP + _BOTTOM

    def place(point: Point) -> Point:
        return (
            _LEFT + (min(max(point[0], LOW), HIGH) - LOW) / (HIGH - LOW) * SIZE,
            _TOP + SIZE - (min(max(point[1], LOW), HIGH) - LOW) / (HIGH - LOW) * SIZE,
        )

    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    parts = [
        f'<image href="{source}" x="{_n(_LEFT)}" y="{_n(_TOP)}" width="{_n(SIZE)}" height="{_n(SIZE)}" '
        'preserveAspectRatio="none" class="density"/>',
        f'<rect x="{_n(_LEFT)}" y="{_n(_TOP)}" width="{_n(SIZE)}" height="{_n(SIZE)}" fill="none" '
        'stroke="var(--soft)"/>',
    ]
    for at, label in x.ticks:
        px = place((at, 0))[0]
        parts.append(line(px, _TOP + SIZE, px, _TOP + SIZE + (5 if label else 3), stroke="var(--soft)"))
        if label:
            parts.append(text(px, _TOP + SIZE + 17, label, anchor="middle", css="faint", size=10.5))
    for at, label in y.ticks:
        py = place((0, at))[1]
        parts.append(line(_LEFT - (5 if label else 3), py, _LEFT, py, stroke="var(--soft)"))
        if label:
            parts.append(text(_LEFT - 7, py + 4, label, anchor="end", css="faint", size=10.5))
    parts.append(text(_LEFT + SIZE / 2, height - 6, x.label, anchor="middle", size=11.5))
    parts.append(turned(11, _TOP + SIZE / 2, -90, text(0, 0, y.label, anchor="middle", size=11.5)))
    if mrd:
        dots = "".join(f"M{_n(px)} {_n(py)}h0" for px, py in map(place, mrd))
        parts.append(f'<path d="{dots}" class="mrd-halo"/><path d="{dots}" class="mrd-dots"/>')
    for outline in outlines:
        path = "M" + "L".join(f"{_n(px)} {_n(py)}" for px, py in map(place, outline.points))
        parts.append(f'<path d="{path}{"z" if outline.closed else ""}" class="gate-line"/>')
    for outline in outlines:
        if outline.mark is not None:
            mark_x, mark_y = place(outline.mark.at)
            parts.append(
                text(mark_x, mark_y + 4, outline.mark.text, anchor=outline.mark.anchor, css="halo mark", size=11)
            )
    return drawing(width, height, parts, css="gate-still")


def sparkline(values: Sequence[float | None], detected: Sequence[bool], *, target: float) -> Markup:
    """One patient's MRD over the visits on a log axis 1e-6 to 1; hollow marks where nothing was detected."""
    width, height, pad = 118.0, 26.0, 5.0
    low, high = -6.0, 0.0

    def place(index: int, value: float) -> Point:
        step = (width - 2 * pad) / max(1, len(values) - 1)
        level = (min(max(math.log10(max(value, 1e-12)), low), high) - low) / (high - low)
        return (pad + index * step if len(values) > 1 else width / 2, height - pad - level * (height - 2 * pad))

    parts = [line(0, place(0, target)[1], width, place(0, target)[1], stroke="var(--soft)", dash="3 3")]
    known = [(*place(index, value), detected[index]) for index, value in enumerate(values) if value is not None]
    if len(known) > 1:
        path = "M" + "L".join(f"{_n(px)} {_n(py)}" for px, py, _ in known)
        parts.append(f'<path d="{path}" fill="none" stroke="var(--dens)"/>')
    for px, py, seen in known:
        fill = "var(--mrd)" if seen else "var(--paper)"
        parts.append(f'<circle cx="{_n(px)}" cy="{_n(py)}" r="3" fill="{fill}" stroke="var(--mrd)"/>')
    return drawing(width, height, parts, css="spark")

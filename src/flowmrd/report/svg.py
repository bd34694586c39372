"""Small drawings as inline SVG: they print, need no script and take their colours from the page's theme.

All coordinates are rounded, so the same numbers give the same bytes. All text is escaped here.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from flowmrd.report import words
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


def level_scale(
    *,
    level: float | None,
    interval: tuple[float, float] | None,
    target: float,
    lod: float | None,
    loq: float | None,
    lod_nominal: float | None = None,
) -> Markup:
    """MRD, its interval, LOD and LOQ on a log10 axis from one in ten million to one, against 1e-4 and 1e-5."""
    left, right, top = 202.0, 786.0, 58.0
    low, high = -7.0, 0.0

    def x(value: float) -> float:
        return left + (min(max(math.log10(max(value, 1e-12)), low), high) - low) / (high - low) * (right - left)

    parts: list[str] = []
    parts.append(
        f'<rect x="{_n(x(target))}" y="26" width="{_n(right - x(target))}" height="96" fill="var(--fail-wash)"/>'
    )
    for power in range(int(low), int(high) + 1):
        at = x(10.0**power)
        parts.append(line(at, 26, at, 122, stroke="var(--line)"))
        label = "1" if power == 0 else "10" + words.superscript(power)
        parts.append(text(at, 138, label, anchor="middle", css="faint", size=11.5))
        if power < 0:
            shown = words.percent(10.0**power, 1)
            parts.append(text(at, 153, shown, anchor="middle", css="faint", size=10.5))
    marks = [(target, "target", "5 3")]
    if not math.isclose(target, 1e-5):
        marks.append((1e-5, "", "2 3"))
    for value, label, dash in marks:
        parts.append(line(x(value), 22, x(value), 122, stroke="var(--ink)", width=1.4, dash=dash))
        parts.append(text(x(value), 16, f"{label} {words.scientific(value)}".strip(), anchor="middle", size=11.5))
    parts.append(text(left - 12, top - 6, "MRD, 95 % interval", anchor="end"))
    middle = top - 10
    if interval is not None:
        a, b = x(interval[0]) if interval[0] > 0 else left, x(interval[1])
        parts.append(line(a, middle, b, middle, stroke="var(--mrd)", width=5))
        if interval[0] <= 0 or math.log10(interval[0]) < low:
            parts.append(f'<path d="M{_n(left)} {_n(middle)}l9 -6v12z" fill="var(--mrd)"/>')
    if level:
        parts.append(
            f'<path d="M{_n(x(level))} {_n(middle - 9)}l9 9l-9 9l-9 -9z" fill="var(--mrd)" stroke="var(--paper)" '
            'stroke-width="1.5"/>'
        )
    for row, (name, limit) in enumerate((("LOD, 95 % power", lod), ("LOQ", loq))):
        y = 82 + row * 24
        parts.append(text(left - 88, y + 4, name, anchor="end"))
        if limit is None:
            parts.append(text(left - 12, y + 4, words.NOT_AVAILABLE, anchor="end", css="faint"))
            continue
        parts.append(text(left - 12, y + 4, words.scientific(limit), anchor="end", css="strong"))
        parts.append(line(x(limit), y, right, y, stroke="var(--gate)", width=3))
        parts.append(f'<path d="M{_n(x(limit))} {_n(y - 7)}v14" stroke="var(--gate)" stroke-width="3"/>')
        if row == 0 and lod_nominal:
            parts.append(
                f'<circle cx="{_n(x(lod_nominal))}" cy="{_n(y)}" r="3.4" fill="var(--paper)" stroke="var(--gate)" '
                'stroke-width="1.6"/>'
            )
    parts.append(line(left, 122, right, 122, stroke="var(--ink)"))
    return drawing(800, 158, parts, css="level-scale")


@dataclass(frozen=True)
class Outline:
    """Border of a gate on the two axes of a plot: a closed polygon, or an open line.

    ``label`` is the gate's name; ``mark`` its number in the table beside the plot, where a plot holds several gates.
    """

    points: tuple[Point, ...]
    closed: bool
    label: str = ""
    mark: str = ""


SIZE = 240.0
_LEFT, _BOTTOM, _TOP, _RIGHT = 44.0, 40.0, 8.0, 8.0


def gate_plot(
    *, png: bytes, x: Axis, y: Axis, outlines: Sequence[Outline], mrd: Sequence[Point], gate_texts: Sequence[str] = ()
) -> Markup:
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
        placed = [place(point) for point in outline.points]
        if outline.mark:
            end = placed[len(placed) // 2 if outline.closed else -1]
            mark_x = min(max(end[0] - 4, _LEFT + 12), width - 14)
            mark_y = min(max(end[1], _TOP + 13), _TOP + SIZE - 6)
            parts.append(text(mark_x, mark_y, outline.mark, anchor="end", css="halo mark", size=11))
        path = "M" + "L".join(f"{_n(px)} {_n(py)}" for px, py in placed) + ("z" if outline.closed else "")
        parts.append(f'<path d="{path}" class="gate-line"/>')
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

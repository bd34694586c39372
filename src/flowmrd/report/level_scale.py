"""MRD, its interval and the limits of the tube on a log10 axis, against the target, 10⁻⁴ and 10⁻⁵.

Two layouts of the same drawing: one with the names beside the bars, one with the names above them for a narrow window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from flowmrd.report import formatting, svg

_LOW, _HIGH = -7, 0
_REFERENCE_LINES = (1e-4, 1e-5)


@dataclass(frozen=True)
class _Layout:
    width: float
    left: float
    right: float
    beside: bool
    small: float

    def x(self, value: float) -> float:
        level = min(max(math.log10(max(value, 1e-12)), _LOW), _HIGH)
        return self.left + (level - _LOW) / (_HIGH - _LOW) * (self.right - self.left)


_WIDE = _Layout(width=800, left=226, right=786, beside=True, small=11.5)
_NARROW = _Layout(width=340, left=22, right=322, beside=False, small=11)


@dataclass(frozen=True)
class Levels:
    """What the scale shows, all as fractions; ``None`` where a value is not known."""

    level: float | None
    interval: tuple[float, float] | None
    target: float
    lod: float | None
    loq: float | None
    lod_nominal: float | None = None
    absent: str = formatting.NOT_AVAILABLE
    """Words in the place of the result where there is none to draw."""


def draw(levels: Levels, *, narrow: bool = False) -> Markup:
    """The scale, for a desk and for paper, or for a telephone."""
    at = _NARROW if narrow else _WIDE
    top = 26.0
    rows = (48.0, 82.0, 106.0) if at.beside else (64.0, 108.0, 150.0)
    bottom = rows[-1] + 16
    parts = [svg.rect(at.x(levels.target), top, at.right - at.x(levels.target), bottom - top, "var(--fail-wash)")]
    parts += _axis(at, top, bottom, levels.target)
    parts += _result(at, rows[0], levels)
    parts += _limit(at, rows[1], "LOD, 95 % power", levels.lod, levels.lod_nominal)
    parts += _limit(at, rows[2], "LOQ", levels.loq, None)
    parts.append(svg.line(at.left, bottom, at.right, bottom, stroke="var(--ink)"))
    return svg.drawing(at.width, bottom + 36, parts, css="level-scale")


def _axis(at: _Layout, top: float, bottom: float, target: float) -> list[str]:
    parts = []
    for power in range(_LOW, _HIGH + 1):
        x = at.x(10.0**power)
        parts.append(svg.line(x, top, x, bottom))
        if at.beside or power % 2 == 0:
            percent = formatting.percent(10.0**power, 1)
            # The last label has no room to its right.
            side, place = ("end", at.width - 2) if power == _HIGH else ("middle", x)
            parts.append(svg.text(place, bottom + 16, percent, anchor=side, css="faint", size=at.small))
        label = "1" if power == 0 else "10" + formatting.superscript(power)
        parts.append(svg.text(x, bottom + 31, f"({label})", anchor="middle", css="faint", size=at.small - 1))
    for value in (target, *(line for line in _REFERENCE_LINES if not math.isclose(line, target))):
        x, is_target = at.x(value), value == target
        dash = "5 3" if is_target else "2 3"
        parts.append(svg.line(x, top - 4, x, bottom, stroke="var(--ink)", width=1.4, dash=dash))
        label = f"target {formatting.percent(value, 1)}" if is_target else formatting.percent(value, 1)
        parts.append(
            svg.text(x, top - 10, label, anchor="middle" if at.beside or not is_target else "start", size=11.5)
        )
    return parts


def _name(at: _Layout, y: float, name: str, value: str, *, known: bool) -> list[str]:
    css = "strong" if known else "faint"
    if at.beside:
        return [
            svg.text(at.left - 96, y + 4, name, anchor="end"),
            svg.text(at.left - 12, y + 4, value, anchor="end", css=css, size=12 if known else 11),
        ]
    both = f"{name}: {value}" if value else name
    return [svg.text(at.left + 2, y - 13, both, css="halo", size=12)]


def _result(at: _Layout, y: float, levels: Levels) -> list[str]:
    level, interval = levels.level, levels.interval
    if at.beside:
        parts = [svg.text(at.left - 12, y + 4, "MRD, 95 % interval", anchor="end")]
    else:
        parts = _name(at, y, "MRD, 95 % interval", "", known=True)
    if interval is None:
        return [*parts, svg.text(at.left + 6, y + 4, levels.absent, css="faint halo", size=11)]
    start, end = at.x(interval[0]) if interval[0] > 0 else at.left, at.x(interval[1])
    parts.append(svg.line(start, y, end, y, stroke="var(--mrd)", width=5))
    if interval[0] <= 0 or math.log10(interval[0]) < _LOW:
        parts.append(f'<path d="M{at.left:.1f} {y:.1f}l9 -6v12z" fill="var(--mrd)"/>')
    if level:
        parts.append(
            f'<path d="M{at.x(level):.1f} {y - 9:.1f}l9 9l-9 9l-9 -9z" fill="var(--mrd)" stroke="var(--paper)" '
            'stroke-width="1.5"/>'
        )
    return parts


def _limit(at: _Layout, y: float, name: str, limit: float | None, nominal: float | None) -> list[str]:
    if limit is None:
        return _name(at, y, name, formatting.NOT_AVAILABLE, known=False)
    parts = _name(at, y, name, formatting.percent(limit), known=True)
    parts.append(svg.line(at.x(limit), y, at.right, y, stroke="var(--gate)", width=3))
    parts.append(f'<path d="M{at.x(limit):.1f} {y - 7:.1f}v14" stroke="var(--gate)" stroke-width="3"/>')
    if nominal:
        parts.append(
            f'<circle cx="{at.x(nominal):.1f}" cy="{y:.1f}" r="3.4" fill="var(--paper)" stroke="var(--gate)" '
            'stroke-width="1.6"/>'
        )
    return parts

"""Small drawings as inline SVG: they print, need no script and take their colours from the page's theme.

All coordinates are rounded, so the same numbers give the same bytes. All text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

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


def tip(x: float, y: float, radius: float, words: str) -> str:
    """An invisible circle with a tooltip."""
    return (
        f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="transparent"><title>{escape(words)}</title></circle>'
    )


def turned(x: float, y: float, angle: float, content: str) -> str:
    """A part that is moved to a point and rotated there."""
    return f'<g transform="translate({_n(x)} {_n(y)}) rotate({_n(angle)})">{content}</g>'


def drawing(width: float, height: float, parts: Sequence[str], *, css: str = "") -> Markup:
    """One SVG of several parts; hidden from assistive technology, as every figure has a text summary and a table."""
    return Markup(  # noqa: S704 - texts were escaped by text()
        f'<svg viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}" '
        f'class="{css}" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )


def sparkline(values: Sequence[float | None], detected: Sequence[bool], *, target: float) -> Markup:
    """One patient's MRD over the visits, on a log axis from 1e-6 to 1; hollow marks where nothing was detected."""
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

"""How each threshold was found: the density from which it was read, its bounds, and its place.

The curves come from the gate stage (``curve`` of ``gates.json``), so a page shows the density that the estimate used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from markupsafe import Markup

from flowmrd.records.gates import CurveEntry, GateEntry
from flowmrd.report import formatting, svg
from flowmrd.report.assay_record import SOURCES
from flowmrd.report.page_tube import PageTube

_WIDTH, _HEIGHT, _TOP, _BASE = 250.0, 108.0, 6.0, 84.0
_LEFT, _RIGHT = 16.0, 234.0  # room for half a tick label on both sides
_LABEL_GAP = 6.0
_LETTER = 5.6  # width of a letter of a tick label, at its size of 10
_UNIT_TICKS = tuple((value / 5, f"{value / 5:.1f}") for value in range(11))

Ticks = Sequence[tuple[float, str]]


def threshold_figures(tube: PageTube, placed: Mapping[str, GateEntry]) -> list[dict[str, object]]:
    """One figure for every cut whose density was kept, in the order of the tree."""
    titles = {gate.name: gate.title or gate.name.replace("_", " ") for gate in tube.panel.gates}
    figures: list[dict[str, object]] = []
    for name, entry in placed.items():
        curve, shape = entry.curve, entry.shape
        if curve is None or len(curve.x) < 2:
            continue
        channel = next(iter(shape.ranges), "") if shape.type == "rectangle" else getattr(shape, "x", "")
        leaning = shape.type == "halfplane"
        in_raw_units = not leaning and channel in tube.channels
        axis = f"{channel}, leaning with {shape.y}" if shape.type == "halfplane" else channel
        numbers = _numbers(curve, partial(tube.raw, channel) if in_raw_units else None)
        title = titles.get(name, name)
        figures.append(
            {
                "id": f"threshold-{len(figures) + 1}",
                "title": title,
                "axis": axis,
                "drawing": _drawing(curve, tube.axis(channel).ticks if in_raw_units else _UNIT_TICKS),
                "numbers": numbers,
                "summary": f"Density on {axis}. {title}: {numbers}.",
                "source": SOURCES.get(entry.source, entry.source),
                "why": entry.why,
            }
        )
    return figures


def _numbers(curve: CurveEntry, raw: Callable[[float], float | None] | None) -> str:
    """Threshold and bounds in words, in raw units where the channel has them."""
    marks = (curve.threshold, *curve.bounds)
    known = [None if raw is None else raw(mark) for mark in marks]
    if any(value is None for value in known):
        at, low, high = (formatting.number(mark) for mark in marks)
        return f"threshold {at}, bounds {low} to {high} (0 to 1 scale)"
    at, low, high = (formatting.count(value).replace("-", "−") for value in known)
    return f"threshold {at}, bounds {low} to {high}"


def _drawing(curve: CurveEntry, ticks: Ticks) -> Markup:
    """Density as a filled curve, the bounds as a band with dashed edges, the threshold as a line."""
    xs, ys = curve.x, curve.y
    threshold, bounds = curve.threshold, curve.bounds
    low, high = min(*xs, *bounds, threshold), max(*xs, *bounds, threshold)
    span = (high - low) or 1.0

    def across(value: float) -> float:
        return _LEFT + (value - low) / span * (_RIGHT - _LEFT)

    left, right = across(bounds[0]), across(bounds[1])
    rise = _BASE - _TOP - 8
    points = " ".join(f"{across(x):.1f},{_BASE - y * rise:.1f}" for x, y in zip(xs, ys, strict=True))
    parts = [
        svg.rect(left, _TOP, max(right - left, 0.0), _BASE - _TOP, "var(--info-wash)"),
        *(svg.line(edge, _TOP, edge, _BASE, stroke="var(--gate)", dash="3 3") for edge in (left, right)),
        f'<polygon points="{across(xs[0]):.1f},{_BASE:.1f} {points} {across(xs[-1]):.1f},{_BASE:.1f}" '
        'fill="var(--dens)" fill-opacity="0.45" stroke="var(--dens)"/>',
        svg.line(_LEFT, _BASE, _RIGHT, _BASE, stroke="var(--soft)"),
        svg.line(across(threshold), 0, across(threshold), _BASE, stroke="var(--gate)", width=2.2),
    ]
    shown = -_LABEL_GAP  # right end of the last label
    for at, text in ticks:
        if not low <= at <= high:
            continue
        x, half = across(at), len(text) * _LETTER / 2
        parts.append(svg.line(x, _BASE, x, _BASE + (5 if text else 3), stroke="var(--soft)"))
        if text and x - half >= shown + _LABEL_GAP and x + half <= _WIDTH:
            parts.append(svg.text(x, _BASE + 17, text, anchor="middle", css="faint", size=10))
            shown = x + half
    return svg.drawing(_WIDTH, _HEIGHT, parts, css="threshold")

"""How each threshold was found: the density it was read from, the bounds it had to keep, and where it lies.

The curves come from the gate stage (``curve`` of ``gates.json``), so that a page shows what the estimate really saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowmrd.report import svg, words
from flowmrd.report.tube import Tube

WIDTH, HEIGHT, FOOT = 240.0, 96.0, 16.0


def threshold_figures(tube: Tube, placed: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One figure for every cut whose density was kept, in the order of the tree."""
    titles = {gate.name: gate.title or gate.name.replace("_", " ") for gate in tube.panel.gates}
    figures: list[dict[str, Any]] = []
    for name, entry in placed.items():
        curve = entry.get("curve") or {}
        if len(curve.get("x", ())) < 2 or "threshold" not in curve:
            continue
        shape = entry.get("shape") or {}
        channel = str(shape.get("x") or next(iter(shape.get("ranges", {})), ""))
        leaning = shape.get("type") == "halfplane"
        axis = f"{channel}, leaning with {shape.get('y')}" if leaning else channel
        figures.append(
            {
                "id": f"threshold-{len(figures) + 1}",
                "title": titles.get(name, name),
                "axis": axis,
                "drawing": _drawing(curve, () if leaning or channel not in tube.channels else tube.axis(channel).ticks),
                "summary": f"Density on {axis}; threshold {words.number(curve['threshold'])} within the bounds "
                f"{words.number(curve['bounds'][0])} to {words.number(curve['bounds'][1])} of the 0 to 1 scale.",
                "why": str(entry.get("why") or ""),
            }
        )
    return figures


def _drawing(curve: Mapping[str, Any], ticks: tuple[tuple[float, str], ...]) -> Any:
    """Density as a filled curve, the bounds as a band, the threshold as a line; ticks in raw units where known."""
    xs, ys = [float(value) for value in curve["x"]], [float(value) for value in curve["y"]]
    threshold, bounds = float(curve["threshold"]), [float(value) for value in curve["bounds"]]
    low, high = min(*xs, *bounds), max(*xs, *bounds)
    span = (high - low) or 1.0

    def across(value: float) -> float:
        return min(max((value - low) / span, 0.0), 1.0) * WIDTH

    base = HEIGHT - FOOT
    points = " ".join(f"{across(x):.1f},{base - y * (base - 6):.1f}" for x, y in zip(xs, ys, strict=True))
    left, right = across(bounds[0]), across(bounds[1])
    parts = [
        svg.rect(left, 0, max(right - left, 0.0), base, "var(--line)", opacity=0.35),
        f'<polygon points="{across(xs[0]):.1f},{base:.1f} {points} {across(xs[-1]):.1f},{base:.1f}" '
        'fill="var(--dens)" opacity="0.45"/>',
        svg.line(0, base, WIDTH, base),
        svg.line(across(threshold), 0, across(threshold), base, stroke="var(--gate)", width=1.6),
    ]
    for at, text in ticks:
        if text and low <= at <= high:
            parts.append(svg.line(across(at), base, across(at), base + 3))
            parts.append(svg.text(across(at), HEIGHT - 3, text, anchor="middle", size=9))
    return svg.drawing(WIDTH, HEIGHT, parts, css="threshold")

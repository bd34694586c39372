"""Places of the numbers of gate borders on a plot, and arrows that point to the inside of a cut.

A plot may hold several cuts, whose numbers refer to the table below it. A number is moved along its own line until it
covers no other number, so that the numbers of two close cuts stay readable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from flowmrd.report.charts.description import Mark, Outline, Point
from flowmrd.report.density import HIGH, LOW

WIDTH: Final = 0.11
HEIGHT: Final = 0.062
"""Room that a number takes, in units of the 0..1 scale."""
_EDGE: Final = 0.03
_STEP: Final = 0.07


def with_marks(outlines: Sequence[Outline], numbers: Sequence[str]) -> list[Outline]:
    """Outlines with their marks: a number where there is one, an arrow where a line has an inside.

    Parameters
    ----------
    numbers
        Number of every outline's gate; empty where the plot holds one gate only.
    """
    taken: list[Point] = []
    placed = []
    for outline, number in zip(outlines, numbers, strict=True):
        text, anchor, candidates = _candidates(outline, number)
        if not text or not candidates:
            placed.append(outline)
            continue
        at = next((point for point in candidates if not _covers(point, taken)), candidates[0])
        taken.append(at)
        placed.append(replace(outline, mark=Mark(text, at, anchor)))
    return placed


def _covers(point: Point, taken: Sequence[Point]) -> bool:
    return any(abs(point[0] - x) < WIDTH and abs(point[1] - y) < HEIGHT for x, y in taken)


def _candidates(outline: Outline, number: str) -> tuple[str, str, list[Point]]:
    """Text, anchor and possible places, best first."""
    if outline.closed:
        top = max(outline.points, key=lambda point: point[1])
        middle = [sum(point[axis] for point in outline.points) / len(outline.points) for axis in (0, 1)]
        places = [
            (top[0] + share * (middle[0] - top[0]), top[1] + share * (middle[1] - top[1]))
            for share in (0.25, 0.5, 0.75, 1.0)
        ]
        return number, "middle", [_inside(place) for place in places]
    segment = _visible(outline.points[0], outline.points[-1])
    if segment is None:
        return "", "middle", []
    start, end = sorted(segment, key=lambda point: (point[1], point[0]))  # the number stands at the upper or right end
    length = math.dist(start, end)
    steep = abs(end[1] - start[1]) >= abs(end[0] - start[0])
    x, y = outline.inward
    if steep:
        text, anchor, shift = (f"{number}→", "start", (0.015, 0.0)) if x >= 0 else (f"←{number}", "end", (-0.015, 0.0))
    else:
        text, anchor, shift = (f"{number}↑", "end", (0.0, 0.035)) if y >= 0 else (f"{number}↓", "end", (0.0, -0.035))
    if outline.inward == (0.0, 0.0):
        text = number
    places = []
    for index in range(max(1, int(length / _STEP))):
        share = min(1.0, (_EDGE + index * _STEP) / length) if length else 0.0
        places.append(
            _inside((end[0] + share * (start[0] - end[0]) + shift[0], end[1] + share * (start[1] - end[1]) + shift[1]))
        )
    return text, anchor, places


def _inside(point: Point) -> Point:
    return (min(max(point[0], LOW + 0.02), HIGH - 0.02), min(max(point[1], LOW + 0.03), HIGH - 0.03))


def _visible(start: Point, end: Point) -> tuple[Point, Point] | None:
    """Part of a segment within the plot (Liang and Barsky, ACM Trans Graph 1984;3:1-22), or None."""
    low, high = 0.0, 1.0
    for axis in (0, 1):
        step = end[axis] - start[axis]
        for p, q in ((-step, start[axis] - LOW), (step, HIGH - start[axis])):
            if p == 0:
                if q < 0:
                    return None
            elif p < 0:
                low = max(low, q / p)
            else:
                high = min(high, q / p)
    if low > high:
        return None

    def at(share: float) -> Point:
        return (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))

    return at(low), at(high)

"""The patient's visits: MRD with its interval and the limit of detection, visit by visit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from flowmrd.report import formatting, verdict
from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import Chart, Interval, Layer, Mark, Outline, Points
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.page_inputs import Visit

LOW: Final = -6
"""Lowest level that is drawn, log10."""
LETTER: Final = 7.0
"""Width of a letter below a visit, CSS pixels."""
_SIZE: Final = (480.0, 170.0)


@dataclass(frozen=True)
class VisitRow:
    """One visit in words; ``current`` is that of this page."""

    sample: str
    timepoint: str
    current: bool
    short: str
    level: str
    interval: str
    lod: str


def trend_rows(history: Sequence[Visit], current: str) -> list[VisitRow]:
    """Table beside the figure."""
    return [
        VisitRow(
            sample=result.sample,
            timepoint=result.timepoint or result.role,
            current=result.sample == current,
            short=verdict.short(result)[1],
            level=verdict.level(result),
            interval=verdict.span(result.mrd.ci95) if result.mrd.detected else "–",
            lod=formatting.level(result.sensitivity.lod95),
        )
        for result in (visit.result for visit in history)
    ]


def trend_chart(history: Sequence[Visit], target: float) -> Chart:
    """MRD on a log axis, bars for intervals; a hollow diamond at the limit of detection where none was detected."""
    names = max(6, round(_SIZE[0] / max(1, len(history)) / LETTER))
    labels = tuple(
        (float(index), formatting.clip(visit.result.timepoint or visit.result.role, names))
        for index, visit in enumerate(history)
    )
    x = Axis("visit", "", labels, -0.5, len(history) - 0.5)
    powers = range(LOW, 1)
    # The lowest label would be too long for its space, and adds nothing to those above it.
    ticks = tuple((float(n), formatting.percent(10.0**n, 1) if n > LOW else "") for n in powers)
    y = Axis("level", "", ticks, float(LOW), 0.0)
    layers: list[Layer] = [Outline(((x.low, _log(target)), (x.high, _log(target))), False, "target", role="target")]
    measured: list[tuple[float, float, bool, str]] = []
    for index, visit in enumerate(history):
        result, at = visit.result, float(index)
        if result.sensitivity.lod95:
            lod = _log(result.sensitivity.lod95)
            layers.append(Outline(((at - 0.2, lod), (at + 0.2, lod)), False, "limit of detection", role="limit"))
        level, below = result.mrd.fraction, result.mrd.reported.startswith("<")
        if not result.mrd.detected:
            level = result.sensitivity.lod95 if below else None
        if level is None or result.mrd.ci95 is None:
            note = Mark("no result", (at, LOW + 0.2), "middle")
            layers.append(Outline(((at, y.low), (at, y.low)), False, "no result", mark=note, role="course"))
            continue
        low, high = result.mrd.ci95
        if result.mrd.detected:
            layers.append(Interval(at, _log(low), _log(high), "result", f"{result.sample}: 95 % interval"))
        measured.append((at, _log(level), result.mrd.detected, f"{result.sample}: {verdict.level(result)}"))
    if len(measured) > 1:
        layers.append(Outline(tuple((at, level) for at, level, _, _ in measured), False, "course", role="course"))
    for role, found in (("result", True), ("undetected", False)):
        of = [one for one in measured if one[2] is found]
        layers.append(
            Points(
                "detected" if found else "below detection",
                "result" if role == "result" else "undetected",
                tuple((at, level) for at, level, _, _ in of),
                tuple(text for *_, text in of),
            )
        )
    return Chart("visits-chart", "MRD over the visits", x, y, tuple(layers), size=_SIZE)


def trend_figure(history: Sequence[Visit], target: float) -> Markup:
    """The chart of the visits, drawn."""
    return to_svg(trend_chart(history, target), css="trend")


def _log(level: float) -> float:
    return math.log10(max(level, 1e-12))

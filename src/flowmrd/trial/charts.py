"""Charts of the trial page: survival curves, swimmer, waterfall.

Every chart has the same numbers in a table beside it; colour never carries a meaning alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import (
    Area,
    Bar,
    Chart,
    Interval,
    Label,
    Layer,
    Outline,
    Point,
    Points,
    Room,
    row_axis,
)
from flowmrd.trial.result import DAYS_PER_MONTH, Endpoint, PatientLine

__all__ = ["blast_change", "curve_chart", "swimmer_chart", "waterfall_chart"]

REMISSION: Final = ("CR", "CRi")
CURVE_SIZE: Final = (432.0, 220.0)
COURSE_ROOM: Final = Room(120.0, 12.0, 70.0, 46.0)
COURSE_WIDTH, COURSE_ROW = 530.0, 25.0
"""Width of the chart of courses, and height of one patient's row, in CSS pixels."""
LETTER: Final = 9.0
"""Width of the letter beside the line of an event, in CSS pixels."""
CHANGE_SIZE: Final = (636.0, 240.0)
RISE: Final = 1 / 3
"""Height of a rise of the blasts relative to that of a fall of the same size."""
MOST_NAMES: Final = 30
"""Largest number of patients at which the bars of the waterfall have names."""


def curve_chart(endpoint: Endpoint, *, rising: bool = False) -> Chart:
    """Step curve with its pointwise interval, censoring ticks and the numbers at risk.

    Parameters
    ----------
    rising
        A cumulative incidence, which starts at 0, instead of a survival curve, which starts at 1.
    """
    steps = endpoint.curve.steps
    end = max(1.0, steps[-1].time / DAYS_PER_MONTH if steps else 0.0)
    tenths = tuple((tenth / 10, f"{tenth * 10} %") for tenth in range(0, 11, 2))
    initial = 0.0 if rising else 1.0
    line: list[Point] = [(0.0, initial)]
    low: list[Point] = []
    high: list[Point] = []
    value, band = initial, None
    for step in steps:
        at = step.time / DAYS_PER_MONTH
        for ends, level in ((band, value), (step.ci95, step.value)):
            line.append((at, level))
            if ends is not None:
                low.append((at, ends[0]))
                high.append((at, ends[1]))
        value, band = step.value, step.ci95
    layers: list[Layer] = [Outline(((0.0, at), (end, at)), False, role="grid") for at, _ in tenths]
    if low:
        layers.append(Area((*high, *reversed(low)), "curve", opacity=0.13))
    layers.append(Outline(tuple(line), False, endpoint.title, role="curve"))
    censored = [step for step in steps if step.censored]
    layers.append(Points("censored", "censored", tuple((step.time / DAYS_PER_MONTH, step.value) for step in censored)))
    layers.append(Outline(((0.0, 0.0), (end, 0.0)), False, role="axis"))
    layers.append(Label("At risk", (0.0, 0.0), "end", (-20.0, 54.0), "faint"))
    layers += [
        Label(str(patients), (float(month), 0.0), "middle", (0.0, 54.0))
        for month, patients in zip(endpoint.risk_months, endpoint.risk_patients, strict=True)
    ]
    layers.append(Label(f"months since {endpoint.origin}", (end / 2, 0.0), "middle", (0.0, 34.0), "faint"))
    months = tuple((float(month), str(month)) for month in endpoint.risk_months)
    return Chart(
        f"curve-{endpoint.name}-chart",
        endpoint.title,
        Axis("months", "", months, 0.0, end),
        Axis("share", "", tenths, 0.0, 1.0),
        tuple(layers),
        size=CURVE_SIZE,
        room=Room(74.0, 14.0, 14.0, 68.0),
    )


def swimmer_chart(patients: Sequence[PatientLine]) -> Chart:
    """One bar per patient from enrolment to last contact, longest first, with the events written as letters."""
    ordered = sorted(patients, key=lambda line: (-line.last_contact_day, line.patient))
    end = max(1.0, max((line.last_contact_day for line in ordered), default=0) / DAYS_PER_MONTH)
    layers: list[Layer] = []
    for number, line in enumerate(ordered):
        layers += _course(line, len(ordered) - number - 0.5, COURSE_WIDTH / end)
    layers.append(Outline(((0.0, 0.0), (end, 0.0)), False, role="axis"))
    layers.append(Label("months since enrolment", (end / 2, 0.0), "middle", (0.0, 34.0), "faint"))
    months = range(0, int(end) + 1, max(1, math.ceil(end / 8)))
    names = [line.patient if len(line.patient) <= 14 else line.patient[:13] + "…" for line in ordered]
    return Chart(
        "swimmer-chart",
        "Swimmer plot",
        Axis("months", "", tuple((float(month), str(month)) for month in months), 0.0, end),
        row_axis(names) if names else Axis("row", "", (), 0.0, 1.0),
        tuple(layers),
        size=(COURSE_WIDTH, max(len(ordered), 1) * COURSE_ROW),
        room=COURSE_ROOM,
    )


def _course(line: PatientLine, row: float, pixels: float) -> list[Layer]:
    """Bar, remission and events of one patient at a row; ``pixels`` are those of a month."""
    low, high, last = row - 0.32, row + 0.32, line.last_contact_day / DAYS_PER_MONTH
    border = ((0.0, low), (last, low), (last, high), (0.0, high))
    parts: list[Layer] = [Bar((0.0, last), (low, high), "within"), Outline(border, True, role="grid")]
    remission_end = min(day for day in (line.relapse_day, line.death_day, line.last_contact_day) if day is not None)
    if line.response in REMISSION and line.response_day is not None:
        span = (line.response_day / DAYS_PER_MONTH, max(line.response_day, remission_end) / DAYS_PER_MONTH)
        parts.append(Bar(span, (low, high), "remission", opacity=0.35, text=f"{line.patient}: in remission"))
    later = ((line.progression_day, "P"), (line.relapse_day, "R"), (line.transplant_day, "T"))
    marks = sorted((day / DAYS_PER_MONTH, day, letter) for day, letter in later if day is not None)
    lines = [(mark * pixels, mark * pixels) for mark, _, _ in marks]
    letters: list[Point] = []
    for at, day, letter in marks:
        parts.append(Interval(at, row - 0.4, row + 0.4, "event", f"{line.patient}, day {day}: {letter}"))
        place = _free_of([*lines, *letters], at * pixels + 3, LETTER)
        letters.append((place, place + LETTER))
        parts.append(Label(letter, (at, row), "start", (place - at * pixels, 0.0), "strong", size=11))
    if line.response_day is not None:
        mrd = {"negative": "MRD−", "positive": "MRD+"}.get(line.mrd.status, "MRD?")
        text, at = f"{line.response} {mrd}", line.response_day / DAYS_PER_MONTH
        place = _free_of([*lines, *letters], at * pixels + 2, 7.2 * len(text))
        parts.append(Label(text, (at, row), "start", (place - at * pixels, 0.0), size=11))
    ending = "† died" if line.death_day is not None else "→"
    return [*parts, Label(ending, (last, row), "start", (5.0, 0.0), size=11)]


def _free_of(taken: Sequence[Point], start: float, width: float) -> float:
    """The first place from ``start`` on for a text of this width beside lines and other texts, in pixels."""
    for low, high in sorted(taken):
        if low < start + width and start < high + 2:
            start = high + 3
    return start


def blast_change(line: PatientLine) -> float | None:
    """Change of the marrow blasts from before treatment, in percent; None where either is unknown."""
    if not line.blasts_before_percent or line.blasts_after_percent is None:
        return None
    return 100 * (line.blasts_after_percent - line.blasts_before_percent) / line.blasts_before_percent


def waterfall_chart(patients: Sequence[PatientLine]) -> Chart:
    """Change of marrow blasts from before treatment, worst first; a rise beyond 100 % is cut.

    A rise is drawn on a third of the scale of a fall.
    """
    known = [(change, line) for line in patients if (change := blast_change(line)) is not None]
    ordered = sorted(known, key=lambda item: (-item[0], item[1].patient))
    slots = float(max(len(ordered), 1))

    def height(change: float) -> float:
        return change if change < 0 else min(change, 100.0) * RISE

    ticks = tuple(
        (height(percent), f"{percent:+d} %".replace("-", "−") if percent else "0 %")
        for percent in (-100, -50, 0, 50, 100)
    )
    layers: list[Layer] = [
        Outline(((0.0, at), (slots, at)), False, role="axis" if at == 0 else "grid") for at, _ in ticks
    ]
    for slot, (change, line) in enumerate(ordered):
        ends, remission = sorted((0.0, height(change))), line.response in REMISSION
        layers.append(
            Bar(
                (slot + 0.12, slot + 0.88),
                (ends[0], ends[1]),
                "remission" if remission else "no_remission",
                opacity=0.75,
                hatched=not remission,
                text=f"{line.patient}: {change:+.0f} %, {line.response}",
            )
        )
        foot = (slot + 0.5, -100.0)
        layers.append(Label(line.response, foot, "middle", (0.0, 12.0), size=11))
        if len(ordered) <= MOST_NAMES:
            layers.append(Label(line.patient[:7], foot, "middle", (0.0, 27.0), "faint", size=10.5))
    return Chart(
        "waterfall-chart",
        "Marrow blasts after cycle 1, change from before treatment",
        Axis("patient", "", (), 0.0, slots),
        Axis("change", "", ticks, -100.0, height(100.0)),
        tuple(layers),
        size=CHANGE_SIZE,
        room=Room(64.0, 16.0, 20.0, 40.0),
    )

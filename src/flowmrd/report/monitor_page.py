"""The page of ``flowmrd monitor``: seven charts by month, and the negative tubes to be reviewed again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from flowmrd import __version__
from flowmrd.records.monitoring import MeasureEntry, MonitoringFile, MonthEntry
from flowmrd.report import formatting
from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import Chart, Interval, Layer, Outline, Points
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.monitoring import ENOUGH_MONTHS, ENOUGH_TUBES
from flowmrd.report.page import read_asset, render_page

MOST_LABELS: Final = 8
"""Largest number of months that are all named on an axis; with more, only every second or third one is."""
UNITS: Final[Mapping[str, str]] = {
    "share": "share of tubes",
    "per_million": "events per million cells",
    "events": "events",
    "days": "days",
}


def render_monitoring(
    record: MonitoringFile,
    *,
    links: Mapping[tuple[str, str], str],
    laboratory: str,
    language: Language = ENGLISH,
) -> str:
    """Render the page.

    Parameters
    ----------
    links
        (run, sample) to the address of its report, relative to the page.
    """
    return render_page(
        "monitoring.html.j2",
        {
            "record": record,
            "laboratory": laboratory,
            "version": __version__,
            "findings": [_finding(measure, month) for measure, month in _outside(record)],
            "measures": [_measure(measure) for measure in record.measures],
            "enough": (ENOUGH_TUBES, ENOUGH_MONTHS),
            "rereview": [(entry, links.get((entry.run, entry.sample), "")) for entry in record.rereview],
            "n_months": len(record.measures[0].months) if record.measures else 0,
            "run_rows": [(run.run, run.tubes, run.repeated) for run in record.runs],
            "repeated": sum(run.repeated for run in record.runs),
        },
        styles=[read_asset("cohort.css")],
        language=language,
    )


def _outside(record: MonitoringFile) -> list[tuple[MeasureEntry, MonthEntry]]:
    return [(measure, month) for measure in record.measures for month in measure.months if month.outside]


def _finding(measure: MeasureEntry, month: MonthEntry) -> str:
    return f"{month.month}: {measure.title}, {said(measure, month.value)}; limits {_limits(measure, month)}."


def said(measure: MeasureEntry, value: float | None) -> str:
    """A value of a measure as people read it."""
    if value is None:
        return formatting.NOT_AVAILABLE
    if measure.kind == "share":
        return f"{100 * value:.0f} %"
    return formatting.count(value) if measure.kind == "events" else formatting.number(value, 2)


def _measure(measure: MeasureEntry) -> dict[str, object]:
    judged = [month for month in measure.months if month.low is not None]
    known = [month for month in measure.months if month.value is not None]
    outside = [month.month for month in measure.months if month.outside]
    state = ("none", "no data") if not known else ("none", "too few to judge") if not judged else ("pass", "in control")
    if outside:
        state = ("warn", f"outside in {', '.join(outside[:4])}{' …' if len(outside) > 4 else ''}")
    return {
        "id": measure.id.replace("_", "-"),
        "title": measure.title,
        "unit": UNITS[measure.kind],
        "state": state,
        "drawing": to_svg(_chart(measure), css="month-chart") if known else None,
        "summary": f"{state[1]}; centre {said(measure, measure.centre)}. The table below holds the numbers.",
        "rows": [
            (
                month.month,
                formatting.count(month.tubes),
                said(measure, month.value) + (f" ({month.hits})" if None not in (month.hits, month.value) else ""),
                _limits(measure, month) or "too few to judge",
                "outside" if month.outside else "",
            )
            for month in measure.months
        ],
    }  # fmt: skip


def _chart(measure: MeasureEntry) -> Chart:
    """Months from left to right: values, their control limits as steps, the centre dashed."""
    months = measure.months
    tops = [v for month in months for v in (month.value, month.high) if v is not None]
    top = 1.0 if measure.kind == "share" and max(tops) > 0.6 else nice_top(max(tops))
    every = max(1, math.ceil(len(months) / MOST_LABELS))
    x = Axis(
        "month",
        "month of acquisition",
        tuple((float(i), month.month if i % every == 0 else "") for i, month in enumerate(months)),
        -0.6,
        len(months) - 0.4,
    )
    ticks = tuple((top * step / 4, _tick(measure, top * step / 4)) for step in range(5))
    y = Axis(measure.id, "thousand events" if measure.kind == "events" else UNITS[measure.kind], ticks, 0.0, top * 1.04)
    return Chart(f"chart-{measure.id}", measure.title, x, y, tuple(_layers(measure, x)), size=(420.0, 150.0))


def _layers(measure: MeasureEntry, x: Axis) -> list[Layer]:
    """Centre, control limits and values of a measure."""
    months = measure.months
    layers: list[Layer] = []
    if measure.centre is not None:
        layers.append(Outline(((x.low, measure.centre), (x.high, measure.centre)), False, "centre", role="target"))
    layers += [
        Interval(float(i), month.low, month.high, "limit", "control limits")
        for i, month in enumerate(months)
        if month.low is not None and month.high is not None
    ]
    for role, outside in (("result", False), ("outlier", True)):
        shown = [(i, m) for i, m in enumerate(months) if m.value is not None and m.outside is outside]
        layers.append(
            Points(
                "outside" if outside else "month",
                "outlier" if role == "outlier" else "result",
                tuple((float(i), month.value or 0.0) for i, month in shown),
                tuple(_told(measure, month) for _, month in shown),
            )
        )
    return layers


def _tick(measure: MeasureEntry, value: float) -> str:
    """Number at an axis, with all its digits; events are given in thousands, so that the number fits the margin."""
    if measure.kind == "share":
        return f"{formatting.number(100 * value)} %"
    return formatting.number(value / 1000 if measure.kind == "events" else value)


def _told(measure: MeasureEntry, month: MonthEntry) -> str:
    limits = _limits(measure, month)
    return f"{month.month}: {said(measure, month.value)}, {month.tubes} tubes{', limits ' + limits if limits else ''}"


def _limits(measure: MeasureEntry, month: MonthEntry) -> str:
    """The control limits of a month; empty where it is not judged."""
    return "" if month.low is None else f"{said(measure, month.low)} to {said(measure, month.high)}"


def nice_top(value: float) -> float:
    """A number at or above a value whose quarters are round too: 1, 2, 4, 6 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps: Sequence[float] = (1, 2, 4, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value * (1 - 1e-9))

"""A chart is one description: plotly takes its figure, and the drawing shows the same points."""

from __future__ import annotations

import math

import pytest
from test_validation_page import dilutions

from chart_checks import assert_same_in_both
from flowmrd.compare.comparison import compare_methods
from flowmrd.compare.measurement import MeasuredPair, Measurement
from flowmrd.report.among_controls import control_chart
from flowmrd.report.batch import levey_jennings_chart
from flowmrd.report.carry_over import Arrival
from flowmrd.report.charts.description import Chart, Interval, Label, Points
from flowmrd.report.charts.plotly import in_language, to_figure
from flowmrd.report.comparison import differences_chart, scatter_chart
from flowmrd.report.level_scale import Levels, level_chart
from flowmrd.report.levey_jennings import ChartPoint
from flowmrd.report.page_inputs import Visit
from flowmrd.report.quality_view import AttritionRow, attrition_chart, matrix_chart, time_chart
from flowmrd.report.report_file import AmongControlsRow
from flowmrd.report.trend import trend_chart
from flowmrd.report.validation_page import agreement_chart, detection_chart
from flowmrd.validate.figures import figures
from report_factory import make_result, quality


def charts() -> dict[str, Chart | None]:
    found = figures(dilutions(), detect_events=20)
    pairs = [
        MeasuredPair(f"s{n}", Measurement(10.0**-n, None), Measurement(2 * 10.0**-n if n < 5 else 0.0, None))
        for n in range(1, 6)
    ]
    compared = compare_methods(pairs, first="a", second="b")
    visits = [Visit(make_result("P01_d21", mrd=0)), Visit(make_result("P01_d42", mrd=400))]
    return {
        "detection": detection_chart(found.levels, 1e-4),
        "agreement": agreement_chart(found.levels),
        "scatter": scatter_chart(compared),
        "differences": differences_chart(compared),
        "visits": trend_chart(visits, 1e-4),
        "levey-jennings": levey_jennings_chart(
            "CD45",
            [ChartPoint(f"C{n}", 0.5, z, ("1-3s",) if abs(z) > 3 else ()) for n, z in enumerate((0.1, -1.2, 3.4, 9.0))],
            ["C0", "C2", "C3"],
            "C1",
            {"C0": "2026-01-02"},
        ),
        "level": level_chart(Levels(2e-4, (1e-4, 4e-4), 1e-4, 8e-5, 2e-4, 5e-5)),
        "level on a telephone": level_chart(Levels(None, (0.0, 1e-5), 1e-4, None, None), narrow=True),
        "attrition": attrition_chart(
            [
                AttritionRow("Acquired", masked=0, removed=0, remaining=900, share=1.0),
                AttritionRow("Doublets", masked=90, removed=90, remaining=810, share=0.9),
            ]
        ),
        "stability": time_chart(quality("P01_d21").time, Arrival(2, (0.1, 0.4), 0.3, None)),
        "compensation": matrix_chart(quality("P01_d21").compensation),
        "among the controls": control_chart(
            [
                AmongControlsRow(channel=name, z=z, mean=0.5, sd=0.01, controls=5, beyond=abs(z) > 3, broken=())
                for name, z in (("CD45", 0.4), ("CD19", -9.0))
            ]
        ),
    }


@pytest.mark.parametrize("name", sorted(charts()))
def test_one_description_becomes_a_plotly_figure_and_a_drawing_with_the_same_points(name: str) -> None:
    chart = charts()[name]
    assert chart is not None
    assert_same_in_both(chart)


@pytest.mark.parametrize("name", sorted(charts()))
def test_every_word_of_a_figure_is_looked_up(name: str) -> None:
    chart = charts()[name]
    assert chart is not None
    asked: set[str] = set()

    def text(words: str) -> str:
        asked.add(words)
        return words.upper()

    figure = in_language(to_figure(chart), text)
    layout = figure["layout"]
    shown = [axis["title"]["text"] for axis in (layout["xaxis"], layout["yaxis"])]
    shown += [tick for axis in (layout["xaxis"], layout["yaxis"]) for tick in axis["ticktext"]]
    shown += [note["text"].replace("<b>", "").replace("</b>", "") for note in layout["annotations"]]
    for trace in figure["data"]:
        hovered = trace.get("text", "")
        shown += [trace.get("name", ""), *([hovered] if isinstance(hovered, str) else hovered)]
    assert [words for words in shown if words != words.upper()] == []
    assert {layer.text for layer in chart.layers if isinstance(layer, Label)} <= asked | {""}


def test_a_visit_without_a_detection_is_hollow_on_its_limit_of_detection_and_has_no_interval() -> None:
    chart = charts()["visits"]
    assert chart is not None
    points = {layer.role: layer.at for layer in chart.layers if isinstance(layer, Points)}
    assert {role: len(at) for role, at in points.items()} == {"result": 1, "undetected": 1}
    below = make_result("P01_d21", mrd=0)
    assert below.sensitivity.lod95 is not None
    assert points["undetected"][0][1] == pytest.approx(math.log10(below.sensitivity.lod95))
    assert [layer.x for layer in chart.layers if isinstance(layer, Interval)] == [points["result"][0][0]]

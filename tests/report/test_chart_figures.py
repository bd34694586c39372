"""A chart is one description: plotly takes its figure, and the drawing shows the same points."""

from __future__ import annotations

import pytest
from test_validation_page import dilutions

from flowmrd.compare import MeasuredPair, Measurement, compare_methods
from flowmrd.report.batch import levey_jennings_chart
from flowmrd.report.charts.description import Chart, Points
from flowmrd.report.charts.plotly import resolved, to_figure
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.comparison import differences_chart, scatter_chart
from flowmrd.report.inputs import Visit
from flowmrd.report.levey_jennings import ChartPoint
from flowmrd.report.trend import trend_chart
from flowmrd.report.validation import agreement_chart, detection_chart
from flowmrd.validate import figures
from report_factory import make_result


class AnyColour(dict[str, str]):
    """A theme in which everything is black."""

    def __missing__(self, key: str) -> str:
        return "#000000"


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
    }


@pytest.mark.parametrize("name", sorted(charts()))
def test_one_description_becomes_a_plotly_figure_and_a_drawing_with_the_same_points(name: str) -> None:
    from plotly.graph_objects import Figure

    chart = charts()[name]
    assert chart is not None
    figure = Figure(resolved(to_figure(chart), AnyColour()))
    points = [layer for layer in chart.layers if isinstance(layer, Points) and layer.at]
    drawn = [trace for trace in figure.data if trace.mode == "markers" and len(trace.x or ())]
    assert [len(trace.x) for trace in drawn] == [len(layer.at) for layer in points]
    svg = str(to_svg(chart))
    assert all(text.replace("<", "&lt;") in svg for layer in points for text in layer.texts)


def test_a_visit_without_a_detection_is_hollow() -> None:
    chart = charts()["visits"]
    assert chart is not None
    counts = {layer.role: len(layer.at) for layer in chart.layers if isinstance(layer, Points)}
    assert counts == {"result": 1, "undetected": 1}

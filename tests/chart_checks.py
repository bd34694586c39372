"""What holds for every chart: plotly takes its figure, and the drawing shows the same."""

from __future__ import annotations

from flowmrd.report.charts.description import Bar, Chart, Label, Outline, Points
from flowmrd.report.charts.plotly import resolved, to_figure
from flowmrd.report.charts.svg import to_svg


class AnyColour(dict[str, str]):
    """A theme in which everything is black."""

    def __missing__(self, key: str) -> str:
        return "#000000"


def assert_same_in_both(chart: Chart) -> None:
    """The plotly figure and the drawing of a chart have the same points, lines and words."""
    from plotly.graph_objects import Figure

    figure = Figure(resolved(to_figure(chart), AnyColour()))
    points = [layer for layer in chart.layers if isinstance(layer, Points) and layer.at]
    drawn = [trace for trace in figure.data if trace.mode == "markers" and len(trace.x or ())]
    assert [len(trace.x) for trace in drawn] == [len(layer.at) for layer in points]
    lines = [layer for layer in chart.layers if isinstance(layer, (Bar, Outline))]
    assert sum(trace.mode == "lines" for trace in figure.data) >= len(lines)
    svg = str(to_svg(chart))
    assert all(text.replace("<", "&lt;") in svg for layer in points for text in layer.texts)
    written = [layer.text for layer in chart.layers if isinstance(layer, Label)]
    noted = [note.text.removeprefix("<b>").removesuffix("</b>") for note in figure.layout.annotations]
    assert [text for text in written if text.replace("<", "&lt;") not in svg] == []
    assert [text for text in written if text.replace("<", "&lt;") not in noted] == []

"""A chart as a figure in plotly's own JSON: what ``plotly.graph_objects.Figure`` takes and ``Plotly.react`` draws.

The figures of a page share one table of cells and one block of count grids, and refer to these instead of holding the
data. ``meta.grid`` of a heatmap is its place in the block; ``meta.layer`` of a scatter is its layer of the table. The
script of the page fills both in and replaces ``var(--name)`` by the theme's colours. WebGL types are never used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import (
    STYLES,
    Area,
    Band,
    Bar,
    CellMarks,
    Chart,
    CountGrid,
    Interval,
    Label,
    Outline,
    Points,
    Style,
)
from flowmrd.report.density import BINS, HIGH, LOW

Figure = dict[str, Any]
"""A figure in plotly's own JSON."""
EVENTS_HERE: Final = "events here"
"""Words after the number of events in the tooltip of a density."""
_ANCHORS: Final = {"start": "left", "middle": "center", "end": "right"}


def to_figure(chart: Chart, *, grid: int | None = None) -> Figure:
    """The figure of a chart.

    Parameters
    ----------
    grid
        Place of the chart's counts in the page's block; needed for a chart with a density.
    """
    data: list[Figure] = []
    shapes: list[Figure] = []
    notes: list[Figure] = []
    for layer in chart.layers:
        match layer:
            case CountGrid():
                data.append(_density(grid))
            case Outline():
                data.append(_outline(layer))
                if layer.mark is not None:
                    notes.append(_note(layer))
            case CellMarks():
                data.append(_cells(layer, chart))
            case Points():
                data.append(_points(layer))
            case Interval():
                style = STYLES[layer.role]
                data.append(
                    {
                        "type": "scatter", "mode": "lines", "name": layer.text, "x": [layer.x, layer.x],
                        "y": [layer.low, layer.high], "line": _line(style), "hoverinfo": "text", "text": layer.text,
                        "meta": {"role": layer.role},
                    }
                )  # fmt: skip
            case Band():
                shapes.append(
                    {
                        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": layer.low, "y1": layer.high,
                        "layer": "below", "line": {"width": 0}, "fillcolor": "var(--pass-wash)",
                    }
                )  # fmt: skip
            case Area():
                path = "M" + "L".join(f"{x:g},{y:g}" for x, y in layer.corners) + "Z"
                shapes.append(
                    {
                        "type": "path", "path": path, "layer": "below", "line": {"width": 0},
                        "fillcolor": STYLES[layer.role].colour, "opacity": layer.opacity,
                    }
                )  # fmt: skip
            case Bar():
                data.append(_bar(layer))
            case Label():
                notes.append(_label(layer))
    room, framed = chart.room, chart.room is None
    margin = (
        {"l": 52, "r": 8, "t": 8, "b": 42}
        if room is None
        else {"l": room.left, "r": room.right, "t": room.top, "b": room.bottom}
    )
    return {
        "data": data,
        "layout": {
            "xaxis": _axis(chart.x, framed=framed), "yaxis": _axis(chart.y, framed=framed), "shapes": shapes,
            "annotations": notes,
            "margin": margin, "showlegend": False, "hovermode": "closest",
            "dragmode": "zoom", "paper_bgcolor": "var(--paper)", "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": "var(--ink)", "family": "system-ui, sans-serif", "size": 11},
            "hoverlabel": {"font": {"size": 12}}, "uirevision": chart.id,
            "meta": {"x": chart.x.channel, "y": chart.y.channel, "title": chart.title},
        },
    }  # fmt: skip


def resolved(value: Any, palette: Mapping[str, str]) -> Any:
    """A figure with the colours of a theme; every ``var(--name)`` becomes ``palette["--name"]``."""
    if isinstance(value, Mapping):
        return {key: resolved(inner, palette) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolved(inner, palette) for inner in value]
    if isinstance(value, str) and value.startswith("var(--") and value.endswith(")"):
        return palette[value[4:-1]]
    return value


def in_language(figure: Figure, text: Callable[[str], str]) -> Figure:
    """The figure with its words translated: titles, ticks, labels, names of layers and borders, tooltips."""

    def said(words: str) -> str:
        bold = words.startswith("<b>") and words.endswith("</b>")
        return f"<b>{text(words[3:-4])}</b>" if bold else text(words)

    layout = figure["layout"]
    for axis in (layout["xaxis"], layout["yaxis"]):
        axis["title"]["text"] = text(axis["title"]["text"])
        axis["ticktext"] = [text(tick) for tick in axis["ticktext"]]
    layout["meta"]["title"] = text(layout["meta"]["title"])
    for note in layout["annotations"]:
        note["text"] = said(note["text"])
    for trace in figure["data"]:
        name = trace.get("name", "")
        if name:
            trace["name"] = text(name)
        if "text" in trace:
            hovered = trace["text"]
            trace["text"] = text(hovered) if isinstance(hovered, str) else [text(one) for one in hovered]
        if "hovertemplate" in trace:
            shown = trace["hovertemplate"].replace(EVENTS_HERE, text(EVENTS_HERE))
            trace["hovertemplate"] = shown.replace(f"{name}<br>", f"{trace['name']}<br>", 1) if name else shown
    return figure


def plain(text: str) -> str:
    """Text that plotly.js, which reads a few HTML tags, shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _density(grid: int | None) -> Figure:
    step = (HIGH - LOW) / BINS
    return {
        "type": "heatmap", "x0": LOW + step / 2, "dx": step, "y0": LOW + step / 2, "dy": step, "z": [],
        "showscale": False, "zmin": 0, "hoverongaps": False, "meta": {"grid": grid},
        "hovertemplate": f"{EVENTS_HERE}: %{{customdata}}<extra></extra>",
    }  # fmt: skip


def _outline(outline: Outline) -> Figure:
    points = [*outline.points, outline.points[0]] if outline.closed else list(outline.points)
    return {
        "type": "scatter", "mode": "lines", "name": plain(outline.label), "x": [round(x, 4) for x, _ in points],
        "y": [round(y, 4) for _, y in points], "line": _line(STYLES[outline.role]), "hoverinfo": "name",
        "hoveron": "points", "meta": {"role": outline.role},
    }  # fmt: skip


def _note(outline: Outline) -> Figure:
    mark = outline.mark
    assert mark is not None  # noqa: S101 - the caller looked
    return {
        "x": round(mark.at[0], 4), "y": round(mark.at[1], 4), "text": plain(mark.text), "showarrow": False,
        "yanchor": "middle", "xanchor": _ANCHORS[mark.anchor], "borderpad": 0, "bgcolor": "var(--paper)",
        "opacity": 0.9, "font": {"size": 11, "color": STYLES[outline.role].colour},
    }  # fmt: skip


def _cells(cells: CellMarks, chart: Chart) -> Figure:
    x, y = plain(chart.x.channel), plain(chart.y.channel)
    return {
        "type": "scatter", "mode": "markers", "name": plain(cells.name), "x": [], "y": [],
        "marker": _marker(STYLES[cells.role]), "meta": {"layer": cells.layer, "role": cells.role},
        "hovertemplate": f"{plain(cells.name)}<br>{x} %{{customdata[0]}}<br>{y} %{{customdata[1]}}"
        "<br>%{customdata[2]}<extra></extra>",
    }  # fmt: skip


def _points(points: Points) -> Figure:
    return {
        "type": "scatter", "mode": "markers", "name": plain(points.name), "x": [x for x, _ in points.at],
        "y": [y for _, y in points.at], "marker": _marker(STYLES[points.role]),
        "text": [plain(text) for text in points.texts], "hoverinfo": "text" if points.texts else "name",
        "meta": {"role": points.role},
    }  # fmt: skip


def _marker(style: Style) -> Figure:
    if style.disc:
        return {
            "symbol": style.symbol, "size": style.size, "color": "var(--paper)",
            "line": {"color": style.colour, "width": style.width},
        }  # fmt: skip
    if style.filled:
        return {
            "symbol": style.symbol, "size": style.size, "color": style.colour,
            "line": {"color": "var(--paper)", "width": 0.9},
        }  # fmt: skip
    return {
        "symbol": style.symbol + "-open", "size": style.size, "color": style.colour,
        "line": {"color": style.colour, "width": style.width},
    }  # fmt: skip


def _line(style: Style) -> Figure:
    line: Figure = {"color": style.colour, "width": style.width}
    return line | ({"dash": style.dash} if style.dash else {})


def _bar(bar: Bar) -> Figure:
    (left, right), (low, high) = bar.x, bar.y
    colour = STYLES[bar.role].colour
    trace: Figure = {
        "type": "scatter", "mode": "lines", "x": [left, right, right, left, left], "y": [low, low, high, high, low],
        "fill": "toself", "fillcolor": colour, "line": {"width": 0}, "opacity": round(bar.opacity, 2),
        "hoveron": "fills", "hoverinfo": "text" if bar.text else "skip", "text": plain(bar.text),
        "meta": {"role": bar.role},
    }  # fmt: skip
    return trace | ({"fillpattern": {"shape": "/", "fgcolor": colour, "size": 6}} if bar.hatched else {})


def _label(label: Label) -> Figure:
    text = plain(label.text)
    return {
        "x": label.at[0], "y": label.at[1], "text": f"<b>{text}</b>" if "strong" in label.css else text,
        "showarrow": False, "xanchor": _ANCHORS[label.anchor], "yanchor": "middle", "borderpad": 0,
        "xshift": label.shift[0], "yshift": -label.shift[1], "textangle": label.angle,
        "font": {"size": label.size, "color": "var(--soft)" if "faint" in label.css else "var(--ink)"},
    }  # fmt: skip


def _axis(axis: Axis, *, framed: bool) -> Figure:
    return {
        "title": {"text": plain(axis.label), "font": {"size": 12}, "standoff": 4}, "tickmode": "array",
        "tickvals": [round(at, 5) for at, _ in axis.ticks], "ticktext": [plain(text) for _, text in axis.ticks],
        "range": [axis.low, axis.high], "zeroline": False, "showgrid": False, "ticklen": 4,
        "ticks": "outside" if framed else "",
        "tickfont": {"size": 10.5}, "linecolor": "var(--soft)", "tickcolor": "var(--soft)", "mirror": True,
        "showline": framed,
    }  # fmt: skip

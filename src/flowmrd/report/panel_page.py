"""A panel as a page: its channels, its gate tree, and each gate on the events of a tube."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

from flowmrd.panel.describe import ordered, roles, rule
from flowmrd.panel.gates import ROOT, BooleanGate, CutGate, Gate
from flowmrd.panel.model import PanelModel
from flowmrd.records.gates import GateEntry
from flowmrd.report import formatting
from flowmrd.report.charts.description import Chart, CountGrid
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.density import count_grid
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.page import read_asset, render_page
from flowmrd.report.page_tube import PageTube
from flowmrd.report.thresholds import threshold_figures
from flowmrd.report.views import View, gate_views
from flowmrd.tube import Tube

__all__ = ["panel_page", "share_words"]


def share_words(tube: Tube, gate: Gate, written: Callable[[int], str] = "{:,}".format) -> str:
    """Number of analysable events in a gate and their share of its parent, or why the gate is not available.

    Parameters
    ----------
    written
        How a number of events is written; a terminal may know no thin space.
    """
    placement = tube.gate_result.placement(gate.name)
    if placement.state == "unavailable":
        return f"not available: {placement.why}"
    usable = tube.analysable()
    n = int(np.count_nonzero(tube.gate_result.inside(gate.name) & usable))
    parent = usable if gate.parent == ROOT else tube.gate_result.inside(gate.parent) & usable
    size = int(np.count_nonzero(parent))
    share = f", {formatting.percent(n / size)} of {_cells(gate.parent)}" if size else ""
    how = "" if placement.state == "ok" else "; too few events, the panel's fallback stands"
    return f"{written(n)} events{share}{how}"


def panel_page(panel: PanelModel, tube: Tube | None, *, language: Language = ENGLISH) -> str:
    """The page as HTML, without a script of its own and without access to the network.

    Parameters
    ----------
    tube
        A gated tube; without one the page shows the tree alone.
    """
    placed = _placed(tube)
    page_tube = None if tube is None else PageTube(tube)
    names = [gate.name for gate in panel.gates]
    context: dict[str, object] = {
        "panel": panel,
        "channels": [
            (
                channel.marker,
                channel.kind.value.replace("_", " "),
                _from_file(channel.fluorochrome or ""),
                "required" if channel.required else "optional",
                "yes" if channel.feature else "",
            )
            for channel in panel.channels
        ],
        "tree": [_row(depth, gate, tube, names) for depth, gate in ordered(panel.gates)],
        "events": None if tube is None else tube.n_events,
        "plots": [] if page_tube is None else [_plot(view, page_tube) for view in gate_views(page_tube, placed)],
        "thresholds": [] if page_tube is None else threshold_figures(page_tube, placed),
    }
    styles = [read_asset("sample.css"), read_asset("plots.css")]
    return render_page("panel.html.j2", context, styles=styles, language=language)


def _cells(parent: str) -> str:
    """What a gate looks at, in words: a gate's name, or all events of the tube that count."""
    return "all analysable events" if parent == ROOT else parent


def _placed(tube: Tube | None) -> Mapping[str, GateEntry]:
    if tube is None or tube.gates is None:
        return {}
    return {entry.name: entry for entry in tube.gates.gates}


def _row(depth: int, gate: Gate, tube: Tube | None, names: Sequence[str]) -> dict[str, object]:
    return {
        "depth": depth,
        "name": gate.name,
        "title": gate.title,
        "roles": roles(gate),
        "rule": _rule(gate, names),
        "found": "" if tube is None else share_words(tube, gate, formatting.count),
    }


def _from_file(text: str) -> Markup:
    """Text of a panel file, which no other language changes."""
    return Markup('<bdi class="outside" dir="auto">{}</bdi>').format(text)


def _rule(gate: Gate, names: Iterable[str]) -> Markup:
    """The condition of a gate, names of other gates set apart as code: the words between them are translated."""
    said = rule(gate)
    if not isinstance(gate, (CutGate, BooleanGate)):
        return escape(said)
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pieces = re.split(rf"(?<![\w-])({known})(?![\w-])", said)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece) for at, piece in enumerate(pieces)
    )


def _plot(view: View, tube: PageTube) -> dict[str, object]:
    inside = tube.gate(view.parent)
    counts = count_grid(tube.bins(view.x)[inside], tube.bins(view.y)[inside])
    axes = tube.axis(view.x), tube.axis(view.y, upright=True)
    chart = Chart(view.id, view.title, *axes, (CountGrid(counts), *view.outlines))
    drawing: Markup = to_svg(chart)
    cells, events = _cells(view.parent), formatting.count(int(inside.sum()))
    numbered = [f"{i} {name}" for i, name in enumerate(view.gates, 1)] if len(view.gates) > 1 else view.gates
    return {
        "id": view.id,
        "title": view.title,
        "of": f"{events} of {cells}" if view.parent == ROOT else f"{events} events of {cells}",
        "gates": ", ".join(numbered),
        "drawing": drawing,
        "summary": f"Density of {cells} on {view.x} and {view.y} with the border of {', '.join(view.gates)}.",
    }

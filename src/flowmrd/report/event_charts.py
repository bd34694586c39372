"""The event plots of a page: the standard panel in three columns, the adaptive pairs, the canonical view, the gates.

Every plot is one :class:`~flowmrd.report.charts.description.Chart`; the same axes and outlines stand in all columns of
a row, so that a population lies at the same position for the diagnosis, this tube and the controls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from markupsafe import Markup

from flowmrd.panel.plots import Plot
from flowmrd.records.gates import GateEntry, channels_of
from flowmrd.report import formatting
from flowmrd.report.canonical import CHANNELS, Canonical
from flowmrd.report.cell_layers import CellTable
from flowmrd.report.charts.description import CellMarks, Chart, CountGrid, Outline
from flowmrd.report.charts.plotly import to_figure
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.density import Counts, bin_axis, count_grid
from flowmrd.report.neighbours import Neighbours
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.page_tube import PageTube
from flowmrd.report.uncounted_groups import LetteredGroup, outline_in
from flowmrd.report.views import View, outlines

SCATTER: Final = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W")


@dataclass(frozen=True)
class Column:
    """One plot of a row: the source and number of its events."""

    id: str
    heading: str
    events: int
    still: Markup
    summary: str


@dataclass(frozen=True)
class Row:
    """One pair of channels in up to three columns."""

    title: str
    of: str
    x: str
    y: str
    parent: str
    columns: tuple[Column, ...]


@dataclass
class ChartBook:
    """All figures of a page, and their counts in one block."""

    figures: dict[str, dict[str, object]] = field(default_factory=dict)
    charts: dict[str, Chart] = field(default_factory=dict)
    _grids: list[bytes] = field(default_factory=list)

    def add(self, chart: Chart) -> Markup:
        """Add a chart and return its still picture."""
        counts = next(layer.counts for layer in chart.layers if isinstance(layer, CountGrid))
        self.charts[chart.id] = chart
        self.figures[chart.id] = to_figure(chart, grid=len(self._grids))
        self._grids.append(counts.astype("<u4").tobytes())
        return to_svg(chart)

    def grids(self) -> bytes:
        """Every count grid as little-endian uint32, one after the other."""
        return b"".join(self._grids)


class EventCharts:
    """Maker of the plots of one page; it adds the charts to ``book``."""

    def __init__(
        self,
        inputs: PageInputs,
        tube: PageTube,
        neighbours: Neighbours,
        table: CellTable,
        groups: Sequence[LetteredGroup],
        placed: Mapping[str, GateEntry],
    ) -> None:
        self.inputs, self.tube, self.neighbours = inputs, tube, neighbours
        self.table, self.groups, self.placed = table, groups, placed
        self.book = ChartBook()
        self._titles = tube.titles

    def standard(self) -> list[Row]:
        """The panel's standard plots, as far as the tube has their channels and gates."""
        rows = []
        for number, plot in enumerate(self.tube.panel.standard_plots, 1):
            if plot.x in self.tube.events and plot.y in self.tube.events and self._has(self.tube, plot.parent):
                rows.append(self._row(f"std-{number}", plot))
        return rows

    def adaptive(self, pairs: Sequence[View]) -> list[Row]:
        """The pairs of channels that best separate the cells of this tube, without the pairs of the standard panel."""
        known = {frozenset((plot.x, plot.y)) for plot in self.tube.panel.standard_plots}
        rows: list[Row] = []
        for pair in pairs:
            if frozenset((pair.x, pair.y)) not in known and len(rows) < 2:
                rows.append(self._row(f"pair-{len(rows) + 1}", Plot(x=pair.x, y=pair.y, parent=pair.parent)))
        return rows

    def canonical(self, view: Canonical) -> Row:
        """This tube's B lineage in the canonical plane."""
        parent = "b_lineage" if "b_lineage" in self.tube.gate_names else "root"
        rows = np.flatnonzero(self.tube.gate(parent))
        values = np.stack([self.tube.column(name)[rows] for name in view.features], axis=1).astype(np.float64)
        place = view.place(values)
        counts = count_grid(bin_axis(place[:, 0]), bin_axis(place[:, 1]))
        x, y = view.axes()
        cells = [CellMarks(cells.layer, cells.name, cells.role) for cells in self.table.cells(*self.tube.channels[:2])]
        # A still picture would need the places of every layer; the figure computes them from the table.
        chart = Chart(
            "canonical-plot", "Canonical view", x, y, (CountGrid(counts), *view.outlines, *cells), size=(380, 380)
        )
        summary = (
            f"{formatting.count(len(rows))} {self._title(parent)} events in the plane that best separates "
            f"{', '.join(self._titles.get(name, name) for name in view.classes)}."
        )
        column = Column(chart.id, self._this_tube(), len(rows), self.book.add(chart), summary)
        return Row("Canonical view", self._title(parent), *CHANNELS, parent, (column,))

    def _this_tube(self) -> str:
        role = self.inputs.result.role
        return {"diagnosis": "This tube (diagnosis)", "control": "This control"}.get(role, "This tube")

    def gate(self, view: View) -> tuple[Chart, Markup]:
        """A plot of the gate tree."""
        parent = self.tube.gate(view.parent)
        counts = count_grid(self.tube.bins(view.x)[parent], self.tube.bins(view.y)[parent])
        cells = [layer for layer in self.table.cells(view.x, view.y) if layer.layer in _ON_GATES]
        chart = self._chart(view.id, view.title, view.x, view.y, counts, [*view.outlines, *cells])
        return chart, self.book.add(chart)

    def _row(self, key: str, plot: Plot) -> Row:
        x, y, parent = plot.x, plot.y, plot.parent
        beneath: list[Outline] = []
        if self._shows_stages(plot):
            beneath += self.neighbours.maturation(x, y)
        if self.inputs.leukaemia is not None:
            beneath += self.inputs.leukaemia.outlines(x, y)
        title = plot.title or f"{x} / {y}"
        columns: list[Column] = []
        diagnosis = self.neighbours.diagnosis
        if diagnosis is not None and {x, y} <= set(diagnosis.events) and self._has(diagnosis, parent):
            inside = diagnosis.gate(parent)
            counts = count_grid(diagnosis.bins(x)[inside], diagnosis.bins(y)[inside])
            columns.append(self._column(key, "diagnosis", title, plot, counts, int(inside.sum()), beneath))
        inside = self.tube.gate(parent)
        counts = count_grid(self.tube.bins(x)[inside], self.tube.bins(y)[inside])
        own = [*beneath, *self._gates_on(plot), *outline_in(x, y, self.groups, beneath)]
        columns.append(
            self._column(key, "tube", title, plot, counts, int(inside.sum()), [*own, *self.table.cells(x, y)])
        )
        pooled, n = self.neighbours.pooled(x, y, parent)
        if n:
            columns.append(self._column(key, f"controls:{n}", title, plot, pooled, int(pooled.sum()), beneath))
        return Row(title, self._title(parent), x, y, parent, tuple(columns))

    def _column(
        self,
        key: str,
        whose: str,
        title: str,
        plot: Plot,
        counts: Counts,
        events: int,
        layers: Sequence[Outline | CellMarks],
    ) -> Column:
        kind, _, n = whose.partition(":")
        role = self.inputs.result.role
        heading = {
            "diagnosis": "Diagnosis",
            "tube": self._this_tube(),
            "controls": f"{n} {'other ' if role == 'control' else ''}control{'' if n == '1' else 's'}",
        }[kind]
        chart = self._chart(f"{key}-{kind}", f"{title}, {heading.lower()}", plot.x, plot.y, counts, layers)
        summary = (
            f"{heading}: density of {formatting.count(events)} events of {self._title(plot.parent)} on {plot.x} "
            f"(horizontal) and {plot.y} (vertical)."
        )
        if kind == "tube":
            summary += f" {formatting.count(self.inputs.result.counts.mrd_events)} MRD events on top."
        return Column(chart.id, heading, events, self.book.add(chart), summary)

    def _chart(
        self, key: str, title: str, x: str, y: str, counts: Counts, layers: Sequence[Outline | CellMarks]
    ) -> Chart:
        return Chart(key, title, self.tube.axis(x), self.tube.axis(y, upright=True), (CountGrid(counts), *layers))

    def _gates_on(self, plot: Plot) -> list[Outline]:
        """Borders of the gates of the same parent on the same two channels."""
        found: list[Outline] = []
        for name, entry in self.placed.items():
            shape = entry.shape
            if entry.parent != plot.parent or name not in self.tube.gate_names:
                continue
            if set(channels_of(shape)) == {plot.x, plot.y}:
                found += outlines(shape, plot.x, plot.y, label=self._titles.get(name, name))
        return found

    def _shows_stages(self, plot: Plot) -> bool:
        """Whether normal stages are drawn: not on two scatter channels or over time, which cannot separate them."""
        time = self.tube.time_channel
        return time not in {plot.x, plot.y} and not (plot.x in SCATTER and plot.y in SCATTER)

    def _title(self, gate: str) -> str:
        return "all analysable events" if gate == "root" else formatting.within(self._titles.get(gate, gate))

    @staticmethod
    def _has(tube: PageTube, gate: str) -> bool:
        return gate in {"root", *tube.gate_names}


_ON_GATES: Final = ("back", "group", "mrd", "selected")

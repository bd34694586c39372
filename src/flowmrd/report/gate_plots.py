"""Plots of the gate tree as the page shows them: picture, numbers of each gate, and what is to be noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from flowmrd.records.gates import GateEntry
from flowmrd.report import assay_record, formatting, laip_view
from flowmrd.report.charts.description import Chart, Outline
from flowmrd.report.event_charts import ChartBook, EventCharts, Row
from flowmrd.report.page_tube import PageTube
from flowmrd.report.report_file import BorderRow, GateCount, PlotRow
from flowmrd.report.views import View

MOST_PRINTED: Final = 4
"""Plots of gates on a printed page, which has one row of them."""
TO_DENOMINATORS: Final = frozenset({"singlets", "nucleated", "mononuclear", "b_lineage"})
"""Gates whose plots are printed first."""


@dataclass(frozen=True)
class CountedGate:
    """One gate of a plot: its title, its counts, and notes about its place."""

    title: str
    count: GateCount
    notes: tuple[str, ...]


@dataclass(frozen=True)
class GatePlot:
    """One plot of the gate tree.

    Attributes
    ----------
    still
        The picture that stands there until the plot is drawn, and on paper.
    summary
        The plot in words, for readers who cannot see it.
    numbers
        What ``report.json`` holds of it.
    """

    id: str
    still: Markup
    rows: tuple[CountedGate, ...]
    summary: str
    numbers: PlotRow

    @property
    def notes(self) -> list[str]:
        """Notes of all gates, in order."""
        return [note for row in self.rows for note in row.notes]


def gate_plot(charts: EventCharts, view: View, tube: PageTube, placed: Mapping[str, GateEntry]) -> GatePlot:
    """Draw a plot of the gate tree and count its gates.

    Parameters
    ----------
    placed
        Gate name to its record in ``gates.json``.
    """
    chart, still = charts.gate(view)
    parent = int(tube.gate(view.parent).sum())
    rows = _rows(view, tube, placed)
    numbers = PlotRow(
        title=view.title,
        parent="all analysable events" if view.parent == "root" else laip_view.stage_name(view.parent, tube),
        x=view.x,
        y=view.y,
        parent_events=parent,
        outlines=_borders(chart),
        gates=tuple(row.count for row in rows),
    )
    return GatePlot(view.id, still, rows, _summary(view, rows, parent, int(tube.mrd.sum())), numbers)


def numbers_of_rows(rows: Sequence[Row], book: ChartBook) -> list[PlotRow]:
    """This tube's plot of every row of the standard panel and the adaptive pairs, for ``report.json``."""
    return [
        PlotRow(
            title=row.title,
            parent=row.of,
            x=row.x,
            y=row.y,
            parent_events=column.events,
            outlines=_borders(book.charts[column.id]),
            gates=(),
        )
        for row in rows
        for column in row.columns
        if column.id.endswith("-tube")
    ]


def printed(plots: Sequence[GatePlot]) -> list[str]:
    """Ids of the plots for paper: those that lead to the denominators first, then the others in order."""

    def leads(plot: GatePlot) -> bool:
        return any(row.count.gate in TO_DENOMINATORS for row in plot.rows)

    return [plot.id for plot in sorted(plots, key=leads, reverse=True)[:MOST_PRINTED]]


def _rows(view: View, tube: PageTube, placed: Mapping[str, GateEntry]) -> tuple[CountedGate, ...]:
    parent = int(tube.gate(view.parent).sum())
    nucleated = int(tube.gate("nucleated").sum()) if "nucleated" in tube.gate_names else 0
    rows = []
    for name in view.gates:
        inside = tube.gate(name)
        events = int(inside.sum())
        count = GateCount(
            gate=name,
            events=events,
            of_parent=events / parent if parent else None,
            of_nucleated=events / nucleated if nucleated else None,
            mrd=int((inside & tube.mrd).sum()),
        )
        title = tube.titles.get(name, name)
        rows.append(CountedGate(title, count, tuple(assay_record.gate_notes(title, placed.get(name)))))
    return tuple(rows)


def _borders(chart: Chart) -> tuple[BorderRow, ...]:
    return tuple(
        BorderRow(
            role=outline.role,
            label=outline.label,
            points=tuple((round(a, 5), round(b, 5)) for a, b in outline.points),
            closed=outline.closed,
        )
        for outline in chart.layers
        if isinstance(outline, Outline)
    )


def _summary(view: View, rows: Sequence[CountedGate], parent: int, mrd: int) -> str:
    inside = "; ".join(
        f"{row.title}: {formatting.count(row.count.events)} events, {formatting.percent(row.count.of_parent)} "
        f"of its parent, "
        f"{formatting.count(row.count.mrd)} of {formatting.count(mrd)} MRD events inside"
        for row in rows
    )
    return (
        f"Density of {formatting.count(parent)} events on {view.x} (horizontal) and {view.y} (vertical), "
        f"with {formatting.count(mrd)} MRD events on top. {inside}"
    )

"""The page of one sample: its parts and their order, and the same numbers as JSON and TSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flowmrd import __version__
from flowmrd.mrd.result import MrdResult
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.report import (
    among_controls,
    assay_record,
    formatting,
    gate_plots,
    guidance,
    laip_view,
    numbers,
    plot_menus,
    quality_view,
    uncounted_groups,
    verdict,
)
from flowmrd.report.answer import context_of
from flowmrd.report.call_choices import call_choices, opinions
from flowmrd.report.canonical import CHANNELS, Canonical, canonical
from flowmrd.report.carry_over import from_own_tube
from flowmrd.report.cell_layers import CellTable
from flowmrd.report.charts.plotly import in_language
from flowmrd.report.density import HIGH, LOW
from flowmrd.report.event_charts import ChartBook, EventCharts, Row
from flowmrd.report.language import Language, language
from flowmrd.report.neighbours import Neighbours
from flowmrd.report.page import embed_json, read_asset, render_page
from flowmrd.report.page_inputs import PageInputs, gate_records
from flowmrd.report.page_tube import PageTube
from flowmrd.report.report_file import ReportFile, StepRow
from flowmrd.report.thresholds import threshold_figures
from flowmrd.report.trend import trend_figure, trend_rows
from flowmrd.report.views import gate_views, mrd_views
from flowmrd.tube import Tube

RAW_STEPS = 111
"""Number of places along an axis for which the page holds raw values; it interpolates between them."""


@dataclass
class Page:
    """A rendered page and the numbers on it."""

    html: str
    numbers: ReportFile


def build_page(inputs: PageInputs, events: Tube) -> Page:
    """Render the page of one sample."""
    neighbours = Neighbours(
        inputs.panel,
        diagnosis=inputs.diagnosis_work,
        controls=inputs.controls_work,
        time_masked=inputs.config.quality.time_mask,
    )
    return _page(inputs, PageTube(events), neighbours)


def _page(inputs: PageInputs, tube: PageTube, neighbours: Neighbours) -> Page:
    result, spoken = inputs.result, language(inputs.config.report.language)
    markers = laip_view.marker_rows(inputs, tube)
    groups = uncounted_groups.groups(inputs.classification, result.groups)
    table = CellTable(tube, inputs, groups)
    placed = gate_records(inputs)
    charts = EventCharts(inputs, tube, neighbours, table, groups, placed)
    standard = charts.standard()
    adaptive = charts.adaptive(mrd_views(tube, _telling(result, markers, groups), 1))
    plane = canonical(inputs.panel, neighbours, inputs.leukaemia)
    view = charts.canonical(plane) if plane is not None else None
    gates = [gate_plots.gate_plot(charts, view, tube, placed) for view in gate_views(tube, placed)]
    payload: dict[str, object] = {
        "sample": result.sample,
        "patient": result.patient,
        "mrd_sha256": inputs.mrd_sha256,
        "version": __version__,
        "max_points": inputs.config.report.max_plot_events,
        "table": table.describe(spoken) | {"derived": _derived(plane)},
        "axes": {channel: _axis_facts(tube, channel) for channel in table.channels},
        "totals": [(spoken.text(name), events) for name, events in _totals(result)],
    }
    quality = quality_view.build(inputs, tube)
    controls = among_controls.build(inputs)
    facts = assay_record.build(inputs, tube, controls_charted=bool(controls.charts))
    visits = trend_rows(inputs.history, result.sample)
    carried = from_own_tube(result, AcquisitionEntry() if inputs.qc is None else inputs.qc.acquisition, inputs.history)
    arrived = quality.arrival
    steps = guidance.next_steps(
        result, quality.codes, carried=bool(carried), uneven=arrived is not None and arrived.uneven
    )
    notes = verdict.banner_notes(
        inputs,
        arrival=arrived,
        beyond=[row.channel for row in controls.rows if row.beyond],
        carried=carried,
    )
    told = [_step(step, _places(standard, gates, inputs)) for step in steps]
    figures = numbers.numbers(
        inputs,
        tube,
        [
            *gate_plots.numbers_of_rows([*standard, *adaptive], charts.book),
            *(plot.numbers for plot in gates),
        ],
        markers,
        quality.numbers,
        controls.rows,
        facts,
        notes,
        told,
    )
    payload["numbers"] = figures.model_dump(mode="json", by_alias=True)
    answer = context_of(
        result,
        notes=notes,
        steps=told,
        signatures=inputs.signatures,
        signature_problem=inputs.signature_problem,
        required=inputs.config.report.signatures,
    )
    context = {
        **answer,
        "sensitivity": verdict.sensitivity_words(result),
        "sensitivity_state": verdict.sensitivity_state(result),
        "thresholds": threshold_figures(tube, placed),
        "standard": standard,
        "adaptive": adaptive,
        "canonical": view,
        "loadings": _loadings(plane),
        "gates": gates,
        "table": table,
        "has_diagnosis": inputs.leukaemia is not None,
        "has_controls": any(column.id.endswith("-controls") for row in standard for column in row.columns),
        "max_points": inputs.config.report.max_plot_events,
        "choices": plot_menus.back_gating(tube, result),
        "parents": plot_menus.parents(tube),
        **numbers.tables(inputs, tube, markers, quality, facts, visits),
        "free_axes": plot_menus.first_axes(tube, markers),
        "gate_remarks": assay_record.gate_remarks(inputs),
        "few_b_cells": assay_record.few_b_cells(inputs),
        "laip": laip_view.build(inputs, tube, markers),
        "quality": quality,
        "uncounted": numbers.uncounted_rows(groups, tube),
        "reason_codes": {reason.code for reason in result.verdict.reasons},
        "controls": controls,
        "visits": visits,
        "trend": trend_figure(inputs.history, result.sensitivity.target) if len(inputs.history) > 1 else None,
        "record": facts,
        "mrd_sha256": inputs.mrd_sha256,
        "checklist": inputs.config.report.checklist,
        "opinions": opinions(inputs, tube, groups),
        "call_choices": call_choices(inputs),
        "laboratory": inputs.config.report.laboratory,
        "summary": verdict.summary_line(result, steps[0].text if steps else ""),
        "print_plots": gate_plots.printed(gates),
    }
    html = render_page(
        "sample.html.j2",
        context,
        styles=[read_asset("sample.css"), read_asset("plots.css")],
        scripts=[read_asset("figures.js"), read_asset("plots.js"), read_asset("review.js")],
        plotly=inputs.shared_script or True,
        language=spoken,
        data={"report-data": payload},
        blobs={
            "report-events": table.pack(),
            "report-grids": charts.book.grids(),
            "report-figures": embed_json(_figures(charts.book, spoken)).encode(),
        },
    )
    return Page(html, figures)


def _figures(book: ChartBook, spoken: Language) -> Mapping[str, object]:
    """Every figure in the language of the page."""
    return book.figures if spoken.code == "en" else {
        key: in_language(figure, spoken.text) for key, figure in book.figures.items()
    }  # fmt: skip


def _telling(
    result: MrdResult, markers: Sequence[laip_view.MarkerRow], groups: Sequence[uncounted_groups.LetteredGroup]
) -> list[str]:
    """Markers of the adaptive pairs, most distinctive first: of the counted cells, or else of the uncounted groups."""
    of_cells = [row.marker for row in laip_view.by_shift(markers)]
    return of_cells if result.laip.clusters else [*uncounted_groups.telling(groups), *of_cells]


def _derived(plane: Canonical | None) -> list[dict[str, object]]:
    """Columns of the table that the page's script computes, which are the places in the canonical plane."""
    if plane is None:
        return []
    return [
        {
            "name": name,
            "channels": list(plane.features),
            "weights": [round(float(weight), 6) for weight in plane.weights[:, index]],
            "offset": round(float(plane.offset[index]), 6),
        }
        for index, name in enumerate(CHANNELS)
    ]


def _loadings(plane: Canonical | None) -> list[tuple[str, str, str]]:
    """How far one decade of a channel moves a cell along either canonical axis, strongest first; in hundredths."""
    if plane is None:
        return []
    order = np.argsort(-np.abs(plane.loadings).max(axis=1))
    first, second = ([_hundredths(value) for value in column] for column in plane.loadings.T)
    return [(plane.features[k], first[k], second[k]) for k in map(int, order)]


def _hundredths(value: float) -> str:
    whole = round(100 * value)
    return f"{whole:+d}".replace("-", "−") if whole else "0"


def _axis_facts(tube: PageTube, channel: str) -> dict[str, object]:
    """Ticks for both orientations, and raw values along the axis for tooltips."""
    steps = np.linspace(LOW, HIGH, RAW_STEPS)
    raw = [None if channel == tube.time_channel else tube.raw(channel, float(at)) for at in steps]
    return {
        "across": tube.axis(channel).to_json(),
        "upright": tube.axis(channel, upright=True).to_json(),
        "raw": None if any(value is None for value in raw) else [float(f"{value:.4g}") for value in raw],
    }


def _totals(result: MrdResult) -> list[tuple[str, int]]:
    """Denominators with which a selection is compared."""
    titles = dict(assay_record.DENOMINATORS)
    counted = {name: getattr(result.counts, name) for name in ("nucleated", "mononuclear", "b_lineage")}
    return [(formatting.within(titles[name]), count) for name, count in counted.items() if count is not None]


def _step(step: guidance.Step, places: guidance.Places) -> StepRow:
    """A step with the place on the page to look at, where the page has it."""
    target, title = places.get(step.place, ("", ""))
    return StepRow(text=step.text, target=target, title=title, signs=step.signs)


def _places(standard: Sequence[Row], gates: Sequence[gate_plots.GatePlot], inputs: PageInputs) -> guidance.Places:
    """Places on the page to which a step can refer (:data:`flowmrd.report.guidance.Places`)."""
    lineage = next((row for row in standard if row.parent == "b_lineage"), None)
    places: dict[str, tuple[str, str]] = {}
    if standard:
        row = lineage or standard[0]
        places["mrd"] = (f"{row.columns[0].id}-figure", f"{row.title} and the plots after it")
        places["first"] = (f"{standard[0].columns[0].id}-figure", standard[0].title)
    elif gates:
        places["mrd"] = places["first"] = (f"{gates[0].id}-figure", gates[0].numbers.title)
    places["gates"] = ("gates", "Gates in order")
    if inputs.qc is not None:
        places |= {
            "time": ("stability", "Stability over the run"),
            "compensation": ("residuals", "Residual compensation"),
            "controls": ("position", "Against the control tubes"),
        }
    return places

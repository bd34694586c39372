"""The page of one sample: what goes in, in which order, and the same numbers as JSON and TSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flowmrd import __version__
from flowmrd.mrd.result import MrdResult
from flowmrd.report import (
    among_controls,
    formatting,
    guidance,
    laip_view,
    level_scale,
    numbers,
    quality_view,
    record,
    svg,
    uncounted,
    verdict,
)
from flowmrd.report.density import count_grid, picture
from flowmrd.report.gate_labels import with_marks
from flowmrd.report.inputs import Inputs, gate_records
from flowmrd.report.page import read_asset, render_page
from flowmrd.report.thresholds import threshold_figures
from flowmrd.report.trend import trend_figure, trend_rows
from flowmrd.report.tube import Tube
from flowmrd.report.views import View, gate_views, mrd_views

STILL_POINTS = 250
"""MRD events drawn in the still picture of a plot; the interactive plot draws up to ``report.max_plot_events``."""


@dataclass
class Page:
    """A rendered page and the numbers on it."""

    html: str
    numbers: dict[str, Any] = field(default_factory=dict)


def build_page(inputs: Inputs, work: Path) -> Page:
    """Render the page of one sample."""
    result = inputs.result
    tube = Tube(work, inputs.panel, time_masked=inputs.config.quality.time_mask)
    try:
        markers = laip_view.marker_rows(inputs, tube)
        groups = uncounted.groups(inputs.classification)
        plots, grids = _plots(inputs, tube, _telling(result, markers, groups), groups)
        thin = tube.thinned()
        payload: dict[str, Any] = {
            "sample": result.sample,
            "mrd_sha256": inputs.mrd_sha256,
            "version": __version__,
            "max_points": inputs.config.report.max_plot_events,
            "plots": [plot["script"] for plot in plots],
            "table": thin.describe(),
            "axes": {channel: tube.axis(channel).to_json() for channel in tube.channels},
            "choices": _choices(tube, result),
        }
        quality = quality_view.build(inputs, tube)
        controls = among_controls.build(inputs)
        facts = record.build(inputs, controls_charted=bool(controls["charts"]))
        visits = trend_rows(inputs.history, result.sample)
        figures = numbers.numbers(inputs, tube, plots, markers, quality, controls, facts)
        payload["numbers"] = figures
        steps = guidance.next_steps(result, quality["codes"])
        context = {
            "result": result,
            "wording": verdict.wording(result),
            "trial": verdict.trial_flag(result),
            "is_result": verdict.is_result(result),
            "review": verdict.review_state(inputs.signatures),
            "role_note": verdict.ROLE_NOTES.get(result.role, ""),
            "steps": [_step(step, _places(plots, inputs)) for step in steps],
            "sensitivity": verdict.sensitivity_words(result),
            "interval": verdict.span(result.mrd.ci95),
            "scale": _scale(result),
            "thresholds": threshold_figures(tube, gate_records(inputs)),
            "plots": plots,
            "thin": thin,
            "max_points": inputs.config.report.max_plot_events,
            "choices": payload["choices"],
            "channels": tube.channels,
            **numbers.tables(inputs, tube, markers, quality, facts, visits),
            "free_axes": _free_axes(tube, markers),
            "gate_remarks": record.gate_remarks(inputs),
            "laip": laip_view.build(inputs, tube, markers),
            "quality": quality,
            "uncounted": numbers.uncounted_rows(groups, tube),
            "reason_codes": {reason.code for reason in result.verdict.reasons},
            "controls": controls,
            "visits": visits,
            "trend": trend_figure(inputs.history, result.sensitivity.target) if len(inputs.history) > 1 else None,
            "record": facts,
            "signatures": inputs.signatures,
            "signature_problem": inputs.signature_problem,
            "mrd_sha256": inputs.mrd_sha256,
            "laboratory": inputs.config.report.laboratory,
            "summary": verdict.summary_line(result, steps[0].text if steps else ""),
            "print_plots": [plot["id"] for plot in _for_print(plots)],
        }
        html = render_page(
            "sample.html.j2",
            context,
            styles=[read_asset("sample.css")],
            scripts=[read_asset("plots.js"), read_asset("review.js")],
            plotly=True,
            data={"report-data": payload},
            blobs={"report-events": thin.pack(), "report-grids": grids},
        )
    finally:
        tube.close()
    return Page(html, figures)


def _telling(result: MrdResult, markers: Sequence[laip_view.MarkerRow], groups: Sequence[uncounted.Group]) -> list[str]:
    """Markers of the plots of MRD cells, most telling first: of what was counted, else of what was not."""
    of_cells = [row.marker for row in laip_view.by_shift(markers)]
    return of_cells if result.laip.clusters else [*uncounted.telling(groups), *of_cells]


def _plots(
    inputs: Inputs, tube: Tube, telling: Sequence[str], groups: Sequence[uncounted.Group]
) -> tuple[list[dict[str, Any]], bytes]:
    """Every plot as template context, and all count grids as little-endian uint32, one after the other."""
    placed = gate_records(inputs)
    views = gate_views(tube, placed)
    of_cells = mrd_views(tube, telling, len(views) + 1)
    for view in of_cells:
        view.outlines = uncounted.outline_in(view, groups)
        view.outlines = with_marks(view.outlines, [outline.label for outline in view.outlines])
        if view.outlines:
            view.title = f"MRD cells and uncounted groups on {view.x} and {view.y}"
    views += of_cells
    mrd_rows = np.flatnonzero(tube.mrd)
    if len(mrd_rows) > STILL_POINTS:
        mrd_rows = mrd_rows[(np.arange(STILL_POINTS) * len(mrd_rows)) // STILL_POINTS]
    plots: list[dict[str, Any]] = []
    grids: list[bytes] = []
    for view in views:
        parent = tube.gate(view.parent)
        counts = count_grid(tube.bins(view.x)[parent], tube.bins(view.y)[parent])
        grids.append(counts.astype("<u4").tobytes())
        x, y = tube.axis(view.x), tube.axis(view.y)
        points = list(zip(tube.events[view.x][mrd_rows].tolist(), tube.events[view.y][mrd_rows].tolist(), strict=True))
        rows = _gate_rows(view, tube, placed)
        plots.append(
            {
                "id": view.id,
                "title": view.title,
                "parent": _parent_title(view.parent, tube),
                "is_gate": bool(view.gates),
                "still": svg.gate_plot(png=picture(counts), x=x, y=y, outlines=view.outlines, mrd=points),
                "rows": rows,
                "notes": [note for row in rows for note in row["notes"]],
                "summary": _plot_summary(view, rows, int(parent.sum()), int(tube.mrd.sum())),
                "parent_events": int(parent.sum()),
                "script": {
                    "id": view.id,
                    "x": view.x,
                    "y": view.y,
                    "parent": view.parent,
                    "outlines": [
                        {
                            "points": [[round(a, 5), round(b, 5)] for a, b in outline.points],
                            "closed": outline.closed,
                            "mark": None
                            if outline.mark is None
                            else {
                                "text": outline.mark.text,
                                "at": [round(value, 4) for value in outline.mark.at],
                                "anchor": outline.mark.anchor,
                            },
                        }
                        for outline in view.outlines
                    ],
                },
            }
        )
    return plots, b"".join(grids)


def _parent_title(gate: str, tube: Tube) -> str:
    return "all analysable events" if gate == "root" else laip_view.stage_name(gate, tube)


def _gate_rows(view: View, tube: Tube, placed: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    parent_count = int(tube.gate(view.parent).sum())
    nucleated = int(tube.gate("nucleated").sum()) if "nucleated" in tube.gate_names else 0
    titles = {gate.name: gate.title or gate.name.replace("_", " ") for gate in tube.panel.gates}
    rows = []
    for name in view.gates:
        inside = tube.gate(name)
        events = int(inside.sum())
        notes = record.gate_notes(titles.get(name, name), placed.get(name, {}))
        rows.append(
            {
                "gate": name,
                "title": titles.get(name, name),
                "events": events,
                "of_parent": events / parent_count if parent_count else None,
                "of_nucleated": events / nucleated if nucleated else None,
                "mrd": int((inside & tube.mrd).sum()),
                "notes": notes,
            }
        )
    return rows


def _plot_summary(view: View, rows: Sequence[Mapping[str, Any]], parent: int, mrd: int) -> str:
    inside = "; ".join(
        f"{row['title']} {formatting.count(row['events'])} events, {formatting.percent(row['of_parent'])} "
        f"of its parent, "
        f"{formatting.count(row['mrd'])} of {formatting.count(mrd)} MRD events inside"
        for row in rows
    )
    return (
        f"Density of {formatting.count(parent)} events on {view.x} (horizontal) and {view.y} (vertical), "
        f"with {formatting.count(mrd)} MRD events on top. {inside}"
    )


def _choices(tube: Tube, result: MrdResult) -> list[dict[str, str]]:
    """What can be back-gated: the MRD cells, their clusters, every gate."""
    titles = {gate.name: gate.title or gate.name.replace("_", " ") for gate in tube.panel.gates}
    choices = [{"value": "mrd", "text": f"MRD cells ({formatting.count(result.counts.mrd_events)})"}]
    choices += [
        {"value": f"cluster:{cluster.id}", "text": f"MRD cluster {cluster.id} ({formatting.count(cluster.events)})"}
        for cluster in result.laip.clusters
    ]
    choices += [
        {"value": f"gate:{index}", "text": f"{titles.get(name, name)} ({formatting.count(int(tube.gate(name).sum()))})"}
        for index, name in enumerate(tube.gate_names)
    ]
    return choices


def _free_axes(tube: Tube, markers: Sequence[laip_view.MarkerRow]) -> tuple[str, str]:
    ordered = [row.marker for row in laip_view.by_shift(markers) if row.marker in tube.channels]
    ordered += [channel for channel in ("CD45", "SSC-A", *tube.channels) if channel in tube.channels]
    distinct = list(dict.fromkeys(ordered))
    return (distinct[0], distinct[1]) if len(distinct) > 1 else (distinct[0], distinct[0])


def _for_print(plots: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The plots a printed page has room for: how the denominator came about, and where the MRD cells lie."""
    wanted = ("singlets", "nucleated", "mononuclear", "b_lineage")
    gates = [plot for plot in plots if any(row["gate"] in wanted for row in plot["rows"])]
    rest = [plot for plot in plots if plot["is_gate"] and plot not in gates]
    mrd = [plot for plot in plots if not plot["is_gate"]]
    room = 8 - len(mrd)
    chosen = (gates + rest)[:room]
    return [plot for plot in plots if plot in chosen or plot in mrd]


def _step(step: guidance.Step, places: guidance.Places) -> dict[str, Any]:
    """A step with the place on the page to look at, where the page has it."""
    target, title = places.get(step.place, ("", ""))
    return {"text": step.text, "target": target, "title": title}


def _places(plots: Sequence[Mapping[str, Any]], inputs: Inputs) -> guidance.Places:
    """What a step can point at (:data:`flowmrd.report.guidance.Places`)."""

    def plot(chosen: Mapping[str, Any] | None) -> dict[str, tuple[str, str]]:
        return {} if chosen is None else {"": (f"{chosen['id']}-figure", str(chosen["title"]))}

    mrd = [entry for entry in plots if not entry["is_gate"]]
    first = next(iter(plots), None)
    found = {
        "mrd": plot(mrd[0] if mrd else first),
        "first": plot(first),
    }
    places = {name: place[""] for name, place in found.items() if place}
    places["gates"] = ("gates", "Gates in order")
    if inputs.qc is not None:
        places |= {
            "time": ("stability", "Stability over the run"),
            "compensation": ("residuals", "Residual compensation"),
            "controls": ("position", "Against the control tubes"),
        }
    return places


def _scale(result: MrdResult) -> Mapping[str, Any]:
    facts = result.sensitivity
    levels = level_scale.Levels(
        level=result.mrd.fraction,
        interval=result.mrd.ci95,
        target=facts.target,
        lod=facts.lod95,
        loq=facts.loq,
        lod_nominal=facts.lod_nominal,
    )
    return {
        "drawing": level_scale.draw(levels),
        "narrow": level_scale.draw(levels, narrow=True),
        "summary": f"Logarithmic scale. MRD {result.mrd.reported}; 95 % interval of the count "
        f"{verdict.span(result.mrd.ci95)}; target {formatting.scientific(facts.target)}; limit of detection "
        f"with 95 % power "
        f"{formatting.scientific(facts.lod95)}; limit of quantification {formatting.scientific(facts.loq)}.",
    }

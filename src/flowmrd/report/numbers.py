"""The numbers of a sample's page: rows of the tables beside the figures, and ``report.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.report import formatting, laip_view, quality_view, uncounted
from flowmrd.report.inputs import Inputs
from flowmrd.report.report_file import ReportFile
from flowmrd.report.tube import PageTube


def uncounted_rows(groups: Sequence[uncounted.Group], tube: PageTube) -> list[dict[str, Any]]:
    """Groups that were not counted, as the page says them."""
    return [
        {
            "letter": group.letter,
            "events": formatting.count(group.events),
            "why": group.why,
            "nearest": laip_view.stage_name(group.nearest, tube),
            "phenotype": laip_view.phenotype(group.shifts),
        }
        for group in groups
    ]


def tables(
    inputs: Inputs,
    tube: PageTube,
    markers: Sequence[laip_view.MarkerRow],
    quality: Mapping[str, Any],
    facts: Mapping[str, Any],
    visits: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Rows of every table beside a figure; ``facts`` is the context of the record."""
    laip = inputs.result.laip
    clusters = [
        {
            "id": cluster.id,
            "events": formatting.count(cluster.events),
            "nearest": laip_view.stage_name(cluster.nearest_normal, tube),
            "phenotype": laip_view.cluster_phenotype(cluster),
        }
        for cluster in sorted(laip.clusters, key=lambda cluster: -cluster.events)
    ]
    return {
        "marker_table": [
            (row["marker"], row["mrd"], row["normal"], row["diagnosis"], row["shift"])
            for row in laip_view.legend_rows(markers, tube)
        ],
        "clusters": clusters,
        "denominator_table": [
            (
                row["title"] + (" (reported)" if row["reported"] else ""),
                formatting.count(row["events"]),
                formatting.percent(row["fraction"]),
            )
            for row in facts["denominators"]
        ],
        "visit_table": [
            (
                row["timepoint"],
                ("▸ " if row["current"] else "") + row["sample"],
                row["short"],
                row["level"],
                row["interval"],
                row["lod"],
            )
            for row in visits
        ],
        "attrition_table": [
            (
                row["step"],
                formatting.count(row["masked"]),
                formatting.count(row["removed"]),
                formatting.count(row["remaining"]),
            )
            for row in quality.get("attrition", [])
        ],
        "channel_table": quality_view.channel_rows(quality),
        "instrument_facts": quality_view.instrument_facts(quality),
        "specimen_facts": facts["specimen"],
        "provenance_facts": facts["provenance"],
        "gate_table": [
            (
                row["gate"],
                row["numbers"],
                row["source"] + ("" if row["state"] == "ok" else f" ({row['state']})"),
                row["shift"],
                row["why"],
            )
            for row in facts["gates"]
        ],
        "population_table": [
            (
                row["title"],
                formatting.count(row["events"]),
                formatting.percent(row["of_nucleated"]),
                formatting.count(row["mrd"]),
            )
            for row in populations(tube)
        ],
    }


def populations(tube: PageTube) -> list[dict[str, Any]]:
    """Populations that the panel names, with the MRD events each holds."""
    nucleated = int(tube.gate("nucleated").sum()) if "nucleated" in tube.gate_names else 0
    rows = []
    for gate in tube.panel.gates:
        if gate.population and gate.name in tube.gate_names:
            inside = tube.gate(gate.name)
            events = int(inside.sum())
            rows.append(
                {
                    "title": gate.title or gate.name.replace("_", " "),
                    "gate": gate.name,
                    "events": events,
                    "of_nucleated": events / nucleated if nucleated else None,
                    "mrd": int((inside & tube.mrd).sum()),
                }
            )
    return rows


def numbers(
    inputs: Inputs,
    tube: PageTube,
    plots: Sequence[Mapping[str, Any]],
    markers: Sequence[laip_view.MarkerRow],
    quality: Mapping[str, Any],
    controls: Mapping[str, Any],
    facts: Mapping[str, Any],
    notes: Sequence[tuple[str, str]],
) -> ReportFile:
    """The figures of the page: ``report.json``, and the page's own download."""
    values = {
        "format": "flowmrd-report/1",
        "mrd_sha256": inputs.mrd_sha256,
        "result": inputs.result,
        "acquisition": AcquisitionEntry() if inputs.ingest is None else inputs.ingest.acquisition,
        "specimen": dict(facts["specimen"]),
        "denominators": facts["denominators"],
        "plots": [
            {
                "title": plot["title"],
                "parent": plot["parent"],
                "x": plot["x"],
                "y": plot["y"],
                "parent_events": plot["parent_events"],
                "outlines": plot["outlines"],
                "gates": [
                    {key: row[key] for key in ("gate", "events", "of_parent", "of_nucleated", "mrd")}
                    for row in plot["rows"]
                ],
            }
            for plot in plots
        ],
        "populations": populations(tube),
        "markers": [row.to_json() for row in markers],
        "uncounted": [asdict(group) for group in uncounted.groups(inputs.classification, inputs.result.groups)],
        "quality": quality["numbers"],
        "controls": controls["rows"],
        "thresholds": [
            {"setting": name, "value": value, "source": source} for name, value, source in facts["thresholds"]
        ],
        "gates": facts["gates"],
        "trend": [visit.to_json() for visit in inputs.history],
        "notes": notes,
    }
    return ReportFile.model_validate(values)

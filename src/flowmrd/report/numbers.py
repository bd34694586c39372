"""The numbers of a sample's page: rows of the tables beside the figures, and ``report.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from flowmrd.mrd.result import MrdResult
from flowmrd.records.gates import StageEntry
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.report import formatting, laip_view, quality_view, uncounted_groups
from flowmrd.report.assay_record import RecordView
from flowmrd.report.group_names import group_number
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.page_tube import PageTube
from flowmrd.report.report_file import (
    AmongControlsRow,
    MarkerLevelRow,
    PlotRow,
    PopulationRow,
    QualityNumbers,
    ReportFile,
    StepRow,
    ThresholdRow,
    TrendRow,
    UncountedRow,
)
from flowmrd.report.trend import VisitRow


def uncounted_rows(groups: Sequence[uncounted_groups.LetteredGroup], tube: PageTube) -> list[dict[str, object]]:
    """Groups that were not counted, as the page shows them."""
    return [
        {
            "letter": group.letter,
            "number": group.number,
            "events": formatting.count(group.events),
            "why": group.why,
            "nearest": laip_view.stage_name(group.nearest, tube),
            "phenotype": laip_view.phenotype(group.shifts),
        }
        for group in groups
    ]


def share_of(result: MrdResult, events: int | None, mrd_events: int | None = None) -> str:
    """Share of the MRD events in a denominator, as far as it is a result.

    Parameters
    ----------
    mrd_events
        MRD events among them; all of the result's unless given.

    Where nothing was detected, the share lies below the limit of detection of the reported denominator, which is the
    same number of events of any other one; a denominator of fewer events has too few cells. What is not established has
    no share.
    """
    if events is None or not events:
        return formatting.NOT_AVAILABLE
    if result.mrd.detected:
        return formatting.percent((result.counts.mrd_events if mrd_events is None else mrd_events) / events)
    limit, of = result.sensitivity.lod95, result.denominator_count
    if limit is None or not of or not result.mrd.reported.startswith("<"):
        return "–"
    if limit * of >= events:
        return "too few cells"
    return f"< {formatting.percent(limit * of / events)}"


def _beside_groups(result: MrdResult) -> int:
    """MRD events that no group counts: cells off scale in a detector that lie where a counted group does.

    Zero where a reviewer has called a group, because clusters are those of the classifier.
    """
    if any(group.called_by == "reviewer" for group in result.groups):
        return 0
    return max(0, result.counts.mrd_events - sum(cluster.events for cluster in result.laip.clusters))


def tables(
    inputs: PageInputs,
    tube: PageTube,
    markers: Sequence[laip_view.MarkerRow],
    quality: quality_view.QualityView,
    facts: RecordView,
    visits: Sequence[VisitRow],
) -> dict[str, object]:
    """Rows of every table beside a figure; ``facts`` is the context of the record."""
    laip = inputs.result.laip
    clusters = [
        {
            "number": group_number(inputs.result.groups, cluster.id) or cluster.id + 1,
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
        "beside_groups": _beside_groups(inputs.result),
        "denominator_table": [
            (
                row.title + (" (reported)" if row.reported else ""),
                formatting.count(row.events),
                formatting.count(row.mrd_events),
                share_of(inputs.result, row.events, row.mrd_events),
            )
            for row in facts.denominators
        ],
        "visit_table": [
            (
                row.timepoint,
                ("▸ " if row.current else "") + row.sample,
                row.short,
                row.level,
                row.interval,
                row.lod,
            )
            for row in visits
        ],
        "attrition_table": [
            (
                row.step,
                formatting.count(row.masked),
                formatting.count(row.removed),
                formatting.count(row.remaining),
            )
            for row in quality.attrition
        ],
        "channel_table": quality_view.channel_rows(quality),
        "instrument_facts": quality_view.instrument_facts(quality),
        "specimen_facts": facts.specimen,
        "provenance_facts": facts.provenance,
        "gate_table": [
            (
                row.gate,
                row.numbers,
                row.source + ("" if row.state == "ok" else f" ({row.state})"),
                row.shift,
                row.why,
            )
            for row in facts.gates
        ],
        "population_table": [
            (
                row.title,
                formatting.count(row.events),
                formatting.percent(row.of_nucleated),
                formatting.count(row.mrd),
                _others(row),
            )
            for row in populations(tube, _stages(inputs))
        ],
    }


def _stages(inputs: PageInputs) -> dict[str, StageEntry]:
    return {} if inputs.gates is None else {one.population: one for one in inputs.gates.b_lineage.stages}


def _others(row: PopulationRow) -> str:
    """What other cells can be in the place of a B stage, and whether that leaves any; empty for other populations."""
    if row.others_at_most is None:
        return ""
    most = formatting.count(round(row.others_at_most))
    return most if row.state == "present" else f"{most}: too few to assess"


def populations(tube: PageTube, stages: Mapping[str, StageEntry]) -> Iterator[PopulationRow]:
    """Populations that the panel names, with the MRD events each holds.

    Parameters
    ----------
    stages
        Normal B stages of ``gates.json`` by population.
    """
    nucleated = int(tube.gate("nucleated").sum()) if "nucleated" in tube.gate_names else 0
    for gate in tube.panel.gates:
        if gate.population and gate.name in tube.gate_names:
            inside = tube.gate(gate.name)
            events = int(inside.sum())
            stage = stages.get(gate.name)
            yield PopulationRow(
                title=gate.title or gate.name.replace("_", " "),
                gate=gate.name,
                events=events,
                of_nucleated=events / nucleated if nucleated else None,
                mrd=int((inside & tube.mrd).sum()),
                others_at_most=None if stage is None else stage.others_at_most,
                state=None if stage is None else stage.state,
            )


def numbers(
    inputs: PageInputs,
    tube: PageTube,
    plots: Sequence[PlotRow],
    markers: Sequence[laip_view.MarkerRow],
    quality: QualityNumbers | None,
    controls: Sequence[AmongControlsRow],
    facts: RecordView,
    notes: Sequence[tuple[str, str]],
    steps: Sequence[StepRow],
) -> ReportFile:
    """The figures of the page: ``report.json``, and the page's own download."""
    return ReportFile(
        format="flowmrd-report/1",
        mrd_sha256=inputs.mrd_sha256,
        result=inputs.result,
        acquisition=AcquisitionEntry() if inputs.ingest is None else inputs.ingest.acquisition,
        specimen=dict(facts.specimen),
        denominators=facts.denominators,
        plots=tuple(plots),
        populations=tuple(populations(tube, _stages(inputs))),
        markers=tuple(MarkerLevelRow(**asdict(row)) for row in markers),
        uncounted=tuple(
            UncountedRow(**asdict(group))
            for group in uncounted_groups.groups(inputs.classification, inputs.result.groups)
        ),
        quality=quality,
        controls=tuple(controls),
        thresholds=tuple(
            ThresholdRow(setting=name, value=value, source=source) for name, value, source in facts.thresholds
        ),
        gates=facts.gates,
        trend=tuple(_visit(visit.result) for visit in inputs.history),
        notes=tuple(notes),
        steps=tuple(steps),
    )


def _visit(result: MrdResult) -> TrendRow:
    return TrendRow(
        sample=result.sample,
        timepoint=result.timepoint,
        role=result.role,
        class_=result.verdict.class_,
        fraction=result.mrd.fraction,
        ci95=result.mrd.ci95,
        lod95=result.sensitivity.lod95,
    )

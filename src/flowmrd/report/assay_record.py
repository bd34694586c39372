"""The record part of a page: the facts that a laboratory must still be able to read in ten years.

Fields follow the lists of the EuroFlow BCP-ALL MRD external quality assessment, ELN 2024, the CAP flow cytometry
checklist and 21 CFR 11.50. A field that nobody supplied is printed as "not supplied", never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel

from flowmrd.flags import flag, kind_of
from flowmrd.panel.model import Channel
from flowmrd.panel.names import dye_of_file
from flowmrd.records.gates import GateEntry
from flowmrd.records.ingest import AcquisitionEntry, ChannelEntry
from flowmrd.report import formatting, methods
from flowmrd.report.page_inputs import PageInputs, gate_records
from flowmrd.report.page_tube import PageTube
from flowmrd.report.report_file import DenominatorRow, GateRow

NOT_SUPPLIED: Final = "not supplied to the pipeline"

SOURCES: Final = {
    "sample": "estimated in this tube",
    "reference": "frozen from the control tubes",
    "sample-shift": "from the controls, moved by this tube's anchor cells",
    "fallback": "the panel's fallback value",
    "default": "fixed in the panel",
    "override": "set by a reviewer by hand",
}
DENOMINATORS: Final = (
    ("total", "Events in the file"),
    ("analysable", "Analysable (after quality masks)"),
    ("singlets", "Singlets"),
    ("nucleated", "Nucleated cells"),
    ("mononuclear", "Mononuclear cells"),
    ("b_lineage", "B lineage"),
)


def gate_notes(title: str, entry: GateEntry | None) -> list[str]:
    """Remarks on the place of a gate that a reviewer must know; empty for a gate that needs none."""
    if entry is None:
        return []
    notes = []
    why = entry.why
    if entry.state == "insufficient_parent":
        notes.append(
            f"{title}: too few parent events to place it here ({SOURCES.get(entry.source, 'fallback')}). {why}"
        )
    elif entry.state == "unavailable":
        notes.append(f"{title}: not available, {why or 'a channel is missing'}")
    elif entry.source == "override":
        notes.append(f"{title}: set by hand by a reviewer. {why}")
    elif entry.source == "fallback":
        notes.append(f"{title}: the panel's fallback value. {why}")
    elif entry.at_bound:
        moved = entry.source == "sample-shift"
        what = "its shift is at the allowed bound" if moved else "its threshold ended at a bound of the panel"
        notes.append(f"{title}: {what}.")
    return notes


def gate_remarks(inputs: PageInputs) -> list[dict[str, str]]:
    """Flags of the gates, routes into the B lineage that are missing, and a reviewer's overrides."""
    if inputs.gates is None:
        return [{**flag("GATES_MISSING").as_record(), "tone": "fail", "level": "missing"}]
    notes = [
        {
            "code": record.code,
            "message": record.message,
            "tone": (kind := kind_of(record.code)).tone,
            "level": kind.tone,
        }
        for record in inputs.gates.flags
    ]
    for route in inputs.gates.routes.missing:
        notes.append(
            {
                **flag("ROUTE_MISSING", route=route.route, why=route.why).as_record(),
                "tone": "warn",
            }
        )
    override = inputs.gates.override
    if override is not None:
        notes.append(
            {
                **flag(
                    "GATES_SET_BY_HAND",
                    gates=f"{', '.join(override.gates)} from {override.file} "
                    f"(SHA-256 {formatting.short_hash(override.sha256)})",
                ).as_record(),
                "tone": "warn",
                "level": "manual",
            }
        )
    return notes


@dataclass(frozen=True)
class RecordView:
    """The record part of a page; rows of facts are (name, value), those of thresholds (setting, value, source)."""

    denominators: tuple[DenominatorRow, ...]
    specimen: list[tuple[str, str]]
    thresholds: list[tuple[str, str, str]]
    gates: tuple[GateRow, ...]
    provenance: list[tuple[str, str]]
    methods: Sequence[str]
    references: Sequence[str]
    limitations: Sequence[str]
    marrow: list[str]


def build(inputs: PageInputs, tube: PageTube, *, controls_charted: bool) -> RecordView:
    """Context of the record; ``controls_charted`` is true where there were enough controls to judge their sequence."""
    written = methods.methods(inputs, controls_charted=controls_charted)
    return RecordView(
        denominators=tuple(_denominators(inputs, tube)),
        specimen=_specimen(inputs),
        thresholds=_thresholds(inputs),
        gates=tuple(_gates(inputs)),
        provenance=_provenance(inputs),
        methods=written.paragraphs,
        references=written.references,
        limitations=methods.limitations(inputs),
        marrow=_marrow(inputs),
    )


def _denominators(inputs: PageInputs, tube: PageTube) -> Iterator[DenominatorRow]:
    """Every count with the MRD events among it: some MRD events lie outside the narrower gates."""
    counts, chosen = inputs.result.counts, inputs.result.denominator
    for name, title in DENOMINATORS:
        value: int | None = getattr(counts, name)
        inside: int | None = None
        if value is not None:
            narrower = name != chosen and name in tube.gate_names
            inside = int((tube.mrd & tube.gate(name)).sum()) if narrower else min(counts.mrd_events, value)
        yield DenominatorRow(
            title=title,
            events=value,
            reported=name == chosen,
            mrd_events=inside,
            fraction=inside / value if value and inside is not None else None,
        )


def _antibody(channel: Channel, stored: ChannelEntry | None) -> str:
    """Marker, dye and clone; where the file's dye differs from the panel's, the file's dye and no clone."""
    said = (None, None) if stored is None else (stored.pnn, stored.tag)
    dye, same = dye_of_file(said[0], channel.fluorochrome, said[1])
    clone = channel.clone if same else "(detector of the file; clone not stated)"
    return " ".join(part for part in (channel.marker, dye, clone) if part)


def _specimen(inputs: PageInputs) -> list[tuple[str, str]]:
    """Person, specimen, dates and instrument; the last row names the fields that nobody supplied."""
    sample, result = inputs.sample, inputs.result
    acquired = inputs.ingest.acquisition if inputs.ingest is not None else AcquisitionEntry()
    instrument = inputs.qc.instrument if inputs.qc is not None else {}

    def given(name: str) -> str:
        return (getattr(sample, name) if sample else None) or NOT_SUPPLIED

    fields = [
        ("Patient (pseudonym)", result.patient),
        ("Sample", result.sample),
        ("Trial", inputs.config.report.trial or NOT_SUPPLIED),
        (
            "Role and time point",
            f"{'follow-up' if result.role == 'followup' else result.role}, {result.timepoint or 'no time point given'}",
        ),
        (
            "Prior antibody therapy",
            PRIOR_THERAPY.get(sample.prior_therapy.value, NOT_SUPPLIED) if sample else NOT_SUPPLIED,
        ),
        ("Specimen", given("specimen")),
        ("Pull", given("pull")),
        ("Anticoagulant", given("anticoagulant")),
        ("Collected", given("collected")),
        ("Received", given("received")),
        ("Acquired", _acquired(acquired) or _of_header(instrument, "DATE")),
        ("Age at acquisition", sample_age(sample.collected if sample else None, acquired)),
        ("Viability", given("viability")),
        ("Instrument", _of_header(instrument, "MODEL", "CYT")),
        ("Serial number (digest)", _of_header(instrument, "SERIAL_DIGEST")),
        ("Cytometer configuration", _cytometer_settings(inputs) or NOT_SUPPLIED),
        ("Panel", f"{inputs.panel.name} version {inputs.panel.version}: {inputs.panel.title}"),
        ("Antibodies (dye, clone)", _antibodies(inputs)),
        ("Reagent lots", given("lots")),
        ("Expiry of the reagents", given("expiry")),
        ("Batch", given("batch")),
        ("Analyst", given("analyst")),
    ]
    absent = [name.lower() for name, value in fields if value == NOT_SUPPLIED]
    known = [(name, value) for name, value in fields if value != NOT_SUPPLIED]
    return [*known, (NOT_SUPPLIED.capitalize(), ", ".join(absent))] if absent else known


PRIOR_THERAPY: Final = {
    "none": "none recorded",
    "cd19": "anti-CD19",
    "cd22": "anti-CD22",
    "cd19+cd22": "anti-CD19 and anti-CD22",
}


def _of_header(instrument: Mapping[str, str], *names: str) -> str:
    """Value in the file's header under the first of these names that it has."""
    said = {key.upper().replace("$", ""): value for key, value in reversed(list(instrument.items()))}
    return next((said[name] for name in names if name in said), NOT_SUPPLIED)


def _cytometer_settings(inputs: PageInputs) -> str:
    keywords = inputs.ingest.keywords if inputs.ingest is not None else {}
    return ", ".join(
        f"{key} {value}" for key, value in sorted(keywords.items()) if "CONFIG" in key.upper() or "LOT" in key.upper()
    )


def _antibodies(inputs: PageInputs) -> str:
    stored = {} if inputs.ingest is None else {one.marker: one for one in inputs.ingest.channels}
    channels = inputs.panel.channels
    return ", ".join(
        _antibody(channel, stored.get(channel.marker)) for channel in channels if channel.kind.value == "antibody"
    )


def _acquired(acquired: AcquisitionEntry) -> str:
    """Day and time of acquisition from the header."""
    if not acquired.date:
        return ""
    begin = acquired.begin
    clock = "" if begin is None else f" {int(begin) // 3600:02d}:{int(begin) % 3600 // 60:02d}"
    return f"{acquired.date}{clock}"


def sample_age(collected: str | None, acquired: AcquisitionEntry) -> str:
    """Hours, or days where only days are known, from aspiration to acquisition; ELN 2021 asks for a note beyond 3 days.

    Parameters
    ----------
    collected
        ISO date, or date and time, as the sheet has it.
    acquired
        Date and times in the file's header.
    """
    if not collected:
        return NOT_SUPPLIED
    if not acquired.date:
        return "not known: the file does not say when it was acquired"
    try:
        start = datetime.fromisoformat(collected).replace(tzinfo=None)
        end = datetime.fromisoformat(acquired.date) + timedelta(seconds=acquired.begin or 0.0)
    except ValueError:
        return f"not known: {formatting.clip(collected, 40)!r} is no date"
    exact = len(collected) > len("2024-01-31") and acquired.begin is not None
    hours = (end - start).total_seconds() / 3600
    days = (end.date() - start.date()).days
    if (hours if exact else days) < 0:
        return "not known: acquired before it was collected, by these dates"
    late = hours > 72 if exact else days > 3
    note = " (more than 3 days: read with care)" if late else ""
    return (f"{hours:.0f} h" if exact else f"{days} day{'' if days == 1 else 's'}") + note


def _thresholds(inputs: PageInputs) -> list[tuple[str, str, str]]:
    """Every configured number and its source: the run's configuration or flowmrd's default."""
    rows: list[tuple[str, str, str]] = []
    for section in ("mrd", "quality", "gating", "compensation", "transform", "reference", "laip"):
        settings = getattr(inputs.config, section)
        if not isinstance(settings, BaseModel):
            rows.append((section, str(settings), "site configuration"))
            continue
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            if isinstance(value, Mapping) or value is None:
                continue
            given = section in inputs.config.model_fields_set and name in settings.model_fields_set
            rows.append((f"{section}.{name}", _plain(value), "site configuration" if given else "default"))
    return rows + _measured_thresholds(inputs)


def _measured_thresholds(inputs: PageInputs) -> list[tuple[str, str, str]]:
    """Numbers that are not configured: they were found in this tube or learned from the controls."""
    rows: list[tuple[str, str, str]] = []
    if inputs.qc is not None:
        doublets, debris = inputs.qc.doublets, inputs.qc.debris
        if doublets.low is not None:
            band = f"{formatting.number(doublets.low)} to {formatting.number(doublets.high)}"
            rows.append((f"single cells, {doublets.y} / {doublets.x}", band, "this tube (sample)"))
        if debris.fsc is not None:
            rows.append(("debris, FSC-A below", formatting.number(debris.fsc), "this tube (sample)"))
        rows.append(("signal disturbance over the run", formatting.number(inputs.qc.time.limit), "default"))
    if inputs.classification is not None:
        rows.append(("score of an MRD cell", formatting.number(inputs.classification.cut), "the controls (reference)"))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return formatting.number(value, 4) if isinstance(value, float) else str(value)


def _gates(inputs: PageInputs) -> Iterator[GateRow]:
    titles = {gate.name: gate.title or gate.name.replace("_", " ") for gate in inputs.panel.gates}
    for name, entry in gate_records(inputs).items():
        numbers = ", ".join(f"{key} {formatting.number(value)}" for key, value in entry.parameters.items())
        shift = entry.shift_decades
        yield GateRow(
            gate=titles.get(name, name),
            numbers=numbers or "–",
            source=SOURCES.get(entry.source, entry.source),
            shift=f"{shift:+.2f} decades".replace("-", "−") if shift else "–",
            why=entry.why,
            state=entry.state,
        )


def _provenance(inputs: PageInputs) -> list[tuple[str, str]]:
    facts = inputs.result.provenance
    return [
        ("mrd.json, as signed", inputs.mrd_sha256),
        ("FCS file", facts.fcs_sha256),
        ("Configuration", facts.config_sha256),
        ("Panel", facts.panel_sha256),
        ("Normal reference", facts.reference_sha256 or "none was used"),
        ("Patient LAIP", facts.laip_sha256 or "none was used"),
        ("flowmrd version", facts.flowmrd_version),
        ("Commit, packages, times", "in results/provenance.json"),
    ]


def few_b_cells(inputs: PageInputs) -> str:
    """Why counts of normal B-cell stages cannot be used in this tube; empty where they can."""
    found = None if inputs.gates is None else inputs.gates.b_lineage
    return found.statement if found is not None and found.verdict == "too_few" else ""


def _marrow(inputs: PageInputs) -> list[str]:
    """Statements about B lineage, haemodilution and regeneration; the last without the MRD cells, where known."""
    gates, told = inputs.gates, inputs.result.regeneration
    diluted = "" if gates is None else gates.haemodilution.statement
    regenerating = told.statement if told is not None else "" if gates is None else gates.regeneration.statement
    lineage = "" if gates is None else gates.b_lineage.statement
    return [
        lineage or "B lineage: not assessed for this tube.",
        diluted or "Haemodilution: not assessed for this tube.",
        regenerating or "Regeneration: not assessed for this tube.",
    ]

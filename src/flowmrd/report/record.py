"""The record part of a page: what a laboratory must be able to read in ten years.

Fields follow the lists of the EuroFlow BCP-ALL MRD external quality assessment, ELN 2024, the CAP flow cytometry
checklist and 21 CFR 11.50. A field that nobody supplied is printed as such, never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from flowmrd.report import words

if TYPE_CHECKING:
    from flowmrd.report.sample import Inputs

NOT_SUPPLIED: Final = "not supplied to the pipeline"

_SOURCES: Final = {
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


def gate_notes(title: str, entry: Mapping[str, Any]) -> list[str]:
    """What a reviewer must know about where a gate lies; empty for a gate that needs no remark."""
    notes = []
    why = str(entry.get("why") or "")
    if entry.get("state") == "insufficient_parent":
        notes.append(
            f"{title}: too few parent events to place it here "
            f"({_SOURCES.get(str(entry.get('source')), 'fallback')}). {why}"
        )
    elif entry.get("state") == "unavailable":
        notes.append(f"{title}: not available, {why or 'a channel is missing'}")
    elif entry.get("source") == "override":
        notes.append(f"{title}: set by hand by a reviewer. {why}")
    elif entry.get("source") == "fallback":
        notes.append(f"{title}: the panel's fallback value. {why}")
    elif entry.get("at_bound"):
        notes.append(f"{title}: its shift is at the allowed bound.")
    return notes


def gate_remarks(inputs: Inputs) -> list[dict[str, str]]:
    """Flags of the gates, routes into the B lineage that are missing, and a reviewer's overrides."""
    if inputs.gates is None:
        return [{"tone": "fail", "level": "missing", "code": "GATES_MISSING", "message": "gates.json was not found."}]
    notes = [
        {
            "tone": {"info": "info", "fail": "fail"}.get(str(flag.get("level")), "warn"),
            "level": str(flag.get("level")),
            "code": str(flag.get("code")),
            "message": str(flag.get("message")),
        }
        for flag in inputs.gates.get("flags", [])
    ]
    for route in (inputs.gates.get("routes") or {}).get("missing", []):
        notes.append(
            {
                "tone": "warn",
                "level": "warn",
                "code": "ROUTE_MISSING",
                "message": f"B lineage without {route.get('route')}: {route.get('why')}",
            }
        )
    override = inputs.gates.get("override")
    if override:
        notes.append(
            {
                "tone": "warn",
                "level": "manual",
                "code": "GATES_SET_BY_HAND",
                "message": f"{', '.join(map(str, override.get('gates', [])))} from {override.get('file')} "
                f"(SHA-256 {words.short_hash(override.get('sha256'))})",
            }
        )
    return notes


def build(inputs: Inputs) -> dict[str, Any]:
    """Context of the record."""
    return {
        "denominators": _denominators(inputs),
        "specimen": _specimen(inputs),
        "thresholds": _thresholds(inputs),
        "gates": _gates(inputs),
        "provenance": _provenance(inputs),
        "methods": methods(inputs),
        "references": REFERENCES,
        "limitations": limitations(inputs),
        "marrow": _marrow(inputs),
    }


def _denominators(inputs: Inputs) -> list[dict[str, Any]]:
    counts, chosen = inputs.result.counts, inputs.result.denominator
    rows = []
    for name, title in DENOMINATORS:
        value = int(getattr(counts, name))
        rows.append(
            {
                "title": title,
                "events": value,
                "reported": name == chosen,
                "fraction": counts.mrd_events / value if value else None,
            }
        )
    return rows


def _specimen(inputs: Inputs) -> list[tuple[str, str]]:
    sample, result, instrument = inputs.sample, inputs.result, (inputs.qc or {}).get("instrument") or {}
    acquired = (inputs.ingest or {}).get("acquisition") or {}
    lots = ", ".join(
        f"{channel.marker} {channel.fluorochrome or ''}{' ' + channel.clone if channel.clone else ''}".strip()
        for channel in inputs.panel.channels
        if channel.kind.value == "antibody"
    )

    def header(*names: str) -> str:
        for name in names:
            for key, value in instrument.items():
                if str(key).upper().replace("$", "") == name:
                    return str(value)
        return NOT_SUPPLIED

    prior = {"none": "none recorded", "cd19": "anti-CD19", "cd22": "anti-CD22", "cd19+cd22": "anti-CD19 and anti-CD22"}
    return [
        ("Patient (pseudonym)", result.patient),
        ("Sample", result.sample),
        ("Role and time point", f"{result.role}, {result.timepoint or 'no time point given'}"),
        ("Specimen", (sample.specimen if sample else None) or NOT_SUPPLIED),
        ("First pull, anticoagulant, age, viability", NOT_SUPPLIED),
        ("Prior antibody therapy", prior.get(sample.prior_therapy.value, NOT_SUPPLIED) if sample else NOT_SUPPLIED),
        ("Batch", (sample.batch if sample else None) or NOT_SUPPLIED),
        ("Acquisition date", str(acquired.get("date") or header("DATE"))),
        ("Instrument", header("MODEL", "CYT")),
        ("Instrument serial (digest)", header("SERIAL_DIGEST")),
        ("Panel", f"{inputs.panel.name} version {inputs.panel.version}: {inputs.panel.title}"),
        ("Antibodies (dye, clone)", lots),
        ("Reagent lots", NOT_SUPPLIED),
    ]


def _thresholds(inputs: Inputs) -> list[tuple[str, str, str]]:
    """Every configured number with where it came from: the run's configuration or flowmrd's default."""
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
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return words.number(value, 4) if isinstance(value, float) else str(value)


def _gates(inputs: Inputs) -> list[dict[str, str]]:
    from flowmrd.report.sample import gate_records

    titles = {gate.name: gate.title or gate.name.replace("_", " ") for gate in inputs.panel.gates}
    rows = []
    for name, entry in gate_records(inputs).items():
        numbers = ", ".join(f"{key} {words.number(value)}" for key, value in (entry.get("parameters") or {}).items())
        shift = entry.get("shift") or 0.0
        rows.append(
            {
                "gate": titles.get(name, name),
                "numbers": numbers or "–",
                "source": _SOURCES.get(str(entry.get("source")), str(entry.get("source") or "–")),
                "shift": f"{shift * 4.5:+.2f} decades".replace("-", "−") if shift else "–",
                "why": str(entry.get("why") or ""),
                "state": str(entry.get("state") or "ok"),
            }
        )
    return rows


def _provenance(inputs: Inputs) -> list[tuple[str, str]]:
    facts = inputs.result.provenance
    return [
        ("mrd.json (SHA-256, what a reviewer signs)", inputs.mrd_sha256),
        ("FCS file", facts.fcs_sha256),
        ("Configuration", facts.config_sha256),
        ("Panel", facts.panel_sha256),
        ("Normal reference", facts.reference_sha256 or "none was used"),
        ("Patient LAIP", facts.laip_sha256 or "none was used"),
        ("flowmrd version", facts.flowmrd_version),
    ]


def _marrow(inputs: Inputs) -> list[str]:
    """Statements about haemodilution and regeneration that the gate stage made."""
    statements = []
    for name in ("haemodilution", "regeneration"):
        found = (inputs.gates or {}).get(name) or {}
        statements.append(str(found.get("statement") or f"{name.capitalize()}: not assessed for this tube."))
    return statements


REFERENCES: Final[Sequence[str]] = (
    "Parks DR, Roederer M, Moore WA. Cytometry A 2006;69:541 (logicle); Moore WA, Parks DR. Cytometry A 2012;81:273.",
    "Emmaneel A et al. Cytometry A 2022;101:325 (PeacoQC: bins and robust deviations over time).",
    "Garwood F. Biometrika 1936;28:437 (exact Poisson interval).",
    "Gökbuget N et al. Blood 2024 (ELN recommendations, MRD classes in adult ALL).",
    "Theunissen P et al. Blood 2017;129:347 (events needed for 10⁻⁵).",
    "Cherian S et al. Cytometry B 2018;94:112 (CD19-independent gating).",
)


def methods(inputs: Inputs) -> list[str]:
    """Methods paragraph for a paper or a file, from what was really done."""
    config, result, qc = inputs.config, inputs.result, inputs.qc or {}
    compensation = qc.get("compensation") or {}
    source = {
        "file": "the matrix stored in the FCS file",
        "csv": "a matrix supplied by the laboratory",
        "controls": "a matrix computed from single-stain tubes",
        "none": "none, as configured",
    }.get(str(compensation.get("source")), str(compensation.get("source") or "a source that was not recorded"))
    condition = compensation.get("condition")
    kinds = sorted({str(entry.get("kind")) for entry in (qc.get("transforms") or {}).values()} - {"linear"})
    facts = result.sensitivity
    background = words.number(facts.background_per_million)
    interval = facts.background_ci95
    span = f" (95 % interval {words.number(interval[0])} to {words.number(interval[1])})" if interval else ""
    return [
        f"FCS data were analysed with flowmrd {result.provenance.flowmrd_version} and the panel {inputs.panel.name} "
        f"version {inputs.panel.version}. No event was deleted; exclusions are masks. Compensation: {source}"
        + (f" (condition number {words.number(condition)})" if condition else "")
        + f". Fluorescence was scaled by {' and '.join(kinds) or 'a transform that was not recorded'}; "
        "scatter linearly. "
        "Events with invalid values, at the margins of scatter"
        + (", and in unstable stretches of the run" if config.quality.time_mask else "")
        + " were not analysed.",
        f"Gates of the panel were placed on all events; {words.count(result.counts.nucleated)} nucleated cells were "
        "found. "
        f"Leukaemic cells were recognised by {_MODE_WORDS.get(result.laip.mode, result.laip.mode)}, against a normal "
        f"reference learned from control marrows, and had to form a cluster.",
        f"MRD is the number of clustered events per {result.denominator} cell with its exact Poisson 95 % interval. "
        f"At least {config.mrd.min_detect_events} events count as detected and {config.mrd.min_quantify_events} as "
        f"quantifiable. The background was {background} per million{span}; the limit of detection is the smallest rate "
        f"found with {config.mrd.power:.0%} probability at a limit of blank of {config.mrd.alpha:.0%}. "
        "A negative result needs "
        f"a limit of detection at or below {words.scientific(facts.target)} and recovery of leukaemic cells spiked "
        "in silico into the same tube.",
    ]


_MODE_WORDS: Final = {
    "patient": "the immunophenotype at diagnosis combined with difference from normal",
    "library": "a library of other patients' leukaemias combined with difference from normal",
    "different_from_normal": "difference from normal alone",
    "none": "no model, because no reference was available",
}


def limitations(inputs: Inputs) -> list[str]:
    """What this result cannot say."""
    lines = [
        "The result describes this tube, not the marrow: sampling, haemodilution and cell loss are not measured by it.",
        "Sensitivity is computed for phenotypes like those known to the reference; a leukaemia that looks "
        "normal in this panel "
        "is not seen.",
        "No nucleic-acid dye: erythroblasts and debris are told apart by scatter and CD45."
        if not any(channel.kind.value == "nucleic_acid" for channel in inputs.panel.channels)
        else "",
        "No diagnosis tube was used for this patient." if inputs.result.laip.mode != "patient" else "",
        "Events in unstable stretches of the run are excluded; the result with them is shown beside it."
        if inputs.config.quality.time_mask
        else "",
    ]
    return [line for line in lines if line]

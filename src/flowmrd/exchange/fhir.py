"""One result as an HL7 FHIR R4 Bundle: a DiagnosticReport, and an Observation for each number.

- The subject is the laboratory's pseudonym as a logical reference. Nothing else about the person is written.
- Units are UCUM. Codes are LOINC where a code for exactly this item is known (:data:`LOINC`), and flowmrd's own
  otherwise.
- A report is ``preliminary`` until a valid signature accepts the result, then ``final``. After a rejection it is
  ``cancelled``.
- Identifiers derive from the result's digest, so the same result gives the same bytes.

The structure is HL7 FHIR R4 (4.0.1), DiagnosticReport and Observation. The code of the report is that of HL7's mCODE
guide (STU4) for leukaemia immunophenotyping.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowmrd.mrd.result import MrdResult, VerdictClass

CODES = "https://flowmrd.example/fhir/codes"
"""System of flowmrd's own codes."""
PSEUDONYMS = "https://flowmrd.example/fhir/pseudonyms"
"""System of the laboratory's pseudonyms, unless the laboratory names its own."""
LOINC = {"report": ("101119-6", "Leukemia and lymphoma immunophenotyping in Specimen")}
NAMESPACE = uuid.UUID("5b0c9f5e-3d1a-5c6e-9a35-2f2a7c1d9e10")
"""Namespace of the identifiers (version 5)."""
STATUS = {"accepted": "final", "rejected": "cancelled"}
"""Review state to status of the report; every other state is preliminary."""
REVIEWER_CODES = frozenset({"CALLED_BY_REVIEWER", "CALLED_CELLS_TOO_FEW", "PHENOTYPE_OVERRULED", "REVIEWERS_DISAGREE"})
"""Reasons that name a reviewer or a reviewer's call."""

Resource = dict[str, Any]


@dataclass(frozen=True)
class AttachedPage:
    """A page of the result to attach, as PDF or HTML."""

    content_type: str
    title: str
    data: bytes


def result_bundle(
    result: MrdResult,
    *,
    result_sha256: str,
    review_state: str,
    acquired: str | None = None,
    issued: str | None = None,
    document: AttachedPage | None = None,
    pseudonym_system: str = PSEUDONYMS,
) -> Resource:
    """Bundle of one result.

    Parameters
    ----------
    result_sha256
        Digest of its ``mrd.json``; identifiers derive from it.
    review_state
        As :class:`flowmrd.review.status.ReviewState` names it.
    acquired
        Day of acquisition, ISO 8601.
    issued
        When the result was signed, ISO 8601 with time zone.
    pseudonym_system
        URI of the system of the laboratory's pseudonyms.
    """
    status = STATUS.get(review_state, "preliminary")
    common: Resource = {
        "status": status,
        "subject": {"identifier": {"system": pseudonym_system, "value": result.patient}},
    }
    if acquired is not None:
        common["effectiveDateTime"] = acquired
    if issued is not None and status == "final":
        common["issued"] = issued
    observations = [
        {"resourceType": "Observation", "id": _identifier(result_sha256, name), **common, **body}
        for name, body in _observations(result).items()
    ]
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "id": _identifier(result_sha256, "report"),
        "identifier": [{"system": f"{CODES}/result-sha256", "value": result_sha256}],
        **common,
        "category": [_concept("HM", "Hematology", "http://terminology.hl7.org/CodeSystem/v2-0074")],
        "code": _concept(*LOINC["report"], "http://loinc.org"),
        "specimen": [{"identifier": {"system": f"{pseudonym_system}/tube", "value": result.sample}}],
        "result": [{"reference": f"urn:uuid:{entry['id']}"} for entry in observations],
        "conclusion": _conclusion(result),
        "conclusionCode": [_concept(result.verdict.class_.value, _spelled(result.verdict.class_.value))],
    }
    if document is not None:
        report["presentedForm"] = [
            {
                "contentType": document.content_type,
                "title": document.title,
                "size": len(document.data),
                "data": base64.b64encode(document.data).decode("ascii"),
            }
        ]
    resources = [report, *observations]
    return {
        "resourceType": "Bundle",
        "id": _identifier(result_sha256, "bundle"),
        "type": "collection",
        "entry": [{"fullUrl": f"urn:uuid:{entry['id']}", "resource": entry} for entry in resources],
    }


def _conclusion(result: MrdResult) -> str:
    """The first three reasons, and every reviewer's call, because the person who called a group is
    part of the answer.
    """
    reasons = result.verdict.reasons
    told = [item for place, item in enumerate(reasons) if place < 3 or item.code in REVIEWER_CODES]
    return " ".join(item.message for item in told) or result.verdict.class_.value


def _identifier(result_sha256: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{result_sha256}/{name}"))


def _spelled(code: str) -> str:
    return code.replace("_", " ").lower()


def _concept(code: str, display: str, system: str = CODES) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _quantity(value: float, unit: str, code: str, comparator: str | None = None) -> Resource:
    quantity: Resource = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": code}
    return quantity if comparator is None else {**quantity, "comparator": comparator}


def _percent(fraction: float, comparator: str | None = None) -> Resource:
    return _quantity(100.0 * fraction, "%", "%", comparator)


def _cells(count: int) -> Resource:
    return _quantity(count, "cells", "{cells}")


def _observations(result: MrdResult) -> Mapping[str, Resource]:
    """Name to body of every observation, the MRD level first."""
    sensitivity = result.sensitivity
    found: dict[str, Resource] = {"mrd": {"code": _concept("mrd", "Measurable residual disease"), **_level(result)}}
    found["verdict"] = {
        "code": _concept("verdict", "MRD verdict"),
        "valueCodeableConcept": _concept(result.verdict.class_.value, _spelled(result.verdict.class_.value)),
    }
    for name, display, value in (
        ("lod95", "Limit of detection of this tube, 95 % power", sensitivity.lod95),
        ("loq", "Limit of quantification of this tube", sensitivity.loq),
        ("target", "Threshold of the protocol", sensitivity.target),
    ):
        if value is not None:
            found[name] = {"code": _concept(name, display), "valueQuantity": _percent(value)}
    counts = result.counts.model_dump()
    for name in dict.fromkeys((result.denominator, "mrd_events", "total")):
        display = f"Cells: {name.replace('_', ' ')}"
        found[f"count-{name}"] = {
            "code": _concept(f"count-{name}", display),
            **({"dataAbsentReason": _absent()} if counts[name] is None else {"valueQuantity": _cells(counts[name])}),
        }
    found["sensitivity-achieved"] = {
        "code": _concept("sensitivity-achieved", "This tube could have shown MRD at the threshold"),
        "valueBoolean": sensitivity.achieved,
    }
    return found


def _absent() -> Resource:
    return _concept("unknown", "Unknown", "http://terminology.hl7.org/CodeSystem/data-absent-reason")


def _level(result: MrdResult) -> Resource:
    """Value of the MRD observation: a percentage, "less than the limit of detection", or why there is none."""
    fraction, interval, limit = result.mrd.fraction, result.mrd.ci95, result.sensitivity.lod95
    method = {"method": {"text": f"Multicolour flow cytometry, flowmrd {result.provenance.flowmrd_version}"}}
    of = {"note": [{"text": f"Fraction of {result.denominator.replace('_', ' ')} cells."}]}
    below = result.mrd.reported.startswith("<")
    if result.verdict.class_ is VerdictClass.NOT_EVALUABLE or fraction is None or not (below or result.mrd.detected):
        return {"dataAbsentReason": _absent(), **method, **of}
    if below and limit is not None:
        return {"valueQuantity": _percent(limit, "<"), **method, **of}
    body: Resource = {"valueQuantity": _percent(fraction), **method, **of}
    if interval is not None:
        body["component"] = [
            {"code": _concept("ci95-low", "95 % interval, lower end"), "valueQuantity": _percent(interval[0])},
            {"code": _concept("ci95-high", "95 % interval, upper end"), "valueQuantity": _percent(interval[1])},
        ]
    return body

"""A population that a tube cannot have is not zero cells, wherever its count is printed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from flowmrd.exchange.fhir import result_bundle
from flowmrd.flags import flag
from flowmrd.mrd.counts import count_events
from flowmrd.mrd.result import MrdResult
from flowmrd.report.answer import context_of
from flowmrd.report.cohort_page import _result_values
from flowmrd.report.guidance import next_steps
from flowmrd.report.page import environment
from flowmrd.report.sample_page import _totals
from report_factory import make_result

YES = np.ones(10, dtype=np.bool_)


@pytest.fixture
def without_nucleated() -> MrdResult:
    failed = flag("REQUIRED_GATE_UNAVAILABLE", gate="nucleated", why="the file has no SYTO41")
    made: dict[str, Any] = make_result("P01", mrd=0, failures=(failed,)).model_dump(by_alias=True)
    made["counts"]["nucleated"] = None
    return MrdResult.model_validate(made)


def test_a_gate_that_could_not_be_placed_counts_nothing_and_not_zero() -> None:
    counts = count_events(YES, {"singlets": YES, "nucleated": None, "b_lineage": ~YES}, ~YES)
    assert (counts.singlets, counts.nucleated, counts.mononuclear, counts.b_lineage) == (10, None, None, 0)


def test_the_page_the_table_and_the_hospital_are_told_that_it_is_not_available(without_nucleated: MrdResult) -> None:
    page = environment().from_string('{% import "parts.html.j2" as parts %}{% include "verdict.html.j2" %}')
    context = context_of(without_nucleated, notes=[], steps=[], signatures=(), signature_problem=None, required=1)
    assert "0 / not available" in page.render(context | {"scale": None})
    assert [name for name, _ in _totals(without_nucleated)] != []
    assert _result_values(without_nucleated)["nucleated"] is None
    assert next_steps(without_nucleated, ())
    sent = result_bundle(without_nucleated, result_sha256="f" * 64, review_state="not_reviewed")
    (count,) = [
        entry["resource"]
        for entry in sent["entry"]
        if entry["resource"]["code"]["coding"][0]["code"] == "count-nucleated"
    ]
    assert "valueQuantity" not in count
    assert "unknown" in json.dumps(count["dataAbsentReason"])

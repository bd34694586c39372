"""Signing: what a review changes on the pages, without computing a tube again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pdf_text import pdf_text
from report_pages import build

from flowmrd.config import Role, Sample
from flowmrd.config.run import ReportConfig
from flowmrd.report.answer import context_of
from flowmrd.report.guidance import next_steps
from flowmrd.report.pdf import PROGRAMS, write_pdf
from flowmrd.report.report_file import StepRow
from flowmrd.review.importing import import_review
from flowmrd.review.status import review_status
from flowmrd.stages.cohort import cohort, refresh_page
from flowmrd.stages.fhir import write_bundles
from flowmrd.store import digest_file, write_json, write_text
from report_factory import MadeSample, config, make_result, make_sample


def sign(made: MadeSample, folder: Path, name: str, decision: str = "accept", **more: Any) -> None:
    file = folder / f"{name}-{decision}.json"
    write_json(
        file,
        {
            "format": "flowmrd-review/1", "sample": made.sample,
            "mrd_sha256": digest_file(made.sample_dir / "mrd.json"),
            "decision": decision, "comment": "Seen.", "name": name, "meaning": "review",
            "signed_at": "2026-01-02T03:04:05+00:00", **more,
        },
    )  # fmt: skip
    import_review(made.run, file)


def test_new_signatures_make_the_same_page_as_a_page_made_anew(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=40)
    page = build(made)
    before, time = page.read_text(), page.stat().st_mtime_ns
    sign(made, tmp_path, "Dr Ada", checklist=["Looked."], groups=[{"group": 0, "call": "leukaemia"}])
    assert refresh_page(made.run, made.result, ReportConfig())
    assert page.stat().st_mtime_ns == time
    refreshed = page.read_text()
    assert refreshed != before
    assert "accepted by Dr Ada" in refreshed
    assert "Group 1: leukaemia" in refreshed
    assert build(made).read_text() == refreshed
    assert not refresh_page(made.run, made.result, ReportConfig()), "a second time nothing changes"


def test_whoever_asks_for_the_state_of_a_review_counts_the_signatures_that_the_configuration_requires(
    tmp_path: Path,
) -> None:
    """One of two signatures made a result final in the FHIR bundle, in the trial and in ``flowmrd review status``."""
    made = make_sample(tmp_path, n=3000, blasts=40)
    sign(made, tmp_path, "Dr Ada")
    assert review_status(made.run).samples[0].state == "accepted"
    write_text(made.run / "config/config.yaml", "panel: ino10\nsamples: config/samples.tsv\nreport: {signatures: 2}\n")
    assert review_status(made.run).samples[0].state == "signed_once"
    write_bundles(made.run, tmp_path / "fhir", samples=[made.sample])
    bundle = json.loads((tmp_path / f"fhir/{made.sample}.fhir.json").read_text())
    found = [entry["resource"] for entry in bundle["entry"]]
    assert {one["status"] for one in found if one["resourceType"] == "DiagnosticReport"} == {"preliminary"}
    sign(made, tmp_path, "Dr Ben")
    assert review_status(made.run).samples[0].state == "accepted"


def test_a_second_person_signs_beside_the_first_and_both_are_needed(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=40)
    build(made)
    sign(made, tmp_path, "Dr Ada")
    assert review_status(made.run, signatures=2).samples[0].state == "signed_once"
    sign(made, tmp_path, "  dr ADA ")
    assert review_status(made.run, signatures=2).samples[0].state == "signed_once", "the same person twice is one"
    sign(made, tmp_path, "Dr Ben")
    status = review_status(made.run, signatures=2).samples[0]
    assert status.state == "accepted"
    refresh_page(made.run, made.result, ReportConfig(signatures=2))
    html = (made.sample_dir / "report.html").read_text()
    assert "dr ADA" in html
    assert "Dr Ben" in html
    assert html.count("Replaced by entry") == 1, "only a person's own earlier decision is replaced"


@pytest.mark.parametrize("names", [("Dr Ada", "Dr Ben"), ("Dr Ben", "Dr Ada")])
def test_a_rejection_stands_whoever_accepts(tmp_path: Path, names: tuple[str, str]) -> None:
    made = make_sample(tmp_path, n=3000, blasts=40)
    build(made)
    decisions = {"Dr Ada": "accept", "Dr Ben": "reject"}
    for name in names:
        sign(made, tmp_path, name, decisions[name])
    assert review_status(made.run).samples[0].state == "rejected"
    refresh_page(made.run, made.result, ReportConfig())
    html = (made.sample_dir / "report.html").read_text()
    assert "not to be reported" in html
    steps = html[html.index("What to do next") : html.index("<!-- /next -->")]
    assert "Do not report this result" in steps
    sign(made, tmp_path, "Dr Ben", "accept")
    assert review_status(made.run, signatures=2).samples[0].state == "accepted", "who rejected may take it back"


def test_a_rejected_result_leaves_the_tiles_and_its_verdict_on_the_index(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=40)
    build(made, visits=False)
    sign(made, tmp_path, "Dr Ben", "reject")
    row = Sample(line=2, sample=made.sample, patient="P01", role=Role.FOLLOWUP, fcs=tmp_path / "a.fcs")
    cohort(made.run, [row], config=config())
    html = (made.run / "results/cohort/index.html").read_text()
    tiles = html[html.index('class="tiles"') : html.index("</ul>")]
    assert "rejected at review" in tiles
    assert "MRD positive" not in tiles
    assert "Rejected at review" in html
    assert "not to be reported" in (made.sample_dir / "report.html").read_text()


@pytest.mark.parametrize(("decision", "asked"), [("comment", True), ("accept", False), ("reject", False)])
def test_no_step_asks_for_a_signature_that_is_there(decision: str, asked: bool) -> None:
    result = make_result("P01_d21", mrd=400)
    steps = [StepRow(text=step.text, target="", title="", signs=step.signs) for step in next_steps(result)]
    entry = {"decision": decision, "name": "Dr Ada", "valid": True, "replaced_by": None}
    context = context_of(result, notes=[], steps=steps, signatures=[entry], signature_problem=None, required=1)
    left = context["steps"]
    assert isinstance(left, list)
    assert any(step.text.endswith("then sign.") for step in left) is asked
    assert [step for step in steps if not step.signs] == [step for step in left if not step.signs]


@pytest.mark.browser
def test_every_sheet_of_paper_names_patient_sample_and_day(positive: MadeSample, tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in PROGRAMS):
        pytest.skip("no Chromium")
    write_pdf(positive.sample_dir / "report.html", tmp_path / "page.pdf")
    data = (tmp_path / "page.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page[^s]", data)) == 3
    lines = pdf_text(data).splitlines()
    assert sum(line.startswith("Patient P01, sample P01_d21") for line in lines) >= 3
    assert sum("Issued 20" in line for line in lines) >= 3

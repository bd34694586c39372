"""Results as FHIR: valid by the published models, true to the result, and of no person."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from test_one_truth import called_by_reviewer

from flowmrd.cli.app import call
from flowmrd.exchange.fhir import AttachedPage, result_bundle
from flowmrd.flags import Flag
from flowmrd.mrd.result import MrdResult
from flowmrd.store import write_json
from report_factory import MadeSample, make_result

SHA = "f" * 64


def bundle(result: MrdResult, **options: Any) -> dict[str, Any]:
    made = result_bundle(result, result_sha256=SHA, **{"review_state": "not_reviewed", **options})
    Bundle.model_validate_json(json.dumps(made))
    return made


def resources(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for entry in made["entry"]:
        resource = entry["resource"]
        code = resource["code"]["coding"][0]["code"]
        found["report" if resource["resourceType"] == "DiagnosticReport" else code] = resource
    return found


@pytest.mark.parametrize(
    "result",
    [
        make_result("POS", mrd=400),
        make_result("NEG", mrd=0),
        make_result("FEW", mrd=30),
        make_result("UNKNOWN", mrd=0, background=None),
        make_result("SMALL", mrd=0, nucleated=20_000),
    ],
    ids=lambda result: result.verdict.class_.value,
)
def test_every_verdict_makes_a_bundle_that_the_published_models_accept(result: MrdResult) -> None:
    found = resources(bundle(result, acquired="2026-03-01"))
    assert found["verdict"]["valueCodeableConcept"]["coding"][0]["code"] == result.verdict.class_.value
    assert {entry["status"] for entry in found.values()} == {"preliminary"}
    assert found["report"]["conclusionCode"][0]["coding"][0]["code"] == result.verdict.class_.value


def test_a_detected_level_is_given_in_percent_with_its_interval() -> None:
    result = make_result("POS", mrd=400)
    level = resources(bundle(result))["mrd"]
    assert level["valueQuantity"]["code"] == "%"
    assert level["valueQuantity"]["value"] == pytest.approx(result.mrd.percent)
    assert "comparator" not in level["valueQuantity"]
    assert [part["valueQuantity"]["value"] for part in level["component"]] == pytest.approx(
        [100 * end for end in result.mrd.ci95 or ()]
    )


def test_what_was_not_detected_is_less_than_the_limit_of_this_tube_and_never_zero() -> None:
    result = make_result("NEG", mrd=0)
    level = resources(bundle(result))["mrd"]["valueQuantity"]
    assert result.sensitivity.lod95 is not None
    assert (level["comparator"], level["value"]) == ("<", pytest.approx(100 * result.sensitivity.lod95))


@pytest.mark.parametrize(
    ("state", "status"), [("accepted", "final"), ("rejected", "cancelled"), ("void", "preliminary")]
)
def test_only_an_accepted_result_is_final(state: str, status: str) -> None:
    made = resources(bundle(make_result("POS", mrd=400), review_state=state, issued="2026-03-02T10:00:00+01:00"))
    assert {entry["status"] for entry in made.values()} == {status}
    assert ("issued" in made["report"]) == (status == "final")


def test_the_conclusion_says_that_a_reviewer_called_however_many_reasons_come_first() -> None:
    result = make_result("POS", mrd=400)
    many = tuple(Flag("QUANTIFIED", f"Reason {number}.") for number in range(5))
    result = result.model_copy(update={"verdict": result.verdict.model_copy(update={"reasons": many})})
    for call_of_group, words in (("counted", "leukaemia"), ("normal:mature_b", "mature")):
        conclusion = resources(bundle(called_by_reviewer(result, call_of_group)))["report"]["conclusion"]
        assert "by reviewer Dr Ada" in conclusion
        assert words in conclusion
        assert "Reason 3." not in conclusion


def test_the_same_result_gives_the_same_bytes_and_the_page_is_attached() -> None:
    result = make_result("POS", mrd=400)
    page = AttachedPage("application/pdf", "POS.pdf", b"%PDF-1.7")
    one, two = bundle(result, document=page), bundle(result, document=page)
    assert json.dumps(one) == json.dumps(two)
    assert resources(one)["report"]["presentedForm"][0]["size"] == 8


def test_the_command_writes_patients_tubes_and_leaves_controls_out(tmp_path: Path) -> None:
    for name, role in (("P01-day21", "followup"), ("CTRL01", "control")):
        result = make_result(name, role=role, mrd=0)
        write_json(tmp_path / "results/samples" / name / "mrd.json", result.to_json_dict())
    assert call(["fhir", str(tmp_path)]) == 0
    written = sorted(path.name for path in (tmp_path / "results/fhir").iterdir())
    assert written == ["P01-day21.fhir.json"]


@pytest.mark.browser
def test_the_page_is_printed_and_attached_and_where_it_cannot_be_the_command_says_so(
    positive: MadeSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("chromium") is None and "FLOWMRD_CHROMIUM" not in os.environ:
        pytest.skip("no Chromium")
    run = Path(shutil.copytree(positive.run, tmp_path / "run"))
    name = positive.sample
    assert call(["fhir", str(run), "--sample", name]) == 0
    made = json.loads((run / f"results/fhir/{name}.fhir.json").read_text())
    (form,) = resources(made)["report"]["presentedForm"]
    assert base64.b64decode(form["data"]).startswith(b"%PDF")
    assert form["contentType"] == "application/pdf"
    Bundle.model_validate_json(json.dumps(made))
    assert "Without the page" not in capsys.readouterr().out
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FLOWMRD_CHROMIUM", raising=False)
    assert call(["fhir", str(run), "--sample", name]) == 0
    assert "Without the page as PDF: 1, because there is no Chromium" in capsys.readouterr().out
    assert "presentedForm" not in resources(json.loads((run / f"results/fhir/{name}.fhir.json").read_text()))["report"]
    assert call(["fhir", str(run), "--sample", name, "--pdf"]) == 2
    assert "install chromium" in capsys.readouterr().err


def test_a_tube_without_a_result_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results/samples").mkdir(parents=True)
    assert call(["fhir", str(tmp_path), "--sample", "X"]) == 2
    assert "no result" in capsys.readouterr().err


def test_a_run_without_results_gives_no_empty_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["fhir", str(tmp_path)]) == 2
    assert "no results" in capsys.readouterr().err

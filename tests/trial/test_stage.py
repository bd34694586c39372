"""The stage from a run directory to trial.json, trial.html and CSV."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from pathlib import Path

import pytest
from trial_results import run_after_quantify

from flowmrd.errors import ReviewError, TrialError
from flowmrd.stages.trial import build_trial
from flowmrd.trial.csv_files import NAMES
from flowmrd.trial.reenactment import REENACTMENT
from flowmrd.trial.survival import kaplan_meier


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_after_quantify(tmp_path)


def outputs(run: Path) -> dict[str, bytes]:
    folder = run / "results" / "cohort"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_stage_writes_json_page_and_csv_with_the_published_figures(run: Path) -> None:
    build_trial(run)
    assert sorted(outputs(run)) == [
        "trial.html",
        "trial.json",
        "trial/adverse_events.csv",
        "trial/curves.csv",
        "trial/patients.csv",
        "trial/rates.csv",
        "trial/times.csv",
        "trial/worst_grades.csv",
    ]
    found = json.loads(outputs(run)["trial.json"])
    rate = found["rates"]["mrd_negative"]["primary"]
    assert (rate["successes"], rate["total"]) == (9, 12)
    page = outputs(run)["trial.html"].decode().replace("\u00a0", " ")
    assert "11/12 (91.7 %, 95 % interval 61.5–99.8 %)" in page
    assert "9/12 (75.0 %, 95 % interval 42.8–94.5 %)" in page
    assert "not reached" in page


def rows_of(run: Path, name: str) -> list[dict[str, str]]:
    with (run / "results/cohort/trial" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_statistician_can_make_every_curve_again_from_the_times(run: Path) -> None:
    result = build_trial(run)
    rows = rows_of(run, "times")
    for name in ("os", "pfs", "rfs", "dor"):
        mine = [row for row in rows if row["endpoint"] == name]
        again = kaplan_meier([int(row["days"]) for row in mine], [row["code"] == "1" for row in mine])
        assert again == result.endpoints[name].curve
    competing = {row["patient"]: row["code"] for row in rows if row["endpoint"] == "cir"}
    assert competing["T09"] == "2"
    assert {row["sex"] for row in rows_of(run, "patients")} == {"male", "female"}
    worst = {(row["patient"], row["term"]): row["worst_grade"] for row in rows_of(run, "worst_grades")}
    assert worst["T01", "Neutropenia"] == "4"
    assert worst["T09", "Sepsis"] == "5"


def test_running_again_gives_the_same_bytes(run: Path) -> None:
    build_trial(run)
    first = outputs(run)
    build_trial(run)
    assert outputs(run) == first


def test_page_fetches_nothing_and_has_no_date(run: Path) -> None:
    build_trial(run)
    page = outputs(run)["trial.html"].decode()
    assert "default-src 'none'" in html.unescape(page)
    links = set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', page))
    assert links == {"index.html", "trial.json", *(f"trial/{name}.csv" for name in NAMES)}
    assert not re.search(r"20\d\d-\d\d-\d\d", page + outputs(run)["trial.json"].decode())


def test_every_figure_has_a_title_and_a_summary(run: Path) -> None:
    build_trial(run)
    page = outputs(run)["trial.html"].decode()
    figures = re.findall(r'<figure id="([^"]+)"', page)
    assert {"flow", "swimmer", "waterfall", "curve-os", "curve-nrm"} <= set(figures)
    for name in figures:
        assert f'id="{name}-title"' in page
        assert re.search(rf'id="{name}-summary">\s*\S', page)


def test_contradictions_of_both_tables_come_together(run: Path) -> None:
    patients = run / "config" / "patients.tsv"
    patients.write_text(patients.read_text(encoding="utf-8").replace("\talive\t", "\tdead\t", 1), encoding="utf-8")
    events = run / "config" / "adverse_events.tsv"
    events.write_text(events.read_text(encoding="utf-8") + "T99\tNausea\t1\n", encoding="utf-8")
    with pytest.raises(TrialError) as caught:
        build_trial(run)
    assert "status dead without a death date" in str(caught.value)
    assert "T99" in str(caught.value)


def test_missing_result_is_reported_and_not_counted_negative(run: Path) -> None:
    shutil.rmtree(run / "results" / "samples" / "T01-day21")
    found = build_trial(run)
    assert found.rates["mrd_negative"].primary.successes == 8
    line = next(line for line in found.patients if line.patient == "T01")
    assert [reason.code for reason in line.mrd.reasons] == ["NO_RESULT"]


def test_without_adverse_events_the_page_says_so(run: Path) -> None:
    (run / "config" / "adverse_events.tsv").unlink()
    assert "NO_ADVERSE_EVENTS" in [warning.code for warning in build_trial(run).warnings]


def test_altered_review_log_stops_the_trial(run: Path) -> None:
    folder = run / "results" / "review"
    folder.mkdir()
    (folder / "log.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ReviewError, match="entry 1"):
        build_trial(run)


HOSTILE = ["<script>alert(1)</script>", "javascript:alert(1)", "\u202eevil", "🧬" * 50, "=HYPERLINK(1)", "{{7*7}}"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_terms_and_reasons_are_shown_as_text(run: Path, text: str) -> None:
    events = run / "config" / "adverse_events.tsv"
    events.write_text(events.read_text(encoding="utf-8") + f"T01\t{text}\t4\n", encoding="utf-8")
    patients = run / "config" / "patients.tsv"
    changed = patients.read_text(encoding="utf-8").replace("withdrew consent before the first marrow", text)
    patients.write_text(changed, encoding="utf-8")
    build_trial(run)
    page = outputs(run)["trial.html"].decode()
    assert "<script>alert" not in page
    assert "49" not in re.findall(r"\{\{.*?\}\}|>49<", page)
    with (run / "results" / "cohort" / "trial" / "adverse_events.csv").open(encoding="utf-8", newline="") as stream:
        terms = [row["term"] for row in csv.DictReader(stream)]
    assert not any(term.startswith("=") for term in terms)


def test_shipped_tables_are_the_ones_used() -> None:
    assert {path.name for path in REENACTMENT.glob("*.tsv")} == {"patients.tsv", "adverse_events.tsv", "tubes.tsv"}

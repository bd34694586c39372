"""The report stage: what it writes, and what it says when something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from report_factory import MadeSample, config, ino10, make_result, make_sample
from report_pages import build

from flowmrd.errors import ArtefactError
from flowmrd.mrd.result import Reason, VerdictClass
from flowmrd.report.verdict import SHORT, next_steps, trial_flag, wording
from flowmrd.stages.report import report
from flowmrd.store import write_columns


def html_of(made: MadeSample) -> str:
    return (made.sample_dir / "report.html").read_text(encoding="utf-8")


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build(make_sample(tmp_path / name, n=3000, blasts=30))
    for name in ("report.html", "report.json", "report.tsv"):
        first, second = (tmp_path / run / "results/samples/P01_d21" / name for run in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_the_page_is_self_contained_and_below_eight_megabytes(positive: MadeSample) -> None:
    html = html_of(positive)
    assert len(html.encode()) < 8_000_000
    body = html[: html.index('<script type="application/json"')]
    for forbidden in ("http://", "https://", "src=", "@import", "url(http"):
        assert forbidden not in body.replace("http://www.w3.org", "")


def test_plots_of_report_json_count_what_the_gates_hold(positive: MadeSample) -> None:
    numbers = json.loads((positive.sample_dir / "report.json").read_text())
    counts = {gate["gate"]: gate["events"] for plot in numbers["plots"] for gate in plot["gates"]}
    record = json.loads((positive.work_dir / "gates.json").read_text())
    truth = {gate["name"]: gate["analysable_count"] for gate in record["gates"]}
    assert counts
    assert counts == {name: truth[name] for name in counts}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("results/samples/P01_d21/qc.json", "qc.json was not found"),
        ("results/work/P01_d21/gates.json", "gates.json was not found"),
    ],
)
def test_a_missing_file_is_said_and_not_hidden(tmp_path: Path, path: str, words: str) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    (tmp_path / path).unlink()
    build(made)
    assert words in html_of(made)


def test_no_controls_is_said(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=0, background=None)
    report(made.sample_dir, made.work_dir, panel=ino10(), config=config())
    html = html_of(made)
    assert "Indeterminate" in html
    assert "BACKGROUND_UNKNOWN" in html
    assert "not available: no controls" in html
    assert "limits need at least 5 control tubes, 0 are at hand" in html


def test_columns_of_different_lengths_are_refused(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    write_columns(made.work_dir / "classified.arrow", {"mrd": np.zeros(5, dtype=np.bool_)})
    with pytest.raises(ArtefactError, match="one row per event"):
        build(made)


def test_an_altered_review_log_is_named_on_the_page(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    (tmp_path / "results/review").mkdir(parents=True)
    (tmp_path / "results/review/log.jsonl").write_text('{"not": "an entry"}\n')
    build(made)
    assert "Review log" in html_of(made)


def test_a_tube_without_one_event_in_a_gate_still_has_a_page(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=60, blasts=0, nucleated=50)
    build(made)
    assert wording(made.result).headline in html_of(made)


def test_every_verdict_has_words_and_only_a_negative_one_says_not_detected_alone() -> None:
    failed = Reason(code="FAILED", message="Failed.")
    tubes = {
        VerdictClass.NEGATIVE: make_result("a", mrd=2),
        VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY: make_result("a", mrd=2, nucleated=100_000),
        VerdictClass.DETECTED_NOT_QUANTIFIABLE: make_result("a", mrd=30),
        VerdictClass.POSITIVE_BELOW_THRESHOLD: make_result("a", mrd=60, nucleated=2_000_000),
        VerdictClass.POSITIVE: make_result("a", mrd=900),
        VerdictClass.INDETERMINATE: make_result("a", mrd=100, nucleated=1_000_000),
        VerdictClass.NOT_EVALUABLE: make_result("a", mrd=0, failures=(failed,)),
    }
    for kind, result in tubes.items():
        assert result.verdict.class_ is kind
        said = wording(result)
        assert kind in SHORT
        assert said.headline
        assert (said.headline == "MRD not detected") is (kind is VerdictClass.NEGATIVE)
        assert (said.tone == "pass") is (kind is VerdictClass.NEGATIVE)
        assert next_steps(result)
    weak = tubes[VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY]
    assert "not excluded" in wording(weak).headline
    assert trial_flag(weak)[1].endswith("cannot be told")
    assert "more nucleated events" in next_steps(weak)[0]

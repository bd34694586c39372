"""A reviewer calls a group on the page, signs, and the tube is counted again with the call."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from stage_commands import CONTROLS, command

from flowmrd.cli.app import call
from flowmrd.cli.review import tube_in_run
from flowmrd.engine.plan import plan_run
from flowmrd.errors import ArtefactError, ReviewError
from flowmrd.flags import flag
from flowmrd.mrd.calls import GroupCall, ReviewerCalls
from flowmrd.mrd.quantify import quantify
from flowmrd.mrd.result import MrdResult, Verdict, VerdictClass
from flowmrd.mrd.verdict import Evidence, decide
from flowmrd.records.base import FlagEntry
from flowmrd.records.classification import UncountedEntry
from flowmrd.records.decisions import Proposal
from flowmrd.review.log import check_log
from flowmrd.review.status import review_status
from flowmrd.stages.cohort import cohort
from flowmrd.stages.decisions import learn_decisions
from flowmrd.stages.monitor import called_otherwise
from flowmrd.stages.provenance import write_provenance
from flowmrd.stages.recount import ImportedReview, TubeInRun, import_and_count, reopen
from flowmrd.stages.verify import verify
from flowmrd.store import digest_file, read_json, write_json

if TYPE_CHECKING:
    from browser import OpenPage

TUBE = "P01-dx"
RESULTS = ("mrd.json", "events.parquet", "annotated.fcs", "report.html", "report.json", "report.tsv")


def judge(run: Path) -> None:
    reference = run / "results/reference/ino10"
    command(
        run, "judge", "--sample", TUBE, "--reference", str(reference / "reference.json"),
        "--transforms", str(reference / "transform.json"), "--thresholds", str(reference / "gates.json"),
        *(word for name in CONTROLS for word in ("--control", name)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tube full of leukaemia, judged as a follow-up without a diagnosis tube: one group is counted."""
    run = Path(shutil.copytree(learned, tmp_path_factory.mktemp("recount") / "run"))
    sheet = run / "config/samples.tsv"
    lines = [line for line in sheet.read_text().splitlines() if line.split("\t")[0] in ("sample", TUBE, *CONTROLS)]
    sheet.write_text("\n".join(lines).replace("\tdiagnosis\t../", "\tfollowup\t../") + "\n")
    plan_run(run)
    judge(run)
    cohort(run, list(plan_run(run, main_process=False).samples.values()), config=plan_run(run).config)
    write_provenance(run)
    return run


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged, tmp_path / "run"))


def of_run(run: Path) -> TubeInRun:
    return tube_in_run(plan_run(run, main_process=False), TUBE)


def result(run: Path) -> MrdResult:
    return MrdResult.model_validate(read_json(run / "results/samples" / TUBE / "mrd.json"))


def review_of(run: Path, name: str, call: str | None, **more: Any) -> dict[str, Any]:
    path = run / "results/samples" / TUBE / "mrd.json"
    review = {
        "format": "flowmrd-review/1", "sample": TUBE, "mrd_sha256": digest_file(path), "decision": "accept",
        "comment": "", "name": name, "meaning": "review", "signed_at": "2026-01-02T03:04:05+00:00", **more,
    }  # fmt: skip
    if call is not None:
        review["groups"] = [{"group": 0, "call": call}]
    return review


def sign(run: Path, name: str, call: str | None, **more: Any) -> ImportedReview:
    write_json(run / "review.json", review_of(run, name, call, **more))
    return import_and_count(of_run(run), run / "review.json")


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / "results/samples" / TUBE / name).read_bytes() for name in RESULTS}


def test_everything_says_the_new_count_and_a_run_with_the_log_writes_the_same_bytes(run: Path) -> None:
    before = result(run)
    assert before.verdict.class_ is VerdictClass.POSITIVE
    times = {name: (run / "results/samples" / TUBE / name).stat().st_mtime_ns for name in RESULTS}
    done = sign(run, "Dr Ada", "artefact:dying_cells")
    after = result(run)
    assert (done.before, done.counted_again) == ("POSITIVE", True)
    assert (after.counts.mrd_events, after.mrd.detected) == (0, False)
    assert after.verdict.class_ is VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY
    assert (after.groups[0].call, after.groups[0].called_by, after.groups[0].reviewer) == (
        "artefact:dying_cells", "reviewer", "Dr Ada",
    )  # fmt: skip
    assert [group.cluster for group in after.groups] == [group.cluster for group in before.groups]
    assert after.laip.clusters == ()
    events = pq.read_table(run / "results/samples" / TUBE / "events.parquet")
    assert not any(events["mrd"].to_pylist())
    assert sum(value == 0 for value in events["group"].to_pylist()) >= before.counts.mrd_events
    page = (run / "results/samples" / TUBE / "report.html").read_text()
    assert "Counted by reviewer Dr Ada: group 1" in page
    assert "Review: accepted by Dr Ada" in page
    assert f"POSITIVE ({before.counts.mrd_events:,} events) became NEGATIVE_INSUFFICIENT_SENSITIVITY (0)" in page
    assert {name: (run / "results/samples" / TUBE / name).stat().st_mtime_ns for name in RESULTS} == times
    counted = contents(run)
    judge(run)
    assert contents(run) == counted
    assert verify(run).findings == []


def test_a_comparison_after_a_reviewers_call_is_one_of_the_count_with_the_call(run: Path, tmp_path: Path) -> None:
    table = tmp_path / "pcr.tsv"
    table.write_text(f"sample\tmrd\n{TUBE}\t0.4\n")

    def measured() -> float:
        assert call(["compare", str(run), "--with", str(table)]) == 0
        (row,) = read_json(run / "results/compare/agreement.json")["rows"]
        return float(row["first"])

    assert measured() == pytest.approx(result(run).mrd.fraction)
    write_json(run / "review.json", review_of(run, "Dr Ada", "artefact:dying_cells"))
    assert call(["review", "import", str(run), str(run / "review.json")]) == 0
    assert result(run).counts.mrd_events == 0
    assert measured() == 0.0


def test_the_log_holds_both_answers_and_a_taken_back_call_gives_the_first_bytes_again(run: Path) -> None:
    first = contents(run)
    sign(run, "Dr Ada", "normal:haematogones_1")
    recount = check_log(run).entries[0].recount
    assert recount is not None
    assert (recount.groups[0].classifier, recount.groups[0].reviewer) == ("counted", "normal:haematogones_1")
    assert (recount.before.verdict, recount.after.mrd_events) == ("POSITIVE", 0)
    assert called_otherwise(result(run), check_log(run).entries)
    sign(run, "Dr Ada", "undecided")
    assert not called_otherwise(result(run), check_log(run).entries), "monitoring counts no call that was taken back"
    assert {**contents(run), "report.html": b""} == {**first, "report.html": b""}, "only signatures are new"


def test_persons_who_disagree_make_a_question_and_neither_call_is_counted(run: Path) -> None:
    sign(run, "Dr Ada", "artefact:doublets_b_t")
    sign(run, "Dr Ben", "leukaemia")
    after = result(run)
    assert after.verdict.class_ is VerdictClass.INDETERMINATE
    assert after.verdict.reasons[0].code == "REVIEWERS_DISAGREE"
    assert after.verdict.question == "Which of the reviewers' calls holds for these cells?"
    status = review_status(run, signatures=2).samples
    assert {one.sample: one.state for one in status}[TUBE] == "signed_once", "who signed the earlier result signs again"
    sign(run, "dr ADA", "leukaemia")
    assert result(run).verdict.class_ is VerdictClass.POSITIVE
    status = review_status(run, signatures=2).samples
    assert {one.sample: one.state for one in status}[TUBE] == "signed_once"
    sign(run, "Dr Ben", None)
    assert {one.sample: one.state for one in review_status(run, signatures=2).samples}[TUBE] == "accepted"


def test_decisions_of_signed_runs_propose_the_same_call_for_such_cells_and_call_nothing(run: Path) -> None:
    with pytest.raises(ArtefactError, match="no group that a reviewer has called"):
        learn_decisions([run], run / "config/decisions.json")
    sign(run, "Dr Ada", "artefact:dying_cells")
    learned = learn_decisions([run], run / "config/decisions.json")
    assert [one.call for one in learned.decisions] == ["artefact:dying_cells"]
    text = (run / "config/decisions.json").read_text()
    assert not any(name in text for name in (TUBE, "P01", "Dr Ada"))
    config = run / "config/config.yaml"
    before = plan_run(run).identity(TUBE)
    config.write_text(config.read_text() + "review: {decisions: config/decisions.json}\n")
    assert plan_run(run).identity(TUBE) != before
    judge(run)
    after = result(run)
    assert (after.groups[0].call, after.groups[0].called_by) == ("counted", "classifier"), "the old call is void"
    assert after.groups[0].proposal == Proposal(call="artefact:dying_cells", agree=1, decisions=1)
    assert after.provenance.decisions_sha256 == digest_file(run / "config/decisions.json")
    page = (run / "results/samples" / TUBE / "report.html").read_text()
    assert "earlier decisions of this laboratory on such cells: artefact, dying cells (1 of 1)" in page


def test_a_second_signature_without_calls_leaves_the_count_of_the_first(run: Path) -> None:
    sign(run, "Dr Ada", "artefact:doublets_b_t")
    counted = (run / "results/samples" / TUBE / "mrd.json").read_bytes()
    sign(run, "Dr Ben", None)
    assert (run / "results/samples" / TUBE / "mrd.json").read_bytes() == counted
    assert {one.sample: one.state for one in review_status(run, signatures=2).samples}[TUBE] == "accepted"


def test_calls_of_a_rejection_or_a_comment_are_kept_and_not_counted(run: Path) -> None:
    first = (run / "results/samples" / TUBE / "mrd.json").read_bytes()
    for decision in ("comment", "reject"):
        sign(run, "Dr Ada", "artefact:doublets_b_t", decision=decision, comment="Seen.")
    assert (run / "results/samples" / TUBE / "mrd.json").read_bytes() == first


def test_a_call_of_another_result_or_of_a_group_that_is_not_there_is_refused(run: Path) -> None:
    with pytest.raises(ReviewError, match="another state"):
        sign(run, "Dr Ada", "leukaemia", mrd_sha256="a" * 64)
    with pytest.raises(ReviewError, match="does not have"):
        sign(run, "Dr Ada", None, groups=[{"group": 55, "call": "leukaemia"}])
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "mrd: {target: 0.001}\n")
    with pytest.raises(ReviewError, match="does not come out"):
        sign(run, "Dr Ada", "artefact:doublets_b_t")
    assert not check_log(run).entries


def test_a_log_with_a_call_that_was_not_counted_is_found_and_importing_again_counts_it(run: Path) -> None:
    kept = shutil.copytree(run / "results", run.parent / "kept")
    sign(run, "Dr Ada", "artefact:doublets_b_t")
    counted = contents(run)
    log = shutil.copytree(run / "results/review", run.parent / "log")
    shutil.rmtree(run / "results")
    shutil.copytree(kept, run / "results")
    shutil.copytree(log, run / "results/review", dirs_exist_ok=True)
    assert any("not counted with the calls of the log" in finding.what for finding in verify(run).findings)
    import_and_count(of_run(run), run / "review.json")
    assert contents(run) == counted
    assert verify(run).findings == []


def test_an_open_group_called_leukaemia_becomes_a_detection_and_called_normal_an_answer(judged: Path) -> None:
    """The same tube as if the classifier had left its group open."""
    known = reopen(of_run(judged))
    facts = known.tube.classification
    assert facts is not None
    group = UncountedEntry(**facts.clusters[0].as_json(), why="like_controls", call="atypical", sd={})
    odd = FlagEntry.of(flag("UNRESOLVED_CLUSTER", events=group.events, what="is odd"))
    facts = facts.model_copy(update={"clusters": (), "uncounted": (group,), "flags": (*facts.flags, odd)})
    assert known.tube.mrd is not None
    tube = replace(known.tube, classification=facts, mrd=known.tube.mrd & False)

    def verdict(*calls: GroupCall) -> VerdictClass:
        return quantify(tube, sample=of_run(judged).sample, calls=ReviewerCalls(calls)).verdict.class_

    assert verdict() is VerdictClass.INDETERMINATE
    assert verdict(GroupCall(0, "counted", "Dr Ada")) is VerdictClass.POSITIVE
    assert verdict(GroupCall(0, "normal:mature_b", "Dr Ada")) is VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY


@pytest.mark.parametrize(("mode", "unknown"), [("library", True), ("different_from_normal", True), ("patient", False)])
def test_other_patients_leukaemias_do_not_make_the_patients_own_phenotype_known(
    judged: Path, monkeypatch: pytest.MonkeyPatch, mode: str, unknown: bool
) -> None:
    """A negative then says that leukaemia like regular precursors is not excluded (``PRECURSOR_LIKE_NOT_EXCLUDED``)."""
    tube = reopen(of_run(judged)).tube
    seen: list[Evidence] = []

    def remembered(evidence: Evidence) -> Verdict:
        seen.append(evidence)
        return decide(evidence)

    monkeypatch.setattr("flowmrd.mrd.quantify.decide", remembered)
    assert tube.classification is not None
    found = tube.classification.model_copy(update={"mode": mode})
    quantify(replace(tube, classification=found), sample=of_run(judged).sample)
    assert [evidence.phenotype_unknown for evidence in seen] == [unknown]


@pytest.mark.browser
def test_a_group_is_called_in_the_page_signed_imported_and_the_banner_is_new(run: Path, open_page: OpenPage) -> None:
    at = run / "results/samples" / TUBE / "report.html"
    page = open_page(at)
    assert "MRD detected" in page.locator("#verdict").inner_text()
    page.get_by_label("Group 1").select_option(label="Dying cells")
    page.get_by_label("Accept the result").check()
    for point in page.locator('[name="point"]').all():
        point.check()
    page.get_by_label("Printed name").fill("Dr Ada Example")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the review").click()
    assert "counted again with your calls" in page.locator("#review-status").inner_text()
    saved = run / download.value.suggested_filename
    download.value.save_as(saved)
    import_and_count(of_run(run), saved)
    page = open_page(at)
    assert "Not detected" in page.locator("#verdict").inner_text()
    assert "by reviewer Dr Ada Example" in page.locator(".verdict").inner_text()
    assert "called Dying cells by reviewer Dr Ada Example" in page.locator("#review-form").inner_text()

"""Only a review of this very result enters the log, and whatever a file holds does no harm."""

from __future__ import annotations

import json
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_files import NOW, imported, make_results, result_of, review_of, save

from flowmrd.errors import ReviewError
from flowmrd.review.importing import import_review
from flowmrd.review.log import check_log
from flowmrd.review.model import read_review
from flowmrd.review.status import ReviewState, review_status, signatures_of

LOG = Path("results/review/log.jsonl")


def test_review_of_the_present_result_is_recorded_with_name_time_and_meaning(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    entry = imported(tmp_path, "S1", comment="Clear cluster.")
    assert (entry.review.name, entry.review.meaning) == ("Dr. A. Example", "review")
    assert entry.review.signed_at == "2024-06-01T11:30:00+02:00"
    assert (entry.seq, entry.old_decision, entry.recorded_at) == (1, None, "2024-06-01T12:00:00+00:00")
    status = review_status(tmp_path)
    assert (status.samples[0].state, status.findings) == (ReviewState.ACCEPTED, ())


def test_time_as_a_browser_writes_it_is_accepted(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    assert imported(tmp_path, "S1", signed_at="2024-06-01T09:30:00.123Z").review.signed.utcoffset() == timedelta(0)


def test_second_decision_keeps_the_first_in_the_log_and_names_it(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    imported(tmp_path, "S1")
    second = imported(tmp_path, "S1", decision="reject", comment="Doublets.")
    assert (second.replaces, second.old_decision) == (1, "accept")
    assert [entry.review.decision for entry in check_log(tmp_path).entries] == ["accept", "reject"]
    assert review_status(tmp_path).samples[0].state is ReviewState.REJECTED


def test_comment_leaves_the_decision_as_it_is(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    imported(tmp_path, "S1")
    comment = imported(tmp_path, "S1", decision="comment", comment="Seen by the tumour board.")
    assert review_status(tmp_path).samples[0].state is ReviewState.ACCEPTED
    assert (comment.replaces, comment.old_decision) == (None, "accept")
    later = imported(tmp_path, "S1", decision="reject", comment="Doublets.")
    assert (later.replaces, later.old_decision) == (1, "accept")
    rows, _ = signatures_of(tmp_path, "S1")
    assert [row["replaced_by"] for row in rows] == [3, None, None]


def test_earlier_acceptance_cannot_be_imported_again_over_a_rejection(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    accepted = save(tmp_path, review_of(tmp_path, "S1"), "accepted.json")
    import_review(tmp_path, accepted, now=NOW)
    imported(tmp_path, "S1", decision="reject", comment="Doublets.")
    import_review(tmp_path, accepted, now=NOW)
    assert review_status(tmp_path).samples[0].state is ReviewState.REJECTED


def test_importing_the_same_file_again_adds_nothing(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    first = imported(tmp_path, "S1")
    before = (tmp_path / LOG).read_bytes()
    assert imported(tmp_path, "S1") == first
    assert (tmp_path / LOG).read_bytes() == before


def test_review_of_another_state_of_the_result_is_refused(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    file = save(tmp_path, review_of(tmp_path, "S1", mrd_sha256="a" * 64))
    with pytest.raises(ReviewError, match="another state of sample S1"):
        import_review(tmp_path, file, now=NOW)
    assert not (tmp_path / LOG).exists()


def test_change_of_the_result_voids_its_signature(tmp_path: Path) -> None:
    make_results(tmp_path, "S1", "S2")
    imported(tmp_path, "S1")
    imported(tmp_path, "S2")
    path = result_of(tmp_path, "S1")
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    states = {sample.sample: sample.state for sample in review_status(tmp_path).samples}
    assert states == {"S1": ReviewState.VOID, "S2": ReviewState.ACCEPTED}
    rows, problem = signatures_of(tmp_path, "S1")
    assert problem is None
    assert (rows[0]["valid"], rows[0]["reason"]) == (False, "the result was changed after it was signed")


def test_removed_result_voids_its_signature(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    imported(tmp_path, "S1")
    result_of(tmp_path, "S1").unlink()
    assert review_status(tmp_path).samples[0].state is ReviewState.VOID


def test_sample_without_a_review_is_not_reviewed(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    assert review_status(tmp_path).samples[0].state is ReviewState.NOT_REVIEWED
    assert signatures_of(tmp_path, "S1") == ([], None)


def test_signature_from_the_future_is_refused(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    file = save(tmp_path, review_of(tmp_path, "S1", signed_at=(NOW + timedelta(days=2)).isoformat()))
    with pytest.raises(ReviewError, match="after now"):
        import_review(tmp_path, file, now=NOW)


def test_clock_that_went_back_is_recorded(tmp_path: Path) -> None:
    make_results(tmp_path, "S1")
    imported(tmp_path, "S1")
    file = save(tmp_path, review_of(tmp_path, "S1", decision="reject"))
    entry = import_review(tmp_path, file, now=NOW - timedelta(hours=3))
    assert entry.clock_went_back
    assert review_status(tmp_path).findings == ()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"format": "flowmrd-review/2"}, "format"),
    ({"sample": "../../etc"}, "sample"),
    ({"sample": "S1\n"}, "sample"),
    ({"sample": "/etc/passwd"}, "sample"),
    ({"decision": "approve"}, "decision"),
    ({"name": ""}, "name"),
    ({"name": " \u200b "}, "name"),
    ({"name": "A\nB"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"comment": "x" * 20_001}, "comment"),
    ({"comment": "\u001b[2J"}, "control character"),
    ({"comment": None}, "comment"),
    ({"signed_at": "2024-06-01T11:30:00"}, "time zone"),
    ({"signed_at": "yesterday"}, "signed_at"),
    ({"mrd_sha256": "A" * 64}, "mrd_sha256"),
    ({"extra": 1}, "extra"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_malformed_review_is_refused_and_says_which_field(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    make_results(tmp_path, "S1")
    with pytest.raises(ReviewError, match=words):
        read_review(save(tmp_path, {**review_of(tmp_path, "S1"), **changes}))


def test_a_file_without_most_fields_is_refused_in_one_line_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(ReviewError) as refused:
        read_review(save(tmp_path, {"format": "flowmrd-review/1", "decision": "maybe"}))
    assert refused.value.found.startswith("a review without sample, mrd_sha256, comment, name, meaning, signed_at; ")
    assert "decision: " in refused.value.found
    with pytest.raises(ReviewError, match="no such file"):
        read_review(tmp_path / "absent.review.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": ' * 40_000,
        b"null",
        b"[]",
        b'{"format": "flowmrd-review/1", "format": "flowmrd-review/1"}',
        b" " * 300_000,
    ],
)
def test_anything_that_is_not_a_review_is_refused_without_a_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "review.json"
    path.write_bytes(data)
    with pytest.raises(ReviewError):
        read_review(path)


HOSTILE = [
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "🧬" * 500,
    '"}\n{"seq":99',
    "x" * 10_000,
    "{{ 7*7 }}",
    "\u2028\u2029",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_comment_is_kept_word_for_word_and_as_plain_ascii_in_one_line(tmp_path: Path, text: str) -> None:
    make_results(tmp_path, "S1")
    imported(tmp_path, "S1", comment=text)
    line = (tmp_path / LOG).read_bytes()
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert check_log(tmp_path).entries[0].review.comment == text


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_either_a_review_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("any") / "review.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ReviewError):
        read_review(path)


def _import_many(run_directory: Path, sample: str) -> None:
    for number in range(5):
        file = run_directory / f"{sample}-{number}.json"
        import_review(run_directory, file, now=NOW)


def test_imports_at_the_same_time_all_enter_one_whole_chain(tmp_path: Path) -> None:
    names = [f"S{i}" for i in range(4)]
    make_results(tmp_path, *names)
    for name in names:
        for number in range(5):
            save(tmp_path, review_of(tmp_path, name, comment=str(number)), f"{name}-{number}.json")
    context = get_context("fork")
    workers = [context.Process(target=_import_many, args=(tmp_path, name)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check = check_log(tmp_path)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert (check.findings, [entry.seq for entry in check.entries]) == ([], list(range(1, 21)))


def test_imports_killed_at_any_moment_lose_no_finished_entry_and_leave_a_whole_chain(tmp_path: Path) -> None:
    make_results(tmp_path, "S0")
    for number in range(5):
        save(tmp_path, review_of(tmp_path, "S0", comment=str(number)), f"S0-{number}.json")
    context = get_context("fork")
    finished: set[str] = set()
    for attempt in range(25):
        worker = context.Process(target=_import_many, args=(tmp_path, "S0"))
        worker.start()
        worker.join(timeout=0.002 * attempt)
        worker.kill()
        worker.join()
        check = check_log(tmp_path)
        assert check.findings == []
        present = {entry.review.comment for entry in check.entries}
        assert finished <= present
        finished = present
    _import_many(tmp_path, "S0")
    check = check_log(tmp_path)
    assert (check.findings, [entry.seq for entry in check.entries]) == ([], [1, 2, 3, 4, 5])

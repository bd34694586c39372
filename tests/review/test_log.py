"""Every alteration of the log is found and named; an interrupted append is not an alteration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from review_files import NOW, imported, make_results, review_of, save

from flowmrd.errors import ReviewError
from flowmrd.review import check_log, import_review, make_key, review_status, signatures_of
from flowmrd.review.keys import PASSPHRASE, load_private
from flowmrd.review.log import GENESIS, Head, canonical, digest, entry_hash, head_bytes
from flowmrd.review.status import ReviewState

LOG = Path("results/review/log.jsonl")
HEAD = Path("results/review/head.json")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    make_results(tmp_path, "S1", "S2", "S3")
    for sample in ("S1", "S2", "S3"):
        imported(tmp_path, sample)
    return tmp_path


def lines_of(run: Path) -> list[bytes]:
    return (run / LOG).read_bytes().splitlines(keepends=True)


def found(run: Path) -> list[str]:
    return [f"{finding.where}: {finding.what}" for finding in check_log(run).findings]


def test_untouched_log_has_no_findings(run: Path) -> None:
    check = check_log(run)
    assert (check.findings, len(check.entries)) == ([], 3)
    assert check.entries[0].previous == GENESIS


def test_no_log_at_all_is_not_a_finding(tmp_path: Path) -> None:
    assert check_log(tmp_path).findings == []


def test_changing_any_single_byte_is_found(run: Path) -> None:
    data = (run / LOG).read_bytes()
    missed = []
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        (run / LOG).write_bytes(bytes(changed))
        if not check_log(run).findings:
            missed.append(position)
    assert missed == []


def test_deleting_any_single_byte_is_found(run: Path) -> None:
    data = (run / LOG).read_bytes()
    missed = []
    for position in range(len(data)):
        (run / LOG).write_bytes(data[:position] + data[position + 1 :])
        if not check_log(run).findings:
            missed.append(position)
    assert missed == []


def test_cutting_the_log_anywhere_is_found(run: Path) -> None:
    data = (run / LOG).read_bytes()
    missed = []
    for length in range(len(data)):
        (run / LOG).write_bytes(data[:length])
        if not check_log(run).findings:
            missed.append(length)
    assert missed == []


def test_changing_any_single_byte_of_the_head_is_found(run: Path) -> None:
    data = (run / HEAD).read_bytes()
    missed = []
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        (run / HEAD).write_bytes(bytes(changed))
        if not check_log(run).findings:
            missed.append(position)
    assert missed == []


def test_edited_entry_is_named(run: Path) -> None:
    lines = lines_of(run)
    lines[1] = lines[1].replace(b'"decision":"accept"', b'"decision":"reject"')
    (run / LOG).write_bytes(b"".join(lines))
    assert any("entry 2: altered" in text for text in found(run))
    assert not any("entry 1" in text for text in found(run))


def test_entry_edited_together_with_its_hash_is_found_by_the_next(run: Path) -> None:
    lines = lines_of(run)
    fields = json.loads(lines[1])
    fields["review"]["decision"] = "reject"
    fields["hash"] = entry_hash(fields)
    lines[1] = canonical(fields) + b"\n"
    (run / LOG).write_bytes(b"".join(lines))
    assert any("entry 3: it does not follow entry 2" in text for text in found(run))


def test_removed_entry_is_found(run: Path) -> None:
    lines = lines_of(run)
    (run / LOG).write_bytes(lines[0] + lines[2])
    assert any("removed or moved" in text for text in found(run))
    assert any("1 of 3 entries are missing" in text for text in found(run))


def test_last_entry_cut_off_is_found(run: Path) -> None:
    (run / LOG).write_bytes(b"".join(lines_of(run)[:2]))
    assert found(run) == ["log.jsonl: 1 of 3 entries are missing"]


def test_exchanged_entries_are_found(run: Path) -> None:
    lines = lines_of(run)
    (run / LOG).write_bytes(lines[1] + lines[0] + lines[2])
    assert found(run)


def test_entry_added_outside_is_found(run: Path) -> None:
    lines = lines_of(run)
    fields = json.loads(lines[2])
    fields.update(seq=4, previous=digest(lines[2]))
    fields["hash"] = entry_hash(fields)
    (run / LOG).write_bytes(b"".join([*lines, canonical(fields) + b"\n"]))
    assert found(run) == ["log.jsonl: 1 lines were added outside flowmrd"]


def test_deleted_log_and_deleted_head_are_found(run: Path) -> None:
    kept = (run / HEAD).read_bytes()
    (run / HEAD).unlink()
    assert any("head.json: it is gone" in text for text in found(run))
    (run / HEAD).write_bytes(kept)
    (run / LOG).unlink()
    assert found(run) == ["log.jsonl: the log is gone; it had 3 entries"]


def test_altered_log_takes_no_further_entry_and_voids_its_signatures(run: Path) -> None:
    lines = lines_of(run)
    (run / LOG).write_bytes(b"".join(lines[:2]))
    with pytest.raises(ReviewError, match="1 of 3 entries are missing"):
        imported(run, "S1", decision="reject")
    assert {sample.state for sample in review_status(run).samples if sample.entry} == {ReviewState.VOID}
    rows, problem = signatures_of(run, "S1")
    assert rows[0]["valid"] is False
    assert problem is not None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999, 1.0])
def test_interrupted_append_is_completed_by_the_next(run: Path, share: float) -> None:
    # State after a crash: the head announces entry 3, the log holds a part of it.
    lines = lines_of(run)
    before = b"".join(lines[:2])
    head = Head(entries=2, log_bytes=len(before), last=digest(lines[1]), pending=lines[2].decode("ascii"))
    (run / HEAD).write_bytes(head_bytes(head))
    (run / LOG).write_bytes(before + lines[2][: int(share * len(lines[2]))])
    assert found(run) == []
    assert check_log(run).interrupted
    imported(run, "S1", decision="reject")
    check = check_log(run)
    assert (check.findings, [entry.sample for entry in check.entries]) == ([], ["S1", "S2", "S3", "S1"])


def test_other_bytes_after_an_announced_append_are_found(run: Path) -> None:
    lines = lines_of(run)
    before = b"".join(lines[:2])
    head = Head(entries=2, log_bytes=len(before), last=digest(lines[1]), pending=lines[2].decode("ascii"))
    (run / HEAD).write_bytes(head_bytes(head))
    (run / LOG).write_bytes(before + b"something else")
    assert found(run)


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A run directory whose reviews are signed with a key kept outside, its public key in config."""
    run = tmp_path / "run"
    private, public, _ = make_key(tmp_path / "keys")
    (run / "config").mkdir(parents=True)
    shutil.copy(public, run / "config" / "flowmrd-review.pub")
    make_results(run, "S1", "S2")
    imported(run, "S1", key=private)
    imported(run, "S2", key=private)
    return run


def test_signed_reviews_hold(signed: Path) -> None:
    status = review_status(signed)
    assert status.findings == ()
    assert {sample.state for sample in status.samples} == {ReviewState.ACCEPTED}


def rebuild(run: Path, change: str, *, drop_signature: bool) -> None:
    """What a forger without the key can do: rebuild entry 2 and the head so that the chain is whole."""
    lines = lines_of(run)
    fields = json.loads(lines[1])
    fields["review"]["decision"] = change
    if drop_signature:
        fields.update(key_id=None, signature=None)
    fields["hash"] = entry_hash(fields)
    lines[1] = canonical(fields) + b"\n"
    (run / LOG).write_bytes(b"".join(lines))
    head = Head(entries=2, log_bytes=sum(map(len, lines)), last=digest(lines[1]))
    (run / HEAD).write_bytes(head_bytes(head))


def test_rebuilt_chain_is_found_by_the_signature(signed: Path) -> None:
    rebuild(signed, "reject", drop_signature=False)
    assert check_log(signed).findings == []
    status = review_status(signed)
    assert [finding.what for finding in status.findings] == ["its signature does not hold"]
    assert status.samples[1].state is ReviewState.VOID


def test_rebuilt_chain_without_signature_is_found_where_the_laboratory_has_a_key(signed: Path) -> None:
    rebuild(signed, "reject", drop_signature=True)
    status = review_status(signed)
    assert [finding.what for finding in status.findings] == ["not signed, though the laboratory has a key"]
    assert status.samples[1].state is ReviewState.VOID


def test_signature_with_another_key_is_found(signed: Path, tmp_path: Path) -> None:
    other, _, _ = make_key(tmp_path / "other")
    imported(signed, "S1", key=other, decision="reject")
    status = review_status(signed)
    assert any("signed with another key" in finding.what for finding in status.findings)
    assert status.samples[0].state is ReviewState.VOID


def test_private_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    private, _, _ = make_key(tmp_path)
    assert private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ReviewError, match="already there"):
        make_key(tmp_path)
    private.chmod(0o644)
    with pytest.raises(ReviewError, match="others can read"):
        load_private(private)


def test_key_with_a_passphrase_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    private, _, _ = make_key(tmp_path)
    load_private(private)
    for wrong in ("", "battery"):
        monkeypatch.setenv(PASSPHRASE, wrong)
        with pytest.raises(ReviewError, match="no key that can be opened"):
            load_private(private)


def test_log_is_not_world_writable_whatever_the_umask(tmp_path: Path) -> None:
    import os

    make_results(tmp_path, "S1")
    file = save(tmp_path, review_of(tmp_path, "S1"))
    before = os.umask(0)
    try:
        import_review(tmp_path, file, now=NOW)
    finally:
        os.umask(before)
    for path in (LOG, HEAD, Path("results/review/.lock")):
        assert (tmp_path / path).stat().st_mode & 0o002 == 0, path

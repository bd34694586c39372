"""Every alteration of the log is found and named; an interrupted append is not an alteration."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_files import NOW, imported, make_results, review_of, save

from flowmrd.errors import ReviewError
from flowmrd.review.importing import import_review
from flowmrd.review.keys import PASSPHRASE, load_private, make_key
from flowmrd.review.log import GENESIS, LogHead, canonical, check_log, digest, entry_hash, head_bytes
from flowmrd.review.status import ReviewState, review_status, signatures_of

UNSIGNED_HEAD = "not signed, though the laboratory has a key: entries may have been cut"
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


def test_inserting_any_single_byte_is_found(run: Path) -> None:
    data = (run / LOG).read_bytes()
    missed = []
    for position in range(len(data) + 1):
        (run / LOG).write_bytes(data[:position] + b" \n0"[position % 3 : position % 3 + 1] + data[position:])
        if not check_log(run).findings:
            missed.append(position)
    assert missed == []


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_byte_anywhere_in_log_or_head_is_found(run: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([LOG, HEAD]))
    whole = (run / name).read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[position]))
    (run / name).write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
    try:
        assert found(run)
    finally:
        (run / name).write_bytes(whole)


def test_any_other_selection_or_order_of_the_entries_is_found(run: Path) -> None:
    """Removed, exchanged and replayed entries, with the head left as it was."""
    lines = lines_of(run)
    missed = []
    for order in (order for size in range(5) for order in product(range(3), repeat=size)):
        (run / LOG).write_bytes(b"".join(lines[index] for index in order))
        if not found(run):
            missed.append(order)
    assert missed == [(0, 1, 2)]


def test_empty_log_without_its_head_is_found(run: Path) -> None:
    (run / HEAD).unlink()
    (run / LOG).write_bytes(b"")
    assert found(run) == ["head.json: it is gone: entries cut from the end could not be noticed"]


def test_head_that_says_nothing_was_ever_written_is_found(run: Path) -> None:
    (run / LOG).unlink()
    (run / HEAD).write_bytes(head_bytes(LogHead(entries=0, log_bytes=0, last=GENESIS)))
    assert any("put together by hand" in text for text in found(run))


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
    fields["review_sha256"] = digest(canonical(fields["review"]))
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
    head = LogHead(entries=2, log_bytes=len(before), last=digest(lines[1]), pending=lines[2].decode("ascii"))
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
    head = LogHead(entries=2, log_bytes=len(before), last=digest(lines[1]), pending=lines[2].decode("ascii"))
    (run / HEAD).write_bytes(head_bytes(head))
    (run / LOG).write_bytes(before + b"something else")
    assert found(run)


def announcing(run: Path) -> bytes:
    """The head during the append of entry 3, nothing of which has been written yet."""
    lines = lines_of(run)
    before = b"".join(lines[:2])
    (run / LOG).write_bytes(before)
    head = LogHead(entries=2, log_bytes=len(before), last=digest(lines[1]), pending=lines[2].decode("ascii"))
    (run / HEAD).write_bytes(head_bytes(head))
    return head_bytes(head)


def test_changing_any_single_byte_of_an_announced_entry_is_found(run: Path) -> None:
    data = announcing(run)
    assert found(run) == []
    missed = []
    for position in range(len(data)):
        (run / HEAD).write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        if not check_log(run).findings:
            missed.append(position)
    assert missed == []


def test_announced_entry_that_does_not_follow_is_never_written_to_the_log(run: Path) -> None:
    announcing(run)
    before = (run / LOG).read_bytes()
    head = LogHead(entries=2, log_bytes=len(before), last=digest(before), pending='{"seq":3}\n')
    (run / HEAD).write_bytes(head_bytes(head))
    with pytest.raises(ReviewError, match="not the next one"):
        imported(run, "S1", decision="reject")
    assert (run / LOG).read_bytes() == before


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


def test_signed_reviews_stay_accepted(signed: Path) -> None:
    status = review_status(signed)
    assert status.findings == ()
    assert {sample.state for sample in status.samples} == {ReviewState.ACCEPTED}


def forge_head(run: Path, lines: list[bytes], signature: str | None = None) -> None:
    """A log cut or rebuilt to these lines with a head that fits."""
    (run / LOG).write_bytes(b"".join(lines))
    head = LogHead(entries=len(lines), log_bytes=sum(map(len, lines)), last=digest(lines[-1]), signature=signature)
    (run / HEAD).write_bytes(head_bytes(head))


def rebuild(run: Path, change: str, *, drop_signature: bool) -> None:
    """What a forger without the key can do: rebuild entry 2 and the head so that the chain is whole."""
    lines = lines_of(run)
    fields = json.loads(lines[1])
    fields["review"]["decision"] = change
    fields["review_sha256"] = digest(canonical(fields["review"]))
    if drop_signature:
        fields.update(key_id=None, signature=None)
    fields["hash"] = entry_hash(fields)
    lines[1] = canonical(fields) + b"\n"
    forge_head(run, lines)


def test_rebuilt_chain_is_found_by_the_signature(signed: Path) -> None:
    rebuild(signed, "reject", drop_signature=False)
    assert check_log(signed).findings == []
    status = review_status(signed)
    assert [finding.what for finding in status.findings] == ["its signature does not hold", UNSIGNED_HEAD]
    assert status.samples[1].state is ReviewState.VOID


def test_rebuilt_chain_without_signature_is_found_where_the_laboratory_has_a_key(signed: Path) -> None:
    rebuild(signed, "reject", drop_signature=True)
    status = review_status(signed)
    assert [finding.what for finding in status.findings] == [
        "not signed, though the laboratory has a key",
        UNSIGNED_HEAD,
    ]
    assert status.samples[1].state is ReviewState.VOID


@pytest.mark.parametrize("forged", [None, "00" * 64, "the signature of the longer log"])
def test_signed_log_cut_at_the_end_with_a_forged_head_is_found(signed: Path, forged: str | None) -> None:
    lines = lines_of(signed)
    if forged is not None and not forged.startswith("00"):
        forged = json.loads((signed / HEAD).read_bytes())["signature"]
    forge_head(signed, lines[:1], forged)
    assert check_log(signed).findings == []
    status = review_status(signed)
    assert [finding.where for finding in status.findings] == ["head.json"]
    # what was cut may have been a rejection: what is left is worth nothing either
    assert {sample.state for sample in status.samples} <= {ReviewState.VOID, ReviewState.NOT_REVIEWED}
    assert any(sample.state is ReviewState.VOID for sample in status.samples)
    rows, _ = signatures_of(signed, json.loads(lines[0])["sample"])
    assert [row["valid"] for row in rows] == [False]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_interrupted_signed_append_is_completed_with_its_signature(signed: Path, share: float) -> None:
    lines, head = lines_of(signed), LogHead.model_validate_json((signed / HEAD).read_bytes())
    earlier = json.loads(lines[0])
    assert earlier["seq"] == 1
    # State after a crash: the head of entry 1 cannot be made again without the key, so take the first import's own.
    shutil.rmtree(signed / "results/review")
    imported(signed, "S1", key=signed.parent / "keys" / "flowmrd-review.key")
    before = LogHead.model_validate_json((signed / HEAD).read_bytes())
    crashed = before.model_copy(update={"pending": lines[1].decode("ascii"), "pending_signature": head.signature})
    (signed / HEAD).write_bytes(head_bytes(crashed))
    with (signed / LOG).open("ab") as stream:
        stream.write(lines[1][: int(share * len(lines[1]))])
    assert review_status(signed).findings == ()
    imported(signed, "S2", key=signed.parent / "keys" / "flowmrd-review.key")  # the same file: nothing is added
    assert (lines_of(signed), LogHead.model_validate_json((signed / HEAD).read_bytes())) == (lines, head)


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


def test_status_for_a_terminal_is_ascii_and_names_signer_and_head(run: Path) -> None:
    make_results(run, "S4")
    imported(run, "S4", name="Dr. \u202eexample", decision="reject", comment="x")
    lines = review_status(run).lines()
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert any(line.startswith("S1") and "accepted" in line and "Dr. A. Example" in line for line in lines)
    assert lines[-1] == f"4 entries; head {check_log(run).head_digest}"


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

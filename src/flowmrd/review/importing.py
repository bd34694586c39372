"""Importing a review into the log. It must belong to this very result, and it is entered once."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import flowmrd
from flowmrd.errors import ReviewError
from flowmrd.review import keys
from flowmrd.review.group_calls import counts_calls
from flowmrd.review.log import (
    GENESIS,
    LogEntry,
    LogHead,
    Recount,
    append,
    broken,
    canonical,
    check_log,
    complete_interrupted,
    digest,
    entry_hash,
    locked,
    person,
    standing_decisions,
)
from flowmrd.review.model import ReviewFile, read_review
from flowmrd.store import digest_file

CLOCK_TOLERANCE: Final = timedelta(hours=24)
"""A signature may lie this far in the future, because the reviewer's clock may differ from this computer's."""


def import_review(
    run_directory: Path,
    file: Path,
    *,
    key: Path | None = None,
    now: datetime | None = None,
    recount: Callable[[ReviewFile, Sequence[LogEntry]], Recount] | None = None,
) -> LogEntry:
    """Check a review file against its result and append it to the log.

    Importing the same file again changes nothing and returns the entry it already has.

    Parameters
    ----------
    key
        The laboratory's private key; without it the entry is chained but not signed.
    now
        Time of the import, with time zone; the present by default.
    recount
        Function that counts the result again with the calls of the review, given the review and the log before it;
        without it the calls are kept as an opinion.

    Raises
    ------
    ReviewError
        Where the file is not a review, belongs to another state of the result, is dated in the future, or where the
        log was altered.
    """
    review = read_review(file)
    now = now or datetime.now(UTC)
    review_sha256 = digest(canonical(review.model_dump(mode="json")))
    if review_sha256 not in {entry.review_sha256 for entry in check_log(run_directory).entries}:
        _check_against_result(run_directory, file, review, now)
    private = None if key is None else keys.load_private(key)
    key_name = None if private is None else keys.key_id(private.public_key())
    with locked(run_directory) as folder:
        check = complete_interrupted(run_directory, check_log(run_directory))
        if check.findings:
            raise broken(run_directory, check.findings)
        for entry in check.entries:
            if entry.review_sha256 == review_sha256:
                return entry
        # The workflow may have made a new result between the check above and the lock.
        _check_against_result(run_directory, file, review, now)
        fields = {**_describe(review, check.entries, now), "review_sha256": review_sha256, "key_id": key_name}
        if recount is not None and counts_calls(review):
            fields["recount"] = recount(review, check.entries).model_dump(mode="json")
        fields["hash"] = entry_hash(fields)
        fields["signature"] = None if private is None else keys.sign(private, fields["hash"])
        entry = LogEntry.model_validate(fields)
        line = entry.line()
        head = LogHead(entries=entry.seq, log_bytes=check.size + len(line), last=digest(line), key_id=key_name)
        if private is not None:
            head = head.model_copy(update={"signature": keys.sign(private, head.signed_text())})
        append(folder, check, entry, head)
        return entry


def _describe(review: ReviewFile, entries: Sequence[LogEntry], now: datetime) -> dict[str, Any]:
    """Fields of an entry that follow from the review, the log before it and the clock."""
    own = [
        entry
        for entry in standing_decisions(entries, review.sample)
        if person(entry.review.name) == person(review.name)
    ]
    standing = own[-1] if own else None
    last = entries[-1] if entries else None
    return {
        "seq": len(entries) + 1,
        "previous": digest(last.line()) if last else GENESIS,
        "action": "review",
        "recorded_at": now.isoformat(timespec="seconds"),
        "account": _account(),
        "flowmrd_version": flowmrd.__version__,
        "sample": review.sample,
        "mrd_sha256": review.mrd_sha256,
        "replaces": standing.seq if standing and review.decides else None,
        "old_decision": standing.review.decision if standing else None,
        "clock_went_back": bool(last and now < datetime.fromisoformat(last.recorded_at)),
        "review": review.model_dump(mode="json"),
    }


def _check_against_result(run_directory: Path, file: Path, review: ReviewFile, now: datetime) -> None:
    result = run_directory / "results" / "samples" / review.sample / "mrd.json"
    if not result.is_file():
        raise ReviewError(
            str(file),
            found=f"a review of sample {review.sample}, which has no result here",
            expected="a sample with results/samples/<sample>/mrd.json",
            todo="import it into the run directory its report came from",
        )
    present = digest_file(result)
    if present != review.mrd_sha256:
        raise ReviewError(
            str(file),
            found=f"a review of another state of sample {review.sample} "
            f"(signed {review.mrd_sha256[:12]}…, now {present[:12]}…)",
            expected="a review of the result as it is now",
            todo="open the present report of this sample and review it again",
        )
    if review.signed - now > CLOCK_TOLERANCE:
        raise ReviewError(
            str(file),
            found=f"a signature dated {review.signed.isoformat()}, after now ({now.isoformat(timespec='seconds')})",
            expected="a date that is not in the future",
            todo="set the clock of the computer it was signed on, and sign again",
        )


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account number without a name, as in some containers
        return f"uid {os.getuid()}"

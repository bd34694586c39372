"""The review log: one JSON line per entry, each with the SHA-256 of the line before it.

``results/review/log.jsonl`` is only ever appended to. ``results/review/head.json`` beside it holds the number of
entries, the length of the log and the digest of its last line, so that entries cut from the end are noticed. During an
append it also holds the line that is about to be written, so that the next append completes an interrupted one, which
then does not look like an alteration. With the laboratory's key the head is signed too, so that a cut log with a
matching head is found.

The chain has limits. Any edit, removal, insertion or exchange of lines, any cut from the end and a deleted log are
found as long as ``head.json`` was not rewritten to match. Somebody who can write both files and knows this format can
rebuild an unsigned chain. Entries signed with the laboratory's key cannot be rebuilt without it, but the whole folder
can still be put back to an earlier state of its own. ``results/provenance.json`` stores the head at the end of every
run. For later changes, note the digest that ``flowmrd review status`` prints outside this computer and give it to
``flowmrd verify --head``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from flowmrd.errors import ReviewError
from flowmrd.review.model import ReviewFile
from flowmrd.store import write_text

FOLDER: Final = Path("results/review")
LOG_FORMAT: Final = "flowmrd-review-log/1"
GENESIS: Final = hashlib.sha256(LOG_FORMAT.encode()).hexdigest()
"""Digest that the first entry gives for the line before it."""

MAX_LINE_BYTES: Final = 1_000_000


class GroupAnswer(BaseModel):
    """Calls of one group by the classifier and by the reviewer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: int = Field(ge=0, description="Place in the result's list of groups, from 0.")
    cluster: int = Field(ge=0, description="Number of the group in events.parquet.")
    events: int = Field(ge=0, description="Its analysable cells.")
    classifier: str = Field(description="Call of the classifier.")
    before: str = Field(description="Call that stood in the result that was signed.")
    reviewer: str = Field(description="Call of this entry.")


class Answer(BaseModel):
    """The answer of one result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mrd_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    verdict: str
    mrd_events: int


class Recount(BaseModel):
    """A result before and after it was counted again with calls of groups."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    automatic: Answer = Field(description="By the classifier alone: what the calls are about.")
    before: Answer = Field(description="As it was signed.")
    after: Answer = Field(description="Counted again with the calls.")
    groups: tuple[GroupAnswer, ...]


class LogEntry(BaseModel):
    """One line of the log: person, time, decision, record, the entry that it replaces, and the reason (the comment)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int = Field(ge=1)
    previous: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the line before, its newline included.")
    action: Literal["review"] = "review"
    recorded_at: str = Field(description="When it was imported, ISO 8601 with time zone.")
    account: str = Field(description="Account on this computer that imported it.")
    flowmrd_version: str
    sample: str
    mrd_sha256: str
    replaces: int | None = Field(
        description="Entry whose decision this one takes the place of; a comment replaces none."
    )
    old_decision: str | None = Field(description="Decision on this sample that stood before.")
    clock_went_back: bool = Field(description="Recorded earlier than the entry before it: the clock was changed.")
    review: ReviewFile
    review_sha256: str = Field(description="SHA-256 of the review in its one spelling: the same review enters once.")
    recount: Recount | None = Field(None, description="Where the review calls groups: both answers, before and after.")
    key_id: str | None
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of this entry without hash and signature.")
    signature: str | None = Field(description="Ed25519 signature of the hash, hex.")

    @model_serializer(mode="wrap")
    def _without_absent_recount(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out an absent recount, so that logs of versions without recounts keep their bytes."""
        plain: dict[str, object] = handler(self)
        return {name: value for name, value in plain.items() if value is not None or name != "recount"}

    @property
    def covers(self) -> tuple[str, ...]:
        """Digests of the results for which the signature is valid: the signed one, and the one that its own calls
        produced.
        """
        return (self.mrd_sha256,) if self.recount is None else (self.recount.after.mrd_sha256,)

    @field_validator("recorded_at")
    @classmethod
    def _has_time_zone(cls, value: str) -> str:
        if datetime.fromisoformat(value).tzinfo is None:
            raise ValueError("has no time zone")
        return value

    @model_validator(mode="after")
    def _speaks_of_its_review(self) -> Self:
        review = self.review
        same = (self.sample, self.mrd_sha256) == (review.sample, review.mrd_sha256)
        if not same or self.review_sha256 != digest(canonical(review.model_dump(mode="json"))):
            raise ValueError("it is not about the review it holds")
        return self

    def line(self) -> bytes:
        """Bytes of this entry in their only form: sorted keys, ASCII, no spaces."""
        return canonical(self.model_dump(mode="json")) + b"\n"


class LogHead(BaseModel):
    """``head.json``: length of the review log, and digest of its last line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["flowmrd-review-log/1"] = LOG_FORMAT
    entries: int = Field(ge=0)
    log_bytes: int = Field(ge=0)
    last: str = Field(pattern=r"^[0-9a-f]{64}$")
    key_id: str | None = None
    signature: str | None = None
    pending: str | None = Field(None, description="A line being appended; the next append completes it.")
    pending_signature: str | None = Field(None, description="Signature of the head as it is after that line.")

    def signed_text(self) -> str:
        """Text that the signature of the head covers."""
        return hashlib.sha256(f"{self.entries}:{self.log_bytes}:{self.last}".encode()).hexdigest()

    def completed(self) -> LogHead:
        """The head after the line that it announces.

        Raises
        ------
        ValueError
            If the announced line is not an entry that follows the log as the head describes it.
        """
        line = (self.pending or "").encode("ascii")
        entry = LogEntry.model_validate_json(line)
        follows = (entry.seq, entry.previous) == (self.entries + 1, self.last)
        if not follows or entry.line() != line or entry_hash(entry.model_dump(mode="json")) != entry.hash:
            raise ValueError("not the next entry")
        return LogHead(
            entries=entry.seq,
            log_bytes=self.log_bytes + len(line),
            last=digest(line),
            key_id=entry.key_id,
            signature=self.pending_signature,
        )


@dataclass(frozen=True)
class Finding:
    """An alteration: something is not as it was written."""

    where: str
    what: str


@dataclass
class LogCheck:
    """Outcome of reading the log: its sound entries, and its faults."""

    entries: list[LogEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    head: LogHead | None = None
    size: int = 0
    interrupted: bool = False

    @property
    def head_digest(self) -> str:
        """Digest to note outside this computer."""
        return GENESIS if self.head is None else self.head.last


def canonical(value: Any) -> bytes:
    """JSON in its only form: sorted keys, ASCII escapes, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def entry_hash(fields: dict[str, object]) -> str:
    """Digest of an entry's fields without ``hash`` and ``signature``."""
    return hashlib.sha256(
        canonical({key: value for key, value in fields.items() if key not in ("hash", "signature")})
    ).hexdigest()


def digest(line: bytes) -> str:
    """SHA-256 of a line."""
    return hashlib.sha256(line).hexdigest()


def person(name: str) -> str:
    """A printed name in the form for comparison; case, width and spaces do not make it another person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def standing_decisions(entries: Sequence[LogEntry], sample: str) -> list[LogEntry]:
    """The latest decision of every person on a sample, oldest first; no person's decision replaces another's.

    A comment leaves an earlier decision as it is.
    """
    latest: dict[str, LogEntry] = {}
    for entry in entries:
        if entry.sample == sample and entry.review.decides:
            latest[person(entry.review.name)] = entry
    return sorted(latest.values(), key=lambda entry: entry.seq)


@contextmanager
def locked(run_directory: Path, name: str = ".lock") -> Iterator[Path]:
    """Lock the log for writing, while others wait; yield its folder. The lock ends with the process in any case.

    Parameters
    ----------
    name
        File of the lock; a lock other than the log's own keeps several appends together.
    """
    folder = run_directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


def check_log(run_directory: Path) -> LogCheck:
    """Read the log and recompute its chain. Nothing is changed, and faults are returned, not raised."""
    folder = run_directory / FOLDER
    log, head = folder / "log.jsonl", folder / "head.json"
    data = log.read_bytes() if log.is_file() else None
    check = LogCheck(size=len(data or b""))
    check.head = _read_head(head, check.findings)
    if data is None and check.head is None and not check.findings:
        return check
    if data is None and check.head is not None and check.head.entries:
        check.findings.append(Finding("log.jsonl", f"the log is gone; it had {check.head.entries} entries"))
        return check
    data = data or b""
    if check.head is not None and check.head.pending is not None:
        data = _without_interrupted(data, check)
    lines = data.splitlines(keepends=True)
    previous = GENESIS
    for number, line in enumerate(lines, start=1):
        entry = _check_line(number, line, previous, check.findings)
        if entry is not None:
            check.entries.append(entry)
        previous = digest(line)
    _check_head(check, lines, previous)
    return check


def _read_head(path: Path, findings: list[Finding]) -> LogHead | None:
    if not path.is_file():
        return None
    try:
        text = path.read_bytes()
        head = LogHead.model_validate_json(text)
    except (ValidationError, OSError):
        findings.append(Finding("head.json", "it is not a head of the log any more"))
        return None
    if text != head_bytes(head):
        findings.append(Finding("head.json", "its bytes were changed"))
    if head.pending is not None:
        try:
            head.completed()
        except ValueError:
            findings.append(Finding("head.json", "the entry it announces is not the next one"))
    elif head.entries == 0 or head.pending_signature is not None:
        findings.append(Finding("head.json", "flowmrd never writes such a head: it was put together by hand"))
    return head


def head_bytes(head: LogHead) -> bytes:
    """Bytes of the head in their only form."""
    return canonical(head.model_dump(mode="json")) + b"\n"


def _without_interrupted(data: bytes, check: LogCheck) -> bytes:
    """The log up to the last finished append, if the rest is a part of the line that was being appended."""
    head = check.head
    assert head is not None and head.pending is not None  # noqa: S101 - the caller has looked
    rest = data[head.log_bytes :]
    if head.pending.encode("ascii", "replace").startswith(rest):
        check.interrupted = True
        return data[: head.log_bytes]
    return data


def _check_line(number: int, line: bytes, previous: str, findings: list[Finding]) -> LogEntry | None:
    where = f"log.jsonl, entry {number}"
    if not line.endswith(b"\n"):
        findings.append(Finding(where, "the line is cut off"))
    try:
        if len(line) > MAX_LINE_BYTES:
            raise ValueError("too long")  # noqa: TRY301 - the same outcome as any other unreadable line
        entry = LogEntry.model_validate_json(line)
    except ValueError:
        findings.append(Finding(where, "altered: it is not an entry any more"))
        return None
    if entry.line() != line:
        findings.append(Finding(where, "altered: its bytes are not the ones flowmrd writes"))
        return None
    if entry_hash(entry.model_dump(mode="json")) != entry.hash:
        findings.append(
            Finding(where, f"altered: the content does not match its own hash (sample {entry.sample}, as it now says)")
        )
        return None
    if entry.seq != number:
        findings.append(Finding(where, f"it says it is entry {entry.seq}: entries before it were removed or moved"))
    elif entry.previous != previous:
        findings.append(Finding(where, f"it does not follow entry {number - 1} as that stands: one was exchanged"))
    return entry


def _check_head(check: LogCheck, lines: Sequence[bytes], last: str) -> None:
    head, findings = check.head, check.findings
    if head is None:
        # This holds for an empty log too, because the head is always written first.
        if not any(finding.where == "head.json" for finding in findings):
            findings.append(Finding("head.json", "it is gone: entries cut from the end could not be noticed"))
        return
    if len(lines) < head.entries:
        cut = head.entries - len(lines)
        findings.append(Finding("log.jsonl", f"{cut} of {head.entries} entries are missing"))
    elif len(lines) > head.entries:
        findings.append(Finding("log.jsonl", f"{len(lines) - head.entries} lines were added outside flowmrd"))
    elif head.log_bytes != sum(map(len, lines)):
        findings.append(Finding("head.json", "its length of the log is not the log's"))
    elif last != head.last:
        findings.append(Finding("log.jsonl", f"the last line (entry {len(lines)}) is not the one that was recorded"))


def append(folder: Path, check: LogCheck, entry: LogEntry, head: LogHead) -> None:
    """Append an entry under the lock: announce it in the head, write it, confirm it in the head.

    Parameters
    ----------
    check
        The present log; it must have no findings.
    head
        The head after the append.
    """
    line = entry.line()
    before = check.head or LogHead(entries=0, log_bytes=0, last=GENESIS)
    pending = before.model_copy(update={"pending": line.decode("ascii"), "pending_signature": head.signature})
    write_text(folder / "head.json", head_bytes(pending).decode("ascii"))
    _write_rest(folder / "log.jsonl", before.log_bytes, line)
    write_text(folder / "head.json", head_bytes(head).decode("ascii"))


def complete_interrupted(run_directory: Path, check: LogCheck) -> LogCheck:
    """Finish an interrupted append, under the lock; return the log afterwards."""
    head = check.head
    if head is None or head.pending is None or check.findings or not check.interrupted:
        return check
    folder = run_directory / FOLDER
    _write_rest(folder / "log.jsonl", head.log_bytes, head.pending.encode("ascii"))
    write_text(folder / "head.json", head_bytes(head.completed()).decode("ascii"))
    return check_log(run_directory)


def _write_rest(log: Path, start: int, line: bytes) -> None:
    """Append the missing rest of a line that begins at ``start``; it is on disk when this returns."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o664)
    try:
        missing = line[os.fstat(handle).st_size - start :]
        while missing:
            missing = missing[os.write(handle, missing) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def broken(run_directory: Path, findings: Sequence[Finding]) -> ReviewError:
    """The error for a log that was altered."""
    listed = "; ".join(f"{finding.where}: {finding.what}" for finding in findings[:10])
    return ReviewError(
        str(run_directory / FOLDER),
        found=listed,
        expected="a log whose chain is whole",
        todo="keep the folder as it is for whoever looks into this, and restore the log from your backup",
    )

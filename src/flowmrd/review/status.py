"""State of the review of each sample, and void signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from flowmrd.config import load_config
from flowmrd.errors import ReviewError
from flowmrd.review import keys
from flowmrd.review.log import Finding, LogCheck, LogEntry, LogHead, check_log, person, standing_decisions
from flowmrd.store import digest_file

PUBLIC_KEY = Path("config/flowmrd-review.pub")
"""Path of the laboratory's public key in a run directory; if it exists, unsigned entries are void."""

VOID_CHANGED = "the result was changed after it was signed"
VOID_GONE = "the result is gone"
VOID_SIGNATURE = "the digital signature does not belong to the laboratory's key"
VOID_LOG = "the review log was altered"
VOID_UNSIGNED = "the laboratory signs its reviews, and this entry is not signed"


class ReviewState(StrEnum):
    """State of a sample's review."""

    NOT_REVIEWED = "not_reviewed"
    SIGNED_ONCE = "signed_once"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COMMENTED = "commented"
    VOID = "void"


@dataclass(frozen=True)
class SampleReview:
    """State of a sample and the log entry that decides it: a valid rejection, or else the latest entry."""

    sample: str
    state: ReviewState
    reason: str | None
    entry: LogEntry | None


@dataclass(frozen=True)
class ReviewStatus:
    """All samples with a result, the findings about the log, and the digest to note outside this computer."""

    samples: tuple[SampleReview, ...]
    findings: tuple[Finding, ...]
    entries: int
    head_digest: str

    def lines(self) -> list[str]:
        """Report for a terminal; ASCII, because names may come from altered files."""
        found = []
        for one in self.samples:
            review = None if one.entry is None else one.entry.review
            who = "" if review is None else f"{review.name}, {review.meaning}, {review.signed_at}"
            told = f"{one.sample:<32} {one.state.value:<14} {who}{f' ({one.reason})' if one.reason else ''}"
            found.append(told.rstrip())
        found += [f"ALTERED {finding.where}: {finding.what}" for finding in self.findings]
        found.append(f"{self.entries} entries; head {self.head_digest}")
        return [harmless(line) for line in found]

    def to_json_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "samples": [
                {
                    "sample": one.sample,
                    "state": one.state.value,
                    "reason": one.reason,
                    "entry": None if one.entry is None else one.entry.model_dump(mode="json"),
                }
                for one in self.samples
            ],
            "findings": [{"where": finding.where, "what": finding.what} for finding in self.findings],
            "entries": self.entries,
            "head": self.head_digest,
        }


def harmless(text: str) -> str:
    """Text with everything but printable ASCII escaped."""
    return "".join(c if 32 <= ord(c) < 127 else c.encode("unicode_escape").decode("ascii") for c in text)


def required_signatures(run_directory: Path) -> int:
    """Number of different persons who must accept a result, by the run's configuration; one without a configuration."""
    path = run_directory / "config" / "config.yaml"
    return load_config(path).report.signatures if path.is_file() else 1


def review_status(
    run_directory: Path, public_key: Path | None = None, *, signatures: int | None = None
) -> ReviewStatus:
    """Review state of every sample that has a result or an entry.

    Parameters
    ----------
    signatures
        Number of different persons who must accept a result; that of the run's configuration unless given.
    public_key
        The laboratory's public key; by default ``config/flowmrd-review.pub`` where it exists.

    Raises
    ------
    ReviewError
        Where the key cannot be read.
    """
    signatures = required_signatures(run_directory) if signatures is None else signatures
    check = check_log(run_directory)
    found = sorted((run_directory / "results" / "samples").glob("*/mrd.json"))
    names = dict.fromkeys([path.parent.name for path in found] + [entry.sample for entry in check.entries])
    trusted = trusted_key(run_directory, public_key)
    digests = {path.parent.name: digest_file(path) for path in found}
    whole = not log_findings(check, trusted)
    samples = tuple(
        _latest(name, check.entries, digests.get(name), trusted, whole=whole, signatures=signatures)
        for name in sorted(names)
    )
    findings = (*check.findings, *signature_findings(check, trusted))
    return ReviewStatus(samples, findings, len(check.entries), check.head_digest)


_SHOWN = ("decision", "comment", "name", "meaning", "signed_at", "checklist")


def signatures_of(run_directory: Path, sample: str) -> tuple[list[dict[str, object]], str | None]:
    """Entries of a sample for its report, oldest first, and the fault of the log as a whole, or None.

    Each entry has ``seq``, ``decision``, ``comment``, ``name``, ``meaning``, ``signed_at``, ``recorded_at``,
    ``account``, ``key_id``, ``hash``, ``signed`` (digitally, with the laboratory's key at hand to check it),
    ``replaced_by`` (the entry with the decision that stands now), ``valid`` and ``reason`` (why it is void).
    """
    check = check_log(run_directory)
    trusted = trusted_key(run_directory, None)
    findings = [*check.findings, *signature_findings(check, trusted)]
    whole = not log_findings(check, trusted)
    path = run_directory / "results" / "samples" / sample / "mrd.json"
    present = digest_file(path) if path.is_file() else None
    standing = standing_decisions(check.entries, sample)
    rows = []
    for entry in check.entries:
        if entry.sample == sample:
            reason = void_reason(entry, present, trusted)
            rows.append(
                {
                    "seq": entry.seq,
                    **{field: getattr(entry.review, field) for field in _SHOWN},
                    "groups": [opinion.model_dump() for opinion in entry.review.groups],
                    "recount": _recount_in_words(entry),
                    "recorded_at": entry.recorded_at,
                    "account": entry.account,
                    "key_id": entry.key_id,
                    "hash": entry.hash,
                    "signed": entry.signature is not None and trusted is not None,
                    "replaced_by": _replaced_by(entry, standing),
                    "valid": reason is None and whole,
                    "reason": VOID_LOG if reason is None and not whole else reason,
                }
            )
    problem = "; ".join(f"{finding.where}: {finding.what}" for finding in findings[:5]) or None
    return rows, problem


def _recount_in_words(entry: LogEntry) -> str:
    """The answers before and after a recount and the classifier's calls of the groups, in words; empty without a
    recount.
    """
    if entry.recount is None:
        return ""
    before, after = entry.recount.before, entry.recount.after
    groups = "; ".join(
        f"group {one.group + 1} ({one.events:,} cells) by the classifier {one.classifier.replace('_', ' ')}"
        for one in entry.recount.groups
    )
    return f"{before.verdict} ({before.mrd_events:,} events) became {after.verdict} ({after.mrd_events:,}); {groups}"


def _replaced_by(entry: LogEntry, standing: Sequence[LogEntry]) -> int | None:
    """The later decision of the same person; another person's decision replaces nothing."""
    if not entry.review.decides:
        return None
    own = next((other for other in standing if person(other.review.name) == person(entry.review.name)), None)
    return None if own is None or own.seq == entry.seq else own.seq


def trusted_key(run_directory: Path, public_key: Path | None) -> Any:
    """The laboratory's public key, or None where there is none."""
    path = public_key or run_directory / PUBLIC_KEY
    if public_key is None and not path.is_file():
        return None
    return keys.load_public(path)


def void_reason(entry: LogEntry, present: str | None, trusted: Any) -> str | None:
    """Why an entry does not count, or None where it does."""
    if present is None:
        return VOID_GONE
    if present not in entry.covers:
        return VOID_CHANGED
    return signature_fault(entry, trusted)


def signature_fault(entry: LogEntry, trusted: Any) -> str | None:
    """Fault of an entry's digital signature; None where there is none, or where the laboratory has no key."""
    if trusted is not None:
        if entry.signature is None:
            return VOID_UNSIGNED
        if entry.key_id != keys.key_id(trusted) or not keys.signature_holds(trusted, entry.hash, entry.signature):
            return VOID_SIGNATURE
    return None


def signature_findings(check: LogCheck, trusted: Any) -> list[Finding]:
    """Signatures that do not hold, of entries and of the head."""
    found = []
    for entry in check.entries:
        where = f"log.jsonl, entry {entry.seq}"
        if (entry.key_id is None) != (entry.signature is None):
            found.append(Finding(where, "key and signature do not go together: one was taken out or put in"))
        elif trusted is not None and entry.signature is not None:
            if entry.key_id != keys.key_id(trusted):
                found.append(Finding(where, f"signed with another key ({entry.key_id})"))
            elif not keys.signature_holds(trusted, entry.hash, entry.signature):
                found.append(Finding(where, "its signature does not hold"))
        elif trusted is not None:
            found.append(Finding(where, "not signed, though the laboratory has a key"))
    if trusted is not None and check.head is not None:
        found += _head_findings(check.head, trusted)
    return found


def log_findings(check: LogCheck, trusted: Any) -> list[Finding]:
    """Faults that void the whole log: a broken chain, or a head without a valid signature of the laboratory's key.

    With such a head, later entries may be missing, for example a rejection.
    """
    head = [] if trusted is None or check.head is None else _head_findings(check.head, trusted)
    return [*check.findings, *head]


def _head_findings(head: LogHead, trusted: Any) -> list[Finding]:
    """Faults of the head's signatures; the head before the first entry has none."""
    states = [(head, head.signature)] if head.entries else []
    if head.pending is not None:
        try:
            states.append((head.completed(), head.pending_signature))
        except ValueError:
            return []  # told by check_log
    found = []
    for state, signature in states:
        if signature is None:
            found.append(Finding("head.json", "not signed, though the laboratory has a key: entries may have been cut"))
        elif not keys.signature_holds(trusted, state.signed_text(), signature):
            found.append(Finding("head.json", "its signature does not hold"))
    return found


def _latest(
    name: str, entries: Sequence[LogEntry], present: str | None, trusted: Any, *, whole: bool, signatures: int
) -> SampleReview:
    mine = [entry for entry in entries if entry.sample == name]
    if not mine:
        return SampleReview(name, ReviewState.NOT_REVIEWED, None, None)
    standing = standing_decisions(mine, name)
    reasons = {entry.seq: void_reason(entry, present, trusted) or (None if whole else VOID_LOG) for entry in mine}
    valid = [entry for entry in standing if reasons[entry.seq] is None]
    rejections = [entry for entry in valid if entry.review.decision == "reject"]
    if rejections:
        return SampleReview(name, ReviewState.REJECTED, None, rejections[-1])
    if valid:
        enough = len(valid) >= signatures
        reason = None if enough else f"{len(valid)} of {signatures} signatures"
        return SampleReview(name, ReviewState.ACCEPTED if enough else ReviewState.SIGNED_ONCE, reason, valid[-1])
    if standing:
        return SampleReview(name, ReviewState.VOID, reasons[standing[-1].seq], standing[-1])
    reason = reasons[mine[-1].seq]
    return SampleReview(name, ReviewState.VOID if reason else ReviewState.COMMENTED, reason, mine[-1])


def states_for_trial(run_directory: Path, *, signatures: int) -> dict[str, str]:
    """Review state by sample; ``signatures`` as :func:`review_status`.

    Raises
    ------
    ReviewError
        If the log was altered, because a trial result must not rest on it.
    """
    status = review_status(run_directory, signatures=signatures)
    if status.findings:
        raise ReviewError(
            str(run_directory / "results" / "review"),
            found="; ".join(f"{finding.where}: {finding.what}" for finding in status.findings[:10]),
            expected="a review log whose chain is whole",
            todo="run 'flowmrd verify' and restore the log from your backup",
        )
    return {sample.sample: sample.state.value for sample in status.samples}

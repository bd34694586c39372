"""Calls of groups in force for a tube: those in the log that refer to what the classifier now finds in it.

A call stands until the same person calls the group differently; comments and rejections change no call. If two persons
disagree whether a group is leukaemia, neither call is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flowmrd.mrd.calls import GroupCall, ReviewerCalls
from flowmrd.review.log import GroupAnswer, LogEntry, check_log, person
from flowmrd.review.model import ReviewFile
from flowmrd.review.status import log_findings, signature_fault, trusted_key

__all__ = ["as_result_call", "calls_in_force", "calls_of_log", "counts_calls"]

UNNAMED = "unspecified"
"""Kind of a normal population or artefact that a reviewer did not name."""


def counts_calls(review: ReviewFile) -> bool:
    """Whether the calls of a review change the count, as those of an acceptance do."""
    return review.decision == "accept" and bool(review.groups)


def as_result_call(call: str) -> str:
    """A reviewer's call in the form that results use."""
    if call == "leukaemia":
        return "counted"
    kind, _, name = call.partition(":")
    return f"{kind}:{name.strip().replace(' ', '_') or UNNAMED}"


def calls_of_log(run_directory: Path, sample: str, automatic_sha256: str) -> ReviewerCalls:
    """Calls in force for a tube whose result by the classifier alone has this digest; none if the log was altered."""
    check = check_log(run_directory)
    trusted = trusted_key(run_directory, None)
    if log_findings(check, trusted):
        return ReviewerCalls(automatic_sha256=automatic_sha256)
    return calls_in_force(check.entries, sample, automatic_sha256, trusted)


def calls_in_force(
    entries: Sequence[LogEntry],
    sample: str,
    automatic_sha256: str,
    trusted: Any,
    also: tuple[str, Sequence[GroupAnswer]] | None = None,
) -> ReviewerCalls:
    """The same from entries that were read.

    Parameters
    ----------
    trusted
        The laboratory's public key, or None.
    also
        Name and calls of a review that is about to enter the log.
    """
    made: list[tuple[str, Sequence[GroupAnswer]]] = []
    for entry in entries:
        if entry.sample != sample or entry.recount is None or signature_fault(entry, trusted) is not None:
            continue
        if entry.recount.automatic.mrd_sha256 == automatic_sha256:
            made.append((entry.review.name, entry.recount.groups))
    said: dict[tuple[str, int], GroupCall | None] = {}
    for name, answers in [*made, *([] if also is None else [also])]:
        for answer in answers:
            undecided = answer.reviewer == "undecided"
            call = GroupCall(answer.cluster, as_result_call(answer.reviewer), name)
            said[person(name), answer.cluster] = None if undecided else call
    return combine((call for call in said.values() if call is not None), automatic_sha256)


def combine(calls: Iterable[GroupCall], automatic_sha256: str) -> ReviewerCalls:
    """One call per group; calls that disagree whether it is leukaemia are disputed.

    Parameters
    ----------
    calls
        In the order in which they were made.
    """
    by_group: dict[int, list[GroupCall]] = {}
    for one in calls:
        by_group.setdefault(one.group, []).append(one)
    standing: list[GroupCall] = []
    disputed: list[GroupCall] = []
    for _, of_group in sorted(by_group.items()):
        if len({one.call == "counted" for one in of_group}) > 1:
            disputed += of_group
        else:
            standing.append(of_group[0])
    return ReviewerCalls(tuple(standing), tuple(disputed), automatic_sha256)

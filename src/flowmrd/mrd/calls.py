"""Counting with reviewers' calls: which cells count as leukaemia after a reviewer has named a group.

A call names a group by its number in ``events.parquet`` and changes whether its cells count. The classifier does not
run again, because the classification holds the cells of every group, counted or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.uncounted_group_flags import UNCOUNTED_CODES, uncounted_flags
from flowmrd.errors import ArtefactError
from flowmrd.flags import Flag, flag
from flowmrd.mrd.result import CellGroup, MrdResult
from flowmrd.records.classification import TubeJudgement
from flowmrd.tube import Tube

__all__ = [
    "GroupCall",
    "ReviewerCalls",
    "called_groups",
    "calls_in_result",
    "flags_of_calls",
    "mrd_with_calls",
    "questions_left",
    "with_calls",
]


@dataclass(frozen=True, order=True)
class GroupCall:
    """A reviewer's call of one group.

    Attributes
    ----------
    group
        Number of the group in ``events.parquet``.
    call
        ``counted``, ``normal:<population>`` or ``artefact:<kind>``.
    """

    group: int
    call: str
    reviewer: str


@dataclass(frozen=True)
class ReviewerCalls:
    """The calls of one tube that are in force.

    Attributes
    ----------
    calls
        One a group.
    disputed
        Calls of groups that reviewers call differently; they are reported and not counted.
    automatic_sha256
        Digest of the ``mrd.json`` of the classifier alone, which the calls refer to.
    """

    calls: tuple[GroupCall, ...] = ()
    disputed: tuple[GroupCall, ...] = ()
    automatic_sha256: str | None = None

    def __bool__(self) -> bool:
        return bool(self.calls or self.disputed)

    @property
    def has_leukaemia(self) -> bool:
        """Whether a group is called leukaemia."""
        return any(one.call == "counted" for one in self.calls)

    @property
    def sha256(self) -> str | None:
        """Digest of the calls in force; None where there are none."""
        if not self:
            return None
        plain = {"calls": [asdict(one) for one in self.calls], "disputed": [asdict(one) for one in self.disputed]}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def with_calls(tube: Tube, calls: ReviewerCalls) -> Tube:
    """A judged tube whose ``mrd`` and ``cluster`` follow the calls.

    Raises
    ------
    ArtefactError
        If the tube does not hold the cells of each group.
    """
    if not calls.calls:
        return tube
    if tube.group is None or tube.mrd is None:
        raise ArtefactError(
            f"tube {tube.name}",
            found="no record of which cells each group has",
            expected="a tube classified by this version of flowmrd",
            todo="run 'flowmrd run' again",
        )
    mrd = mrd_with_calls(tube.mrd, tube.group, calls)
    return replace(tube, mrd=mrd, cluster=np.where(mrd, tube.group, -1).astype(np.int32))


def mrd_with_calls(
    mrd: npt.NDArray[np.bool_], group: npt.NDArray[np.int32], calls: ReviewerCalls
) -> npt.NDArray[np.bool_]:
    """Events called MRD once groups have been called, shape (n_events,).

    Parameters
    ----------
    mrd, group
        As the classifier gives them, shape (n_events,).
    """
    found = mrd.copy()
    for one in calls.calls:
        found[group == one.group] = one.call == "counted"
    return found


def calls_in_result(result: MrdResult) -> ReviewerCalls:
    """The calls that a result was counted with, from its groups; disputed calls are not included."""
    return ReviewerCalls(
        tuple(
            GroupCall(group.cluster, group.call, group.reviewer or "")
            for group in result.groups
            if group.called_by == "reviewer" and group.cluster is not None
        )
    )


def called_groups(groups: Sequence[CellGroup], calls: ReviewerCalls, cells: Mapping[int, int]) -> tuple[CellGroup, ...]:
    """Groups with the reviewers' calls, in unchanged order.

    Parameters
    ----------
    cells
        Number of a group to its analysable cells, which are its events once a reviewer has called it.
    """
    by_number = {one.group: one for one in calls.calls}
    found = []
    for group in groups:
        call = None if group.cluster is None else by_number.get(group.cluster)
        if call is None:
            found.append(group)
            continue
        now = {"call": call.call, "called_by": "reviewer", "reviewer": call.reviewer}
        found.append(group.model_copy(update={**now, "events": cells.get(call.group, 0)}))
    return tuple(found)


def questions_left(raised: Sequence[Flag], judged: TubeJudgement, calls: ReviewerCalls) -> list[Flag]:
    """Flags of the classifier without what the calls have answered."""
    if not calls.calls:
        return list(raised)
    called = {one.group for one in calls.calls}
    open_ = [
        (one.why, float(one.events))
        for one in judged.uncounted
        if one.id not in called and one.call in (None, "atypical")
    ]
    answered = set(UNCOUNTED_CODES)
    if called >= {one.id for one in judged.clusters if one.came_first}:
        # The reviewer of these groups has seen when in the acquisition their cells were acquired.
        answered.add("COUNTED_CAME_FIRST")
    if called >= {one.id for one in judged.clusters}:
        answered.add("COUNTED_BY_SHIFTED_STAINING")
    return [*(item for item in raised if item.code not in answered), *uncounted_flags(open_)]


def flags_of_calls(
    groups: Sequence[CellGroup], calls: ReviewerCalls, judged: TubeJudgement, events: int, least: int | None
) -> list[Flag]:
    """Flags of the verdict about the calls.

    Parameters
    ----------
    events, least
        Cells that are counted now, and the count from which there is a detection.
    """
    place = {group.cluster: number for number, group in enumerate(groups, start=1)}
    size = {group.cluster: group.events for group in groups}
    counted_before = {entry.id for entry in judged.clusters}
    found: list[Flag] = []
    for name in dict.fromkeys(one.reviewer for one in calls.calls):
        own = [one for one in calls.calls if one.reviewer == name]
        what = "; ".join(
            f"group {place.get(one.group, '?')} ({size.get(one.group, 0):,} cells) is {_words(one.call)}" for one in own
        )
        found.append(flag("CALLED_BY_REVIEWER", name=name, what=what))
        leukaemic = [size.get(one.group, 0) for one in own if one.call == "counted"]
        if leukaemic and least is not None and events < least:
            found.append(flag("CALLED_CELLS_TOO_FEW", name=name, events=sum(leukaemic), least=least))
        overruled = [one for one in own if one.call != "counted" and one.group in counted_before]
        if overruled and judged.mode == "patient":
            found.append(flag("PHENOTYPE_OVERRULED", name=name, call=_words(overruled[0].call)))
    if calls.disputed:
        said = "; ".join(
            f"group {place.get(one.group, '?')} is {_words(one.call)} for {one.reviewer}" for one in calls.disputed
        )
        found.append(flag("REVIEWERS_DISAGREE", what=said))
    return found


def _words(call: str) -> str:
    """A call as a sentence says it."""
    if call == "counted":
        return "leukaemia"
    kind, _, name = call.partition(":")
    named = name.replace("_", " ")
    return f"normal ({named})" if kind == "normal" else f"an artefact ({named})"

"""Sorting the flags of a tube by their effect on the verdict (:mod:`flowmrd.flags`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from flowmrd.flags import Effect, Flag

SEEN_WITHOUT_CD19: Final = 0.95
"""Loss of CD19 is no blind spot if the gates take at least this share of the patient's blasts without CD19."""


@dataclass
class SortedFlags:
    """Flags by their effect on the verdict; ``remarks`` are all that have none and are read with it."""

    failures: list[Flag] = field(default_factory=list)
    doubts: list[Flag] = field(default_factory=list)
    not_positive: list[Flag] = field(default_factory=list)
    blind_spots: list[Flag] = field(default_factory=list)
    not_sensitive: list[Flag] = field(default_factory=list)
    oddities: list[Flag] = field(default_factory=list)
    remarks: list[Flag] = field(default_factory=list)


def covered_blind_spots(seen_without_cd19: float | None) -> frozenset[str]:
    """Blind-spot flags that the diagnosis tube rules out.

    Parameters
    ----------
    seen_without_cd19
        Share of the patient's blasts at diagnosis that the gates would have taken without CD19; None where unknown.
    """
    covered = seen_without_cd19 is not None and seen_without_cd19 >= SEEN_WITHOUT_CD19
    return frozenset({"CD19_LOSS_UNSEEN"}) if covered else frozenset()


def sort_flags(flags: Iterable[Flag], *, excused: frozenset[str] = frozenset(), role: str = "followup") -> SortedFlags:
    """Sort the flags of a tube's file, quality, gates and classification by their effect, dropping repeated ones.

    Parameters
    ----------
    flags
        Those of effect info are left to the quality section of the report.
    excused
        Codes that have no effect in this tube; they stay as remarks.
    role
        Role of the tube; a flag that does not speak of such tubes is left out.
    """
    found = SortedFlags()
    places = {
        Effect.FAILURE: found.failures,
        Effect.DOUBT: found.doubts,
        Effect.NO_POSITIVE: found.not_positive,
        Effect.NO_NEGATIVE: found.blind_spots,
        Effect.NOT_SENSITIVE: found.not_sensitive,
        Effect.ODD: found.oddities,
        Effect.REMARK: found.remarks,
        Effect.ANSWER: found.remarks,
    }
    for item in dict.fromkeys(flags):
        if role not in item.kind.roles or item.effect is Effect.INFO:
            continue
        places[Effect.REMARK if item.code in excused else item.effect].append(item)
    return found

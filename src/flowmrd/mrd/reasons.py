"""Which flags of earlier stages stop a verdict, which cast doubt on it, and which are only read with it.

A flag of level ``fail`` always means that the tube cannot be evaluated. Flags of the classifier are sorted by code,
because only their meaning tells whether the count can still be trusted. A code that is not listed here and has no
level is a remark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowmrd.mrd.result import Reason

DOUBTS: Final = frozenset(
    {
        "NO_CONTROLS",
        "TUBE_UNLIKE_CONTROLS",
        "PHENOTYPE_LIKE_NORMAL",
    }
)
"""Classifier codes after which the count cannot be trusted in either direction."""

BLIND_SPOTS: Final = frozenset({"NO_LAIP", "UNRESOLVED_CLUSTER", "CD19_LOSS_UNSEEN"})
"""Codes after which leukaemic cells may have been overlooked: what was found stands, a negative does not."""

SEEN_WITHOUT_CD19: Final = 0.95
"""From this share of a patient's blasts on that the gates take without CD19, its loss is no blind spot."""


@dataclass
class Sorted:
    """Reasons by what they do to the verdict."""

    failures: list[Reason] = field(default_factory=list)
    doubts: list[Reason] = field(default_factory=list)
    blind_spots: list[Reason] = field(default_factory=list)
    remarks: list[Reason] = field(default_factory=list)


def covered_blind_spots(seen_without_cd19: float | None) -> frozenset[str]:
    """Blind spots that the diagnosis tube answers for.

    Parameters
    ----------
    seen_without_cd19
        Share of the patient's blasts at diagnosis that the gates would have taken without CD19; None where unknown.
    """
    covered = seen_without_cd19 is not None and seen_without_cd19 >= SEEN_WITHOUT_CD19
    return frozenset({"CD19_LOSS_UNSEEN"}) if covered else frozenset()


def sort_flags(flags: Iterable[Mapping[str, Any]], *, excused: frozenset[str] = frozenset()) -> Sorted:
    """Sort the flags of quality control, gating and classification, dropping repeated ones.

    Parameters
    ----------
    flags
        Mappings with ``code``, ``message`` and, where the stage knows it, ``level``: info, warn, doubt or fail.
        Flags of level info are left to the quality section of the report.
    excused
        Blind spots that something else covers in this tube; they stay as remarks.
    """
    found = Sorted()
    seen: set[tuple[str, str]] = set()
    for flag in flags:
        reason = Reason(code=flag["code"], message=flag["message"])
        if (reason.code, reason.message) in seen:
            continue
        seen.add((reason.code, reason.message))
        level = flag.get("level")
        if level == "fail":
            found.failures.append(reason)
        elif level == "doubt" or reason.code in DOUBTS:
            found.doubts.append(reason)
        elif reason.code in BLIND_SPOTS - excused:
            found.blind_spots.append(reason)
        elif level != "info":
            found.remarks.append(reason)
    return found

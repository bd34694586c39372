"""Messages about groups that are reported and not counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flowmrd.flags import Flag, flag

if TYPE_CHECKING:
    from flowmrd.classifier.classification import Why

UNCOUNTED_FLAGS: Final[dict[Why, tuple[str, str]]] = {
    "like_precursors": (
        "PHENOTYPE_LIKE_NORMAL",
        "regenerating precursors without a diagnosis tube",
    ),
    "regenerating": (
        "PHENOTYPE_LIKE_NORMAL",
        "regenerating precursors: the marrow holds all their stages, and the leukaemia at diagnosis lies there only "
        "after a shift that tubes of one patient hardly show",
    ),
    "not_the_phenotype": (
        "UNRESOLVED_CLUSTER",
        "is unlike normal marrow and unlike the leukaemia at diagnosis: the leukaemia may have changed, one of the two "
        "tubes may be another person's, or labels of one of them may be exchanged",
    ),
    "like_controls": (
        "UNRESOLVED_CLUSTER",
        "is atypical, and similar groups occur in normal marrow",
    ),
    "beyond_leukaemia": (
        "UNRESOLVED_CLUSTER",
        "is unlike normal marrow, and lies at an end of a scale or where no leukaemia of other patients does: dye "
        "aggregates and detector faults do so as well",
    ),
    "displaced": (
        "UNRESOLVED_CLUSTER",
        "is leukaemia, or a normal population further from its place than in the controls",
    ),
    "few_cells": (
        "UNRESOLVED_CLUSTER",
        "would be a detection only together with cells that are more probably normal",
    ),
    "stretched": (
        "UNRESOLVED_CLUSTER",
        "lies as the leukaemia at diagnosis only after a shift that tubes of one patient hardly show",
    ),
    "like_one_control": (
        "UNRESOLVED_CLUSTER",
        "lies nearer to cells that one control alone holds than to the leukaemia at diagnosis",
    ),
    "offscale": (
        "UNRESOLVED_CLUSTER",
        "is off scale in one detector and unlike normal marrow in the other channels",
    ),
}
"""Code and words of the flag for every reason why a group is not counted; groups with a name need no flag."""

UNCOUNTED_CODES: Final = frozenset(code for code, _ in UNCOUNTED_FLAGS.values())


def uncounted_flags(groups: Iterable[tuple[str, float]], details: Mapping[str, str] | None = None) -> list[Flag]:
    """One message for every reason why groups are not counted.

    Parameters
    ----------
    groups
        Reason and number of events of every group that is still a question.
    details
        Reason to words that are added to its message.
    """
    groups = list(groups)
    flags = []
    for why, (code, what) in UNCOUNTED_FLAGS.items():
        events = [number for reason, number in groups if reason == why]
        if events:
            flags.append(flag(code, events=round(sum(events)), what=what + (details or {}).get(why, "")))
    return flags

"""Groups that came at the start of the run only: cells that the tube before left in the line.

What ran before is no part of this tube's files, and a result must not change with what else lies in the folder, so the
tube's own event order is the only witness here: a population of the sample comes evenly, what is carried over comes
first and stops. Whose leukaemia it may be is told by the cohort page, which knows all tubes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.uncounted_flags import UNCOUNTED_CODES, uncounted_flags
from flowmrd.flags import Flag, flag

__all__ = ["CARRY_OVER", "came_first", "name_carry_over"]

CARRY_OVER: Final = "artefact:carry_over"


def came_first(rows: npt.NDArray[np.intp], n_events: int, parameters: ClassifierParameters) -> bool:
    """Whether cells came at the start of the run and stopped.

    What comes later must be too little to be a detection of its own, whatever came first: leukaemia of the sample may
    lie in the place of what was carried over.

    Parameters
    ----------
    rows
        Rows of the group's cells in the file.
    n_events
        Events of the file.
    """
    early = int(np.count_nonzero(rows < parameters.carry_over_start * n_events))
    late = len(rows) - early
    enough = early >= parameters.carry_over_least and early >= parameters.carry_over_share * len(rows)
    return enough and late <= parameters.carry_over_late


def name_carry_over(facts: dict[str, Any], group: npt.NDArray[np.int32], parameters: ClassifierParameters) -> None:
    """Name what came first: a group that is not counted is an artefact, one that is counted becomes a question.

    Parameters
    ----------
    facts
        Content of ``classification.json``; changed in place.
    group
        Shape (n_events,): number of the group of every event in file order, -1 for none.
    """
    named = False
    raised: list[Flag] = []
    for entry in facts["uncounted"]:
        rows = np.flatnonzero(group == entry["id"])
        if entry.get("call") == "atypical" and came_first(rows, len(group), parameters):
            entry["call"], named = CARRY_OVER, True
            raised.append(flag("CAME_FIRST", events=len(rows), start=parameters.carry_over_start))
    for entry in facts["clusters"]:
        rows = np.flatnonzero(group == entry["id"])
        if came_first(rows, len(group), parameters):
            entry["came_first"] = True
            raised.append(flag("COUNTED_CAME_FIRST", events=len(rows), start=parameters.carry_over_start))
    if named:
        left = [item for item in facts["flags"] if item["code"] not in UNCOUNTED_CODES]
        questions = [(one["why"], one["events"]) for one in facts["uncounted"] if one.get("call") == "atypical"]
        facts["flags"] = [*left, *(item.as_record() for item in uncounted_flags(questions))]
    facts["flags"] += [item.as_record() for item in raised]

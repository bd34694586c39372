"""Groups that came at the start of the run only: cells that the tube before left in the line.

What ran before is no part of this tube's files, and a result must not change with what else lies in the folder, so the
tube's own event order is the only witness here: a population of the sample comes evenly, what is carried over comes
first and stops. Whose leukaemia it may be is told by the cohort page, which knows all tubes. Files that a program
sorted or put together are not in the order of acquisition: an event is early only if its row and its time both say so.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.uncounted_flags import UNCOUNTED_CODES, uncounted_flags
from flowmrd.flags import Flag, flag
from flowmrd.records.base import FlagEntry
from flowmrd.records.classification import TubeJudgement

__all__ = ["CARRY_OVER", "came_first", "early_events", "name_carry_over"]

Bools = npt.NDArray[np.bool_]

CARRY_OVER: Final = "artefact:carry_over"


def early_events(clock: npt.NDArray[np.floating[Any]] | None, parameters: ClassifierParameters) -> Bools | None:
    """Which events came at the start of the run, by their rows and by the clock, shape (n_events,).

    Parameters
    ----------
    clock
        Time of every event in file order, shape (n_events,), any unit; None where the file has none.

    Returns
    -------
    array or None
        None where nobody can say: no clock, or one that stands still.
    """
    if clock is None or len(clock) == 0:
        return None
    start, middle = np.quantile(clock, [parameters.carry_over_start, 0.5])
    if not start < middle:
        return None
    first = np.arange(len(clock)) < parameters.carry_over_start * len(clock)
    return np.asarray(first & (clock <= start))


def came_first(rows: npt.NDArray[np.intp], early: Bools, parameters: ClassifierParameters) -> bool:
    """Whether cells came at the start of the run and stopped.

    What comes later must be too little to be a detection of its own, whatever came first: leukaemia of the sample may
    lie in the place of what was carried over.

    Parameters
    ----------
    rows
        Rows of the group's cells in the file.
    early
        Shape (n_events,): events of the start of the run.
    """
    first = int(np.count_nonzero(early[rows]))
    enough = first >= parameters.carry_over_least and first >= parameters.carry_over_share * len(rows)
    return enough and len(rows) - first <= parameters.carry_over_late


def name_carry_over(
    judged: TubeJudgement,
    group: npt.NDArray[np.int32],
    clock: npt.NDArray[np.floating[Any]] | None,
    parameters: ClassifierParameters,
) -> TubeJudgement:
    """Name what came first: a group that is not counted is an artefact, one that is counted becomes a question.

    Parameters
    ----------
    judged
        What was found in the tube.
    group
        Shape (n_events,): number of the group of every event in file order, -1 for none.
    clock
        As in :func:`early_events`.

    Returns
    -------
    TubeJudgement
        The same with the names and their messages.
    """
    early = early_events(clock, parameters)
    if early is None:
        return judged
    named = False
    raised: list[Flag] = []
    uncounted, clusters = [], []
    for one in judged.uncounted:
        rows = np.flatnonzero(group == one.id)
        first = one.call == "atypical" and came_first(rows, early, parameters)
        uncounted.append(one.model_copy(update={"call": CARRY_OVER}) if first else one)
        if first:
            named = True
            raised.append(flag("CAME_FIRST", events=len(rows), start=parameters.carry_over_start))
    for counted in judged.clusters:
        rows = np.flatnonzero(group == counted.id)
        first = came_first(rows, early, parameters)
        clusters.append(counted.model_copy(update={"came_first": True}) if first else counted)
        if first:
            raised.append(flag("COUNTED_CAME_FIRST", events=len(rows), start=parameters.carry_over_start))
    flags = judged.flags
    if named:
        questions = [(one.why, one.events) for one in uncounted if one.call == "atypical"]
        left = [item for item in flags if item.code not in UNCOUNTED_CODES]
        flags = (*left, *map(FlagEntry.of, uncounted_flags(questions)))
    found = {"uncounted": tuple(uncounted), "clusters": tuple(clusters), "flags": (*flags, *map(FlagEntry.of, raised))}
    return judged.model_copy(update=found)

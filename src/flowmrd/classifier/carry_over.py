"""Carry-over: groups of cells of the previous tube, which occur only at the start of the acquisition.

A result must not depend on other files in the folder, so only the order of the tube's own events is used. A population
of the sample occurs throughout the acquisition; carried-over cells occur first and then stop. The cohort page, which
has all tubes, names the tube that they may come from. A file that a program sorted or concatenated is not in the order
of acquisition, so an event counts as early only if both its row and its time are early.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.uncounted_group_flags import UNCOUNTED_CODES, uncounted_flags
from flowmrd.flags import Flag, flag
from flowmrd.records.base import FlagEntry
from flowmrd.records.classification import CountedEntry, TubeJudgement, UncountedEntry

__all__ = ["CARRY_OVER", "came_first", "early_events", "name_carry_over", "not_counted"]

Bools = npt.NDArray[np.bool_]

CARRY_OVER: Final = "artefact:carry_over"


def early_events(clock: npt.NDArray[np.floating[Any]] | None, parameters: ClassifierParameters) -> Bools | None:
    """Events at the start of the acquisition, by row and by time, shape (n_events,).

    Parameters
    ----------
    clock
        Time of every event in file order, shape (n_events,), any unit; None where the file has none.

    Returns
    -------
    array or None
        None where the file has no clock, or one that does not advance.
    """
    if clock is None or len(clock) == 0:
        return None
    start, middle = np.quantile(clock, [parameters.carry_over_start, 0.5])
    if not start < middle:
        return None
    first = np.arange(len(clock)) < parameters.carry_over_start * len(clock)
    return np.asarray(first & (clock <= start))


def came_first(rows: npt.NDArray[np.intp], early: Bools, parameters: ClassifierParameters) -> bool:
    """Whether cells occur at the start of the acquisition and then stop.

    The later cells must be too few for a detection of their own, because the sample's own leukaemia may have the same
    phenotype as the carried-over cells.

    Parameters
    ----------
    rows
        Rows of the group's cells in the file.
    early
        Shape (n_events,): events of the start of the acquisition.
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
    """Name the groups that are carry-over. A group that is not counted becomes an artefact. So does a counted one, or
    the cells of it that came first, where what came later is a detection in any case; otherwise it becomes a question.

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
        The same judgement with these names and their messages.
    """
    early = early_events(clock, parameters)
    if early is None:
        return judged
    named = False
    raised: list[Flag] = []
    uncounted: list[UncountedEntry] = []
    clusters: list[CountedEntry] = []
    for one in judged.uncounted:
        rows = np.flatnonzero(group == one.id)
        first = one.call == "atypical" and came_first(rows, early, parameters)
        uncounted.append(one.model_copy(update={"call": CARRY_OVER}) if first else one)
        if first:
            named = True
            raised.append(flag("CAME_FIRST", events=len(rows), start=parameters.carry_over_start))
    for entry, flags_of_it in _judged_clusters(judged, group, early, parameters):
        if isinstance(entry, UncountedEntry):
            uncounted.append(entry)
        else:
            clusters.append(entry)
        raised += flags_of_it
    flags = judged.flags
    if named:
        questions = [(one.why, one.events) for one in uncounted if one.call == "atypical"]
        left = [item for item in flags if item.code not in UNCOUNTED_CODES]
        flags = (*left, *map(FlagEntry.of, uncounted_flags(questions)))
    found = {"uncounted": tuple(uncounted), "clusters": tuple(clusters), "flags": (*flags, *map(FlagEntry.of, raised))}
    return judged.model_copy(update=found)


def _judged_clusters(
    judged: TubeJudgement, group: npt.NDArray[np.int32], early: Bools, parameters: ClassifierParameters
) -> Iterator[tuple[CountedEntry | UncountedEntry, list[Flag]]]:
    """Every counted group as it is reported, and what is to be said of it."""
    rows_of = {one.id: np.flatnonzero(group == one.id) for one in judged.clusters}
    first_of = {number: int(np.count_nonzero(early[rows])) for number, rows in rows_of.items()}
    whole = {number for number, rows in rows_of.items() if came_first(rows, early, parameters)}
    uneven = {n for n, rows in rows_of.items() if _is_uneven(first_of[n], len(rows) - first_of[n], parameters)}
    left_out = {n: len(rows_of[n]) if n in whole else first_of[n] for n in whole | uneven}
    steady = sum(map(len, rows_of.values())) - sum(left_out.values())
    known = steady >= _least_detection(judged, len(group), parameters)
    for counted in judged.clusters:
        events = len(rows_of[counted.id])
        start = parameters.carry_over_start
        if counted.id not in left_out:
            yield counted, []
        elif not known:
            yield (
                counted.model_copy(update={"came_first": True}),
                [flag("COUNTED_CAME_FIRST", events=events, start=start)],
            )
        elif counted.id in whole:
            yield _not_counted(counted), [flag("CAME_FIRST", events=events, start=start)]
        else:
            first = left_out[counted.id]
            own = {"carried": first, "events": counted.events - first}
            yield counted.model_copy(update=own), [flag("PART_CAME_FIRST", events=first, start=start)]


def _is_uneven(first: int, later: int, parameters: ClassifierParameters) -> bool:
    """Whether more cells came at the start than cells of the sample could, of which ``later`` came afterwards."""
    most = float(gammaincinv(later + 1.0, parameters.even_upper))
    expected = most * parameters.carry_over_start / (1.0 - parameters.carry_over_start)
    return first >= parameters.carry_over_least and first >= parameters.carry_over_excess * expected


def _least_detection(judged: TubeJudgement, events: int, parameters: ClassifierParameters) -> int:
    """Cells that are a detection whatever the controls show.

    Parameters
    ----------
    events
        Events of the file: no fewer than its nucleated cells.
    """
    highest = 0.0 if judged.background is None else judged.background.ci95[1] * events / 1e6
    needed = parameters.detect_events
    while highest > 0 and gammainc(needed, highest) >= parameters.background_chance:
        needed += 1
    return needed


def _not_counted(counted: CountedEntry) -> UncountedEntry:
    """A counted group as one that the tube before left in the line."""
    return UncountedEntry(
        id=counted.id,
        events=counted.events,
        why="carried_over",
        call=CARRY_OVER,
        evidence=counted.evidence,
        nearest_normal=counted.nearest_normal,
        markers=counted.markers,
        medians=counted.medians,
        sd={},
    )


def not_counted(judged: TubeJudgement, group: npt.NDArray[np.int32], early: Bools | None) -> Bools:
    """Events of counted groups that the tube before left in the line, shape (n_events,).

    Parameters
    ----------
    judged
        What :func:`name_carry_over` returned.
    group, early
        As there, and as :func:`early_events` gives them.
    """
    out = np.isin(group, [one.id for one in judged.uncounted if one.call == CARRY_OVER and one.id is not None])
    if early is not None:
        out |= early & np.isin(group, [one.id for one in judged.clusters if one.carried])
    return np.asarray(out, dtype=np.bool_)

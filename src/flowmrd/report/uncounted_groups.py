"""Groups of cells that rule out an answer without being counted: where they lie, and why they were not counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

import numpy as np

from flowmrd.mrd.result import CellGroup
from flowmrd.records.classification import ClassificationFile
from flowmrd.report.charts.description import Mark, Outline
from flowmrd.report.contours import ellipse, free_place
from flowmrd.report.group_names import call_in_words, group_number

WHY: Final = {
    "like_precursors": "may be regenerating precursors",
    "regenerating": "in the place of regenerating precursors after an unusual shift",
    "like_controls": "atypical; similar groups occur in normal marrow",
    "beyond_leukaemia": "beyond the leukaemias of other patients, or at an end of a scale",
    "displaced": "may be a normal population out of its place",
    "few_cells": "a detection only together with cells that are more probably normal",
    "not_the_phenotype": "unlike the leukaemia at diagnosis",
    "stretched": "far from where the leukaemia of the diagnosis tube is expected",
    "like_one_control": "like cells that one control alone holds",
    "offscale": "off scale in a detector",
    "named": "a normal population or an artefact, by its place and number",
}
WIDTH: Final = 2.0
"""Half axes of a group's outline, in its standard deviations."""


@dataclass(frozen=True)
class LetteredGroup:
    """One group; ``letter`` labels its outline in the plots of the MRD cells.

    Attributes
    ----------
    number
        Its number among the groups of the result, by which a reviewer calls it.
    shifts
        Marker, decades against the nearest normal stage, direction.
    medians, sd
        By channel, 0..1 scale.
    """

    letter: str
    number: int | None
    events: int
    why: str
    nearest: str
    shifts: tuple[tuple[str, float, str], ...]
    medians: Mapping[str, float]
    sd: Mapping[str, float]


def groups(classification: ClassificationFile | None, called: Sequence[CellGroup] = ()) -> list[LetteredGroup]:
    """Groups that are not counted: those of ``classification.json``, largest first, then those a reviewer overruled.

    Parameters
    ----------
    called
        Groups of the result. A group that a reviewer calls leukaemia is counted and left out here.
    """
    by_reviewer = {group.cluster: group for group in called if group.called_by == "reviewer"}
    found = []
    for entry in () if classification is None else classification.uncounted:
        call = by_reviewer.pop(entry.id, None)
        if call is None or call.call != "counted":
            number = group_number(called, entry.id)
            why = _why(entry.why, None if number is None else called[number - 1]) if call is None else _said(call)
            found.append((number, entry.events, why, entry.nearest_normal, entry.markers, entry.medians, entry.sd))
    found += [
        (
            group_number(called, one.cluster),
            one.events,
            _said(one),
            one.nearest_normal,
            one.markers,
            one.medians,
            one.sd,
        )
        for one in by_reviewer.values()
        if one.call != "counted"
    ]
    return [
        LetteredGroup(
            letter,
            number,
            events,
            why,
            nearest,
            tuple((shift.marker, shift.shift_decades, shift.direction) for shift in markers),
            medians,
            sd,
        )
        for letter, (number, events, why, nearest, markers, medians, sd) in zip(ascii_uppercase, found, strict=False)
    ]


def _why(why: str, group: CellGroup | None) -> str:
    """Why a group was not counted; one that was named has its name."""
    if why == "named" and group is not None and group.call != "atypical":
        return f"{call_in_words(group.call)}, by its place and number"
    return WHY.get(why, why.replace("_", " "))


def _said(group: CellGroup) -> str:
    """A reviewer's call of a group, in words."""
    return f"called {group.call.replace(':', ', ').replace('_', ' ')} by reviewer {group.reviewer}"


def telling(found: Sequence[LetteredGroup]) -> list[str]:
    """Markers that set the largest group apart, most distinctive first."""
    shifts = found[0].shifts if found else ()
    return [marker for marker, _, _ in sorted(shifts, key=lambda shift: -abs(shift[1]))]


def outline_in(x: str, y: str, found: Sequence[LetteredGroup], beneath: Sequence[Outline] = ()) -> list[Outline]:
    """Ellipses of the groups on two channels, with their letters.

    Parameters
    ----------
    beneath
        Outlines that are drawn already; no letter covers their marks.
    """
    drawn = []
    taken = [outline.mark.at for outline in beneath if outline.mark is not None]
    for group in found:
        if not {x, y} <= group.medians.keys() & group.sd.keys():
            continue
        mean = np.array([group.medians[x], group.medians[y]])
        points = ellipse(mean, np.diag([group.sd[x] ** 2, group.sd[y] ** 2]), WIDTH)
        at = free_place(points, taken)
        taken.append(at)
        drawn.append(
            Outline(points, True, f"group {group.letter}", mark=Mark(group.letter, at, "middle"), role="group")
        )
    return drawn

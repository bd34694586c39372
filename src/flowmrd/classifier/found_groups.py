"""The groups of a tube: which are counted as leukaemia, and which are reported and not counted, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.atypical_groups import (
    atypical_groups,
    is_uncommon,
    like_early_progenitors,
    like_normal,
)
from flowmrd.classifier.calibration import Calibration, reaches_gain_limit
from flowmrd.classifier.classification import CountedGroup, UncountedGroup, Why
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_groups import same_population
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import forms_group, match_laip
from flowmrd.classifier.phenotype_score import PhenotypeFit
from flowmrd.classifier.search import Search
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class FoundGroups:
    """What a search gave: groups that are counted, and groups that are not, with the reason."""

    counted: tuple[CountedGroup, ...]
    uncounted: tuple[UncountedGroup, ...] = ()


def find_groups(
    search: Search,
    cells: WindowCells,
    calibration: Calibration,
    *,
    burden: PatientLaip | None = None,
    fits: list[PhenotypeFit] | None = None,
) -> FoundGroups:
    """The patient's phenotype as it lies in the tube; without one, groups that gain clearly more than any control's.

    Parameters
    ----------
    burden
        Leukaemia found in the tube itself, where it is so much that no search is needed.
    fits
        Fits of the patient's phenotype to these cells, where they were made already.
    """
    if search.laip is not None:
        known = match_laip(search.laip, search.parameters, cells) if fits is None else fits
        matched = [fit for fit in known if forms_group(fit, cells, calibration.cut)]
        return FoundGroups(tuple(CountedGroup(fit.mixture, "patient") for fit in matched))
    if burden is not None:
        if not like_normal(burden.mixture, cells):
            return FoundGroups((CountedGroup(burden.mixture, "burden"),))
        return FoundGroups((), (UncountedGroup(burden.mixture, float(burden.n_cells), "like_precursors"),))
    counted, uncounted = _judge(cells, calibration)
    if cells.shrunken is not None:
        uncounted += _displaced(cells.shrunken, calibration, [*counted, *(group for group, _ in uncounted)])
    return FoundGroups(
        tuple(CountedGroup(group.mixture, "different_from_normal") for group in counted),
        tuple(UncountedGroup(group.mixture, group.events, why) for group, why in uncounted),
    )


def find_other_groups(cells: WindowCells, calibration: Calibration, score: Floats) -> tuple[UncountedGroup, ...]:
    """Groups unlike normal that the patient's phenotype does not claim: a leukaemia may have changed.

    Parameters
    ----------
    score
        Shape (n,): score of every cell under what was found.
    """
    rest = cells.only(np.flatnonzero(score < 0.0))
    margin = cells.parameters.other_group_margin
    return tuple(
        UncountedGroup(group.mixture, group.events, "not_the_phenotype")
        for group in atypical_groups(rest, calibration.controls)
        if reaches_gain_limit(group, cells, calibration.groups, margin)
    )


def _judge(cells: WindowCells, calibration: Calibration) -> tuple[list[CompactGroup], list[tuple[CompactGroup, Why]]]:
    """Groups that count; and those that may be regenerating precursors, or that controls show as odd ones as."""
    counted: list[CompactGroup] = []
    precursors: list[tuple[CompactGroup, Why]] = []
    like_controls: list[tuple[CompactGroup, Why]] = []
    for group in cells.compact_groups():
        enough = reaches_gain_limit(group, cells, calibration.groups, one_control=False)
        if not enough or not is_uncommon(group, cells, calibration.controls):
            continue
        normal = like_normal(group.mixture, cells)
        distinct = group.is_distinct(cells.parameters)
        if distinct and reaches_gain_limit(group, cells, calibration.groups):
            if normal or like_early_progenitors(group.mixture, cells):
                precursors.append((group, "like_precursors"))
            else:
                counted.append(group)
        elif not normal:
            like_controls.append((group, "like_controls"))
    return counted, precursors + like_controls


def _displaced(
    cells: WindowCells, calibration: Calibration, known: Sequence[CompactGroup]
) -> list[tuple[CompactGroup, Why]]:
    """Groups that pass for a normal population only if it may lie further from its place than in controls.

    Marrow without leukaemia can hold such populations too, so that they are not counted.
    """
    counted, uncounted = _judge(cells, calibration)
    candidates = [*counted, *(group for group, why in uncounted if why == "like_precursors")]
    return [
        (group, "displaced") for group in candidates if not any(_covers(one, group, cells.parameters) for one in known)
    ]


def _covers(one: CompactGroup, other: CompactGroup, parameters: ClassifierParameters) -> bool:
    """Whether a group is another's, with enough of its cells."""
    same = same_population(one.mixture, other.mixture, parameters)
    return same and one.events >= parameters.covered_share * other.events

"""Deciding which groups of a tube are counted as leukaemia and which are only reported, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flowmrd.classifier.atypical_groups import (
    is_uncommon,
    is_unlike_leukaemia,
    like_early_progenitors,
    like_normal,
)
from flowmrd.classifier.calibration import Calibration, cut_beside, cut_of_groups
from flowmrd.classifier.classification import CountedGroup, UncountedGroup, Why
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_groups import same_population
from flowmrd.classifier.group_evidence import (
    EvidenceOnGroup,
    counts,
    is_doubt,
    lies_without_leukaemia,
    weigh_group,
    weigh_mixture,
)
from flowmrd.classifier.marker_staining import SCATTER
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import forms_group, is_unusual_shift, match_laip, nearer_to, stretched_match
from flowmrd.classifier.phenotype_score import PhenotypeFit, score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, score_mixtures
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.units import LOGICLE_M


@dataclass(frozen=True)
class FoundGroups:
    """Result of a search.

    Attributes
    ----------
    counted, uncounted
        Groups that are counted; groups that are not, with the reason.
    cut
        Natural log score from which a cell of a counted group counts.
    fits
        Matches of the patient's phenotype, counted or not.
    """

    counted: tuple[CountedGroup, ...]
    uncounted: tuple[UncountedGroup, ...]
    cut: float
    fits: tuple[PhenotypeFit, ...] = ()

    @property
    def placed(self) -> PhenotypeFit | None:
        """The counted match with the most cells above the cut: where the phenotype lies in this tube; None without."""
        mixtures = [group.mixture for group in self.counted]
        counted = [fit for fit in self.fits if any(fit.mixture is mixture for mixture in mixtures)]
        return max(counted, key=lambda fit: float((fit.score >= self.cut).sum()), default=None)


@dataclass(frozen=True)
class _Judged:
    """A group, and why it is not counted; ``why`` is None where it is counted."""

    group: CompactGroup
    evidence: EvidenceOnGroup
    why: Why | None

    @property
    def uncounted(self) -> UncountedGroup:
        assert self.why is not None  # noqa: S101
        return UncountedGroup(self.group.mixture, self.group.events, self.why, self.evidence)


def find_groups(
    search: SearchedPhenotypes,
    cells: WindowCells,
    calibration: Calibration,
    *,
    burden: PatientLaip | None = None,
    fits: list[PhenotypeFit] | None = None,
) -> FoundGroups:
    """Find the patient's phenotype in the tube; without one, find groups that are clearly unlike those of controls.

    Parameters
    ----------
    burden
        Leukaemia found in the tube itself, where it is so abundant that no search is needed.
    fits
        Fits of the patient's phenotype to these cells, if already made.
    """
    if search.laip is not None:
        known = match_laip(search.laip, search.parameters, cells) if fits is None else fits
        return _matched(known, cells, calibration)
    if burden is not None:
        evidence = weigh_mixture(burden.mixture, burden.share, cells)
        # 5 % of a clean tube with a much brighter dye were called: they lay where CD34+ myeloid progenitors do
        harmless = lies_without_leukaemia(burden.mixture, burden.share, cells)
        if not harmless and not like_normal(burden.mixture, cells):
            return FoundGroups((CountedGroup(burden.mixture, "burden", evidence),), (), calibration.cut)
        alike = UncountedGroup(burden.mixture, float(burden.n_cells), "like_precursors", evidence)
        return FoundGroups((), (alike,), calibration.cut)
    judged = _judge(cells, calibration)
    if cells.shrunken is not None:
        judged += _displaced(cells.shrunken, calibration, [one.group for one in judged])
    counted = [one for one in judged if one.why is None]
    cut = cut_of_groups([one.group for one in counted], calibration.cut)
    if counted and is_detection_by_normal_cells(counted, cells, calibration.cut, cut):
        judged = [one if one.why is not None else replace(one, why="few_cells") for one in judged]
        counted, cut = [], calibration.cut
    return FoundGroups(
        tuple(CountedGroup(one.group.mixture, "different_from_normal", one.evidence) for one in counted),
        tuple(one.uncounted for one in judged if one.why is not None),
        cut,
    )


def is_detection_by_normal_cells(counted: Sequence[_Judged], cells: WindowCells, lowest: float, cut: float) -> bool:
    """Whether groups are a detection only together with cells that more probably are normal.

    Of so few cells nobody knows which are leukaemic: a clean tube had 27 cells above the lowest cut beside a group of
    ten. And a leukaemia that lies close to normal cells has some of its own below the cut. So they are a question.

    Parameters
    ----------
    lowest, cut
        Natural log scores: below the first no cell of a group counts, below the second it is more probably normal.
    """
    score, _ = score_mixtures(cells, [one.group.mixture for one in counted])
    enough = cells.parameters.detect_events
    return bool((score >= cut).sum() < enough <= (score >= lowest).sum())


def _matched(fits: list[PhenotypeFit], cells: WindowCells, calibration: Calibration) -> FoundGroups:
    """Matches of the patient's phenotype: counted, or a question where it may have been moved onto normal cells.

    A phenotype that moved further than it usually does, into places where no leukaemia lies, was moved onto the normal
    cells of those places: the tube's own normal model need not explain cells that a phenotype claims.
    """
    counted: list[CountedGroup] = []
    uncounted: list[UncountedGroup] = []
    cut = cut_beside(fits, cells, calibration.nearby, cells.parameters)
    for fit in fits:
        evidence = weigh_mixture(fit.mixture, fit.share, cells)
        events = float((fit.score >= cut).sum())
        if forms_group(fit, cells, cut):
            if any(nearer_to(fit, shift, cells) for shift in calibration.alone_shifts):
                uncounted.append(UncountedGroup(fit.mixture, events, "like_one_control", evidence))
            elif is_unusual_shift(fit, cells.parameters) and lies_without_leukaemia(fit.mixture, fit.share, cells):
                # a fifth of mature B cells was called where the phenotype had moved 0.8 decades in CD10 onto them
                uncounted.append(UncountedGroup(fit.mixture, events, "stretched", evidence))
            else:
                counted.append(CountedGroup(fit.mixture, "patient", evidence))
        elif stretched_match(fit, cells, cut):
            uncounted.append(UncountedGroup(fit.mixture, events, "stretched", evidence))
    return FoundGroups(tuple(counted), tuple(uncounted), cut, tuple(fits))


def displaced_match(
    search: SearchedPhenotypes, cells: WindowCells, calibration: Calibration, found: FoundGroups
) -> PhenotypeFit | None:
    """A match of the phenotype on cells that pass for normal only if populations may lie further out than in controls.

    Some hundred leukaemic cells pull a normal population onto themselves, so that they seem half normal. Returns None
    where no population lies so far from its place, or where the counted groups already have most of the cells.
    """
    beside, parameters = cells.shrunken, search.parameters
    if search.laip is None or beside is None:
        return None
    claimed, _ = score_mixtures(cells, [group.mixture for group in found.counted])
    best: tuple[int, PhenotypeFit | None] = (0, None)
    for fit in match_laip(search.laip, parameters, beside):
        cut = cut_beside([fit], beside, calibration.nearby, parameters)
        mine = fit.score >= cut
        left = int((mine & (claimed < found.cut)).sum())
        if (
            left > best[0]
            and left >= max(parameters.group_events_least, parameters.covered_share * mine.sum())
            and forms_group(fit, beside, cut)
            and not any(nearer_to(fit, shift, beside) for shift in calibration.alone_shifts)
        ):
            best = (left, fit)
    return best[1]


def displaced_doubts(
    search: SearchedPhenotypes, cells: WindowCells, calibration: Calibration, found: FoundGroups
) -> tuple[UncountedGroup, ...]:
    """Such a match as a group that is reported and not counted; empty where there is no match."""
    fit = displaced_match(search, cells, calibration, found)
    if fit is None or cells.shrunken is None:
        return ()
    events = float((fit.score >= cut_beside([fit], cells.shrunken, calibration.nearby, search.parameters)).sum())
    return (UncountedGroup(fit.mixture, events, "displaced", weigh_mixture(fit.mixture, fit.share, cells)),)


def matched_beside(found: FoundGroups, cells: WindowCells, calibration: Calibration) -> bool:
    """Whether a match counts after the normal cells were fitted beside it, by an error rate that ignores the phenotype.

    The tube itself chose which cells its normal populations need not explain. So the cells must also form a compact
    group that would count without a diagnosis tube (:func:`stands_beside`).
    """
    score, _ = score_mixtures(cells, [group.mixture for group in found.counted])
    called = score >= found.cut
    if not called.any():
        return False
    for group in cells.compact_groups():
        evidence = weigh_group(group, cells, calibration.groups)
        rate = evidence.false_groups
        if rate is None or rate >= cells.parameters.false_groups_beside or not counts(group, evidence, cells):
            continue
        own = score_cells(group.mixture, cells.values, cells.log_normal, cells.parameters.blast_tail_degrees) > 0.0
        covered = (own & called).sum() >= cells.parameters.covered_share * own.sum()
        if covered and not like_normal(group.mixture, cells) and is_uncommon(group, cells, calibration.controls):
            return True
    return False


def is_looked_at_twice(group: UncountedGroup, parameters: ClassifierParameters) -> bool:
    """Whether the normal cells are fitted again beside a group that is a question.

    A group that stands out only beside a displaced population is looked at again if it is rare enough to count after
    that fit. Marrow without leukaemia holds displaced populations, and their groups are more common
    (``python -m benchmarks.accuracy.groups``).
    """
    rate = group.evidence.false_groups
    if group.why == "displaced":
        return rate is not None and rate < parameters.false_groups_beside
    return group.why == "like_controls" and group.call == "atypical"


def stands_beside(found: FoundGroups, parameters: ClassifierParameters) -> bool:
    """Whether groups count after the normal cells were fitted beside one of them, by a stricter error rate.

    In that fit the tube's own cells decide which of them the normal populations need not explain. A false group gains
    little by this, a leukaemia much.
    """
    rates = [group.evidence.false_groups for group in found.counted]
    return bool(rates) and all(rate is not None and rate < parameters.false_groups_beside for rate in rates)


def find_other_groups(cells: WindowCells, calibration: Calibration, score: Floats) -> tuple[UncountedGroup, ...]:
    """Groups unlike normal cells that the patient's phenotype does not claim, since a leukaemia may have changed.

    A group that controls hold as often is a question only if it is very rare (:func:`is_beyond_controls`). Without a
    diagnosis tube such a group is a question too; here the phenotype was looked for and lies elsewhere.

    Parameters
    ----------
    score
        Shape (n,): score of every cell under the matches of the phenotype.
    """
    rest = cells.only(np.flatnonzero(score < 0.0))
    found: list[UncountedGroup] = []
    for group in rest.compact_groups():
        evidence = weigh_group(group, rest, calibration.groups)
        if evidence.accepted:
            found.append(UncountedGroup(group.mixture, group.events, "named", evidence))
        elif (
            counts(group, evidence, rest)
            and not like_normal(group.mixture, rest)
            and is_uncommon(group, rest, calibration.controls)
            and is_beyond_controls(group, evidence, rest, calibration.controls)
        ):
            found.append(UncountedGroup(group.mixture, group.events, "not_the_phenotype", evidence))
    return tuple(found)


def _judge(cells: WindowCells, calibration: Calibration) -> list[_Judged]:
    """Groups that count, that rule out a negative answer, or that the catalogue names; all others are left out."""
    judged: list[_Judged] = []
    for group in cells.compact_groups():
        evidence = weigh_group(group, cells, calibration.groups)
        if evidence.accepted:
            judged.append(_Judged(group, evidence, "named"))
            continue
        if not is_doubt(group, evidence, cells) or not is_abundant(group, evidence, cells, calibration.controls):
            continue
        normal = like_normal(group.mixture, cells)
        if counts(group, evidence, cells) and stands_out(group, evidence, cells, calibration.controls):
            why: Why | None = None if is_clear(group, cells, calibration.controls) else "like_controls"
            precursor = normal or like_early_progenitors(group.mixture, cells)
            judged.append(_Judged(group, evidence, "like_precursors" if precursor else why))
        elif not normal:
            judged.append(_Judged(group, evidence, "like_controls"))
    return judged


def is_abundant(
    group: CompactGroup, evidence: EvidenceOnGroup, cells: WindowCells, controls: Sequence[WindowCells]
) -> bool:
    """Whether the tube has so many cells in a group's place that the group may count or be a question.

    A group that is hardly rarer than groups of marrow without leukaemia is a question only if the controls hold fewer
    cells in its place than the tube does. Otherwise it is a normal population that this tube's normal model misses.
    """
    parameters = cells.parameters
    rate = evidence.false_groups
    certain = rate is not None and rate < parameters.false_groups_counted
    least = parameters.control_abundance_ratio if certain else parameters.question_abundance_ratio
    return is_uncommon(group, cells, controls, least)


def stands_out(
    group: CompactGroup, evidence: EvidenceOnGroup, cells: WindowCells, controls: Sequence[WindowCells]
) -> bool:
    """Whether a group whose error rate is low enough may count.

    Its cells must not lie at an end of a scale. Where the controls hold as many cells in its place as the tube does, it
    must be as rare as a group beside which the normal cells were fitted: a clean tube of 120 such cells was called.
    """
    return not is_artefact(group, cells) and is_beyond_controls(group, evidence, cells, controls)


def is_clear(group: CompactGroup, cells: WindowCells, controls: Sequence[WindowCells]) -> bool:
    """Whether a group counts without a question, however rare it is in marrow without leukaemia.

    The tube must have more cells in its place than the controls: a clean tube was called by 1,142 cells of a population
    of which the controls had 23 times as many. And each cell must be clearly unlike normal ones: a large group gains
    much although its cells gain little.
    """
    parameters = cells.parameters
    return group.gain_per_event >= parameters.gain_per_event_clear and is_uncommon(
        group, cells, controls, parameters.question_abundance_ratio
    )


def is_beyond_controls(
    group: CompactGroup, evidence: EvidenceOnGroup, cells: WindowCells, controls: Sequence[WindowCells]
) -> bool:
    """Whether a group is very rare in marrow without leukaemia, or has more cells in its place than the controls."""
    parameters = cells.parameters
    rate = evidence.false_groups
    rare = rate is not None and rate < parameters.false_groups_beside
    return rare or is_uncommon(group, cells, controls, parameters.question_abundance_ratio)


def is_artefact(group: CompactGroup, cells: WindowCells) -> bool:
    """Whether a group lies at an end of a fluorescence scale (``end_of_scale``), or where no leukaemia does.

    At the end of a scale the value is what compensation made of a signal that the detector clipped.
    """
    centre = group.mixture.mean[0]
    end = cells.parameters.end_of_scale
    fluorescence = [place for place, name in enumerate(cells.features) if not name.startswith(SCATTER)]
    clipped = any(centre[place] > LOGICLE_M - end or centre[place] < -end for place in fluorescence)
    return clipped or is_unlike_leukaemia(group.mixture, cells)


def _displaced(cells: WindowCells, calibration: Calibration, known: Sequence[CompactGroup]) -> list[_Judged]:
    """Groups that pass for a normal population only if it may lie further from its place than in controls.

    Marrow without leukaemia can hold such populations too, so they are not counted.
    """
    judged: list[_Judged] = []
    for group in cells.compact_groups():
        if any(covers(other, group, cells.parameters) for other in known):
            continue
        evidence = weigh_group(group, cells, calibration.groups)
        if evidence.accepted:
            judged.append(_Judged(group, evidence, "named"))
        elif (
            is_doubt(group, evidence, cells)
            and group.is_distinct(cells.parameters)
            and is_abundant(group, evidence, cells, calibration.controls)
        ):
            judged.append(_Judged(group, evidence, "displaced"))
    return judged


def covers(one: CompactGroup, other: CompactGroup, parameters: ClassifierParameters) -> bool:
    """Whether one group is the same population as another and has enough of its cells."""
    same = same_population(one.mixture, other.mixture, parameters)
    return same and one.events >= parameters.covered_share * other.events

"""Deciding which groups of a tube are counted as leukaemia and which are only reported, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flowmrd.classifier.atypical_groups import (
    is_uncommon,
    like_normal,
)
from flowmrd.classifier.calibration import Calibration, cut_beside
from flowmrd.classifier.classification import CountedGroup, UncountedGroup, Why
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_groups import same_population
from flowmrd.classifier.group_evidence import (
    counts,
    is_doubt,
    lies_without_leukaemia,
    weigh_group,
    weigh_mixture,
)
from flowmrd.classifier.group_judgement import (
    GroupVerdict,
    is_abundant,
    is_beyond_controls,
    judge_groups,
    settle_counted,
)
from flowmrd.classifier.match_judgement import judge_matches
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import forms_group, match_laip, nearer_to
from flowmrd.classifier.phenotype_score import PhenotypeFit, score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, score_mixtures
from flowmrd.classifier.window_cells import WindowCells


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
    judged = judge_groups(cells.compact_groups(), cells, calibration.groups, calibration.controls)
    if cells.shrunken is not None:
        judged += _displaced(cells.shrunken, calibration, [one.group for one in judged])
    counted, uncounted, cut = settle_counted(judged, cells, calibration.cut)
    return FoundGroups(
        tuple(CountedGroup(one.group.mixture, "different_from_normal", one.evidence) for one in counted),
        tuple(one.uncounted for one in uncounted),
        cut,
    )


def _matched(fits: list[PhenotypeFit], cells: WindowCells, calibration: Calibration) -> FoundGroups:
    """Matches of the patient's phenotype: counted, or a question where it may have been moved onto normal cells."""
    cut = cut_beside(fits, cells, calibration.nearby, cells.parameters)
    judged = judge_matches(fits, cells, cut, calibration.alone_shifts)
    return FoundGroups(
        tuple(CountedGroup(one.fit.mixture, "patient", one.evidence) for one in judged if one.why is None),
        tuple(one.uncounted for one in judged if one.why is not None),
        cut,
        tuple(fits),
    )


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


def only_beyond_doubt(found: FoundGroups, cells: WindowCells) -> FoundGroups:
    """The counted groups that count by the rate of a second look; the others are questions."""

    def is_doubtful(group: CountedGroup, _: int) -> bool:
        rate = group.evidence.false_groups
        return rate is None or rate >= cells.parameters.false_groups_beside

    return with_questions(found, cells, "displaced", is_doubtful)


def with_questions(
    found: FoundGroups, cells: WindowCells, why: Why, is_question: Callable[[CountedGroup, int], bool]
) -> FoundGroups:
    """The groups, where counted ones are questions.

    Parameters
    ----------
    is_question
        Decides by a group and the number of its cells above the cut.
    """
    counted: list[CountedGroup] = []
    asked: list[UncountedGroup] = []
    score, label = score_mixtures(cells, [group.mixture for group in found.counted])
    for number, group in enumerate(found.counted):
        events = int(np.count_nonzero((score >= found.cut) & (label == number)))
        if is_question(group, events):
            asked.append(UncountedGroup(group.mixture, float(events), why, group.evidence))
        else:
            counted.append(group)
    return replace(found, counted=tuple(counted), uncounted=(*found.uncounted, *asked))


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


def _displaced(cells: WindowCells, calibration: Calibration, known: Sequence[CompactGroup]) -> list[GroupVerdict]:
    """Groups that pass for a normal population only if it may lie further from its place than in controls.

    Marrow without leukaemia can hold such populations too, so they are not counted.
    """
    judged: list[GroupVerdict] = []
    for group in cells.compact_groups():
        if any(covers(other, group, cells.parameters) for other in known):
            continue
        evidence = weigh_group(group, cells, calibration.groups)
        if evidence.accepted:
            judged.append(GroupVerdict(group, evidence, "named"))
        elif (
            is_doubt(group, evidence, cells)
            and group.is_distinct(cells.parameters)
            and is_abundant(group, evidence, cells, calibration.controls)
        ):
            judged.append(GroupVerdict(group, evidence, "displaced"))
    return judged


def covers(one: CompactGroup, other: CompactGroup, parameters: ClassifierParameters) -> bool:
    """Whether one group is the same population as another and has enough of its cells."""
    same = same_population(one.mixture, other.mixture, parameters)
    return same and one.events >= parameters.covered_share * other.events

"""Whether a group counts, is a question or neither, and which of its cells count.

The same rules judge a tube beside its controls and a control beside the other ones. So the background is what a tube
without leukaemia would count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from flowmrd.classifier.atypical_groups import is_uncommon, is_unlike_leukaemia, like_early_progenitors, like_normal
from flowmrd.classifier.classification import UncountedGroup, Why
from flowmrd.classifier.compact_groups import CompactGroup, even_score
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.group_evidence import EvidenceOnGroup, counts, is_doubt, weigh_group
from flowmrd.classifier.marker_staining import SCATTER
from flowmrd.classifier.searched_phenotypes import score_mixtures
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.units import LOGICLE_M


@dataclass(frozen=True)
class GroupVerdict:
    """A group, and why it is not counted; ``why`` is None where it is counted."""

    group: CompactGroup
    evidence: EvidenceOnGroup
    why: Why | None

    @property
    def uncounted(self) -> UncountedGroup:
        """The group in the result of a search; only for one that is not counted."""
        assert self.why is not None  # noqa: S101
        return UncountedGroup(self.group.mixture, self.group.events, self.why, self.evidence)


def judge_groups(
    found: Iterable[CompactGroup], cells: WindowCells, groups: ControlGroups, controls: Sequence[WindowCells]
) -> list[GroupVerdict]:
    """Groups that count, that rule out a negative answer, or that the catalogue names; all others are left out.

    Parameters
    ----------
    found
        Groups of the tube.
    groups
        Groups of the controls.
    controls
        The controls, with all cells of their windows.
    """
    judged: list[GroupVerdict] = []
    for group in found:
        evidence = weigh_group(group, cells, groups)
        if evidence.accepted:
            judged.append(GroupVerdict(group, evidence, "named"))
            continue
        if not is_doubt(group, evidence, cells) or not is_abundant(group, evidence, cells, controls):
            continue
        normal = like_normal(group.mixture, cells)
        if counts(group, evidence, cells) and stands_out(group, evidence, cells, controls):
            why: Why | None = None if is_clear(group, cells, controls) else "like_controls"
            precursor = normal or like_early_progenitors(group.mixture, cells)
            judged.append(GroupVerdict(group, evidence, "like_precursors" if precursor else why))
        elif not normal:
            beyond = counts(group, evidence, cells) and is_artefact(group, cells)
            judged.append(GroupVerdict(group, evidence, "beyond_leukaemia" if beyond else "like_controls"))
    return judged


def settle_counted(
    judged: list[GroupVerdict], cells: WindowCells, lowest: float
) -> tuple[list[GroupVerdict], list[GroupVerdict], float]:
    """Groups that count, groups that do not, and the natural log score from which a cell of the former counts.

    Parameters
    ----------
    lowest
        Natural log score below which no cell counts.
    """
    counted = [one for one in judged if one.why is None]
    uncounted = [one for one in judged if one.why is not None]
    cut = cut_of_groups([one.group for one in counted], lowest)
    if counted and is_detection_by_normal_cells(counted, cells, lowest, cut):
        return [], [one if one.why is not None else replace(one, why="few_cells") for one in judged], lowest
    return counted, uncounted, cut


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


def cut_of_groups(groups: Sequence[CompactGroup], lowest: float) -> float:
    """The cut for groups of unknown phenotype: the score from which a cell belongs to one more probably than not.

    A small group needs a higher score, because normal cells outnumber its own by more. With one cut for all, 27 cells
    of a clean tube lay above it beside a group of ten, and 280 beside a leukaemia of 45 (seed 8101). Of several groups
    the largest decides.

    Parameters
    ----------
    groups
        The groups that count.
    lowest
        Natural log score below which no cell counts.
    """
    return max(lowest, min((even_score(group.share) for group in groups), default=lowest))


def is_detection_by_normal_cells(
    counted: Sequence[GroupVerdict], cells: WindowCells, lowest: float, cut: float
) -> bool:
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

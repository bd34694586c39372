"""Which cells belong to a group that was found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_cells import CLEAN, PARAMETERS, cells_of

from flowmrd.classifier import found_groups, group_judgement
from flowmrd.classifier.classification import UncountedGroup
from flowmrd.classifier.compact_groups import CompactGroup, even_score
from flowmrd.classifier.found_groups import (
    find_groups,
)
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.group_judgement import (
    GroupVerdict,
    cut_of_groups,
)
from flowmrd.classifier.group_members import find_members
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.phenotype_score import score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes


def test_a_small_group_takes_only_cells_that_are_more_probably_its_own_than_normal(reference: ReferenceModel) -> None:
    """A cell counts from the score at which its group, at its share of the tube, is as likely as a normal cell."""
    place = Mixture(np.ones(1), np.zeros((1, 5)), np.eye(5)[None])
    few, many = (CompactGroup(place, events / 450_000, 200.0, events) for events in (10.0, 450.0))
    lowest = PARAMETERS.group_cut
    assert cut_of_groups([], lowest) == lowest
    assert cut_of_groups([few], lowest) == pytest.approx(np.log(45_000))
    assert cut_of_groups([few, many], lowest) == pytest.approx(np.log(1_000)), "the largest decides"
    assert cut_of_groups([CompactGroup(place, 0.1, 9e4, 45_000.0)], lowest) == lowest


@pytest.mark.parametrize(("beside", "own", "asked"), [(30, 10, True), (30, 40, False), (5, 10, False)])
def test_a_group_that_is_a_detection_only_with_cells_more_probably_normal_is_a_question(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, beside: int, own: int, asked: bool
) -> None:
    cells, _ = cells_of(reference, 74, 0)
    score = np.r_[np.full(own, 12.0), np.full(beside, 6.0), np.full(500, 1.0)]
    monkeypatch.setattr(group_judgement, "score_mixtures", lambda *_: (score, np.zeros(len(score), dtype=np.int32)))
    group = CompactGroup(Mixture(np.ones(1), np.zeros((1, 5)), np.eye(5)[None]), own / 450_000, 200.0, float(own))
    judged = GroupVerdict(group, EvidenceOnGroup(0.5, None, 0.001, 200.0), None)
    monkeypatch.setattr(found_groups, "judge_groups", lambda *_: [judged])
    search = SearchedPhenotypes(None, Library(()), PARAMETERS)
    found = find_groups(search, replace(cells, log_normal_shrunken=None), CLEAN)
    assert [one.why for one in found.uncounted] == (["few_cells"] if asked else [])
    assert len(found.counted) == (not asked)


def test_cells_of_a_group_that_is_a_question_are_those_more_probably_its_own(reference: ReferenceModel) -> None:
    """What would count if a reviewer called it leukaemia: the same cells as of a group that counts."""
    cells, truth = cells_of(reference, 70, 30)
    group = max(cells.compact_groups(), key=lambda found: found.log_likelihood_gain)
    none = np.full(len(cells.values), -1, dtype=np.int32)
    asked = UncountedGroup(group.mixture, group.events, "like_controls", EvidenceOnGroup(0.5, None, 0.05, 500.0))
    members = find_members(cells, none, None, None, [asked], 0).window == 0
    score = score_cells(group.mixture, cells.values, cells.log_normal, PARAMETERS.blast_tail_degrees)
    least = max(PARAMETERS.group_cut, even_score(group.events / cells.denominator))
    np.testing.assert_array_equal(members, score >= least)
    assert members[truth].mean() > 0.8

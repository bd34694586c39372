"""A reviewer's call of a group decides whether its cells count, and the verdict says whose call it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowmrd.flags import flag
from flowmrd.mrd.calls import (
    GroupCall,
    ReviewerCalls,
    called_groups,
    flags_of_calls,
    mrd_with_calls,
    questions_left,
)
from flowmrd.mrd.groups import groups_of
from flowmrd.records.classification import ClassificationFile, TubeJudgement
from report_factory import classification_record

GROUP = np.array([0, 0, 1, 1, 1, 2, -1, -1], dtype=np.int32)
MRD = GROUP == 0
ADA, BEN = "Dr Ada", "Dr Ben"


def entry(number: int, events: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "events": events, "nearest_normal": "haematogones_2", "markers": [], "medians": {"CD10": 0.5},
        "evidence": None, **more,
    }  # fmt: skip


def classification(mode: str = "patient") -> TubeJudgement:
    record = classification_record(
        "S",
        mode=mode,
        clusters=[entry(0, 60)],
        uncounted=[
            entry(1, 40, why="not_the_phenotype", call="atypical", sd={"CD10": 0.02}),
            entry(2, 12, why="displaced", call="atypical", sd={"CD10": 0.02}),
        ],
        offscale=[{"detector": "CD34", "events": 5, "joined": 0, "call": "artefact:off_scale_CD34"}],
    )
    return ClassificationFile.model_validate(record)


def codes(calls: ReviewerCalls, *, events: int, mode: str = "patient") -> list[str]:
    facts = classification(mode)
    groups = called_groups(groups_of(facts), calls, {one.group: 40 for one in calls.calls})
    return [item.code for item in flags_of_calls(groups, calls, facts, events, 20)]


def test_cells_called_leukaemia_count_and_cells_called_normal_do_not() -> None:
    calls = ReviewerCalls((GroupCall(0, "normal:mature_b", ADA), GroupCall(1, "counted", ADA)))
    assert mrd_with_calls(MRD, GROUP, calls).tolist() == (GROUP == 1).tolist()
    assert mrd_with_calls(MRD, GROUP, ReviewerCalls()).tolist() == MRD.tolist()


def test_groups_keep_their_places_whatever_they_are_called() -> None:
    calls = ReviewerCalls((GroupCall(2, "counted", ADA),))
    before = groups_of(classification())
    after = called_groups(before, calls, {2: 500})
    assert [group.cluster for group in after] == [group.cluster for group in before] == [0, 1, 2, None]
    assert [(group.call, group.called_by, group.reviewer, group.events) for group in after][2] == (
        "counted", "reviewer", ADA, 500,
    )  # fmt: skip
    assert after[0] == before[0]


def test_the_question_goes_when_no_group_is_left_that_asks_it() -> None:
    raised = [flag("UNRESOLVED_CLUSTER", events=40, what="x"), flag("NO_LAIP", least=50)]
    one = ReviewerCalls((GroupCall(1, "artefact:doublets_b_t", ADA),))
    both = ReviewerCalls((*one.calls, GroupCall(2, "normal:plasma_cells", ADA)))
    left = questions_left(raised, classification(), one)
    assert [item.code for item in left] == ["NO_LAIP", "UNRESOLVED_CLUSTER"]
    assert "12 cells" in left[-1].message
    assert [item.code for item in questions_left(raised, classification(), both)] == ["NO_LAIP"]
    assert questions_left(raised, classification(), ReviewerCalls()) == raised


def test_cells_that_rest_on_a_shifted_marker_are_no_question_once_a_reviewer_has_called_their_groups() -> None:
    raised = [flag("COUNTED_BY_SHIFTED_STAINING", events=60, markers="CD45")]
    other, counted = ReviewerCalls((GroupCall(1, "counted", ADA),)), ReviewerCalls((GroupCall(0, "counted", ADA),))
    assert "COUNTED_BY_SHIFTED_STAINING" in {item.code for item in questions_left(raised, classification(), other)}
    assert "COUNTED_BY_SHIFTED_STAINING" not in {
        item.code for item in questions_left(raised, classification(), counted)
    }


def test_fewer_cells_than_a_detection_asks_are_no_negative_answer_once_a_reviewer_calls_them_leukaemia() -> None:
    few = ReviewerCalls((GroupCall(2, "counted", ADA),))
    assert "CALLED_CELLS_TOO_FEW" in codes(few, events=12)
    assert "CALLED_CELLS_TOO_FEW" not in codes(few, events=72)


@pytest.mark.parametrize(("mode", "told"), [("patient", True), ("different_from_normal", False)])
def test_overruling_the_patients_own_phenotype_takes_the_spike_in_its_meaning(mode: str, told: bool) -> None:
    calls = ReviewerCalls((GroupCall(0, "artefact:dying_cells", ADA),))
    assert ("PHENOTYPE_OVERRULED" in codes(calls, events=0, mode=mode)) is told


def test_the_verdict_names_every_reviewer_and_what_they_called() -> None:
    calls = ReviewerCalls((GroupCall(1, "counted", ADA), GroupCall(2, "normal:plasma_cells", BEN)))
    groups = called_groups(groups_of(classification()), calls, {1: 40, 2: 12})
    said = [item.message for item in flags_of_calls(groups, calls, classification(), 100, 20)]
    assert said == [
        "Counted by reviewer Dr Ada: group 2 (40 cells) is leukaemia.",
        "Counted by reviewer Dr Ben: group 3 (12 cells) is normal (plasma cells).",
    ]


def test_the_same_calls_have_the_same_digest_and_others_another() -> None:
    one = ReviewerCalls((GroupCall(1, "counted", ADA),), automatic_sha256="a" * 64)
    assert one.sha256 == ReviewerCalls((GroupCall(1, "counted", ADA),)).sha256
    assert one.sha256 != ReviewerCalls((GroupCall(1, "counted", BEN),)).sha256
    assert ReviewerCalls().sha256 is None

"""Cells that came at the start of the run only were left in the line by the tube before."""

from __future__ import annotations

import numpy as np
import pytest

from flowmrd.classifier.carry_over import CARRY_OVER, came_first, early_events, name_carry_over, not_counted
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.records.classification import BackgroundEntry, ClassificationFile, TubeJudgement
from report_factory import classification_record

PARAMETERS = ClassifierParameters()
N = 400_000
CLOCK = np.linspace(0.0, 600.0, N, dtype=np.float32)
EARLY = np.arange(N) < PARAMETERS.carry_over_start * N
RNG = np.random.default_rng(5)


def rows(early: int, even: int) -> np.ndarray:
    """Rows of cells in the first percent of the run, and of cells that come evenly over the rest of it."""
    first = RNG.choice(N // 100, size=early, replace=False)
    return np.sort(np.concatenate([first, np.linspace(N // 10, N - 1, even).astype(int)]))


@pytest.mark.parametrize(
    ("early", "even", "expected"),
    [(60, 0, True), (60, 8, True), (60, 12, False), (400, 60, False), (6, 0, False), (0, 60, False)],
)
def test_leukaemia_beside_what_was_carried_over_is_never_hidden_by_it(early: int, even: int, expected: bool) -> None:
    assert came_first(rows(early, even), EARLY, PARAMETERS) is expected


def test_in_a_run_in_order_row_and_clock_agree_on_what_came_early() -> None:
    found = early_events(CLOCK, PARAMETERS)
    assert found is not None
    np.testing.assert_array_equal(found, EARLY)


def test_cells_that_come_evenly_are_not_carried_over_by_chance() -> None:
    for size in (8, 20, 60, 300):
        for _ in range(200):
            assert not came_first(RNG.choice(N, size=size, replace=False), EARLY, PARAMETERS)


def facts() -> TubeJudgement:
    question = {"code": "UNRESOLVED_CLUSTER", "message": "A compact group of 100 cells is odd; it is not counted."}
    place = {"nearest_normal": "mature_b", "markers": [], "medians": {}}
    record = classification_record(
        "S",
        clusters=[{"id": 0, "events": 60, **place}],
        uncounted=[
            {"id": 1, "why": "like_controls", "call": "atypical", "events": 60, "sd": {}, **place},
            {"id": 2, "why": "displaced", "call": "atypical", "events": 40, "sd": {}, **place},
        ],
        flags=[question],
    )
    return ClassificationFile.model_validate(record)


def groups(**where: np.ndarray) -> np.ndarray:
    group = np.full(N, -1, dtype=np.int32)
    for name, places in where.items():
        group[places] = int(name.removeprefix("g"))
    return group


def test_a_group_that_is_not_counted_gets_the_name_and_asks_no_more() -> None:
    found = name_carry_over(facts(), groups(g0=rows(0, 60), g1=rows(60, 0), g2=rows(0, 40)), CLOCK, PARAMETERS)
    assert [one.call for one in found.uncounted] == [CARRY_OVER, "atypical"]
    codes = {item.code: item.message for item in found.flags}
    assert set(codes) == {"UNRESOLVED_CLUSTER", "CAME_FIRST"}
    assert "40 cells" in codes["UNRESOLVED_CLUSTER"]


def test_a_counted_group_stays_counted_and_becomes_a_question() -> None:
    found = name_carry_over(facts(), groups(g0=rows(60, 0), g1=rows(0, 60), g2=rows(0, 40)), CLOCK, PARAMETERS)
    assert [one.call for one in found.uncounted] == ["atypical", "atypical"]
    assert found.clusters[0].came_first
    assert [item.code for item in found.flags] == ["UNRESOLVED_CLUSTER", "COUNTED_CAME_FIRST"]


@pytest.mark.parametrize(("steady", "background", "counted"), [(60, 0.0, False), (18, 0.0, True), (60, 60.0, True)])
def test_carried_over_cells_are_no_question_where_the_other_counted_cells_are_a_detection(
    steady: int, background: float, counted: bool
) -> None:
    tube = facts()
    other = tube.clusters[0].model_copy(update={"id": 3, "events": steady})
    tube = tube.model_copy(update={"clusters": (*tube.clusters, other), "background": shown(background)})
    where = groups(g0=rows(60, 0), g3=rows(0, steady))
    found = name_carry_over(tube, where, CLOCK, PARAMETERS)
    assert [one.id for one in found.clusters] == ([0, 3] if counted else [3])
    assert ("COUNTED_CAME_FIRST" in {item.code for item in found.flags}) is counted
    assert not_counted(found, where, EARLY).sum() == (0 if counted else 60)


def shown(events: float) -> BackgroundEntry:
    """A background of at most so many events in the tube."""
    return BackgroundEntry(per_million=0.0, ci95=(0.0, events * 1e6 / N), worst_per_million=0.0, n_controls=7)


@pytest.mark.parametrize(
    ("early", "even", "left", "code"),
    [
        (200, 40, 200, "PART_CAME_FIRST"),
        (200, 15, 0, "COUNTED_CAME_FIRST"),
        (20, 400, 0, ""),
        (9, 40, 0, ""),
    ],
)
def test_of_a_group_that_holds_the_samples_own_cells_too_only_those_that_came_first_are_left_out(
    early: int, even: int, left: int, code: str
) -> None:
    where = groups(g0=rows(early, even))
    found = name_carry_over(facts(), where, CLOCK, PARAMETERS)
    assert [one.id for one in found.clusters] == [0], "what came later stays counted"
    assert not_counted(found, where, EARLY).sum() == left
    assert found.clusters[0].came_first is (code == "COUNTED_CAME_FIRST")
    assert {item.code for item in found.flags} - {"UNRESOLVED_CLUSTER"} == ({code} if code else set())


def test_without_a_group_at_the_start_of_the_run_nothing_changes() -> None:
    found = name_carry_over(facts(), groups(g0=rows(0, 60), g1=rows(0, 60), g2=rows(0, 40)), CLOCK, PARAMETERS)
    assert found == facts()


@pytest.mark.parametrize(
    "clock",
    [
        None,
        np.zeros(N, dtype=np.float32),
        np.concatenate([np.linspace(0.0, 600.0, N // 50), np.linspace(0.0, 600.0, N - N // 50)]),
        CLOCK[::-1],
    ],
    ids=["no clock", "a clock that stands still", "two files put together", "sorted backwards"],
)
def test_a_file_that_is_not_in_the_order_of_acquisition_hides_no_leukaemia(clock: np.ndarray | None) -> None:
    found = name_carry_over(facts(), groups(g0=rows(60, 0), g1=rows(60, 0), g2=rows(0, 40)), clock, PARAMETERS)
    assert found == facts()

"""Whether the B lineage of a tube is told from other cells: what is counted, and which stages are assessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flowmrd.config.run import RunConfig
from flowmrd.gating.b_lineage import assess_b_lineage, assess_stages, is_present, other_cells_in
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.gating.populations import code_table
from flowmrd.gating.reference import GateReference
from flowmrd.panel import PanelModel
from flowmrd.records.gates import StageEntry
from flowmrd.simulate.populations import AFTER_ANTI_B, Code

B_CELLS = (Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B)
TREATED = AFTER_ANTI_B.scaled({Code.MATURE_B: 10.0, Code.HAEMATOGONE_2: 25.0})
"""Marrow after therapy with 0.1 % B cells, half of them precursors."""


def stage(name: str, count: int, most: float) -> StageEntry:
    state = "present" if is_present(count, most) else "too_few"
    return StageEntry.model_validate(
        {"population": name, "count": count, "expected_others": most / 2, "others_at_most": most, "state": state}
    )


@pytest.mark.parametrize(
    ("count", "most", "present"), [(0, 0.0, False), (4, 5.0, False), (9, 5.0, False), (12, 5.0, True)]
)
def test_a_stage_is_present_only_where_other_cells_hardly_ever_give_as_many(
    count: int, most: float, present: bool
) -> None:
    assert is_present(count, most) is present


def test_a_tube_in_which_no_stage_is_more_than_other_cells_says_aplasia() -> None:
    told = assess_b_lineage(22, 120_000, [stage("haematogones_1", 2, 15.0), stage("mature_b", 5, 3.1)])
    assert told.verdict == "too_few"
    assert told.statement.startswith("B-cell aplasia, or too few B cells to assess: 22 of 120,000 nucleated cells")


def test_stages_that_other_cells_explain_are_named_beside_those_that_are_present() -> None:
    told = assess_b_lineage(60, 120_000, [stage("haematogones_1", 2, 15.0), stage("mature_b", 50, 3.1)])
    assert (told.verdict, [one.state for one in told.stages]) == ("assessed", ["too_few", "present"])
    assert "1 of 2 normal B stages are too few" in told.statement


def test_few_nucleated_cells_or_no_gate_tell_nothing_about_the_b_lineage() -> None:
    assert assess_b_lineage(500, 9_999, []).verdict == "not_evaluable"
    assert assess_b_lineage(None, 300_000, []).verdict == "not_evaluable"


@pytest.mark.parametrize("seed", [21, 22])
def test_four_of_five_cells_of_the_b_lineage_are_b_cells_in_treated_marrow_with_one_in_a_thousand(
    seed: int, tube: Callable[..., Any], ino10: PanelModel, reference: GateReference, config: RunConfig
) -> None:
    made = tube(seed, nucleated=120_000, composition=TREATED)
    result = gate_columns(made.columns, ino10, made.usable, config.gating, reference=reference).result
    counted = result.inside("b_lineage") & made.usable
    b_cells = np.isin(made.truth["population"], B_CELLS) & ~made.truth["doublet"]
    assert np.count_nonzero(counted & b_cells) >= 0.8 * np.count_nonzero(counted)
    assert np.count_nonzero(counted & b_cells) >= 0.9 * np.count_nonzero(b_cells & made.usable)


def test_in_marrow_without_b_cells_no_stage_is_assessed_and_in_a_control_all_are(
    tube: Callable[..., Any], marrow: Any, ino10: PanelModel, reference: GateReference, config: RunConfig
) -> None:
    states = {}
    for name, made in (("treated", tube(23, nucleated=60_000, composition=AFTER_ANTI_B)), ("control", marrow)):
        result = gate_columns(made.columns, ino10, made.usable, config.gating, reference=reference).result
        states[name] = {one.state for one in assess_stages(result, ino10, made.usable, reference)}
    assert states == {"treated": {"too_few"}, "control": {"present"}}


def test_other_cells_in_the_place_of_a_stage_are_not_underestimated(
    tube: Callable[..., Any], ino10: PanelModel, reference: GateReference, config: RunConfig
) -> None:
    made = tube(24, nucleated=120_000, composition=AFTER_ANTI_B)
    result = gate_columns(made.columns, ino10, made.usable, config.gating, reference=reference).result
    b_cells = np.isin(made.truth["population"], B_CELLS)
    for name in ino10.maturation_gates:
        others = other_cells_in(name, result, ino10, made.usable)
        assert others is not None
        true = np.count_nonzero(result.inside(name) & made.usable & ~b_cells)
        assert true <= others.at_most, name


def test_leukaemia_is_searched_for_in_all_cells_that_one_marker_lets_in(
    tube: Callable[..., Any], ino10: PanelModel, reference: GateReference, config: RunConfig
) -> None:
    made = tube(25, nucleated=20_000, composition=AFTER_ANTI_B)
    result = gate_columns(made.columns, ino10, made.usable, config.gating, reference=reference).result
    routes = np.logical_or.reduce([result.inside(gate.name) for gate in ino10.gates if gate.route])
    assert np.array_equal(result.inside("possible_b_lineage"), routes)
    assert not np.any(result.inside("b_lineage") & ~result.inside("possible_b_lineage"))
    assert code_table(ino10.gates)["possible_b_lineage"] == 14

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from flowmrd.config.run import GatingConfig
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.gating.panel_scale import PanelScale
from flowmrd.gating.populations import CODES, assign, code_table, population_table, route_bits, route_names
from flowmrd.gating.reference import GateReference, anchored_shifts, freeze, moved_panel_scale
from flowmrd.gating.shapes import Rectangle
from flowmrd.gating.tree import evaluate_tree
from flowmrd.panel.gates import Gate
from flowmrd.simulate.leukaemia import Cd19, Cd22, Therapy
from flowmrd.simulate.populations import AFTER_ANTI_B, REGENERATING, Code

CUT = {"method": "cut", "side": "above", "estimator": "valley", "bounds": [0.3, 0.6], "fallback": 0.45}


def gates(*items: Any) -> Any:
    return tuple(TypeAdapter(Gate).validate_python(item) for item in items)


def two_populations(n: Any = 4000, share: Any = 0.3, seed: Any = 0) -> Any:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    x = np.where(positive, rng.normal(0.7, 0.05, n), rng.normal(0.2, 0.05, n)).astype(np.float32)
    return {"x": x, "y": rng.random(n).astype(np.float32)}, positive


def test_an_event_is_inside_a_gate_only_if_it_is_inside_all_ancestors() -> None:
    columns, positive = two_populations()
    result = evaluate_tree(
        columns,
        gates(
            {"name": "low", "parent": "root", "method": "rectangle", "ranges": {"y": [None, 0.5]}},
            {"name": "pos", "parent": "low", "channel": "x", **CUT},
            {"name": "neg", "parent": "low", "method": "boolean", "none_of": ["pos"]},
        ),
    )
    low = columns["y"] < 0.5
    assert np.array_equal(result.inside("pos"), positive & low)
    assert np.array_equal(result.inside("neg"), ~positive & low)
    assert result.bits.dtype == np.uint64
    assert np.array_equal(result.bits & 1, low.astype(np.uint64))


def test_estimates_rest_on_usable_events_but_apply_to_all() -> None:
    columns, positive = two_populations()
    spoilt = {name: values.copy() for name, values in columns.items()}
    unusable = np.zeros(len(positive), dtype=bool)
    unusable[:500] = True
    spoilt["x"][:500] = np.random.default_rng(1).uniform(0.25, 0.65, 500)
    tree = gates({"name": "pos", "parent": "root", "channel": "x", **CUT})
    result = evaluate_tree(spoilt, tree, usable=~unusable)
    clean = evaluate_tree({name: values[500:] for name, values in columns.items()}, tree)
    assert result.placements[0].parameters["threshold"] == pytest.approx(
        clean.placements[0].parameters["threshold"], abs=2e-3
    )
    assert result.inside("pos")[:500].any()


@pytest.mark.parametrize("estimator", ["valley", "edge", "mixture"])
def test_fifty_parent_events_are_a_state_with_a_named_fallback(estimator: Any) -> None:
    columns, _ = two_populations(n=50)
    result = evaluate_tree(
        columns, gates({"name": "pos", "parent": "root", "channel": "x", **CUT, "estimator": estimator})
    )
    placement = result.placements[0]
    assert (placement.state, placement.source) == ("insufficient_parent", "fallback")
    assert placement.parameters["threshold"] == pytest.approx(0.45, abs=5e-4)
    assert "50 events" in placement.why


def test_a_missing_channel_makes_a_gate_and_its_children_unavailable_and_others_go_on() -> None:
    columns, _ = two_populations()
    result = evaluate_tree(
        columns,
        gates(
            {"name": "z_pos", "parent": "root", "channel": "z", **CUT},
            {"name": "child", "parent": "z_pos", "channel": "x", **CUT},
            {"name": "x_pos", "parent": "root", "channel": "x", **CUT},
            {"name": "either", "parent": "root", "method": "boolean", "any_of": ["z_pos", "x_pos"]},
            {"name": "both", "parent": "root", "method": "boolean", "all_of": ["z_pos", "x_pos"]},
            {"name": "not_z", "parent": "root", "method": "boolean", "none_of": ["z_pos"]},
            {"name": "but_z", "parent": "x_pos", "method": "boolean", "all_of": ["x_pos"], "unless": ["z_pos"]},
        ),
    )
    states = {placement.name: placement.state for placement in result.placements}
    assert states == {
        "z_pos": "unavailable",
        "child": "unavailable",
        "x_pos": "ok",
        "either": "ok",
        "both": "unavailable",
        "not_z": "unavailable",
        "but_z": "ok",
    }
    assert np.array_equal(result.inside("but_z"), result.inside("x_pos"))
    assert np.array_equal(result.inside("either"), result.inside("x_pos"))
    assert not result.inside("both").any()
    assert "no z" in result.placement("z_pos").why


def test_the_last_population_of_the_file_names_an_event(marrow: Any, ino10: Any) -> None:
    result = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result
    codes = assign(result, ino10.gates)
    assert code_table(ino10.gates)["mature_b"] == CODES["mature_b"]
    assert (codes[result.inside("mature_b") & ~result.inside("plasma_cells")] == CODES["mature_b"]).all()
    assert (codes[~result.inside("nucleated")] == 0).all()


def test_every_event_of_the_window_keeps_at_least_one_route_and_no_other_event_has_one(marrow: Any, ino10: Any) -> None:
    result = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result
    bits = route_bits(result, ino10.gates)
    assert set(route_names(ino10.gates)) >= {"route_cd19", "route_cd22", "route_cd24", "route_precursor"}
    assert np.array_equal(bits > 0, result.inside("possible_b_lineage"))


@pytest.mark.parametrize(
    ("code", "gate", "least"),
    [
        (Code.T_NK, "t_nk", 0.8),
        (Code.NEUTROPHIL, "granulocytes", 0.99),
        (Code.MONOCYTE, "monocytes", 0.7),
        (Code.ERYTHROBLAST, "erythroblasts", 0.7),
        (Code.MATURE_B, "mature_b", 0.95),
        (Code.PLASMA_CELL, "plasma_cells", 0.9),
    ],
)
def test_simulated_populations_are_found_in_their_gates(
    marrow: Any, ino10: Any, code: Any, gate: Any, least: Any
) -> None:
    result = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result
    cells = (marrow.truth["population"] == code) & ~marrow.truth["doublet"] & marrow.truth["nucleated"]
    assert result.inside(gate)[cells].mean() >= least


def test_nucleated_cells_are_counted_within_two_per_cent_without_a_dye(marrow: Any, ino10: Any) -> None:
    result = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result
    truth = np.count_nonzero(marrow.truth["nucleated"] & ~marrow.truth["doublet"])
    assert np.count_nonzero(result.inside("nucleated") & marrow.usable) == pytest.approx(truth, rel=0.02)


@pytest.mark.parametrize(
    "therapy",
    [
        Therapy(cd19=Cd19.LOST, steroid=1.0),
        Therapy(cd22=Cd22.MASKED, steroid=1.0),
        Therapy(cd19=Cd19.PARTIAL, cd22=Cd22.DIM, steroid=1.0),
    ],
    ids=["cd19-lost", "cd22-masked", "both-dim"],
)
def test_blasts_stay_in_the_window_of_the_search_when_targets_are_lost_and_normal_b_cells_are_gone(
    tube: Any, ino10: Any, reference: Any, therapy: Any
) -> None:
    from flowmrd.simulate.design import leukaemia_of

    made = tube(77, composition=AFTER_ANTI_B, leukaemia=leukaemia_of(11, "P2"), level=0.05, therapy=therapy)
    result = gate_columns(made.columns, ino10, made.usable, GatingConfig(), reference=reference).result
    blasts = made.truth["mrd"] & made.usable
    assert blasts.sum() > 500
    assert result.inside("possible_b_lineage")[blasts].mean() >= 0.999


def test_without_any_b_cell_the_reference_still_places_every_gate(tube: Any, ino10: Any, reference: Any) -> None:
    made = tube(
        78, composition=AFTER_ANTI_B.scaled(dict.fromkeys((Code.HAEMATOGONE_2, Code.MATURE_B, Code.PLASMA_CELL), 0.0))
    )
    result = gate_columns(made.columns, ino10, made.usable, GatingConfig(), reference=reference).result
    assert all(placement.state != "unavailable" for placement in result.placements)
    assert result.placement("cd19_pos").source in {"reference", "sample-shift"}
    rows = population_table(result, ino10.gates, made.columns, made.usable, ino10.features)
    mature = next(row for row in rows if row.population == "mature_b")
    assert mature.analysable_count is not None
    assert mature.analysable_count <= 5
    assert mature.percents["nucleated"] is not None


def test_a_control_is_left_out_of_its_own_reference(reference: Any) -> None:
    name = reference.controls[0].name
    without = reference.leaving_out(name)
    assert [control.name for control in without.controls] == [c.name for c in reference.controls if c.name != name]
    changed = [g for g, p in reference.parameters().items() if p != without.parameters().get(g)]
    assert "cd19_pos" in changed


def test_the_pooled_threshold_is_a_median_that_one_odd_control_cannot_move(reference: Any) -> None:
    from dataclasses import replace

    odd = replace(reference.controls[0], name="odd", parameters={"cd19_pos": {"threshold": 9.0}})
    pooled = GateReference("p", "1", (*reference.controls, odd)).parameters()["cd19_pos"]["threshold"]
    values = [c.parameters["cd19_pos"]["threshold"] for c in reference.controls]
    assert min(values) <= pooled <= max(values)


def test_a_shift_follows_the_anchor_within_its_bound_and_says_when_it_is_held() -> None:
    levels = {"CD45": ("t_nk", 900, 0.80), "CD10": ("granulocytes", 900, 0.70), "CD24": ("granulocytes", 20, None)}
    shifts = anchored_shifts(levels, {"CD45": 0.78, "CD10": 0.50, "CD24": 0.6}, max_decades=0.35, min_events=500)
    assert shifts["CD45"].applied == pytest.approx(0.02 * 4.5)
    assert not shifts["CD45"].at_bound
    assert shifts["CD10"].applied == pytest.approx(0.35)
    assert shifts["CD10"].at_bound
    assert shifts["CD24"].applied == 0.0
    assert "20 anchor cells" in shifts["CD24"].why


def test_a_shift_at_its_bound_is_worth_a_flag_only_where_no_usual_control_lies_as_far() -> None:
    levels = {"CD10": ("granulocytes", 900, 0.60), "SSC-A": ("granulocytes", 900, 0.9)}
    controls = {"CD10": [0.39, 0.5, 0.52], "SSC-A": [0.2, 0.3, 0.32]}
    shifts = anchored_shifts(
        levels, {"CD10": 0.5, "SSC-A": 0.3}, max_decades=0.35, min_events=500, linear={"SSC-A"}, controls=controls
    )
    assert shifts["CD10"].at_bound
    assert not shifts["CD10"].beyond_controls
    assert shifts["SSC-A"].beyond_controls


def test_scatter_moves_by_a_factor_where_both_levels_are_positive() -> None:
    levels = {"SSC-A": ("granulocytes", 900, 0.6)}
    shift = anchored_shifts(levels, {"SSC-A": 0.4}, max_decades=0.35, min_events=500, linear={"SSC-A"})["SSC-A"]
    assert shift.applied == pytest.approx(np.log10(1.5))
    moved = moved_panel_scale(PanelScale({}, {"SSC-A": 2.0}), {"SSC-A": shift})
    assert moved.from_panel("SSC-A", 0.2) == pytest.approx(0.1 * 1.5)
    none = anchored_shifts(levels, {"SSC-A": 0.0}, max_decades=0.35, min_events=500, linear={"SSC-A"})["SSC-A"]
    assert none.applied == 0.0


def test_a_tube_stained_brighter_moves_the_frozen_gates_with_its_anchor_cells(
    tube: Any, ino10: Any, reference: Any
) -> None:
    made = tube(11, staining={"CD45": 0.2})
    gated = gate_columns(made.columns, ino10, made.usable, GatingConfig(), reference=reference)
    assert gated.shifts["CD45"].applied > 0.1
    placement = gated.result.placement("cd45_bright")
    assert placement.source == "sample-shift"
    assert placement.shift == pytest.approx(gated.shifts["CD45"].applied, abs=1e-9)


def test_frozen_cuts_never_leave_the_panels_bounds(ino10: Any, reference: Any) -> None:
    far = anchored_shifts({"CD45": ("t_nk", 900, 5.0)}, {"CD45": 0.0}, max_decades=20.0, min_events=1)
    frozen = freeze(ino10.gates, reference, far, "test")
    bounds = {gate.name: gate.bounds for gate in ino10.gates if gate.method == "cut"}
    assert frozen["cd45_bright"].parameters["threshold"] == bounds["cd45_bright"][1]


def test_gating_twice_gives_the_same_bits(marrow: Any, ino10: Any, reference: Any) -> None:
    first, second = (
        gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig(), reference=reference).result for _ in range(2)
    )
    assert np.array_equal(first.bits, second.bits)
    assert first.placements == second.placements


def test_a_regenerating_marrow_keeps_its_stages_apart(tube: Any, ino10: Any, reference: Any) -> None:
    made = tube(79, composition=REGENERATING)
    result = gate_columns(made.columns, ino10, made.usable, GatingConfig(), reference=reference).result
    sound = ~made.truth["doublet"]
    for stage in (1, 2):
        cells = (made.truth["population"] == getattr(Code, f"HAEMATOGONE_{stage}")) & sound
        inside = {s: result.inside(f"haematogones_{s}")[cells].mean() for s in (1, 2, 3)}
        assert max(inside, key=inside.__getitem__) == stage


def test_an_override_replaces_a_gate_and_is_marked_manual(marrow: Any, ino10: Any) -> None:
    shape = Rectangle((("CD19", 2.0, None),))
    result = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig(), overrides={"cd19_pos": shape}).result
    assert result.placement("cd19_pos").source == "override"
    assert not result.inside("route_cd19").any()


def test_helper_gates_are_evaluated_and_not_stored(marrow: Any, ino10: Any) -> None:
    result = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result
    helpers = [gate.name for gate in ino10.gates if gate.helper]
    assert helpers
    assert not set(helpers) & set(result.stored)
    assert set(result.stored) | set(helpers) == set(result.names)
    inside = result.inside("cd34_trace")
    assert np.array_equal(inside & result.inside("cd34_pos"), result.inside("cd34_pos"))

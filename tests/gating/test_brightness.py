"""Bounds of cuts follow the instrument: its range, the brightness of its numbers, raw units where a panel has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.gating_brightness import BITS_18, BITS_20, write_scaled

from flowmrd.config import RunConfig
from flowmrd.config.run import GatingConfig
from flowmrd.gating.brightness import cuts_at_bounds
from flowmrd.gating.gated_columns import GatedColumns, gate_columns
from flowmrd.gating.reference import GateReference
from flowmrd.panel import PanelModel
from flowmrd.panel.gates import CutGate
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, simulate_tube
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube


@pytest.fixture(scope="module")
def simulated(vienna_b8: PanelModel) -> SimulatedTube:
    return simulate_tube(TubeSpec(10_000, person_seed=1), vienna_b8, 1)


def stored(folder: Path, panel: PanelModel, tube: SimulatedTube, top: int, factor: float) -> Tube:
    path = folder / f"{top}-{factor:g}.fcs"
    write_scaled(path, tube, top, factor)
    return preprocess(read_tube(path, panel))


def gated(tube: Tube) -> GatedColumns:
    return gate_columns(tube.measured, tube.panel, tube.analysable(), GatingConfig(), scales=tube.scales)


def same(one: GatedColumns, other: GatedColumns, gates: tuple[str, ...] = ("b_lineage", "t_nk", "nucleated")) -> bool:
    return all(np.mean(one.result.inside(g) != other.result.inside(g)) < 0.01 for g in gates)


def codes(tube: Tube) -> list[str]:
    assert tube.gates is not None
    return [entry.code for entry in tube.gates.flags]


@pytest.mark.parametrize(("top", "factor", "brightness"), [(BITS_20, 4.0, 1.0), (BITS_20, 1.0, 4.0)])
def test_a_20_bit_tube_gets_the_gates_of_the_same_cells_on_18_bits(
    tmp_path: Path, vienna_b8: PanelModel, simulated: SimulatedTube, top: int, factor: float, brightness: float
) -> None:
    usual = gated(stored(tmp_path, vienna_b8, simulated, BITS_18, 1.0))
    other = gated(stored(tmp_path, vienna_b8, simulated, top, factor))
    assert (usual.brightness, other.brightness) == (1.0, brightness)
    assert same(usual, other)
    held, estimated = cuts_at_bounds(other.gates, other.result.placements)
    assert len(held) < 0.45 * estimated


def test_with_controls_their_brightness_is_that_of_the_tube_and_is_reported(
    tmp_path: Path, vienna_b8: PanelModel, simulated: SimulatedTube
) -> None:
    def run(top: int) -> Tube:
        marrows = {seed: simulate_tube(TubeSpec(8_000, person_seed=seed), vienna_b8, seed) for seed in (5, 6)}
        controls = {f"C{seed}": stored(tmp_path, vienna_b8, made, top, 1.0) for seed, made in marrows.items()}
        kept = GateReference.from_record(gates_of_controls(controls).as_record(), "gates.json")
        assert kept.factors().get("CD19", 1.0) == (4.0 if top == BITS_20 else 1.0)
        return gate(stored(tmp_path, vienna_b8, simulated, top, 1.0), RunConfig(panel="x", samples=""), reference=kept)

    other, usual = run(BITS_20), run(BITS_18)
    assert "BOUNDS_FOLLOW_INSTRUMENT" in codes(other)
    assert "BOUNDS_FOLLOW_INSTRUMENT" not in codes(usual)
    assert "GATES_AT_BOUNDS" not in codes(other)
    assert np.mean(other.gate("b_lineage") != usual.gate("b_lineage")) < 0.01
    ratios = [tube.gates.targets["CD19"].median_ratio_to_reference for tube in (other, usual) if tube.gates is not None]
    assert ratios[0] == pytest.approx(ratios[1], rel=0.1)


def test_cuts_of_the_controls_that_ended_at_a_bound_are_told_of_the_tube(
    tmp_path: Path, vienna_b8: PanelModel, simulated: SimulatedTube
) -> None:
    tube = stored(tmp_path, vienna_b8, simulated, BITS_18, 1.0)
    reference = gates_of_controls({"C1": tube})
    made = gate(tube, reference=reference)
    assert made.gates is not None
    low, high = next(g.bounds for g in vienna_b8.gates if isinstance(g, CutGate) and g.name == "cd10_pos")
    placed = next(entry for entry in made.gates.gates if entry.name == "cd10_pos")
    at = made.gate_result.placement("cd10_pos").nominal["threshold"]
    assert placed.at_bound is bool(np.isclose([low, high], at, atol=1e-6).any())
    assert any(entry.at_bound for entry in made.gates.gates if entry.source in ("reference", "sample-shift"))


def in_raw_units(panel: PanelModel, tube: Tube, factor: float) -> PanelModel:
    """The panel with the bounds of its upright cuts in raw units of a tube; ``factor`` further raw units a unit."""
    from flowmrd.gating.panel_scale import panel_channel_scale

    gates: list[Any] = []
    for one in panel.gates:
        changes: dict[str, Any] = {}
        if isinstance(one, CutGate) and not one.tilt and one.channel in tube.scales and one.channel.startswith("CD"):
            scale = panel_channel_scale(panel.channel(one.channel), tube.scales[one.channel])
            low, high, fallback = (float(scale.inverse(v)) * factor for v in (*one.bounds, one.fallback))
            changes = {"bounds": (low, high), "fallback": fallback, "units": "raw"}
        gates.append(one.model_copy(update=changes))
    return PanelModel.model_validate(panel.model_copy(update={"gates": tuple(gates)}).model_dump())


def test_bounds_in_raw_units_place_the_same_gates(
    tmp_path: Path, vienna_b8: PanelModel, simulated: SimulatedTube
) -> None:
    tube = stored(tmp_path, vienna_b8, simulated, BITS_18, 1.0)
    raw = in_raw_units(vienna_b8, tube, 1.0)
    usual = gated(tube)
    made = gate_columns(tube.measured, raw, tube.analysable(), GatingConfig(), scales=tube.scales)
    assert same(usual, made)
    for one, other in zip(usual.result.placements, made.result.placements, strict=True):
        assert one.nominal.get("threshold", 0) == pytest.approx(other.nominal.get("threshold", 0), abs=2e-3)


def test_a_leaning_cut_has_no_raw_units(vienna_b8: PanelModel) -> None:
    data = vienna_b8.model_dump(mode="json")
    next(one for one in data["gates"] if one["name"] == "cd19_pos")["units"] = "raw"
    with pytest.raises(ValueError, match="raw units and leans"):
        PanelModel.model_validate(data)

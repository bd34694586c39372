"""Every shipped panel runs on simulated tubes from the file through its gates, one of each protocol to a verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.classifier.estimators import NormalReference
from flowmrd.classifier.judge_tube import classify
from flowmrd.cli.panel_check import check_panel
from flowmrd.config import RunConfig
from flowmrd.gating.gatingml import write_gatingml
from flowmrd.home import PANELS
from flowmrd.mrd.quantify import quantify
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.leukaemia import draw_leukaemia
from flowmrd.simulate.populations import Code
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, simulate_tube
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

SHIPPED = sorted(path.stem for path in PANELS.glob("*.yaml"))


def made(folder: Path, name: str, cells: int, seed: int, level: float = 0.0) -> tuple[Tube, SimulatedTube]:
    panel = load_panel(name)
    leukaemia = draw_leukaemia(np.random.default_rng(5)) if level else None
    tube = simulate_tube(TubeSpec(cells, person_seed=seed, leukaemia=leukaemia, level=level), panel, seed)
    path = folder / f"T{seed}.fcs"
    write_tube(path, tube)
    return preprocess(read_tube(path, panel, name=f"T{seed}")), tube


def test_the_protocols_of_euroflow_and_cog_are_shipped() -> None:
    assert {"euroflow8_1", "euroflow8_2", "euroflow12_1", "euroflow12_2", "cog6_1", "cog6_2"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_panel_has_no_error_names_its_source_and_can_be_simulated(name: str) -> None:
    errors, lines = check_panel(name, [])
    assert errors == 0
    assert not any("simulator does not know" in line for line in lines)
    assert load_panel(name).source


@pytest.mark.parametrize("name", SHIPPED)
def test_the_gates_of_a_shipped_panel_hold_the_cells_they_are_named_after(name: str, tmp_path: Path) -> None:
    read, simulated = made(tmp_path, name, 12_000, 3, level=0.02)
    tube = gate(read)
    assert all(placement.state != "unavailable" for placement in tube.gate_result.placements)
    truth, single = simulated.truth, ~simulated.truth["doublet"] & tube.analysable()
    for code, population, share in (
        (Code.LEUKAEMIC, "possible_b_lineage", 0.98),
        (Code.MATURE_B, "b_lineage", 0.95),
        (Code.T_NK, "t_nk", 0.9),
        (Code.NEUTROPHIL, "granulocytes", 0.8),
        (Code.ERYTHROBLAST, "erythroblasts", 0.85),
    ):
        cells = single & (truth["population"] == code)
        assert np.count_nonzero(tube.gate(population) & cells) >= share * np.count_nonzero(cells), population
    cells = truth["nucleated"] & single
    assert np.count_nonzero(tube.gate("nucleated") & cells) >= 0.97 * np.count_nonzero(cells)
    assert f'id="{tube.gate_names[-1]}"' in write_gatingml(tube.gate_result, load_panel(name).gates)


@pytest.mark.parametrize("name", ["euroflow8_2", "euroflow12_1", "cog6_1"])
def test_leukaemia_is_found_with_a_published_panel(name: str, tmp_path: Path) -> None:
    config = RunConfig(panel=name, samples="")
    controls = {f"T{seed}": made(tmp_path, name, 8_000, seed)[0] for seed in (1, 2, 3)}
    gates = gates_of_controls(controls, config)
    reference = NormalReference().fit(
        [gate(tube, config, reference=gates, exclude=key) for key, tube in controls.items()]
    )
    read, simulated = made(tmp_path, name, 8_000, 99, level=0.01)
    result = quantify(classify(gate(read, config, reference=gates), reference.model_, config=config), config)
    assert 0.6 * simulated.mrd_events <= result.counts.mrd_events <= 1.5 * simulated.mrd_events
    assert result.mrd.detected

"""Masks of the attrition table and gates of the tree: one threshold each for doublets and debris."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.panel.gates import ROOT, DebrisGate, SingletGate
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import Acquisition, TubeSpec, simulate_tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube


@pytest.mark.parametrize("name", sorted(path.stem for path in PANELS.glob("*.yaml")))
def test_masks_and_gates_of_a_shipped_panel_call_the_same_events_doublets_and_debris(name: str, tmp_path: Path) -> None:
    panel = load_panel(name)
    run = Acquisition(doublets=0.05, debris=0.05, clog=0.05)
    path = tmp_path / "tube.fcs"
    write_tube(path, simulate_tube(TubeSpec(nucleated=12_000, person_seed=3, acquisition=run), panel, 3))
    tube = gate(preprocess(read_tube(path, panel)))
    judged = ~tube.masks["nonfinite"] & ~tube.masks["margin"]
    compared = 0
    for one in panel.gates:
        inside = tube.gate_result.inside(one.name)
        if isinstance(one, SingletGate) and one.parent == ROOT:
            assert np.array_equal(inside[judged], ~tube.masks["doublet"][judged])
            compared += 1
        elif isinstance(one, DebrisGate):
            assert one.parent == "singlets"
            single = tube.gate_result.inside("singlets") & judged
            assert np.array_equal(inside[single], tube.masks["debris"][single])
            compared += 1
    assert compared >= 1
    assert tube.qc is not None
    assert tube.qc.dyes == ()  # the gate of nucleated cells places the threshold of a nucleic acid dye

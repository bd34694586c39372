"""Cells that an expert labelled: automatic gates, no controls, nothing set per tube."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowmrd.config.run import GatingConfig, RunConfig, TransformConfig
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess
from flowmrd.tube.files import TubeFiles, tube_from_files

LEAST = {
    "nucleated": ("singlets", 0.97),
    "intact": ("intact", 0.97),
    "route_cd19": ("cd19", 0.97),
    "erythroblasts": ("erythroid", 0.90),
    "mature_b": ("mature_b", 0.90),
}


@pytest.mark.shared
@pytest.mark.parametrize("width", ["controls", "sample"])
@pytest.mark.parametrize("name", ["A", "B"])
def test_gates_agree_with_the_experts(shared_data: Any, tmp_path: Any, vienna_b8: Any, name: Any, width: Any) -> None:
    folder = shared_data / "ball" / "real"
    labels = pd.read_parquet(folder / f"ball_d15_{name}.labels.parquet")
    config = RunConfig(panel="vienna_b8", samples="-", transform=TransformConfig(width=width))
    events, record, out = tmp_path / "events.arrow", tmp_path / "ingest.json", tmp_path / "preprocessed.arrow"
    ingest(folder / f"ball_d15_{name}.fcs", panel=vienna_b8, sample=name, events=events, record=record)
    preprocess(events, record, panel=vienna_b8, config=config, transforms=None, out=out, qc=tmp_path / "qc.json")
    tube = tube_from_files(TubeFiles(name, out), vienna_b8, config)
    usable = tube.analysable()
    result = gate_columns(tube.measured, vienna_b8, usable, GatingConfig()).result
    for gate, (label, least) in LEAST.items():
        # Events that margins or the time check hide are not the gates' affair.
        ours, expert = result.inside(gate) & usable, labels[label].to_numpy() & usable
        f1 = 2 * np.count_nonzero(ours & expert) / (np.count_nonzero(ours) + np.count_nonzero(expert))
        assert f1 >= least, f"{gate}: F1 {f1:.4f}"
    nucleated = np.count_nonzero(result.inside("nucleated") & usable)
    # The expert's singlets are the single ones of the nucleated events, which is what is counted here.
    assert nucleated == pytest.approx(labels["singlets"].sum(), rel=0.02)
    blasts = labels["blast"].to_numpy() & usable
    assert result.inside("possible_b_lineage")[blasts].mean() >= 0.999

"""A run directory in which everything is learned from two controls."""

from __future__ import annotations

from pathlib import Path

import pytest
from stage_commands import CONTROLS, command

from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is learned from two controls; no follow-up tube has been touched. Copy it, do not change it."""
    run = tmp_path_factory.mktemp("judge") / "run"
    simulate(run, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=5_000)
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "reference: {min_controls: 2}\nexport: {values: true}\n")
    tubes = [word for name in CONTROLS for word in ("--tube", name)]
    for name in CONTROLS:
        command(run, "ingest", "--sample", name)
    command(run, "transform-reference", "--panel", "ino10", *tubes)
    reference = run / "results/reference/ino10"
    for name in CONTROLS:
        command(run, "preprocess", "--sample", name, "--transforms", str(reference / "transform.json"))
    command(run, "gate-reference", "--panel", "ino10", *tubes)
    for name in CONTROLS:
        command(run, "gate", "--sample", name, "--thresholds", str(reference / "gates.json"))
    command(run, "reference", "build", "--panel", "ino10", *tubes)
    return run

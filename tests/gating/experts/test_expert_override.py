"""An expert's gates become a tube's own gates only where they hold the same events there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_expert_gates import NAMES, SPILL, compensated, diva, raw, region, spilled  # noqa: F401

from channels import channel
from flowmrd.errors import ConfigError
from flowmrd.gating.experts import ExpertGates, read_expert_gates
from flowmrd.gating.overrides import read_override
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.ingest import HeaderFacts
from flowmrd.stages.expert_override import take_gates, write_override
from flowmrd.tube import Tube

INO10 = load_panel(PANELS / "ino10.yaml")
COLUMNS = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "CD19", "CD34", "Time")
LOGICLE = ChannelScale("logicle", T=262144, W=0.7)
LINEAR = ChannelScale("linear", T=262144)


def tube_of(raw: np.ndarray, pe: np.ndarray, apc: np.ndarray) -> Tube:  # noqa: F811
    """The tube as its run preprocessed it, with CD19 and CD34 on the two detectors."""
    scales = {"FSC-A": LINEAR, "SSC-A": LINEAR, "CD19": LOGICLE, "CD34": LOGICLE}
    values = {"FSC-A": raw[0], "SSC-A": raw[3], "CD19": pe, "CD34": apc}
    return Tube(
        "P1",
        INO10,
        facts=HeaderFacts(channels=tuple(map(channel, COLUMNS, NAMES))),
        raw={"FSC-A": raw[0]},
        columns={name: scale.apply(values[name].astype(np.float32)) for name, scale in scales.items()},
        scales=scales,
    )


@pytest.fixture
def expert(spilled: Path, tmp_path: Path) -> ExpertGates:  # noqa: F811
    box = [(60_000.0, 10_000.0), (130_000.0, 90_000.0)]
    corners = [(2000.0, 2000.0), (3800.0, 2300.0), (3900.0, 3900.0), (2100.0, 3400.0)]
    gates = (
        region("All Events\\singlets", "RECTANGLE_REGION", "FSC-A", "SSC-A", box)
        + region(
            "All Events\\singlets\\cd19_pos", "INTERVAL_REGION", "PE-A", "", [(2300.0, 0.0), (4096.0, 0.0)], sx=150
        )
        + region("All Events\\singlets\\cd34_pos", "POLYGON_REGION", "PE-A", "APC-A", corners, sx=150, sy=300)
        + region("All Events\\cd45_seed", "RECTANGLE_REGION", "FSC-A", "SSC-A", box)
        + region("All Events\\My gate", "RECTANGLE_REGION", "FSC-A", "SSC-A", box)
    )
    (tmp_path / "e.xml").write_text(diva(gates))
    return read_expert_gates(tmp_path / "e.xml", spilled)


def test_gates_of_the_panels_names_hold_the_experts_events_on_the_tubes_own_scale(
    expert: ExpertGates,
    tmp_path: Path,
    raw: np.ndarray,  # noqa: F811
) -> None:
    tube = tube_of(raw, *compensated(raw))
    taken = take_gates(expert, tube)
    assert set(taken.gates) == {"singlets", "cd19_pos", "cd34_pos"}
    assert "no gate of this name" in taken.left["My gate"]
    assert "in the panel cd45_seed lies within singlets" in taken.left["cd45_seed"]
    path = tmp_path / "overrides" / "P1.yaml"
    write_override(path, taken, "e.xml")
    shapes = read_override(path, INO10, None).shapes
    within = expert.members("singlets")
    for name in ("cd19_pos", "cd34_pos"):
        inside = shapes[name].inside(tube.columns) & within  # type: ignore[union-attr]
        assert np.count_nonzero(inside != expert.members(name)) <= 2, name
        assert inside.any()
    assert np.array_equal(shapes["singlets"].inside(tube.columns), within)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="there already"):
        write_override(path, taken, "e.xml")


def test_gates_on_values_that_the_tube_compensates_otherwise_are_not_taken(
    expert: ExpertGates,
    raw: np.ndarray,  # noqa: F811
) -> None:
    taken = take_gates(expert, tube_of(raw, raw[4], raw[5]))
    assert "cd34_pos" not in taken.gates
    assert "compensated in another way" in taken.left["singlets/cd34_pos"]
    without = take_gates(replace(expert, outlines={}), tube_of(raw, *compensated(raw)))
    assert without.gates == {}

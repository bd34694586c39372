"""What the diagnosis tube says of the gates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.stages.laip import seen_without
from flowmrd.store import write_columns


def test_the_share_seen_without_cd19_counts_blasts_that_came_by_another_route(tmp_path: Path) -> None:
    """Of four blasts (rows 1 to 4) all came by CD19, two by CD10 or CD34 as well, one of these by CD20."""
    names = ["route_cd19", "route_precursor", "route_cd20"]
    bits = np.array([0b010, 0b001, 0b011, 0b111, 0b001], dtype=np.uint64)
    gated = tmp_path / "gated.arrow"
    write_columns(gated, {"gates": bits}, {"gates": json.dumps(names)})
    panel = load_panel(PANELS / "vienna_b8.yaml")
    assert seen_without(gated, np.array([1, 2, 3, 4]), panel) == 0.5
    assert seen_without(gated, np.array([2, 3]), panel) == 1.0
    assert seen_without(gated, np.array([], dtype=np.intp), panel) is None

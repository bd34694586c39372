"""What the diagnosis tube says of the gates."""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.laip_of_tubes import seen_without
from flowmrd.gating.stored_gates import unplaced_result
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.tube import Tube


def test_the_share_seen_without_cd19_counts_blasts_that_came_by_another_route() -> None:
    """Of four blasts (rows 1 to 4) all came by CD19, two by CD10 or CD34 as well, one of these by CD20."""
    names = ["route_cd19", "route_precursor", "route_cd20"]
    bits = np.array([0b010, 0b001, 0b011, 0b111, 0b001], dtype=np.uint64)
    panel = load_panel(PANELS / "vienna_b8.yaml")
    tube = Tube("P01_dx", panel, gating=unplaced_result(tuple(names), bits))
    assert seen_without(tube, np.array([1, 2, 3, 4])) == 0.5
    assert seen_without(tube, np.array([2, 3])) == 1.0
    assert seen_without(tube, np.array([], dtype=np.intp)) is None

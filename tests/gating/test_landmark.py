from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowmrd.gating.landmark import find_landmark
from flowmrd.gating.panel_scale import STORED
from flowmrd.simulate.populations import AFTER_ANTI_B, DISEASED, Code

PLACE = {"FSC-A": 0.28, "SSC-A": 0.085}


@pytest.mark.parametrize("composition", [AFTER_ANTI_B, DISEASED], ids=["after-therapy", "diseased"])
@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
def test_lymphocytes_are_found_at_any_gain(tube: Any, composition: Any, gain: Any) -> None:
    made = tube(31, composition=composition)
    columns = {**made.columns, "SSC-A": (made.columns["SSC-A"] * np.float32(gain)).astype(np.float32)}
    found = find_landmark(columns, made.usable, PLACE, STORED)
    cells = (made.truth["population"] == Code.T_NK) & ~made.truth["doublet"] & made.usable
    for channel, place in PLACE.items():
        assert found.levels[channel] == pytest.approx(float(np.median(columns[channel][cells])), rel=0.25)
        assert found.factors[channel] == pytest.approx(place / found.levels[channel])


def test_without_cd45_or_cells_the_panels_numbers_stand_and_it_is_stated(marrow: Any) -> None:
    without = {name: values for name, values in marrow.columns.items() if name != "CD45"}
    found = find_landmark(without, marrow.usable, PLACE, STORED)
    assert found.factors == {"FSC-A": 1.0, "SSC-A": 1.0}
    assert "CD45" in found.why
    few = np.zeros_like(marrow.usable)
    few[:60] = True
    assert find_landmark(marrow.columns, few, PLACE, STORED).factors == {"FSC-A": 1.0, "SSC-A": 1.0}


def test_a_landmark_too_far_off_is_not_believed(marrow: Any) -> None:
    columns = {**marrow.columns, "FSC-A": (marrow.columns["FSC-A"] * np.float32(0.02)).astype(np.float32)}
    found = find_landmark(columns, marrow.usable, PLACE, STORED)
    assert set(found.factors.values()) == {1.0}
    assert "too far off" in found.why

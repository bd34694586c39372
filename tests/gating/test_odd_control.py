"""One odd control among those that gates are pooled over."""

from __future__ import annotations

import numpy as np
import pytest

from flowmrd.gating.reference import ControlGates, GateReference

DRAWS = 2_000
FAR = 100.0


def pooled(values: np.ndarray) -> float:
    """The pooled threshold of controls that each placed it at one of the values."""
    controls = tuple(
        ControlGates(f"CTRL{place}", {"nucleated": {"threshold": float(value)}}, {}, {}, {}, {})
        for place, value in enumerate(values)
    )
    return GateReference("ino10", "1", controls).parameters()["nucleated"]["threshold"]


@pytest.mark.parametrize(("controls", "mean_shift"), [(3, 0.57), (5, 0.30), (7, 0.20)])
def test_an_odd_control_however_far_off_moves_a_pooled_threshold_by_part_of_the_spread_between_controls(
    controls: int, mean_shift: float
) -> None:
    """In units of the SD between controls, against the pooled threshold of the others alone."""
    rng = np.random.default_rng(41)
    shifts = []
    for _ in range(DRAWS):
        others = rng.normal(size=controls - 1)
        shifts.append(pooled(np.append(others, FAR)) - pooled(others))
        assert others.min() <= pooled(np.append(others, FAR)) <= others.max()
    assert np.mean(shifts) == pytest.approx(mean_shift, abs=0.04)

"""One odd control among those that gates are pooled over."""

from __future__ import annotations

import numpy as np
import pytest

from flowmrd.gating.reference import ControlGates, GateReference, usual

DRAWS = 2_000
FAR = 100.0


def pooled(values: np.ndarray) -> float:
    """The pooled threshold of controls that each placed it at one of the values."""
    controls = tuple(
        ControlGates(f"CTRL{place}", {"nucleated": {"threshold": float(value)}}, {}, {}, {}, {})
        for place, value in enumerate(values)
    )
    return GateReference("ino10", "1", controls).parameters()["nucleated"]["threshold"]


@pytest.mark.parametrize(("controls", "mean_shift"), [(3, 0.57), (5, 0.0), (7, 0.0)])
def test_an_odd_control_far_off_sets_no_threshold_from_four_controls_on(controls: int, mean_shift: float) -> None:
    """In units of the SD between controls, against the pooled threshold of the others alone.

    With plain medians the shifts were 0.57, 0.30 and 0.20.
    """
    rng = np.random.default_rng(41)
    shifts = []
    for _ in range(DRAWS):
        others = rng.normal(size=controls - 1)
        shifts.append(pooled(np.append(others, FAR)) - pooled(others))
        assert others.min() <= pooled(np.append(others, FAR)) <= others.max()
    assert np.mean(shifts) == pytest.approx(mean_shift, abs=0.04)


@pytest.mark.parametrize("controls", [4, 5, 7, 12])
def test_without_an_odd_control_pooled_thresholds_are_as_steady_as_medians(controls: int) -> None:
    rng = np.random.default_rng(43)
    draws = rng.normal(size=(DRAWS, controls))
    robust = np.std([pooled(row) for row in draws])
    assert robust == pytest.approx(np.std(np.median(draws, axis=1)), rel=0.05)


@pytest.mark.parametrize(("odd", "kept"), [(0.4, 6), (0.02, 7)])
def test_the_range_of_shares_over_the_controls_leaves_out_one_far_outside(odd: float, kept: int) -> None:
    shares = [0.006, 0.009, 0.01, 0.011, 0.014, 0.02, odd]
    controls = tuple(
        ControlGates(f"CTRL{place}", {}, {}, {}, {"mature_b": share}, {}) for place, share in enumerate(shares)
    )
    known = GateReference("ino10", "1", controls).fraction_range("mature_b")
    assert known is not None
    low, _, high, number = known
    assert low == pytest.approx(0.006)
    assert high == pytest.approx(0.02)
    assert number == kept


def test_controls_that_agree_exactly_make_none_of_the_others_odd() -> None:
    assert len(usual([0.0, 0.0, 0.0, 0.0, 0.01])) == 5
    assert len(usual([1.0, 2.0, 50.0])) == 3

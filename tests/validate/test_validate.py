"""Figures of merit from diluted tubes."""

from __future__ import annotations

import pytest

from flowmrd.validate import Dilution, figures


def test_limits_are_the_lowest_levels_that_hold() -> None:
    made = [
        Dilution("p", f"c{i}", level, 0, 500_000, true, measured, measured, False)
        for i in range(20)
        for level, true, measured in ((1e-3, 500, 480 + i), (1e-4, 50, 48), (1e-5, 5, 4), (0.0, 0, i % 2))
    ]
    found = figures(made, detect_events=20)
    assert found["lod"] == pytest.approx(1e-4)
    assert found["loq"] == pytest.approx(1e-4)
    assert found["blank"]["worst_per_million"] == pytest.approx(2.0)
    assert found["linearity"]["r_squared"] > 0.99

"""Assay validation by in-silico dilution."""

from __future__ import annotations

import re

import pytest
from tests.laip.marrow import marrow

from flowmrd.laip import Settings, build_reference, find_laip
from flowmrd.validate import Dilution, dilute, figures, render


def test_every_leukaemia_is_diluted_into_every_control_and_high_levels_are_found() -> None:
    reference = build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(4)], seed=1)
    laip = find_laip("p", marrow("dx", 50, blasts=12_000)[0], reference, min_cells=200, seed=1)
    assert laip is not None
    made = dilute(reference, [laip], Settings(), levels=(1e-2, 0.0), shares=(1.0,), replicates=1)
    assert {(d.control, d.level) for d in made} == {(f"c{i}", level) for i in range(4) for level in (1e-2, 0.0)}
    found = figures(made, detect_events=20)
    assert found["levels"][0]["ppa"] == 1.0
    assert found["levels"][0]["recovery"] > 0.95
    assert found["blank"]["npa"]["hits"] == 4
    page = render(found, detect_events=20, warnings=["few <b>tubes</b>"])
    assert "few &lt;b&gt;tubes" in page
    assert not re.search(r"https?://", page)


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

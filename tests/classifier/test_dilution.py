"""Dilution of toy leukaemias into toy controls."""

from __future__ import annotations

import re

from laip_marrow import marrow

from flowmrd.classifier.normal_reference import build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import find_laip
from flowmrd.report.validation_page import render
from flowmrd.validate.dilution import dilute
from flowmrd.validate.figures import figures


def test_every_leukaemia_is_diluted_into_every_control_and_high_levels_are_found() -> None:
    reference = build_reference(
        "toy", [marrow(f"c{i}", i)[0] for i in range(4)], parameters=ClassifierParameters(seed=1)
    )
    laip = find_laip(
        "p", marrow("dx", 50, blasts=12_000)[0], reference, min_cells=200, parameters=ClassifierParameters(seed=1)
    )
    assert laip is not None
    made = dilute(reference, [laip], ClassifierParameters(), levels=(1e-2, 0.0), shares=(1.0,), replicates=1)
    assert {(d.control, d.level) for d in made} == {(f"c{i}", level) for i in range(4) for level in (1e-2, 0.0)}
    found = figures(made, detect_events=20)
    assert found.levels[0].ppa == 1.0
    assert (found.levels[0].recovery or 0.0) > 0.95
    assert found.blank.npa.hits == 4
    warnings = ["few <b>tubes</b>"]
    page = render(found, detect_events=20, target=1e-4, warnings=warnings, panel="toy", version="0")
    assert "few &lt;b&gt;tubes" in page
    assert not re.search(r"(src|href)=\"https?://", page)

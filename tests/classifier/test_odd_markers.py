"""A tube with one colour unlike the controls has an answer where the answer does not rest on that colour."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier.classification import Classification
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.novelty import Novelty
from flowmrd.classifier.odd_markers import compare_without, odd_markers
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.classifier.staining_control import StainingFinding
from flowmrd.flags import flag

PARAMETERS = ClassifierParameters(replicates=4)
LIKE_CONTROLS = Novelty(0.3, "nothing")


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("test", [marrow(f"c{i}", i)[0] for i in range(6)], parameters=PARAMETERS)


def shifted(*markers: str) -> list[StainingFinding]:
    return [StainingFinding(name, "shifted", 100, 100, decades=0.9, limit=0.5) for name in markers]


def test_colours_unlike_the_controls_are_left_out_only_where_they_are_few_and_nothing_else_is_unlike() -> None:
    """``odd_markers_most``: two."""
    assert odd_markers(LIKE_CONTROLS, shifted("CD34"), PARAMETERS) == ("CD34",)
    assert odd_markers(Novelty(1.2, "CD38", "CD38"), shifted("CD34"), PARAMETERS) == ("CD34", "CD38")
    assert odd_markers(Novelty(1.2, "CD38", "CD38"), shifted("CD34", "CD10"), PARAMETERS) == ()
    assert odd_markers(Novelty(1.2, "5 % of its cells fit no normal population"), shifted("CD34"), PARAMETERS) == ()
    hidden = replace(PARAMETERS, unreliable=frozenset({"CD22"}))
    assert odd_markers(LIKE_CONTROLS, shifted("CD22"), hidden) == ()


@pytest.mark.parametrize(
    ("furthest", "detected", "called", "novel", "code", "negative"),
    [
        (0.9, True, 0, False, "MARKER_MISSING", True),
        (1.3, True, 0, False, "MARKER_MISSING", False),
        (0.9, False, 0, False, "MARKER_MISSING", False),
        (0.9, True, 30, False, "MARKER_MISSING", False),
        (0.9, True, 0, True, "MARKER_MISSING", False),
        (0.9, True, 0, False, "CD19_NOT_MEASURED", False),
    ],
)
def test_a_tube_is_negative_without_a_colour_only_if_leukaemia_would_have_been_found_without_it(
    furthest: float, detected: bool, called: int, novel: bool, code: str, negative: bool
) -> None:
    """``odd_marker_decades_most``: 1.2 decades."""
    facts = {"markers": "CD19", "left": "CD10"}
    found = SimpleNamespace(
        novel=novel,
        flags=(flag(code, **facts),),
        spike_in=SimpleNamespace(detected=detected),
        mrd=np.arange(100) < called,
    )
    nothing = np.zeros(100, dtype=np.bool_)
    without = compare_without(("CD34",), furthest, nothing, cast(Classification, found), None, PARAMETERS)
    assert without.negative is negative
    assert without.same == 0


@pytest.fixture(scope="module")
def laip(reference: ReferenceModel) -> PatientLaip:
    found = find_laip("P1", marrow("dx", 50, blasts=8000)[0], reference, min_cells=200, parameters=PARAMETERS)
    assert found is not None
    return found


def codes_of(
    reference: ReferenceModel, blasts: int, moved: dict[str, float], laip: PatientLaip | None = None
) -> set[str]:
    tube, _ = marrow("fu", 76, blasts=blasts)
    offset = np.array([moved.get(name, 0.0) for name in FEATURES], dtype=np.float32)
    tube = replace(tube, values=tube.values + offset, denominator=400_000)
    result = classify_tube(tube, reference, laip=laip, library=None, parameters=PARAMETERS)
    assert bool(result.mrd.sum() >= PARAMETERS.detect_events) is bool(blasts)
    return {one.code for one in result.flags}


def test_a_clean_tube_with_one_brighter_colour_is_no_question(reference: ReferenceModel, laip: PatientLaip) -> None:
    codes = codes_of(reference, 0, {"CD45": 0.9}, laip)
    assert "NEGATIVE_WITHOUT_ODD_MARKERS" in codes
    assert not {"STAINING_SHIFTED", "TUBE_UNLIKE_CONTROLS"} & codes


def test_a_clean_tube_stays_a_question_where_the_other_colours_would_not_show_leukaemia(
    reference: ReferenceModel, laip: PatientLaip
) -> None:
    """CD34 tells this leukaemia from normal precursors; three other antibodies do not show most kinds of leukaemia."""
    for known in (laip, None):
        assert {"STAINING_SHIFTED", "TUBE_UNLIKE_CONTROLS"} <= codes_of(reference, 0, {"CD34": 0.9}, known)


def test_leukaemia_that_is_found_without_the_odd_colour_needs_no_diagnosis_tube(reference: ReferenceModel) -> None:
    codes = codes_of(reference, 80, {"CD45": 1.4})
    assert "TUBE_UNLIKE_IN_ONE_MARKER" in codes
    assert "TUBE_UNLIKE_CONTROLS" not in codes


def test_a_clean_tube_that_was_measured_otherwise_stays_a_question(reference: ReferenceModel) -> None:
    assert "TUBE_UNLIKE_CONTROLS" in codes_of(reference, 0, {"CD10": 1.5, "CD19": -0.6, "CD34": 1.2, "CD45": -1.4})
    assert "TUBE_UNLIKE_CONTROLS" in codes_of(reference, 0, {"CD45": 1.6})

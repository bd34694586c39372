"""A large population of another disease is named; normal populations that therapy makes frequent are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier import CandidateCells, ClassifierParameters, ReferenceModel, build_reference, classify_tube

PARAMETERS = ClassifierParameters(replicates=1)


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("test", [marrow(f"c{i}", i)[0] for i in range(4)], parameters=PARAMETERS)


def told(tube: CandidateCells, reference: ReferenceModel) -> dict[str, str]:
    result = classify_tube(tube, reference, laip=None, library=None, parameters=PARAMETERS)
    return {flag.code: flag.message for flag in result.flags}


def with_population(tube: CandidateCells, share: float, mean: tuple[float, ...]) -> CandidateCells:
    rng = np.random.default_rng(5)
    values, window = tube.values.copy(), tube.window.copy()
    rows = rng.random(tube.n) < share
    values[rows] = rng.normal(mean, 0.22, (int(rows.sum()), len(FEATURES)))
    window[rows] = False
    return replace(tube, values=values, window=window)


def test_a_large_population_of_another_disease_is_named(reference: ReferenceModel) -> None:
    messages = told(with_population(marrow("fu", 40)[0], 0.4, (1.2, 0.8, 0.8, 0.8, 1.6)), reference)
    assert "of the cells belong to a population" in messages["UNKNOWN_POPULATION"]
    assert "CD19-" in messages["UNKNOWN_POPULATION"]


def test_a_normal_population_that_became_frequent_is_not_unknown(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 41)
    assert "UNKNOWN_POPULATION" not in told(with_population(tube, 0.7, (0.6, 0.8, 0.7, 0.7, 3.3)), reference)


def test_a_tube_without_cd19_and_another_marker_is_trusted_in_neither_direction(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 42)
    weak = tube.select(tuple(name for name in FEATURES if name not in {"CD19", "CD10"}))
    assert "CD19, CD10" in told(weak, reference)["PANEL_TOO_WEAK"]


def test_a_missing_marker_is_told(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 43)
    fewer = tube.select(tuple(name for name in FEATURES if name != "CD34"))
    assert "lacks CD34" in told(fewer, reference)["MARKER_MISSING"]


def test_without_controls_nothing_is_called_unlike_them(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 44)
    odd = replace(tube, values=tube.values + np.float32(1.2))
    messages = told(odd, replace(reference, provisional=True))
    assert "NO_CONTROLS" in messages
    assert not {"TUBE_UNLIKE_CONTROLS", "STAINING_SHIFTED", "UNKNOWN_POPULATION"} & messages.keys()

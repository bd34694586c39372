"""A large population of another disease is named; normal populations that therapy makes frequent are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow, with_population

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.unknown_population import _is_lymphoid, find_unknown_populations

PARAMETERS = ClassifierParameters(replicates=1)


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("test", [marrow(f"c{i}", i)[0] for i in range(4)], parameters=PARAMETERS)


def told(tube: CandidateCells, reference: ReferenceModel) -> dict[str, str]:
    result = classify_tube(tube, reference, laip=None, library=None, parameters=PARAMETERS)
    return {flag.code: flag.message for flag in result.flags}


def test_a_large_population_of_another_disease_is_named(reference: ReferenceModel) -> None:
    messages = told(with_population(marrow("fu", 40)[0], 0.4, (1.2, 0.8, 0.8, 0.8, 1.6)), reference)
    assert "of the cells belong to a population" in messages["UNKNOWN_POPULATION"]
    assert "CD19-" in messages["UNKNOWN_POPULATION"]


def test_a_normal_population_that_became_frequent_is_not_unknown(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 41)
    assert "UNKNOWN_POPULATION" not in told(with_population(tube, 0.7, (0.6, 0.8, 0.7, 0.7, 3.3)), reference)


T_CELLS = (0.6, 0.8, 0.7, 0.7, 3.3)
"""Where the T cells of this marrow lie; a quarter of its cells."""


def unknown(
    share: float, mean: tuple[float, ...], reference: ReferenceModel, lymphocytes: tuple[tuple[float, ...], ...]
) -> list[float]:
    """Shares of the populations that are unknown in a tube with a population at ``mean``."""
    parameters = replace(PARAMETERS, unknown_ratio=2.0)  # a quarter of these controls are T cells
    tube = with_population(marrow("fu", 47)[0], share, mean)
    columns, still = list(range(len(FEATURES))), np.zeros(len(FEATURES))
    nobody = np.zeros(tube.n, dtype=bool)
    found = find_unknown_populations(
        tube,
        list(reference.controls),
        columns,
        still,
        nobody,
        [{"t_nk": np.array(one)} for one in lymphocytes],
        parameters,
    )
    return [one.share for one in found]


def test_t_cells_are_known_whatever_their_share_and_other_cells_as_bright_in_cd45_are_not(
    reference: ReferenceModel,
) -> None:
    """``unknown_lymphocyte_margin``: 0.4 decades off is a T cell, 0.7 brighter in another signal or dimmer is none."""
    for share in (0.85, 0.97):
        assert unknown(share, T_CELLS, reference, (T_CELLS,)) == []
        assert unknown(share, T_CELLS, reference, ())
    dim, brighter, granular = (list(T_CELLS) for _ in range(3))
    dim[FEATURES.index("CD45")] -= 0.7
    brighter[FEATURES.index("CD34")] += 0.7
    granular[FEATURES.index("SSC-A")] += 0.7
    for other in (dim, brighter, granular):
        assert unknown(0.85, tuple(other), reference, (T_CELLS,))


def test_blasts_where_no_control_holds_cells_are_named_even_if_they_are_like_lymphocytes(
    reference: ReferenceModel,
) -> None:
    odd = list(T_CELLS)
    odd[FEATURES.index("CD10")] -= 1.2
    assert unknown(0.85, tuple(odd), reference, (T_CELLS,))


@pytest.mark.parametrize(("weight", "known"), [(0.01, True), (0.3, False)])
def test_a_few_cells_at_the_edge_of_a_population_do_not_make_it_unknown(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, weight: float, known: bool
) -> None:
    """``unknown_own_share``: the place of a component with few cells of its own holds those of others."""
    odd = list(T_CELLS)
    odd[FEATURES.index("CD10")] -= 1.2
    narrow = 0.05 * np.eye(len(FEATURES))
    fitted = Mixture(np.array([1 - weight, weight]), np.array([T_CELLS, odd]), np.stack([narrow, narrow]))
    monkeypatch.setattr("flowmrd.classifier.unknown_population.fit_mixture", lambda *_: fitted)
    assert (unknown(0.6, tuple(odd), reference, (T_CELLS,)) == []) is known


@pytest.mark.parametrize(
    ("off", "lymphoid"),
    [({}, True), ({"CD34": 0.4, "CD45": -0.4}, True), ({"CD34": 0.6}, False), ({"CD45": -0.6}, False)],
)
def test_lymphocytes_are_as_bright_in_cd45_and_brighter_in_nothing(off: dict[str, float], lymphoid: bool) -> None:
    """``unknown_lymphocyte_margin``: half a decade."""
    mean = np.array([level + off.get(name, 0.0) for name, level in zip(FEATURES, T_CELLS, strict=True)])
    assert _is_lymphoid(mean, np.array(T_CELLS), FEATURES, PARAMETERS) is lymphoid
    without = tuple("CD44" if name == "CD45" else name for name in FEATURES)
    assert not _is_lymphoid(mean, np.array(T_CELLS), without, PARAMETERS)


def test_a_tube_without_cd19_and_another_marker_is_trusted_in_neither_direction(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 42)
    weak = tube.select(tuple(name for name in FEATURES if name not in {"CD19", "CD10"}))
    assert "CD19, CD10" in told(weak, reference)["PANEL_TOO_WEAK"]


def test_a_missing_marker_is_reported(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 43)
    fewer = tube.select(tuple(name for name in FEATURES if name != "CD34"))
    assert "lacks CD34" in told(fewer, reference)["MARKER_MISSING"]


def test_without_controls_nothing_is_called_unlike_them(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 44)
    odd = replace(tube, values=tube.values + np.float32(1.2))
    messages = told(odd, replace(reference, provisional=True))
    assert "NO_CONTROLS" in messages
    assert not {"TUBE_UNLIKE_CONTROLS", "STAINING_SHIFTED", "UNKNOWN_POPULATION"} & messages.keys()


def test_a_population_is_known_if_controls_hold_it_in_any_staining_that_the_tube_may_have(
    reference: ReferenceModel,
) -> None:
    """What is most of a tube moves the estimate of its staining: half a decade of scatter here, which is none."""
    parameters = replace(PARAMETERS, unknown_ratio=5.0)  # a quarter of these controls are T cells
    tube = with_population(marrow("fu", 47)[0], 0.85, T_CELLS)
    wrong = np.array([0.8 if name.startswith(("FSC", "SSC")) else 0.0 for name in FEATURES])
    found = find_unknown_populations(
        tube,
        list(reference.controls),
        list(range(len(FEATURES))),
        wrong,
        np.zeros(tube.n, dtype=bool),
        [],
        parameters,
    )
    assert found == ()

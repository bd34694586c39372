"""Many haematogones of a regenerating marrow are no heavy burden of leukaemia, in a tube and in a control."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from laip_marrow import marrow

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import find_laip
from flowmrd.classifier.regeneration import has_all_stages, is_among_stages, regenerating_part
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.simulate.populations import MATURATION, NORMAL, SIGNALS, Code

PARAMETERS = ClassifierParameters()
FEATURES = tuple(name for name in SIGNALS if name != "SYTO41")
INDEX = [SIGNALS.index(name) for name in FEATURES]
CELLS = cast(
    WindowCells,
    SimpleNamespace(
        features=FEATURES,
        anchors={
            "t_nk": NORMAL[Code.T_NK].mean[INDEX],
            "mature_b": NORMAL[Code.MATURE_B].mean[INDEX],
            "granulocytes": NORMAL[Code.NEUTROPHIL].mean[INDEX],
        },
        parameters=PARAMETERS,
        unreliable=frozenset(),
    ),
)
SPECTRUM, HALTED = (900, 1500, 800), (3, 3000, 20)


def tube(counts: tuple[int, int, int]) -> CandidateCells:
    names = ("haematogones_1", "haematogones_2", "haematogones_3", "t_nk")
    population = np.repeat(np.arange(4), [*counts, 60_000 - sum(counts)])
    return cast(CandidateCells, SimpleNamespace(populations=names, population=population, denominator=60_000))


def stage(knot: int) -> Mixture:
    mean = np.array([MATURATION[marker][knot] for marker in FEATURES])
    return Mixture(np.ones(1), mean[None], np.eye(len(FEATURES))[None])


ELSEWHERE = Mixture(np.ones(1), (NORMAL[Code.T_NK].mean[INDEX] + 1.5)[None], np.eye(len(FEATURES))[None])
PARTS = [(one.mean, one.covariance) for one in (stage(2), ELSEWHERE)]


BESIDE = Mixture(np.array([0.97, 0.03]), *(np.concatenate(both) for both in zip(*PARTS, strict=True)))
"""Haematogones and, as a second component, a leukaemia beside them."""


@pytest.mark.parametrize("counts", [SPECTRUM, HALTED, (0, 0, 0)])
def test_only_the_whole_spectrum_is_regeneration(counts: tuple[int, int, int]) -> None:
    assert has_all_stages(tube(counts)) is (counts == SPECTRUM)
    assert (regenerating_part(stage(2), 0.05, CELLS, tube(counts)) is not None) is (counts == SPECTRUM)


def test_more_cells_than_regenerating_marrow_ever_has_or_cells_that_lie_elsewhere_are_no_regeneration() -> None:
    assert regenerating_part(stage(2), 0.5, CELLS, tube(SPECTRUM)) is None
    assert regenerating_part(ELSEWHERE, 0.05, CELLS, tube(SPECTRUM)) is None


def test_a_leukaemia_beside_regenerating_cells_is_no_part_of_them_unless_it_is_a_heavy_burden() -> None:
    part = regenerating_part(BESIDE, 0.04, CELLS, tube(SPECTRUM))
    assert part is not None
    np.testing.assert_allclose(part.weight, [0.97 * 0.04])
    np.testing.assert_allclose(part.mean, stage(2).mean)
    half = Mixture(np.array([0.5, 0.5]), BESIDE.mean, BESIDE.covariance)
    assert regenerating_part(half, 0.04, CELLS, tube(SPECTRUM)) is None, "2 % are counted whole"


REGENERATING = (0.7, 2.2, 2.9, 1.5, 2.1)
"""Signals of precursors that the controls of the small marrows lack."""


@pytest.mark.parametrize("blasts", [0, 60])
def test_regenerating_cells_are_a_question_and_a_leukaemia_beside_them_is_counted_alone(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, blasts: int
) -> None:
    bare, truth = marrow("fu", 81, blasts=blasts)
    rng = np.random.default_rng(3)
    rows = np.flatnonzero(~truth & (rng.random(bare.n) < 0.04))
    values, window = bare.values.copy(), bare.window.copy()
    values[rows] = rng.normal(REGENERATING, 0.2, (len(rows), len(REGENERATING)))
    window[rows] = True
    place = Mixture(np.full(1, 0.04), np.array(REGENERATING)[None], 0.2**2 * np.eye(len(REGENERATING))[None])
    monkeypatch.setattr("flowmrd.classifier.searched_tube.regenerating_part", lambda *_: place)
    full = replace(bare, values=values, window=window)
    result = classify_tube(full, reference, laip=None, library=None, parameters=PARAMETERS)
    assert not result.mrd[rows].any()
    assert (result.mrd & truth).sum() >= 0.9 * blasts
    assert (result.mrd & ~truth).sum() <= 3
    (asked,) = [group for group in result.uncounted if group.why == "like_precursors"]
    assert asked.events == pytest.approx(len(rows), rel=0.1)
    assert result.group is not None
    (number,) = {int(n) for n in np.unique(result.group[rows]) if np.mean(result.group[rows] == n) > 0.5}
    assert np.mean(result.group[rows] == number) > 0.9


@pytest.mark.parametrize("counts", [SPECTRUM, HALTED])
def test_a_phenotype_lies_among_the_stages_if_all_of_it_does_and_the_marrow_holds_all(
    counts: tuple[int, int, int],
) -> None:
    assert is_among_stages(stage(1), 0.01, CELLS, tube(counts)) is (counts == SPECTRUM)
    assert not is_among_stages(BESIDE, 0.01, CELLS, tube(counts))


@pytest.mark.parametrize(("unusual", "among"), [(True, True), (True, False), (False, True)])
def test_a_match_that_moved_far_onto_the_stages_of_a_regenerating_marrow_is_a_question(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, unusual: bool, among: bool
) -> None:
    laip = find_laip("p1", marrow("dx", 60, blasts=3_000)[0], reference, min_cells=100, parameters=PARAMETERS)
    followup, truth = marrow("fu", 62, blasts=60)
    module = "flowmrd.classifier.searched_tube"
    monkeypatch.setattr(f"{module}.is_unusual_shift", lambda *_: unusual)
    monkeypatch.setattr(f"{module}.is_among_stages", lambda *_: among)
    result = classify_tube(followup, reference, laip=laip, library=None, parameters=PARAMETERS)
    asked = [group.why for group in result.uncounted if group.why == "regenerating"]
    assert asked == (["regenerating"] if unusual and among else [])
    assert result.group is not None
    assert np.count_nonzero(result.group[truth] >= 0) >= 54
    assert bool(result.mrd.any()) is not (unusual and among)

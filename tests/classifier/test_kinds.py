"""Kinds of leukaemia that are spiked into a tube without a diagnosis tube."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier.blast_prior import blast_prior, ends_of_blasts
from flowmrd.classifier.classification import SpikeStep
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.judge_tube import lossy_steps
from flowmrd.classifier.leukaemia_kinds import (
    expected_gain,
    kinds_of_leukaemia,
    kinds_of_prior,
    representative_kinds,
)
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import find_laip
from flowmrd.classifier.phenotype import phenotype_in_words
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.classifier.window_cells import WindowCells, tube_cells

PARAMETERS = ClassifierParameters(target=2e-3, replicates=2)
DRAWN = PARAMETERS.spike_kinds_nearest + PARAMETERS.spike_kinds
"""Kinds that stand for those drawn from the prior."""


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(4)], parameters=ClassifierParameters(seed=1))


def cells_of(reference: ReferenceModel, seed: int) -> WindowCells:
    tube, _ = marrow("tube", seed)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    return tube_cells(tube, np.flatnonzero(tube.window), fitted, reference.model, PARAMETERS)


def test_the_kinds_spread_evenly_over_the_prior_and_are_the_same_for_every_tube(reference: ReferenceModel) -> None:
    search = SearchedPhenotypes(None, Library(()), PARAMETERS)
    first, second = (cells_of(reference, seed) for seed in (80, 81))
    centres = []
    for cells in (first, second):
        kinds = kinds_of_leukaemia(search, cells)[:DRAWN]
        assert [kind.source for kind in kinds] == ["simulated"] * DRAWN
        centres.append(np.array([kind.mixture.mean[0] - cells.shift for kind in kinds]))
    np.testing.assert_allclose(centres[0], centres[1], atol=1e-9)
    prior = blast_prior(FEATURES, reference.model.normal_b, PARAMETERS)
    everyone = kinds_of_prior(FEATURES, reference.model.normal_b, PARAMETERS, 40)
    everywhere = np.array([kind.mixture.mean[0] for kind in everyone])
    np.testing.assert_allclose(everywhere.mean(axis=0), prior.mean[0], atol=0.12)
    assert all(len(set(np.round(column, 6))) == 40 for column in everywhere.T)


def test_no_kind_is_brighter_or_dimmer_than_any_real_leukaemia(reference: ReferenceModel) -> None:
    """A kind of CD10 beyond the range of the detector took the answer of every tube."""
    drawn = kinds_of_prior(FEATURES, reference.model.normal_b, PARAMETERS, 160)
    shifts = np.array([kind.mixture.mean[0] for kind in drawn]) - reference.model.normal_b
    dimmest, brightest = ends_of_blasts(FEATURES)
    assert (shifts >= dimmest).all() and (shifts <= brightest).all()
    assert np.ptp(shifts, axis=0) == pytest.approx(brightest - dimmest, rel=0.15), "but up to there they reach"


def test_kinds_near_normal_cells_are_each_tried_and_the_others_stand_for_the_rest(reference: ReferenceModel) -> None:
    """Every drawn kind counts once: a near one for itself, another for its part of the kinds by their distance."""
    kinds = representative_kinds(reference.model, PARAMETERS)
    near, others = kinds[: PARAMETERS.spike_kinds_nearest], kinds[PARAMETERS.spike_kinds_nearest :]
    assert len(others) == PARAMETERS.spike_kinds
    one = 1 / PARAMETERS.spike_kinds_drawn
    assert [kind.share for kind in near] == pytest.approx([one] * len(near))
    stands_for = [round(kind.share / one) for kind in others]
    assert sum(stands_for) == PARAMETERS.spike_kinds_drawn - PARAMETERS.spike_kinds_nearest
    assert max(kind.share for kind in kinds) < 0.05, "no kind takes an answer that needs nine tenths by itself"
    gains = [expected_gain(kind.mixture, reference.model, PARAMETERS) for kind in kinds]
    assert gains == sorted(gains)
    few = representative_kinds(reference.model, replace(PARAMETERS, spike_kinds_drawn=12))
    assert [kind.share for kind in few] == pytest.approx([1 / 12] * 12), "all are tried where few are drawn"


def test_cells_of_a_kind_lie_where_the_kind_does_but_for_its_drift(reference: ReferenceModel) -> None:
    kind = kinds_of_leukaemia(SearchedPhenotypes(None, Library(()), PARAMETERS), cells_of(reference, 82))[0]
    drawn = kind.draw(4_000, np.random.default_rng(1), 0.0)
    np.testing.assert_allclose(drawn.mean(axis=0), kind.mixture.mean[0], atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), kind.mixture.covariance[0], atol=0.05)
    assert kind.draw(0, np.random.default_rng(1), 0.15).shape == (0, len(FEATURES))


def test_without_a_diagnosis_tube_every_kind_is_tried_and_a_kind_like_precursors_is_not_counted(
    reference: ReferenceModel,
) -> None:
    result = classify_tube(marrow("fu", 83)[0], reference, laip=None, library=None, parameters=PARAMETERS)
    spike = result.spike_in
    assert spike is not None
    assert len(spike.kinds) == spike.replicates == DRAWN + 5
    assert max(kind.share for kind in spike.kinds) < 0.05, "no kind takes an answer that needs nine tenths by itself"
    assert sum(kind.share for kind in spike.kinds) == pytest.approx(1.0)
    assert spike.source == "simulated"
    assert all(kind.recovered <= kind.noticed <= kind.spiked for kind in spike.kinds)
    assert [kind.recovered for kind in spike.kinds] == list(spike.recovered_counts)
    found = [max(kind.recovered, kind.noticed) >= PARAMETERS.detect_events for kind in spike.kinds]
    assert spike.detected_replicates == sum(found)
    share = sum(kind.share for kind, hit in zip(spike.kinds, found, strict=True) if hit)
    assert spike.detected == (round(share, 6) >= 0.9)
    by_share = sum(kind.share * kind.recovered for kind in spike.kinds)
    assert spike.recovered == pytest.approx(by_share), "kinds near normal cells are tried more often than their share"


def test_kinds_that_the_classifier_misses_are_no_loss_of_a_gate_or_mask(reference: ReferenceModel) -> None:
    result = classify_tube(marrow("fu", 83)[0], reference, laip=None, library=None, parameters=PARAMETERS)
    assert result.spike_in is not None
    half = tuple(SpikeStep(step, 100, 50) for step in ("window", "counted"))
    tried = replace(result.spike_in, steps=half)
    (told,) = lossy_steps(tried, PARAMETERS)
    assert "B-lineage window" in told.message
    assert len(lossy_steps(replace(tried, kinds=()), PARAMETERS)) == 2


def test_leukaemias_in_the_place_of_haematogones_are_tried_in_their_true_share_and_as_near_as_they_come(
    reference: ReferenceModel,
) -> None:
    cells = cells_of(reference, 85)
    near = kinds_of_leukaemia(SearchedPhenotypes(None, Library(()), PARAMETERS), cells)[DRAWN:]
    assert sum(kind.share for kind in near) == pytest.approx(35 / 332)
    assert np.array_equal(near[0].mixture.mean, near[1].mixture.mean), "the commonest is tried with two drifts"
    normal = reference.model.normal_b + cells.shift
    for usual, nearer in (near[1:3], near[3:]):
        distance, shorter = (np.abs(kind.mixture.mean[0] - normal) for kind in (usual, nearer))
        assert (shorter <= distance + 1e-9).all()
        assert nearer.share < 0.25 * usual.share


def test_the_spike_in_tries_the_phenotypes_of_the_library(reference: ReferenceModel) -> None:
    laip = find_laip("p", marrow("dx", 50, blasts=12_000)[0], reference, min_cells=200, parameters=PARAMETERS)
    assert laip is not None
    cells = cells_of(reference, 84)
    many = Library((laip,) * (PARAMETERS.spike_kinds + 2))
    kinds = kinds_of_leukaemia(SearchedPhenotypes(None, many, PARAMETERS), cells)
    assert len(kinds) == PARAMETERS.spike_kinds
    assert {kind.source for kind in kinds} == {"library"}
    few = kinds_of_leukaemia(SearchedPhenotypes(None, Library((laip,) * 2), PARAMETERS), cells)
    assert {kind.source for kind in few} == {"simulated"}
    own = kinds_of_leukaemia(SearchedPhenotypes(laip, Library(()), PARAMETERS), cells)
    np.testing.assert_allclose(own[1].mixture.mean - own[0].mixture.mean, (cells.shift - laip.staining)[None])


def test_a_kind_is_told_in_the_markers_of_the_field(reference: ReferenceModel) -> None:
    words = phenotype_in_words(np.array([0.8, 3.1, 3.3, 0.7, 1.6]), FEATURES, reference)
    assert words == "CD19+ CD10+ CD34-"

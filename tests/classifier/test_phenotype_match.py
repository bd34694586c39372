"""Where a patient's phenotype lies at follow-up, and when cells that match it count."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from group_cells import PARAMETERS, cells_of

from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.found_groups import (
    _matched,
)
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.phenotype_match import forms_group, stretched_match
from flowmrd.classifier.phenotype_score import PhenotypeFit, fit_phenotype


def test_cells_two_decades_off_are_not_the_patients_phenotype() -> None:
    rng = np.random.default_rng(5)
    phenotype = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    drift = 0.22**2 * np.eye(2)
    for offset, found in ((0.5, True), (2.0, False)):
        cells = rng.normal([2.0, 3.0 - offset], 0.2, (400, 2)).astype(np.float32)
        fit = fit_phenotype(phenotype, drift, cells, np.full(400, -40.0), 400_000, PARAMETERS)
        assert (fit.log_likelihood_gain > 100) is found
        assert (fit.score > 4).any() == found


def test_a_fit_to_thinned_cells_is_that_to_all_and_of_a_rare_group_no_cell_is_left_out() -> None:
    rng = np.random.default_rng(8)
    phenotype = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    drift = 0.22**2 * np.eye(2)
    leukaemia, normal = rng.normal([2.1, 2.8], 0.2, (60_000, 2)), rng.normal([2.0, 3.9], 0.2, (60_000, 2))
    for n, exact in ((60_000, False), (30, True)):
        cells = np.concatenate([normal, leukaemia[:n]]).astype(np.float32)
        log_normal = np.concatenate([np.full(60_000, -1.0), np.full(n, -12.0)])
        fits = []
        for most in (20_000, 1_000_000):
            parameters = replace(PARAMETERS, match_cells=most)
            fits.append(fit_phenotype(phenotype, drift, cells, log_normal, 400_000, parameters))
        some, every = fits
        assert every.log_likelihood_gain > PARAMETERS.match_gain
        assert some.shift == pytest.approx(every.shift, abs=0.0 if exact else 0.01)
        assert some.share == pytest.approx(every.share, rel=0.0 if exact else 0.01)
        assert some.log_likelihood_gain == pytest.approx(every.log_likelihood_gain, rel=0.0 if exact else 0.01)


def test_a_diffuse_group_that_the_phenotype_overlaps_is_no_cluster(reference: ReferenceModel) -> None:
    rng = np.random.default_rng(6)
    cells, _ = cells_of(reference, 74, 0)
    phenotype = Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None])
    drift = 0.22**2 * np.eye(5)
    for sd, expected in ((0.2, True), (0.5, False)):
        group = rng.normal(2.0, sd, (200, 5)).astype(np.float32)
        alone = replace(cells, values=group, log_normal=np.full(200, -25.0))
        fit = fit_phenotype(phenotype, drift, alone.values, alone.log_normal, alone.denominator, PARAMETERS)
        assert forms_group(fit, alone, 4.0) is expected


def test_a_match_beyond_the_drift_of_one_patient_must_stand_out_and_is_else_a_doubt(reference: ReferenceModel) -> None:
    rng = np.random.default_rng(6)
    cells, _ = cells_of(reference, 74, 0)
    group = rng.normal(2.0, 0.2, (200, 5)).astype(np.float32)
    score = np.full(200, 9.3)
    near = PhenotypeFit(
        Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None]), np.zeros(5), 1e-3, 300.0, score
    )
    cells = replace(cells, values=group, log_normal=np.full(200, -25.0), denominator=200_000)
    assert forms_group(near, cells, 4.0) and not stretched_match(near, cells, 4.0)
    far = replace(near, strain=40.0)
    assert not forms_group(far, cells, 4.0) and stretched_match(far, cells, 4.0)
    distinct = replace(far, score=np.full(200, 14.0))
    assert forms_group(distinct, cells, 4.0) and not stretched_match(distinct, cells, 4.0)


@pytest.mark.parametrize(("strain", "known", "counted"), [(40.0, True, 0), (40.0, False, 1), (5.0, True, 1)])
def test_a_phenotype_that_moved_far_onto_a_normal_population_is_a_question(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, strain: float, known: bool, counted: int
) -> None:
    group = np.random.default_rng(6).normal(2.0, 0.2, (200, 5)).astype(np.float32)
    cells = replace(
        cells_of(reference, 74, 0)[0], values=group, log_normal=np.full(200, -25.0), denominator=200_000, anchors={}
    )
    place = Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None])
    fit = PhenotypeFit(place, np.zeros(5), 1e-3, 300.0, np.full(200, 14.0), strain=strain)
    calibration = cast(Calibration, SimpleNamespace(nearby=[], alone_shifts=[]))
    monkeypatch.setattr("flowmrd.classifier.match_judgement.lies_without_leukaemia", lambda *_: known)
    found = _matched([fit], cells, calibration)
    assert len(found.counted) == counted
    assert [group.why for group in found.uncounted] == ["stretched"] * (1 - counted)

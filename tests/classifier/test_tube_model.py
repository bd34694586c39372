"""The normal cells of one tube beside leukaemia, and after a therapy that hides a marker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_cells import PARAMETERS, cells_of
from laip_marrow import FEATURES, marrow

from flowmrd.classifier.mixture import log_density
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.tube_model import bounded, drug_masked_normals, fit_tube


def test_cells_put_into_a_tube_are_seen_beside_its_populations_in_their_usual_place_too(
    reference: ReferenceModel,
) -> None:
    cells, truth = cells_of(reference, 70, 30)
    usual = cells.model.mixture.shifted(np.full(len(FEATURES), 0.1))
    moved = replace(cells.model, shrunken=usual)
    beside = log_density(usual, cells.values, degrees=PARAMETERS.tail_degrees).astype(np.float32)
    strained = replace(cells, model=moved, log_normal_shrunken=beside)
    spiked = strained.joined(cells.values[truth]).shrunken
    assert spiked is not None
    np.testing.assert_allclose(spiked.log_normal, np.concatenate([beside, beside[truth]]), rtol=1e-5)
    assert cells.joined(cells.values[truth]).shrunken is None


def test_a_population_cannot_widen_onto_leukaemia() -> None:
    base = np.diag([0.04, 0.09])[None]
    wide = np.array([[[1.0, 0.2], [0.2, 0.09]]])
    held = bounded(wide, base, PARAMETERS)
    assert np.sqrt(held[0, 0, 0]) == pytest.approx(PARAMETERS.widest_population * 0.2)
    assert held[0, 1, 1] == pytest.approx(0.09)
    assert np.linalg.det(held[0]) > 0


def test_normal_cells_with_a_hidden_marker_are_expected_after_the_therapy_that_hides_it(
    reference: ReferenceModel,
) -> None:
    """A precursor's CD10 anywhere between its own level, 2.6, and that of cells without it."""
    model = reference.model
    masked = drug_masked_normals(model, np.zeros(5), frozenset({"CD10"}), PARAMETERS)
    assert masked is not None
    assert drug_masked_normals(model, np.zeros(5), frozenset(), PARAMETERS) is None
    hidden = np.array([[0.6, 2.7, at, 0.8, 2.5] for at in (1.8, 1.5, 1.0)])
    assert (log_density(masked, hidden) > log_density(model.mixture, hidden) + 3.0).all()
    leukaemic = np.array([[0.8, 3.1, 1.6, 2.6, 1.6]])
    assert log_density(masked, leukaemic)[0] < log_density(masked, hidden).min() - 20.0
    tube, _ = marrow("tube", 76)
    plain, aware = (fit_tube(model, tube, PARAMETERS, unreliable=u) for u in (frozenset[str](), frozenset({"CD10"})))
    assert aware.mixture.k == plain.mixture.k + masked.k
    assert (aware.log_density(hidden, PARAMETERS) > plain.log_density(hidden, PARAMETERS)).all()

"""Abundance outliers: groups that are leukaemia by their number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from group_cells import PARAMETERS
from laip_marrow import marrow

from flowmrd.classifier.abundance_outliers import abundance_outliers
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.tube_model import fit_tube


def test_a_third_of_the_marrow_where_controls_hold_little_is_abundance_outliers(reference: ReferenceModel) -> None:
    tube, truth = marrow("dx", 72, blasts=15_000)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    inside = np.flatnonzero(tube.window)
    x = tube.values[inside].astype(np.float64)
    found = abundance_outliers(x, 1 / tube.n, fitted.shift, reference, reference.features, PARAMETERS)
    assert found[truth[inside]].mean() > 0.95
    assert found[~truth[inside]].mean() < 0.05
    clean, _ = marrow("clean", 73)
    inside = np.flatnonzero(clean.window)
    x = clean.values[inside].astype(np.float64)
    shift = fit_tube(reference.model, clean, PARAMETERS).shift
    assert not abundance_outliers(x, 1 / clean.n, shift, reference, reference.features, PARAMETERS).any()


def test_the_tubes_own_mature_b_cells_are_no_outliers_beside_leukaemia_where_its_staining_is_known_badly(
    reference: ReferenceModel,
) -> None:
    """A seventh of the marrow are mature B cells; the controls' lie 1.2 decades from where this tube has them."""
    tube, truth = marrow("dx", 72, blasts=15_000)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    inside = np.flatnonzero(tube.window)
    x, blasts = tube.values[inside].astype(np.float64), truth[inside]
    wrong = fitted.shift + np.array([0.0, 0.0, 0.0, 0.0, 1.2])
    named = replace(reference, stage_names=("mature_b",), stage_centres=np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]))
    alone = abundance_outliers(x, 1 / tube.n, wrong, named, named.features, PARAMETERS)
    mature = ~blasts & (np.abs(x - [0.6, 2.9, 0.8, 0.7, 3.3]).max(axis=1) < 0.8)
    assert alone[mature].mean() > 0.9, "the case this is about"
    beside = abundance_outliers(x, 1 / tube.n, wrong, named, named.features, PARAMETERS, blasts)
    assert beside[mature].mean() < 0.05
    assert beside[blasts].mean() > 0.95
    by_number = abundance_outliers(x, 1 / tube.n, wrong, named, named.features, PARAMETERS, np.zeros_like(blasts))
    assert by_number[mature].mean() < 0.05, "no value is odd: leukaemia without CD19, or twice as large"
    assert by_number[blasts].mean() > 0.95

"""Compact groups of atypical cells: what grows into one, and how large it may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_cells import PARAMETERS, cells_of
from laip_marrow import FEATURES

from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.compact_groups import compact, search_groups
from flowmrd.classifier.mixture import Mixture, log_density
from flowmrd.classifier.normal_reference import ReferenceModel


def test_thirty_blasts_in_thirty_thousand_cells_form_the_best_group(reference: ReferenceModel) -> None:
    cells, truth = cells_of(reference, 70, 30)
    best = max(cells.compact_groups(), key=lambda found: found.log_likelihood_gain)
    assert best.events == pytest.approx(truth.sum(), rel=0.2)
    assert np.abs(best.mixture.mean[0] - cells.values[truth].mean(axis=0)).max() < 0.2


def test_a_group_stays_as_compact_as_leukaemias_are() -> None:
    shape = cluster_shape(FEATURES)
    typical = np.sqrt(np.diagonal(shape))
    held = compact(np.diag(np.array([9.0, 4.0, 1.0, 1.0, 1.0]) * typical**2), shape, PARAMETERS)
    ratio = np.sqrt(np.diagonal(held)) / typical
    assert ratio.max() <= PARAMETERS.group_width_most + 1e-9
    assert np.exp(np.log(ratio).mean()) <= PARAMETERS.group_size_most + 1e-9
    assert compact(shape, shape, PARAMETERS) == pytest.approx(shape)


def test_a_group_claims_no_cells_that_normal_ones_explain_nearly_as_well() -> None:
    """``group_margin``: every cell is e^1.5 as likely in the group as in normal marrow, so part of them stays normal.

    Of the cells that such a group could hold it keeps 1 - exp(-(1.5 - margin)): the share at which EM stands still.
    """
    shape, number, cells = cluster_shape(FEATURES), 400, 100_000
    x = np.random.default_rng(8).multivariate_normal(np.zeros(len(FEATURES)), shape, number).astype(np.float32)
    own = Mixture(np.ones(1), np.zeros((1, len(FEATURES))), shape[None])
    log_normal = log_density(own, x, degrees=PARAMETERS.blast_tail_degrees) + np.log(number / cells) - 1.5
    (best, *_) = search_groups(x, log_normal, cells, own, shape, PARAMETERS)
    assert 0.25 < best.events / number < 0.55


def test_leukaemia_odd_in_one_marker_is_plausible_and_in_two_is_less() -> None:
    prior = blast_prior(FEATURES, np.array([0.6, 2.9, 0.8, 0.7, 3.3]), PARAMETERS)
    sd = np.sqrt(np.diagonal(prior.covariance[0]))
    one, two = prior.mean[0].copy(), prior.mean[0].copy()
    one[1] -= 6 * sd[1]
    two[[1, 2]] -= 6 * sd[[1, 2]]
    centre, odd, odder = log_density(prior, np.array([prior.mean[0], one, two]))
    assert centre - odd < 8.0
    assert odd - odder > 8.0


def test_a_leukaemia_a_decade_from_where_leukaemias_lie_in_one_marker_is_a_group() -> None:
    rng = np.random.default_rng(9)
    features = ("CD20", "CD10", "CD45", "CD34", "SYTO41", "CD19", "CD38")
    normal_b, shape = np.full(7, 3.0), cluster_shape(features)
    prior = blast_prior(features, normal_b, PARAMETERS)
    centre = prior.mean[0] + np.array([0.9, -0.9, 0.5, -0.9, -1.6, 0.0, 0.0])
    cells = rng.multivariate_normal(centre, shape, 240).astype(np.float32)
    log_normal = np.full(240, -11.0)
    found = search_groups(cells, log_normal, 300_000, prior, shape, PARAMETERS)
    assert found and found[0].events > 120
    assert np.abs(found[0].mixture.mean[0] - centre).max() < 0.15
    by_prior = search_groups(cells, log_normal, 300_000, prior, shape, replace(PARAMETERS, seeds_odd=0))
    assert not by_prior or by_prior[0].events < 100, "where the prior alone says which cells are looked at"

"""Short ways of computing a mixture give what the long ones give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from flowmrd.classifier.marker_staining import MembershipsByOthers, memberships_by
from flowmrd.classifier.mixture import Mixture, chi2_quantile, component_log_density, em_step, log_sum, products
from flowmrd.classifier.parameters import ClassifierParameters


@pytest.mark.parametrize("probability", [0.025, 0.5, 0.975, 0.999])
@pytest.mark.parametrize("degrees", [1, 2.5, 9, 400])
def test_chi_squared_quantile_is_that_of_scipy(probability: float, degrees: float) -> None:
    assert chi2_quantile(probability, degrees) == pytest.approx(chi2.ppf(probability, degrees), rel=1e-12)


def _some_mixture(rng: np.random.Generator, k: int, d: int) -> Mixture:
    factors = rng.normal(size=(k, d, d))
    return Mixture(rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), factors @ factors.transpose(0, 2, 1) + np.eye(d))


def test_one_em_step_is_bayes_rule_and_weighted_moments_also_beside_a_fixed_density() -> None:
    rng = np.random.default_rng(3)
    mixture, x = _some_mixture(rng, 3, 4), rng.normal(size=(2_500, 4))
    weight, fixed = rng.uniform(0.5, 2.0, len(x)), rng.normal(-8.0, 1.0, (1, len(x)))
    centre = x.mean(axis=0)
    step = em_step(mixture.with_share(0.7), products(x, centre), centre, weight, fixed)
    odds = np.concatenate([component_log_density(mixture, x) + np.log(0.7), fixed.T], axis=1)
    member = np.exp(odds - log_sum(odds)[:, None]) * weight[:, None]
    assert np.allclose(step.log_density, log_sum(odds))
    assert np.allclose(step.beside, member[:, 3:].sum(axis=0))
    for k in range(3):
        assert np.allclose(step.moments.mean[k], np.average(x, axis=0, weights=member[:, k]))
        assert np.allclose(step.moments.covariance[k], np.cov(x.T, aweights=member[:, k], ddof=0))


def test_memberships_by_all_markers_but_one_are_those_of_the_marginal_mixture() -> None:
    rng = np.random.default_rng(4)
    mixture, x, parameters = _some_mixture(rng, 5, 4), rng.normal(size=(300, 4)), ClassifierParameters()
    by_others = MembershipsByOthers((mixture,), x, parameters)
    for left_out in range(4):
        columns = [j for j in range(4) if j != left_out]
        assert np.allclose(by_others.of(left_out), memberships_by((mixture,), x, columns, parameters))

"""The error rate of a group."""

from __future__ import annotations

import numpy as np
import pytest

from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.false_groups import FalseGroups
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.parameters import ClassifierParameters

PARAMETERS = ClassifierParameters()
CELLS = PARAMETERS.standard_cells
LEAST = PARAMETERS.gain_per_event_atypical


def group(gain: float, per_event: float) -> CompactGroup:
    return CompactGroup(Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None]), 1e-4, gain, gain / per_event)


def test_the_rate_falls_with_gain_and_with_gain_per_event() -> None:
    prior = FalseGroups.of_development(PARAMETERS)
    rates = [prior.expected(gain, 99.0, CELLS, PARAMETERS) for gain in (10.0, 25.0, 100.0, 1000.0)]
    assert prior.expected(10.0, LEAST, CELLS, PARAMETERS) == pytest.approx(PARAMETERS.prior_groups_per_tube)
    assert rates == sorted(rates, reverse=True)
    pure = [prior.expected(1e6, per_event, CELLS, PARAMETERS) for per_event in (LEAST, 2.5, 4.0, 8.0)]
    assert pure == sorted(pure, reverse=True)


def test_a_group_must_be_unusual_in_both_numbers_or_very_unusual_in_one() -> None:
    """A group of 400 at the usual gain per event is no question, one of 4,000 is; both tails count together."""
    prior = FalseGroups.of_development(PARAMETERS)
    small, large, largest = (prior.expected(gain, LEAST, CELLS, PARAMETERS) for gain in (30.0, 400.0, 4000.0))
    assert small > large > PARAMETERS.false_groups_atypical > largest
    purer = prior.expected(400.0, 2.6, CELLS, PARAMETERS)
    assert purer < PARAMETERS.false_groups_atypical


def test_controls_with_many_groups_raise_the_rate_and_clean_ones_lower_it() -> None:
    prior = FalseGroups.of_development(PARAMETERS)
    dirty = sum((FalseGroups.of_tube([group(300.0, 3.0)], CELLS, PARAMETERS) for _ in range(7)), prior)
    clean = sum((FalseGroups.of_tube([], CELLS, PARAMETERS) for _ in range(7)), prior)
    odd = (200.0, 4.0)
    assert dirty.expected(*odd, CELLS, PARAMETERS) > prior.expected(*odd, CELLS, PARAMETERS)
    assert clean.expected(*odd, CELLS, PARAMETERS) < prior.expected(*odd, CELLS, PARAMETERS)


def test_gains_are_compared_at_one_size_of_tube() -> None:
    prior = FalseGroups.of_development(PARAMETERS)
    half = prior.expected(100.0, 8.0, CELLS // 2, PARAMETERS)
    assert half == pytest.approx(prior.expected(200.0, 8.0, CELLS, PARAMETERS))


def test_as_many_groups_lie_below_an_error_rate_as_it_says() -> None:
    """Groups drawn from the model: the expected number agrees with the number seen, within chance."""
    rng = np.random.default_rng(3)
    learn, test = 2_000, 8_000

    def draw(tubes: int) -> list[list[CompactGroup]]:
        out = []
        for _ in range(tubes):
            number = rng.poisson(0.3)
            gains = 20.0 * np.exp(rng.exponential(1.5, number))
            purity = LEAST + rng.exponential(0.6, number)
            out.append([group(float(g), float(p)) for g, p in zip(gains, purity, strict=True)])
        return out

    known = sum((FalseGroups.of_tube(own, CELLS, PARAMETERS) for own in draw(learn)), FalseGroups())
    drawn = [
        known.expected(one.log_likelihood_gain, one.gain_per_event, CELLS, PARAMETERS)
        for own in draw(test)
        for one in own
    ]
    for limit in (0.02, 0.05, 0.1):
        assert sum(rate < limit for rate in drawn) / test == pytest.approx(limit, rel=0.2)

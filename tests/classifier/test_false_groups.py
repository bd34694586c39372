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


def test_a_large_group_of_cells_that_gain_little_each_is_as_likely_false_as_large_ones_are() -> None:
    """The smaller tail counts: gain per event alone does not make a group of two hundred doubtful cells common."""
    prior = FalseGroups.of_development(PARAMETERS)
    small, large = (prior.expected(gain, 1.5, CELLS, PARAMETERS) for gain in (30.0, 400.0))
    assert large < small
    assert large < PARAMETERS.false_groups_atypical


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


def test_the_tails_are_those_that_groups_were_drawn_from() -> None:
    """Groups drawn from the model: the expected number agrees with the number seen, within chance."""
    rng = np.random.default_rng(3)
    learn, test = 400, 4_000

    def draw(tubes: int) -> list[list[CompactGroup]]:
        out = []
        for _ in range(tubes):
            number = rng.poisson(0.3)
            gains = 20.0 * np.exp(rng.exponential(1.5, number))
            purity = LEAST + rng.exponential(0.6, number)
            out.append([group(float(g), float(p)) for g, p in zip(gains, purity, strict=True)])
        return out

    known = sum((FalseGroups.of_tube(own, CELLS, PARAMETERS) for own in draw(learn)), FalseGroups())
    drawn = [one for own in draw(test) for one in own]
    # With certainty in the other number, the tail of one number is what is left.
    by_gain = sum(one.log_likelihood_gain >= 60.0 for one in drawn) / test
    by_purity = sum(one.gain_per_event >= LEAST + 1.3 for one in drawn) / test
    assert known.expected(60.0, 99.0, CELLS, PARAMETERS) <= by_gain
    assert known.expected(60.0, LEAST, CELLS, PARAMETERS) == pytest.approx(by_gain, rel=0.25)
    assert known.expected(1e30, LEAST + 1.3, CELLS, PARAMETERS) <= by_purity
    assert known.expected(20.0, LEAST + 1.3, CELLS, PARAMETERS) == pytest.approx(by_purity, rel=0.25)

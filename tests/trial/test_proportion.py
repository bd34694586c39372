"""Exact binomial intervals against published and hand-computable values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.errors import InternalError
from flowmrd.mrd.limits import binomial_interval
from flowmrd.trial.proportion import proportion

# k, n, lower %, upper %, decimals of the source.
PUBLISHED = [
    (24, 30, 61.4, 92.3, 1, "ITCC-059, Haematologica PMC11443403"),
    (88, 109, 72, 88, 0, "INO-VATE CR/CRi"),
    (65, 164, 32.1, 47.6, 1, "INO-VATE transplant, PMC6618133"),
    (17, 162, 6.2, 16.3, 1, "INO-VATE transplant, PMC6618133"),
    (33, 34, 84.7, 99.9, 1, "Salama CLL network"),
]
COMPUTED = [
    (11, 12, 61.52, 99.79),
    (9, 12, 42.81, 94.51),
    (9, 11, 48.22, 97.72),
    (11, 13, 54.55, 98.08),
    (9, 13, 38.57, 90.91),
    (12, 12, 73.54, 100.0),
    (0, 12, 0.0, 26.46),
]


@pytest.mark.parametrize(("k", "n", "low", "high", "digits", "source"), PUBLISHED)
def test_published_exact_intervals_are_reproduced(
    k: int, n: int, low: float, high: float, digits: int, source: str
) -> None:
    found = binomial_interval(k, n)
    assert (round(100 * found[0], digits), round(100 * found[1], digits)) == (low, high), source


def test_inovate_mrd_interval_is_reproduced_up_to_its_double_rounding() -> None:
    # Published as 68 to 87 %: the exact upper limit is 86.47 %, which becomes 87 only through 86.5.
    low, high = binomial_interval(69, 88)
    assert (round(100 * low), round(round(100 * high, 1) + 1e-9)) == (68, 87)


@pytest.mark.parametrize(("k", "n", "low", "high"), COMPUTED)
def test_trial_intervals_are_those_of_the_design(k: int, n: int, low: float, high: float) -> None:
    found = binomial_interval(k, n)
    assert (round(100 * found[0], 2), round(100 * found[1], 2)) == (low, high)


def test_extreme_counts_have_their_closed_form_limit() -> None:
    # P(X = 0) = (1 - p)^n solved for p at 2.5 %.
    assert binomial_interval(0, 7)[1] == pytest.approx(1 - 0.025 ** (1 / 7), rel=1e-12)
    assert binomial_interval(7, 7)[0] == pytest.approx(0.025 ** (1 / 7), rel=1e-12)


def test_upper_limit_for_zero_events_stays_below_one_at_a_tiny_alpha() -> None:
    high = binomial_interval(0, 1000, confidence=1 - 1e-7)[1]
    assert high == pytest.approx(1 - (0.5e-7) ** (1 / 1000), rel=1e-6)


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_inverts_the_binomial_test_and_mirrors(case: tuple[int, int]) -> None:
    from scipy.stats import binom, binomtest

    k, n = case
    low, high = binomial_interval(k, n)
    expected = binomtest(k, n).proportion_ci(method="exact")
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)
    assert low <= k / n <= high
    if k > 0:
        assert binom.sf(k - 1, n, low) == pytest.approx(0.025, rel=1e-6)
    mirrored = binomial_interval(n - k, n)
    assert mirrored[0] == pytest.approx(1 - high, abs=1e-9)


def test_empty_population_has_no_percentage_and_no_interval() -> None:
    found = proportion("responders", 0, 0)
    assert found.percent is None
    assert found.ci95_percent is None


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(InternalError):
        binomial_interval(k, n)

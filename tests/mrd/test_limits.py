"""The limits arithmetic against published and independently computed numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from flowmrd.errors import InternalError
from flowmrd.mrd.limits import (
    binomial_interval,
    blank_threshold,
    events_needed,
    limits,
    may_hold,
    poisson_interval,
    quantification_count,
)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0, 3.69), (5, 1.62, 11.67), (10, 4.80, 18.39), (20, 12.22, 30.89), (30, 20.24, 42.83), (50, 37.11, 65.92)],
)
def test_poisson_interval_gives_the_tabulated_exact_limits(count: int, low: float, high: float) -> None:
    assert list(poisson_interval(count)) == pytest.approx([low, high], abs=0.006)


@given(st.integers(0, 5000), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_poisson_interval_inverts_the_poisson_tails(count: int, confidence: float) -> None:
    low, high = poisson_interval(count, confidence)
    tail = (1 - confidence) / 2
    assert stats.poisson.cdf(count, high) == pytest.approx(tail, rel=1e-6)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize(
    ("events", "needed"), [(10, 157_053), (20, 278_793), (30, 395_410), (40, 509_398), (50, 621_711)]
)
def test_events_needed_without_background_are_those_of_the_published_count_rules(events: int, needed: int) -> None:
    assert events_needed(1e-4, background=0.0, min_detect_events=events) == needed


@given(st.integers(0, 20), st.floats(0.05, 0.999))
def test_a_count_excludes_as_many_cells_as_a_detection_has_by_the_binomial_tail(count: int, part: float) -> None:
    chance = stats.binom.cdf(count, 20, part)
    assume(abs(chance - 0.05) > 1e-9)
    assert may_hold(count, 20, part) is bool(chance >= 0.05)


def test_two_hundred_thousand_events_find_one_in_ten_thousand_only_every_other_time() -> None:
    assert stats.poisson.sf(19, 200_000 * 1e-4) == pytest.approx(0.53, abs=0.005)
    assert limits(200_000, background=0).lod_nominal == pytest.approx(1e-4)
    assert limits(200_000, background=0).lod95 > 1e-4


def test_limits_without_background_are_27_88_and_62_17_events() -> None:
    found = limits(1_000_000, background=0)
    assert found.lod95 * 1e6 == pytest.approx(27.88, abs=0.005)
    assert found.loq * 1e6 == pytest.approx(62.17, abs=0.005)
    assert (found.lob_events, found.detect_events, found.quantify_events) == (0, 20, 50)


@pytest.mark.parametrize(
    ("background", "denominator", "threshold", "lod"),
    [(1e-5, 1_000_000, 20, 2.788e-5), (1e-5, 4_000_000, 52, 1.610e-5), (2e-5, 4_000_000, 96, 2.818e-5)],
)
def test_background_raises_the_detection_count_and_is_never_credited_to_the_tube(
    background: float, denominator: int, threshold: int, lod: float
) -> None:
    found = limits(denominator, background=background)
    assert found.detect_events == threshold
    assert found.lod95 == pytest.approx(lod, rel=1e-3)
    assert found.lod95 >= limits(denominator, background=0).lod95


@given(st.integers(10_000, 10_000_000), st.floats(0, 1e-4), st.floats(1.0, 10.0))
def test_a_dirtier_reference_never_looks_more_sensitive(denominator: int, background: float, dirtier: float) -> None:
    clean, dirty = limits(denominator, background=background), limits(denominator, background=background * dirtier)
    assert dirty.lod95 >= clean.lod95
    assert dirty.loq >= clean.loq
    assert dirty.detect_events >= clean.detect_events


def test_a_detection_is_quantified_from_fifty_events_or_two_and_a_half_times_the_detection_count() -> None:
    assert [quantification_count(n) for n in (10, 20, 21, 52)] == [50, 50, 53, 130]
    assert limits(4_000_000, background=1e-5).quantify_events == 130


@given(st.floats(1e-3, 5000), st.sampled_from([0.01, 0.05, 0.1]))
def test_blank_threshold_is_the_smallest_count_that_background_does_not_explain(mean: float, alpha: float) -> None:
    k = blank_threshold(mean, alpha)
    assert stats.poisson.sf(k - 1, mean) < alpha
    assert stats.poisson.sf(k - 2, mean) >= alpha


@given(st.integers(10_000, 10_000_000), st.floats(0, 1e-4))
def test_lod95_is_found_with_the_promised_power_and_nothing_smaller_is(denominator: int, background: float) -> None:
    found = limits(denominator, background=background)
    for rate, promise in ((found.lod95, True), (found.lod95 * 0.98, False)):
        power = stats.poisson.sf(found.detect_events - 1, denominator * rate)
        assert bool(power >= 0.95 - 1e-9) is promise


@settings(max_examples=50)
@given(st.floats(1e-7, 5e-5), st.floats(2e-5, 1e-3), st.floats(1.0, 20.0))
def test_acquiring_more_than_the_events_needed_never_undoes_the_sensitivity(
    background: float, target: float, more: float
) -> None:
    needed = events_needed(target, background=background)
    if needed is None:
        assert background > 0.9 * target
        return
    assert limits(needed, background=background).lod95 <= target
    assert limits(math.ceil(needed * more), background=background).lod95 <= target


def test_an_empty_tube_has_infinite_limits_not_a_division_by_zero() -> None:
    assert limits(0, background=1e-6).lod95 == math.inf


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(InternalError):
        poisson_interval(-1)
    with pytest.raises(InternalError):
        limits(-1, background=0)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(11, 12, 61.52, 99.79), (9, 12, 42.81, 94.51), (9, 11, 48.22, 97.72), (12, 12, 73.54, 100), (0, 12, 0, 26.46),
     (24, 30, 61.4, 92.3), (33, 34, 84.7, 99.9), (65, 164, 32.1, 47.6), (17, 162, 6.2, 16.3)],
)  # fmt: skip
def test_binomial_interval_reproduces_published_exact_intervals(k: int, n: int, low: float, high: float) -> None:
    assert list(binomial_interval(k, n)) == pytest.approx([low / 100, high / 100], abs=6e-4)

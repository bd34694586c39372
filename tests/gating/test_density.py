from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.gating.density import edge_of_peak, estimate_density, mode, two_normals, valley


def two_peaks(seed: int, low: float, high: float, sd: float, n: int, share: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    k = round(n * share)
    return np.concatenate([rng.normal(low, sd, n - k), rng.normal(high, sd, k)])


@given(seed=st.integers(0, 50), low=st.floats(0.15, 0.25), gap=st.floats(0.3, 0.5), share=st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_a_valley_between_two_separate_peaks_is_found_between_them(seed: Any, low: Any, gap: Any, share: Any) -> None:
    values = two_peaks(seed, low, low + gap, 0.04, 5000, share)
    found = valley(estimate_density(values), (0.1, 0.9))
    assert found is not None
    assert low + 0.05 < found < low + gap - 0.05


@given(seed=st.integers(0, 200), sd=st.floats(0.03, 0.15), n=st.integers(300, 20_000))
@settings(max_examples=60, deadline=None)
def test_one_normal_population_has_no_valley_within_four_standard_deviations(seed: Any, sd: Any, n: Any) -> None:
    values = np.random.default_rng(seed).normal(0.4, sd, n)
    assert valley(estimate_density(values), (0.4 - sd, 0.4 + sd)) is None


def test_the_edge_is_read_from_the_flank_that_holds_no_positive_cells() -> None:
    values = two_peaks(1, 0.25, 0.5, 0.05, 20_000, 0.2)
    edge = edge_of_peak(estimate_density(values), (0.3, 0.8), upper=True, n_sd=3)
    assert edge is not None
    # 20 % of positive cells move it by less than one standard deviation of the negative ones.
    assert 0.40 - 0.01 < edge < 0.40 + 0.05


def test_an_edge_never_leaves_its_bounds() -> None:
    values = np.random.default_rng(0).normal(0.2, 0.2, 3000)
    assert edge_of_peak(estimate_density(values), (0.3, 0.4), upper=True, n_sd=9) == 0.4


def test_two_normals_cross_where_they_are_equally_likely() -> None:
    values = two_peaks(3, 0.25, 0.65, 0.06, 20_000, 0.5)
    assert two_normals(estimate_density(values), (0.3, 0.6)) == pytest.approx(0.45, abs=0.02)


def test_two_normals_are_not_forced_on_one_population() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.05, 5000)
    assert two_normals(estimate_density(values), (0.2, 0.6)) is None


@pytest.mark.parametrize("values", [[], [np.nan] * 5, [0.5] * 400, [9.0] * 400])
def test_degenerate_values_give_no_valley_and_no_crash(values: Any) -> None:
    density = estimate_density(np.array(values, dtype=np.float32))
    assert valley(density, (0.2, 0.8)) is None
    assert two_normals(density, (0.2, 0.8)) is None
    edge_of_peak(density, (0.2, 0.8), upper=True, n_sd=3)
    assert (mode(density) is None) == (density.n == 0)


def test_a_stored_curve_has_at_most_a_hundred_points() -> None:
    places, heights = estimate_density(np.random.default_rng(0).uniform(-0.2, 1.2, 50_000)).curve()
    assert 10 < len(places) == len(heights) <= 100
    assert max(heights) <= 1.0

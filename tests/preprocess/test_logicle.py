"""The logicle scale against FlowKit, over the whole float range, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.errors import TransformError
from flowmrd.preprocess.transform import inverse_logicle, logicle

SCALES = [
    (262144.0, 4.5, 0.5, 0.0),
    (262144.0, 4.5, 0.0, 0.0),
    (262144.0, 4.5, 1.46, 0.0),
    (262144.0, 4.5, 2.25, 0.0),
    (1048576.0, 4.5, 0.9, 0.5),
    (10000.0, 4.0, 0.3, 0.0),
    (16777216.0, 5.5, 1.0, 0.0),
]


def every_size_of_float() -> np.ndarray:
    """float32 values of both signs from 1e-6 to the largest, more densely around 0."""
    rng = np.random.default_rng(5)
    sizes = np.exp(rng.uniform(np.log(1e-6), np.log(3.0e38), 20_000))
    near = rng.normal(0, 300, 20_000)
    values = np.concatenate([[0.0], sizes, -sizes, near, np.linspace(-3e5, 3e5, 4001)]).astype(np.float32)
    return values[np.isfinite(values)]


@pytest.mark.parametrize("scale", SCALES)
def test_table_agrees_with_flowkit_to_1e_5_over_the_whole_float_range(scale: tuple[float, float, float, float]) -> None:
    from flowutils import transforms

    T, M, W, A = scale
    values = every_size_of_float()
    theirs = transforms.logicle(values.astype(np.float64), None, T, M, W, A)
    # flowutils gives -1 where its iteration fails (next to 0 with W = 0); such values say nothing.
    sound = theirs != -1.0
    assert sound.mean() > 0.9
    ours = logicle(values, T, M, W, A)
    assert ours.dtype == np.float32
    assert np.abs(ours[sound] - theirs[sound]).max() < 1e-5


@pytest.mark.parametrize("scale", SCALES)
def test_table_agrees_with_the_solved_equation_where_flowkit_fails_too(
    scale: tuple[float, float, float, float],
) -> None:
    values = every_size_of_float()
    assert np.abs(logicle(values, *scale) - logicle(values.astype(np.float64), *scale)).max() < 3e-6


@pytest.mark.parametrize("scale", SCALES)
def test_inverse_returns_the_raw_value(scale: tuple[float, float, float, float]) -> None:
    values = every_size_of_float().astype(np.float64)
    back = inverse_logicle(logicle(values, *scale), *scale)
    assert np.allclose(back, values, rtol=1e-9, atol=1e-6)


def test_top_of_scale_is_one_and_zero_lies_at_its_published_place() -> None:
    y = logicle(np.array([262144.0, 0.0]), 262144.0, 4.5, 0.5, 0.0)
    # Moore & Parks 2012: x1 = (A + W) / (M + A).
    assert y == pytest.approx([1.0, 0.5 / 4.5], abs=1e-12)


def test_nan_and_infinity_become_nan_and_never_a_number() -> None:
    for dtype in (np.float32, np.float64):
        assert np.isnan(logicle(np.array([np.nan, np.inf, -np.inf], dtype=dtype))).all()


def test_scale_rises_with_the_value() -> None:
    values = np.sort(every_size_of_float())
    y = logicle(values, 262144.0, 4.5, 0.75, 0.0).astype(np.float64)
    assert np.diff(y).min() > -2e-6


@given(
    W=st.floats(0, 2.2),
    T=st.floats(1000, 1e7),
    values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=50),
)
@settings(max_examples=60, deadline=None)
def test_any_panel_parameters_round_trip(W: float, T: float, values: list[float]) -> None:
    raw = np.array(values)
    back = inverse_logicle(logicle(raw, T, 4.5, W, 0.0), T, 4.5, W, 0.0)
    assert np.allclose(back, raw, rtol=1e-6, atol=1e-3)


def test_shape_is_kept_and_the_input_is_not_changed() -> None:
    raw = np.array([[1.0, 2.0], [3.0, -4.0]], dtype=np.float32)
    before = raw.copy()
    assert logicle(raw).shape == raw.shape
    assert (raw == before).all()


@pytest.mark.parametrize(
    "bad", [(0.0, 4.5, 0.5, 0.0), (1e5, 4.5, 2.3, 0.0), (1e5, 4.5, -0.1, 0.0), (1e5, 4.5, 1.0, 3.0)]
)
def test_impossible_parameters_are_refused(bad: tuple[float, float, float, float]) -> None:
    with pytest.raises(TransformError, match="expected T > 0"):
        logicle(np.zeros(3), *bad)

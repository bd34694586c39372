"""Scales of one channel, and the rules that choose T and W."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flowmrd.errors import TransformError
from flowmrd.preprocess.transform import ChannelScale, choose_top, estimate_width, negative_reference, upper_value


def test_asinh_is_gatingml_fasinh_as_flowkit_computes_it() -> None:
    from flowkit import transforms

    T, cofactor = 262144.0, 150.0
    raw = np.array([-5000.0, 0.0, 3.0, 1e4, T])
    theirs = transforms.AsinhTransform(param_t=T, param_m=math.asinh(T / cofactor) / math.log(10), param_a=0).apply(raw)
    ours = ChannelScale("asinh", T=T, cofactor=cofactor).apply(raw.astype(np.float32))
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize("kind", ["logicle", "asinh", "linear"])
def test_every_kind_inverts_and_makes_non_finite_values_nan(kind: str) -> None:
    scale = ChannelScale(kind, T=262144.0)  # type: ignore[arg-type]
    raw = np.array([-200.0, 0.0, 5.0, 2e5], dtype=np.float32)
    assert np.allclose(scale.inverse(scale.apply(raw).astype(np.float64)), raw, rtol=1e-4, atol=0.05)
    assert np.isnan(scale.apply(np.array([np.nan, np.inf, -np.inf], dtype=np.float32))).all()


def test_a_scale_survives_its_record() -> None:
    scale = ChannelScale("logicle", T=1048576.0, W=0.31, T_source="file", W_source="controls")
    assert ChannelScale.from_record(scale.as_record()) == scale


def test_scaling_in_place_gives_the_same_numbers() -> None:
    raw = np.linspace(-1000, 3e5, 50_001).astype(np.float32)
    scale = ChannelScale("logicle", T=262144.0, W=0.8)
    apart = scale.apply(raw)
    assert (scale.apply(raw, out=raw) == apart).all()


def test_a_negative_top_is_refused() -> None:
    with pytest.raises(TransformError):
        ChannelScale("linear", T=-1.0)


@pytest.mark.parametrize(
    ("file_range", "upper", "expected"),
    [
        (262144.0, 2e5, (262144.0, "file")),
        (1048576.0, 9e5, (1048576.0, "file")),
        (1024.0, 900.0, (1024.0, "file")),
        (1024.0, 2e5, (262144.0, "ladder")),  # $PnR 1024 above 18-bit data
        (2147483647.0, 2e5, (262144.0, "ladder")),  # "no limit"
        (1e9, 3e6, (4194304.0, "ladder")),
        (None, 9e5, (1048576.0, "ladder")),
        (None, 3e7, (33554432.0, "ladder")),
        (float("nan"), 10.0, (262144.0, "ladder")),
    ],
)
def test_top_is_the_files_range_only_where_that_is_sound(
    file_range: float | None, upper: float, expected: tuple[float, str]
) -> None:
    assert choose_top(file_range, upper) == expected


def test_upper_value_ignores_the_last_thousandth_and_what_is_not_finite() -> None:
    values = np.arange(100_000, dtype=np.float32)
    values[-5:] = np.inf
    assert 99_800 < upper_value([values]) < 99_990
    assert upper_value([np.empty(0, dtype=np.float32)]) == 0.0


def test_width_follows_parks_2006() -> None:
    # W = (4.5 - log10(262144 / 100)) / 2
    assert estimate_width(-100.0, 262144.0, 4.5) == pytest.approx((4.5 - math.log10(2621.44)) / 2)
    assert estimate_width(-1e-3, 262144.0, 4.5) == 0.0
    assert estimate_width(-1e9, 262144.0, 4.5) < 2.25


def test_width_reference_is_the_fifth_percentile_of_the_negative_values_alone() -> None:
    values = np.concatenate([-np.arange(1.0, 101.0), np.full(1000, 500.0), [np.nan]]).astype(np.float32)
    assert negative_reference(values) == pytest.approx(-95.05, abs=0.2)


def test_too_few_negative_values_give_no_width() -> None:
    assert negative_reference(np.array([-1.0] * 49 + [5.0] * 1000)) is None

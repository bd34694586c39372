from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.gating.cuts import snap
from flowmrd.gating.shapes import Ellipse, HalfPlane, Polygon, Rectangle, same_shape
from flowmrd.panel.gates import polygon_crosses_itself


def test_a_rectangle_holds_its_minimum_and_not_its_maximum() -> None:
    x = np.array([0.25, 0.5, 0.75], dtype=np.float32)
    assert Rectangle((("x", 0.25, 0.75),)).inside({"x": x}).tolist() == [True, True, False]


@given(bound=st.floats(-0.5, 1.5), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_a_float32_column_is_compared_as_in_float64(bound: Any, seed: Any) -> None:
    x = np.concatenate([np.random.default_rng(seed).uniform(-0.5, 1.5, 50), [bound]]).astype(np.float32)
    inside = Rectangle((("x", bound, None),)).inside({"x": x})
    assert np.array_equal(inside, x.astype(np.float64) >= bound)


def test_not_a_number_is_inside_no_shape() -> None:
    nan = np.full(3, np.nan, dtype=np.float32)
    columns = {"x": nan, "y": nan}
    triangle = Polygon("x", "y", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    for shape in (Rectangle((("x", None, None),)), HalfPlane("x", "y", 0.2, 0.5, False), triangle):
        assert not shape.inside(columns).any()
    assert not Ellipse(("x", "y"), (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), 9.0).inside(columns).any()


@given(seed=st.integers(0, 300), corners=st.integers(3, 9))
@settings(max_examples=60, deadline=None)
def test_polygons_hold_the_same_points_as_in_flowutils(seed: Any, corners: Any) -> None:
    gating = pytest.importorskip("flowutils").gating
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.1, 0.6, corners)
    polygon = tuple(
        (float(0.5 + r * np.cos(a)), float(0.5 + r * np.sin(a))) for a, r in zip(angle, radius, strict=True)
    )
    if polygon_crosses_itself(polygon):
        return
    points = rng.uniform(-0.1, 1.1, (500, 2)).astype(np.float32)
    ours = Polygon("x", "y", polygon).inside({"x": points[:, 0], "y": points[:, 1]})
    theirs = gating.points_in_polygon(np.array(polygon), points.astype(np.float64))
    assert np.array_equal(ours, np.asarray(theirs, dtype=bool))


def test_an_ellipse_holds_what_lies_within_its_mahalanobis_distance() -> None:
    ellipse = Ellipse(("x", "y"), (0.5, 0.5), ((0.04, 0.0), (0.0, 0.01)), 1.0)
    columns = {"x": np.array([0.69, 0.71, 0.5]), "y": np.array([0.5, 0.5, 0.61])}
    assert ellipse.inside(columns).tolist() == [True, False, False]


@given(seed=st.integers(0, 99), slope=st.floats(-1.5, 1.5), threshold=st.floats(-0.5, 1.5), above=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_leaning_cut_holds_the_same_events_as_the_polygon_it_is_exported_as(
    seed: Any, slope: Any, threshold: Any, above: Any
) -> None:
    rng = np.random.default_rng(seed)
    columns = {name: rng.uniform(-0.3, 1.3, 400).astype(np.float32) for name in "xy"}
    cut = HalfPlane("x", "y", slope, threshold, above)
    assert np.array_equal(cut.inside(columns), Polygon("x", "y", cut.vertices()).inside(columns))


@given(seed=st.integers(0, 99), threshold=st.floats(0.1, 0.9))
@settings(max_examples=50, deadline=None)
def test_a_threshold_moves_into_a_gap_and_not_far(seed: Any, threshold: Any) -> None:
    values = np.random.default_rng(seed).uniform(0, 1, 20_000).astype(np.float32)
    moved = snap(threshold, values)
    assert abs(moved - threshold) <= 5e-4
    assert np.abs(values.astype(np.float64) - moved).min() >= 2e-6


def test_crossing_edges_are_noticed_and_touching_ones_are_not() -> None:
    assert polygon_crosses_itself(((0, 0), (1, 1), (1, 0), (0, 1)))
    assert not polygon_crosses_itself(((0, 0), (1, 0), (1, 1), (0, 1)))
    assert not polygon_crosses_itself(((0, 0), (1, 0), (1, 0), (1, 1)))


def test_shapes_read_back_are_recognised_as_unchanged() -> None:
    cut = HalfPlane("x", "y", 0.2, 0.4, True)
    assert same_shape(Polygon("x", "y", cut.vertices()), cut)
    assert not same_shape(Polygon("x", "y", HalfPlane("x", "y", 0.2, 0.41, True).vertices()), cut)
    assert not same_shape(Rectangle((("x", 0.1, None),)), Rectangle((("x", 0.2, None),)))

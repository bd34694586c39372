"""Thresholds are found on the panel's scale, whatever the tube is stored on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flowmrd.config.run import GatingConfig
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.gating.panel_scale import PanelScale, tube_panel_scale
from flowmrd.gating.tree import evaluate_tree
from flowmrd.panel.gates import Gate
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.transform import ChannelScale, logicle


def one_channel(width: float | None = None) -> PanelModel:
    channels = [
        {"marker": "CD19", "transform": {} if width is None else {"W": width}},
        {"marker": "FSC-A", "kind": "scatter"},
        {"marker": "SSC-A", "kind": "scatter"},
    ]
    return PanelModel.model_validate({"name": "p", "version": "1", "title": "", "channels": channels, "gates": []})


def stored(width: float, top: float = 262144.0) -> dict[str, ChannelScale]:
    return {"CD19": ChannelScale("logicle", top, 4.5, width)}


@given(width=st.floats(0.0, 2.0), values=st.lists(st.floats(-0.6, 1.6), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_way_to_the_panel_scale_keeps_order_and_leads_back(width: Any, values: Any) -> None:
    panel_scale = tube_panel_scale(one_channel(), stored(width))
    ordered = np.sort(np.array(values))
    there = panel_scale.to_panel("CD19", ordered)
    assert np.all(np.diff(there) >= 0)
    back = np.array([panel_scale.from_panel("CD19", float(value)) for value in there])
    assert np.allclose(back, ordered, atol=1e-6)


@pytest.mark.parametrize("width", [0.0, 0.4, 1.3, 1.9])
def test_the_panel_scale_is_the_logicle_with_the_panels_width(width: Any) -> None:
    raw = np.concatenate([-np.geomspace(3000, 1, 50), np.geomspace(1, 2.6e5, 100)])
    panel_scale = tube_panel_scale(one_channel(), stored(width))
    here = np.asarray(logicle(raw, 262144.0, 4.5, width, 0.0))
    wanted = np.asarray(logicle(raw, 262144.0, 4.5, 0.75, 0.0))
    known = (here > -0.7) & (here < 1.7)
    assert np.abs(panel_scale.to_panel("CD19", here) - wanted)[known].max() < 2e-4


def test_a_width_that_the_panel_fixes_is_its_own_scale() -> None:
    assert tube_panel_scale(one_channel(width=0.4), stored(0.4)).tables == {}
    assert set(tube_panel_scale(one_channel(width=0.4), stored(0.75)).tables) == {"CD19"}


def test_a_leaning_line_between_scatter_channels_is_carried_over_exactly() -> None:
    panel_scale = PanelScale(factors={"SSC-A": 0.5, "FSC-A": 2.0})
    slope, threshold, bends = panel_scale.line_from_panel("SSC-A", "FSC-A", 1.2, 0.06)
    assert bends == ()
    y = np.linspace(0, 1, 5)
    assert np.allclose(0.5 * (threshold + slope * y), 0.06 + 1.2 * (2.0 * y))


def test_fixed_shapes_of_the_panel_are_carried_to_the_stored_scale(tube: Any) -> None:
    items = [
        {"name": "box", "parent": "root", "method": "rectangle",
         "ranges": {"CD19": [0.45, None], "SSC-A": [None, 0.3]}},
        {"name": "poly", "parent": "root", "method": "polygon", "x": "SSC-A", "y": "FSC-A",
         "vertices": [[0.0, 0.1], [0.3, 0.1], [0.3, 0.6], [0.0, 0.6]]},
        {"name": "round", "parent": "root", "method": "ellipse", "channels": ["SSC-A", "FSC-A"], "mean": [0.1, 0.3],
         "covariance": [[0.004, 0.001], [0.001, 0.01]], "distance_squared": 4},
    ]  # fmt: skip
    gates = tuple(TypeAdapter(Gate).validate_python(item) for item in items)
    columns = tube(3, nucleated=3000).columns
    other = dict(columns)
    other["SSC-A"] = (columns["SSC-A"] * np.float32(2)).astype(np.float32)
    raw = np.asarray(ChannelScale("logicle", 262144.0, 4.5, 0.75).inverse(columns["CD19"].astype(np.float64)))
    other["CD19"] = np.asarray(logicle(raw, 262144.0, 4.5, 1.4, 0.0)).astype(np.float32)
    panel_scale = PanelScale(tube_panel_scale(one_channel(), stored(1.4)).tables, {"SSC-A": 0.5})
    expected, found = evaluate_tree(columns, gates), evaluate_tree(other, gates, panel_scale=panel_scale)
    for gate in gates:
        differ = np.count_nonzero(expected.inside(gate.name) != found.inside(gate.name))
        assert expected.inside(gate.name).any()
        assert differ <= 2, gate.name


@pytest.mark.parametrize("width", [0.2, 1.5])
def test_the_same_cells_are_gated_whatever_width_they_are_stored_with(marrow: Any, ino10: Any, width: Any) -> None:
    usual = ChannelScale("logicle", 262144.0, 4.5, 0.75)
    scales = {d.marker: ChannelScale("logicle", 262144.0, 4.5, width) for d in marrow.raw.cytometer.fluorescence}
    columns = dict(marrow.columns)
    for marker in scales:
        raw = np.asarray(usual.inverse(columns[marker].astype(np.float64)))
        columns[marker] = np.asarray(logicle(raw, 262144.0, 4.5, width, 0.0)).astype(np.float32)
    first = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result
    second = gate_columns(columns, ino10, marrow.usable, GatingConfig(), scales=scales).result
    for name in ("t_nk", "granulocytes", "erythroblasts", "mature_b", "b_lineage", "nucleated"):
        a, b = first.inside(name), second.inside(name)
        assert np.count_nonzero(a & b) >= 0.97 * np.count_nonzero(a | b), name


@pytest.mark.parametrize("frozen", [False, True], ids=["gates of the tube", "gates of the controls"])
@pytest.mark.parametrize(("fsc", "ssc"), [(0.5, 1.0), (1.0, 0.5), (0.6, 1.4)])
def test_the_same_cells_are_gated_whatever_the_voltage_of_the_scatter_detectors(
    marrow: Any, ino10: Any, reference: Any, fsc: Any, ssc: Any, frozen: Any
) -> None:
    learned = reference if frozen else None
    columns = dict(marrow.columns)
    columns["FSC-A"] = (columns["FSC-A"] * np.float32(fsc)).astype(np.float32)
    columns["FSC-H"] = (columns["FSC-H"] * np.float32(fsc)).astype(np.float32)
    columns["SSC-A"] = (columns["SSC-A"] * np.float32(ssc)).astype(np.float32)
    first = gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig(), reference=learned).result
    gated = gate_columns(columns, ino10, marrow.usable, GatingConfig(), reference=learned)
    assert gated.panel_scale.factors["SSC-A"] != 1.0
    for name in ("t_nk", "monocytes", "granulocytes", "erythroblasts", "mature_b", "b_lineage", "nucleated"):
        a, b = first.inside(name), gated.result.inside(name)
        assert np.count_nonzero(a & b) >= (0.98 if frozen else 0.9) * np.count_nonzero(a | b), name

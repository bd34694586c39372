"""FlowKit is the judge: it reads what was written and must find the same events in every gate."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowmrd.config.run import GatingConfig
from flowmrd.errors import GateError
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.gating.gatingml import GATING, ColumnOrigin, write_gatingml
from flowmrd.gating.overrides import read_override
from flowmrd.gating.shapes import Combination, Ellipse, HalfPlane, Polygon, Rectangle, same_shape
from flowmrd.gating.tree import evaluate_tree
from flowmrd.preprocess.transform import ChannelScale

warnings.filterwarnings("ignore")


@pytest.fixture(scope="module")
def flowkit() -> Any:
    return pytest.importorskip("flowkit")


@pytest.fixture(scope="module")
def gated(marrow: Any, ino10: Any) -> Any:
    return gate_columns(marrow.columns, ino10, marrow.usable, GatingConfig()).result


@pytest.fixture(scope="module")
def origin(marrow: Any) -> Any:
    dyes = marrow.raw.cytometer.fluorescence
    scatter = [name for name in marrow.columns if name.startswith(("FSC", "SSC"))]
    logicle = {d.marker: ChannelScale("logicle", 262144.0, 4.5, d.width) for d in dyes}
    return ColumnOrigin(
        {d.marker: d.pnn for d in dyes} | {name: name for name in scatter},
        logicle | {name: ChannelScale("linear", 262144.0) for name in scatter},
        tuple(d.pnn for d in dyes),
        tuple(map(tuple, marrow.raw.cytometer.spill.tolist())),
    )


def different(flowkit: Any, tmp_path: Any, text: Any, values: Any, result: Any) -> Any:
    path = tmp_path / "gates.xml"
    path.write_text(text, encoding="utf-8")
    sample = flowkit.Sample(pd.DataFrame(values), sample_id="tube")
    theirs = flowkit.parse_gating_xml(str(path)).gate_sample(sample)
    return [name for name in result.names if np.any(theirs.get_gate_membership(name) != result.inside(name))]


def test_flowkit_finds_the_same_events_on_the_original_values(
    flowkit: Any, tmp_path: Any, marrow: Any, ino10: Any, gated: Any, origin: Any
) -> None:
    raw = marrow.raw.columns
    values = {origin.detectors[name]: raw[origin.detectors[name]] for name in marrow.columns}
    assert different(flowkit, tmp_path, write_gatingml(gated, ino10.gates, origin), values, gated) == []


def test_flowkit_finds_the_same_events_on_the_scaled_columns(
    flowkit: Any, tmp_path: Any, marrow: Any, ino10: Any, gated: Any
) -> None:
    assert different(flowkit, tmp_path, write_gatingml(gated, ino10.gates), marrow.columns, gated) == []


def test_flowkit_finds_the_same_events_where_leaning_cuts_bend(
    flowkit: Any, tmp_path: Any, marrow: Any, ino10: Any, origin: Any
) -> None:
    usual = ChannelScale("logicle", 262144.0, 4.5, 0.75)
    width = ChannelScale("logicle", 262144.0, 4.5, 1.1)
    scales = {d.marker: width for d in marrow.raw.cytometer.fluorescence}
    columns = dict(marrow.columns)
    for marker in scales:
        raw = np.asarray(usual.inverse(columns[marker].astype(np.float64))).astype(np.float32)
        columns[marker] = width.apply(raw)
    result = gate_columns(columns, ino10, marrow.usable, GatingConfig(), scales=scales).result
    cut = result.placement("cd19_pos").shape
    assert isinstance(cut, HalfPlane)
    assert cut.bends
    text = write_gatingml(result, ino10.gates)
    assert different(flowkit, tmp_path, text, columns, result) == []
    path = tmp_path / "tube.xml"
    path.write_text(text, encoding="utf-8")
    again = read_override(path, ino10, None).shapes
    assert [name for name, shape in again.items() if not same_shape(shape, result.placement(name).shape)] == []


def test_polygons_ellipses_and_empty_gates_survive_the_way_through_flowkit(
    flowkit: Any, tmp_path: Any, marrow: Any
) -> None:
    from pydantic import TypeAdapter

    from flowmrd.panel.gates import Gate

    items = [
        {"name": "poly", "parent": "root", "method": "polygon", "x": "CD45", "y": "SSC-A",
         "vertices": [[0.5, -0.1], [1.0, -0.1], [0.9, 0.3], [0.6, 0.2]]},
        {"name": "round", "parent": "root", "method": "ellipse", "channels": ["CD19", "CD10"], "mean": [0.2, 0.2],
         "covariance": [[0.01, 0.002], [0.002, 0.01]], "distance_squared": 4},
        {"name": "box", "parent": "poly", "method": "rectangle", "ranges": {"CD19": [None, 0.4], "CD10": [0.1, 0.5]}},
        {"name": "mixed", "parent": "root", "method": "boolean", "all_of": ["poly"], "any_of": ["round", "box"],
         "unless": ["lost"]},
        {"name": "single", "parent": "poly", "method": "boolean", "all_of": ["poly"]},
        {"name": "two", "parent": "root", "method": "boolean", "any_of": ["poly", "round", "box", "lost"],
         "at_least": 2},
        {"name": "no_shape", "parent": "root", "method": "singlet", "partners": ["FSC-X"]},
    ]  # fmt: skip
    items.insert(3, {"name": "lost", "parent": "root", "method": "rectangle", "ranges": {"CD3": [0.5, None]}})
    gates = tuple(TypeAdapter(Gate).validate_python(item) for item in items)
    result = evaluate_tree(marrow.columns, gates)
    assert result.placement("lost").state == "unavailable"
    text = write_gatingml(result, gates)
    assert "lost" not in text
    kept = [name for name in result.names if name != "lost"]
    path = tmp_path / "gates.xml"
    path.write_text(text, encoding="utf-8")
    sample = flowkit.Sample(pd.DataFrame(marrow.columns), sample_id="tube")
    theirs = flowkit.parse_gating_xml(str(path)).gate_sample(sample)
    for name in kept:
        assert np.array_equal(theirs.get_gate_membership(name), result.inside(name)), name
        assert name in {"no_shape"} or 0 < result.inside(name).sum() < len(result.bits)


def test_an_untouched_export_overrides_nothing(tmp_path: Any, ino10: Any, gated: Any, origin: Any) -> None:
    path = tmp_path / "tube.xml"
    path.write_text(write_gatingml(gated, ino10.gates, origin), encoding="utf-8")
    override = read_override(path, ino10, origin)
    assert override.from_gatingml
    changed = [name for name, shape in override.shapes.items() if not same_shape(shape, gated.placement(name).shape)]
    assert changed == []


def test_one_moved_gate_of_an_export_overrides_that_gate_alone(
    tmp_path: Any, marrow: Any, ino10: Any, gated: Any, origin: Any, config: Any
) -> None:
    from flowmrd.stages.gate import gate
    from flowmrd.store import digest_file, read_json

    text = write_gatingml(gated, ino10.gates)
    threshold = gated.placement("cd22_pos").parameters["threshold"]
    assert text.count(repr(threshold)) == 1
    override = tmp_path / "tube.xml"
    override.write_text(text.replace(repr(threshold), "0.5"), encoding="utf-8")
    gate(
        marrow.write(tmp_path / "p.arrow"),
        panel=ino10,
        config=config,
        reference=None,
        override=override,
        out=tmp_path / "gated.arrow",
        populations=tmp_path / "populations.tsv",
        gatingml=tmp_path / "gates.xml",
        record=tmp_path / "gates.json",
    )
    facts = read_json(tmp_path / "gates.json")
    assert facts["override"] == {"file": "tube.xml", "sha256": digest_file(override), "gates": ["cd22_pos"]}
    manual = [entry["name"] for entry in facts["gates"] if entry["source"] == "override"]
    assert manual == ["cd22_pos"]
    assert "GATES_SET_BY_HAND" in {flag["code"] for flag in facts["flags"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gates: {cd91_pos: {threshold: 0.4}}", "did you mean cd19_pos"),
        ("gates: {nowhere_like_it_at_all: {threshold: 0.4}}", "use one of the panel's gates"),
        ("gates: {b_lineage: {threshold: 0.4}}", "which is a boolean gate"),
        ("gates: {cd19_pos: {threshold: high}}", "number on the 0..1 scale"),
        ("gates: {cd19_pos: {threshold: .nan}}", "number on the 0..1 scale"),
        ("gates: {cd19_pos: {method: rectangle, ranges: {CD99: [0, 1]}}}", "unknown channel CD99"),
        ("gates: {cd19_pos: {method: rectangle, ranges: {CD19: [1, 0]}}}", "must be smaller"),
        ("gates: {cd19_pos: {method: boolean, none_of: [cd10_pos]}}", "rectangle, polygon, ellipse"),
        (
            "gates: {cd19_pos: {method: polygon, x: CD19, y: SSC-A, vertices: [[0, 0], [1, 1], [1, 0], [0, 1]]}}",
            "crosses itself",
        ),
        ("gates: {}", "at least one gate"),
        ("[1, 2]", "at least one gate"),
        ("gates: {a: [", "not plain YAML"),
        ("!!python/object/apply:os.system ['true']", "not plain YAML"),
    ],
)
def test_an_impossible_yaml_override_is_refused_with_a_way_out(
    tmp_path: Any, ino10: Any, text: Any, message: Any
) -> None:
    path = tmp_path / "tube.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GateError, match=message):
        read_override(path, ino10, None)


def test_a_yaml_override_gives_shapes_on_the_unit_scale(tmp_path: Any, ino10: Any) -> None:
    path = tmp_path / "tube.yaml"
    path.write_text(
        "gates:\n  cd22_pos: {threshold: 0.41}\n  t_nk: {method: ellipse, channels: [CD45, SSC-A], mean: [0.8, 0.1],"
        " covariance: [[0.01, 0], [0, 0.01]], distance_squared: 4}\n",
        encoding="utf-8",
    )
    shapes = read_override(path, ino10, None).shapes
    assert shapes["cd22_pos"] == Rectangle((("CD22", 0.41, None),))
    assert isinstance(shapes["t_nk"], Ellipse)


def in_gates(text: str, old: str, new: str) -> str:
    """Replace behind the matrices and scales."""
    head, mark, gates = text.partition("<gating:RectangleGate")
    return head + (mark + gates).replace(old, new)


def test_the_tubes_own_gates_are_taken_with_their_combinations(
    tmp_path: Any, ino10: Any, gated: Any, origin: Any
) -> None:
    path = tmp_path / "tube.xml"
    text = write_gatingml(gated, ino10.gates, origin)
    for written in (text, in_gates(text, 'compensation-ref="spillover"', 'compensation-ref="FCS"')):
        path.write_text(written, encoding="utf-8")
        assert read_override(path, ino10, origin, automatic=text).shapes


def without(text: str, parent: str, child: str) -> str:
    """The file without the children of this name in the first element of that name."""
    root = ET.fromstring(text)
    found = next(element for element in root.iter() if element.tag.endswith("}" + parent))
    for part in [one for one in found if one.tag.endswith("}" + child)]:
        found.remove(part)
    return ET.tostring(root, encoding="unicode")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('id="cd22_pos"', 'id="cd2_pos"'), "a gate 'cd2_pos'"),
        (lambda text: in_gates(text, 'name="PE-A"', 'name="Violet-A"'), "the dimension 'Violet-A'"),
        (
            lambda text: in_gates(text, 'compensation-ref="spillover"', 'compensation-ref="uncompensated"'),
            "uncompensated",
        ),
        (lambda text: in_gates(text, 'compensation-ref="spillover"', 'compensation-ref="other"'), "does not define"),
        (lambda text: text.replace('transforms:value="0.', 'transforms:value="0.5'), "is not the tube's"),
        (lambda text: in_gates(text, 'parent_id="singlets"', 'parent_id="core"'), "within core"),
        (lambda text: in_gates(text, ' gating:parent_id="singlets"', ""), "within root"),
        (lambda text: text.replace("BooleanGate", "QuadrantGate"), "the QuadrantGate"),
        (lambda text: text.replace('gating:use-as-complement="true"', ""), "the BooleanGate"),
        (lambda text: text.replace('transforms:W="', 'transforms:W="1'), "another scale"),
        (lambda text: text[: len(text) // 2], "not well-formed"),
        (lambda text: '<!DOCTYPE a [<!ENTITY b "c">]>' + text.split("?>", 1)[1], "entity declaration"),
        (lambda text: text.replace("Gating-ML", "Workspace"), "root element"),
        (lambda text: without(text, "PolygonGate", "vertex"), "the gate .*, which breaks the schema"),
        (lambda text: without(text, "PolygonGate", "dimension"), "the gate .*, which breaks the schema"),
        (lambda text: text.replace('gating:min="0.', 'gating:min="some'), "the gate .*, which breaks the schema"),
        (lambda text: re.sub('gating:min="[0-9.]+"', 'gating:min="NaN"', text), "the number nan"),
        (
            lambda text: re.sub('gating:min="[0-9.]+"', 'gating:min="9" gating:max="8"', text, count=1),
            "minimum < maximum",
        ),
        (lambda text: without(text, "spectrumMatrix", "spectrum"), "a compensation matrix that FlowKit cannot read"),
        (
            lambda text: text.replace(
                "<transforms:spectrumMatrix ", '<transforms:spectrumMatrix transforms:matrix-inverted-already="true" '
            ),
            "does not define as a spillover matrix",
        ),
    ],
)
def test_an_impossible_gatingml_override_is_refused(
    tmp_path: Any, ino10: Any, gated: Any, origin: Any, change: Any, message: Any
) -> None:
    path = tmp_path / "tube.xml"
    own = write_gatingml(gated, ino10.gates, origin)
    path.write_text(change(own), encoding="utf-8")
    with pytest.raises(GateError, match=message):
        read_override(path, ino10, origin, automatic=own)


def test_an_override_of_a_gate_that_the_tube_cannot_have_is_refused(
    tmp_path: Any, marrow: Any, ino10: Any, config: Any
) -> None:
    from flowmrd.stages.gate import gate
    from flowmrd.store import write_columns

    path = tmp_path / "p.arrow"
    write_columns(path, {name: values for name, values in marrow.columns.items() if name != "CD22"})
    override = tmp_path / "tube.yaml"
    override.write_text("gates: {cd22_pos: {threshold: 0.4}}", encoding="utf-8")
    outputs = {name: tmp_path / name for name in ("out", "populations", "gatingml", "record")}
    with pytest.raises(GateError, match="which this tube cannot have"):
        gate(path, panel=ino10, config=config, reference=None, override=override, **outputs)


def test_combinations_read_back_as_nothing_to_override() -> None:
    assert same_shape(Rectangle((("x", None, None),)), Combination(all_of=("parent",)))
    assert not same_shape(Polygon("x", "y", ((0, 0), (1, 0), (1, 1))), Combination(all_of=("parent",)))


def test_an_export_of_the_edited_gates_alone_is_read(
    flowkit: Any, tmp_path: Any, ino10: Any, gated: Any, origin: Any
) -> None:
    root = ET.fromstring(write_gatingml(gated, ino10.gates, origin))
    gate_id, parent_id = f"{{{GATING}}}id", f"{{{GATING}}}parent_id"
    edited = next(element for element in root.findall(f"{{{GATING}}}RectangleGate") if element.get(parent_id))
    for element in list(root):
        if element.tag.endswith("Gate") and element is not edited:
            root.remove(element)
    path = tmp_path / "edited.xml"
    path.write_bytes(ET.tostring(root))
    assert list(read_override(path, ino10, origin).shapes) == [edited.get(gate_id)]
    with pytest.raises(KeyError, match=str(edited.get(parent_id))):
        flowkit.parse_gating_xml(str(path))

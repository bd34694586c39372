from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from flowmrd.errors import PanelError
from flowmrd.gating.flags import REQUIRED
from flowmrd.panel import load_panel
from flowmrd.panel.gates import Gate, check_tree
from flowmrd.panel.model import PanelModel

CHANNELS = {"FSC-A", "SSC-A", "CD19", "CD45"}
CUT = {
    "method": "cut",
    "channel": "CD19",
    "side": "above",
    "estimator": "valley",
    "bounds": [0.3, 0.5],
    "fallback": 0.4,
}


def tree(*gates: dict[str, Any]) -> tuple[Gate, ...]:
    return tuple(TypeAdapter(Gate).validate_python(gate) for gate in gates)


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ([{"name": "a", "parent": "b", **CUT}, {"name": "b", "parent": "a", **CUT}], "comes later: a cycle"),
        ([{"name": "a", "parent": "a", **CUT}], "refers to itself"),
        ([{"name": "a", "parent": "root", **CUT | {"channel": "CD3"}}], "unknown channel CD3"),
        ([{"name": "a", "parent": "root", **CUT | {"tilt": {"CD3": 0.1}}}], "unknown channel CD3"),
        ([{"name": "a", "parent": "root", **CUT | {"estimate_in": "core"}}], "unknown gate core"),
        ([{"name": "a", "parent": "root", **CUT | {"bounds": [0.5, 0.3]}}], "the first must be smaller"),
        ([{"name": "a", "parent": "root", **CUT | {"fallback": 0.9}}], "outside its bounds"),
        ([{"name": "a", "parent": "root", **CUT | {"estimator": "negative_quantile"}}], "without naming a negative"),
        ([{"name": "a", "parent": "root", "method": "rectangle", "ranges": {"CD19": [0.6, 0.2]}}], "must be smaller"),
        ([{"name": "a", "parent": "root", "method": "boolean"}], "combines no gates"),
        (
            [{"name": "a", "parent": "root", "method": "polygon", "x": "CD19", "y": "CD45",
              "vertices": [[0, 0], [1, 1], [1, 0], [0, 1]]}],
            "crosses itself",
        ),
        (
            [{"name": "a", "parent": "root", "method": "ellipse", "channels": ["CD19", "CD45"], "mean": [0, 0],
              "covariance": [[1, 2], [2, 1]], "distance_squared": 4}],
            "positive definite",
        ),
        ([{"name": f"g{i}", "parent": "root", **CUT} for i in range(65)], "more than the 64"),
        ([{"name": f"g{i}", "parent": "root", "helper": True, **CUT} for i in range(65)], "65 helper gates"),
        ([{"name": f"g{i}", "parent": "root", "route": True, **CUT} for i in range(9)], "9 routes"),
        ([{"name": "a", "parent": "root", "helper": True, "population": True, **CUT}], "neither a population"),
        ([{"name": "a", "parent": "root", **CUT | {"window_decades": [-1, -2], "relative_to": "a"}}], "window"),
        ([{"name": "a", "parent": "root", **CUT | {"window_decades": [-2, -1]}}], "without relative_to"),
        (
            [{"name": "a", "parent": "root", **CUT},
             {"name": "b", "parent": "root", "method": "boolean", "any_of": ["a"], "at_least": 2}],
            "asks for 2 of 1",
        ),
        ([{"name": "unassigned", "parent": "root", **CUT}], "can be called unassigned"),
        ([{"name": "a", "parent": "root", **CUT | {"tilt": {"CD19": 0.1}}}], "its own channel"),
        (
            [{"name": "a", "parent": "root", "anchors": ["CD45"], **CUT},
             {"name": "b", "parent": "root", "anchors": ["CD45"], **CUT}],
            "CD45 is anchored on a and on b",
        ),
        (
            [{"name": "a", "parent": "root", "method": "polygon", "x": "CD19", "y": "CD45",
              "vertices": [[0, 0], [0.5, 0.5], [1, 1]]}],
            "without an inside",
        ),
        ([{"name": "a", "parent": "root", "witness": False, **CUT}], "cannot be a witness"),
        ([{"name": "a", "parent": "root", **CUT | {"fallback": float("nan")}}], "finite"),
        ([{"name": "a", "parent": "root", **CUT | {"bounds": [0.3, float("inf")]}}], "finite"),
    ],
)  # fmt: skip
def test_impossible_trees_are_refused_with_the_reason(gates: Any, message: Any) -> None:
    with pytest.raises(ValueError, match=message):
        check_tree(tree(*gates), CHANNELS)


def test_all_problems_of_a_tree_are_told_at_once() -> None:
    gates = tree({"name": "a", "parent": "nobody", **CUT | {"channel": "CD3", "bounds": [0.5, 0.3]}})
    with pytest.raises(ValueError, match="nobody") as caught:
        check_tree(gates, CHANNELS)
    assert "CD3" in str(caught.value)
    assert "0.5..0.3" in str(caught.value)


def test_a_wrong_entry_of_a_panel_file_is_named_by_its_gate(tmp_path: Path, repository: Path) -> None:
    text = (repository / "panels" / "ino10.yaml").read_text().replace("estimator: valley", "estimator: vale", 1)
    path = tmp_path / "ino10.yaml"
    path.write_text(text)
    with pytest.raises(PanelError, match="gate cd66b_pos"):
        load_panel(path)


def test_shipped_panels_define_the_required_gates_and_populations(ino10: Any, vienna_b8: Any) -> None:
    populations = {
        "granulocytes", "monocytes", "t_nk", "erythroblasts", "cd34_myeloid", "haematogones_1", "haematogones_2",
        "haematogones_3", "mature_b", "plasma_cells", "b_lineage",
    }  # fmt: skip
    for panel in (ino10, vienna_b8):
        names = {gate.name for gate in panel.gates}
        assert names >= set(REQUIRED)
        assert {gate.name for gate in panel.gates if gate.population} >= populations
    assert {gate.name for gate in ino10.gates if gate.population} >= {"basophil_pdc", "early_cd34_cd22"}


def test_helper_gates_leave_room_for_others() -> None:
    gates = [{"name": f"g{i}", "parent": "root", "helper": i >= 64, **CUT} for i in range(100)]
    check_tree(tree(*gates), CHANNELS)


def test_a_landmark_must_be_a_scatter_channel_of_the_panel(ino10: Any) -> None:
    data = ino10.model_dump(mode="json") | {"landmark": {"CD19": 0.3}}
    with pytest.raises(ValueError, match="landmark names CD19"):
        PanelModel.model_validate(data)

"""A reviewer's gates: ``config/overrides/<sample>.yaml`` or an edited GatingML file ``<sample>.xml``.

YAML names gates and gives them a new shape on the 0..1 scale, in the words of the panel file::

    gates:
      cd19_pos: {threshold: 0.41}                              # a cut keeps channel, side and lean
      nucleated: {method: rectangle, ranges: {SYTO41: [0.5, null]}}
      granulocytes: {method: polygon, x: CD45, y: SSC-A, vertices: [[0.4, 0.3], [0.9, 0.3], [0.9, 1.0]]}

Of a GatingML file only gates that differ from the automatic ones count as set by hand, so that an exported
``gates.xml`` with one gate moved overrides one gate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from flowmrd.config.yaml_file import read_yaml
from flowmrd.errors import GateError
from flowmrd.gating.cuts import moved_cut, stored_cut
from flowmrd.gating.gatingml import ColumnOrigin
from flowmrd.gating.gatingml_read import read_gatingml
from flowmrd.gating.panel_scale import STORED, PanelScale
from flowmrd.gating.placement import build_shape
from flowmrd.gating.shapes import Shape, shape_channels
from flowmrd.panel.gates import CutGate, Gate, check_tree
from flowmrd.panel.model import PanelModel
from flowmrd.store import digest_file

__all__ = ["Override", "read_override", "refuse_impossible"]


@dataclass(frozen=True)
class Override:
    """Gates set by hand.

    Attributes
    ----------
    file, sha256
        File name (no folder) and digest, for the report and the log.
    shapes
        Gate to shape.
    from_gatingml
        True where the shapes come from a GatingML file, in which untouched gates are repeated.
    """

    file: str
    sha256: str
    shapes: Mapping[str, Shape]
    from_gatingml: bool


def read_override(
    path: Path,
    panel: PanelModel,
    origin: ColumnOrigin | None,
    panel_scale: PanelScale = STORED,
    automatic: str | None = None,
) -> Override:
    """Read and check an override.

    Parameters
    ----------
    origin
        How the tube's columns are computed from its file; without ``scales`` where only its header is known, None where
        nothing is. What cannot be checked then is checked in the run.
    automatic
        ``gates.xml`` of the tube as its gates were placed; what a GatingML file may repeat of combinations.
    panel_scale
        Conversion of this tube's columns to the panel scale. A cut keeps the panel's slope; its numbers are on the
        stored scale.

    Raises
    ------
    GateError
        If the file cannot be read, names a gate or channel that does not exist, or holds an impossible shape.
    """
    where = str(path)
    if not path.is_file():
        raise GateError(
            where,
            found="no such file",
            expected="a .yaml or .xml file with gates",
            todo="correct the path or remove the override",
        )
    if path.suffix.lower() in {".xml", ".gml", ".gatingml"}:
        shapes: dict[str, Shape] = dict(read_gatingml(path, panel, origin, automatic))
        return Override(path.name, digest_file(path), shapes, True)
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise GateError(
            where, found=f"a {path.suffix or 'nameless'} file", expected=".yaml or .xml", todo="rename or convert it"
        )
    return Override(path.name, digest_file(path), _read_yaml(path, panel, panel_scale), False)


def refuse_impossible(
    where: str, shapes: Mapping[str, Shape], available: Collection[str], channels: Collection[str]
) -> None:
    """Refuse shapes of gates or on channels that a tube does not have.

    Parameters
    ----------
    where
        The override, for messages.
    available
        Gates that the tube can have.
    channels
        Channels of the tube.

    Raises
    ------
    GateError
        Naming the gates or channels.
    """
    gone = [name for name in shapes if name not in available]
    if gone:
        raise GateError(
            where,
            found=f"a shape for {', '.join(gone)}, which this tube cannot have",
            expected="gates whose parents and channels this tube has",
            todo="remove these gates from the override",
        )
    for name, shape in shapes.items():
        absent = [channel for channel in shape_channels(shape) if channel not in channels]
        if absent:
            raise GateError(
                where,
                found=f"gate {name} on {', '.join(absent)}, which this tube does not have",
                expected=f"one of {', '.join(channels)}",
                todo="draw the gate on a channel of this tube",
            )


def _read_yaml(path: Path, panel: PanelModel, panel_scale: PanelScale) -> dict[str, Shape]:
    where = str(path)
    data = read_yaml(path, GateError, expected="a mapping 'gates:'", if_missing="correct the path").data
    if not isinstance(data, dict) or set(data) != {"gates"} or not isinstance(data["gates"], dict) or not data["gates"]:
        raise GateError(
            where,
            found="something else",
            expected="one key 'gates' with at least one gate",
            todo="see docs/methods/gating.md",
        )
    return {str(name): _shape(where, str(name), value, panel, panel_scale) for name, value in data["gates"].items()}


def _shape(where: str, name: str, value: Any, panel: PanelModel, panel_scale: PanelScale) -> Shape:
    gate = panel.gate(name, where)
    if not isinstance(value, dict):
        raise GateError(
            where,
            found=f"gate {name} without a shape",
            expected="a threshold or a method",
            todo="see docs/methods/gating.md",
        )
    if set(value) == {"threshold"}:
        if not isinstance(gate, CutGate):
            raise GateError(
                where,
                found=f"a threshold for {name}, which is a {gate.method} gate",
                expected="a whole shape",
                todo="give 'method'",
            )
        threshold = value["threshold"]
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not -1 < threshold < 2:
            raise GateError(
                where,
                found=f"the threshold {threshold!r} for {name}",
                expected="a number on the 0..1 scale",
                todo="correct it",
            )
        # The slope of a cut is the panel's, converted to this tube's scale near the new threshold.
        there = float(panel_scale.to_panel(gate.channel, np.array([threshold], dtype=np.float64))[0])
        return moved_cut(gate, stored_cut(gate, there, panel_scale), float(threshold))
    if value.get("method") not in {"rectangle", "polygon", "ellipse"}:
        raise GateError(
            where,
            found=f"gate {name} with method {value.get('method')!r}",
            expected="rectangle, polygon, ellipse, or a threshold alone for a cut",
            todo="correct the method",
        )
    try:
        new: Gate = TypeAdapter(Gate).validate_python({"name": name, "parent": "root", **value})
        check_tree((new,), set(panel.markers))
    except ValidationError as error:
        parts = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        raise GateError(
            where, found=f"gate {name}: {parts}", expected="a shape as in the panel file", todo="correct these entries"
        ) from error
    except ValueError as error:
        raise GateError(where, found=str(error), expected="a possible gate", todo="correct it") from error
    return build_shape(new, {}, {})

"""Reading a reviewer's GatingML 2.0: rectangles, polygons and ellipsoids of the panel's gates.

A gate is taken as it was drawn or refused, and nothing of the file is dropped. A dimension on another scale than the
tube's, on values compensated in another way, or under another parent is an error: its numbers mean something else. The
panel defines combinations of gates, so Boolean and quadrant gates are accepted only where they are those of the tube's
``gates.xml``. Dimensions may be named by ``$PnN`` or by marker.

FlowKit reads the geometry, the matrices and whether the file follows the schema. It raises ``KeyError`` where a gate's
parent is not in the file, and a reviewer's file may hold the edited gates alone; so it is given every gate without its
parent, which is compared with the panel's before. Here are the refusal of document types, the checks of names, and the
comparison of scales and matrices with those of the tube.
"""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flowmrd.errors import GateError
from flowmrd.gating.gatingml import BEYOND, GATING, TRANSFORMS, TYPES, ColumnOrigin
from flowmrd.gating.safe_xml import parse_xml
from flowmrd.gating.shapes import Ellipse, Polygon, Rectangle, Shape
from flowmrd.panel.gates import ROOT, EllipseGate, check_tree, polygon_crosses_itself
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.preprocess.transform import ChannelScale

if TYPE_CHECKING:
    from flowkit import Dimension

__all__ = ["read_gatingml"]

_Dimension = tuple[str, "Dimension"]
"""The panel's channel, and the dimension as FlowKit has it."""
MAX_BYTES: Final = 10_000_000
_TAGS: Final = {"logicle": "logicle", "linear": "flin", "asinh": "fasinh"}
"""Kind of a panel's transform to the element of GatingML."""
_PARENT: Final = f"{{{GATING}}}parent_id"
_SHAPES: Final = ("RectangleGate", "PolygonGate", "EllipsoidGate")


def read_gatingml(
    path: Path, panel: PanelModel, origin: ColumnOrigin | None, automatic: str | None = None
) -> dict[str, Shape]:
    """Shapes of the panel's gates in a GatingML file, by gate name; other gates of the file are errors.

    Parameters
    ----------
    automatic
        ``gates.xml`` of the tube as its gates were placed: what the file may repeat of combinations. Where absent,
        combinations are not looked at.

    Raises
    ------
    GateError
        If a gate cannot be taken as it was drawn, or if the file is not GatingML 2.0, declares entities, names an
        unknown gate or dimension, or a gate is impossible.
    """
    where = str(path)
    text = path.read_bytes()
    root = parse_xml(text, where, expected="GatingML 2.0", max_bytes=MAX_BYTES)
    if root.tag != f"{{{GATING}}}Gating-ML":
        raise GateError(
            where,
            found=f"the root element {root.tag[:80]}",
            expected="Gating-ML version 2.0",
            todo="export as GatingML 2.0",
        )
    reader = _Reader(where, root, panel, origin)
    shapes = reader.shapes()
    reader.refuse_other_gates(None if automatic is None else ET.fromstring(automatic))  # noqa: S314 - written by us
    return shapes


class _Reader:
    def __init__(self, where: str, root: ET.Element, panel: PanelModel, origin: ColumnOrigin | None) -> None:
        self.where, self.root, self.panel = where, root, panel
        self.blind = origin is None
        """Whether the tube itself is not known, as in ``check``: detectors and scales cannot be looked at then."""
        origin = origin or ColumnOrigin()
        self.origin = origin
        self.channels = {
            detector: channel for channel, detector in origin.detectors.items() if channel in panel.markers
        }
        self.channels |= {marker: marker for marker in panel.markers}
        self.transforms = {
            element.get(f"{{{TRANSFORMS}}}id", ""): element
            for element in root.findall(f"{{{TRANSFORMS}}}transformation")
        }

    def shapes(self) -> dict[str, Shape]:
        """Shape of every gate of the file, by name.

        Raises
        ------
        GateError
            If a gate stands twice or is not one of the panel's, or the file holds none.
        """
        elements: dict[str, ET.Element] = {}
        for tag in _SHAPES:
            for element in self.root.findall(f"{{{GATING}}}{tag}"):
                name = element.get(f"{{{GATING}}}id", "")
                self.panel.gate(name, self.where)
                if name in elements:
                    raise GateError(
                        self.where,
                        found=f"the gate {name} twice",
                        expected="every gate once",
                        todo="remove one of them",
                    )
                self._check_parent(name, element)
                elements[name] = element
        if not elements:
            raise GateError(
                self.where,
                found="no rectangle, polygon or ellipsoid gate",
                expected="at least one",
                todo="export the edited gates",
            )
        for name, element in elements.items():
            self._check_dimensions(name, element)
        self.strategy = self._parsed(elements)
        return {name: self._shape(name) for name in elements}

    def _parsed(self, elements: Mapping[str, ET.Element]) -> Any:
        """FlowKit's reading of the gates, without their parents, and of the matrices."""
        try:
            return _flowkit_reads(self._matrices(), elements.values())
        except Exception:  # any exception of FlowKit means that it cannot read the file; the gates are tried one by one
            for name, element in elements.items():
                try:
                    _flowkit_reads((), [element])
                except Exception as error:
                    text = " ".join(str(error).split())[:200]
                    # FlowKit does not say what the schema of GatingML refuses
                    why = (
                        "which breaks the schema of GatingML 2.0"
                        if "neither" in text
                        else f"which FlowKit cannot read ({text})"
                    )
                    raise GateError(
                        self.where,
                        found=f"the gate {name}, {why}",
                        expected="the dimensions and numbers that GatingML 2.0 asks of this kind of gate",
                        todo="export the gate again",
                    ) from error
            raise GateError(
                self.where,
                found="a compensation matrix that FlowKit cannot read",
                expected="a spectrumMatrix with detectors, fluorochromes and as many coefficients",
                todo="export the gates with their matrix",
            ) from None

    def _check_parent(self, name: str, element: ET.Element) -> None:
        """Refuse a gate that was drawn within another population than the panel's tree applies it to."""
        given = element.get(f"{{{GATING}}}parent_id") or ROOT
        expected = next(gate.parent for gate in self.panel.gates if gate.name == name)
        if given != expected:
            raise GateError(
                self.where,
                found=f"{name} within {given[:60]}",
                expected=f"{name} within {expected}, as in panel {self.panel.name}",
                todo="draw the gate within that population, or change the panel's tree",
            )

    def refuse_other_gates(self, automatic: ET.Element | None) -> None:
        """Refuse gates of kinds that are not read, unless the tube's own ``gates.xml`` holds them as they are.

        Raises
        ------
        GateError
            Naming the gate.
        """
        own = None if automatic is None else {_as_text(element) for element in automatic}
        for element in self.root:
            kind = element.tag.rpartition("}")[2]
            if not kind.endswith("Gate") or kind in _SHAPES:
                continue
            if kind == "BooleanGate" and (own is None or _as_text(element) in own):
                continue
            name = element.get(f"{{{GATING}}}id", "")
            raise GateError(
                self.where,
                found=f"the {kind} {name[:60]}, which would not be applied as drawn",
                expected="rectangles, polygons and ellipsoids; combinations as gates.xml holds them",
                todo="draw the gates that it combines, or change the panel's tree",
            )

    def _check_dimensions(self, gate: str, element: ET.Element) -> None:
        """Refuse a dimension of a channel that the tube does not have, or on another scale than the tube's."""
        for dimension in element.findall(f"{{{GATING}}}dimension"):
            item = dimension.find(f"{{{TYPES}}}fcs-dimension")
            name = None if item is None else item.get(f"{{{TYPES}}}name")
            if name is not None and self.blind:
                self.channels.setdefault(name, name)
            if name is None or name not in self.channels:
                known = ", ".join(sorted(self.channels))
                raise GateError(
                    self.where,
                    found=f"{gate}: the dimension {str(name)[:60]!r}",
                    expected=f"one of {known}",
                    todo="correct the channel",
                )
            self._check_scale(gate, self.channels[name], dimension.get(f"{{{GATING}}}transformation-ref"))

    def _check_compensation(self, gate: str, channel: str, reference: str) -> None:
        """Refuse a dimension drawn on values that were compensated in another way than the tube's."""
        origin = self.origin
        compensated = origin.compensated(channel)
        if not origin.detectors:
            return
        found = ""
        if reference == "uncompensated":
            found = "uncompensated values" if compensated else ""
        elif reference == "FCS":
            if origin.source and not origin.source.startswith("file:") and channel not in _scatter(self.panel):
                found = "values compensated with the FCS file's own matrix"
        else:
            matrix = self._matrix(gate, reference)
            if compensated and not self._same_matrix(matrix):
                found = f"values compensated with the matrix {reference[:40]!r}, which is not the tube's"
            elif not compensated and origin.detectors.get(channel, channel) in matrix:
                found = f"values compensated with the matrix {reference[:40]!r}"
        if found:
            source = f"({origin.source or 'none'})"
            expected = f"values compensated as the tube's are {source}" if compensated else "values as stored"
            raise GateError(
                self.where,
                found=f"{gate}: {channel} on {found}",
                expected=expected,
                todo="draw the gate on such values",
            )

    def _matrices(self) -> list[ET.Element]:
        return self.root.findall(f"{{{TRANSFORMS}}}spectrumMatrix")

    def _matrix(self, gate: str, reference: str) -> dict[str, dict[str, float]]:
        """A spillover matrix of the file: fluorochrome to detector to coefficient."""
        inverted = {
            element.get(f"{{{TRANSFORMS}}}id")
            for element in self._matrices()
            if element.get(f"{{{TRANSFORMS}}}matrix-inverted-already") == "true"
        }  # FlowKit takes an inverse for a spillover matrix
        matrix = self.strategy.comp_matrices.get(reference)
        values = None if matrix is None else np.asarray(matrix.matrix)
        if (
            values is None
            or reference in inverted
            or values.shape != (len(matrix.fluorochromes), len(matrix.detectors))
            or not np.isfinite(values).all()
        ):
            raise GateError(
                self.where,
                found=f"{gate}: the compensation {reference[:40]!r}, "
                "which the file does not define as a spillover matrix",
                expected="uncompensated, FCS, or a spectrumMatrix of the file",
                todo="export the gates with their matrix",
            )
        rows, columns = matrix.fluorochromes, matrix.detectors
        # dyes may be named as such; their order is that of the detectors
        named = rows if set(rows) == set(columns) else columns[: len(rows)]
        return {row: dict(zip(columns, map(float, line), strict=True)) for row, line in zip(named, values, strict=True)}

    def _same_matrix(self, matrix: Mapping[str, Mapping[str, float]]) -> bool:
        names = self.origin.matrix_names
        return set(matrix) == set(names) and all(
            math.isclose(matrix[row].get(column, 0.0), value, abs_tol=2e-3)
            for row, line in zip(names, self.origin.matrix, strict=True)
            for column, value in zip(names, line, strict=True)
        )

    def _shape(self, name: str) -> Shape:
        gate = self.strategy.get_gate(name)
        dimensions: list[_Dimension] = [(self.channels[one.id], one) for one in gate.dimensions]
        for channel, one in dimensions:
            self._check_compensation(name, channel, one.compensation_ref)
        channels = tuple(channel for channel, _ in dimensions)
        if gate.gate_type == "RectangleGate":
            return self._rectangle(name, dimensions)
        if gate.gate_type == "PolygonGate":
            points = tuple((self._finite(name, x), self._finite(name, y)) for x, y in gate.vertices)
            if polygon_crosses_itself(points):
                raise GateError(
                    self.where,
                    found=f"polygon {name}, which crosses itself",
                    expected="a simple polygon",
                    todo="redraw it",
                )
            return Polygon(channels[0], channels[1], points)
        ellipse = EllipseGate(
            name="ellipse",
            parent=ROOT,
            method="ellipse",
            channels=channels,
            mean=tuple(self._finite(name, value) for value in gate.coordinates),
            covariance=tuple(tuple(self._finite(name, value) for value in row) for row in gate.covariance_matrix),
            distance_squared=self._finite(name, gate.distance_square),
        )
        try:
            check_tree((ellipse,), set(self.panel.markers) | (set(channels) if self.blind else set()))
        except ValueError as error:
            raise GateError(
                self.where, found=f"ellipsoid {name}: {error}", expected="a possible ellipsoid", todo="redraw it"
            ) from error
        return Ellipse(channels, ellipse.mean, ellipse.covariance, ellipse.distance_squared)

    def _rectangle(self, name: str, dimensions: list[_Dimension]) -> Rectangle:
        ranges = []
        for channel, one in dimensions:
            low, high = (None if bound is None else self._finite(name, bound) for bound in (one.min, one.max))
            if low is not None and high is not None and not low < high:
                raise GateError(
                    self.where,
                    found=f"{name}: {channel} from {low} to {high}",
                    expected="minimum < maximum",
                    todo="correct it",
                )
            low, high = (None if bound is None or abs(bound) >= BEYOND else bound for bound in (low, high))
            ranges.append((channel, low, high))
        return Rectangle(tuple(ranges))

    def _check_scale(self, gate: str, channel: str, reference: str | None) -> None:
        if self.blind:
            return
        if not self.origin.scales:
            self._check_kind_of_scale(gate, channel, reference)
            return
        scale = self.origin.scales.get(channel)
        if scale is None:
            if reference is not None:
                raise GateError(
                    self.where,
                    found=f"{gate}: a transform of {channel}",
                    expected="flowmrd's 0..1 columns",
                    todo="export without it",
                )
            return
        element = None if reference is None else self.transforms.get(reference)
        if element is None or len(element) != 1:
            raise GateError(
                self.where,
                found=f"{gate}: {channel} without a transform",
                expected=f"the {scale.kind} scale of gates.xml",
                todo="draw the gate on the scale that gates.xml defines",
            )
        given, expected = _parameters(element[0]), _expected(scale)
        if given is None or given[0] != expected[0] or not _close(given[1], expected[1]):
            raise GateError(
                self.where,
                found=f"{gate}: {channel} on another scale than this tube's",
                expected=f"{expected[0]} with " + ", ".join(f"{key}={value:g}" for key, value in expected[1].items()),
                todo="draw the gate on the scale that gates.xml defines",
            )

    def _check_kind_of_scale(self, gate: str, channel: str, reference: str | None) -> None:
        """Refuse a scale that the panel does not use, where its numbers are learned only in the run."""
        settings = self.panel.channel(channel)
        if settings.kind is ChannelKind.TIME:
            return
        kind = "linear" if settings.kind is ChannelKind.SCATTER else settings.transform.kind
        element = None if reference is None else self.transforms.get(reference)
        if element is None or len(element) != 1:
            raise GateError(
                self.where,
                found=f"{gate}: {channel} without a transform",
                expected=f"the {kind} scale of gates.xml",
                todo="draw the gate on the scale that gates.xml defines",
            )
        given = element[0].tag.rpartition("}")[2]
        if given != _TAGS.get(kind, given):
            raise GateError(
                self.where,
                found=f"{gate}: {channel} on another scale than this tube's",
                expected=f"{_TAGS[kind]} as in gates.xml",
                todo="draw the gate on the scale that gates.xml defines",
            )

    def _finite(self, gate: str, value: float) -> float:
        if not math.isfinite(value):
            raise GateError(
                self.where, found=f"{gate}: the number {value}", expected="a finite number", todo="correct it"
            )
        return float(value)


def _flowkit_reads(matrices: Iterable[ET.Element], gates: Iterable[ET.Element]) -> Any:
    """FlowKit's strategy of these gates, each at the root of the tree."""
    import flowkit as fk  # slow to import: only where a reviewer has drawn gates

    root = ET.Element(f"{{{GATING}}}Gating-ML")
    root.extend(matrices)
    for gate in gates:
        alone = ET.SubElement(root, gate.tag, {key: text for key, text in gate.attrib.items() if key != _PARENT})
        alone.extend(gate)
    return fk.parse_gating_xml(io.BytesIO(ET.tostring(root)))


def _scatter(panel: PanelModel) -> set[str]:
    kinds = {ChannelKind.SCATTER, ChannelKind.TIME}
    return {channel.marker for channel in panel.channels if channel.kind in kinds}


def _as_text(element: ET.Element) -> str:
    """An element in one form, whatever the order of its attributes and the blanks between its parts."""
    parts = sorted(element.attrib.items())
    return f"{element.tag}{parts}{[_as_text(child) for child in element]}"


def _parameters(element: ET.Element) -> tuple[str, dict[str, float]] | None:
    tag = element.tag.rpartition("}")[2]
    try:
        return tag, {key.rpartition("}")[2]: float(value) for key, value in element.attrib.items()}
    except ValueError:
        return None


def _expected(scale: ChannelScale) -> tuple[str, dict[str, float]]:
    if scale.kind == "logicle":
        return "logicle", {"T": float(scale.T), "W": float(scale.W), "M": float(scale.M), "A": float(scale.A)}
    if scale.kind == "linear":
        return "flin", {"T": float(scale.T), "A": 0.0}
    ratio = float(scale.T) / float(scale.cofactor)
    return "fasinh", {"T": float(scale.T), "M": math.asinh(ratio) / math.log(10), "A": 0.0}


def _close(given: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    return all(
        key in given and math.isclose(given[key], value, rel_tol=1e-6, abs_tol=1e-9) for key, value in expected.items()
    )

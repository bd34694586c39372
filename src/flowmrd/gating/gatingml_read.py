"""GatingML 2.0 in: rectangles, polygons and ellipsoids of known gates, as a reviewer's software wrote them.

Boolean and quadrant gates are not read: combinations are the panel's business. Dimensions may be named by ``$PnN`` or
by marker. A dimension drawn on another scale than the tube's is an error, because its numbers mean something else.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flowmrd.errors import GateError
from flowmrd.gating.gatingml import BEYOND, GATING, TRANSFORMS, TYPES, Wiring
from flowmrd.gating.shapes import Ellipse, Polygon, Rectangle, Shape
from flowmrd.panel.gates import polygon_crosses_itself
from flowmrd.panel.model import PanelModel

__all__ = ["read_gatingml"]

MAX_BYTES: Final = 10_000_000
_SHAPES: Final = ("RectangleGate", "PolygonGate", "EllipsoidGate")


def read_gatingml(path: Path, panel: PanelModel, wiring: Wiring | None) -> dict[str, Shape]:
    """Shapes of the panel's gates in a GatingML file, by gate name; other gates of the file are errors.

    Raises
    ------
    GateError
        If the file is not GatingML 2.0, declares entities, names an unknown gate or dimension, or a gate is impossible.
    """
    where = str(path)
    text = path.read_bytes()
    if len(text) > MAX_BYTES:
        raise _error(where, f"{len(text)} bytes", f"at most {MAX_BYTES}", "export the gates alone")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise _error(where, "a document type or entity declaration", "plain GatingML", "export the file again")
    try:
        root = ET.fromstring(text)  # noqa: S314 - declarations, the dangerous part, were refused above
    except ET.ParseError as error:
        raise _error(
            where, f"XML that is not well-formed ({error})", "GatingML 2.0", "export the file again"
        ) from error
    if root.tag != f"{{{GATING}}}Gating-ML":
        raise _error(where, f"the root element {root.tag[:80]}", "Gating-ML version 2.0", "export as GatingML 2.0")
    reader = _Reader(where, root, panel, wiring or Wiring())
    return reader.shapes()


class _Reader:
    def __init__(self, where: str, root: ET.Element, panel: PanelModel, wiring: Wiring) -> None:
        self.where, self.root, self.panel, self.wiring = where, root, panel, wiring
        self.channels = {
            detector: channel for channel, detector in wiring.detectors.items() if channel in panel.markers
        }
        self.channels |= {marker: marker for marker in panel.markers}
        self.transforms = {
            element.get(f"{{{TRANSFORMS}}}id", ""): element
            for element in root.findall(f"{{{TRANSFORMS}}}transformation")
        }

    def shapes(self) -> dict[str, Shape]:
        from flowmrd.gating.overrides import known_gate

        found: dict[str, Shape] = {}
        for tag in _SHAPES:
            for element in self.root.findall(f"{{{GATING}}}{tag}"):
                name = element.get(f"{{{GATING}}}id", "")
                known_gate(self.where, name, self.panel)
                if name in found:
                    raise _error(self.where, f"the gate {name} twice", "every gate once", "remove one of them")
                found[name] = self._shape(tag, name, element)
        if not found:
            raise _error(
                self.where, "no rectangle, polygon or ellipsoid gate", "at least one", "export the edited gates"
            )
        return found

    def _shape(self, tag: str, name: str, element: ET.Element) -> Shape:
        dimensions = [self._dimension(name, item) for item in element.findall(f"{{{GATING}}}dimension")]
        if tag == "RectangleGate":
            ranges = tuple((channel, low, high) for channel, low, high in dimensions)
            for channel, low, high in ranges:
                if low is not None and high is not None and not low < high:
                    raise _error(
                        self.where, f"{name}: {channel} from {low} to {high}", "minimum < maximum", "correct it"
                    )
            if not ranges:
                raise _error(self.where, f"{name} without dimensions", "at least one", "export the gate again")
            return Rectangle(ranges)
        channels = tuple(channel for channel, _, _ in dimensions)
        if tag == "PolygonGate":
            corners = tuple(
                tuple(self._values(name, vertex, "coordinate")) for vertex in element.findall(f"{{{GATING}}}vertex")
            )
            if len(channels) != 2 or len(corners) < 3 or any(len(corner) != 2 for corner in corners):
                raise _error(
                    self.where, f"polygon {name} with {len(corners)} corners", "2 channels, 3 corners", "correct it"
                )
            points = tuple((corner[0], corner[1]) for corner in corners)
            if polygon_crosses_itself(points):
                raise _error(self.where, f"polygon {name}, which crosses itself", "a simple polygon", "redraw it")
            return Polygon(channels[0], channels[1], points)
        return self._ellipse(name, element, channels)

    def _ellipse(self, name: str, element: ET.Element, channels: tuple[str, ...]) -> Shape:
        mean = element.find(f"{{{GATING}}}mean")
        square = element.find(f"{{{GATING}}}distanceSquare")
        rows = element.findall(f"{{{GATING}}}covarianceMatrix/{{{GATING}}}row")
        if mean is None or square is None or len(rows) != len(channels):
            raise _error(
                self.where, f"ellipsoid {name} without mean, covariance or distance", "all three", "export it again"
            )
        distance = self._number(name, square.get(f"{{{TYPES}}}value"))
        covariance = tuple(tuple(self._values(name, row, "entry")) for row in rows)
        centre = tuple(self._values(name, mean, "coordinate"))
        from flowmrd.panel.gates import EllipseGate, check_tree

        gate = EllipseGate(
            name="ellipse",
            parent="root",
            method="ellipse",
            channels=channels,
            mean=centre,
            covariance=covariance,
            distance_squared=distance,
        )
        try:
            check_tree((gate,), set(self.panel.markers))
        except ValueError as error:
            raise _error(self.where, f"ellipsoid {name}: {error}", "a possible ellipsoid", "redraw it") from error
        return Ellipse(channels, centre, covariance, distance)

    def _dimension(self, gate: str, element: ET.Element) -> tuple[str, float | None, float | None]:
        item = element.find(f"{{{TYPES}}}fcs-dimension")
        name = None if item is None else item.get(f"{{{TYPES}}}name")
        if name is None or name not in self.channels:
            known = ", ".join(sorted(self.channels))
            raise _error(
                self.where, f"{gate}: the dimension {str(name)[:60]!r}", f"one of {known}", "correct the channel"
            )
        channel = self.channels[name]
        self._check_scale(gate, channel, element.get(f"{{{GATING}}}transformation-ref"))
        low, high = (element.get(f"{{{GATING}}}{key}") for key in ("min", "max"))
        bounds = [None if text is None else self._number(gate, text) for text in (low, high)]
        return channel, *(None if b is None or abs(b) >= BEYOND else b for b in bounds)  # type: ignore[return-value]

    def _check_scale(self, gate: str, channel: str, reference: str | None) -> None:
        scale = self.wiring.scales.get(channel)
        if scale is None:
            if reference is not None:
                raise _error(
                    self.where, f"{gate}: a transform of {channel}", "flowmrd's 0..1 columns", "export without it"
                )
            return
        element = None if reference is None else self.transforms.get(reference)
        if element is None or len(element) != 1:
            raise _error(
                self.where,
                f"{gate}: {channel} without a transform",
                f"the {scale['kind']} scale of gates.xml",
                "draw the gate on the scale that gates.xml defines",
            )
        given, expected = _parameters(element[0]), _expected(scale)
        if given is None or given[0] != expected[0] or not _close(given[1], expected[1]):
            raise _error(
                self.where,
                f"{gate}: {channel} on another scale than this tube's",
                f"{expected[0]} with " + ", ".join(f"{key}={value:g}" for key, value in expected[1].items()),
                "draw the gate on the scale that gates.xml defines",
            )

    def _values(self, gate: str, element: ET.Element, tag: str) -> list[float]:
        return [self._number(gate, item.get(f"{{{TYPES}}}value")) for item in element.findall(f"{{{GATING}}}{tag}")]

    def _number(self, gate: str, text: str | None) -> float:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _error(self.where, f"{gate}: the number {str(text)[:40]!r}", "a finite number", "correct it")
        return value


def _parameters(element: ET.Element) -> tuple[str, dict[str, float]] | None:
    tag = element.tag.rpartition("}")[2]
    try:
        return tag, {key.rpartition("}")[2]: float(value) for key, value in element.attrib.items()}
    except ValueError:
        return None


def _expected(scale: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    if scale["kind"] == "logicle":
        return "logicle", {key: float(scale[key]) for key in ("T", "W", "M", "A")}
    if scale["kind"] == "linear":
        return "flin", {"T": float(scale["T"]), "A": 0.0}
    ratio = float(scale["T"]) / float(scale["cofactor"])
    return "fasinh", {"T": float(scale["T"]), "M": math.asinh(ratio) / math.log(10), "A": 0.0}


def _close(given: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    return all(
        key in given and math.isclose(given[key], value, rel_tol=1e-6, abs_tol=1e-9) for key, value in expected.items()
    )


def _error(where: str, found: str, expected: str, todo: str) -> GateError:
    return GateError(where, found=found, expected=expected, todo=todo)

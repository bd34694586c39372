"""Gates of a Beckman Coulter Kaluza analysis (``.analysis``: a ZIP file with one XML file and the FCS files).

No specification is public. What is read here is what one open reader of such files found out and compared with
Kaluza's own counts, on uncompensated data: ``Entries/DataSet`` (name in ``N``) holds ``Gates`` with elements ``L``
(range), ``R`` (rectangle), ``P`` (polygon), ``E`` (ellipse) and ``B`` (Boolean), the name in ``N`` and the parent in
``G``. Children of ``A`` name the axes (channel in ``M``, scale in ``S``: I linear, O logarithmic, C logicle), children
of ``P`` the corners as values of the data (``O="x,y"``). ``GateConstraints`` says which ranges share a border
(``HistogramDivider`` with ``LG`` and ``RG``) and which four gates make a quadrant (``Staggered``).

Refused by name, because nothing public tells what the numbers mean: ellipses, Boolean gates, hinged quadrants (all
corners at 0), gates on fluorescence where the values may be compensated, and polygons for which it matters whether
their edges are straight in values or on the scale of the plot.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.errors import GateError, UnknownTubeError
from flowmrd.gating.experts.drawn_gates import DrawnGate, RefusedGateError, evaluate
from flowmrd.gating.experts.expert_gates import ExpertGates, GateBorder, GatePath, in_pieces
from flowmrd.gating.experts.tube_events import TubeEvents
from flowmrd.gating.safe_xml import MAX_BYTES, parse_xml
from flowmrd.gating.shapes import Polygon, Rectangle
from flowmrd.panel.gates import polygon_crosses_itself
from flowmrd.preprocess.transform.logicle import logicle

__all__ = ["read_kaluza"]

Compensation = Literal["file", "none"] | None
KINDS: Final = {"E": "an ellipse", "B": "a Boolean gate"}
SCALES: Final = {"I": "linear", "O": "logarithmic", "C": "logicle"}
UNSURE: Final = (0.02, 2)
"""Share and number of a polygon's events that may depend on how its edges are drawn."""
QUARTERS: Final = {"ULG": (-1, 1), "URG": (1, 1), "LLG": (-1, -1), "LRG": (1, -1)}
"""Attribute of a quadrant's gate to the side on which it has no border, along x and y."""

Corners = npt.NDArray[np.float64]


def read_kaluza(
    path: Path, tube: TubeEvents, compensation: Compensation = None, *, by_name: bool = False
) -> ExpertGates:
    """Gates of the tube in an analysis.

    Parameters
    ----------
    compensation
        ``none`` or ``file`` (the FCS file's matrix) where the user knows on which values the gates were drawn.

    Raises
    ------
    UnknownTubeError
        If the analysis does not hold this tube.
    GateError
        If the file is no analysis.
    """
    where = str(path)
    root, crcs = _opened(path)
    entry = _data_set(root, where, tube, by_name=by_name)
    if len(crcs) == 1 and crcs[0] != _crc(tube.path):
        raise UnknownTubeError(
            where,
            found="another FCS file inside",
            expected="the FCS file of this tube",
            todo="take the analysis of this very tube",
        )
    values = _Values(tube, compensation, compensated=_mentions_compensation(root))
    constraints = [item for item in root.iter() if _tag(item) in ("HistogramDivider", "Staggered")]
    gates = [gate for block in entry.iter() if _tag(block) == "Gates" for gate in block]
    names = [gate.get("N", "").strip() for gate in gates]
    parents = {name: gate.get("G", "").strip() for name, gate in zip(names, gates, strict=True)}
    made: list[DrawnGate] = []
    refused: dict[GatePath, str] = {}
    for name, gate in zip(names, gates, strict=True):
        place = _path(name, parents)
        if names.count(name) > 1:
            refused[place] = "several gates have this name"
            continue
        try:
            columns, shape, positions = _region(gate, name, values, constraints)
            made.append(DrawnGate(place, place[:-1] or None, columns, shape, _outline(shape, positions)))
        except RefusedGateError as error:
            refused[place] = str(error)
    masks, reasons = evaluate(made, refused, tube.n_events)
    outlines = {gate.path: gate.outline for gate in made}
    return ExpertGates(where, "Kaluza analysis", masks, {}, reasons, outlines)


def _opened(path: Path) -> tuple[ET.Element, list[int]]:
    """The XML of an analysis, and the checksums of the FCS files in it."""
    where, expected = str(path), "a Kaluza analysis: a ZIP file with one XML file"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            texts = [entry for entry in entries if entry.filename.lower().endswith(".xml")]
            if len(texts) != 1:
                raise GateError(
                    where, found=f"{len(texts)} XML files", expected=expected, todo="save the analysis in Kaluza again"
                )
            if texts[0].file_size > MAX_BYTES:
                raise GateError(
                    where,
                    found="an XML file of more than 200 MB",
                    expected=expected,
                    todo="check that it is an analysis",
                )
            with archive.open(texts[0]) as stream:
                raw = stream.read(MAX_BYTES + 1)
            crcs = [entry.CRC for entry in entries if entry.filename.lower().endswith((".fcs", ".lmd"))]
    except (zipfile.BadZipFile, RuntimeError, zlib.error, EOFError) as error:
        raise GateError(
            where,
            found=f"a file that cannot be unpacked ({type(error).__name__})",
            expected=expected,
            todo="save the analysis again",
        ) from error
    return parse_xml(raw, where, expected="a Kaluza analysis"), crcs


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _data_set(root: ET.Element, where: str, tube: TubeEvents, *, by_name: bool) -> ET.Element:
    entries = [item for item in root.iter() if _tag(item) == "DataSet"]
    named = [item for item in entries if tube.called([item.get("N", "").strip()])]
    found = named or (entries if len(entries) == 1 and not by_name else [])
    if len(found) != 1:
        raise UnknownTubeError(
            where,
            found=f"{len(named)} data sets with the name of this file among {len(entries)}",
            expected="one data set with the name of the FCS file",
            todo="keep the name of the FCS file in Kaluza, or save an analysis of this tube alone",
        )
    return found[0]


def _mentions_compensation(root: ET.Element) -> bool:
    """Whether the analysis holds numbers of a compensation; where they stand is not publicly known."""
    for item in root.iter():
        if re.search("comp|spill", _tag(item), re.IGNORECASE) and "constraint" not in _tag(item).lower():
            texts = [text for part in item.iter() for text in (*part.attrib.values(), part.text or "")]
            numbers = [float(n) for text in texts for n in re.findall(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", text)]
            if any(number not in (0.0, 1.0, 100.0) for number in numbers):
                return True
    return False


class _Values:
    """Values of the tube's channels as the gates were drawn on them."""

    def __init__(self, tube: TubeEvents, compensation: Compensation, *, compensated: bool) -> None:
        self.tube, self.compensation = tube, compensation
        self.open = compensation is None and (compensated or tube.spills)

    def of(self, name: str) -> npt.NDArray[np.float64]:
        """Values of a channel as the gates were drawn on them, shape (n_events,).

        Raises
        ------
        RefusedGateError
            If the file has no such channel, or it is not known on which values the gates were drawn.
        """
        tube = self.tube
        position = tube.position(name)
        if position is None:
            raise RefusedGateError(f"the FCS file has no channel {name}")
        if position in tube.gained or position in tube.times:
            raise RefusedGateError(f"{name} has a gain or is the clock; in which units Kaluza gives it is not known")
        own = np.asarray(tube.values[position], dtype=np.float64)
        if tube.is_scatter(position) or (self.compensation == "none" or (not tube.spills and not self.open)):
            return own
        if self.open:
            raise RefusedGateError(
                f"{name} may be compensated in Kaluza, and with which matrix is not publicly known; say "
                "'flowmrd labels --compensation none' or 'file' if you know"
            )
        found = tube.spillover
        if found is None or found.matrix is None or position not in found.channels:
            return own
        inverse = np.linalg.inv(found.matrix / (100.0 if found.percent_scaled else 1.0))
        column = inverse[:, found.channels.index(position)]
        return np.asarray(column @ tube.values[list(found.channels)].astype(np.float64))


def _region(
    gate: ET.Element, name: str, values: _Values, constraints: list[ET.Element]
) -> tuple[dict[str, npt.NDArray[np.float64]], Rectangle | Polygon, tuple[int, ...]]:
    axes, corners = _axes_and_corners(gate, _tag(gate))
    columns = {key: values.of(channel) for key, (channel, _) in zip("xy", axes, strict=False)}
    positions = tuple(at for channel, _ in axes if (at := values.tube.position(channel)) is not None)
    return columns, _shape(gate, name, axes, corners, columns, constraints), positions


def _outline(shape: Rectangle | Polygon, positions: tuple[int, ...]) -> GateBorder:
    """The border: corners and ranges are values already."""
    if isinstance(shape, Rectangle):
        return GateBorder(positions, tuple((low, high) for _, low, high in shape.ranges))
    return GateBorder(positions, corners=tuple((float(x), float(y)) for x, y in in_pieces(shape.vertices())))


def _shape(
    gate: ET.Element,
    name: str,
    axes: list[tuple[str, str]],
    corners: Corners,
    columns: Mapping[str, npt.NDArray[np.float64]],
    constraints: list[ET.Element],
) -> Rectangle | Polygon:
    kind = _tag(gate)
    low, high = corners.min(axis=0), corners.max(axis=0)
    if kind == "R":
        return Rectangle(tuple((key, float(low[i]), float(high[i])) for i, key in enumerate("xy")))
    if kind == "L":
        left = any(item.get("LG", "").strip() == name for item in constraints)
        right = any(item.get("RG", "").strip() == name for item in constraints)
        return Rectangle((("x", None if left else float(low[0]), None if right else float(high[0])),))
    quarter = _quarter(name, constraints)
    if quarter is None:
        return _polygon(corners, [scale for _, scale in axes], columns)
    if len({*corners[:, 0]}) != 2 or len({*corners[:, 1]}) != 2:
        raise RefusedGateError("a quadrant whose borders lean")
    return Rectangle(
        tuple(
            (key, None if side < 0 else float(low[i]), None if side > 0 else float(high[i]))
            for i, (key, side) in enumerate(zip("xy", quarter, strict=True))
        )
    )


def _axes_and_corners(gate: ET.Element, kind: str) -> tuple[list[tuple[str, str]], Corners]:
    """Channel and scale of each axis, and the corners, of a kind that can be evaluated."""
    if kind not in ("L", "R", "P"):
        what = KINDS.get(kind, f"of the kind {kind!r}")
        raise RefusedGateError(f"it is {what}, whose numbers are not publicly known")
    axes = [(item.get("M", "").strip(), item.get("S", "")) for item in _children(gate, "A") if item.get("M")]
    corners = np.array([_corner(item.get("O", "")) for item in _children(gate, "P") if item.get("O")])
    needed = 1 if kind == "L" else 2
    if len(axes) < needed or len(corners) < (3 if kind == "P" else 2):
        raise RefusedGateError("it lacks axes or corners")
    if not corners.any():
        raise RefusedGateError("all its corners are 0: a hinged quadrant, whose place is not publicly known")
    if any(scale not in SCALES for _, scale in axes[:needed]):
        raise RefusedGateError("an axis has a scale that is not known")
    return axes[:needed], corners


def _quarter(name: str, constraints: list[ET.Element]) -> tuple[int, int] | None:
    return next(
        (side for item in constraints for key, side in QUARTERS.items() if item.get(key, "").strip() == name), None
    )


def _polygon(corners: Corners, scales: list[str], columns: Mapping[str, npt.NDArray[np.float64]]) -> Polygon:
    """The polygon with edges that are straight in values, if that makes no difference."""
    points = tuple((float(x), float(y)) for x, y in corners)
    if polygon_crosses_itself(points):
        raise RefusedGateError("its polygon crosses itself")
    shape = Polygon("x", "y", points)
    if any(scale != "I" for scale in scales):
        inside = shape.inside(columns)
        bent = Polygon(
            "x",
            "y",
            tuple(zip(*(_on_scale(corners[:, i], scale).tolist() for i, scale in enumerate(scales)), strict=True)),
        )
        other = bent.inside({key: _on_scale(columns[key], scale) for key, scale in zip("xy", scales, strict=True)})
        differ, held = int(np.count_nonzero(inside != other)), int(np.count_nonzero(inside | other))
        if differ > max(UNSURE[0] * held, UNSURE[1]):
            raise RefusedGateError(
                f"whether its edges are straight in values or on the scale of the plot decides about {differ} of its "
                f"{held} events, and the file does not tell the scale"
            )
    return shape


def _on_scale(values: npt.NDArray[np.float64], scale: str) -> npt.NDArray[np.float64]:
    """A scale like the one of the plot; its parameters are not in the file."""
    if scale == "I":
        return values
    if scale == "O":
        return np.log10(np.maximum(values, 1.0))
    return np.asarray(logicle(values, T=float(1 << 20), M=4.5, W=0.5, A=0.0), dtype=np.float64)


def _corner(text: str) -> tuple[float, float]:
    parts = text.split(",")
    try:
        x, y = float(parts[0]), float(parts[1]) if len(parts) > 1 else 0.0
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise RefusedGateError(f"a corner {text[:40]!r}")
    return x, y


def _children(gate: ET.Element, tag: str) -> list[ET.Element]:
    """Elements below the child of this tag, whatever they are called."""
    return [item for child in gate if _tag(child) == tag for item in child]


def _path(name: str, parents: Mapping[str, str]) -> GatePath:
    path = [name]
    while (parent := parents.get(path[0], "")) and parent not in path:
        path.insert(0, parent)
    return tuple(path)


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]

"""Gates of a BD FACSDiva experiment that was exported as XML.

No specification is public. The reading follows the open readers of such files (CytoML, Finak et al., Cytometry A
2018;93:1189, its issues 10 and 58, and others): ``bdfacs/experiment/specimen/tube`` names its file in ``data_filename``
and holds ``gates/gate`` with ``fullname``, ``parent``, ``num_events`` and a ``region``. A region's points are in units
of the plot that it was drawn on:

- scaled (biexponential) axis: 4,096 steps of a logicle with T = 262,144, M = 4.5, A = 0 and
  W = (M - log10(T / r)) / 2, r the gate's scale value, W = 0 where r is 0;
- logarithmic axis: log10 of the value; linear axis: the value.

Events beyond the ends of an axis lie on its edge, where FACSDiva counts them. Compensation coefficients of a parameter
are its column of the inverse of the spillover matrix. Some versions write height and width of scatter under exchanged
names; the counts in the file show whether this is the case.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.errors import GateError, UnknownTubeError
from flowmrd.gating.experts.drawn_gates import CombinedGate, DrawnGate, RefusedGateError, evaluate
from flowmrd.gating.experts.expert_gates import ExpertGates, GateBorder, GatePath, Mask, in_pieces, other_tube
from flowmrd.gating.experts.tube_events import TubeEvents
from flowmrd.gating.shapes import Polygon, Rectangle
from flowmrd.panel.gates import polygon_crosses_itself
from flowmrd.preprocess.transform.logicle import inverse_logicle, logicle

__all__ = ["ROOT_TAG", "read_diva"]

ROOT_TAG: Final = "bdfacs"
TOP: Final = 262_144.0
DECADES: Final = 4.5
STEPS: Final = 4096.0
EDGE: Final = 1e-6
"""How far inside the end of an axis the events beyond it are put, as a share of the axis: a gate drawn to the end has
them."""
COMBINED: Final[Mapping[str, Literal["all", "any", "none"]]] = {
    "AND_Classifier": "all",
    "OR_Classifier": "any",
    "NOT_Classifier": "none",
    "RestOf_Classifier": "none",
}
REGIONS: Final = ("POLYGON_REGION", "RECTANGLE_REGION", "INTERVAL_REGION")
PULSES: Final = {"-H": "-W", "-W": "-H"}

Column = npt.NDArray[np.floating[Any]]


@dataclass
class _Experiment:
    where: str
    tube: TubeEvents
    settings: ET.Element | None
    log_decades: float
    exchanged: bool = False
    """Whether height and width of scatter are taken for each other."""

    def __post_init__(self) -> None:
        parameters = [] if self.settings is None else self.settings.findall("parameter")
        self.parameters = {entry.get("name", ""): entry for entry in parameters}
        self.compensated = _text(self.settings, "compensation_enabled") == "true"
        self.matrix_names = [n for n, entry in self.parameters.items() if entry.find("compensation") is not None]
        self.coefficients = {
            name: [
                _number(item.text) for item in self.parameters[name].findall("compensation/compensation_coefficient")
            ]
            for name in self.matrix_names
        }

    def values(self, name: str) -> npt.NDArray[np.float64]:
        """Values of a parameter, compensated as the experiment was, shape (n_events,).

        Raises
        ------
        RefusedGateError
            If it is not known on which values the gate was drawn.
        """
        position = self.position(name)
        raw = self.tube.values
        if self.tube.is_scatter(position):
            return np.asarray(raw[position], dtype=np.float64)
        if name not in self.coefficients or not self.compensated:
            if self.tube.spills:
                raise RefusedGateError(
                    f"{name} is on uncompensated values by the experiment, and the FCS file holds a matrix"
                )
            return np.asarray(raw[position], dtype=np.float64)
        coefficients = self.coefficients[name]
        if len(coefficients) != len(self.matrix_names) or not all(map(math.isfinite, coefficients)):
            raise RefusedGateError(f"the compensation of {name} is not {len(self.matrix_names)} numbers")
        total = np.zeros(self.tube.n_events)
        for other, coefficient in zip(self.matrix_names, coefficients, strict=True):
            if coefficient:
                total += coefficient * raw[self.position(other)]
        return total

    def position(self, name: str) -> int:
        """Channel of a parameter in the file.

        Raises
        ------
        RefusedGateError
            If the file has no such channel, or the units of its values are not known.
        """
        asked = name
        if self.exchanged and name[-2:].upper() in PULSES and name.upper().startswith(("FSC", "SSC")):
            asked = name[:-2] + PULSES[name[-2:].upper()]
        found = self.tube.position(asked)
        if found is None:
            raise RefusedGateError(f"the FCS file has no channel {asked}")
        if found in self.tube.times:
            raise RefusedGateError("it is drawn on time")
        if found in self.tube.gained:
            raise RefusedGateError(
                f"the FCS file gives {asked} a gain, and whether FACSDiva's numbers have it is not known"
            )
        return found

    def axis(self, gate: ET.Element, axis: str, name: str) -> Column:
        """Place of every event on one axis of a gate's plot, shape (n_events,).

        Raises
        ------
        RefusedGateError
            If the scale of the axis is not known.
        """
        values = self.values(name)
        if _text(gate, f"is_{axis}_parameter_scaled") == "true":
            if self.tube.is_scatter(self.position(name)):
                return np.clip(values / TOP, EDGE, 1 - EDGE) * STEPS
            scale = abs(_number(_text(gate, f"{axis}_parameter_scale_value") or "nan"))
            if not math.isfinite(scale):
                raise RefusedGateError(f"the scale of {name} is not given")
            width = max((DECADES - math.log10(TOP / scale)) / 2, 0.0) if scale else 0.0
            if not width < DECADES / 2:
                raise RefusedGateError(f"{name} has a scale value of {scale:g}, which no logicle has")
            place = logicle(values.astype(np.float32), T=TOP, M=DECADES, W=width, A=0.0)
            return np.clip(place, EDGE, 1 - EDGE) * STEPS
        if _text(gate, f"is_{axis}_parameter_log") == "true":
            top = math.log10(TOP)
            low = 10 ** (top - self.log_decades)
            return np.log10(np.clip(values, low * (1 + EDGE), TOP * (1 - EDGE)))
        if _text(self.parameters.get(name), "is_log") == "true":
            raise RefusedGateError(
                f"{name} is logarithmic in the settings and linear in the gate; its units are not known"
            )
        return np.clip(values, TOP * EDGE, TOP * (1 - EDGE))

    def value(self, gate: ET.Element, axis: str, name: str, places: npt.NDArray[np.float64]) -> Column:
        """Values at places on one axis of a gate's plot; infinite at its ends, where everything beyond is counted."""
        if _text(gate, f"is_{axis}_parameter_scaled") == "true":
            share = places / STEPS
            if self.tube.is_scatter(self.position(name)):
                values = share * TOP
            else:
                scale = abs(_number(_text(gate, f"{axis}_parameter_scale_value")))
                width = max((DECADES - math.log10(TOP / scale)) / 2, 0.0) if scale else 0.0
                values = np.asarray(inverse_logicle(share, T=TOP, M=DECADES, W=width, A=0.0), dtype=np.float64)
        elif _text(gate, f"is_{axis}_parameter_log") == "true":
            top = math.log10(TOP)
            share = (places - (top - self.log_decades)) / self.log_decades
            values = 10.0**places
        else:
            share, values = places / TOP, places
        return np.where(share <= 0, -np.inf, np.where(share >= 1, np.inf, values))


def read_diva(root: ET.Element, where: str, tube: TubeEvents, *, by_name: bool = False) -> ExpertGates:
    """Gates of the tube in an exported experiment.

    Raises
    ------
    UnknownTubeError
        If the experiment does not hold this tube, or holds it twice.
    """
    experiment = root.find("experiment")
    if experiment is None:
        raise GateError(
            where,
            found="no experiment",
            expected="an exported FACSDiva experiment",
            todo="export the experiment as XML",
        )
    element, settings = _tube(experiment, where, tube, by_name=by_name)
    gates = _gates(experiment, element, where)
    decades = _number(_text(experiment, "log_decades") or "5")
    stated = {path: count for gate in gates if (path := _path(gate)) and (count := _count(gate)) is not None}
    whole = next((_count(gate) for gate in gates if not _path(gate)), None)
    if whole and whole != tube.n_events:
        raise other_tube(where, whole, tube.n_events)
    drawn_on_pulses = any(
        (parameter or "").upper().startswith(("FSC", "SSC")) and (parameter or "")[-2:].upper() in PULSES
        for gate in gates
        if (region := gate.find("region")) is not None
        for parameter in (region.get("xparm"), region.get("yparm"))
    )
    ways = [_evaluated(_Experiment(where, tube, settings, decades, exchanged), gates) for exchanged in (False, True)]
    masks, refused, outlines = ways[0]
    if drawn_on_pulses:
        if not stated:
            refused = refused | dict.fromkeys(masks, "no counts tell whether height and width have exchanged names")
            masks = {}
        else:
            masks, refused, outlines = min(ways, key=lambda way: _distance(way[0], stated))
    return ExpertGates(where, "FACSDiva experiment", masks, stated, refused, outlines)


def _distance(masks: dict[GatePath, Mask], stated: dict[GatePath, int]) -> float:
    """How far counts are from those of the file, relative, and one for each gate that has none."""
    total = 0.0
    for path, count in stated.items():
        found = int(np.count_nonzero(masks[path])) if path in masks else None
        total += 1.0 if found is None else abs(found - count) / max(found, count, 1)
    return total


def _tube(
    experiment: ET.Element, where: str, tube: TubeEvents, *, by_name: bool
) -> tuple[ET.Element, ET.Element | None]:
    entries = [(s, t) for s in experiment.findall("specimen") for t in s.findall("tube")]
    named = [entry for entry in entries if tube.called([_text(entry[1], "data_filename") or ""])]
    found = named or (entries if len(entries) == 1 and not by_name else [])
    if len(found) != 1:
        raise UnknownTubeError(
            where,
            found=f"{len(named)} tubes with the name of this file among {len(entries)}",
            expected="one tube whose data_filename is that of the FCS file",
            todo="export the experiment with its FCS files and keep their names",
        )
    specimen, chosen = found[0]
    for place in (chosen, specimen, experiment):
        settings = place.find("instrument_settings")
        if settings is not None:
            return chosen, settings
    return chosen, None


def _gates(experiment: ET.Element, tube: ET.Element, where: str) -> list[ET.Element]:
    """The tube's own gates, else those of the only global worksheet, without the counts of another tube."""
    own = tube.findall("gates/gate")
    if any(_path(gate) for gate in own):
        return own
    sheets = experiment.findall("acquisition_worksheets/worksheet_template")
    filled = [gates for gates in (sheet.findall("gates/gate") for sheet in sheets) if any(map(_path, gates))]
    if len(filled) != 1:
        raise GateError(
            where,
            found=f"no gates in the tube, and {len(filled)} global worksheets with gates",
            expected="gates in the tube, or in one worksheet",
            todo="apply the gates to the tube in FACSDiva and export again",
        )
    for gate in filled[0]:
        for count in gate.findall("num_events"):
            gate.remove(count)
    return filled[0]


def _evaluated(
    experiment: _Experiment, gates: Sequence[ET.Element]
) -> tuple[dict[GatePath, Mask], dict[GatePath, str], dict[GatePath, GateBorder]]:
    bins = {_path_of(item.text) for gate in gates for item in gate.findall("bin")}
    made: list[DrawnGate | CombinedGate] = []
    refused: dict[GatePath, str] = {}
    for gate in gates:
        path = _path(gate)
        region = gate.find("region")
        if not path or (region is not None and "BINNER" in (region.get("type") or "")):
            continue  # all events; the hidden holder of a quadrant, whose four bins are polygons of their own
        try:
            made.append(_gate(experiment, gate, path, bins))
        except RefusedGateError as error:
            refused[path] = str(error)
    outlines = {gate.path: gate.outline for gate in made if isinstance(gate, DrawnGate)}
    return *evaluate(made, refused, experiment.tube.n_events), outlines


def _gate(experiment: _Experiment, gate: ET.Element, path: GatePath, bins: set[GatePath]) -> DrawnGate | CombinedGate:
    parent = _path_of(_text(gate, "parent")) or None
    kind = gate.get("type") or _text(gate, "type") or ""
    if kind in COMBINED:
        of = tuple(p for item in gate.findall("input") if (p := _path_of(item.text)) and p != parent)
        if not of:
            raise RefusedGateError(f"a {kind} without inputs")
        return CombinedGate(path, parent, COMBINED[kind], of)
    region = gate.find("region")
    if region is None:
        raise RefusedGateError(f"its kind is {kind or 'not given'}, without a region")
    if kind not in ("Region_Classifier", "Interval_Classifier") and path not in bins:
        raise RefusedGateError(f"its kind is {kind or 'not given'}")
    return DrawnGate(path, parent, *_region(experiment, gate, region))


def _region(
    experiment: _Experiment, gate: ET.Element, region: ET.Element
) -> tuple[dict[str, Column], Rectangle | Polygon, GateBorder]:
    kind, points, names = _kind_points_names(region)
    columns = {axis: experiment.axis(gate, axis, name) for axis, name in names.items()}
    positions = tuple(experiment.position(name) for name in names.values())
    if kind == "POLYGON_REGION":
        if len(points) < 3 or polygon_crosses_itself(tuple(points)):
            raise RefusedGateError("its polygon crosses itself or has fewer than three corners")
        pieces = in_pieces(points)
        across, up = (experiment.value(gate, axis, names[axis], pieces[:, i]).tolist() for i, axis in enumerate("xy"))
        border = GateBorder(positions, corners=tuple(zip(across, up, strict=True)))
        return columns, Polygon("x", "y", tuple(points)), border
    ends = {axis: (min(p[i] for p in points), max(p[i] for p in points)) for i, axis in enumerate(names)}
    ranges = []
    for axis, name in names.items():
        low, high = (float(value) for value in experiment.value(gate, axis, name, np.array(ends[axis])))
        ranges.append((low if math.isfinite(low) else None, high if math.isfinite(high) else None))
    shape = Rectangle(tuple((axis, *ends[axis]) for axis in names))
    return columns, shape, GateBorder(positions, tuple(ranges))


def _kind_points_names(region: ET.Element) -> tuple[str, list[tuple[float, float]], dict[str, str]]:
    """Kind of a region, its corners, and the parameter of each axis, where all of them are as they must be."""
    kind, x, y = region.get("type") or "", region.get("xparm") or "", region.get("yparm") or ""
    if kind not in REGIONS:
        raise RefusedGateError(f"its region is a {kind or 'region without a type'}")
    points = [(_number(p.get("x")), _number(p.get("y") or "0")) for p in region.findall("points/point")]
    if not x or len(points) < 2 or not all(math.isfinite(value) for point in points for value in point):
        raise RefusedGateError("its region has no parameter or no corners")
    if kind == "INTERVAL_REGION":
        return kind, points, {"x": x}
    if not y:
        raise RefusedGateError("its region has one parameter")
    return kind, points, {"x": x, "y": y}


def _path(gate: ET.Element) -> GatePath:
    return _path_of(gate.get("fullname") or _text(gate, "name"))


def _path_of(text: str | None) -> GatePath:
    parts = tuple(part for part in (text or "").strip().split("\\") if part)
    return parts[1:] if parts[:1] == ("All Events",) else parts


def _count(gate: ET.Element) -> int | None:
    value = _number(_text(gate, "num_events"))
    return int(value) if math.isfinite(value) else None


def _text(element: ET.Element | None, tag: str) -> str | None:
    found = None if element is None else element.findtext(tag)
    return None if found is None else found.strip()


def _number(text: str | None) -> float:
    try:
        return float((text or "").strip())
    except ValueError:
        return math.nan

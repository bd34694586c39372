"""Gates of a FlowJo 10 workspace and of a GatingML 2.0 file, evaluated by FlowKit.

FlowKit refuses a whole workspace for one gate or scale that it does not know. So those of the tube are taken out first
and named, with what hangs below them; other tubes and the templates of groups are taken out too. FlowKit gets the
events from our reader, with gain, log amplification and time scaling applied.
"""

from __future__ import annotations

import io
import tempfile
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import numpy as np

from flowmrd.errors import GateError, UnknownTubeError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.gating.experts.expert_gates import ExpertGates, GateBorder, GatePath, Mask, in_pieces, other_tube, spelled
from flowmrd.gating.experts.tube_events import TubeEvents
from flowmrd.gating.gatingml import GATING, TRANSFORMS, TYPES

__all__ = ["GATINGML", "read_flowjo", "read_gatingml_events"]

GATINGML: Final = "GatingML 2.0"
TUBE: Final = "tube"
SHAPES: Final = ("RectangleGate", "PolygonGate", "EllipsoidGate")
NODES: Final = {"AndNode", "OrNode", "NotNode"}
NO_GATES: Final = frozenset({"Statistic", "Graph"})
"""What stands among the gates of a population and is none."""
SCALES: Final = frozenset({"linear", "log", "logicle", "biex", "fasinh"})
BIEX_LENGTH: Final = "256"
"""The only length of a biexponential table that FlowKit knows."""


def read_flowjo(root: ET.Element, where: str, tube: TubeEvents, *, by_name: bool = False) -> ExpertGates:
    """Gates of the tube in a workspace.

    Raises
    ------
    UnknownTubeError
        If the workspace does not hold this tube.
    GateError
        If it is older than FlowJo 10, or FlowKit cannot evaluate it.
    """
    version = root.get("flowJoVersion", "")
    if not version.partition(".")[0].isdigit() or int(version.partition(".")[0]) < 10:
        raise GateError(
            where,
            found=f"a workspace of version {version[:20]!r}",
            expected="FlowJo 10 or newer",
            todo="save it in FlowJo 10",
        )
    sample = _only_this_tube(root, where, tube, by_name=by_name)
    stated: dict[GatePath, int] = {}
    refused: dict[GatePath, str] = {}
    scales = _without_unknown_scales(sample)
    node = sample.find("SampleNode")
    assert node is not None  # noqa: S101 - the tube was found by it
    node.set("name", TUBE)
    matrix = sample.find(f"{{{TRANSFORMS}}}spilloverMatrix")
    if matrix is None and len(shared := root.findall(f"Matrices/{{{TRANSFORMS}}}spilloverMatrix")) == 1:
        matrix = shared[0]  # as FlowKit writes it; FlowJo repeats it in every sample
        sample.append(matrix)
    prefix, suffix = ("", "") if matrix is None else (matrix.get("prefix", ""), matrix.get("suffix", ""))
    known = {name.replace("/", "_") for name in tube.names} | {m.replace("/", "_") for m in tube.markers if m}
    pruner = _Pruner(known, scales, prefix, suffix, stated, refused)
    pruner.prune(node, ())
    while pruner.drop_dependents(node, ()):
        pass
    for name, uri in (("gating", GATING), ("transforms", TRANSFORMS), ("data-type", TYPES)):
        ET.register_namespace(name, uri)
    text = ET.tostring(root, encoding="unicode")
    for name, uri in (("gating", GATING), ("transforms", TRANSFORMS), ("data-type", TYPES)):
        if f"xmlns:{name}=" not in text:  # FlowKit looks for all three, used or not
            root.set(f"xmlns:{name}", uri)
    raw = ET.tostring(root, encoding="utf-8")

    def strategy() -> Any:
        import flowkit as fk

        return fk.Workspace(io.BytesIO(raw), load_missing_file_data=True).get_gating_strategy(TUBE)

    masks, outlines = _evaluated(strategy, where, tube)
    return ExpertGates(where, "FlowJo workspace", masks, stated, refused, outlines)


def read_gatingml_events(raw: bytes, where: str, tube: TubeEvents) -> ExpertGates:
    """Gates of a GatingML 2.0 file, all of which apply to the tube.

    Raises
    ------
    GateError
        If FlowKit cannot evaluate the file: a channel or parent that it does not have, a scale that it does not define.
    """

    def strategy() -> Any:
        import flowkit as fk

        return fk.parse_gating_xml(io.BytesIO(raw))

    masks, outlines = _evaluated(strategy, where, tube)
    return ExpertGates(where, GATINGML, masks, outlines=outlines)


def _evaluated(make: Any, where: str, tube: TubeEvents) -> tuple[dict[GatePath, Mask], dict[GatePath, GateBorder]]:
    import flowkit as fk

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            strategy = make()
            sample = fk.Sample(_rewritten(tube, Path(folder)), sample_id=TUBE)
            results = strategy.gate_sample(sample)
            found: dict[GatePath, Mask] = {}
            outlines: dict[GatePath, GateBorder] = {}
            quadrants = set(_quadrants(strategy))
            for name, parents in strategy.get_gate_ids():
                if (name, parents) in {(above[-1], above[:-1]) for _, above in quadrants}:
                    continue  # its quadrants are listed as gates of their own
                place = tuple(part for part in (*parents, name) if part != "root")
                found[place] = np.asarray(results.get_gate_membership(name, parents), dtype=np.bool_)
                if (name, parents) not in quadrants:
                    outline = _outline(strategy.get_gate(name, parents, sample_id=TUBE), strategy, tube)
                    outlines |= {} if outline is None else {place: outline}
        except Exception as error:  # whatever FlowKit stumbles over is a file that it cannot evaluate
            text = " ".join(str(error).split())[:200]
            raise GateError(
                where,
                found=f"gates that FlowKit cannot evaluate ({type(error).__name__}: {text})",
                expected="gates on channels of this tube, with scales and parents that the file defines",
                todo="correct the gates, or export the events of the gate as a table with the columns event and blast",
            ) from error
    return found, outlines


def _outline(gate: Any, strategy: Any, tube: TubeEvents) -> GateBorder | None:
    """Border of a rectangle or polygon in values; None for what is neither, or is on a scale without a way back."""
    kind = type(gate).__name__
    if kind not in ("RectangleGate", "PolygonGate") or getattr(gate, "use_complement", False):
        return None
    positions, ways = [], []
    for dimension in gate.dimensions:
        position = None if getattr(dimension, "id", None) is None else tube.position(dimension.id)
        reference = dimension.transformation_ref
        scale = None if reference is None else strategy.get_transform(reference)
        if position is None or (scale is not None and not hasattr(scale, "inverse")):
            return None
        positions.append(position)
        ways.append((lambda values: values) if scale is None else scale.inverse)

    def value(axis: int, place: float | None) -> float | None:
        return None if place is None else float(ways[axis](np.array([[float(place)]]))[0][0])

    if kind == "RectangleGate":
        ranges = tuple((value(i, one.min), value(i, one.max)) for i, one in enumerate(gate.dimensions))
        return GateBorder(tuple(positions), ranges)
    pieces = in_pieces([(float(x), float(y)) for x, y in gate.vertices])
    across, up = (np.asarray(ways[axis](pieces[:, axis : axis + 1])).ravel().tolist() for axis in (0, 1))
    return GateBorder(tuple(positions), corners=tuple(zip(across, up, strict=True)))


def _quadrants(strategy: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Quadrants of a strategy; FlowKit lists them beside the gates that hold them, and gives none of them as a gate."""
    from flowkit.exceptions import QuadrantReferenceError

    found = []
    for name, parents in strategy.get_gate_ids():
        try:
            strategy.get_gate(name, parents, sample_id=TUBE)
        except QuadrantReferenceError:
            found.append((name, parents))
    return found


def _rewritten(tube: TubeEvents, folder: Path) -> str:
    """The tube as a plain FCS file, which FlowKit reads without fail, with its matrix."""
    names = [name or f"P{i + 1}" for i, name in enumerate(tube.names)]
    keywords = {}
    if tube.spillover is not None and tube.spillover.matrix is not None:
        found = tube.spillover
        factor = 100.0 if found.percent_scaled else 1.0
        numbers = [repr(float(value) / factor) for value in found.matrix.ravel()]  # type: ignore[union-attr]
        keywords["$SPILLOVER"] = ",".join([str(len(found.channels)), *(names[i] for i in found.channels), *numbers])
    path = folder / "tube.fcs"
    channels = [ChannelSpec(name, marker) for name, marker in zip(names, tube.markers, strict=True)]
    write_fcs(path, list(tube.values), channels, keywords)
    return str(path)


def _only_this_tube(root: ET.Element, where: str, tube: TubeEvents, *, by_name: bool) -> ET.Element:
    """The tube's entry; every other one, and the gates of groups, are taken out of the workspace."""
    listed = root.find("SampleList")
    samples = [] if listed is None else [one for one in listed.findall("Sample") if one.find("SampleNode") is not None]
    named = [one for one in samples if tube.called(_names(one))]
    found = named or (samples if len(samples) == 1 and not by_name else [])
    if len(found) != 1 or listed is None:
        raise UnknownTubeError(
            where,
            found=f"{len(named)} samples with the name of this file among {len(samples)}",
            expected="one sample with the name of the FCS file",
            todo="keep the name of the FCS file in FlowJo, or save a workspace of this tube alone",
        )
    chosen = found[0]
    node = chosen.find("SampleNode")
    assert node is not None  # noqa: S101 - samples without one were left out
    for text in (_keyword(chosen, "$TOT"), node.get("count", "")):
        if text.strip().isdigit() and int(text) != tube.n_events:
            raise other_tube(where, int(text), tube.n_events)
    _take_out_others(root, listed, chosen, node.get("sampleID"))
    return chosen


def _take_out_others(root: ET.Element, listed: ET.Element, chosen: ET.Element, own: str | None) -> None:
    """Take other samples, and the gates of groups, out of a workspace."""
    for other in list(listed):
        if other is not chosen:
            listed.remove(other)
    for group in root.iterfind("Groups/GroupNode"):
        for template in group.findall("Subpopulations"):
            group.remove(template)
        for refs in group.iterfind("Group/SampleRefs"):
            for ref in list(refs):
                if ref.get("sampleID") != own:
                    refs.remove(ref)
    if root.find("Groups") is None:
        ET.SubElement(root, "Groups")


def _names(sample: ET.Element) -> list[str]:
    node, place = sample.find("SampleNode"), sample.find("DataSet")
    uri = "" if place is None else unquote(urlsplit(place.get("uri", "")).path)
    return ["" if node is None else node.get("name", ""), uri.rpartition("/")[2], _keyword(sample, "$FIL")]


def _keyword(sample: ET.Element, name: str) -> str:
    found = (item.get("value", "") for item in sample.iterfind("Keywords/Keyword") if item.get("name") == name)
    return next(found, "")


def _without_unknown_scales(sample: ET.Element) -> dict[str, str]:
    """Take scales out that FlowKit refuses; channel to what its scale is."""
    block = sample.find("Transformations")
    taken: dict[str, str] = {}
    for scale in [] if block is None else list(block):
        kind = scale.tag.rpartition("}")[2]
        length = scale.get(f"{{{TRANSFORMS}}}length")
        if kind in SCALES and not (kind == "biex" and length != BIEX_LENGTH):
            continue
        parameter = scale.find(f"{{{TYPES}}}parameter")
        name = "" if parameter is None else parameter.get(f"{{{TYPES}}}name", "")
        taken[name] = kind if kind not in SCALES else f"{kind} of length {str(length)[:20]}"
        assert block is not None  # noqa: S101 - the loop is over its children
        block.remove(scale)
    return taken


class _Pruner:
    """Takes gates out that FlowKit cannot evaluate, and notes each with the reason."""

    def __init__(
        self,
        channels: set[str],
        scales: dict[str, str],
        prefix: str,
        suffix: str,
        stated: dict[GatePath, int],
        refused: dict[GatePath, str],
    ) -> None:
        self.channels, self.scales, self.prefix, self.suffix = channels, scales, prefix, suffix
        self.stated, self.refused = stated, refused

    def prune(self, node: ET.Element, path: GatePath) -> None:
        """Look at every gate below a node."""
        for block in node.findall("Subpopulations"):
            for item in list(block):
                name = item.get("name")
                if name is None or item.tag.rpartition("}")[2] in NO_GATES:
                    continue
                here = (*path, name)
                reason = self._why_not(item)
                if reason:
                    self._refuse(block, item, here, reason)
                    continue
                count = item.get("count", "")
                if count.isdigit():
                    self.stated[here] = int(count)
                item.attrib.setdefault("owningGroup", "")
                self.prune(item, here)

    def drop_dependents(self, node: ET.Element, path: GatePath) -> bool:
        """Take combinations of refused gates out; True where one was found, which may make others such."""
        found = False
        for block in node.findall("Subpopulations"):
            for item in list(block):
                here = (*path, item.get("name", ""))
                names = [tuple(d.get("name", "").split("/")) for d in item.iterfind("Dependents/Dependent")]
                bad = next((name for name in names if name in self.refused), None)
                if bad is not None:
                    self._refuse(block, item, here, f"it needs the gate {spelled(bad)}, which cannot be evaluated")
                    found = True
                else:
                    found = self.drop_dependents(item, here) or found
        return found

    def _refuse(self, block: ET.Element, item: ET.Element, path: GatePath, reason: str) -> None:
        self.refused[path] = reason
        block.remove(item)
        for inner in item.iterfind("Subpopulations/*"):
            name = inner.get("name")
            if name is not None:
                holder = ET.Element("Subpopulations")
                holder.append(inner)
                self._refuse(
                    holder, inner, (*path, name), f"it needs the gate {spelled(path)}, which cannot be evaluated"
                )

    def _why_not(self, item: ET.Element) -> str:
        kind = item.tag.rpartition("}")[2]
        if kind in NODES:
            return "" if item.find("Dependents/Dependent") is not None else f"a {kind} that names no gates"
        if kind != "Population":
            return f"its kind is {kind}"
        gates = item.findall("Gate/*")
        if len(gates) != 1:
            return f"it has {len(gates)} shapes"
        shape = gates[0].tag.rpartition("}")[2]
        if shape not in SHAPES:
            return f"its kind is {shape}"
        for dimension in gates[0].iterfind(f".//{{{TYPES}}}fcs-dimension"):
            name = dimension.get(f"{{{TYPES}}}name", "")
            if self.prefix and name.startswith(self.prefix):
                name = name[len(self.prefix) :]
            if self.suffix and name.endswith(self.suffix):
                name = name[: -len(self.suffix)]
            if name in self.scales:
                return f"{name} is on a scale of the kind {self.scales[name]}"
            if name not in self.channels:
                return f"the FCS file has no channel {name[:60]!r}, such as a derived parameter"
        return ""

"""An expert's gates as a reviewer's gates of a finished tube: an override on the tube's 0..1 scale.

Gates are taken by name. Each is put on the tube's scale and then checked on the tube's own events. It must hold the
events that it holds in the expert's file, or it is refused, so a gate on another matrix or scale cannot pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from flowmrd.config import RunConfig
from flowmrd.errors import ConfigError
from flowmrd.gating.experts.expert_gates import ExpertGates, GateBorder, GatePath, spelled
from flowmrd.gating.shapes import Polygon, Rectangle
from flowmrd.panel import PanelModel
from flowmrd.panel.gates import ROOT, polygon_crosses_itself
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_record
from flowmrd.stages.finished_tube import read_again
from flowmrd.store import write_text
from flowmrd.tube import Tube
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.thresholds import placed_from_records

__all__ = ["TakenGates", "take_gates", "tube_as_preprocessed", "write_override"]

AGREEMENT: Final = (0.005, 2)
"""Largest share and number of a gate's events that may change sides of its border when it is put on another scale."""


@dataclass(frozen=True)
class TakenGates:
    """Result of taking over an expert's gates.

    Attributes
    ----------
    gates
        Gate of the panel to its new shape, as an override file spells it.
    left
        Gate of the expert's file to the reason why it was not taken.
    """

    gates: dict[str, dict[str, object]]
    left: dict[str, str]


def tube_as_preprocessed(fcs: Path, ingest: Path, qc: Path, *, panel: PanelModel, config: RunConfig, name: str) -> Tube:
    """Read a tube again with the matrix and scales of its ``qc.json``, as its run preprocessed it.

    Raises
    ------
    ArtefactError
        If the run has no such tube, or its FCS file has changed since.
    """
    tube = read_again(fcs, ingest, panel, name=name)
    return preprocess(tube, config, placed=placed_from_records(name, read_record(qc, QualityFile), None))


def take_gates(expert: ExpertGates, tube: Tube) -> TakenGates:
    """Gates of an expert that have the name and the parent of a gate of the tube's panel.

    Parameters
    ----------
    tube
        The tube as it was preprocessed in its run, with columns and scales.
    """
    known = {gate.name.casefold(): gate for gate in tube.panel.gates}
    taken: dict[str, dict[str, object]] = {}
    left = {spelled(path): reason for path, reason in expert.refused.items()}
    for path in expert.masks:
        gate = known.get(path[-1].casefold())
        parent = path[-2] if len(path) > 1 else ROOT
        if gate is None:
            left[spelled(path)] = f"panel {tube.panel.name} has no gate of this name"
        elif parent.casefold() != gate.parent.casefold():
            left[spelled(path)] = f"it lies within {parent}, and in the panel {gate.name} lies within {gate.parent}"
        elif gate.name in taken:
            left[spelled(path)] = "a gate of this name was taken already"
        else:
            shape, reason = _on_scale_of(expert, path, tube)
            if shape is None:
                left[spelled(path)] = reason
            else:
                taken[gate.name] = shape
    return TakenGates(taken, left)


def _on_scale_of(expert: ExpertGates, path: GatePath, tube: Tube) -> tuple[dict[str, object] | None, str]:
    """The gate in the form of an override, or None and the reason."""
    outline = expert.outlines.get(path)
    if outline is None:
        return None, "only rectangles, ranges and polygons can be put on another scale"
    channels = [tube.facts.channels[position].column for position in outline.positions]
    absent = [channel for channel in channels if channel not in tube.columns]
    if absent:
        return None, f"panel {tube.panel.name} does not use the channel {absent[0]}"
    shape = _shape(outline, channels, tube)
    if isinstance(shape, Polygon) and polygon_crosses_itself(shape.corners):
        return None, "its polygon crosses itself on the tube's scale"
    inside = shape.inside(tube.columns)
    within = expert.masks.get(path[:-1], np.ones(tube.n_events, dtype=np.bool_))
    differ, held = int(np.count_nonzero((inside & within) != expert.masks[path])), int(expert.masks[path].sum())
    if differ > max(AGREEMENT[0] * held, AGREEMENT[1]):
        return None, (
            f"on the tube's scale it holds {differ} other events than the {held} of the file: it was drawn on values "
            "that were compensated in another way"
        )
    return _spelled_shape(shape), ""


def _shape(outline: GateBorder, channels: Sequence[str], tube: Tube) -> Rectangle | Polygon:
    def place(axis: int, values: Sequence[float]) -> list[float]:
        scale = tube.scales.get(channels[axis])
        raw = np.asarray(values, dtype=np.float32)
        return [float(v) for v in (raw if scale is None else scale.apply(raw))]

    if outline.ranges:
        ends = []
        for axis, (low, high) in enumerate(outline.ranges):
            below, above = (None if end is None else place(axis, [end])[0] for end in (low, high))
            ends.append((channels[axis], below, above))
        return Rectangle(tuple(ends))
    limit = float(np.finfo(np.float32).max) / 4
    xs, ys = (np.clip([corner[i] for corner in outline.corners], -limit, limit).tolist() for i in (0, 1))
    corners = tuple(zip(place(0, xs), place(1, ys), strict=True))
    return Polygon(channels[0], channels[1], corners)


def _spelled_shape(shape: Rectangle | Polygon) -> dict[str, object]:
    if isinstance(shape, Rectangle):
        return {"method": "rectangle", "ranges": {channel: [low, high] for channel, low, high in shape.ranges}}
    return {"method": "polygon", "x": shape.x, "y": shape.y, "vertices": [list(corner) for corner in shape.corners]}


def write_override(path: Path, taken: TakenGates, source: str) -> None:
    """Write the taken gates as a reviewer's override.

    Raises
    ------
    ConfigError
        If the tube already has an override.
    """
    there = [other for other in path.parent.glob(f"{path.stem}.*") if other.stem == path.stem]
    if there:
        raise ConfigError(
            str(there[0]),
            found="an override of this tube that is there already",
            expected="a tube without one",
            todo="take it away first, or add the gates to it by hand",
        )
    text = yaml.safe_dump({"gates": taken.gates}, sort_keys=False, default_flow_style=None, width=100)
    write_text(path, f"# Gates of {source}, on this tube's 0..1 scale.\n{text}")

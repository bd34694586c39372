"""Checking a reviewer's gates against the header of the tube, before the run and without its events."""

from __future__ import annotations

from pathlib import Path

from flowmrd.config import Sample
from flowmrd.engine.headers import RunRequest
from flowmrd.errors import InputError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.gating.gatingml import ColumnOrigin
from flowmrd.gating.overrides import read_override, refuse_impossible
from flowmrd.gating.tree import available_gates
from flowmrd.panel import PanelModel
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.compensation.source import find_spillover
from flowmrd.records.ingest import HeaderFacts
from flowmrd.tube.read import described

__all__ = ["check_override"]


def check_override(path: Path, panel: PanelModel, row: Sample, request: RunRequest) -> None:
    """Refuse an override that cannot be applied to its tube.

    The scales of a tube are learned in the run, so a gate on another scale is refused there.

    Raises
    ------
    GateError
        If the override cannot be read, or asks for a gate, channel or compensation that the tube does not have.
    """
    try:
        data_sets = read_fcs(row.fcs)
        matched, facts = described(data_sets, choose(data_sets), panel)
    except InputError:
        read_override(path, panel, None)  # the tube's own fault is told beside its row
        return
    present = [channel.marker for channel in matched.channels if channel.marker is not None]
    channels = [name for name in panel.markers if name in present and panel.channel(name).kind is not ChannelKind.TIME]
    shapes = read_override(path, panel, _origin(facts, row, request)).shapes
    refuse_impossible(str(path), shapes, available_gates(panel.gates, channels), channels)


def _origin(facts: HeaderFacts, row: Sample, request: RunRequest) -> ColumnOrigin | None:
    """The tube's detectors and matrix; None where the matrix is made in the run or is itself faulty."""
    config = request.config.for_tube(row.sample)
    section = config.compensation
    if not isinstance(section, str) and section.source == "controls":
        return None
    try:
        matrix = find_spillover(facts, config, where=str(row.fcs), batch=row.batch, csv=None, base=request.base)
    except InputError:
        return None
    detectors = {entry.column: str(entry.pnn) for entry in facts.channels}
    if matrix is None:
        return ColumnOrigin(detectors, source="none")
    names = tuple(detectors.get(name, name) for name in matrix.names)
    return ColumnOrigin(detectors, {}, names, tuple(map(tuple, matrix.matrix.tolist())), matrix.source)

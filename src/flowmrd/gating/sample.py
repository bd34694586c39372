"""One tube through the gate tree: anchors first, then the frozen gates moved with them, then the sample's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import GatingConfig
from flowmrd.gating.frame import Frame, panel_frame
from flowmrd.gating.landmark import Landmark, find_landmark
from flowmrd.gating.marrow import MATURE, marrow_shares, mature_granulocytes
from flowmrd.gating.populations import CODES, route_bits
from flowmrd.gating.reference import (
    ControlGates,
    GateReference,
    Shift,
    anchor_levels,
    anchored_shifts,
    freeze,
    moved_frame,
)
from flowmrd.gating.shapes import Columns, Shape
from flowmrd.gating.targets import AGREED_WITHOUT, NORMAL_B, TARGETS, agreed_b_lineage
from flowmrd.gating.tree import GateResult, evaluate_tree
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.transform import ChannelScale

__all__ = ["GatedSample", "gate_control", "gate_sample", "tube_landmark"]

Mask = npt.NDArray[np.bool_]

ANCHOR_EVENTS: Final = 60_000
"""Evenly spaced events that the anchor populations are looked for in."""

MIN_LEVEL_EVENTS: Final = 30
"""Fewer cells than this give no median for the reference."""


@dataclass(frozen=True)
class GatedSample:
    """Result of gating one tube.

    Attributes
    ----------
    landmark
        Where this tube's own lymphocytes lie, used or not.
    frame
        Way from the stored to the panel scale that the gates were placed with.
    """

    result: GateResult
    shifts: Mapping[str, Shift]
    reference_label: str | None
    landmark: Landmark
    frame: Frame


def tube_landmark(
    columns: Columns, panel: PanelModel, analysable: Mask, scales: Mapping[str, ChannelScale] | None = None
) -> Landmark:
    """Lymphocytes of a tube as the panel's landmark."""
    return find_landmark(columns, analysable, panel.landmark, panel_frame(panel, scales or {}))


def gate_sample(
    columns: Columns,
    panel: PanelModel,
    analysable: Mask,
    config: GatingConfig,
    *,
    reference: GateReference | None = None,
    overrides: Mapping[str, Shape] | None = None,
    scales: Mapping[str, ChannelScale] | None = None,
) -> GatedSample:
    """Gate one tube.

    Without a reference every gate is estimated on the tube itself. With one, the cuts are the reference's, moved per
    channel by the anchor cells within ``max_shift_decades``; pulse-shape and debris gates stay the tube's own, because
    they follow the instrument and not the disease. Scatter is put on the panel scale by the landmark of the controls
    where there are any, because the anchors follow the tube, else by the tube's own.

    Parameters
    ----------
    scales
        Channel to the transform the columns are stored with; an absent channel is taken to be as the panel has it.
    """
    landmark = tube_landmark(columns, panel, analysable, scales)
    if reference is None or not reference.controls:
        frame = panel_frame(panel, scales or {}, landmark.factors)
        result = evaluate_tree(columns, panel.gates, usable=analysable, overrides=overrides, frame=frame)
        return GatedSample(result, {}, None, landmark, frame)
    frame = controls = panel_frame(panel, scales or {}, reference.factors())
    label = f"{reference.panel} {reference.panel_version}, {len(reference.controls)} controls"
    step = max(1, -(-len(analysable) // ANCHOR_EVENTS))
    thin = {name: values[::step] for name, values in columns.items()}
    linear = {channel.marker for channel in panel.channels if channel.transform.kind == "linear"}
    shifts: dict[str, Shift] = {}
    frozen = freeze(panel.gates, reference, shifts, label)
    for _ in range(2):  # the second pass finds the anchors with gates that have already followed them
        found = evaluate_tree(thin, panel.gates, usable=analysable[::step], frozen=frozen, frame=frame, final=False)
        least = max(config.min_anchor_events // step, 30)
        levels = anchor_levels(found, panel.gates, thin, analysable[::step], least, controls)
        shifts = anchored_shifts(
            levels,
            reference.anchors(),
            max_decades=config.max_shift_decades,
            min_events=config.min_anchor_events,
            linear=linear,
        )
        frozen, frame = freeze(panel.gates, reference, shifts, label), moved_frame(controls, shifts)
    result = evaluate_tree(columns, panel.gates, usable=analysable, frozen=frozen, overrides=overrides, frame=frame)
    return GatedSample(result, shifts, label, landmark, frame)


def gate_control(
    name: str,
    columns: Columns,
    panel: PanelModel,
    analysable: Mask,
    config: GatingConfig,
    *,
    scales: Mapping[str, ChannelScale] | None = None,
    factors: Mapping[str, float] | None = None,
) -> ControlGates:
    """Estimate a control's own gates and levels, to be pooled with those of the other controls.

    Parameters
    ----------
    scales
        As in :func:`gate_sample`.
    factors
        Landmark factors of all controls together, so that their thresholds are on one scale; the control's own where
        absent.
    """
    if factors is None:
        factors = tube_landmark(columns, panel, analysable, scales).factors
    frame = panel_frame(panel, scales or {}, factors)
    result = evaluate_tree(columns, panel.gates, usable=analysable, frame=frame, final=False)
    parameters = {
        placement.name: placement.nominal
        for placement in result.placements
        if placement.nominal and placement.source == "sample"
    }
    levels = anchor_levels(result, panel.gates, columns, analysable, config.min_anchor_events, frame)
    anchors = {channel: level for channel, (_, _, level) in levels.items() if level is not None}
    nucleated = int(np.count_nonzero(result.inside("nucleated") & analysable))
    medians: dict[str, dict[str, float]] = {}
    fractions: dict[str, float] = {}
    for gate in panel.gates:
        if not (gate.population or gate.name in CODES) or not result.available(gate.name):
            continue
        rows = np.flatnonzero(result.inside(gate.name) & analysable)
        if nucleated:
            fractions[gate.name] = len(rows) / nucleated
        if len(rows) >= MIN_LEVEL_EVENTS:
            medians[gate.name] = _medians(columns, rows, panel, frame)
    fractions |= {name: count / base for name, (count, base) in marrow_shares(result, analysable).items() if base}
    mature = mature_granulocytes(result, analysable)
    if mature is not None:
        fractions[MATURE] = mature[0] / mature[1]
    agreed = agreed_b_lineage(route_bits(result, panel.gates), panel.gates) & analysable
    rows = np.flatnonzero(agreed)
    if len(rows) >= MIN_LEVEL_EVENTS:
        medians[NORMAL_B] = _medians(columns, rows, panel, frame)
    for marker in TARGETS:
        cut = f"{marker.lower()}_pos"
        if nucleated and result.available(cut):
            without = np.count_nonzero(agreed & ~result.inside(cut))
            fractions[f"{AGREED_WITHOUT}{marker}"] = float(without) / nucleated
    return ControlGates(name, parameters, anchors, medians, fractions, dict(factors))


def _medians(columns: Columns, rows: npt.NDArray[np.intp], panel: PanelModel, frame: Frame) -> dict[str, float]:
    present = [marker for marker in panel.features if marker in columns]
    return {marker: float(np.median(frame.to_panel(marker, columns[marker][rows]))) for marker in present}


def rounded(value: Any) -> Any:
    """Plain numbers of a record at 6 digits, so that records are short and platform noise does not show."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value

"""Gating one tube: first the anchors, then the frozen gates shifted with them, then the gates of the tube itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import GatingConfig
from flowmrd.gating.b_lineage import OTHERS_IN, other_cells_in
from flowmrd.gating.brightness import MOST_AT_BOUNDS, ScaledTube, common_brightness, dye_factors, share_at_bounds
from flowmrd.gating.haemodilution import MATURE, marrow_shares, mature_granulocytes
from flowmrd.gating.landmark import Landmark, find_landmark
from flowmrd.gating.panel_scale import PanelScale, Values, tube_panel_scale
from flowmrd.gating.populations import CODES, route_bits
from flowmrd.gating.raw_units import resolved_gates
from flowmrd.gating.reference import (
    AnchorShift,
    ControlGates,
    GateReference,
    anchor_levels,
    anchored_shifts,
    freeze,
    moved_panel_scale,
)
from flowmrd.gating.shapes import Columns, Shape
from flowmrd.gating.targets import AGREED_WITHOUT, NORMAL_B, TARGETS, agreed_b_lineage
from flowmrd.gating.tree import GateResult, evaluate_tree
from flowmrd.panel.gates import Gate
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.transform import ChannelScale

__all__ = ["GatedColumns", "gate_columns", "gate_control", "tube_landmark"]

Mask = npt.NDArray[np.bool_]

ANCHOR_EVENTS: Final = 60_000
"""Evenly spaced events that the anchor populations are looked for in."""

MIN_LEVEL_EVENTS: Final = 30
"""Fewer cells than this give no median for the reference."""


@dataclass(frozen=True)
class GatedColumns:
    """Result of gating one tube.

    Attributes
    ----------
    landmark
        Landmark of this tube's own lymphocytes, whether it was used or not.
    panel_scale
        Conversion from the stored to the panel scale that was used.
    gates
        The panel's gates with all numbers on the panel scale.
    brightness
        Factor that brought the raw values of all colours to the panel's numbers; 1 for most instruments.
    """

    result: GateResult
    shifts: Mapping[str, AnchorShift]
    reference_label: str | None
    landmark: Landmark
    panel_scale: PanelScale
    gates: tuple[Gate, ...]
    brightness: float = 1.0


def tube_landmark(
    columns: Columns, panel: PanelModel, analysable: Mask, scales: Mapping[str, ChannelScale] | None = None
) -> Landmark:
    """Lymphocytes of a tube as the panel's landmark; columns and ``analysable`` have shape (n_events,)."""
    return find_landmark(columns, analysable, panel.landmark, tube_panel_scale(panel, scales or {}))


def gate_columns(
    columns: Columns,
    panel: PanelModel,
    analysable: Mask,
    config: GatingConfig,
    *,
    reference: GateReference | None = None,
    overrides: Mapping[str, Shape] | None = None,
    scales: Mapping[str, ChannelScale] | None = None,
) -> GatedColumns:
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
        return _gated_alone(columns, panel, analysable, landmark, scales or {}, overrides)
    panel_scale = controls = tube_panel_scale(panel, scales or {}, reference.factors())
    gates = resolved_gates(panel, panel_scale, scales or {})
    learned = reference.factors()
    brightness = next((learned[name] for name in dye_factors(scales or {}, 2.0) if name in learned), 1.0)
    label = f"{reference.panel} {reference.panel_version}, {len(reference.controls)} controls"
    step = max(1, -(-len(analysable) // ANCHOR_EVENTS))
    thin = {name: values[::step] for name, values in columns.items()}
    linear = {channel.marker for channel in panel.channels if channel.transform.kind == "linear"}
    shifts: dict[str, AnchorShift] = {}
    frozen = freeze(gates, reference, shifts, label)
    for _ in range(2):  # the second pass finds the anchors with gates that were already shifted with them
        found = evaluate_tree(
            thin, gates, usable=analysable[::step], frozen=frozen, panel_scale=panel_scale, final=False
        )
        least = max(config.min_anchor_events // step, 30)
        levels = anchor_levels(found, panel.gates, thin, analysable[::step], least, controls)
        shifts = anchored_shifts(
            levels,
            reference.anchors(),
            max_decades=config.max_shift_decades,
            min_events=config.min_anchor_events,
            linear=linear,
            controls=reference.anchor_levels(),
        )
        frozen, panel_scale = freeze(gates, reference, shifts, label), moved_panel_scale(controls, shifts)
    result = evaluate_tree(
        columns, gates, usable=analysable, frozen=frozen, overrides=overrides, panel_scale=panel_scale
    )
    return GatedColumns(result, shifts, label, landmark, panel_scale, gates, brightness)


def _gated_alone(
    columns: Columns,
    panel: PanelModel,
    analysable: Mask,
    landmark: Landmark,
    scales: Mapping[str, ChannelScale],
    overrides: Mapping[str, Shape] | None,
) -> GatedColumns:
    """A tube gated on its own events; once more where most cuts ended at bounds and one brightness frees them."""
    brightness = 1.0
    while True:
        panel_scale = tube_panel_scale(panel, scales, {**landmark.factors, **dye_factors(scales, brightness)})
        gates = resolved_gates(panel, panel_scale, scales)
        result = evaluate_tree(columns, gates, usable=analysable, overrides=overrides, panel_scale=panel_scale)
        found = GatedColumns(result, {}, None, landmark, panel_scale, gates, brightness)
        if brightness != 1.0 or share_at_bounds(gates, result.placements) <= MOST_AT_BOUNDS:
            return found
        brightness = common_brightness([ScaledTube(columns, analysable, scales, landmark.factors)], panel)
        if brightness == 1.0:
            return found


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
        As in :func:`gate_columns`.
    factors
        Landmark factors of all controls together, so that their thresholds are on one scale; the control's own where
        absent.
    analysable
        True for analysable events, shape (n_events,).
    """
    if factors is None:
        factors = tube_landmark(columns, panel, analysable, scales).factors
    panel_scale = tube_panel_scale(panel, scales or {}, factors)
    gates = resolved_gates(panel, panel_scale, scales or {})
    result = evaluate_tree(columns, gates, usable=analysable, panel_scale=panel_scale, final=False)
    parameters = {
        placement.name: placement.nominal
        for placement in result.placements
        if placement.nominal and placement.source == "sample"
    }
    levels = anchor_levels(result, panel.gates, columns, analysable, config.min_anchor_events, panel_scale)
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
            medians[gate.name] = _medians(columns, rows, panel, panel_scale)
    fractions |= {name: count / base for name, (count, base) in marrow_shares(result, analysable).items() if base}
    mature = mature_granulocytes(result, analysable)
    if mature is not None:
        fractions[MATURE] = mature[0] / mature[1]
    agreed = agreed_b_lineage(route_bits(result, panel.gates), panel.gates) & analysable
    rows = np.flatnonzero(agreed)
    if len(rows) >= MIN_LEVEL_EVENTS:
        medians[NORMAL_B] = _medians(columns, rows, panel, panel_scale)
    fractions |= _without_targets(result, agreed, nucleated)
    fractions |= _other_cells(result, panel, analysable, nucleated)
    held = share_at_bounds(gates, result.placements)
    return ControlGates(name, parameters, anchors, medians, fractions, dict(factors), held_share=held)


def _other_cells(result: GateResult, panel: PanelModel, analysable: Mask, nucleated: int) -> dict[str, float]:
    """Other cells in the places of normal B stages, as shares of the nucleated cells."""
    found = {stage: other_cells_in(stage, result, panel, analysable) for stage in panel.maturation_gates}
    return {
        f"{OTHERS_IN}{stage}": others.expected / nucleated
        for stage, others in found.items()
        if others is not None and nucleated
    }


def _without_targets(result: GateResult, agreed: Mask, nucleated: int) -> dict[str, float]:
    """Cells that several routes call B lineage and that lack a target, as shares of the nucleated cells."""
    shares = {}
    for marker in TARGETS:
        cut = f"{marker.lower()}_pos"
        if nucleated and result.available(cut):
            without = np.count_nonzero(agreed & ~result.inside(cut))
            shares[f"{AGREED_WITHOUT}{marker}"] = float(without) / nucleated
    return shares


def _medians(
    columns: Columns, rows: npt.NDArray[np.intp], panel: PanelModel, panel_scale: PanelScale
) -> dict[str, float]:
    present = [marker for marker in panel.features if marker in columns]
    return {marker: _panel_median(columns[marker][rows], marker, panel_scale) for marker in present}


def _panel_median(values: Values, marker: str, panel_scale: PanelScale) -> float:
    """Median on the panel scale. Scales keep the order of cells, so that only the middle cells need to be placed."""
    if len(values) == 0:
        return float("nan")
    last = len(values) - 1
    ordered = np.partition(values, (last // 2, (last + 1) // 2, last))
    if np.isnan(ordered[last]):
        return float("nan")
    return float(panel_scale.to_panel(marker, ordered[[last // 2, (last + 1) // 2]]).mean())

"""Gating one tube: applying the panel's gate tree, and assessing the sample from its gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import PriorTherapy
from flowmrd.errors import GateError
from flowmrd.gating.b_lineage import assess_b_lineage, assess_stages
from flowmrd.gating.brightness import MOST_AT_BOUNDS, ScaledTube, at_bound, common_brightness, dye_factors
from flowmrd.gating.flags import gate_flags, missing_routes, nucleated_by
from flowmrd.gating.gated_columns import GatedColumns, gate_columns, gate_control, tube_landmark
from flowmrd.gating.gatingml import ColumnOrigin, write_gatingml
from flowmrd.gating.haemodilution import STAGES, assess_haemodilution, assess_regeneration
from flowmrd.gating.overrides import read_override, refuse_impossible
from flowmrd.gating.panel_scale import panel_channel_scale
from flowmrd.gating.populations import GateCounts, assign, code_table, population_table, route_bits, route_names
from flowmrd.gating.reference import ControlGates, GateReference
from flowmrd.gating.shapes import same_shape
from flowmrd.gating.targets import (
    NORMAL_B,
    TARGETS,
    agreed_b_lineage,
    assess_targets,
    expected_others,
    positive_shape,
)
from flowmrd.gating.tree import GateResult, apply_placements
from flowmrd.panel.gates import CutGate, Gate, window_gate
from flowmrd.records.base import FlagEntry
from flowmrd.records.gates import GateEntry, GatesFile, OverrideUsed, ReferenceUsed, RoutesEntry
from flowmrd.threads import one_thread
from flowmrd.tube.labels import as_stained
from flowmrd.tube.thresholds import TubeThresholds
from flowmrd.tube.tube import Tube, require_tube

__all__ = ["GATES_SCHEMA_VERSION", "column_origin", "gate", "gates_of_controls", "population_rows"]

GATES_SCHEMA_VERSION = 3


@one_thread()
def gate(
    tube: Tube,
    config: RunConfig | None = None,
    *,
    reference: GateReference | None = None,
    exclude: str | None = None,
    override: Path | None = None,
    prior_therapy: PriorTherapy | str = PriorTherapy.NONE,
    placed: TubeThresholds | None = None,
) -> Tube:
    """Apply the panel's gate tree to a preprocessed tube.

    Parameters
    ----------
    tube
        With ``columns`` and ``masks``.
    config
        Settings of gating; the defaults where absent. The tube's own ``quality`` decides which events are used for
        estimates.
    reference
        Gates of the control marrows (:func:`gates_of_controls`); every gate is estimated on this tube where absent.
    exclude
        Control to leave out of the reference: the tube itself, when it is a control.
    override
        ``config/overrides/<sample>.yaml`` or ``.xml`` whose gates replace the automatic ones.
    prior_therapy
        Therapy against CD19 or CD22 before this tube (``none``, ``cd19``, ``cd22``, ``cd19+cd22``), for the wording of
        target status.
    placed
        Thresholds of another tube (:attr:`Tube.placed`). Its gates are applied to these events as they are: nothing is
        estimated, all other settings are ignored, and ``gates`` stays empty.

    Returns
    -------
    Tube
        With ``gating``, ``gates``, ``populations``, ``population``, ``route_names`` and ``routes``.

    Raises
    ------
    GateError
        If the tube has not been preprocessed, the reference is of another panel, or the override names a gate that does
        not exist.
    ValueError
        If the therapy is none of these.
    """
    require_tube(tube, "gate_tube")
    panel = tube.panel
    columns = tube.measured
    if not columns:
        raise GateError(
            f"tube {tube.name}",
            found="a tube that has not been preprocessed",
            expected="values on the 0..1 scale",
            todo="preprocess it first (preprocess_tube)",
        )
    prior_therapy = PriorTherapy(prior_therapy).value
    if placed is not None:
        return _gated(tube, apply_placements(columns, panel.gates, placed.gates))
    settings = config or RunConfig(panel=panel.name, samples="")
    learned = _usable_reference(reference, tube, exclude)
    analysable = tube.analysable()
    found, manual = _gate(tube, analysable, settings, learned, override)
    result = found.result
    gated = _gated(tube, result)
    assert gated.routes is not None  # noqa: S101 - set by the line above
    rows = population_table(result, panel.gates, columns, analysable, markers=())
    entries = _entries(found, rows)
    normal = _normal_levels(learned, tube, found.brightness)
    nucleated = int(np.count_nonzero(result.inside("nucleated") & analysable))
    agreed = agreed_b_lineage(gated.routes, panel.gates) & analysable
    others = {marker: expected_others(learned, marker, nucleated) for marker in TARGETS}
    targets = assess_targets(
        columns,
        agreed,
        {marker: positive_shape(entries, marker) for marker in TARGETS},
        as_stained(panel, tube.facts.channels),
        population=window_gate(result.names),
        scales=tube.scales,
        normal=normal,
        others=others,
        prior_therapy=prior_therapy,
    )
    stages = assess_stages(result, panel, analysable, learned)
    counts = {row.population: row.analysable_count for row in rows}
    by = nucleated_by(panel, tuple(columns))
    flags = gate_flags(
        panel,
        result,
        found.shifts,
        analysable,
        scatter_only=by == "scatter",
        has_reference=learned is not None,
        prior_therapy=prior_therapy,
        gates=found.gates,
        brightness=found.brightness,
    )
    facts = GatesFile(
        schema_version=GATES_SCHEMA_VERSION,
        panel=panel.name,
        panel_version=panel.version,
        events=len(analysable),
        analysable=int(np.count_nonzero(analysable)),
        reference=None
        if found.reference_label is None
        else ReferenceUsed(label=found.reference_label, excluded=exclude),
        override=manual,
        landmark=found.landmark.as_record(found.panel_scale.factors),
        shifts=tuple(shift.as_record() for shift in found.shifts.values()),
        gates=entries,
        routes=RoutesEntry(
            present=tuple(name for name in route_names(panel.gates) if result.available(name)),
            missing=missing_routes(panel, result),
        ),
        normal_b=normal,
        targets=targets,
        b_lineage=assess_b_lineage(counts.get("b_lineage"), nucleated, stages),
        haemodilution=assess_haemodilution(result, analysable, _ranges(learned)),
        regeneration=assess_regeneration(
            {name: counts[name] for name in STAGES if name in counts},
            nucleated,
            too_few=[one.population for one in stages if one.state == "too_few"],
        ),
        nucleated_by=by,
        flags=tuple(map(FlagEntry.of, flags)),
    )
    return replace(gated, gates=facts)


def _gated(tube: Tube, result: GateResult) -> Tube:
    gates = tube.panel.gates
    return replace(
        tube,
        gating=result,
        gates=None,
        populations=code_table(gates),
        population=assign(result, gates),
        route_names=route_names(gates),
        routes=route_bits(result, gates),
    )


def population_rows(tube: Tube) -> list[GateCounts]:
    """Rows of ``populations.tsv`` of a gated tube: counts, percentages and medians of every gate, and how many cells
    of a normal B stage can be other cells.
    """
    gates, features = tube.panel.gates, tube.panel.features
    rows = population_table(tube.gate_result, gates, tube.measured, tube.analysable(), features, tube.scales)
    stages = {} if tube.gates is None else {stage.population: stage for stage in tube.gates.b_lineage.stages}
    return [
        row
        if (stage := stages.get(row.population)) is None
        else replace(row, others_at_most=stage.others_at_most, b_stage=stage.state)
        for row in rows
    ]


BRIGHTNESS_TUBES: Final = 3
"""Number of controls from which the brightness of the instrument is estimated; one instrument measured them all."""


@one_thread()
def _by_name(tubes: Iterable[Tube]) -> dict[str, Tube]:
    found: dict[str, Tube] = {}
    for tube in tubes:
        require_tube(tube, "gates_of_controls")
        found[tube.name] = tube
    return found


def gates_of_controls(tubes: Mapping[str, Tube] | Iterable[Tube], config: RunConfig | None = None) -> GateReference:
    """Learn the gates of a panel from its preprocessed control tubes, to be frozen.

    Parameters
    ----------
    tubes
        Name to control tube, or the tubes under their own names; at least one, all of one panel.
    config
        Settings of gating; the defaults where absent.

    Returns
    -------
    GateReference
        Threshold of every gate with that of each control; :func:`flowmrd.gate_tube` takes it as ``reference``.

    Raises
    ------
    GateError
        If there is no control.
    """
    tubes = dict(tubes) if isinstance(tubes, Mapping) else _by_name(tubes)
    if not tubes:
        raise GateError(
            "gates of the controls",
            found="no control tube",
            expected="at least one sample with role control",
            todo="add controls to the sample sheet, or gate without a reference",
        )
    panel = next(iter(tubes.values())).panel
    settings = config or RunConfig(panel=panel.name, samples="")
    landmarks = [
        tube_landmark(tube.measured, panel, tube.analysable(), tube.scales).factors for _, tube in sorted(tubes.items())
    ]
    # One factor for all controls, so that their thresholds can be pooled: one instrument measured them.
    factors = {name: median(entry[name] for entry in landmarks) for name in panel.landmark}

    def learn(own: Mapping[str, float]) -> list[ControlGates]:
        return [
            gate_control(
                name,
                tube.measured,
                panel,
                tube.analysable(),
                settings.gating,
                scales=tube.scales,
                factors={**own, **factors},
            )
            for name, tube in sorted(tubes.items())
        ]

    learned = learn({})
    if median(control.held_share for control in learned) > MOST_AT_BOUNDS:
        scaled = [ScaledTube(tube.measured, tube.analysable(), tube.scales, factors) for tube in tubes.values()]
        brightness = common_brightness(scaled[:BRIGHTNESS_TUBES], panel)
        if brightness != 1.0:
            learned = learn(dye_factors(scaled[0].scales, brightness))
    return GateReference(panel.name, panel.version, tuple(learned))


def column_origin(tube: Tube) -> ColumnOrigin | None:
    """How the tube's columns are computed from its FCS file, so that ``gates.xml`` applies to that file; None where not
    recorded.
    """
    if tube.qc is None or not tube.scales:
        return None
    detectors = {entry.column: entry.pnn or "" for entry in tube.qc.channels}
    compensation = tube.qc.compensation
    return ColumnOrigin(
        detectors,
        tube.scales,
        tuple(detectors.get(name, name) for name in compensation.channels),
        compensation.matrix,
        compensation.source,
    )


def _usable_reference(reference: GateReference | None, tube: Tube, exclude: str | None) -> GateReference | None:
    """The reference without the control that is left out; None where no control remains."""
    if reference is None:
        return None
    panel = tube.panel
    if (reference.panel, reference.panel_version) != (panel.name, panel.version):
        raise GateError(
            f"gate reference for tube {tube.name}",
            found=f"gates of panel {reference.panel} version {reference.panel_version}",
            expected=f"{panel.name} version {panel.version}",
            todo="rerun the gate-reference stage with this panel, or use the panel the reference was made with",
        )
    rest = reference.leaving_out(exclude)
    return rest if rest.controls else None


def _normal_levels(learned: GateReference | None, tube: Tube, brightness: float) -> dict[str, float]:
    """Target marker to its level on the normal B lineage of the controls, panel scale, in the tube's own brightness."""
    if learned is None:
        return {}
    found = {marker: learned.level(NORMAL_B, marker) for marker in TARGETS}
    levels = {marker: level for marker, level in found.items() if level is not None}
    if brightness == 1.0:
        return levels
    own = {marker: panel_channel_scale(tube.panel.channel(marker), tube.scales[marker]) for marker in levels}
    raw = {marker: np.array([float(own[marker].inverse(level)) / brightness]) for marker, level in levels.items()}
    return {marker: float(own[marker].apply(raw[marker].astype(np.float32))[0]) for marker in levels}


def _ranges(learned: GateReference | None) -> dict[str, tuple[float, float, float, int]]:
    """Population to its shares in the controls."""
    if learned is None:
        return {}
    names = dict.fromkeys(name for control in learned.controls for name in control.fractions)
    found = {name: learned.fraction_range(name) for name in names}
    return {name: shares for name, shares in found.items() if shares is not None}


def _gate(
    tube: Tube,
    analysable: npt.NDArray[np.bool_],
    config: RunConfig,
    learned: GateReference | None,
    override: Path | None,
) -> tuple[GatedColumns, OverrideUsed | None]:
    """Gate the tube, with a reviewer's gates where there are any, and the record of these."""
    columns, panel, scales = tube.measured, tube.panel, tube.scales
    gated = gate_columns(columns, panel, analysable, config.gating, reference=learned, scales=scales)
    if override is None:
        return gated, None
    own = column_origin(tube)
    automatic = write_gatingml(gated.result, panel.gates, own)
    manual = read_override(override, panel, own, gated.panel_scale, automatic)
    shapes = dict(manual.shapes)
    if manual.from_gatingml:
        shapes = {name: s for name, s in shapes.items() if not same_shape(s, gated.result.placement(name).shape)}
    available = [name for name in shapes if gated.result.available(name)]
    refuse_impossible(str(override), shapes, available, columns)
    if shapes:
        gated = gate_columns(
            columns, panel, analysable, config.gating, reference=learned, overrides=shapes, scales=scales
        )
    return gated, OverrideUsed(file=manual.file, sha256=manual.sha256, gates=tuple(shapes))


def _held(gate_: Gate, gated: GatedColumns) -> bool:
    """Whether the anchor cells would move a cut further than the configuration allows."""
    return isinstance(gate_, CutGate) and gate_.channel in gated.shifts and gated.shifts[gate_.channel].at_bound


def _entries(gated: GatedColumns, rows: Sequence[GateCounts]) -> tuple[GateEntry, ...]:
    """Every gate as placed, with its counts."""
    return tuple(
        GateEntry(
            name=gate_.name,
            title=gate_.title or gate_.name,
            parent=gate_.parent,
            method=gate_.method,
            population=gate_.population,
            route=gate_.route,
            helper=gate_.helper,
            state=placement.state,
            source=placement.source,
            how=placement.how,
            why=placement.why,
            shape=placement.shape.as_record(),
            parameters={name: round(value, 6) for name, value in placement.parameters.items()},
            shift_decades=round(placement.shift, 4),
            at_bound=at_bound(gate_, placement) or (placement.source == "sample-shift" and _held(gate_, gated)),
            parent_events=placement.parent_events,
            count=row.count,
            analysable_count=row.analysable_count,
            curve=placement.curve,
        )
        for gate_, placement, row in zip(gated.gates, gated.result.placements, rows, strict=True)
    )

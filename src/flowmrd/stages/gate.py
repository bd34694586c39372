"""Stage ``gate``: the panel's gate tree on one tube.

``gated.arrow``
    ``gates`` uint64 (bit i = gate i of the metadata key ``gates``, a JSON list; helper gates have none),
    ``population`` int16 (code table in the metadata key ``populations``, JSON name to code), ``routes`` uint8 (bits in
    the metadata key ``routes``, a JSON list).

``gates.json`` (schema_version 1)::

    schema_version, panel, panel_version, events, analysable
    reference:   {label, excluded} or null
    override:    {file, sha256, gates} or null
    landmark:    {levels: {channel: median of lymphocytes}, factors, events, why, applied: {channel: factor}}
                 # factors: to the panel's place of lymphocytes; applied: with controls theirs, moved by the anchors
    shifts:      [{channel, population, events, level, reference, measured_decades, applied_decades, at_bound, why}]
    gates:       [{name, title, parent, method, population, route, helper, state, source, how, why, shape,
                   parameters, shift_decades, at_bound, parent_events, count, analysable_count,
                   curve: {x, y, threshold, bounds} or null}]
                 # state: ok | insufficient_parent | unavailable
                 # source: sample | reference | sample-shift | fallback | default | override
    routes:      {present: [...], missing: [{route, why}]}
    nucleated_by: dye | scatter
    flags:       [{code, level, message}]                  # level: info | warn | fail
    targets:     {CD19: {...}, CD22: {...}}                # of the B lineage by two routes or more; Target
    normal_b:    {CD19: level, CD22: level}                # of the controls' normal B lineage, panel scale
    haemodilution: {verdict, statement, populations: [{population, events, of, share, limit, met, controls}]}
    regeneration:  {verdict, statement, share, stages: {population: events}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import RunConfig
from flowmrd.errors import GateError
from flowmrd.gating.flags import gate_flags, missing_routes, nucleated_by
from flowmrd.gating.gatingml import Wiring, write_gatingml
from flowmrd.gating.marrow import STAGES, assess_haemodilution, assess_regeneration
from flowmrd.gating.masks import analysable_mask, panel_columns, stored_scales
from flowmrd.gating.overrides import read_override
from flowmrd.gating.populations import as_tsv, assign, code_table, population_table, route_bits, route_names
from flowmrd.gating.reference import GateReference
from flowmrd.gating.sample import GatedSample, gate_sample, rounded
from flowmrd.gating.shapes import Columns, same_shape, shape_channels
from flowmrd.gating.targets import (
    NORMAL_B,
    TARGETS,
    agreed_b_lineage,
    assess_targets,
    expected_others,
    positive_shape,
)
from flowmrd.panel.gates import CutGate, Gate
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.store import open_columns, read_json, write_columns, write_json, write_text

__all__ = ["SCHEMA_VERSION", "gate"]

SCHEMA_VERSION = 1


def gate(
    preprocessed: Path,
    *,
    panel: PanelModel,
    config: RunConfig,
    reference: Path | None,
    out: Path,
    populations: Path,
    gatingml: Path,
    record: Path,
    exclude: str | None = None,
    override: Path | None = None,
    qc: Path | None = None,
    prior_therapy: str = "none",
) -> None:
    """Gate one tube and write what it gave.

    Parameters
    ----------
    reference
        ``gates.json`` of the controls, or None where there are none: every gate is then estimated on this tube.
    exclude
        Name of the control to leave out of the reference (the tube itself, when it is a control).
    override
        ``config/overrides/<sample>.yaml`` or ``.xml`` whose gates replace the automatic ones.
    qc
        ``qc.json`` of the tube: with its detectors and matrix ``gates.xml`` applies to the original FCS file; without,
        to flowmrd's columns on the 0..1 scale.
    prior_therapy
        Therapy against CD19 or CD22 before this tube (sample sheet), for the wording of target status.

    Raises
    ------
    GateError
        If the reference is of another panel, or the override names a gate that does not exist.
    """
    learned = _reference(reference, panel, exclude)
    with open_columns(preprocessed) as store:
        columns = panel_columns(store, panel)
        analysable = analysable_mask(store, config.quality)
        wiring = _wiring(store.metadata, qc)
        scales = stored_scales(store)
        gated, manual = _gate(columns, panel, analysable, config, learned, override, wiring, scales)
        result = gated.result
        routes = route_bits(result, panel.gates)
        write_columns(
            out,
            {
                "gates": result.bits,
                "population": assign(result, panel.gates),
                "routes": routes,
            },
            {
                "gates": json.dumps(list(result.stored)),
                "populations": json.dumps(code_table(panel.gates)),
                "routes": json.dumps(list(route_names(panel.gates))),
            },
        )
        rows = population_table(result, panel.gates, columns, analysable, panel.features, scales)
        write_text(populations, as_tsv(rows))
        write_text(gatingml, write_gatingml(result, panel.gates, wiring))
        facts = _record(gated, panel, rows, analysable, exclude)
        facts["override"] = manual
        facts["normal_b"] = _normal_levels(learned)
        nucleated = int(np.count_nonzero(result.inside("nucleated") & analysable))
        positives = {marker: positive_shape(facts, marker) for marker in TARGETS}
        facts["targets"] = assess_targets(
            columns,
            agreed_b_lineage(routes, panel.gates) & analysable,
            positives,
            panel,
            population="b_lineage",
            scales=scales,
            normal=facts["normal_b"],
            others={marker: expected_others(learned, marker, nucleated) for marker in TARGETS},
            prior_therapy=prior_therapy,
        )
        facts["haemodilution"] = assess_haemodilution(result, analysable, _ranges(learned))
        facts["regeneration"] = assess_regeneration(
            {row["population"]: row["analysable_count"] for row in rows if row["population"] in STAGES},
            nucleated,
        )
        by = nucleated_by(panel, tuple(columns))
        facts["nucleated_by"] = by
        flags = gate_flags(
            panel,
            result,
            gated.shifts,
            analysable,
            scatter_only=by == "scatter",
            has_reference=learned is not None,
            prior_therapy=prior_therapy,
        )
        facts["flags"] = [flag.as_record() for flag in flags]
        write_json(record, facts)


def _normal_levels(learned: GateReference | None) -> dict[str, float]:
    """Target marker to its level on the controls' normal B lineage, panel scale."""
    if learned is None:
        return {}
    found = {marker: learned.level(NORMAL_B, marker) for marker in TARGETS}
    return {marker: level for marker, level in found.items() if level is not None}


def _ranges(learned: GateReference | None) -> dict[str, tuple[float, float, float, int]]:
    """Population to its shares in the controls."""
    if learned is None:
        return {}
    names = dict.fromkeys(name for control in learned.controls for name in control.fractions)
    found = {name: learned.fraction_range(name) for name in names}
    return {name: shares for name, shares in found.items() if shares is not None}


def _gate(
    columns: Columns,
    panel: PanelModel,
    analysable: npt.NDArray[np.bool_],
    config: RunConfig,
    learned: GateReference | None,
    override: Path | None,
    wiring: Wiring | None,
    scales: Mapping[str, ChannelScale],
) -> tuple[GatedSample, dict[str, Any] | None]:
    """Gate the tube, with a reviewer's gates where there are any, and the record of these."""
    gated = gate_sample(columns, panel, analysable, config.gating, reference=learned, scales=scales)
    if override is None:
        return gated, None
    manual = read_override(override, panel, wiring, gated.frame)
    shapes = dict(manual.shapes)
    if manual.from_gatingml:
        shapes = {name: s for name, s in shapes.items() if not same_shape(s, gated.result.placement(name).shape)}
    gone = [name for name in shapes if not gated.result.available(name)]
    if gone:
        raise GateError(
            str(override),
            found=f"a shape for {', '.join(gone)}, which this tube cannot have",
            expected="gates whose parents and channels this tube has",
            todo="remove these gates from the override",
        )
    for name, shape in shapes.items():
        absent = [channel for channel in shape_channels(shape) if channel not in columns]
        if absent:
            raise GateError(
                str(override),
                found=f"gate {name} on {', '.join(absent)}, which this tube does not have",
                expected=f"one of {', '.join(columns)}",
                todo="draw the gate on a channel of this tube",
            )
    if shapes:
        gated = gate_sample(
            columns, panel, analysable, config.gating, reference=learned, overrides=shapes, scales=scales
        )
    return gated, {"file": manual.file, "sha256": manual.sha256, "gates": list(shapes)}


def _reference(path: Path | None, panel: PanelModel, exclude: str | None) -> GateReference | None:
    if path is None:
        return None
    learned = GateReference.from_record(read_json(path), str(path))
    if (learned.panel, learned.panel_version) != (panel.name, panel.version):
        raise GateError(
            str(path),
            found=f"gates of panel {learned.panel} version {learned.panel_version}",
            expected=f"{panel.name} version {panel.version}",
            todo="rerun the gate-reference stage with this panel, or use the panel the reference was made with",
        )
    learned = learned.leaving_out(exclude)
    return learned if learned.controls else None


def _wiring(metadata: Mapping[str, str], qc: Path | None) -> Wiring | None:
    if qc is None or not metadata.get("transforms"):
        return None
    facts = read_json(qc)
    detectors = {entry["column"]: entry["pnn"] for entry in facts["channels"]}
    compensation = facts["compensation"]
    return Wiring(
        detectors,
        _transforms(metadata),
        tuple(detectors.get(name, name) for name in compensation["channels"]),
        tuple(tuple(row) for row in compensation["matrix"]),
    )


def _transforms(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Channel to its transform record; empty for a file that does not say."""
    return dict(json.loads(metadata.get("transforms", "{}")))


def _held(gate_: Gate, gated: GatedSample) -> bool:
    """Whether the anchor cells wanted to move a cut further than it may go."""
    return isinstance(gate_, CutGate) and gate_.channel in gated.shifts and gated.shifts[gate_.channel].at_bound


def _record(
    gated: GatedSample,
    panel: PanelModel,
    rows: list[dict[str, Any]],
    analysable: npt.NDArray[np.bool_],
    exclude: str | None,
) -> dict[str, Any]:
    result = gated.result
    entries = []
    for gate_, placement, row in zip(panel.gates, result.placements, rows, strict=True):
        entries.append(
            {
                "name": gate_.name,
                "title": gate_.title or gate_.name,
                "parent": gate_.parent,
                "method": gate_.method,
                "population": gate_.population,
                "route": gate_.route,
                "helper": gate_.helper,
                "state": placement.state,
                "source": placement.source,
                "how": placement.how,
                "why": placement.why,
                "shape": placement.shape.as_record(),
                "parameters": rounded(dict(placement.parameters)),
                "shift_decades": round(placement.shift, 4),
                "at_bound": placement.source == "sample-shift" and _held(gate_, gated),
                "parent_events": placement.parent_events,
                "count": row["count"],
                "analysable_count": row["analysable_count"],
                "curve": placement.curve,
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "panel": panel.name,
        "panel_version": panel.version,
        "events": len(analysable),
        "analysable": int(np.count_nonzero(analysable)),
        "reference": None if gated.reference_label is None else {"label": gated.reference_label, "excluded": exclude},
        "override": None,
        "landmark": rounded(gated.landmark.as_record() | {"applied": dict(gated.frame.factors)}),
        "shifts": [rounded(shift.as_record()) for shift in gated.shifts.values()],
        "gates": entries,
        "routes": {
            "present": [name for name in route_names(panel.gates) if result.available(name)],
            "missing": missing_routes(panel, result),
        },
    }

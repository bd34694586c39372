"""Stage ``gate``: the panel's gate tree on one tube.

``gated.arrow``
    ``gates`` uint64 (bit i = gate i of the metadata key ``gates``, a JSON list), ``population`` int16 (code table in the
    metadata key ``populations``, JSON name to code), ``routes`` uint8 (bits in the metadata key ``routes``, a JSON list).

``gates.json`` (schema_version 1)::

    schema_version, panel, panel_version, events, analysable
    reference:   {label, excluded} or null
    override:    {file, sha256, gates} or null
    shifts:      [{channel, population, events, level, reference, measured, measured_decades, applied,
                   applied_decades, at_bound, why}]
    gates:       [{name, title, parent, method, population, route, state, source, how, why, shape, parameters, shift,
                   parent_events, count, analysable_count, curve: {x, y} or null}]
                 # state: ok | insufficient_parent | unavailable
                 # source: sample | reference | sample-shift | fallback | default | override
    routes:      {present: [...], missing: [{route, why}]}
    nucleated_by: dye | scatter
    flags:       [{code, level, message}]                  # level: info | warn | fail
    targets:     {CD19: {...}, CD22: {...}}                # of B lineage; flowmrd.mrd.result.Target
    marrow:      {...}                                     # flowmrd.gating.marrow
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flowmrd.config.run import RunConfig
from flowmrd.errors import GateError
from flowmrd.gating.gatingml import Wiring, write_gatingml
from flowmrd.gating.masks import analysable_mask, panel_columns
from flowmrd.gating.populations import as_tsv, assign, code_table, population_table, route_bits, route_names
from flowmrd.gating.reference import GateReference
from flowmrd.gating.sample import GatedSample, gate_sample, rounded
from flowmrd.panel.model import PanelModel
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

    Raises
    ------
    GateError
        If the reference is of another panel, or the override names a gate that does not exist.
    """
    learned = _reference(reference, panel, exclude)
    with open_columns(preprocessed) as store:
        columns = panel_columns(store, panel)
        analysable = analysable_mask(store, config.quality)
        gated = gate_sample(columns, panel, analysable, config.gating, reference=learned)
        result = gated.result
        wiring = _wiring(store.metadata, qc)
        write_columns(
            out,
            {
                "gates": result.bits,
                "population": assign(result, panel.gates),
                "routes": route_bits(result, panel.gates),
            },
            {
                "gates": json.dumps(list(result.names)),
                "populations": json.dumps(code_table(panel.gates)),
                "routes": json.dumps(list(route_names(panel.gates))),
            },
        )
        rows = population_table(result, panel.gates, columns, analysable, panel.features)
        write_text(populations, as_tsv(rows))
        write_text(gatingml, write_gatingml(result, panel.gates, wiring))
        facts = _record(gated, panel, rows, len(analysable), int(np.count_nonzero(analysable)), exclude)
        write_json(record, facts)


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
    if qc is None or "transforms" not in metadata:
        return None
    facts = read_json(qc)
    detectors = {entry["column"]: entry["pnn"] for entry in facts["channels"]}
    compensation = facts["compensation"]
    return Wiring(
        detectors,
        json.loads(metadata["transforms"]),
        tuple(detectors.get(name, name) for name in compensation["channels"]),
        tuple(tuple(row) for row in compensation["matrix"]),
    )


def _record(
    gated: GatedSample, panel: PanelModel, rows: list[dict[str, Any]], n: int, n_analysable: int, exclude: str | None
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
                "state": placement.state,
                "source": placement.source,
                "how": placement.how,
                "why": placement.why,
                "shape": placement.shape.as_record(),
                "parameters": rounded(dict(placement.parameters)),
                "shift": round(placement.shift, 6),
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
        "events": n,
        "analysable": n_analysable,
        "reference": None if gated.reference_label is None else {"label": gated.reference_label, "excluded": exclude},
        "override": None,
        "shifts": [rounded(shift.as_record()) for shift in gated.shifts.values()],
        "gates": entries,
    }

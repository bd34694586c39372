"""Stage ``gate``: the panel's gate tree on one tube.

``gated.arrow``
    ``gates`` uint64 (bit i = gate i of the metadata key ``gates``, a JSON list; helper gates have none),
    ``population`` int16 (code table in the metadata key ``populations``, JSON name to code), ``routes`` uint8 (bits in
    the metadata key ``routes``, a JSON list).

``gates.json``
    :class:`flowmrd.records.gates.GatesFile`.
"""

from __future__ import annotations

import json
from pathlib import Path

from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import Role
from flowmrd.gating.gatingml import write_gatingml
from flowmrd.gating.populations import as_tsv
from flowmrd.gating.reference import GateReference
from flowmrd.panel.model import PanelModel
from flowmrd.records.gates import GatesFile
from flowmrd.records.read import read_record
from flowmrd.records.references import GateReferenceFile
from flowmrd.run_files import RunFiles
from flowmrd.store import write_columns, write_json, write_text
from flowmrd.tube.files import TubeFiles, tube_from_files
from flowmrd.tube.gate import column_origin, population_rows
from flowmrd.tube.gate import gate as gate_tube
from flowmrd.tube.tube import Tube

__all__ = ["gate", "in_run", "read_gate_reference", "tell_override", "write_gated"]


def in_run(run: RunFiles, *, sample: str, thresholds: Path | None = None, override: Path | None = None) -> None:
    """Gate a tube of a run."""
    row = run.sample(sample)
    gate(
        run.work(sample, "preprocessed.arrow"),
        panel=run.panel_of(sample),
        config=run.config,
        reference=thresholds,
        out=run.work(sample, "gated.arrow"),
        populations=run.result(sample, "populations.tsv"),
        gatingml=run.result(sample, "gates.xml"),
        record=run.work(sample, "gates.json"),
        exclude=sample if row.role is Role.CONTROL else None,
        override=override,
        qc=run.result(sample, "qc.json"),
        prior_therapy=row.prior_therapy.value,
    )
    tell_override(run.work(sample, "gates.json"), override)


def tell_override(record: Path, override: Path | None) -> None:
    """Write into the log which gates a reviewer has set."""
    manual = None if override is None else read_record(record, GatesFile).override
    if manual is not None:
        gates = ", ".join(manual.gates) or "none that differs from the automatic ones"
        print(f"gates set by hand: {gates}; {override}, SHA-256 {manual.sha256}")  # noqa: T201 - the stage's log


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
    """Gate one tube and write the results; parameters and errors as :func:`flowmrd.tube.gate.gate`.

    Parameters
    ----------
    reference
        ``gates.json`` of the controls, or None where there are none: every gate is then estimated on this tube.
    qc
        ``qc.json`` of the tube: with its detectors and matrix ``gates.xml`` applies to the original FCS file; without,
        to flowmrd's columns on the 0..1 scale.
    """
    tube = tube_from_files(TubeFiles(exclude or record.parent.name, preprocessed, qc=qc), panel, config)
    tube = gate_tube(
        tube,
        config,
        reference=read_gate_reference(reference),
        exclude=exclude,
        override=override,
        prior_therapy=prior_therapy,
    )
    write_gated(tube, out, populations=populations, gatingml=gatingml, record=record)


def read_gate_reference(path: Path | None) -> GateReference | None:
    """Gates learned from the controls, from their ``gates.json``."""
    return None if path is None else GateReference.from_record(read_record(path, GateReferenceFile), str(path))


def write_gated(tube: Tube, out: Path | None, *, populations: Path, gatingml: Path, record: Path) -> None:
    """Write ``gated.arrow``, where it is wanted, ``populations.tsv``, ``gates.xml`` and ``gates.json`` of a tube."""
    if out is not None and tube.population is not None and tube.routes is not None:
        write_columns(
            out,
            {"gates": tube.gate_result.bits, "population": tube.population, "routes": tube.routes},
            {
                "gates": json.dumps(list(tube.gate_names)),
                "populations": json.dumps(dict(tube.populations)),
                "routes": json.dumps(list(tube.route_names)),
            },
        )
    write_text(populations, as_tsv(population_rows(tube)))
    write_text(gatingml, write_gatingml(tube.gate_result, tube.panel.gates, column_origin(tube)))
    if tube.gates is not None:
        write_json(record, tube.gates.as_json())

"""Events of one population of a finished tube, for other software: AnnData, FCS or CSV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from flowmrd.config import RunConfig
from flowmrd.errors import ArtefactError, GateError
from flowmrd.panel import PanelModel
from flowmrd.records.ingest import IngestFile
from flowmrd.records.read import read_record
from flowmrd.stages.export import Events, original_values, write_annotated
from flowmrd.store import atomic_path, read_json
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate
from flowmrd.tube.placed import placed_from_records
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

__all__ = ["FORMATS", "FinishedFiles", "export_population", "finished_tube", "members"]

Format = Literal["h5ad", "fcs", "csv"]
FORMATS: tuple[Format, ...] = ("h5ad", "fcs", "csv")
EVERYTHING = "all"
MRD = "mrd"


@dataclass(frozen=True)
class FinishedFiles:
    """Files of a finished tube."""

    fcs: Path
    ingest: Path
    qc: Path
    gates: Path
    events: Path


def finished_tube(files: FinishedFiles, panel: PanelModel, config: RunConfig, *, name: str) -> Tube:
    """The tube as it was judged: read once more, with the thresholds that were placed in it and its stored calls.

    Raises
    ------
    ArtefactError
        If the FCS file has changed since it was ingested, or the results are not of this file.
    """
    import pyarrow.parquet as pq

    facts = read_record(files.ingest, IngestFile)
    tube = read_tube(files.fcs, panel, name=name, dataset=facts.data_set)
    if tube.facts["sha256"] != facts.sha256:
        raise ArtefactError(
            str(files.fcs),
            found="a file that has changed since it was ingested",
            expected=f"SHA-256 {facts.sha256}",
            todo="run this tube again",
        )
    placed = placed_from_records(name, read_json(files.qc), read_json(files.gates))
    tube = gate(preprocess(tube, config, placed=placed), config, placed=placed)
    stored = pq.read_table(files.events)
    if stored.num_rows != tube.n_events:
        raise ArtefactError(
            str(files.events),
            found=f"{stored.num_rows} events",
            expected=f"{tube.n_events}, as in the FCS file",
            todo="run this tube again",
        )
    masks = {
        column.removeprefix("mask_"): stored[column].to_numpy()
        for column in stored.column_names
        if column.startswith("mask_")
    }
    return replace(tube, masks=masks, mrd=stored["mrd"].to_numpy(), mrd_score=stored["mrd_score"].to_numpy())


def members(tube: Tube, population: str) -> npt.NDArray[np.bool_]:
    """True for the events of a population: ``mrd``, ``all``, a gate, or a population of the table.

    Events of ``mrd`` are those that count: called, and not masked.

    Raises
    ------
    GateError
        If there is no such population.
    """
    if population == EVERYTHING:
        return np.ones(tube.n_events, dtype=np.bool_)
    if population == MRD:
        assert tube.mrd is not None  # noqa: S101 - a finished tube has it
        return tube.mrd & tube.analysable()
    if population in tube.gate_names:
        return tube.gate(population)
    if population in tube.populations and tube.population is not None:
        return np.asarray(tube.population == tube.populations[population])
    known = [EVERYTHING, MRD, *tube.gate_names]
    raise GateError(
        f"tube {tube.name}",
        found=f"a question for the population {population[:80]!r}",
        expected=f"one of {', '.join(known)}",
        todo="correct --population",
    )


def export_population(
    files: FinishedFiles,
    out: Path,
    *,
    panel: PanelModel,
    config: RunConfig,
    name: str,
    population: str,
    format_: Format,
) -> int:
    """Write the events of a population; return their number.

    ``csv`` and ``h5ad`` hold the channels on the 0..1 scale with masks, gates and calls (:meth:`Tube.to_pandas`,
    :meth:`Tube.to_anndata`); ``fcs`` the original values with population, score and call, as ``annotated.fcs``.

    Raises
    ------
    ArtefactError, GateError
        As :func:`finished_tube` and :func:`members`.
    ConfigError
        If the package anndata is not installed.
    """
    tube = finished_tube(files, panel, config, name=name)
    inside = members(tube, population)
    rows = np.flatnonzero(inside)
    if format_ == "fcs":
        _write_fcs(files, out, tube, inside)
        return len(rows)
    with atomic_path(out) as temporary:
        if format_ == "csv":
            tube.to_pandas().iloc[rows].to_csv(temporary, index=False)
        else:
            tube.to_anndata()[rows].copy().write_h5ad(temporary)
    return len(rows)


def _write_fcs(files: FinishedFiles, out: Path, tube: Tube, inside: npt.NDArray[np.bool_]) -> None:
    facts = read_record(files.ingest, IngestFile)
    assert tube.population is not None and tube.routes is not None  # noqa: S101 - a gated tube has them
    assert tube.mrd is not None and tube.mrd_score is not None  # noqa: S101
    events = Events(
        {step: mask[inside] for step, mask in tube.masks.items()},
        tube.populations,
        tube.population[inside],
        tube.route_names,
        tube.routes[inside],
        tube.mrd_score[inside],
        tube.mrd[inside],
    )
    values = [column[inside] for column in original_values(files.fcs, facts)]
    write_annotated(out, facts, values, events)

"""Exporting the events of one population of a finished tube as AnnData, FCS or CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from flowmrd.errors import GateError
from flowmrd.records.ingest import IngestFile
from flowmrd.records.read import read_record
from flowmrd.run_files import RunFiles
from flowmrd.stages.export import ExportedEvents, original_values, write_annotated
from flowmrd.stages.finished_tube import finished_tube
from flowmrd.stages.prepare import TubeFolders
from flowmrd.store import atomic_path
from flowmrd.tube import Tube

__all__ = ["FORMATS", "export_population", "members"]

Format = Literal["h5ad", "fcs", "csv"]
FORMATS: tuple[Format, ...] = ("h5ad", "fcs", "csv")
EVERYTHING = "all"
MRD = "mrd"


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
        found=f"a request for the population {population[:80]!r}",
        expected=f"one of {', '.join(known)}",
        todo="correct --population",
    )


def export_population(run: RunFiles, sample: str, out: Path, *, population: str, format_: Format) -> int:
    """Write the events of a population of a tube of a run; return their number.

    ``csv`` and ``h5ad`` hold the channels on the 0..1 scale with masks, gates and calls (:meth:`Tube.to_pandas`,
    :meth:`Tube.to_anndata`); ``fcs`` the original values with population, score and call, as ``annotated.fcs``.

    Raises
    ------
    ArtefactError, GateError
        As :func:`finished_tube` and :func:`members`.
    ConfigError
        If the package anndata is not installed.
    """
    fcs, at = run.sample(sample).fcs, TubeFolders.in_run(run, sample)
    tube = finished_tube(fcs, at, run.panel_of(sample), run.config, name=sample)
    inside = members(tube, population)
    rows = np.flatnonzero(inside)
    if format_ == "fcs":
        _write_fcs(fcs, read_record(at.work / "ingest.json", IngestFile), out, tube, inside)
        return len(rows)
    with atomic_path(out) as temporary:
        if format_ == "csv":
            tube.to_pandas().iloc[rows].to_csv(temporary, index=False)
        else:
            tube.to_anndata()[rows].copy().write_h5ad(temporary)
    return len(rows)


def _write_fcs(fcs: Path, facts: IngestFile, out: Path, tube: Tube, inside: npt.NDArray[np.bool_]) -> None:
    assert tube.population is not None and tube.routes is not None  # noqa: S101 - a gated tube has them
    assert tube.mrd is not None and tube.mrd_score is not None and tube.group is not None  # noqa: S101
    events = ExportedEvents(
        {step: mask[inside] for step, mask in tube.masks.items()},
        tube.populations,
        tube.population[inside],
        tube.route_names,
        tube.routes[inside],
        tube.mrd_score[inside],
        tube.mrd[inside],
        tube.group[inside],
        tube.excluded[inside] if tube.excluded is not None else np.zeros(int(inside.sum()), dtype=np.bool_),
    )
    values = [column[inside] for column in original_values(fcs, facts)]
    write_annotated(out, facts, values, events)

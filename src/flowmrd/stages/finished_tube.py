"""Loading a finished tube: its file, its stored thresholds, and its stored calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowmrd.config import RunConfig
from flowmrd.errors import ArtefactError
from flowmrd.panel import PanelModel
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import IngestFile
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_record
from flowmrd.stages.prepare import TubeFolders
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from flowmrd.tube.thresholds import placed_from_records

if TYPE_CHECKING:
    from pyarrow import Table

__all__ = ["finished_tube", "read_again", "read_events"]


def read_again(fcs: Path, ingest: Path, panel: PanelModel, *, name: str) -> Tube:
    """Read a tube of a run again.

    Raises
    ------
    ArtefactError
        If the run has no such tube, or its FCS file has changed since.
    """
    facts = read_record(ingest, IngestFile)
    tube = read_tube(fcs, panel, name=name, dataset=facts.data_set)
    if tube.ingest.sha256 != facts.sha256:
        raise ArtefactError(
            str(fcs),
            found="a file that has changed since it was ingested",
            expected=f"SHA-256 {facts.sha256}",
            todo="run this tube again",
        )
    return tube


def finished_tube(fcs: Path, at: TubeFolders, panel: PanelModel, config: RunConfig, *, name: str) -> Tube:
    """Load a tube as it was judged, with its stored thresholds and calls.

    Raises
    ------
    ArtefactError
        If the FCS file has changed since it was ingested, or the results are not of this file.
    """
    tube = read_again(fcs, at.work / "ingest.json", panel, name=name)
    qc, gates = read_record(at.result / "qc.json", QualityFile), read_record(at.work / "gates.json", GatesFile)
    placed = placed_from_records(name, qc, gates)
    tube = gate(preprocess(tube, config, placed=placed), config, placed=placed)
    stored = read_events(at.result / "events.parquet", tube.n_events)
    masks = {
        column.removeprefix("mask_"): stored[column].to_numpy()
        for column in stored.column_names
        if column.startswith("mask_")
    }
    return replace(
        tube,
        masks=masks,
        mrd=stored["mrd"].to_numpy(),
        mrd_score=stored["mrd_score"].to_numpy(),
        group=stored["group"].to_numpy(),
        excluded=stored["excluded"].to_numpy(),
    )


def read_events(path: Path, n_events: int) -> Table:
    """``events.parquet`` of a tube with this number of events.

    Raises
    ------
    ArtefactError
        If it is not of this tube, or older than the column ``group``.
    """
    import pyarrow.parquet as pq

    stored = pq.read_table(path)
    if stored.num_rows != n_events or not {"group", "excluded"} <= set(stored.column_names):
        raise ArtefactError(
            str(path),
            found=f"{stored.num_rows} events with the columns {', '.join(stored.column_names)[:200]}",
            expected=f"{n_events} events, as in the FCS file, with the columns group and excluded among others",
            todo="run this tube again",
        )
    return stored

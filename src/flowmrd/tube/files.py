"""Building a tube in memory from the files of earlier stages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from flowmrd.config.run import RunConfig
from flowmrd.errors import ArtefactError
from flowmrd.gating.stored_gates import result_from_record, unplaced_result
from flowmrd.panel import PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.base import Artefact
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import HeaderFacts, IngestFile
from flowmrd.records.quality import QualityFile, ScaleEntry
from flowmrd.records.read import read_record
from flowmrd.store import ColumnStore, open_columns
from flowmrd.tube.tube import Tube

__all__ = ["TubeFiles", "raw_tube", "tube_from_files"]


Model = TypeVar("Model", bound=Artefact)


@dataclass(frozen=True)
class TubeFiles:
    """Paths of one tube's columns and records; what is absent is left out of the tube."""

    sample: str
    preprocessed: Path
    gated: Path | None = None
    classified: Path | None = None
    ingest: Path | None = None
    qc: Path | None = None
    gates: Path | None = None
    classification: Path | None = None


def raw_tube(name: str, panel: PanelModel, events: Path, record: Path) -> Tube:
    """A tube that has been read, from ``events.arrow`` (mapped into memory) and ``ingest.json``."""
    store = open_columns(events)
    return Tube(
        name, panel, where=name, facts=read_record(record, IngestFile), raw={column: store[column] for column in store}
    )


def tube_from_files(files: TubeFiles, panel: PanelModel, config: RunConfig) -> Tube:
    """A tube with everything that its files hold. Columns are mapped into memory and read when they are used.

    Raises
    ------
    ArtefactError
        If a file is missing or damaged, or the files disagree about the number of events.
    """
    store = open_columns(files.preprocessed)
    columns = {name: store[name] for name in store}
    records = json.loads(store.metadata.get("transforms", "{}"))
    tube = Tube(
        files.sample,
        panel,
        where=files.sample,
        facts=_record(files.ingest, IngestFile) or HeaderFacts(),
        columns={
            name: values for name, values in columns.items() if not name.startswith("mask_") and name != "censored"
        },
        scales={name: ChannelScale.from_record(ScaleEntry.model_validate(record)) for name, record in records.items()},
        masks={name.removeprefix("mask_"): values for name, values in columns.items() if name.startswith("mask_")},
        censored_names=tuple(json.loads(store.metadata.get("censored", "[]"))),
        censored=columns.get("censored"),
        quality=config.quality,
        qc=_record(files.qc, QualityFile),
        gates=_record(files.gates, GatesFile),
        classification=_record(files.classification, ClassificationFile),
    )
    if files.gated is not None:
        gated = open_columns(files.gated)
        _require_rows(gated, tube)
        names = tuple(str(name) for name in json.loads(gated.metadata.get("gates", "[]")))
        bits = gated["gates"]
        result = (
            unplaced_result(names, bits) if tube.gates is None else result_from_record(tube.gates.gates, names, bits)
        )
        tube = replace(
            tube,
            gating=result,
            populations=json.loads(gated.metadata.get("populations", "{}")),
            population=_column(gated, "population"),
            route_names=tuple(json.loads(gated.metadata.get("routes", "[]"))),
            routes=_column(gated, "routes"),
        )
    if files.classified is not None:
        calls = open_columns(files.classified)
        _require_rows(calls, tube)
        tube = replace(
            tube,
            mrd_score=_column(calls, "mrd_score"),
            mrd=calls["mrd"],
            cluster=_column(calls, "cluster"),
            excluded=_column(calls, "excluded"),
            group=_column(calls, "group"),
        )
    return tube


def _record(path: Path | None, model: type[Model]) -> Model | None:
    return None if path is None else read_record(path, model)


def _column(store: ColumnStore, name: str) -> Any:
    """A column, or None where the file lacks it, as one that was written by hand may."""
    if name not in store:
        return None
    return store[name]


def _require_rows(store: ColumnStore, tube: Tube) -> None:
    if store.n_events != tube.n_events:
        raise ArtefactError(
            str(store.path),
            found=f"{store.n_events} events",
            expected=f"{tube.n_events}, as in the preprocessed columns of {tube.name}",
            todo="rerun the stages of this tube from ingest on",
        )

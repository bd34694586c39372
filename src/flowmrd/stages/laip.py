"""Stage ``laip``: the phenotype of a patient's leukaemia, from the diagnosis tubes, with expert labels or without.

``laip.json``
    :class:`flowmrd.records.references.LaipFile`.

``laip.npz``
    The mixture (decades), the tube's staining shift, and up to 2,000 of its cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flowmrd.classifier.laip_of_tubes import find_laip
from flowmrd.classifier.storage import load_reference, save_laip
from flowmrd.records.ingest import IngestFile
from flowmrd.records.read import read_record
from flowmrd.run_files import RunFiles
from flowmrd.stages.labels import read_labels
from flowmrd.stages.shared_files import gated_files
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["in_run"]


def in_run(run: RunFiles, *, patient: str, tube: Sequence[str], reference: Path) -> None:
    """Find the phenotype of a patient in diagnosis tubes of a run.

    The tubes are in the order of the sheet; the last one that holds aberrant cells gives the phenotype, and one that
    cannot be evaluated gives none. In a tube with expert labels, these say which cells are leukaemic.
    """
    files = {name: replace(gated_files(run, name), qc=run.work(name, "qc.json")) for name in tube}
    tubes = [tube_from_files(one, run.panel_of(tube[0]), run.config) for one in files.values()]
    labels = {
        one.name: read_labels(path, one.n_events, fcs=run.sample(one.name).fcs, data_set=_data_set(files[one.name]))
        for one in tubes
        if (path := run.sample(one.name).labels) is not None
    }
    found = find_laip(patient, tubes, load_reference(reference), config=run.config, labels=labels)
    save_laip(found, patient, run.laip(patient, "laip.json"), run.laip(patient, "laip.npz"))


def _data_set(files: TubeFiles) -> int | None:
    """Number of the tube's data set in its FCS file, from ``ingest.json`` beside its columns."""
    record = files.preprocessed.with_name("ingest.json")
    return read_record(record, IngestFile).data_set if record.is_file() else None

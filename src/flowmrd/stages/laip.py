"""Stage ``laip``: the phenotype of a patient's leukaemia, from the diagnosis tubes, with expert labels or without.

``laip.json`` (format ``flowmrd-laip/2``)::

    format, patient, found
    features, share, n_cells, indistinct, by_expert, offscale   # absent where found is false
    arrays_sha256
    diagnosis: sample id
    seen_without_cd19: share of its cells that the gates would have let into the B lineage without CD19, or null
    components: [{share, nearest_normal, markers: [{marker, shift_decades, direction}], medians: {marker: 0..1}}]
    flags: [{code, message}]

``laip.npz``: the mixture (decades), the tube's staining shift, and up to 2,000 of its cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmrd.classifier.laip_of_tubes import find_laip
from flowmrd.classifier.storage import load_reference, save_laip
from flowmrd.config import RunConfig
from flowmrd.panel import PanelModel
from flowmrd.records.ingest import IngestFile
from flowmrd.records.read import read_record
from flowmrd.run_files import RunFiles
from flowmrd.stages.labels import read_labels
from flowmrd.stages.shared_files import gated_files
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["in_run", "learn"]


def in_run(run: RunFiles, *, patient: str, tube: Sequence[str], reference: Path) -> None:
    """Find the phenotype of a patient in diagnosis tubes of a run."""
    learn(
        patient,
        [gated_files(run, name) for name in tube],
        reference_json=reference,
        panel=run.panel_of(tube[0]),
        config=run.config,
        out_json=run.laip(patient, "laip.json"),
        out_npz=run.laip(patient, "laip.npz"),
        labels={name: path for name in tube if (path := run.sample(name).labels) is not None},
        fcs={name: run.sample(name).fcs for name in tube},
    )


def learn(
    patient: str,
    diagnosis: Sequence[TubeFiles],
    *,
    reference_json: Path,
    panel: PanelModel,
    config: RunConfig,
    out_json: Path,
    out_npz: Path,
    labels: Mapping[str, Path] | None = None,
    fcs: Mapping[str, Path] | None = None,
) -> None:
    """Find and write a patient's phenotype.

    Parameters
    ----------
    diagnosis
        Diagnosis tubes in the order of the sheet; the last one that holds aberrant cells gives the phenotype.
    labels
        Expert labels by sample name; in a tube that has them, they say which cells are leukaemic.
    fcs
        FCS file by sample name, for labels that are gates.
    """
    tubes = [tube_from_files(files, panel, config) for files in diagnosis]
    events = {tube.name: tube.n_events for tube in tubes}
    data_sets = {files.sample: _data_set(files) for files in diagnosis}
    found = find_laip(
        patient,
        tubes,
        load_reference(reference_json),
        config=config,
        labels={
            name: read_labels(path, events[name], fcs=(fcs or {}).get(name), data_set=data_sets[name])
            for name, path in (labels or {}).items()
        },
    )
    save_laip(found, patient, out_json, out_npz)


def _data_set(files: TubeFiles) -> int | None:
    """Number of the tube's data set in its FCS file, from ``ingest.json`` beside its columns."""
    record = files.preprocessed.with_name("ingest.json")
    return read_record(record, IngestFile).data_set if record.is_file() else None

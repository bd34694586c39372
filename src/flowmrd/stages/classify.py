"""Stage ``classify``: the leukaemic events of a tube, and the result of the same search in controls and spiked copies.

``classified.arrow``
    ``mrd_score`` float32 (log10 of phenotype over normal density; -99 for events outside the B-lineage window),
    ``mrd`` bool, ``cluster`` int32 (counted group, -1 = none), ``group`` int32 (any group, -1 = none), ``excluded``
    bool (excluded events in the place of the phenotype). One row per event of the file. Masked events are scored too:
    applying masks is left to the stage that counts.

``classification.json``
    :class:`flowmrd.records.classification.ClassificationFile`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flowmrd.classifier.judge_tube import classify as classify_tube
from flowmrd.classifier.storage import load_laip, load_reference
from flowmrd.classifier.stored_library import library_digest
from flowmrd.config import PriorTherapy, RunConfig
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.read import read_record
from flowmrd.records.references import ReferenceFile
from flowmrd.run_files import RunFiles
from flowmrd.stages.decisions import with_proposals
from flowmrd.stages.laboratory_files import decisions_file, stored_library
from flowmrd.stages.shared_files import gated_files
from flowmrd.store import digest_file, write_columns, write_json
from flowmrd.tube import Tube
from flowmrd.tube.files import tube_from_files

__all__ = ["classify_loaded", "in_run", "write_classified"]

FORMAT = "flowmrd-classification/1"


def in_run(
    run: RunFiles, *, sample: str, reference: Path, laip: Path | None = None, library: Sequence[Path] = ()
) -> None:
    """Classify a gated tube of a run."""
    row = run.sample(sample)
    # With its records the tube has every threshold that was placed in it: spiked cells start at the raw file.
    files = replace(gated_files(run, sample), qc=run.result(sample, "qc.json"), gates=run.work(sample, "gates.json"))
    tube = classify_loaded(
        tube_from_files(files, run.panel_of(sample), run.config),
        patient=row.patient,
        prior_therapy=row.prior_therapy,
        reference_json=reference,
        laip_json=laip,
        library_json=(*library, *stored_library(run.directory, run.config)),
        decisions_json=decisions_file(run.directory, run.config),
        config=run.config,
    )
    write_classified(tube, run.work(sample, "classified.arrow"), run.work(sample, "classification.json"))


def classify_loaded(
    tube: Tube,
    *,
    patient: str,
    prior_therapy: PriorTherapy,
    reference_json: Path,
    laip_json: Path | None,
    library_json: Sequence[Path],
    config: RunConfig,
    decisions_json: Path | None = None,
) -> Tube:
    """Judge a tube in memory by the reference and phenotypes of these files.

    Parameters
    ----------
    reference_json
        ``reference.json``; its ``.npz`` lies beside it.
    laip_json
        The patient's ``laip.json``, where there is a diagnosis tube.
    library_json
        ``laip.json`` of other patients; the patient's own is ignored here.
    decisions_json
        The laboratory's decisions on earlier groups, shown as proposals.
    """
    reference = load_reference(reference_json)
    laip = load_laip(laip_json) if laip_json is not None else None
    library = [entry for path in sorted(library_json) if (entry := load_laip(path).laip) is not None]
    judged = classify_tube(
        tube,
        reference,
        laip=laip,
        library=library,
        patient=patient,
        prior_therapy=prior_therapy,
        config=config,
    )
    found = judged.classification
    assert found is not None  # noqa: S101 - it has been classified
    facts = ClassificationFile(
        **dict(found),
        format=FORMAT,
        sample=tube.name,
        patient=patient,
        reference_digest=read_record(reference_json, ReferenceFile).digest,
        laip_sha256=digest_file(laip_json) if laip_json is not None else None,
        library_sha256=library_digest(library_json) if found.mode == "library" else None,
    )
    if decisions_json is not None:
        facts = with_proposals(facts, decisions_json, panel=tube.panel.name)
    return replace(judged, classification=facts)


def write_classified(tube: Tube, out_columns: Path | None, out_json: Path) -> None:
    """Write ``classification.json`` of a judged tube and, if a path is given, ``classified.arrow``."""
    if out_columns is not None:
        assert tube.mrd_score is not None and tube.mrd is not None and tube.cluster is not None  # noqa: S101
        assert tube.group is not None  # noqa: S101
        columns = {"mrd_score": tube.mrd_score, "mrd": tube.mrd, "cluster": tube.cluster, "group": tube.group}
        write_columns(out_columns, columns | ({} if tube.excluded is None else {"excluded": tube.excluded}))
    if tube.classification is not None:
        write_json(out_json, tube.classification.as_json())

"""Stage ``judge``: one tube from its FCS file, or from its gated columns, to its report, in one process.

A follow-up tube is read, preprocessed, gated, classified, counted, exported and reported without a column file in
between. Controls and diagnosis tubes are gated before, because something common is learned from them; their judging
starts at the column files. Every JSON artefact is written as the single stages write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.quantify import Digests
from flowmrd.panel.model import PanelModel
from flowmrd.stages.classify import classify_loaded, write_classified
from flowmrd.stages.export import events_of, original_values, write_annotated, write_parquet
from flowmrd.stages.prepare import TubeFolders
from flowmrd.stages.report import report
from flowmrd.stages.review_calls import count_with_review
from flowmrd.store import write_json, write_text
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["gated_from_files", "judge"]


def gated_from_files(sample: Sample, at: TubeFolders, *, panel: PanelModel, config: RunConfig) -> Tube:
    """A tube that the stages ingest, preprocess and gate have made."""
    work = at.work
    files = TubeFiles(
        sample.sample,
        work / "preprocessed.arrow",
        work / "gated.arrow",
        ingest=work / "ingest.json",
        qc=at.result / "qc.json",
        gates=work / "gates.json",
    )
    return tube_from_files(files, panel, config)


def judge(
    tube: Tube,
    sample: Sample,
    at: TubeFolders,
    *,
    config: RunConfig,
    digests: Digests,
    reference_json: Path,
    laip_json: Path | None,
    library_json: Sequence[Path],
    decisions_json: Path | None = None,
    controls_qc: Sequence[Path],
    controls_work: Sequence[Path],
    diagnosis_work: Path | None,
    history: Sequence[Path],
    run_directory: Path,
    tubes: int = 1,
) -> None:
    """Classify, count, report and export a gated tube; write every result of the contract.

    Reviewers' calls of groups are counted where the review log holds some about this very result.

    Parameters
    ----------
    controls_qc, controls_work, diagnosis_work, history, run_directory, tubes
        As in :func:`flowmrd.stages.report.report`.
    reference_json, laip_json, library_json, decisions_json
        As in :func:`flowmrd.stages.classify.classify`.
    """
    tube = classify_loaded(
        tube,
        patient=sample.patient,
        therapy=sample.prior_therapy,
        reference_json=reference_json,
        laip_json=laip_json,
        library_json=library_json,
        decisions_json=decisions_json,
        config=config,
    )
    write_classified(tube, None, at.work / "classification.json")
    result = at.result / "mrd.json"
    tube, counted = count_with_review(tube, config, sample=sample, digests=digests, run_directory=run_directory)
    write_json(result, counted.to_json_dict())
    write_text(at.work / "mrd.json", result.read_text(encoding="utf-8"))
    facts = tube.ingest
    values = list(tube.raw.values()) or list(original_values(sample.fcs, facts))
    events = events_of(tube, values=config.export.values)
    write_parquet(at.result / "events.parquet", events)
    write_annotated(at.result / "annotated.fcs", facts, values, events)
    report(
        at.result,
        at.work,
        panel=tube.panel,
        config=config,
        sample=sample,
        reference_json=reference_json,
        laip_json=laip_json,
        controls_qc=controls_qc,
        controls_work=controls_work,
        diagnosis_work=diagnosis_work,
        history=[path for path in history if path.is_file()],
        run_directory=run_directory,
        tubes=tubes,
        tube=tube,
    )

"""Stage ``judge``: one tube from its FCS file, or from its gated columns, to its report, in one process.

A follow-up tube is read, preprocessed, gated, classified, counted, exported and reported without a column file in
between. Controls and diagnosis tubes are gated before, because something is learned from them together; their judging
starts at the column files. Every JSON artefact is the same as from the single stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.quantify import Digests
from flowmrd.panel.model import PanelModel
from flowmrd.run_files import RunFiles
from flowmrd.stages.classify import classify_loaded, write_classified
from flowmrd.stages.export import events_of, original_values, write_annotated, write_parquet
from flowmrd.stages.gate import tell_override
from flowmrd.stages.laboratory_files import decisions_file, stored_library
from flowmrd.stages.prepare import TubeFolders, file_state, gated_from_fcs, require_unchanged
from flowmrd.stages.quantify import digests_in_run
from flowmrd.stages.report import FilesBeside, report
from flowmrd.stages.review_calls import count_with_review
from flowmrd.stages.shared_files import keep_copy
from flowmrd.store import write_json
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["gated_from_files", "in_run", "judge"]


def in_run(
    run: RunFiles,
    *,
    sample: str,
    reference: Path,
    gated: bool = False,
    transforms: Path | None = None,
    spillover: Path | None = None,
    thresholds: Path | None = None,
    override: Path | None = None,
    laip: Path | None = None,
    library: Sequence[Path] = (),
    control: Sequence[str] = (),
) -> None:
    """Take a tube of a run to its report, from its FCS file or from its ``gated`` columns."""
    row, panel, config = run.sample(sample), run.panel_of(sample), run.config
    seen = file_state(row.fcs)
    folders = TubeFolders.in_run(run, sample)
    if gated:
        tube = gated_from_files(row, folders, panel=panel, config=config)
    else:
        tube = gated_from_fcs(
            row,
            folders,
            panel=panel,
            config=config,
            transforms=transforms,
            spillover=spillover,
            thresholds=thresholds,
            override=override,
            base=run.sheet.parent,
        )
        tell_override(folders.work / "gates.json", override)
    judge(
        tube,
        row,
        folders,
        config=config,
        digests=digests_in_run(run, sample, reference, laip),
        beside=FilesBeside.in_run(run, sample, reference=reference, laip=laip, controls=control),
        reference_json=reference,
        library_json=(*library, *stored_library(run.directory, config)),
        decisions_json=decisions_file(run.directory, config),
    )
    require_unchanged(row.fcs, seen)


def gated_from_files(sample: Sample, at: TubeFolders, *, panel: PanelModel, config: RunConfig) -> Tube:
    """A tube from the files of the stages ingest, preprocess and gate."""
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
    beside: FilesBeside,
    reference_json: Path,
    library_json: Sequence[Path] = (),
    decisions_json: Path | None = None,
) -> None:
    """Classify, count, report and export a gated tube; write every result of the contract.

    Reviewers' calls of groups are counted where the review log holds some about this very result.

    Parameters
    ----------
    beside
        What the page shows beside the tube; its ``laip`` is the phenotype that the tube is judged by.
    reference_json, library_json, decisions_json
        As in :func:`flowmrd.stages.classify.classify_loaded`.
    """
    tube = classify_loaded(
        tube,
        patient=sample.patient,
        prior_therapy=sample.prior_therapy,
        reference_json=reference_json,
        laip_json=beside.laip,
        library_json=library_json,
        decisions_json=decisions_json,
        config=config,
    )
    write_classified(tube, None, at.work / "classification.json")
    result = at.result / "mrd.json"
    tube, counted = count_with_review(tube, config, sample=sample, digests=digests, run_directory=beside.run_directory)
    write_json(result, counted.to_json_dict())
    keep_copy(result, at.work / "mrd.json")
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
        beside=beside,
        tube=tube,
    )

"""Stage ``judge``: one tube from its FCS file, or from its gated columns, to its report, in one process.

A follow-up tube is read, preprocessed, gated, classified, counted, exported and reported without a column file in
between. Controls and diagnosis tubes are gated before, because something common is learned from them; their judging
starts at the column files. Every JSON artefact is written as the single stages write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.errors import ArtefactError
from flowmrd.mrd.quantify import Digests, quantify
from flowmrd.panel.model import PanelModel
from flowmrd.records.ingest import IngestFile
from flowmrd.stages.classify import classify_loaded, write_classified
from flowmrd.stages.export import events_of, original_values, write_annotated, write_parquet
from flowmrd.stages.gate import read_gate_reference, write_gated
from flowmrd.stages.ingest import write_raw
from flowmrd.stages.preprocess import write_preprocessed
from flowmrd.stages.report import report
from flowmrd.store import read_json, write_json, write_text
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

__all__ = ["TubeFolders", "file_state", "gated_from_fcs", "gated_from_files", "judge", "require_unchanged"]


@dataclass(frozen=True)
class TubeFolders:
    """Where the files of one tube lie: intermediate ones in ``work``, results in ``result``."""

    work: Path
    result: Path


def gated_from_fcs(
    sample: Sample,
    at: TubeFolders,
    *,
    panel: PanelModel,
    config: RunConfig,
    transforms: Path | None,
    spillover: Path | None,
    thresholds: Path | None,
    override: Path | None,
    base: Path | None,
) -> Tube:
    """Read, preprocess and gate a tube; write ``ingest.json``, ``qc.json`` and what gating writes, but no columns.

    :func:`require_unchanged` tells at the end whether the file is still the one that was read.

    Parameters
    ----------
    transforms, thresholds
        ``transform.json`` and ``gates.json`` of the controls.
    spillover, base
        As in :func:`flowmrd.tube.preprocess.preprocess`.
    override
        A reviewer's gates.
    """
    tube = read_tube(sample.fcs, panel, name=sample.sample)
    write_raw(tube, None, at.work / "ingest.json")
    tube = preprocess(
        tube,
        config,
        transforms=None if transforms is None else read_json(transforms)["channels"],
        spillover=spillover,
        batch=sample.batch,
        base=base,
        estimate_width=config.transform.width == "sample",
    )
    for folder in (at.result, at.work):
        write_preprocessed(tube, None, folder / "qc.json")
    tube = gate(
        tube,
        config,
        reference=read_gate_reference(thresholds),
        exclude=sample.sample if sample.role is Role.CONTROL else None,
        override=override,
        prior_therapy=sample.prior_therapy.value,
    )
    write_gated(
        tube,
        None,
        populations=at.result / "populations.tsv",
        gatingml=at.result / "gates.xml",
        record=at.work / "gates.json",
    )
    return tube


def require_unchanged(fcs: Path, seen: tuple[int, int, int]) -> None:
    """Refuse a tube whose file is not the one any more that :func:`file_state` saw.

    Raises
    ------
    ArtefactError
        If it was written to, or another one was put in its place.
    """
    if file_state(fcs) != seen:
        raise ArtefactError(
            str(fcs),
            found="a file that has changed since it was ingested",
            expected="a file at rest",
            todo="wait until the transfer from the instrument has ended, then run again",
        )


def file_state(fcs: Path) -> tuple[int, int, int]:
    """Size, time and place of a file, by which a change is noticed without reading it again."""
    state = fcs.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


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
    controls_qc: Sequence[Path],
    controls_work: Sequence[Path],
    diagnosis_work: Path | None,
    history: Sequence[Path],
    run_directory: Path,
    tubes: int = 1,
) -> None:
    """Classify, count, report and export a gated tube; write every result of the contract.

    Parameters
    ----------
    controls_qc, controls_work, diagnosis_work, history, run_directory, tubes
        As in :func:`flowmrd.stages.report.report`.
    reference_json, laip_json, library_json
        As in :func:`flowmrd.stages.classify.classify`.
    """
    tube = classify_loaded(
        tube,
        patient=sample.patient,
        therapy=sample.prior_therapy,
        reference_json=reference_json,
        laip_json=laip_json,
        library_json=library_json,
        config=config,
    )
    write_classified(tube, None, at.work / "classification.json")
    result = at.result / "mrd.json"
    write_json(result, quantify(tube, config, sample=sample, digests=digests).to_json_dict())
    write_text(at.work / "mrd.json", result.read_text(encoding="utf-8"))
    facts = IngestFile.model_validate(tube.facts)
    values = list(tube.raw.values()) or list(original_values(sample.fcs, facts))
    events = events_of(tube)
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

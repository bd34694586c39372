"""Stage ``report``: one page per sample, and the numbers on it.

``report.html``
    The page: self-contained, no network (see :mod:`flowmrd.report.page`).
``report.json``
    :class:`flowmrd.report.report_file.ReportFile`.
``report.tsv``
    The same, with one number per row: ``figure`` (dotted path), ``value``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.calls import calls_in_result, with_calls
from flowmrd.mrd.result import MrdResult
from flowmrd.panel.model import PanelModel
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.control_limits import ControlLimitsFile
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import AcquisitionEntry, IngestFile
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_if_there, read_record
from flowmrd.records.references import LaipFile, ReferenceFile
from flowmrd.report.leukaemia import read_leukaemia
from flowmrd.report.page import write_page
from flowmrd.report.page_inputs import PageInputs, Visit
from flowmrd.report.plotly_script import SharedScript, write_plotly
from flowmrd.report.sample_page import build_page
from flowmrd.review.status import signatures_of
from flowmrd.run_files import RunFiles
from flowmrd.store import digest_file, read_json, write_json, write_text
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["SHARED_ABOVE", "FilesBeside", "in_run", "report"]

SHARED_ABOVE = 20
"""Tubes above which pages share plotly.js, unless the configuration says otherwise: 1,000 pages are 2 GB smaller."""


def in_run(
    run: RunFiles,
    *,
    sample: str,
    reference: Path | None = None,
    laip: Path | None = None,
    control: Sequence[str] = (),
) -> None:
    """Write the page of a judged tube of a run."""
    report(
        run.result(sample, "mrd.json").parent,
        run.work(sample, "gates.json").parent,
        panel=run.panel_of(sample),
        config=run.config,
        sample=run.sample(sample),
        beside=FilesBeside.in_run(run, sample, reference=reference, laip=laip, controls=control),
    )


@dataclass(frozen=True)
class FilesBeside:
    """Files of a run that the page of a tube shows beside the tube's own.

    Attributes
    ----------
    reference, laip
        ``reference.json`` and ``laip.json`` by which the tube was judged; the page says which of them are missing.
    controls
        Work folders of the control tubes of the same panel: columns to draw beside this tube's, and ``qc.json``, by
        which this tube gets its place among them.
    diagnosis
        Work folder of the patient's diagnosis tube, whose columns are drawn too.
    history
        ``mrd.json`` of the patient's tubes in the order of the sheet, including this one; they need not exist.
    run_directory
        Where the review log lies; without it the page shows no signatures.
    tubes
        Tubes of the run, which decide whether pages share plotly.js.
    """

    reference: Path | None = None
    laip: Path | None = None
    controls: Sequence[Path] = ()
    diagnosis: Path | None = None
    history: Sequence[Path] = ()
    run_directory: Path | None = None
    tubes: int = 1

    @classmethod
    def in_run(
        cls, run: RunFiles, sample: str, *, reference: Path | None, laip: Path | None, controls: Sequence[str]
    ) -> FilesBeside:
        """The files beside a tube of a run."""
        return cls(
            reference,
            laip,
            controls=[run.work(name, "qc.json").parent for name in controls],
            diagnosis=_diagnosis_folder(run, laip),
            history=[run.work(name, "mrd.json") for name in _tubes_up_to(run, sample)],
            run_directory=run.directory,
            tubes=len(run.samples),
        )


def _tubes_up_to(run: RunFiles, sample: str) -> list[str]:
    """Tubes of a tube's patient in the order of the sheet, up to and including this one."""
    row = run.sample(sample)
    return [name for name, other in run.samples.items() if other.patient == row.patient and other.line <= row.line]


def _diagnosis_folder(run: RunFiles, laip: Path | None) -> Path | None:
    """Work folder of the tube that a LAIP was found in."""
    name = read_json(laip).get("diagnosis") if laip is not None and laip.is_file() else None
    return run.work(str(name), "gated.arrow").parent if name in run.samples else None


def report(
    sample_dir: Path,
    work_dir: Path,
    *,
    panel: PanelModel,
    config: RunConfig,
    sample: Sample | None = None,
    beside: FilesBeside | None = None,
    out: Path | None = None,
    tube: Tube | None = None,
) -> None:
    """Write the page of one sample.

    Parameters
    ----------
    sample_dir, work_dir
        ``results/samples/<sample>`` and ``results/work/<sample>``.
    sample
        The tube's row of the sheet.
    beside
        Other files that the page shows; none where absent.
    out
        The page; ``report.html`` in ``sample_dir`` by default. JSON and TSV go beside it.
    tube
        The tube's events; read from the column files of ``work_dir`` where absent.

    Raises
    ------
    ArtefactError
        If ``mrd.json`` or the column files are missing or do not belong together.
    """
    out = out or sample_dir / "report.html"
    beside = beside or FilesBeside()
    path = sample_dir / "mrd.json"
    result = read_record(path, MrdResult)
    signatures: Sequence[dict[str, object]] = ()
    problem: str | None = None
    if beside.run_directory is not None:
        signatures, problem = signatures_of(beside.run_directory, result.sample)
    inputs = PageInputs(
        result=result,
        mrd_sha256=digest_file(path),
        panel=panel,
        config=config,
        sample=sample,
        qc=read_if_there(sample_dir / "qc.json", QualityFile),
        gates=read_if_there(work_dir / "gates.json", GatesFile),
        ingest=read_if_there(work_dir / "ingest.json", IngestFile),
        classification=read_if_there(work_dir / "classification.json", ClassificationFile),
        reference=(reference := read_if_there(beside.reference, ReferenceFile)),
        diagnosis=read_if_there(beside.laip, LaipFile),
        leukaemia=read_leukaemia(beside.laip),
        controls_work=[folder for folder in beside.controls if folder != work_dir],
        diagnosis_work=beside.diagnosis if beside.diagnosis != work_dir else None,
        controls_qc=[
            read_record(entry, QualityFile) for folder in beside.controls if (entry := folder / "qc.json").is_file()
        ],
        history=[
            Visit(read_record(entry, MrdResult), AcquisitionEntry() if quality is None else quality.acquisition)
            for entry in beside.history
            if entry.is_file()
            for quality in (read_if_there(entry.with_name("qc.json"), QualityFile),)
        ],
        odd_controls=[]
        if reference is None
        else [control.name for control in reference.control_judgements if control.verdict == "CONTROL_ODD"],
        control_limits=read_control_limits(beside.run_directory, config),
        signatures=signatures,
        signature_problem=problem,
        shared_script=_shared_script(config, beside.run_directory, out, beside.tubes),
    )
    if tube is None:
        tube = with_calls(_events(result.sample, work_dir, panel, config), calls_in_result(result))
    page = build_page(inputs, tube)
    write_page(out, page.html)
    numbers = page.numbers.model_dump(mode="json", by_alias=True)
    write_json(out.with_suffix(".json"), numbers)
    rows = [f"{name}\t{value}" for name, value in _flat(numbers, "")]
    write_text(out.with_suffix(".tsv"), "\n".join(["figure\tvalue", *rows]) + "\n")


def _shared_script(config: RunConfig, run_directory: Path | None, page: Path, tubes: int) -> SharedScript | None:
    """The run's plotly.js for its pages, written where it is not there yet; None where a page holds its own."""
    chosen = config.report.plotly
    if run_directory is None or chosen == "inside" or (chosen == "auto" and tubes <= SHARED_ABOVE):
        return None
    script = write_plotly(run_directory / "results" / "assets")
    return SharedScript(quote(Path(os.path.relpath(script, page.parent)).as_posix()))


def _events(name: str, work: Path, panel: PanelModel, config: RunConfig) -> Tube:
    """The tube's columns, masks, gates and, where it was classified, calls."""
    classified = work / "classified.arrow"
    files = TubeFiles(
        name, work / "preprocessed.arrow", work / "gated.arrow", classified if classified.is_file() else None
    )
    return tube_from_files(files, panel, config)


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every number of a nested value with its dotted path; tabs and line ends inside texts become spaces."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{index}")
    else:
        yield " ".join(name.split()), "" if value is None else " ".join(str(value).split())


def read_control_limits(run_directory: Path | None, config: RunConfig) -> ControlLimitsFile | None:
    """The locked limits that the configuration names; None where it names none.

    Raises
    ------
    ArtefactError
        If the file is missing or not such a file, because charts with other limits would look the same.
    """
    if config.report.control_limits is None or run_directory is None:
        return None
    return read_record(run_directory / config.report.control_limits, ControlLimitsFile)

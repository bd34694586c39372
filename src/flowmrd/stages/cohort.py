"""Stage ``cohort``: the index of all samples and the table of their numbers.

``index.html``
    Sortable, filterable table of every sample of the sheet, including those without a result; quality of the batch.
``../specimens/<specimen_id>.json``
    For every specimen with several tubes: counts, limits and verdict of all its tubes together.
``results/samples/<sample>/report.html``
    Gets the signatures of the review log if they changed; nothing of the tube is computed again.
``mrd.tsv``
    One row per sample: identity, verdict, counts, MRD with interval, limits, spike-in, targets, reasons, flags, review,
    digests. An empty cell means unknown. A sample that failed has the verdict ``NO_RESULT`` and the reason in
    ``problem``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flowmrd.config import Role, RunConfig, Sample
from flowmrd.config.run import ReportConfig
from flowmrd.mrd.result import MrdResult
from flowmrd.mrd.specimen import SpecimenResult, pool_specimen
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_if_there, read_record
from flowmrd.records.references import JudgedControl, ReferenceFile
from flowmrd.report.answer import context_of, with_signatures
from flowmrd.report.batch import BatchTube
from flowmrd.report.cohort_page import CohortTube, build_cohort
from flowmrd.report.control_table import control_rows
from flowmrd.report.language import language
from flowmrd.report.page import write_page
from flowmrd.report.report_file import ReportFile
from flowmrd.review.status import review_status, signatures_of
from flowmrd.stages.report import read_control_limits
from flowmrd.store import write_json, write_text

__all__ = ["cohort"]

_NO_RESULT = "no result was written; see the log of this sample"


def cohort(
    run_directory: Path,
    samples: Sequence[Sample],
    *,
    config: RunConfig,
    problems: Mapping[str, str] | None = None,
    refused: Sequence[Sample] = (),
) -> list[str]:
    """Write index and table of a run.

    Parameters
    ----------
    run_directory
        Its ``results`` hold the samples and the review log.
    samples
        Rows of the sheet; single-stain tubes are left out.
    problems
        By sample, the reason why it has no result; samples without a reason are listed too.
    refused
        Refused rows, which are listed with their problem.

    Returns
    -------
    list
        Names of the tubes whose pages got other signatures.
    """
    results = run_directory / "results"
    out = results / "cohort"
    status = review_status(run_directory, signatures=config.report.signatures)
    reviews = {entry.sample: entry for entry in status.samples}
    members = []
    rows = {row.sample: row for row in (*samples, *refused) if row.role is not Role.COMPENSATION}
    for row in rows.values():
        folder = results / "samples" / row.sample
        present = (folder / "mrd.json").is_file()
        result = read_record(folder / "mrd.json", MrdResult) if present else None
        qc = read_if_there(folder / "qc.json", QualityFile)
        review = reviews.get(row.sample)
        members.append(
            CohortTube(
                tube=BatchTube(
                    sample=row.sample,
                    patient=row.patient,
                    role=row.role.value,
                    panel=result.panel if result is not None else row.panel or config.panel,
                    result=result,
                    qc=qc,
                    acquisition=AcquisitionEntry() if qc is None else qc.acquisition,
                ),
                timepoint=row.timepoint or "",
                batch=row.batch or "",
                problem="" if result is not None else (problems or {}).get(row.sample, _NO_RESULT),
                review=review.state.value if review is not None else "not_reviewed",
                review_reason=(review.reason or "") if review is not None else "",
            )
        )
    specimens = _specimens(rows.values(), {member.tube.sample: member.tube.result for member in members}, config)
    for specimen in specimens:
        write_json(
            results / "specimens" / f"{specimen.specimen_id}.json", specimen.model_dump(mode="json", by_alias=True)
        )
    page = build_cohort(
        members,
        specimens=specimens,
        review_problems=[f"{finding.where}: {finding.what}" for finding in status.findings],
        laboratory=config.report.laboratory,
        language=language(config.report.language),
        control_limits=read_control_limits(run_directory, config),
        controls=_controls(run_directory, [rows[member.tube.sample] for member in members], members, config),
        has_trial=(run_directory / config.patients).is_file(),
    )
    refreshed = refresh_pages(run_directory, members, config.report)
    write_page(out / "index.html", page.html)
    write_text(out / "mrd.tsv", page.table)
    return refreshed


def _controls(
    run_directory: Path, rows: Sequence[Sample], members: Sequence[CohortTube], config: RunConfig
) -> list[dict[str, object]]:
    """Every control with its acceptance, instrument and reagents."""
    judged: dict[str, JudgedControl] = {}
    for path in sorted((run_directory / "results" / "reference").glob("*/reference.json")):
        reference = read_if_there(path, ReferenceFile)
        judged |= {} if reference is None else {one.name: one for one in reference.control_judgements}
    controls = ((row, member.tube) for row, member in zip(rows, members, strict=True) if row.role is Role.CONTROL)
    return control_rows(controls, judged, config.controls.accepted)


def _specimens(
    rows: Iterable[Sample], results: Mapping[str, MrdResult | None], config: RunConfig
) -> list[SpecimenResult]:
    """Specimens that the sheet gives several tubes, of which at least one has a result, in the order of the sheet."""
    tubes: dict[str, list[str]] = {}
    for row in rows:
        if row.specimen_id is not None and row.role is not Role.CONTROL:
            tubes.setdefault(row.specimen_id, []).append(row.sample)
    found = []
    for name, samples in tubes.items():
        present = [result for sample in samples if (result := results.get(sample)) is not None]
        if len(samples) > 1 and present:
            found.append(pool_specimen(name, present, config.mrd))
    return found


def refresh_pages(run_directory: Path, members: Sequence[CohortTube], settings: ReportConfig) -> list[str]:
    """Put the present signatures into the pages of these tubes; return the names of the changed ones."""
    results = [member.tube.result for member in members if member.tube.result is not None]
    return [result.sample for result in results if refresh_page(run_directory, result, settings)]


def refresh_page(run_directory: Path, result: MrdResult, settings: ReportConfig) -> bool:
    """Put the present signatures into a tube's page, whose rest and file time stay; return True if it changed.

    The page is the result of another job. With its old time, no file that was made from it looks out of date.
    """
    page = run_directory / "results" / "samples" / result.sample / "report.html"
    numbers = page.with_suffix(".json")
    if not page.is_file() or not numbers.is_file():
        return False
    signatures, problem = signatures_of(run_directory, result.sample)
    shown = read_record(numbers, ReportFile)
    context = context_of(
        result,
        notes=shown.notes,
        steps=shown.steps,
        signatures=signatures,
        signature_problem=problem,
        required=settings.signatures,
    )
    before = page.read_text(encoding="utf-8")
    after = with_signatures(before, context, language(settings.language))
    if after == before:
        return False
    times = page.stat()
    write_page(page, after)
    os.utime(page, ns=(times.st_atime_ns, times.st_mtime_ns))
    return True

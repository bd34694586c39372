"""Stage ``fhir``: results of a run as FHIR bundles, one file per tube."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd.errors import ArtefactError
from flowmrd.exchange.fhir import PSEUDONYMS, AttachedPage, result_bundle
from flowmrd.mrd.result import MrdResult
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_if_there, read_record
from flowmrd.report.pdf import pdf_of, write_pdf
from flowmrd.review.status import review_status
from flowmrd.store import digest_file, write_json

__all__ = ["write_bundles"]


def write_bundles(
    run_directory: Path,
    out_dir: Path,
    *,
    samples: Sequence[str] = (),
    pseudonym_system: str = PSEUDONYMS,
    pdf: bool = False,
) -> tuple[list[Path], list[str]]:
    """Write ``<sample>.fhir.json`` of every tube of a patient, or of the named tubes.

    Parameters
    ----------
    pdf
        Print each tube's page and attach it. The page is printed again, so that it shows the signatures on which the
        status of the bundle rests.

    Returns
    -------
    tuple
        The files, and the tubes whose page was not attached.

    Raises
    ------
    ArtefactError
        If the run has no results, or a named tube has none.
    ConfigError
        If pages are to be printed and there is no Chromium.
    """
    results = run_directory / "results" / "samples"
    states = {entry.sample: entry for entry in review_status(run_directory).samples}
    if not results.is_dir():
        raise ArtefactError(
            str(run_directory), found="no results", expected="a finished run", todo="run 'flowmrd run' first"
        )
    names = list(samples) or sorted(path.parent.name for path in results.glob("*/mrd.json"))
    written, without = [], []
    for name in names:
        path = results / name / "mrd.json"
        if not path.is_file():
            raise ArtefactError(
                str(path), found="no result", expected="the result of a finished run", todo="run the tube first"
            )
        result = read_record(path, MrdResult)
        if result.role == "control" and not samples:
            continue
        review = states[name]
        qc = results / name / "qc.json"
        quality = read_if_there(qc, QualityFile)
        acquired = None if quality is None else quality.acquisition.date
        page = results / name / "report.html"
        document = _printed(page, path) if pdf and page.is_file() else None
        if document is None:
            without.append(name)
        bundle = result_bundle(
            result,
            result_sha256=digest_file(path),
            review_state=review.state.value,
            acquired=acquired,
            issued=None if review.entry is None else review.entry.review.signed_at,
            document=document,
            pseudonym_system=pseudonym_system,
        )
        target = out_dir / f"{name}.fhir.json"
        write_json(target, bundle)
        written.append(target)
    return written, without


def _printed(page: Path, result: Path) -> AttachedPage:
    """The present page as PDF."""
    out = pdf_of(page, result)
    write_pdf(page, out)
    return AttachedPage("application/pdf", f"{page.parent.name}.pdf", out.read_bytes())

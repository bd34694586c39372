"""Stage ``fhir``: results of a run as FHIR bundles, one file per tube."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd.errors import ArtefactError
from flowmrd.exchange.fhir import PSEUDONYMS, Document, result_bundle
from flowmrd.mrd.result import MrdResult
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_if_there
from flowmrd.review import review_status
from flowmrd.store import digest_file, write_json

__all__ = ["write_bundles"]


def write_bundles(
    run_directory: Path, out_dir: Path, *, samples: Sequence[str] = (), pseudonym_system: str = PSEUDONYMS
) -> list[Path]:
    """Write ``<sample>.fhir.json`` of every tube of a patient, or of the named tubes.

    The page is attached where it was made as PDF (``report.pdf`` beside ``report.html``).

    Raises
    ------
    ArtefactError
        If a named tube has no result.
    """
    results = run_directory / "results" / "samples"
    states = {entry.sample: entry for entry in review_status(run_directory).samples}
    names = list(samples) or sorted(path.parent.name for path in results.glob("*/mrd.json"))
    written = []
    for name in names:
        path = results / name / "mrd.json"
        if not path.is_file():
            raise ArtefactError(
                str(path), found="no result", expected="the result of a finished run", todo="run the tube first"
            )
        result = MrdResult.model_validate_json(path.read_bytes())
        if result.role == "control" and not samples:
            continue
        review = states[name]
        qc = results / name / "qc.json"
        quality = read_if_there(qc, QualityFile)
        acquired = None if quality is None else quality.acquisition.date
        pdf = results / name / "report.pdf"
        bundle = result_bundle(
            result,
            result_sha256=digest_file(path),
            review_state=review.state.value,
            acquired=acquired,
            issued=None if review.entry is None else review.entry.review.signed_at,
            document=Document("application/pdf", f"{name}.pdf", pdf.read_bytes()) if pdf.is_file() else None,
            pseudonym_system=pseudonym_system,
        )
        target = out_dir / f"{name}.fhir.json"
        write_json(target, bundle)
        written.append(target)
    return written

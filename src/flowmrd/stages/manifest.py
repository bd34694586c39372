"""``results/manifest.json``: the SHA-256 of every result file, so that a later check can name the altered ones.

It depends only on the results' bytes. Logs, benchmarks, intermediate files, the review log (which has its own chain)
and the records of the time and place of a run are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flowmrd.records.read import read_record
from flowmrd.records.run import DigestEntry, ManifestFile
from flowmrd.store import digest_file, write_json

MANIFEST: Final = Path("results/manifest.json")
COVERED: Final = ("samples", "cohort", "reference", "laip", "assets")
"""Folders of ``results`` whose files are listed: those that a run writes. Other commands write to other folders."""


def result_files(run_directory: Path) -> list[Path]:
    """Every file the manifest covers, relative to ``results``, sorted; temporary and hidden files are left out."""
    results = run_directory / "results"
    found = []
    for name in COVERED:
        for path in (results / name).rglob("*"):
            relative = path.relative_to(results)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                found.append(relative)
    return sorted(found, key=lambda path: path.as_posix())


def write_manifest(run_directory: Path) -> dict[str, DigestEntry]:
    """Digest every result file and write the manifest; returns path (relative to ``results``) to sha256 and bytes."""
    results = run_directory / "results"
    files = {
        path.as_posix(): DigestEntry(sha256=digest_file(results / path), bytes=(results / path).stat().st_size)
        for path in result_files(run_directory)
    }
    manifest = ManifestFile(format="flowmrd-manifest/1", files=files)
    write_json(run_directory / MANIFEST, manifest.model_dump(mode="json"))
    return files


def renew_manifest(run_directory: Path, changed: Sequence[Path]) -> dict[str, DigestEntry]:
    """Digest some result files again and leave the rest of the manifest as it is; return all entries.

    Parameters
    ----------
    changed
        Relative to ``results``.
    """
    results = run_directory / "results"
    files = dict(read_manifest(run_directory))
    for path in changed:
        files[path.as_posix()] = DigestEntry(sha256=digest_file(results / path), bytes=(results / path).stat().st_size)
    manifest = ManifestFile(format="flowmrd-manifest/1", files=files)
    write_json(run_directory / MANIFEST, manifest.model_dump(mode="json"))
    return files


def read_manifest(run_directory: Path) -> dict[str, DigestEntry]:
    """Files of the manifest.

    Raises
    ------
    ArtefactError
        If it is missing, malformed, or names a path outside ``results``.
    """
    return read_record(run_directory / MANIFEST, ManifestFile).files

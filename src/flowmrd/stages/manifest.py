"""``results/manifest.json``: the SHA-256 of every result file, so that a later look can tell which one was altered.

Deterministic: it depends on the results' bytes alone. Logs, benchmarks, intermediate files, the review log (which has
its own chain) and the records that say when and where a run was made are not in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from flowmrd.errors import ArtefactError
from flowmrd.records.read import checked
from flowmrd.records.run import ManifestFile
from flowmrd.store import digest_file, read_json, write_json

MANIFEST: Final = Path("results/manifest.json")
FORMAT: Final = "flowmrd-manifest/1"
COVERED: Final = ("samples", "cohort", "reference", "laip")
"""Folders of ``results`` whose files are listed: what a run writes. Other commands write elsewhere, at other times."""

SHA256: Final = re.compile(r"[0-9a-f]{64}")


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


def write_manifest(run_directory: Path) -> dict[str, dict[str, Any]]:
    """Digest every result file and write the manifest; returns path (relative to ``results``) to sha256 and bytes."""
    results = run_directory / "results"
    files = {
        path.as_posix(): {"sha256": digest_file(results / path), "bytes": (results / path).stat().st_size}
        for path in result_files(run_directory)
    }
    write_json(run_directory / MANIFEST, checked({"format": FORMAT, "files": files}, ManifestFile))
    return files


def read_manifest(run_directory: Path) -> dict[str, dict[str, Any]]:
    """Files of the manifest.

    Raises
    ------
    ArtefactError
        If it is missing, malformed, or names a path outside ``results``.
    """
    path = run_directory / MANIFEST
    value = read_json(path)
    files = value.get("files") if isinstance(value, dict) and value.get("format") == FORMAT else None
    if not isinstance(files, dict) or not all(_sound(name, facts) for name, facts in files.items()):
        raise ArtefactError(
            str(path), found="something that is not a manifest", expected=f"format {FORMAT}", todo="run again"
        )
    return files


def _sound(name: str, facts: Any) -> bool:
    path = Path(name)
    return (
        not path.is_absolute()
        and ".." not in path.parts
        and isinstance(facts, dict)
        and isinstance(facts.get("sha256"), str)
        and bool(SHA256.fullmatch(facts["sha256"]))
    )

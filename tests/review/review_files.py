"""A run directory with results to sign, and reviews as the report page saves them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowmrd.review.importing import import_review
from flowmrd.review.log import LogEntry
from flowmrd.store import digest_file, write_json

NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)


def make_results(run_directory: Path, *samples: str) -> None:
    for sample in samples:
        write_json(run_directory / "results" / "samples" / sample / "mrd.json", {"sample": sample})


def result_of(run_directory: Path, sample: str) -> Path:
    return run_directory / "results" / "samples" / sample / "mrd.json"


def review_of(run_directory: Path, sample: str, **changes: Any) -> dict[str, Any]:
    return {
        "format": "flowmrd-review/1",
        "sample": sample,
        "mrd_sha256": digest_file(result_of(run_directory, sample)),
        "decision": "accept",
        "comment": "",
        "name": "Dr. A. Example",
        "meaning": "review",
        "signed_at": "2024-06-01T11:30:00+02:00",
        **changes,
    }


def save(folder: Path, review: dict[str, Any], name: str = "review.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(review), encoding="utf-8")
    return path


def imported(run_directory: Path, sample: str, key: Path | None = None, **changes: Any) -> LogEntry:
    file = save(run_directory, review_of(run_directory, sample, **changes), "incoming.json")
    return import_review(run_directory, file, key=key, now=NOW)

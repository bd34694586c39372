"""JSON artefacts and file digests. Same content, same bytes: keys in insertion order, no timestamps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from flowmrd.errors import ArtefactError
from flowmrd.store.atomic import atomic_path


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity are refused because JSON has no word for them."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON artefact.

    Raises
    ------
    ArtefactError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtefactError(
            str(path), found="no such file", expected="a JSON file written by flowmrd", todo="rerun the stage before"
        ) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(
            str(path),
            found=f"text that is not JSON ({type(error).__name__})",
            expected="a JSON file written by flowmrd",
            todo="delete the file and rerun",
        ) from error


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

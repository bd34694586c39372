"""JSON artefacts and file digests. The same content gives the same bytes: keys in insertion order, no timestamps."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from flowmrd.config.path_text import obstacle
from flowmrd.errors import ArtefactError
from flowmrd.store.atomic import atomic_path

MAX_JSON_BYTES = 200_000_000
"""A larger file is not one that flowmrd writes."""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically. NaN and infinity, which JSON does not have, raise ``ValueError``."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON artefact.

    Raises
    ------
    ArtefactError
        If the file is missing, not JSON, nested too deeply or too large, or holds NaN or infinity, which are not JSON
        and would make every comparison false.
    """
    if (found := obstacle(path)) and found != "no such file":
        raise _not_ours(path, found)
    try:
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise _not_ours(path, f"{size} bytes")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite)
    except FileNotFoundError as error:
        raise ArtefactError(
            str(path),
            found="no such file",
            expected="a JSON file written by flowmrd",
            todo="run 'flowmrd run', which writes this file",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _not_ours(path, "an empty file" if not path.stat().st_size else "text that is not JSON") from error


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word[:20]} is not a JSON number")
    return value


def _not_ours(path: Path, found: str) -> ArtefactError:
    return ArtefactError(
        str(path), found=found, expected="a JSON file written by flowmrd", todo="delete the file and rerun"
    )


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Reading ``mrd.json``."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from flowmrd.errors import ArtefactError
from flowmrd.mrd.result import MrdResult
from flowmrd.store import read_json

__all__ = ["read_result"]


def read_result(path: Path) -> MrdResult:
    """Read a ``mrd.json``.

    Raises
    ------
    ArtefactError
        If it is missing or not a result of this version.
    """
    data = read_json(path)
    try:
        return MrdResult.model_validate(data)
    except ValidationError as error:
        raise ArtefactError(
            str(path),
            found=f"{error.error_count()} fields that do not fit ({error.errors()[0]['loc']})",
            expected="a mrd.json of schema version 2",
            todo="delete it and run 'flowmrd run' again",
        ) from error

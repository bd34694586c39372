"""Reading and checking artefacts by their model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from flowmrd.errors import ArtefactError, InternalError
from flowmrd.records.base import Artefact
from flowmrd.store import read_json

__all__ = ["checked", "read_if_there", "read_record"]

Model = TypeVar("Model", bound=BaseModel)


def read_record(path: Path, model: type[Model]) -> Model:
    """Read a file that flowmrd wrote.

    Raises
    ------
    ArtefactError
        If it is missing, not JSON, or not a file that this version writes.
    """
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise ArtefactError(
            str(path),
            found=f"{error.error_count()} fields that do not fit, the first: {_first(error)}",
            expected=f"a {path.name} as this version of flowmrd writes it",
            todo="delete it and run again; a file from elsewhere must come from the same version",
        ) from error


def read_if_there(path: Path | None, model: type[Model]) -> Model | None:
    """The content of the file, or None where there is no file."""
    return read_record(path, model) if path is not None and path.is_file() else None


def checked(value: Any, model: type[Artefact]) -> Any:
    """Check a value against its model before a stage writes it; return the value.

    Raises
    ------
    InternalError
        If it does not match: the model lacks a field, or the stage made something else than it promises.
    """
    try:
        model.model_validate(value)
    except ValidationError as error:
        raise InternalError(f"{model.__name__} does not describe what is written: {_first(error)}") from error
    return value


def _first(error: ValidationError) -> str:
    """Field and kind of the first fault, but never its value, which may come from anybody's file."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])[:120] or 'the whole file'} ({first['type']})"

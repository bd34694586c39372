"""Reading ``config.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flowmrd.config.run import RunConfig
from flowmrd.config.yaml_file import read_yaml
from flowmrd.errors import ConfigError


def load_config(path: Path) -> RunConfig:
    """Read and check a run configuration.

    Raises
    ------
    ConfigError
        With every problem of the file in one message.
    """
    data = read_yaml(
        path,
        ConfigError,
        expected="a config.yaml with at least 'panel:' and 'samples:'",
        if_missing="copy config/config.yaml of flowmrd there and edit it",
    ).data
    if not isinstance(data, dict):
        raise ConfigError(str(path), found="no keys", expected="at least 'panel:' and 'samples:'", todo="add them")
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            str(path),
            found=describe(error, RunConfig),
            expected="the keys of docs/reference/configuration.md",
            todo="correct these keys",
        ) from error


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """All problems of a validation error in one line, with the nearest known key for an unknown one."""
    known = known_keys(model)
    parts = []
    for problem in error.errors():
        name = ".".join(str(piece) for piece in problem["loc"])
        parts.append(f"{name or 'file'}: {problem_text(problem, known)}")
    return "; ".join(parts)


def problem_text(problem: ErrorDetails, known: Sequence[str]) -> str:
    """Words for one validation problem, with the nearest of the known keys for an unknown one."""
    if problem["type"] != "extra_forbidden":
        return problem["msg"]
    near = get_close_matches(str(problem["loc"][-1]), known, n=1)
    return "unknown key" + (f", did you mean {near[0]}?" if near else "")


def known_keys(model: type[BaseModel]) -> list[str]:
    """Every key that a model or one of its sections accepts."""
    keys: list[str] = []
    pending: list[object] = [model]
    seen: set[object] = set()
    while pending:
        kind = pending.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys.extend(kind.model_fields)
            pending.extend(field.annotation for field in kind.model_fields.values())
        else:
            pending.extend(getattr(kind, "__args__", ()))
    return keys

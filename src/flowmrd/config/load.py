"""Reading ``config.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    """All problems of a validation error in one line; for an unknown key, the most similar known key."""
    return "; ".join(text for _, text in told(error, model))


def told(error: ValidationError, model: type[BaseModel]) -> list[tuple[ErrorDetails, str]]:
    """Every problem of a validation error with its message; a misspelt required key is reported once, not as missing
    too.
    """
    known = known_keys(model)
    meant = {_nearest(problem, known) for problem in error.errors() if problem["type"] == "extra_forbidden"}
    return [
        (problem, f"{_key(problem) or 'file'}: {problem_text(problem, known)}")
        for problem in error.errors()
        if not (problem["type"] == "missing" and problem["loc"][-1] in meant)
        # of a section that may be one word instead, the section's own problems say more
        and not any(str(piece).startswith("literal[") for piece in problem["loc"])
    ]


def _key(problem: ErrorDetails) -> str:
    """Name of a key as it stands in the file: without the validator's names of alternatives."""
    return ".".join(str(piece) for piece in problem["loc"] if not re.match(r"[A-Z]\w+Config$|str$", str(piece)))


def _nearest(problem: ErrorDetails, known: Mapping[str, str]) -> str | None:
    return next(iter(get_close_matches(str(problem["loc"][-1]), known, n=1)), None)


_PLAIN = {
    "missing": "this key is missing",
    "int_parsing": "not a whole number",
    "int_type": "not a whole number",
    "int_from_float": "not a whole number",
    "float_parsing": "not a number",
    "float_type": "not a number",
    "bool_parsing": "not true or false",
    "bool_type": "not true or false",
    "string_type": "not a text",
    "model_type": "not a section with keys",
    "dict_type": "not a section with keys",
    "model_attributes_type": "not a section with keys",
}
"""Words for kinds of validation problem, in place of the validator's own."""


def problem_text(problem: ErrorDetails, known: Mapping[str, str]) -> str:
    """Message for one validation problem; for an unknown key it names the most similar known key."""
    if problem["type"] == "extra_forbidden":
        near = _nearest(problem, known)
        if near == problem["loc"][-1]:
            return f"unknown key here, did you mean {known[near]}?"
        return "unknown key" + (f", did you mean {near}?" if near else "")
    if problem["type"] == "literal_error":
        return f"{str(problem['input'])[:40]!r}, which is not one of {problem['ctx']['expected']}"
    plain = _PLAIN.get(problem["type"])
    return f"{plain}" if plain else f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"


def known_keys(model: type[BaseModel]) -> dict[str, str]:
    """Every key that a model or one of its sections accepts, with its full name (``section.key``)."""
    keys: dict[str, str] = {}
    pending: list[tuple[str, object]] = [("", model)]
    seen: set[object] = set()
    while pending:
        section, kind = pending.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                keys.setdefault(name, section + name)
                pending.append((f"{section}{name}.", field.annotation))
        else:
            pending.extend((section, one) for one in getattr(kind, "__args__", ()))
    return keys

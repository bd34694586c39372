"""Reading ``config.yaml``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

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
    return "; ".join(text for _, text in problems_in_words(error, model))


def problems_in_words(error: ValidationError, model: type[BaseModel]) -> list[tuple[ErrorDetails, str]]:
    """Every problem of a validation error with its message; a misspelt required key is reported once, not as missing
    too.
    """
    known = known_keys(model)
    problems = error.errors()
    meant = {_nearest(problem, known) for problem in problems if problem["type"] == "extra_forbidden"}
    return [
        (problem, f"{_key(problem) or 'file'}: {problem_text(problem, known)}")
        for problem in problems
        if not (problem["type"] == "missing" and problem["loc"][-1] in meant) and not _said_better(problem, problems)
    ]


def _said_better(problem: ErrorDetails, problems: Sequence[ErrorDetails]) -> bool:
    """Whether other problems of the same key say more: of a section that may be one word instead, its own problems."""
    if any(str(piece).startswith("literal[") for piece in problem["loc"]):
        return True
    *place, last = problem["loc"] or ("",)
    others = [other for other in problems if other is not problem and list(other["loc"][: len(place)]) == place]
    if problem["type"].startswith("model_") and any(other["type"] == "value_error" for other in others):
        return True  # it is a text, and what is wrong with that is told
    return bool(others) and problem["type"] != "value_error" and _WORD.match(str(last)) is not None


_WORD: Final = re.compile(r"(?:str|function-after\[\w+\(\), str\])$")
"""The validator's name of a text among alternatives."""


def _key(problem: ErrorDetails) -> str:
    """Name of a key as it stands in the file: without the validator's names of alternatives."""
    return ".".join(
        str(piece)
        for piece in problem["loc"]
        if not re.match(r"[A-Z]\w+Config$", str(piece)) and not _WORD.match(str(piece)) and piece != "[key]"
    )


def _nearest(problem: ErrorDetails, known: Mapping[str, str]) -> str | None:
    name = re.sub(r"[\s-]+", "_", str(problem["loc"][-1]).strip().casefold())
    return next(iter(get_close_matches(name, known, n=1)), None)


_PLAIN: Final = {
    "missing": "this key is missing",
    "int_parsing": "not a whole number",
    "int_parsing_size": "not a number of that size",
    "int_type": "not a whole number",
    "int_from_float": "not a whole number",
    "float_parsing": "not a number",
    "float_type": "not a number",
    "finite_number": "not a finite number",
    "bool_parsing": "not true or false",
    "bool_type": "not true or false",
    "string_type": "not a text",
    "string_pattern_mismatch": "not written as YYYY-MM-DD",
    "tuple_type": "not a list, as [one, two]",
    "model_type": "not a section with keys",
    "dict_type": "not a section with keys",
    "model_attributes_type": "not a section with keys",
}
"""Words for kinds of validation problem, in place of the validator's own."""
_BOUNDS: Final = {
    "greater_than": "not above {gt:g}",
    "greater_than_equal": "not {ge:g} or more",
    "less_than": "not below {lt:g}",
    "less_than_equal": "not {le:g} or less",
    "too_short": "a list of {actual_length}, where {min_length} or more are needed",
    "too_long": "a list of {actual_length}, where at most {max_length} are allowed",
}


def problem_text(problem: ErrorDetails, known: Mapping[str, str]) -> str:
    """Message for one validation problem; for an unknown key it names the most similar known key."""
    kind = problem["type"]
    if kind == "extra_forbidden":
        return _unknown_key(problem, known)
    if kind == "invalid_key":  # {nonfinite_max: 0,05} is two keys to YAML
        return f"the key {problem['input']!r}, which is not a text (a decimal is written with a point, as 0.05)"
    if kind == "literal_error":
        return f"{_shown(problem)}, which is not one of {problem['ctx']['expected']}"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    if kind in _BOUNDS:
        said = _BOUNDS[kind].format(**problem["ctx"])
        return said if kind.startswith("too_") else f"{_shown(problem)}, which is {said}"
    if kind == "missing":
        return _PLAIN[kind]
    plain = _PLAIN.get(kind)
    return f"{_shown(problem)}, which is {plain}" if plain else f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _shown(problem: ErrorDetails) -> str:
    """The value as the file has it, cut short."""
    value = problem["input"]
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else "no finite number"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    return repr(value[:40]) if isinstance(value, str) else str(value)[:40]


def _unknown_key(problem: ErrorDetails, known: Mapping[str, str]) -> str:
    name, near = str(problem["loc"][-1]), _nearest(problem, known)
    if odd := next((letter for letter in name if not letter.isascii()), ""):
        return f"unknown key; its letter {odd} (U+{ord(odd):04X}) is not in the Latin alphabet of the keys"
    if near == name:
        return f"unknown key here, did you mean {known[near]}?"
    return "unknown key" + (f", did you mean {near}?" if near else "")


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

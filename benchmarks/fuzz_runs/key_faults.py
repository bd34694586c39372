"""Faults of every key of the configuration, made from the model: each key gets each kind of wrong value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from flowmrd.config import RunConfig

LOOK_ALIKES: Final = str.maketrans("aceopxy", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443")
"""Latin letters to Cyrillic ones of the same shape."""

VALUES: Final = {
    "nothing": "",
    "null": "null",
    "a list": "[a, 1]",
    "a section": "{a: 1}",
    "a text": '"some words"',
    "a blank text": '" "',
    "a number below zero": "-1",
    "zero": "0",
    "a huge number": "1.0e+30",
    "a whole huge number": "99999999999999999999",
    "not a number": ".nan",
    "infinity": "-.inf",
    "true": "true",
    "a date": "2024-01-31",
    "a number as text": '"3"',
    "a comma for the point": "0,05",
    "an empty list": "[]",
    "a nested list": "[[1]]",
    "a text of a megabyte": '"' + "z" * 200_000 + '"',
    "lines": '"a\\nb\\tc"',
    "another alphabet": '"\u043d\u0435\u0442 \u65e0"',
}


def keys(model: type[BaseModel] = RunConfig, section: str = "") -> Iterator[tuple[str, str]]:
    """Section (empty at the top) and name of every key."""
    for name, field in model.model_fields.items():
        yield section, name
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from keys(kind, name)


def _written(section: str, name: str, value: str) -> str:
    return f"{section}: {{{name}: {value}}}\n" if section else f"{name}: {value}\n"


def lines_of_keys() -> dict[str, tuple[str, str]]:
    """Name of the fault to the lines it adds and the key it is about."""
    found: dict[str, tuple[str, str]] = {}
    for section, name in keys():
        full = f"{section}.{name}" if section else name
        for what, value in VALUES.items():
            two_keys = section and "comma" in what  # YAML reads {key: 0,05} as two keys
            found[f"{full}: {what}"] = (_written(section, name, value), section if two_keys else name)
        misspelt: dict[str, Any] = {
            "misspelt": name[:-2] + name[-1] + name[-2] if len(name) > 2 else name + "x",
            "in capitals": name.upper(),
            "with a dash": name.replace("_", "-") + ("-" if "_" not in name else ""),
            "with a look-alike": name.translate(LOOK_ALIKES),
            "with a blank": f'"{name} "',
        }
        for what, other in misspelt.items():
            found[f"{full}: {what}"] = (_written(section, other, "1"), other.strip('" '))
        if section:
            found[f"{full}: twice"] = (f"{section}: {{{name}: 1, {name}: 2}}\n", name)
            found[f"{full}: at the top"] = (f"{name}: 1\n", name)
    return found


KEYS: Final = lines_of_keys()

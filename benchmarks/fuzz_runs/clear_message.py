"""Whether a message says what a reader needs: file, row or key, what was found, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["complaints"]

OF_A_PROGRAMMER: Final = re.compile(
    r"Traceback|not your fault|NoneType|pydantic|[Ii]nput should be|validation error|\b(?:dict|tuple|str|int|NaT)\b|"
    r"\w+(?:Error|Exception)\b|<class|object at 0x|\bnan\b|codec"
)
"""Words of the programming language, which a technician cannot act on."""
LONGEST: Final = 1200


def complaints(where: str, found: str, expected: str, todo: str, *, named: Sequence[str] = ()) -> list[str]:
    """What a message lacks; empty for a clear one.

    Parameters
    ----------
    named
        Of these words one at least must stand in the message, such as the tube, its file, or the key.
    """
    wrong = [
        f"nothing for {name}"
        for name, text in (("where", where), ("found", found), ("expected", expected), ("to do", todo))
        if not text.strip()
    ]
    everything = f"{where} | {found} | {expected} | {todo}"
    if match := OF_A_PROGRAMMER.search(everything):
        wrong.append(f"a programmer's word: {match[0]}")
    if "/../" in where:
        wrong.append("a path that goes up and down")
    if re.search(r"\.(yaml|tsv|fcs)\.\1", everything):
        wrong.append("an ending twice")
    if len(everything) > LONGEST:
        wrong.append(f"{len(everything)} letters")
    if re.search(r"[\x00-\x09\x0b-\x1f]", everything):
        wrong.append("a control character")
    if named and not any(word in everything for word in named):
        wrong.append(f"none of {', '.join(named)[:80]}")
    return wrong

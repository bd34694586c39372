"""Removing identifiers from text: known ones by name, unknown ones by their shape. In doubt, text is removed."""

from __future__ import annotations

import getpass
import os
import re
import socket
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from flowmrd.home import REPOSITORY

HARMLESS_QUOTED: Final = re.compile(r"[a-z0-9_.,:=<>+*/ -]{0,60}")
"""Quoted text of lower-case words, which is a key or a choice of flowmrd; any other quoted text may
come from a file.
"""

SHAPES: Final = (
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b\w+(\^\w*)+"), "<text>"),
    (re.compile(r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b"), "<date>"),
    (
        re.compile(r"\b\d{1,2}[- ]?(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[a-z]*[- ]?\d{2,4}\b", re.I),
        "<date>",
    ),
    (re.compile(r"(?<![\w.])\d{6,}(?![\w.])"), "<number>"),
)
PATH: Final = re.compile(r"(?<![\w<>.])(?:~|/)[^\s'\",;:()\[\]<>]*/[^\s'\",;:()\[\]<>]*")
QUOTED: Final = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"")
FOREIGN_WORD: Final = re.compile(r"\w*[^\W\d_a-zA-Z]\w*")
"""A word with a letter outside ASCII, which is not one of flowmrd's own."""


class Scrubber:
    """Replaces identifiers in text.

    Parameters
    ----------
    known
        Identifier to what stands in its place; longer ones are replaced first.
    run_directory
        Its path becomes ``RUNDIR``.
    """

    def __init__(self, known: dict[str, str], run_directory: Path) -> None:
        places = {
            str(run_directory.resolve()): "RUNDIR",
            str(run_directory): "RUNDIR" if run_directory.is_absolute() else str(run_directory),
            str(REPOSITORY): "FLOWMRD",
            sysconfig.get_paths()["purelib"]: "PYTHON",
            sysconfig.get_paths()["stdlib"]: "PYTHON",
        }
        # The path of the run directory must be replaced before its parts are looked at.
        self._places = sorted(((old, new) for old, new in places.items() if len(old) > 1), key=lambda p: -len(p[0]))
        names = {**dict.fromkeys(_machine_names(), "<account>"), **known}
        ordered = sorted((name for name in names if name), key=lambda name: (-len(name), name))
        self._names = names
        self._pattern = (
            re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, ordered)) + r")(?![A-Za-z0-9])")
            if ordered
            else None
        )

    def names(self, text: str) -> str:
        """Replace known identifiers alone; for file names of results."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._names[match[0]], text)

    def __call__(self, text: str) -> str:
        """Replace known identifiers, and everything that has the shape of one."""
        for old, new in self._places:
            text = text.replace(old, new)
        text = self.names(text)
        text = PATH.sub("<path>", text)
        text = QUOTED.sub(_quoted, text)
        for pattern, replacement in SHAPES:
            text = pattern.sub(replacement, text)
        text = FOREIGN_WORD.sub("<text>", text)
        return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def numbered(names: Iterable[str], letter: str) -> dict[str, str]:
    """Names in order to ``S001``, ``S002``, …"""
    return {name: f"{letter}{number:03d}" for number, name in enumerate(dict.fromkeys(names), start=1)}


def _quoted(match: re.Match[str]) -> str:
    inside = match[1] if match[1] is not None else match[2]
    mark = match[0][0]
    return match[0] if HARMLESS_QUOTED.fullmatch(inside) or inside.startswith("<") else f"{mark}<text>{mark}"


def _machine_names() -> list[str]:
    names = [socket.gethostname(), socket.gethostname().split(".")[0], Path.home().name]
    try:
        names.append(getpass.getuser())
    except (KeyError, OSError):
        names.append(os.environ.get("LOGNAME", ""))
    # The administrator's account name is part of many ordinary words of a log and names nobody.
    return [name for name in names if len(name) > 1 and name not in ("root", "localhost")]

"""Paths that a user gave: what cannot be opened is told in words, before anything waits for it or fails on it."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

__all__ = ["impossible_path", "obstacle", "plain_path"]

_LONGEST_NAME = 255
"""Bytes of the name of a file or folder on all common file systems."""
_LONGEST_PATH = 4000


def impossible_path(text: str) -> str:
    """Why a text names no file on any system; empty where it can.

    Examples
    --------
    >>> impossible_path("results/tube 1.fcs"), impossible_path(" ")
    ('', 'an empty path')
    """
    if not text.strip():
        return "an empty path"
    if match := re.search(r"[\x00\n\r]", text):
        return f"a path with a control character (U+{ord(match[0]):04X})"
    if len(os.fsencode(text)) > _LONGEST_PATH or any(
        len(os.fsencode(part)) > _LONGEST_NAME for part in Path(text).parts
    ):
        return f"a path of {len(text):,} letters, {text[:40]!r} and so on, longer than any system allows"
    return ""


def plain_path(path: Path) -> Path:
    """A path without ``..``, as a person would write it, where that leads to the same place; else as it stands."""
    if ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    # a linked folder's parent is another one than the text before it
    return plain if os.path.realpath(plain) == os.path.realpath(path) else path


def obstacle(path: Path) -> str:
    """Why a path leads to no plain file that can be read; empty where it does.

    A pipe is found without opening it: whoever opens one waits for a writer.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads back to itself"
        if error.errno in (errno.EACCES, errno.EPERM):
            return "no permission to read it"
        if error.errno == errno.ENAMETOOLONG:
            return "no such file"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return "a link to a file that is not there" if path.is_symlink() else "no such file"
        return f"a file that cannot be read ({error.strerror})"
    except ValueError:
        return "no such file"
    if stat.S_ISDIR(mode):
        return "a folder"
    if not stat.S_ISREG(mode):
        return "a pipe or device"
    return "" if os.access(path, os.R_OK) else "no permission to read it"

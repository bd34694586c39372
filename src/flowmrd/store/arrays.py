"""Reading ``.npz`` files that somebody else may have made: plain numbers, and never more than the file's own size.

``numpy.load`` without pickles runs no code, but it believes what the file says: a compressed member or a header can
promise a terabyte. Files written here are stored uncompressed, so anything else is refused before memory is taken.
"""

from __future__ import annotations

import errno
import zipfile
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from flowmrd.errors import ArtefactError

__all__ = ["read_arrays"]

MAX_MEMBERS: Final = 100_000

_UNREADABLE: Final = (
    *(ValueError, EOFError, RuntimeError, OverflowError, zipfile.BadZipFile),
    *(SyntaxError, TokenError),  # of the header, a Python literal that NumPy takes to pieces
)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an uncompressed ``.npz`` file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ArtefactError
        If it is no zip file, holds compressed members, members of other sizes than their headers say, or anything
        but booleans and numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        if error.errno != errno.EINVAL:  # the directory of the zip file points to before its beginning
            raise
        raise _refused(path, error) from error
    except _UNREADABLE as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> ArtefactError:
    return ArtefactError(
        str(path),
        found=f"a file that is not plain arrays ({error})"[:200],
        expected="an uncompressed .npz of numbers, as flowmrd writes it",
        todo="copy it again from where it was made, or rebuild it",
    )


def _check(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{len(members)} members")
    for member in members:
        _check_member(archive, member)


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise ``ValueError`` unless a member's header promises exactly the bytes that are stored."""
    name = member.filename[:60]
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{name} is compressed")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None:
            raise ValueError(f"{name} is of npy version {version}")
        shape, _, dtype = read_header(stream)
        if dtype.kind not in "biuf":
            raise ValueError(f"{name} holds {dtype}")
        promised = stream.tell() + prod(shape) * dtype.itemsize
    if promised != member.file_size:
        raise ValueError(f"{name} promises {promised} bytes and has {member.file_size}")

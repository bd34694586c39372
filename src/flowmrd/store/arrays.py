"""Reading ``.npz`` files from an untrusted source: plain numbers only, and never more memory than the size of the file.

``numpy.load`` without pickles runs no code, but it trusts the sizes in the file: a compressed member or a header can
claim a terabyte. flowmrd writes uncompressed files, so anything else is refused before memory is allocated.
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
    *(SyntaxError, TokenError),  # of the header, a Python literal that NumPy parses
)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an uncompressed ``.npz`` file, by name, in the shapes that the file states.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ArtefactError
        If it is not a zip file, or has members that are compressed, differ in size from their headers, or hold anything
        but booleans and numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        if error.errno != errno.EINVAL:  # the directory of the zip file points before the file's beginning
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
        raise ValueError(f"{name} announces {promised} bytes and has {member.file_size}")

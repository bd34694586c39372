"""HEADER of a data set: version and offsets of TEXT and DATA, checked against the size of the file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flowmrd.fcs.findings import refuse

__all__ = ["HEADER_BYTES", "MAX_TEXT", "Header", "file_size", "is_header", "read_at", "read_header"]

MAX_TEXT = 64 * 1024 * 1024
"""A longer TEXT is a sign of damage: the longest one seen, with embedded experiment settings, has a few MB."""

HEADER_BYTES = 58


@dataclass(frozen=True)
class Header:
    """HEADER of one data set.

    Attributes
    ----------
    base
        Position of HEADER in the file.
    text
        Absolute positions of the first and the last byte of TEXT.
    absolute
        Whether offsets count from the start of the file instead of ``base``.
    data
        Offsets of the first and the last byte of DATA; ``None`` where blank or unreadable.
    """

    base: int
    version: str
    text: tuple[int, int]
    absolute: bool
    data: tuple[int | None, int | None]


def read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes at an absolute offset; empty for an offset outside the file."""
    if not 0 <= offset < 1 << 62:
        return b""
    stream.seek(offset)
    return stream.read(size)


def file_size(stream: BinaryIO) -> int:
    """Size of an open file in bytes."""
    return os.fstat(stream.fileno()).st_size


def is_header(raw: bytes) -> bool:
    """Whether bytes start with the version of an FCS 2 or 3 data set."""
    return re.match(rb"FCS[23]\.\d", raw) is not None


_OTHER_FILES = (
    (rb"\x1f\x8b", "a file compressed with gzip", "unpack it first"),
    (rb"BZh", "a file compressed with bzip2", "unpack it first"),
    (rb"\xfd7zXZ\x00", "a file compressed with xz", "unpack it first"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the FCS or LMD file in it"),
    (rb"Rar!", "a RAR archive", "unpack it and give the FCS or LMD file in it"),
    (rb"PK[\x03\x05\x07]", "a ZIP archive", "unpack it and give the FCS or LMD file in it"),
    (rb"\s*<(?i:!doctype html|html)", "a web page", "download the file again: a page was saved in its place"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|[A-Za-z:]+ )", "an XML file", "give the instrument's FCS or LMD file"),
    (rb"%PDF", "a PDF document", "give the instrument's FCS or LMD file"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|II\*\x00|MM\x00\*", "a picture", "give the instrument's FCS or LMD file"),
    (rb"\xd0\xcf\x11\xe0", "an older Office document", "give the instrument's FCS or LMD file"),
    (rb"version https://git-lfs", "a pointer to a file, not the file", "fetch the file itself"),
    (rb"(?:\xef\xbb\xbf|\s+|\x00+)FCS\d", "an FCS file with bytes in front of it", "copy it again, in binary mode"),
    (rb"F\x00C\x00S\x00|\xff\xfeF\x00", "an FCS file saved as text by an editor", "copy it again, in binary mode"),
)


def _looks_like(raw: bytes) -> tuple[str, str]:
    """What a file that is no FCS file seems to be, and what to do then."""
    if not raw:
        return "an empty file", "copy the file again: nothing arrived"
    if is_header(raw):
        return "a file that ends inside its HEADER", "copy the file again: it is truncated"
    if version := re.match(rb"FCS(\d\.\d)", raw):
        return f"FCS {version[1].decode()}", "export it again as FCS 3.1"
    for pattern, what, todo in _OTHER_FILES:
        if re.match(pattern, raw):
            return what, todo
    return "a file that is not FCS", "give the instrument's FCS or LMD file"


def read_header(path: Path, stream: BinaryIO, base: int) -> Header:
    """Parse the 58 bytes of HEADER at ``base``.

    Raises
    ------
    FcsError
        If the file does not start with an FCS 2 or 3 version, or HEADER gives no offset of TEXT inside the file.
    """
    raw = read_at(stream, base, HEADER_BYTES)
    if len(raw) < HEADER_BYTES or not is_header(raw):
        what, todo = _looks_like(raw)
        raise refuse(path, what, "FCS 2.0, 3.0, 3.1 or 3.2", todo)
    fields = [_field(raw[start : start + 8]) for start in range(10, HEADER_BYTES, 8)]
    begin, end = fields[0], fields[1]
    if begin is None or end is None or begin < HEADER_BYTES or end <= begin:
        raise refuse(path, "a HEADER without the position of TEXT", "two increasing byte offsets")
    if end - begin > MAX_TEXT:
        raise refuse(path, f"a TEXT segment of {end - begin} bytes", f"at most {MAX_TEXT} bytes")
    absolute = base > 0 and b"$PAR" in read_at(stream, begin, end - begin + 1).upper()
    if absolute and begin < base:  # the TEXT of an earlier data set
        absolute = False
    start = 0 if absolute else base
    if start + end > file_size(stream):
        raise refuse(path, "a file that ends inside TEXT", "a whole file", "copy the file again: it is truncated")
    text = (start + begin, start + end)
    return Header(base, raw[3:6].decode("ascii"), text, absolute, (fields[2], fields[3]))


def _field(raw: bytes) -> int | None:
    text = raw.strip(b" \x00\t\r\n")
    return int(text) if re.fullmatch(rb"\+?\d{1,8}", text) else None

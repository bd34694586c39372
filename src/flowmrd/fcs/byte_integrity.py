"""Detecting bytes that were inserted into a file or lost from it, so that its offsets are wrong.

A transfer in text mode, an editor or a mail gateway may do this. The offsets in HEADER and TEXT then point to shifted
bytes, which can be read as values. If DATA ends at the end of the file, at the eight bytes of checksum before it, or
where the next segment begins, nothing has moved. Otherwise the end of TEXT, the beginning of DATA and the bytes of DATA
are checked.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Protocol

from flowmrd.fcs.findings import refuse
from flowmrd.fcs.header import Header, file_size, is_header, read_at
from flowmrd.fcs.layout import Layout, whole
from flowmrd.fcs.text import PADDING
from flowmrd.fcs.text_segment import TextSegment, announced_segments

__all__ = ["CHECKSUM", "CRC_BYTES", "anchored", "check_unmoved", "follows"]

CRC_BYTES = 8
"""FCS 3.x ends each data set with eight characters: a checksum, or zeros."""

CHECKSUM = re.compile(rb"[0-9A-Fa-f ]{8}[\r\n\x00]{0,2}")
_OTHER_CONTENT = re.compile(rb"<\?xml|<[A-Za-z]{3}|PK\x03\x04|\x89PNG|\xff\xd8\xff|\{\"|%PDF")
"""What instruments append: settings as XML or JSON, a ZIP archive, pictures."""

_MOST_BETWEEN = 4096
_MOST_PADDING = 1 << 20
_SAMPLE_BYTES = 1 << 20
_ENOUGH_BYTES = 256
_ENOUGH_SIGNS = 24


class _Data(Protocol):
    @property
    def begin(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def layout(self) -> Layout: ...


def _shifted(path: Path) -> Exception:
    """Error for a file into which bytes were inserted, or from which bytes were lost."""
    return refuse(
        path,
        "a TEXT segment that is longer or shorter than HEADER says",
        "the length that HEADER says",
        "copy the file again, in binary mode: bytes were inserted or lost, and every offset is wrong",
    )


def check_unmoved(path: Path, stream: BinaryIO, header: Header, text: TextSegment, data: _Data) -> None:
    """Compare the position found for DATA with the end of TEXT and the end of the file.

    Raises
    ------
    FcsError
        If bytes were inserted or lost.
    """
    if data.layout.packing not in {"bytes", "bits"} or anchored(stream, header, text, data.begin + data.length):
        return
    if converted := _conversion(stream, data):
        raise refuse(
            path,
            f"DATA in which {converted}",
            "binary data as the instrument wrote them",
            "copy the file again, in binary mode: a transfer in text mode has changed it",
        )
    if data.begin >= header.text[0] and _misplaced(stream, header, text, data):
        raise _shifted(path)


def anchored(stream: BinaryIO, header: Header, text: TextSegment, stop: int) -> bool:
    """Whether something known begins at ``stop``, the first byte after DATA. If so, no bytes were inserted or lost.

    Known are the end of the file, the checksum, another segment and the next data set.
    """
    size = file_size(stream)
    rest = read_at(stream, stop, CRC_BYTES + 2)
    if stop + len(rest) == size:
        torn = stop == size and read_at(stream, size - CRC_BYTES, CRC_BYTES) == b"0" * CRC_BYTES
        if not torn and (not rest or CHECKSUM.fullmatch(rest)):
            return True
    if _OTHER_CONTENT.match(rest):
        return True
    if is_header(rest) or is_header(read_at(stream, stop + CRC_BYTES, CRC_BYTES)):
        return True
    followers = _next_sets(stream, header, text)
    followers += [first for first, _ in _framed(stream, header, text) if first >= stop]
    return any(place in (stop, stop + CRC_BYTES) for place in followers)


def _next_sets(stream: BinaryIO, header: Header, text: TextSegment) -> list[int]:
    step = whole(text.keywords.get("$NEXTDATA")) or 0
    return [place for place in (header.base + step, step) if is_header(read_at(stream, place, CRC_BYTES))]


def follows(stream: BinaryIO, header: Header, text: TextSegment, begin: int) -> bool:
    """Whether DATA at ``begin`` directly follows TEXT or a segment announced in TEXT, apart from padding."""
    before = max([text.last, *(last for _, last in _framed(stream, header, text) if last < begin)])
    gap = begin - before - 1
    filler = read_at(stream, text.first, 1) + PADDING
    return 0 <= gap <= _MOST_PADDING and not read_at(stream, before + 1, gap).strip(filler)


def _framed(stream: BinaryIO, header: Header, text: TextSegment) -> list[tuple[int, int]]:
    """Announced segments that are where TEXT says: their first and last byte are delimiters."""
    delimiter = read_at(stream, text.first, 1)
    return [
        (first, last)
        for first, last in announced_segments(header, text.keywords)
        if first > text.last and read_at(stream, first, 1) == read_at(stream, last, 1) == delimiter
    ]


def _misplaced(stream: BinaryIO, header: Header, text: TextSegment, data: _Data) -> bool:
    """Whether the end of TEXT and the beginning of DATA contradict each other, or bytes of no segment lie between them.

    Inserted bytes push the final delimiter of TEXT, or the blanks behind TEXT, into DATA; lost bytes pull the
    beginning of DATA into TEXT.
    """
    return (
        text.doubt
        or _checksum_elsewhere(stream, header, text, data.begin + data.length)
        or (text.late and data.begin <= header.text[1] + 1)
        or (text.tail and data.begin > header.text[1])
        or read_at(stream, data.begin - 4, 8) == b" " * 8
        or (data.begin - text.last <= _MOST_BETWEEN and not follows(stream, header, text, data.begin))
    )


def _checksum_elsewhere(stream: BinaryIO, header: Header, text: TextSegment, stop: int) -> bool:
    """Whether the data set ends with a checksum of zeros that begins inside DATA, or bytes of no segment behind it."""
    size = min([file_size(stream), *(place for place in _next_sets(stream, header, text) if place >= stop)])
    between = size - CRC_BYTES - stop
    if between > _MOST_BETWEEN or read_at(stream, size - CRC_BYTES, CRC_BYTES) != b"0" * CRC_BYTES:
        return False
    found = read_at(stream, stop, max(between, 0))
    return between < 0 or (bool(found.strip(b"\x00 0")) and found[:1] != read_at(stream, text.first, 1))


def _conversion(stream: BinaryIO, data: _Data) -> str:
    """What a transfer in text mode did to DATA, or an empty string.

    Measured values are hardly ever valid UTF-8, and only one line feed in 256 among them follows a carriage return.
    """
    sample = read_at(stream, data.begin, min(data.length, _SAMPLE_BYTES))
    if len(sample) < _ENOUGH_BYTES:
        return ""
    feeds = sample.count(b"\n")
    if feeds >= _ENOUGH_SIGNS and sample.count(b"\r\n") >= feeds - 1:
        return "every line feed follows a carriage return"
    try:
        characters = sample[: len(sample) - 3].decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 8:
            return ""
        characters = sample[: error.start].decode("utf-8")
    wide = sum(character > "\x7f" for character in characters)
    return "every byte belongs to UTF-8 text" if wide >= _ENOUGH_SIGNS else ""

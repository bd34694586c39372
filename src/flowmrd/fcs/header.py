"""HEADER and TEXT of every data set of a file, checked against the size of the file and against each other.

HEADER says where TEXT ends. Where TEXT itself shows that it ends elsewhere, bytes were inserted or lost on the way (a
transfer in text mode, an editor), no offset of the file holds, and the file is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flowmrd.fcs.findings import Finding, refuse
from flowmrd.fcs.layout import whole
from flowmrd.fcs.text import find_standard, parse_text

__all__ = ["HEADER_BYTES", "Header", "TextEnd", "file_size", "headers", "read_at", "shifted"]

MAX_TEXT = 64 * 1024 * 1024
"""TEXT beyond this is damage: the largest seen, with embedded experiment settings, is a few MB."""

MAX_DATA_SETS = 1000

HEADER_BYTES = 58
_LOOK_AHEAD = 512


@dataclass(frozen=True)
class Header:
    """HEADER of one data set.

    ``text`` is absolute, first and last byte. ``data`` counts from ``base``, or from the start of the file where
    ``absolute``; ``None`` where blank or unreadable.
    """

    base: int
    version: str
    text: tuple[int, int]
    absolute: bool
    data: tuple[int | None, int | None]


@dataclass(frozen=True)
class TextEnd:
    """How TEXT really ends: ``late``, its final delimiter lies one byte behind; ``tail``, something follows it."""

    late: bool = False
    tail: bool = False


def read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes at an absolute offset."""
    stream.seek(offset)
    return stream.read(size)


def file_size(stream: BinaryIO) -> int:
    """Size of an open file in bytes."""
    return os.fstat(stream.fileno()).st_size


def read_header(path: Path, stream: BinaryIO, base: int) -> Header:
    """Parse the 58 bytes of HEADER at ``base``.

    Raises
    ------
    FcsError
        If the file does not start with an FCS 2 or 3 version, or HEADER gives no place for TEXT inside the file.
    """
    raw = read_at(stream, base, HEADER_BYTES)
    match = re.match(rb"FCS([23]\.\d)", raw)
    if match is None or len(raw) < HEADER_BYTES:
        what = "a file that is not FCS" if match is None else "a file shorter than an FCS HEADER"
        raise refuse(path, what, "FCS 2.0, 3.0, 3.1 or 3.2", "give the instrument's FCS or LMD file")
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
    return Header(base, match.group(1).decode(), text, absolute, (fields[2], fields[3]))


def _field(raw: bytes) -> int | None:
    text = raw.strip(b" \x00\t\r\n")
    return int(text) if re.fullmatch(rb"\+?\d{1,8}", text) else None


def read_text(path: Path, stream: BinaryIO, header: Header, findings: list[Finding]) -> tuple[dict[str, str], TextEnd]:
    """Read TEXT and supplemental TEXT of a data set.

    Supplemental keywords never replace primary ones. Where the delimited reading leaves the description of DATA
    incomplete, the standard keywords are looked up by name.

    Raises
    ------
    FcsError
        If TEXT holds no keyword that describes DATA.
    """
    begin, end = header.text
    segment, late = _segment(stream, begin, end)
    keywords, codes = parse_text(segment)
    if _continues(segment, read_at(stream, end + 1 + late, _LOOK_AHEAD), codes):
        longer = _longer(stream, header, segment, end)
        if longer is None:
            raise shifted(path)
        segment = longer
        keywords, codes = parse_text(segment)
        codes.append("text_end_short")
    if not _complete(keywords):
        by_name = find_standard(segment)
        if _complete(keywords | by_name):
            last_word = segment.rstrip(segment[:1]).rpartition(segment[:1])[2]
            if "no_final_delimiter" in codes or last_word.startswith(b"$"):
                raise shifted(path)
            keywords |= by_name
            codes.append("unescaped_delimiter")
    for code in codes:
        findings.append(Finding(code, _TEXT_MESSAGES[code]))
    first, final = whole(keywords.get("$BEGINSTEXT")), whole(keywords.get("$ENDSTEXT"))
    start = 0 if header.absolute else header.base
    if first and final and first < final and (start + first, start + final) != (begin, end):
        extra = _supplement(stream, header, start + first, start + final, segment[:1])
        if extra is None:
            findings.append(Finding("supplemental_text_unusable", "$BEGINSTEXT does not point to a TEXT segment"))
        else:
            keywords = extra | keywords
    if not any(key.startswith("$P") for key in keywords):
        raise refuse(path, "a TEXT segment without keywords that describe DATA", "$PAR, $DATATYPE, $PnB")
    return keywords, TextEnd(late, "odd_tail" in codes and "unescaped_delimiter" not in codes)


_TEXT_MESSAGES = {
    "empty_values": "TEXT holds empty values written as two delimiters",
    "duplicate_keywords": "a keyword stands twice in TEXT with different values; the last one counts",
    "no_final_delimiter": "TEXT does not end with its delimiter",
    "value_missing": "TEXT ends with a keyword without a value",
    "doubled_end": "TEXT ends with a doubled delimiter, which could also be an empty value",
    "text_end_short": "TEXT is longer than HEADER says; it was read up to DATA",
    "odd_tail": "TEXT ends with something that is no keyword",
    "unescaped_delimiter": "TEXT holds delimiters that are not doubled; the keywords of DATA were found by name",
}


def _segment(stream: BinaryIO, begin: int, end: int) -> tuple[bytes, bool]:
    """Bytes of TEXT with the delimiter first, where begin or end may be one byte off; whether the end was."""
    raw = read_at(stream, begin - 1, end - begin + 3)
    before, segment, after = raw[:1], raw[1 : end - begin + 2], raw[end - begin + 2 :]
    if _is_key(segment[:1]) and not _is_key(before) and before not in b" \x00":
        segment = before + segment
    elif (
        not _is_key(segment[:1]) and segment[:1] in b" \x00\r\n" and segment.lstrip(b" \x00\r\n")[:1] not in (b"", b"$")
    ):
        segment = segment.lstrip(b" \x00\r\n")
    late = after == segment[:1] and not segment.endswith(after)
    return segment + after if late else segment, late


def _longer(stream: BinaryIO, header: Header, segment: bytes, end: int) -> bytes | None:
    """TEXT up to DATA, where HEADER gives its end too early but DATA behind it: then DATA has not moved."""
    begin = header.data[0]
    gap = (begin or 0) + (0 if header.absolute else header.base) - end - 1
    if begin is None or not 0 < gap <= _LOOK_AHEAD:
        return None
    longer = segment + read_at(stream, end + 1, gap)
    _, codes = parse_text(longer)
    return None if {"no_final_delimiter", "value_missing", "odd_tail"} & set(codes) else longer


def shifted(path: Path) -> Exception:
    """The error for a file into which bytes came, or from which bytes went, so that no offset holds."""
    return refuse(
        path,
        "a TEXT segment that is longer or shorter than HEADER says",
        "the length that HEADER says",
        "copy the file again, in binary mode: bytes were inserted or lost, and every offset is wrong",
    )


def _continues(segment: bytes, after: bytes, codes: list[str]) -> bool:
    """Whether TEXT visibly goes on behind its announced end: bytes were inserted before it.

    Then DATA lies elsewhere too, and its announced place would give shifted values that look like values.
    """
    delimiter = re.escape(segment[:1])
    printable = rb"[\x09\x20-\x7e\x80-\xff]"
    if "value_missing" in codes or "doubled_end" in codes:
        return re.match(printable + rb"{0,300}?" + delimiter, after) is not None
    if "no_final_delimiter" not in codes:
        words = rb"(?:(?!" + delimiter + rb")[\x09\x20-\x7e]){1,300}" + delimiter  # another segment starts with it
        return re.match(words + printable + rb"{0,300}?" + delimiter, after) is not None
    tail = segment.rpartition(segment[:1])[2].rstrip(b" \x00\r\n")
    return _binary(tail) or re.match(printable + rb"{1,300}?" + delimiter, after) is not None


def _binary(value: bytes) -> bool:
    """Whether the last value of TEXT holds bytes that no text has."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        high = sum(byte > 127 for byte in value)
        return high * 4 > len(value) or re.search(rb"[\x00-\x08\x0a-\x1f\x7f-\x9f]", value) is not None
    return re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value) is not None


def _is_key(character: bytes) -> bool:
    return character.isalnum() or character in (b"$", b"@", b"&")


def _complete(keywords: Mapping[str, str]) -> bool:
    """Whether the keywords describe DATA: everything that a wrong reading of delimiters would lose."""
    n = whole(keywords.get("$PAR"))
    if n is None or not 1 <= n <= 10_000 or "$DATATYPE" not in keywords or "$BYTEORD" not in keywords:
        return False
    return all(f"$P{i}B" in keywords and f"$P{i}R" in keywords for i in range(1, n + 1))


def _supplement(stream: BinaryIO, header: Header, first: int, last: int, delimiter: bytes) -> dict[str, str] | None:
    overlaps = first <= header.text[1] and last >= header.text[0]
    if overlaps or last > file_size(stream) or last - first > MAX_TEXT:
        return None
    segment = read_at(stream, first, last - first + 1)
    return parse_text(segment)[0] if segment[:1] == delimiter else None


def headers(
    path: Path, stream: BinaryIO, findings: list[Finding]
) -> Iterator[tuple[Header, dict[str, str], TextEnd, list[Finding]]]:
    """Walk the data sets of a file along ``$NEXTDATA``.

    ``$NEXTDATA`` counts from the start of its own data set; an offset from the start of the file, which some
    instruments write, is taken where only that leads to a HEADER. Positions must increase, so the walk always ends.
    """
    base = 0
    for _ in range(MAX_DATA_SETS):
        own: list[Finding] = []
        header = read_header(path, stream, base)
        keywords, text_end = read_text(path, stream, header, own)
        yield header, keywords, text_end, own
        step = whole(keywords.get("$NEXTDATA"))
        if step is None or step <= 0:
            return
        places = [place for place in (base + step, step) if base < place < file_size(stream)]
        following = [place for place in places if re.match(rb"FCS[23]\.\d", read_at(stream, place, 6))]
        if not following:
            findings.append(Finding("next_data_set_missing", "$NEXTDATA does not lead to a further data set"))
            return
        base = following[0]

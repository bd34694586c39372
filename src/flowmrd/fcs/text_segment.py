"""TEXT of a data set: its actual end in the file, and its keywords.

HEADER often gives the end of TEXT one byte too late (many instruments write the first byte after it) and sometimes too
early; some writers omit the final delimiter. If TEXT seems to continue after its announced end, bytes may have been
inserted into the file or lost from it. Such a *doubt* is checked by :mod:`flowmrd.fcs.byte_integrity` once DATA is
found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flowmrd.fcs.findings import Finding, refuse
from flowmrd.fcs.header import MAX_TEXT, Header, read_at
from flowmrd.fcs.layout import whole
from flowmrd.fcs.text import PADDING, find_standard, parse_text, unpadded

__all__ = ["TextSegment", "announced_segments", "read_text"]

_MOST_WORDS = 400_000
_LOOK_AHEAD = 512
_LOOK_FOR_END = 1 << 20


@dataclass(frozen=True)
class TextSegment:
    """Keywords of TEXT and its position.

    Parameters
    ----------
    first
        Absolute position of its first byte, the delimiter.
    last
        Absolute position of its final delimiter; padding may follow.
    late
        Whether its final delimiter lies one byte after the end that HEADER gives.
    tail
        Whether other bytes than keywords lie between its final delimiter and the end that HEADER gives.
    doubt
        Whether it does not begin where HEADER says, seems to continue after its end, or has a keyword without a value.
    """

    keywords: dict[str, str]
    first: int
    last: int
    late: bool = False
    tail: bool = False
    doubt: bool = False


_MESSAGES = {
    "empty_values": "TEXT holds empty values written as two delimiters",
    "duplicate_keywords": "a keyword stands twice in TEXT with different values; the last one counts",
    "no_final_delimiter": "TEXT does not end with its delimiter",
    "value_missing": "TEXT ends with a keyword without a value",
    "doubled_end": "TEXT ends with a doubled delimiter, which could also be an empty value",
    "text_end_short": "TEXT is longer than HEADER says; it was read up to DATA",
    "text_end_long": "HEADER gives the end of TEXT inside DATA; TEXT was read up to its final delimiter",
    "odd_tail": "TEXT ends with something that is no keyword",
    "stray_delimiter": "TEXT holds superfluous delimiters between a value and the next keyword",
    "unescaped_delimiter": "TEXT holds delimiters that are not doubled; the keywords of DATA were found by name",
}


def read_text(path: Path, stream: BinaryIO, header: Header, findings: list[Finding]) -> TextSegment:
    """Read TEXT and supplemental TEXT of a data set.

    Supplemental keywords never replace primary ones. Where delimiters that were not doubled shift keywords into the
    position of values, the standard keywords are searched by name.

    Raises
    ------
    FcsError
        If TEXT has no keyword that describes DATA, or too many keywords.
    """
    segment, first, late = _segment(stream, header)
    words = segment.count(segment[:1])
    if words > _MOST_WORDS:
        raise refuse(path, f"a TEXT segment of {words} words", f"at most {_MOST_WORDS}")
    keywords, codes = parse_text(segment)
    cut = _cut(segment, first, header, keywords)
    if cut is not None:
        segment = cut
        keywords, codes = parse_text(segment)
        codes.append("text_end_long")
    stop = first + len(segment)
    doubt = not _segment_at(stream, header, keywords, segment[:1], stop) and _continues(
        segment, read_at(stream, stop, _LOOK_AHEAD), codes
    )
    longer = _longer(stream, header, segment, stop) if doubt else None
    if longer is not None:
        segment, doubt = longer, False
        keywords, codes = parse_text(segment)
        codes.append("text_end_short")
    hidden = {key: value for key, value in find_standard(segment).items() if value and not keywords.get(key)}
    if hidden:
        keywords |= hidden
        codes.append("unescaped_delimiter")
    uneven = {"no_final_delimiter", "value_missing"} & set(codes) or unpadded(segment).endswith(2 * segment[:1])
    doubt = doubt or bool(hidden) or bool(uneven) or first != header.text[0]
    findings += [Finding(code, _MESSAGES[code]) for code in codes]
    keywords = _supplement(stream, header, keywords, segment[:1], findings) | keywords
    if not any(key.startswith("$P") for key in keywords):
        raise refuse(path, "a TEXT segment without keywords that describe DATA", "$PAR, $DATATYPE, $PnB")
    tail = cut is not None or ("odd_tail" in codes and "unescaped_delimiter" not in codes)
    core = len(segment.rstrip(segment[:1] + PADDING))
    last = first + min(core, len(segment) - 1)
    return TextSegment(keywords, first, last, late, tail, doubt)


def _segment(stream: BinaryIO, header: Header) -> tuple[bytes, int, bool]:
    """Bytes of TEXT from its delimiter on, their position, and whether HEADER gave the end one byte too early."""
    begin, end = header.text
    raw = read_at(stream, begin - 1, end - begin + 3)
    before, segment, after = raw[:1], raw[1 : end - begin + 2], raw[end - begin + 2 :]
    if _is_key(segment[:1]) and not _is_key(before) and before not in b" \x00":
        segment, begin = before + segment, begin - 1
    elif (
        not _is_key(segment[:1]) and segment[:1] in b" \x00\r\n" and segment.lstrip(b" \x00\r\n")[:1] not in (b"", b"$")
    ):
        begin += len(segment) - len(segment.lstrip(b" \x00\r\n"))
        segment = segment.lstrip(b" \x00\r\n")
    late = after == segment[:1] and not segment.endswith(after)
    return segment + after if late else segment, begin, late


def _cut(segment: bytes, first: int, header: Header, keywords: Mapping[str, str]) -> bytes | None:
    """TEXT up to its final delimiter if HEADER gives its end inside DATA, else ``None``.

    In most such files the end that HEADER gives is the first byte of DATA. HEADER or ``$BEGINDATA`` says where DATA
    begins.
    """
    delimiter = segment[:1]
    if unpadded(segment).endswith(delimiter):
        return None
    start = 0 if header.absolute else header.base
    begins = [begin + start - first for begin in (header.data[0], whole(keywords.get("$BEGINDATA"))) if begin]
    for length in [begin for begin in begins if 1 < begin < len(segment)] + [len(segment) - 1]:
        cut = segment[:length]
        if unpadded(cut).endswith(delimiter) and "value_missing" not in parse_text(cut)[1]:
            return cut
    return None


def _longer(stream: BinaryIO, header: Header, segment: bytes, stop: int) -> bytes | None:
    """TEXT up to DATA, if HEADER gives only the end of TEXT too early, so that DATA has not moved; else ``None``."""
    begin = header.data[0]
    gap = (begin or 0) + (0 if header.absolute else header.base) - stop
    if begin is None or not 0 < gap <= _LOOK_FOR_END:
        return None
    longer = segment + read_at(stream, stop, gap)
    _, codes = parse_text(longer)
    return None if {"no_final_delimiter", "value_missing", "odd_tail"} & set(codes) else longer


def announced_segments(header: Header, keywords: Mapping[str, str]) -> list[tuple[int, int]]:
    """Absolute first and last byte of further segments that TEXT announces (supplemental TEXT and ANALYSIS)."""
    start = 0 if header.absolute else header.base
    found = []
    for name in ("STEXT", "ANALYSIS"):
        first, last = (whole(keywords.get(f"${side}{name}")) for side in ("BEGIN", "END"))
        if first and last and 0 < first < last:
            found.append((start + first, start + last))
    return found


def _segment_at(stream: BinaryIO, header: Header, keywords: Mapping[str, str], delimiter: bytes, place: int) -> bool:
    """Whether an announced segment begins at a place and is framed by delimiters."""
    return any(
        first == place and read_at(stream, first, 1) == read_at(stream, last, 1) == delimiter
        for first, last in announced_segments(header, keywords)
    )


def _continues(segment: bytes, after: bytes, codes: list[str]) -> bool:
    """Whether TEXT visibly continues after its announced end, as it does if bytes were inserted before it.

    DATA has then moved too, and shifted bytes at its announced place would be read as values.
    """
    delimiter = re.escape(segment[:1])
    printable = rb"[\x09\x20-\x7e\x80-\xff]"
    if "value_missing" in codes or "doubled_end" in codes:
        return re.match(printable + rb"{0,300}?" + delimiter, after) is not None
    if "no_final_delimiter" not in codes:
        words = rb"(?:(?!" + delimiter + rb")[\x09\x20-\x7e]){1,300}" + delimiter
        pair = words + printable + rb"{0,300}?" + delimiter  # without a delimiter before it: no segment of its own
        return re.match(pair + rb"|" + delimiter + words, after) is not None
    tail = segment.rpartition(segment[:1])[2].rstrip(b" \x00\r\n")
    goes_on = re.match(printable + rb"{1,300}?" + delimiter + rb"|[\x09\x20-\x7e]{64}", after)
    return _binary(tail) or goes_on is not None


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


def _supplement(
    stream: BinaryIO, header: Header, keywords: Mapping[str, str], delimiter: bytes, findings: list[Finding]
) -> dict[str, str]:
    """Keywords of supplemental TEXT; none where its offsets repeat those of TEXT or lead nowhere."""
    first, final = whole(keywords.get("$BEGINSTEXT")), whole(keywords.get("$ENDSTEXT"))
    start = 0 if header.absolute else header.base
    if not (first and final and first < final) or (start + first, start + final) == header.text:
        return {}
    first, final = start + first, start + final
    overlaps = first <= header.text[1] and final >= header.text[0]
    if not overlaps and final - first <= MAX_TEXT:
        segment = read_at(stream, first, final - first + 1)
        if segment[:1] == delimiter:
            return parse_text(segment)[0]
    findings.append(Finding("supplemental_text_unusable", "$BEGINSTEXT does not point to a TEXT segment"))
    return {}

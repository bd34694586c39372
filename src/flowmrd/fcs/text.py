"""Parsing TEXT segments: tolerant of known errors of writers, strict where a guess could change a value.

flowmrd always parses TEXT itself. FlowIO's parser drops every ``$`` from values, does not distinguish ``$KEY`` from
``KEY``, and raises ``KeyError`` on empty values. With FlowIO for some files and another parser for the rest, one
channel could have two names.

Delimiters. FCS 3.1 (Spidlen et al., Cytometry A 2010;77:97, 3.2.9) doubles a delimiter inside a value and forbids empty
values; in practice many instruments write empty values as two delimiters. The meaning of ``n`` consecutive delimiters
depends on their position:

=================  ==========================================================================================
after a value      odd: (n-1)/2 delimiters belong to the value, then it ends; even: n/2 belong to it, it goes on
after a keyword    1: the value starts; 2: the value is empty; odd: the value starts with (n-1)/2 delimiters;
                   even: the value is (n-2)/2 delimiters and ends
before ``$NAME``   what stands before it ends: no value goes on with the name of a standard keyword
at the end         3: one delimiter belongs to the value; else the value ends and the rest fills the segment up
=================  ==========================================================================================

The only case not supported is a delimiter inside a *keyword*; no standard keyword has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

__all__ = ["PADDING", "find_standard", "parse_text", "unpadded"]

_STANDARD_KEY = (
    rb"\$(?:P\d{1,5}(?:[BENRSGV]|DATATYPE)|PAR|TOT|DATATYPE|BYTEORD|MODE|NEXTDATA|BEGINDATA|ENDDATA|TIMESTEP"
    rb"|SPILLOVER)|SPILL|SPILLOVER"
)


_NAME = re.compile(rb"\$[A-Z][A-Z0-9]*")
PADDING = b"\x00 \r\n"
"""Bytes that writers fill a segment up with."""


def decode(value: bytes) -> str:
    """Decode a value as UTF-8 if possible, else as Latin-1. Each value is decoded alone, so that one operator name in
    another encoding does not garble the markers.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def parse_text(segment: bytes) -> tuple[dict[str, str], list[str]]:
    """Parse one TEXT segment.

    Parameters
    ----------
    segment
        The segment's bytes, the delimiter first.

    Returns
    -------
    keywords
        Upper-case keyword to value, blanks and NULs stripped at both ends. The last of equal keywords counts.
    findings
        Codes of irregularities: ``empty_values``, ``duplicate_keywords``, ``no_final_delimiter``, ``value_missing``,
        ``doubled_end``, ``odd_tail``, ``stray_delimiter``.
    """
    keywords: dict[str, str] = {}
    findings: set[str] = set()
    delimiter = segment[:1]
    body = unpadded(segment)[1:].lstrip(delimiter)
    if not body.endswith(delimiter):
        findings.add("no_final_delimiter")
    for key, value in _pairs(_runs(body, delimiter), delimiter, findings):
        name = decode(key).strip(" \t\r\n\x00").upper()
        text = decode(value).strip(" \t\r\n\x00")
        if not name:
            continue
        if name in keywords and keywords[name] != text:
            findings.add("duplicate_keywords")
        keywords[name] = text
    return keywords, sorted(findings)


def unpadded(segment: bytes) -> bytes:
    """A segment without the blanks, NULs and line ends that pad it after its final delimiter."""
    return segment.rstrip(PADDING if segment[:1] not in PADDING else b"")


def _runs(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each piece of text with the number of delimiters after it."""
    character = re.escape(delimiter)
    for match in re.finditer(rb"([^" + character + rb"]+)(" + character + rb"*)", body):
        yield match[1], len(match[2])


def _pairs(runs: Iterable[tuple[bytes, int]], delimiter: bytes, findings: set[str]) -> Iterator[tuple[bytes, bytes]]:
    key: bytes | None = None
    value = b""
    pieces = list(runs)
    for (piece, run), (following, _) in pairwise(pieces):
        stray = run > 1 and _NAME.fullmatch(following) is not None  # a standard keyword is never part of a value
        if key is None:
            if run == 2 or stray:
                findings.add("empty_values")
                yield piece, b""
            elif run % 2 == 0:
                yield piece, delimiter * ((run - 2) // 2)
            else:
                key, value = piece, delimiter * ((run - 1) // 2)
            continue
        value += piece + delimiter * ((run - 1) // 2 if stray else run // 2)
        if run % 2 or stray:
            findings |= {"stray_delimiter"} if run % 2 == 0 else set()
            yield key, value
            key = None
    for piece, run in pieces[-1:]:  # the end of the segment also ends the value
        if key is not None:
            if run == 2:
                findings.add("doubled_end")
            yield key, value + piece + (delimiter if run == 3 else b"")
        elif run == 1:
            findings.add("value_missing")
            yield piece, b""
        elif run:
            findings.add("empty_values")
            yield piece, b""
        elif piece.strip():
            findings.add("odd_tail")


def find_standard(segment: bytes) -> dict[str, str]:
    """Find the standard keywords that describe DATA by searching for their names, for writers that do not double
    delimiters.

    A path such as ``C:\\data`` in a TEXT delimited by backslashes shifts every later keyword into the position of a
    value. The keywords can then only be found by name. A keyword found with two different values is left out, so that
    the caller treats it as missing.
    """
    delimiter = re.escape(segment[:1])
    pattern = re.compile(
        delimiter + rb"(" + _STANDARD_KEY + rb")" + delimiter + rb"([^" + delimiter + rb"]*)(?=" + delimiter + rb")",
        re.I,
    )
    found: dict[str, set[str]] = {}
    for match in pattern.finditer(segment):
        name = match.group(1).decode("ascii").upper()
        found.setdefault(name, set()).add(decode(match.group(2)).strip(" \t\r\n\x00"))
    return {name: values.pop() for name, values in found.items() if len(values) == 1}

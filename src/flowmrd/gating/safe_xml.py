"""Reading XML from an untrusted source: document types, entities and external references are refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final
from xml.parsers import expat

from flowmrd.errors import GateError

__all__ = ["MAX_BYTES", "parse_xml"]

MAX_BYTES: Final = 200_000_000
"""A larger file is no set of gates; a workspace of a large study is some ten megabytes."""


class _DeclaredTypeError(Exception):
    """The document declares a type, as those do that define entities."""


def parse_xml(raw: bytes, where: str, *, expected: str, max_bytes: int = MAX_BYTES) -> ET.Element:
    """Root element of a document.

    The parser finds the document type, not a search in the bytes, so that no encoding can hide it.

    Raises
    ------
    GateError
        If the text is too large, is not well-formed, or declares a document type.
    """
    if len(raw) > max_bytes:
        raise GateError(
            where, found=f"{len(raw)} bytes", expected=f"at most {max_bytes}", todo="export the gates alone"
        )
    try:
        _refuse_document_type(raw)
        return ET.fromstring(raw)  # noqa: S314 - declarations, the dangerous part, were refused above
    except _DeclaredTypeError:
        raise GateError(
            where, found="a document type or entity declaration", expected=expected, todo="export the file again"
        ) from None
    except (ET.ParseError, expat.ExpatError, ValueError, LookupError) as error:
        raise GateError(
            where,
            found=f"XML that is not well-formed ({str(error)[:120]})",
            expected=expected,
            todo="export the file again",
        ) from error


def _refuse_document_type(raw: bytes) -> None:
    def declared(*_: object) -> None:
        raise _DeclaredTypeError

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    parser.Parse(raw, True)

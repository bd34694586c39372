"""Reading sheets as spreadsheet programs save them: .xlsx, or text in the usual encodings and separators.

A file that can be read in more than one way is refused, with the reason. Cells are returned as text: whole numbers
without ``.0``, dates as ISO, Unicode in NFC, without blanks at the ends and without invisible characters.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from flowmrd.config.path_text import obstacle
from flowmrd.errors import SheetError

__all__ = ["MAX_SHEET_BYTES", "Grid", "plain_cell", "read_grid"]

MAX_SHEET_BYTES: Final = 50_000_000
"""A larger file is not a sheet a person wrote."""

_MAX_CELLS: Final = 2_000_000
_NO_SHEETS: Final = (
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)"),
    (b"FCS", "an FCS file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML file"),
)

_ERROR_VALUE: Final = re.compile(r"#(?:[A-Z\u00c0-\u00dc0-9/_]+[!?]|N/A|NV)")
"""What a formula that failed leaves, in the usual languages; a row that begins with it must not pass for a comment."""


@dataclass(frozen=True)
class Grid:
    """Rows of a sheet: line number and cells as text."""

    rows: tuple[tuple[int, tuple[str, ...]], ...]


def plain_cell(text: str) -> str:
    """A cell without blanks at the ends and zero-width characters, in Unicode form NFC."""
    return unicodedata.normalize("NFC", re.sub(r"[\u200b-\u200d\u2060\ufeff]", "", text)).strip()


def read_grid(path: Path, required: Sequence[str], *, one_row_per: str, setting: str) -> Grid:
    """Read a sheet that any spreadsheet program saved.

    Parameters
    ----------
    required
        Columns that identify the header line, the separator and the sheet of a workbook; case is ignored.
    one_row_per, setting
        For messages, see :func:`flowmrd.config.table.read_table`.

    Raises
    ------
    SheetError
        If the file is missing, is not a sheet, or can be read in more than one way.
    """
    expected = f"a sheet (.tsv, .csv or .xlsx) with one row per {one_row_per}"

    def refuse(found: str, todo: str) -> SheetError:
        return SheetError(str(path), found=found, expected=expected, todo=todo)

    if found := obstacle(path):
        todo = f"correct '{setting}:' in config.yaml"
        if "permission" in found:
            todo = "make the file readable"
        raise refuse(found, f"create it, or {todo}" if found == "no such file" else todo)
    size = path.stat().st_size
    if size > MAX_SHEET_BYTES:
        raise refuse(f"{size} bytes", "check that it is a sheet")
    raw = path.read_bytes()
    for start, kind in _NO_SHEETS:
        if raw.lstrip(b"\xef\xbb\xbf \r\n").startswith(start):
            raise refuse(kind, "save the table as .xlsx, or as text separated by tabs")
    workbook = raw.startswith(b"PK\x03\x04")
    grid = _workbook(raw, required, refuse) if workbook else _text(_decoded(raw, refuse), required)
    if faulty := [str(line) for line, cells in grid.rows if any(map(_ERROR_VALUE.fullmatch, cells))]:
        raise refuse(f"error values such as #REF! or #N/A (line {', '.join(faulty[:8])})", "correct these cells")
    return grid


def _decoded(raw: bytes, refuse: Any) -> str:
    """Text of a sheet: UTF-8, UTF-32, UTF-16 with or without its mark, else Windows-1252."""
    if raw.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        encoding = "utf-32"
    elif raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif raw.count(b"\x00") > len(raw) // 4:
        encoding = "utf-16-le" if raw[1:2] == b"\x00" else "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError as error:
        raise refuse("bytes that are neither UTF-8, UTF-16 nor Windows-1252 text", "save the sheet as UTF-8") from error
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise refuse("bytes that are not text", "save the sheet as UTF-8, separated by tabs")
    return text


def _text(text: str, required: Sequence[str]) -> Grid:
    # not splitlines(): it also splits at characters that may be part of a cell, which would give wrong line numbers
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    told = re.match(r'"?sep=([\t;,|])"?\n', text)  # an instruction to spreadsheet programs, not a row of the table
    before = 1 if told else 0
    text = text[told.end() :] if told else text
    first = text.split("\n", 1)[0]
    separator = next((sign for sign in "\t;,|" if _names(first.split(sign)) >= set(required)), "")
    if not separator:
        separator = max("\t;,", key=lambda sign: (first.count(sign), sign == "\t"))
    if '"' not in text:
        lines = text.removesuffix("\n").split("\n")
        return Grid(
            tuple((n, tuple(map(plain_cell, line.split(separator)))) for n, line in enumerate(lines, start=1 + before))
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, skipped = [], before
    for cells in reader:
        rows.append((before + 1, tuple(plain_cell(cell.replace("\n", " ")) for cell in cells) or ("",)))
        before = skipped + reader.line_num
    return Grid(tuple(rows) or ((1, ("",)),))


def _names(cells: Sequence[str]) -> set[str]:
    return {plain_cell(cell).strip('"').casefold() for cell in cells}


def _workbook(raw: bytes, required: Sequence[str], refuse: Any) -> Grid:
    """The sheet of a workbook whose first row holds the required columns; the first sheet where none does."""
    todo = "save the table as .xlsx with one sheet, or as text separated by tabs"
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = {entry.filename: entry.file_size for entry in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise refuse("a damaged .xlsx or .zip file", todo) from error
    if "xl/workbook.xml" not in names:
        kind = "an OpenDocument file" if "content.xml" in names else "a .zip file that is no .xlsx"
        raise refuse(kind, todo)
    if sum(names.values()) > MAX_SHEET_BYTES:
        raise refuse("a workbook of more than 50 MB", "check that it is a sheet")
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(raw), data_only=True)
        written = load_workbook(io.BytesIO(raw))
        sheets = {sheet.title: _sheet_rows(sheet) for sheet in book.worksheets}
    except Exception as error:  # any exception of openpyxl means that the file cannot be read
        raise refuse(f"a workbook that cannot be read ({type(error).__name__})", todo) from error
    fitting = {name: rows for name, rows in sheets.items() if rows and _names(rows[0][1]) >= set(required)}
    if len(fitting) > 1:
        raise refuse(f"{len(fitting)} sheets with these columns", "keep one of them in the workbook")
    filled = {name: rows for name, rows in sheets.items() if rows}
    if not filled:
        return Grid(((1, ("",)),))
    name, rows = next(iter((fitting or filled).items()))
    if found := _hides(book[name], written[name]):
        raise refuse(*found)
    return Grid(tuple(rows))


def _hides(sheet: Any, written: Any) -> tuple[str, str] | None:
    """What a sheet shows to a person and not to a reader, or the other way round, and what to do; None for a plain one.

    Parameters
    ----------
    sheet, written
        The sheet with the results of its formulas, and as it was written.
    """
    if sheet.sheet_state != "visible":
        return f"the sheet {sheet.title[:40]!r}, which is hidden", "show it, or move the table to a sheet that shows"
    if sheet.merged_cells.ranges:
        merged = ", ".join(str(one) for one in sorted(map(str, sheet.merged_cells.ranges))[:5])
        return f"merged cells ({merged}), of which only the first holds a value", "split them and fill every cell"
    cells = [(cell, text) for row in sheet.iter_rows() for cell in row if (text := _cell(cell))]
    rows = sorted({cell.row for cell, _ in cells})
    if hidden := [row for row in rows if sheet.row_dimensions[row].hidden]:
        shown = ", ".join(map(str, hidden[:8]))
        return f"hidden rows (line {shown})", "take the filter off, and delete the rows that are not meant"
    if struck := sorted({cell.row for cell, _ in cells if cell.font is not None and cell.font.strike}):
        return f"struck-through cells (line {', '.join(map(str, struck[:8]))})", "delete the rows that are not meant"
    formulas = [cell for row in written.iter_rows() for cell in row if cell.data_type == "f"]
    if empty := [cell.coordinate for cell in formulas if sheet[cell.coordinate].value is None]:
        found = f"formulas without a result ({', '.join(empty[:8])})"
        return found, "open and save the workbook in a spreadsheet program, or write values instead of formulas"
    return None


def _sheet_rows(sheet: Any) -> list[tuple[int, tuple[str, ...]]]:
    rows: list[tuple[int, tuple[str, ...]]] = []
    cells = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        texts = [_cell(cell) for cell in row]
        while texts and not texts[-1]:
            texts.pop()
        cells += len(texts)
        if cells > _MAX_CELLS:
            raise ValueError("too many cells")
        if texts or rows:
            rows.append((number, tuple(texts) or ("",)))
    while rows and rows[-1][1] == ("",):
        rows.pop()
    return rows


def _cell(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return plain_cell(str(value).replace("\n", " "))

"""Tables as .xlsx. Numbers are written as numbers and texts as text, never as formulas; the same table gives the same
bytes.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

__all__ = ["append_rows", "typed", "workbook_bytes"]

FIXED: Final = datetime(1980, 1, 1)
"""Instead of the time of writing, which would make every workbook differ; the first day that a ZIP file knows."""


def typed(cell: str) -> str | float | int | bool | None:
    """Value of a cell of a text table: None, a boolean, a number or text.

    A number with a leading zero or plus sign stays text, because it may be an identifier."""
    if cell == "":
        return None
    if cell in ("true", "false"):
        return cell == "true"
    digits = cell.removeprefix("-")
    if not digits[:1].isdigit() or (digits[0] == "0" and digits[1:2].isdigit()):
        return cell
    try:
        value = float(cell)
    except ValueError:
        return cell
    if not math.isfinite(value) or "_" in cell:
        return cell
    return int(cell) if digits.isdigit() and len(digits) <= 15 else value


def workbook_bytes(title: str, rows: Sequence[Sequence[str]], *, text_columns: Collection[str] = ()) -> bytes:
    """A workbook with one sheet.

    Parameters
    ----------
    rows
        Header and rows of a text table.
    text_columns
        Columns whose cells stay text even where they look like numbers.
    """
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = title
    header = list(rows[0]) if rows else []
    as_text = {position for position, name in enumerate(header) if name in text_columns}
    for number, row in enumerate(rows, start=1):
        for position, cell in enumerate(row):
            value: Any = (cell or None) if number == 1 or position in as_text else typed(cell)
            _put(sheet, number, position + 1, value)
    for cell_ in next(iter(sheet.iter_rows(max_row=1)), ()):
        cell_.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    book.properties.creator = "flowmrd"
    book.properties.created = FIXED
    buffer = io.BytesIO()
    book.save(buffer)
    return _without_times(buffer.getvalue())


def append_rows(workbook: bytes, required: Collection[str], rows: Sequence[Sequence[str]]) -> bytes:
    """A user's workbook with rows added to the sheet that has these columns; everything else is unchanged.

    Raises
    ------
    KeyError
        If no sheet has these columns in its first row.
    """
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(workbook))
    for sheet in book.worksheets:
        first = next(iter(sheet.iter_rows(max_row=1, values_only=True)), ())
        if {str(name).strip().casefold() for name in first if name is not None} >= set(required):
            start = sheet.max_row + 1
            for offset, row in enumerate(rows):
                for position, cell in enumerate(row, start=1):
                    _put(sheet, start + offset, position, cell or None)
            buffer = io.BytesIO()
            book.save(buffer)
            return buffer.getvalue()
    raise KeyError("no sheet with these columns")


def _put(sheet: Any, row: int, column: int, value: Any) -> None:
    if value is None:
        return
    cell = sheet.cell(row=row, column=column, value=value)
    if isinstance(value, str):
        cell.data_type = "s"  # a text that starts with = is no formula


def _without_times(workbook: bytes) -> bytes:
    """The same ZIP file with a fixed time for every part."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, date_time=FIXED.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            part = source.read(name)
            if name == "docProps/core.xml":  # openpyxl writes the time of saving
                part = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", part)
            target.writestr(entry, part)
    return buffer.getvalue()

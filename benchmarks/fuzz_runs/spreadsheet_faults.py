"""Faults that spreadsheet programs and people put into a sheet: cells, dates, words, workbooks, by name."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.styles import Font

from benchmarks.fuzz_runs.written_tube import Rng

Change = Callable[[str, Rng], bytes]
DATES: Final = {
    "collected after received": ("2024-01-20", "2024-01-10"),
    "collected after the acquisition": ("2031-01-01", ""),
    "collected in the year 0024": ("0024-01-01", ""),
    "a day number of a spreadsheet": ("45292", ""),
    "a date that may mean two days": ("03/04/2024", ""),
    "a date of another country": ("16/03/2024", "17.03.2024"),
    "a month in words": ("1. M\u00e4rz 2024", "02-MAR-2024"),
    "a 31st of February": ("2024-02-31", ""),
    "a time without a day": ("08:30", ""),
    "words for a date": ("yesterday", "soon"),
}


def rows_of(text: str) -> list[list[str]]:
    """Cells of the sound sheet."""
    return [line.split("\t") for line in text.splitlines()]


def text_of(rows: list[list[str]]) -> bytes:
    """A sheet of these cells."""
    return ("\n".join("\t".join(cells) for cells in rows) + "\n").encode()


def of_tube(tube: str, column: str, value: str) -> Change:
    """One cell of one tube's row; a column that the sheet lacks is added."""

    def change(text: str, rng: Rng) -> bytes:
        rows = rows_of(text)
        if column not in rows[0]:
            rows = [[*cells, column if number == 0 else ""] for number, cells in enumerate(rows)]
        at = rows[0].index(column)
        for cells in rows[1:]:
            if cells[0] == tube:
                cells[at] = value
        return text_of(rows)

    return change


def _dated(collected: str, received: str) -> Change:
    def change(text: str, rng: Rng) -> bytes:
        first = of_tube("P01-day21", "collected", collected)(text, rng).decode()
        return of_tube("P01-day21", "received", received)(first, rng)

    return change


def _every_cell(change: Callable[[str], str]) -> Change:
    return lambda text, rng: text_of([[change(cell) for cell in cells] for cells in rows_of(text)])


def _added(*rows: str) -> Change:
    return lambda text, rng: text.encode() + "".join(f"{row}\n" for row in rows).encode()


def _before(line: str) -> Change:
    return lambda text, rng: f"{line}\n{text}".encode()


def _book(change: Callable[[Any, list[list[str]]], Any] | None = None) -> Change:
    """The sheet as a workbook, with something done to it."""

    def do(text: str, rng: Rng) -> bytes:
        book, rows = Workbook(), rows_of(text)
        sheet = book.worksheets[0]
        for cells in rows:
            sheet.append(cells)
        if change is not None:
            change(sheet, rows)
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()

    return do


def _put(place: str, value: Any) -> Callable[[Any, list[list[str]]], Any]:
    return lambda sheet, rows: sheet.__setitem__(place, value)


def _merged_header(sheet: Any, rows: list[list[str]]) -> None:
    sheet.insert_rows(1)
    sheet["A1"] = "Run of November"
    sheet.merge_cells("A1:E1")


def _struck(sheet: Any, rows: list[list[str]]) -> None:
    for cell in sheet[4]:
        cell.font = Font(strike=True)


def _second_sheet(sheet: Any, rows: list[list[str]]) -> None:
    other = sheet.parent.create_sheet("old")
    for cells in rows:
        other.append(cells)


SPREADSHEETS: Final[dict[str, Change]] = {
    "a follow-up tube as control": lambda text, rng: (
        text + "C9\tP04\tcontrol\t../spare/P04-day21.fcs\t\tnone\tsim1\t\n"
    ).encode(),
    "the patient's other tube as control": lambda text, rng: (
        text + "C9\tC9\tcontrol\t../spare/P01-day14.fcs\t\tnone\tsim1\t\n"
    ).encode(),
    "the diagnosis tube as control": of_tube("P01-dx", "role", "control"),
    "the follow-up tube as control": of_tube("P01-day21", "role", "control"),
    "a control as diagnosis": of_tube("P01-dx", "fcs", "../spare/CTRL09.fcs"),
    "the patient's other tube as diagnosis": of_tube("P01-dx", "fcs", "../spare/P01-day14.fcs"),
    "another patient's tube as diagnosis": of_tube("P01-dx", "fcs", "../spare/P04-day21.fcs"),
    "the follow-up tube as diagnosis too": lambda text, rng: (
        text + "X\tP01\tdiagnosis\t../fcs/P01-day21.fcs\t\tnone\tsim1\t\n"
    ).encode(),
    "a control as follow-up": of_tube("CTRL02", "role", "followup"),
    "another panel's tube": of_tube("P01-day21", "fcs", "../spare/vienna.fcs"),
    "another patient's diagnosis": of_tube("P01-dx", "patient", "P02"),
    "a patient in small letters": of_tube("P01-dx", "patient", "p01"),
    "a patient with a look-alike": of_tube("P01-dx", "patient", "\u042001"),
    "a role with a look-alike": of_tube("P01-day21", "role", "f\u043ell\u043ewup"),
    "a role in wide letters": of_tube("P01-day21", "role", "\uff46\uff4f\uff4c\uff4c\uff4f\uff57\uff55\uff50"),
    "a role in German": of_tube("P01-day21", "role", "Verlauf"),
    "a therapy in words": of_tube("P01-day21", "prior_therapy", "inotuzumab"),
    "a sample in other case": of_tube("P02-day21", "sample", "p01-DAY21"),
    "a sample of 64 letters": of_tube("P01-day21", "sample", "x" * 64),
    "a sample with points": of_tube("P01-day21", "sample", "P01..day21."),
    "a sample called results": of_tube("P01-day21", "sample", "results"),
    "a sample with an umlaut": of_tube("P01-day21", "sample", "M\u00fcller"),
    "a sample that is a formula": of_tube("P01-day21", "sample", "=A1"),
    "a specimen of two patients": lambda text, rng: of_tube("P02-day21", "specimen_id", "S1")(
        of_tube("P01-day21", "specimen_id", "S1")(text, rng).decode(), rng
    ),
    "labels that are not there": of_tube("P01-dx", "labels", "nowhere.tsv"),
    "a batch nobody knows": of_tube("P01-day21", "batch", "other"),
    "a time point of a page": of_tube("P01-day21", "timepoint", "day " * 2_000),
    "markup in a time point": of_tube("P01-day21", "timepoint", "<script>alert(1)</script>"),
    "quotes of a spreadsheet": _every_cell(lambda cell: f'="{cell}"'),
    "apostrophes in front": _every_cell(lambda cell: f"'{cell}"),
    "quotes in a cell": of_tube("P01-day21", "timepoint", 'day "21"'),
    "blanks that do not break": _every_cell(lambda cell: f"\u00a0{cell}\u00a0"),
    "blanks at the ends": _every_cell(lambda cell: f"{cell}   "),
    "a mark of direction": _every_cell(lambda cell: f"\u200e{cell}"),
    "a title above": _before("Run of November"),
    "an empty line above": _before(""),
    "two headers": lambda text, rng: (text.splitlines()[0] + "\n" + text).encode(),
    "a sum below": _added("", "total\t8"),
    "a comment below": _added("# stained by AB"),
    "a tab at every end": lambda text, rng: text.replace("\n", "\t\n").encode(),
    "decimal semicolons": lambda text, rng: text.replace("\t", ";").encode("cp1252"),
    "UTF-16, no mark": lambda text, rng: text.encode("utf-16-le"),
    "UTF-32": lambda text, rng: text.encode("utf-32"),
    "Latin letters of a Mac": lambda text, rng: text.replace("day21", "Tag \u00fc").encode("mac-roman"),
    "GB 18030": lambda text, rng: text.replace("day21", "\u7b2c21\u5929").encode("gb18030"),
    "ten thousand rows": lambda text, rng: (
        text + "".join(f"E{i}\tE{i}\tfollowup\t../fcs/none{i}.fcs\t\tnone\tsim1\t\n" for i in range(2_000))
    ).encode(),
    "a workbook": _book(),
    "a workbook with a merged header": _book(_merged_header),
    "a workbook with merged cells": _book(lambda sheet, rows: sheet.merge_cells("A3:A4")),
    "a workbook with a formula": _book(_put("A4", '=CONCATENATE("P01","-x")')),
    "a workbook with an error": _book(_put("D4", "#REF!")),
    "a workbook with a hidden row": _book(lambda sheet, rows: setattr(sheet.row_dimensions[4], "hidden", True)),
    "a workbook with a struck row": _book(_struck),
    "a workbook with two sheets": _book(_second_sheet),
    "a workbook with an empty first row": _book(lambda sheet, rows: sheet.insert_rows(1)),
    "a workbook with a number as sample": _book(_put("A4", 4711)),
    "a workbook with a truth value": _book(_put("B4", True)),
    "a workbook cut short": lambda text, rng: _book()(text, rng)[:2_000],
    **{name: _dated(*values) for name, values in DATES.items()},
}

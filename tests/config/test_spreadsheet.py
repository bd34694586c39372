"""Sheets as spreadsheet programs save them, and dates as people and instruments write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from flowmrd.config.sheet import Role, Sample, read_sheet
from flowmrd.dates import DayError, read_day
from flowmrd.errors import SheetError
from flowmrd.fcs.scrub import acquisition, unreadable_dates

ROWS = [
    ["sample", "patient", "role", "fcs", "timepoint", "collected"],
    ["A1", "P1", "followup", "../fcs/a.fcs", "day 21", "2024-03-16"],
    ["C1", "C1", "control", "../fcs/c.fcs", "", ""],
]


def text(separator: str = "\t", quote: str = "", end: str = "\n") -> str:
    return end.join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in ROWS) + end


def read(path: Path) -> list[Sample]:
    samples, problems = read_sheet(path)
    assert problems == []
    return samples


def expected(samples: list[Sample]) -> None:
    assert [(one.sample, one.patient, one.role) for one in samples] == [
        ("A1", "P1", Role.FOLLOWUP),
        ("C1", "C1", Role.CONTROL),
    ]
    assert samples[0].timepoint == "day 21"
    assert samples[0].collected == "2024-03-16"
    assert samples[0].fcs.name == "a.fcs"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", ["\t", ";", ","])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_text_that_a_spreadsheet_saves_is_read(
    tmp_path: Path, encoding: str, separator: str, quote: str, end: str
) -> None:
    path = tmp_path / "samples.tsv"
    path.write_bytes(text(separator, quote, end).encode(encoding))
    expected(read(path))


def test_a_workbook_is_read_with_its_dates_and_numbers(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.create_sheet("notes", 0).append(["anything"])
    sheet = book.create_sheet("tubes")
    for row in ROWS:
        sheet.append(row)
    sheet["F2"] = datetime(2024, 3, 16)
    sheet["B3"] = 1001
    book.save(tmp_path / "samples.xlsx")
    samples = read(tmp_path / "samples.xlsx")
    assert samples[0].collected == "2024-03-16"
    assert samples[1].patient == "1001"


def test_fixed_words_blanks_and_column_names_are_read_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "s.tsv"
    path.write_text("Sample\tPATIENT\tRole\tFCS \nA1\tP1\u00a0\tFollow-Up \ta.fcs\nC1\tC1\tCONTROL\tc.fcs\n", "utf-8")
    assert [one.role for one in read(path)] == [Role.FOLLOWUP, Role.CONTROL]


def test_paths_of_windows_and_both_unicode_forms_find_their_file(tmp_path: Path) -> None:
    (tmp_path / "fcs").mkdir()
    (tmp_path / "fcs/M\u00fcller.fcs").touch()
    path = tmp_path / "s.tsv"
    path.write_text("sample\tpatient\trole\tfcs\nA\tP\tcontrol\tfcs\\Mu\u0308ller.fcs\n", encoding="utf-8")
    assert read(path)[0].fcs.is_file()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\xd0\xcf\x11\xe0" + b"\x00" * 100, "old Excel"),
        (b"PK\x03\x04 broken", "damaged"),
        (b"FCS3.1    ", "an FCS file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x01\x02\x81\x8d", "bytes"),
    ],
)
def test_a_file_that_is_no_sheet_is_called_what_it_is(tmp_path: Path, raw: bytes, kind: str) -> None:
    (tmp_path / "s.tsv").write_bytes(raw)
    with pytest.raises(SheetError, match=kind):
        read_sheet(tmp_path / "s.tsv")


def test_a_misspelt_required_column_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "s.tsv").write_text("sample\tpateint\trole\tfcs\nA\tP\tcontrol\ta.fcs\n", encoding="utf-8")
    with pytest.raises(SheetError, match="rename 'pateint' to 'patient'"):
        read_sheet(tmp_path / "s.tsv")


@pytest.mark.parametrize("written", ["45367", "03/04/2024", "31.02.2024", "yesterday"])
def test_a_day_that_cannot_be_known_is_a_problem_of_its_row(tmp_path: Path, written: str) -> None:
    (tmp_path / "s.tsv").write_text(text().replace("2024-03-16", written), encoding="utf-8")
    samples, problems = read_sheet(tmp_path / "s.tsv")
    assert [one.sample for one in samples] == ["C1"]
    assert "collected" in problems[0].found


@pytest.mark.parametrize(
    "written",
    ["16-MAR-2016", "16-Mar-16", "2016-03-16", "2016/3/16", "20160316", "16.03.2016", "16/03/2016", "03/16/2016",
     "16-mars-2016", "16 M\u00e4rz 2016", "16-mrz-2016", "Mar 16, 2016", "Wed Mar 16 2016", "2016-MAR-16", "16Mar2016",
     "2016-03-16T10:00:00", "16 de marzo de 2016", "16 mar 2016", "16. M\u00e4rz 2016"],
)  # fmt: skip
def test_every_form_in_which_instruments_write_a_day_is_read(written: str) -> None:
    assert read_day(written) == date(2016, 3, 16)
    assert acquisition({"$DATE": written})["date"] == "2016-03-16"


def test_a_day_of_acquisition_that_cannot_be_read_is_reported() -> None:
    assert unreadable_dates({"$DATE": "03/04/2016"}) == ["$DATE"]
    assert unreadable_dates({"$DATE": "16-MAR-2016"}) == []
    assert unreadable_dates({}) == []
    with pytest.raises(DayError, match="may mean 2016-04-03 or 2016-03-04"):
        read_day("03/04/2016")


def hide_sheet(sheet: Any) -> None:
    sheet.sheet_state = "hidden"
    sheet.parent.create_sheet("notes").append(["nothing"])


def merge(sheet: Any) -> None:
    sheet.merge_cells("E2:E3")


def hide_row(sheet: Any) -> None:
    sheet.row_dimensions[3].hidden = True


def strike(sheet: Any) -> None:
    from openpyxl.styles import Font

    sheet["A3"].font = Font(strike=True)


def formula(sheet: Any) -> None:
    sheet["E2"] = '="day"&21'


def failed(sheet: Any) -> None:
    sheet["E2"] = "#N/A"


def failed_first(sheet: Any) -> None:
    sheet["A3"] = "#BEZUG!"


HIDES: dict[Callable[[Any], None], str] = {
    hide_sheet: "which is hidden",
    merge: r"merged cells \(E2:E3\)",
    hide_row: r"hidden rows \(line 3\)",
    strike: r"struck-through cells \(line 3\)",
    formula: r"formulas without a result \(E2\)",
    failed: r"error values such as #REF! or #N/A \(line 2\)",
    failed_first: r"error values such as #REF! or #N/A \(line 3\)",
}


@pytest.mark.parametrize("change", HIDES)
def test_a_workbook_that_shows_something_else_than_it_holds_is_refused_with_the_cause(
    tmp_path: Path, change: Callable[[Any], None]
) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in ROWS:
        sheet.append(row)
    change(sheet)
    book.save(tmp_path / "samples.xlsx")
    with pytest.raises(SheetError, match=HIDES[change]):
        read_sheet(tmp_path / "samples.xlsx")


def test_a_row_that_begins_with_an_error_value_does_not_pass_for_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "samples.tsv"
    path.write_text(text().replace("C1\tC1", "#NAME?\tC1"))
    with pytest.raises(SheetError, match=r"error values .* \(line 3\)"):
        read_sheet(path)
    path.write_text(text().replace("C1\tC1", "# not now\tC1"))
    assert len(read(path)) == 1


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_line_that_names_the_separator_is_no_header(tmp_path: Path, quote: str) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("sep=;\n" + text(";", quote))
    expected(read(path))
    assert [one.line for one in read(path)] == [3, 4]

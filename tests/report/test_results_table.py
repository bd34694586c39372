"""The table of results in other programs: read back by openpyxl and csv."""

from __future__ import annotations

import csv
from pathlib import Path
from time import sleep

import pytest
from openpyxl import load_workbook

from flowmrd.cli.app import call
from flowmrd.store.workbook import typed

HEADER = ["sample", "batch", "verdict", "mrd_negative", "fraction", "total", "reasons", "question"]
ROWS = [
    ["007", "0012", "NEGATIVE", "true", "0.0", "345280", "", ""],
    ["P1", "=HYPERLINK(1)", "POSITIVE", "false", "0.0012", "400000", "A,B", 'one; "two"'],
    ["P2", "", "NO_RESULT", "", "", "", "", ""],
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    table = tmp_path / "results/cohort/mrd.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("\n".join("\t".join(row) for row in [HEADER, *ROWS]) + "\n")
    return tmp_path


def test_a_workbook_holds_numbers_as_numbers_names_as_text_and_no_formula(run: Path) -> None:
    assert call(["table", str(run)]) == 0
    sheet = load_workbook(run / "results/table/mrd.xlsx")["mrd"]
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells[0] == HEADER
    assert cells[1] == ["007", "0012", "NEGATIVE", True, 0.0, 345280, None, None]
    assert cells[2][:6] == ["P1", "=HYPERLINK(1)", "POSITIVE", False, 0.0012, 400000]
    assert sheet["B3"].data_type == "s"


def test_the_same_table_gives_the_same_workbook(run: Path) -> None:
    made = []
    for name in ("a.xlsx", "b.xlsx"):
        assert call(["table", str(run), "-o", str(run / name)]) == 0
        made.append((run / name).read_bytes())
        sleep(1.1)
    assert made[0] == made[1]


def test_csv_holds_the_same_cells_and_no_formula(run: Path) -> None:
    assert call(["table", str(run), "--format", "csv"]) == 0
    raw = (run / "results/table/mrd.csv").read_bytes()
    assert raw.count(b"\r\n") == 4
    rows = list(csv.reader(raw.decode("utf-8").splitlines()))
    assert rows[0] == HEADER
    assert rows[2] == ["P1", "'=HYPERLINK(1)", *ROWS[1][2:]]


def test_a_run_without_a_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["table", str(tmp_path)]) == 2
    assert "a finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "value"),
    [("12", 12), ("-3.5", -3.5), ("1e-05", 1e-05), ("007", "007"), ("nan", "nan"), ("1_0", "1_0"), ("", None)],
)
def test_only_what_is_a_number_becomes_one(cell: str, value: object) -> None:
    assert typed(cell) == value

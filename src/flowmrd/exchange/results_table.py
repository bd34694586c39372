"""The table of a run's results for other programs: an Excel workbook, or CSV for a laboratory information system."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final, Literal

from flowmrd.errors import ArtefactError
from flowmrd.store import atomic_path
from flowmrd.store.workbook import typed, workbook_bytes

__all__ = ["FORMATS", "Format", "write_results"]

Format = Literal["xlsx", "csv"]
FORMATS: Final[tuple[Format, ...]] = ("xlsx", "csv")
NAMES: Final = frozenset({"sample", "patient", "role", "timepoint", "batch", "panel", "specimen_id", "flowmrd_version"})
"""Columns that hold names: ``007`` stays ``007``."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters of texts that a spreadsheet program would read as a formula."""


def write_results(run_directory: Path, out: Path, format_: Format) -> int:
    """Write ``results/cohort/mrd.tsv`` in another format; return the number of tubes.

    A workbook holds numbers as numbers and text as text. CSV is UTF-8 with commas and CR LF (RFC 4180). A text that a
    spreadsheet program would read as a formula gets an apostrophe in front.

    Raises
    ------
    ArtefactError
        If the run has no table.
    """
    table = run_directory / "results" / "cohort" / "mrd.tsv"
    if not table.is_file():
        raise ArtefactError(str(table), found="no such file", expected="a finished run", todo="run 'flowmrd run' first")
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    if format_ == "xlsx":
        raw = workbook_bytes("mrd", rows, text_columns=NAMES)
    else:
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows([[_harmless(cell) for cell in row] for row in rows])
        raw = buffer.getvalue().encode("utf-8")
    with atomic_path(out) as temporary:
        temporary.write_bytes(raw)
    return len(rows) - 1


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) and isinstance(typed(cell), str) else cell

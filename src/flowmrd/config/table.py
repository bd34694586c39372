"""Reading a tab-separated sheet: the header is checked, rows come back with their line numbers, problems together."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from flowmrd.errors import ColumnError, SheetError

MAX_SHEET_BYTES = 50_000_000
"""A larger file is not a sheet a person wrote."""

Row = dict[str, str]


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str], *, one_row_per: str, setting: str
) -> tuple[list[tuple[int, Row]], list[SheetError]]:
    """Rows of a sheet as (line number, column to stripped cell) and every problem of form.

    Rows that are empty or start with ``#`` are left out. A column of ``optional`` that the sheet lacks is absent
    from its rows; a cell missing at the end of a row is an empty string.

    Parameters
    ----------
    path
        The sheet, UTF-8 with or without a byte order mark.
    required, optional
        Column names. An unknown column is a problem (:class:`ColumnError`), with the nearest known name.
    one_row_per
        What a row is, for messages ("tube").
    setting
        The configuration key that names the sheet, for messages.

    Raises
    ------
    SheetError
        Where the sheet as a whole cannot be read: missing, not UTF-8, empty, or a required column absent.
    """
    lines = _read_lines(path, one_row_per, setting)
    header = [name.strip() for name in lines[0].rstrip("\t ").split("\t")]
    known = (*required, *optional)
    missing = [name for name in required if name not in header]
    if missing:
        separators = (
            "commas instead of tabs" if "," in lines[0] and len(header) == 1 else f"columns {', '.join(header)}"[:300]
        )
        raise SheetError(
            f"{path}, line 1",
            found=separators,
            expected=f"the columns {', '.join(required)}, separated by tabs",
            todo=f"add the column(s) {', '.join(missing)}",
        )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise SheetError(
            f"{path}, line 1",
            found=f"the column(s) {', '.join(repeated)} more than once"[:300],
            expected="every column once",
            todo="remove or rename the repeated column",
        )
    problems: list[SheetError] = [_unknown_column(path, name, known) for name in header if name not in known]
    rows: list[tuple[int, Row]] = []
    for line, text in enumerate(lines[1:], start=2):
        cells = text.split("\t")
        if not any(cell.strip() for cell in cells) or cells[0].startswith("#"):
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            problems.append(
                SheetError(
                    f"{path}, line {line}",
                    found=f"{len(cells)} cells",
                    expected=f"{len(header)} as in the header",
                    todo="remove the extra tabs",
                )
            )
            continue
        padded = cells[: len(header)] + [""] * (len(header) - len(cells))
        rows.append((line, {name: cell.strip() for name, cell in zip(header, padded, strict=True)}))
    return rows, problems


def _read_lines(path: Path, one_row_per: str, setting: str) -> list[str]:
    try:
        size = path.stat().st_size
        if size > MAX_SHEET_BYTES:
            raise SheetError(
                str(path), found=f"{size} bytes", expected=f"at most {MAX_SHEET_BYTES}", todo="check that it is a sheet"
            )
        # not splitlines(): it also splits at signs that are part of a cell, and the line numbers would be wrong
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except FileNotFoundError as error:
        raise SheetError(
            str(path),
            found="no such file",
            expected=f"a tab-separated sheet with one row per {one_row_per}",
            todo=f"create it, or correct '{setting}:' in config.yaml",
        ) from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise SheetError(
            str(path),
            found="bytes that are not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "a folder",
            expected="UTF-8 text",
            todo="save the sheet as UTF-8, tab separated",
        ) from error
    if not lines[0].strip():
        raise SheetError(
            f"{path}, line 1",
            found="an empty line",
            expected=f"a header, then one row per {one_row_per}",
            todo="write the column names into the first line",
        )
    return lines


def _unknown_column(path: Path, name: str, known: Sequence[str]) -> ColumnError:
    near = get_close_matches(name.lower(), known, n=1)
    return ColumnError(
        f"{path}, line 1",
        found=f"the unknown column {name[:80]!r}",
        expected=f"one of {', '.join(known)}",
        todo=f"rename or remove it; did you mean {near[0]}?" if near else "remove it, or leave it: it is not used",
        near=near[0] if near else None,
    )

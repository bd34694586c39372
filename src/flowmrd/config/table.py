"""Reading a sheet: checked header, rows with their line numbers, and all problems together."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from flowmrd.config.spreadsheet import MAX_SHEET_BYTES, plain_cell, read_grid
from flowmrd.errors import ColumnError, SheetError

__all__ = ["MAX_SHEET_BYTES", "Row", "read_table"]

Row = dict[str, str]


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str], *, one_row_per: str, setting: str
) -> tuple[list[tuple[int, Row]], list[SheetError]]:
    """Read a sheet: rows as (line number, {column: stripped cell}), and every error of format.

    Empty rows and rows that start with ``#`` are skipped. An optional column that the sheet lacks is absent from the
    rows. A cell missing at the end of a row is an empty string.

    Parameters
    ----------
    path
        The sheet, as :func:`flowmrd.config.spreadsheet.read_grid` reads it.
    required, optional
        Column names. An unknown column is reported (:class:`ColumnError`) with the most similar known name.
    one_row_per
        What one row describes, for messages ("tube").
    setting
        The configuration key that names the sheet, for messages.

    Raises
    ------
    SheetError
        If the sheet as a whole cannot be read: missing, not a sheet, empty, or without a required column.
    """
    grid = read_grid(path, required, one_row_per=one_row_per, setting=setting).rows
    first_line, top = grid[0]
    known = (*required, *optional)
    header = _header(f"{path}, line {first_line}", top, required, known, one_row_per)
    problems: list[SheetError] = [_unknown_column(path, name, known) for name in header if name not in known]
    rows: list[tuple[int, Row]] = []
    for line, cells in grid[1:]:
        if not any(cells) or cells[0].startswith("#"):
            continue
        if any(cells[len(header) :]):
            problems.append(
                SheetError(
                    f"{path}, line {line}",
                    found=f"{len(cells)} cells",
                    expected=f"{len(header)} as in the header",
                    todo="remove the extra cells; put quotes around a cell that holds the separator",
                )
            )
            continue
        damaged = [name for name, cell in zip(header, cells, strict=False) if "\0" in cell]
        if damaged:  # no name and no path can hold it
            problems.append(
                SheetError(
                    f"{path}, line {line}",
                    found=f"a null character in {', '.join(damaged)}"[:300],
                    expected="text in every cell",
                    todo="delete the cell and type its text again",
                )
            )
            continue
        padded = [*cells[: len(header)], *[""] * (len(header) - len(cells))]
        rows.append((line, {name: plain_cell(cell) for name, cell in zip(header, padded, strict=True)}))
    return rows, problems


def _header(
    where: str, top: Sequence[str], required: Sequence[str], known: Sequence[str], one_row_per: str
) -> list[str]:
    """Column names of a sheet, checked."""
    if not any(top):
        raise SheetError(
            where,
            found="an empty line",
            expected=f"a header, then one row per {one_row_per}",
            todo="write the column names into the first line",
        )
    header = [_known_name(cell, known) for cell in top]
    while header and not header[-1]:
        header.pop()
    missing = [name for name in required if name not in header]
    if missing:
        meant = {name: near for name in missing if (near := _misspelt(name, header, known))}
        todo = "; ".join(f"rename {near!r} to {name!r}" for name, near in meant.items())
        absent = [name for name in missing if name not in meant]
        if absent:
            todo += f"{todo and '; '}add {'the column' if len(absent) == 1 else 'the columns'} {', '.join(absent)}"
        raise SheetError(
            where,
            found=f"columns {', '.join(header)}"[:300],
            expected=f"the columns {', '.join(required)}",
            todo=todo,
        )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise SheetError(
            where,
            found=f"more than one column {', '.join(repeated)}"[:300],
            expected="every column once",
            todo="remove or rename the repeated column",
        )
    return header


def _known_name(cell: str, known: Sequence[str]) -> str:
    """A column's name as it is known, where only case, blanks or a quote differ; else as it stands."""
    plain = cell.strip().strip('"').strip()
    folded = plain.casefold().replace(" ", "_")
    return folded if folded in known else plain


def _misspelt(name: str, header: Sequence[str], known: Sequence[str]) -> str | None:
    """The column of the header that was probably meant by a required one."""
    others = {cell.casefold(): cell for cell in header if cell not in known}
    near = get_close_matches(name, others, n=1, cutoff=0.7)
    return others[near[0]] if near else None


def _unknown_column(path: Path, name: str, known: Sequence[str]) -> ColumnError:
    near = get_close_matches(name.lower(), known, n=1)
    return ColumnError(
        f"{path}, line 1",
        found=f"the unknown column {name[:80]!r}",
        expected=f"one of {', '.join(known)}",
        todo=f"rename or remove it; did you mean {near[0]}?" if near else "remove it, or leave it: it is not used",
        near=near[0] if near else None,
    )

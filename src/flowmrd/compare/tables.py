"""Pairs of measurements from tables: a run and a table, two tables, two columns, or two methods in one column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmrd.compare.measurement import MeasuredPair, Measurement, parse_measurement
from flowmrd.errors import SheetError

MAX_BYTES = 50_000_000
RUN_TABLE = Path("results/cohort/mrd.tsv")
NOT_DETECTED_VERDICTS = frozenset({"NEGATIVE", "NEGATIVE_INSUFFICIENT_SENSITIVITY"})


@dataclass(frozen=True)
class TableColumns:
    """Roles of the columns of a table.

    Attributes
    ----------
    level
        Column of the level, or of a number of cells where ``events`` is given.
    key
        Columns that together identify the specimen.
    events
        Column with the cells in the denominator; the level is then a count.
    limit
        Column with the limit of detection of a tube in which nothing was found.
    percent
        Whether numbers without a sign are percentages.
    """

    level: str
    key: tuple[str, ...] = ("sample",)
    events: str | None = None
    limit: str | None = None
    percent: bool = False


Row = tuple[int, dict[str, str]]


def read_rows(path: Path) -> list[Row]:
    """Rows of a text table with a header, as (line, column to cell); tabs, semicolons or commas.

    Raises
    ------
    SheetError
        If the file is missing, not text, too large, or has no header with at least two columns.
    """
    expected = "a table with a header, separated by tabs, semicolons or commas"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SheetError(str(path), found="more than 50 MB", expected=expected, todo="check that it is a table")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SheetError(str(path), found="no such file", expected=expected, todo="correct the path") from error
    except IsADirectoryError as error:
        raise SheetError(
            str(path),
            found="a folder",
            expected=expected,
            todo="name a table, or a run directory with results ('flowmrd run' first) and --with TABLE",
        ) from error
    except UnicodeDecodeError as error:
        raise SheetError(
            str(path), found="no UTF-8 text", expected=expected, todo="save the table as UTF-8 text"
        ) from error
    lines = text.splitlines()
    header = lines[0] if lines else ""
    separator = max("\t;,", key=header.count)
    if header.count(separator) == 0:
        raise SheetError(f"{path}, line 1", found="one column", expected=expected, todo="write a header line")
    cells = list(csv.reader(lines, delimiter=separator))
    names = [name.strip() for name in cells[0]]
    return [
        (line, dict(zip(names, (cell.strip() for cell in row), strict=False)))
        for line, row in enumerate(cells[1:], start=2)
        if any(cell.strip() for cell in row)
    ]


def _require(path: Path, rows: Sequence[Row], columns: Iterable[str]) -> None:
    known = list(rows[0][1]) if rows else []
    missing = [name for name in columns if name not in known]
    if missing:
        raise SheetError(
            f"{path}, line 1",
            found=f"the columns {', '.join(known) or 'none'}"[:300],
            expected=f"the column {missing[0]!r}",
            todo="correct the name of the column on the command line, or in the table",
        )


def _measurement(path: Path, line: int, row: Mapping[str, str], columns: TableColumns) -> Measurement | None:
    where = f"{path}, line {line}"
    if columns.events is None:
        found = parse_measurement(row.get(columns.level, ""), percent=columns.percent, where=where)
        if found is None or found.detected or columns.limit is None:
            return found
        limit = parse_measurement(row.get(columns.limit, ""), percent=columns.percent, where=where)
        return found if limit is None else Measurement(0.0, limit=limit.fraction or limit.limit)
    count, events = row.get(columns.level, ""), row.get(columns.events, "")
    if not count or not events:
        return None
    try:
        number, total = float(count), float(events)
    except ValueError:
        number, total = -1.0, 0.0
    if number < 0 or total <= 0 or number > total:
        raise SheetError(
            where,
            found=f"{count[:40]!r} of {events[:40]!r} cells",
            expected="two counts, the first not larger than the second",
            todo="correct the counts, or name other columns",
        )
    return Measurement(number / total, events=total)


def read_measurements(path: Path, columns: TableColumns) -> dict[str, Measurement]:
    """Specimen to measurement; rows without a measurement are left out.

    Raises
    ------
    SheetError
        If a column is missing, a cell cannot be read, or a specimen occurs twice.
    """
    rows = read_rows(path)
    _require(path, rows, [columns.level, *columns.key, *([columns.events] if columns.events else [])])
    found: dict[str, Measurement] = {}
    for line, row in rows:
        name = " / ".join(row.get(key, "") for key in columns.key)
        value = _measurement(path, line, row, columns)
        if value is None:
            continue
        if name in found:
            raise SheetError(
                f"{path}, line {line}",
                found=f"the specimen {name[:80]!r} a second time",
                expected="one row per specimen",
                todo="name a further column of the key (--key), or remove the row",
            )
        found[name] = value
    return found


def read_run(run_directory: Path) -> dict[str, Measurement]:
    """Sample to MRD of a finished run; what was not detected is censored at the tube's limit of detection.

    Controls, and tubes without an answer, are left out.

    Raises
    ------
    SheetError
        If the run has no ``results/cohort/mrd.tsv``.
    """
    path = run_directory / RUN_TABLE
    rows = read_rows(path)
    _require(path, rows, ("sample", "role", "verdict", "fraction", "lod95", "denominator"))
    found: dict[str, Measurement] = {}
    for _, row in rows:
        if row["role"] == "control" or not row["fraction"] or row["verdict"] in {"NOT_EVALUABLE", "NO_RESULT"}:
            continue
        events = float(row[row["denominator"]]) if row.get(row["denominator"], "") else None
        if row["verdict"] in NOT_DETECTED_VERDICTS:
            found[row["sample"]] = Measurement(0.0, float(row["lod95"]) if row["lod95"] else None, events)
        else:
            found[row["sample"]] = Measurement(float(row["fraction"]), None, events)
    return found


def pair_up(
    first: Mapping[str, Measurement], second: Mapping[str, Measurement]
) -> tuple[list[MeasuredPair], list[str]]:
    """Pairs by name, in the order of the first table, and the names that only one of the tables has."""
    pairs = [MeasuredPair(name, value, second[name]) for name, value in first.items() if name in second]
    return pairs, sorted(set(first) ^ set(second))


def read_wide_table(path: Path, first: TableColumns, second: TableColumns) -> list[MeasuredPair]:
    """Pairs of a table with one row per specimen and one column per method.

    The key may be empty; the row number then identifies the specimen.
    """
    rows = read_rows(path)
    _require(path, rows, [first.level, second.level, *first.key])
    pairs = []
    for line, row in rows:
        one, two = (_measurement(path, line, row, columns) for columns in (first, second))
        if one is not None and two is not None:
            name = " / ".join(row.get(key, "") for key in first.key) or f"row {line - 1}"
            pairs.append(MeasuredPair(name, one, two))
    return pairs


def read_long_table(
    path: Path, columns: TableColumns, *, method: str, methods: tuple[str, str] | None = None
) -> tuple[list[MeasuredPair], list[str], tuple[str, str]]:
    """Pairs of a table with one row per specimen and method.

    Parameters
    ----------
    methods
        Names of the first and the second method; without them the column must hold exactly two.

    Returns
    -------
    tuple
        Pairs, names without a partner, names of the two methods.

    Raises
    ------
    SheetError
        As :func:`read_measurements`, or if the column does not hold exactly two methods.
    """
    rows = read_rows(path)
    _require(path, rows, [columns.level, method, *columns.key])
    present = list(dict.fromkeys(row[method] for _, row in rows if row.get(method)))
    chosen = methods or (tuple(present) if len(present) == 2 else None)
    if chosen is None or any(name not in present for name in chosen):
        raise SheetError(
            f"{path}, column {method}",
            found=f"the methods {', '.join(present) or 'none'}"[:300],
            expected="exactly two, or the two that are to be compared",
            todo="name them with --methods FIRST SECOND",
        )
    by_method: dict[str, dict[str, Measurement]] = {name: {} for name in chosen}
    for line, row in rows:
        if row[method] not in by_method:
            continue
        value = _measurement(path, line, row, columns)
        name = " / ".join(row.get(key, "") for key in columns.key)
        if value is None:
            continue
        if name in by_method[row[method]]:
            raise SheetError(
                f"{path}, line {line}",
                found=f"{row[method]} of the specimen {name[:80]!r} a second time",
                expected="one row per specimen and method",
                todo="name a further column of the key (--key)",
            )
        by_method[row[method]][name] = value
    one, two = chosen
    return *pair_up(by_method[one], by_method[two]), (one, two)

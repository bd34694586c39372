"""Spillover matrices: checking, matching to a file's channels, inverting.

Convention (FCS 3.1, ``$SPILLOVER``): row = fluorochrome, column = detector, so ``measured = true @ S`` and
``true = measured @ inv(S)``. The diagonal is 1; tools that write percent (diagonal 100) are recognised.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.path_text import obstacle
from flowmrd.errors import CompensationError, counted

__all__ = ["SINGULAR_CONDITION", "Spillover", "check_spillover", "normal_name", "read_spillover_csv"]

Float64 = npt.NDArray[np.float64]

SINGULAR_CONDITION: Final = 1e6
"""From this condition number on a matrix is refused: float32 events carry 7 digits, and fewer than one would remain."""

_REMEDY: Final = (
    "export the matrix from the acquisition software again, or set 'compensation' in config.yaml "
    "(csv, controls or none)"
)


@dataclass(frozen=True)
class Spillover:
    """A checked spillover matrix.

    Attributes
    ----------
    names
        Detector of each row and column, as the source writes it.
    matrix
        Shape (n, n), row = fluorochrome, column = detector, diagonal 1.
    source
        Origin of the matrix, for the report.
    condition
        2-norm condition number: how much relative noise may grow.
    notes
        Corrections that were made (percent, diagonal not 1).
    """

    names: tuple[str, ...]
    matrix: Float64
    source: str
    condition: float
    notes: tuple[str, ...] = ()

    def inverse(self) -> Float64:
        """Compensation matrix, float64, shape (n, n); ``measured @ inverse`` is the compensated value."""
        return np.asarray(np.linalg.inv(self.matrix))


def normal_name(name: str) -> str:
    """Detector name for comparison: case, blanks and punctuation do not count, a FlowJo ``:: marker`` is dropped."""
    return re.sub(r"[^a-z0-9]", "", name.split(" :: ", maxsplit=1)[0].lower())


def check_spillover(where: str, names: Sequence[str], matrix: Any, *, source: str) -> Spillover:
    """Check and normalise a spillover matrix.

    Raises
    ------
    CompensationError
        If the matrix is not square or is singular, names repeat, a value is not finite, a diagonal element is not
        positive, or its numbers are not those of a spillover matrix: clearly negative, the inverse, or partly in
        percent.
    """
    try:
        values = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _error(where, "spillover values that are not all numbers", "a square table of numbers") from error
    n = len(names)
    if n == 0 or values.shape != (n, n):
        raise _error(
            where, f"{n} channel names and a matrix of shape {values.shape}", "as many rows and columns as names"
        )
    if len({normal_name(name) for name in names}) != n:
        raise _error(where, "a channel that appears twice in the spillover matrix", "every channel once")
    if not np.isfinite(values).all():
        raise _error(where, "spillover values that are NaN or infinite", "finite coefficients")
    diagonal = np.diag(values)
    if (diagonal <= 0).any():
        bad = names[int(np.argmin(diagonal))]
        raise _error(where, f"a diagonal value of {diagonal.min():g} ({bad})", "1 (or 100 for percent) on the diagonal")
    notes: list[str] = []
    _refuse_percent_in_part(where, values, names)
    if 50 <= float(np.median(diagonal)) <= 200:
        values = values / 100.0
        diagonal = np.diag(values)
        notes.append("percent-scaled, divided by 100")
    if np.abs(diagonal - 1).max() > 1e-3:
        notes.append("rows divided by their diagonal, which was not 1")
        values = values / diagonal[:, None]
    condition = float(np.linalg.cond(values))
    if math.isfinite(condition) and condition < SINGULAR_CONDITION:
        _refuse_negative(where, values, names)
    if not math.isfinite(condition) or condition >= SINGULAR_CONDITION:
        raise _error(where, f"a singular spillover matrix (condition number {condition:.2g})", "an invertible matrix")
    return Spillover(tuple(names), values, source, condition, tuple(notes))


CLEARLY_NEGATIVE: Final = -0.05
"""A dye cannot take light away from a detector. Hand-set matrices hold up to some -0.02 of noise, no more."""


def _refuse_negative(where: str, values: Float64, names: Sequence[str]) -> None:
    """Refuse a matrix with clearly negative coefficients, and name the inverse where it is one."""
    off = values - np.diag(np.diag(values))
    if off.min() >= -0.005:
        return
    inverse = np.linalg.inv(values)
    scaled = inverse / np.abs(np.diag(inverse))[:, None]
    turned = scaled - np.diag(np.diag(scaled))
    # the inverse of a spillover matrix has mostly negative coefficients, and its own inverse has none
    is_inverse = turned.min() >= -0.01 and -off[off < 0].sum() > off[off > 0].sum()
    i, j = divmod(int(np.argmin(off)), len(names))
    found = f"a coefficient of {off[i, j]:.3g} ({names[i]} into {names[j]})"
    if is_inverse:
        raise CompensationError(
            where,
            found=f"{found}; this looks like the inverse, the compensation matrix",
            expected="a spillover matrix: the share of each dye in each detector, never clearly negative",
            todo="give the spillover matrix itself (its inverse is formed here)",
        )
    if off.min() < CLEARLY_NEGATIVE:
        raise _error(where, found, "a spillover matrix: no coefficient clearly negative")


def _refuse_percent_in_part(where: str, values: Float64, names: Sequence[str]) -> None:
    """Refuse a matrix of which diagonal and other coefficients are not in the same unit (1 or percent)."""
    diagonal = np.diag(values)
    off = np.abs(values - np.diag(diagonal))
    expected = "diagonal and coefficients in one unit: 1 and 0.17, or 100 and 17"
    if np.median(diagonal) <= 2 and off.max() > 3.0:
        i, j = divmod(int(np.argmax(off)), len(names))
        found = f"a diagonal of 1 but {off[i, j]:.4g} for {names[i]} into {names[j]}: coefficients in percent"
        raise _error(where, found, expected)
    if np.median(diagonal) >= 50 and len(names) >= 4 and 0.02 < off.max() <= 1.0:
        raise _error(
            where, f"a diagonal of 100 but no coefficient above {off.max():.3g}: only it is in percent", expected
        )


def read_spillover_csv(path: Path) -> Spillover:
    """Read a spillover matrix from comma- or tab-separated text: detectors in the first line, row names optional.

    Row names, where present, must be the column names in any order; rows are sorted into column order.

    Raises
    ------
    CompensationError
        If the file is missing, not a square table, or its row names are not its column names.
    """
    where = str(path)
    rows, delimiter = _cells(path)
    if len(rows) < 2:
        raise _error(where, counted(len(rows), "line"), "a header with detector names and one line per detector")
    header, body = rows[0], rows[1:]
    labelled = not _is_number(body[0][0], delimiter)
    names = header[1:] if labelled and (header[0] == "" or len(header) == len(body[0])) else header
    values = [row[1:] if labelled else row for row in body]
    if any(len(row) != len(names) for row in values) or len(values) != len(names):
        raise _error(
            where,
            f"{len(names)} detector names, and {counted(len(values), 'line')} of "
            f"{' or '.join(map(str, sorted({len(row) for row in values})))} values",
            "a square table",
        )
    try:
        matrix = np.array([[_number(cell, delimiter) for cell in row] for row in values])
    except ValueError as error:
        raise _error(where, "a cell that is not a number", "numbers with a decimal point") from error
    if labelled:
        matrix = matrix[_column_order(where, [row[0] for row in body], names)]
    return check_spillover(where, names, matrix, source=f"csv:{path.name}")


def _cells(path: Path) -> tuple[list[list[str]], str]:
    """Rows of the table that are not empty, and what separates their cells."""
    where = str(path)
    if found := obstacle(path):
        raise CompensationError(
            where,
            found=found,
            expected="a CSV with the spillover matrix",
            todo="correct the path ('compensation:' in config.yaml; one file: --spillover)",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(where, "bytes that are not UTF-8", "UTF-8 text") from error
    first = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=first.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    return [row for row in rows if any(row)], delimiter


def _column_order(where: str, row_names: Sequence[str], names: Sequence[str]) -> list[int]:
    """Index of the row of each column."""
    order = {normal_name(name): index for index, name in enumerate(row_names)}
    wanted = [normal_name(name) for name in names]
    if set(order) != set(wanted) or len(order) != len(row_names):
        raise _error(where, "row names that differ from the column names", "the same detectors in rows and columns")
    return [order[name] for name in wanted]


def _number(cell: str, delimiter: str) -> float:
    """A coefficient; a decimal comma is one where commas do not separate the cells."""
    bare = cell.removesuffix("%").strip()
    return float(bare.replace(",", ".") if delimiter != "," else bare)


def _is_number(cell: str, delimiter: str) -> bool:
    try:
        _number(cell, delimiter)
    except ValueError:
        return False
    return True


def _error(where: str, found: str, expected: str) -> CompensationError:
    return CompensationError(where, found=found, expected=expected, todo=_REMEDY)

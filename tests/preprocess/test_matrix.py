"""Checking, reading and applying spillover matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.errors import CompensationError
from flowmrd.preprocess.compensation import check_spillover, compensate_columns, read_spillover_csv

NAMES = ["FITC-A", "PE-A", "APC-A"]
MATRIX = np.array([[1, 0.2, 0.01], [0.05, 1, 0.0], [0.0, 0.02, 1]])


def test_a_sound_matrix_keeps_its_values() -> None:
    spillover = check_spillover("x", NAMES, MATRIX, source="file")
    assert (spillover.matrix == MATRIX).all()
    assert spillover.notes == ()
    assert spillover.condition == pytest.approx(np.linalg.cond(MATRIX))


def test_percent_scaling_is_recognised_and_noted() -> None:
    spillover = check_spillover("x", NAMES, MATRIX * 100, source="file")
    assert np.allclose(spillover.matrix, MATRIX)
    assert "percent" in spillover.notes[0]


def test_a_diagonal_other_than_one_is_normalised_and_said() -> None:
    spillover = check_spillover("x", NAMES, MATRIX * np.array([[2.0], [0.5], [1.0]]), source="file")
    assert np.allclose(spillover.matrix, MATRIX)
    assert "diagonal" in spillover.notes[0]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((3, 3)), "singular"),
        (np.array([[1, 1, 0], [1, 1 + 1e-7, 0], [0, 0, 1]]), "singular"),
        (np.eye(2), "shape"),
        (np.array([[1, np.nan, 0], [0, 1, 0], [0, 0, 1]]), "NaN"),
        (np.diag([1.0, 0.0, 1.0]), "diagonal"),
        (np.diag([1.0, -1.0, 1.0]), "diagonal"),
        ([["1", "a", "0"]] * 3, "not all numbers"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_refused_with_the_reason(matrix: object, message: str) -> None:
    with pytest.raises(CompensationError, match=message):
        check_spillover("tube", NAMES, matrix, source="file")


def test_two_rows_for_one_detector_are_refused() -> None:
    with pytest.raises(CompensationError, match="twice"):
        check_spillover("tube", ["PE-A", "pe a", "APC-A"], MATRIX, source="file")


@pytest.mark.parametrize(
    "text",
    [
        "FITC-A,PE-A,APC-A\n1,0.2,0.01\n0.05,1,0\n0,0.02,1\n",
        ",FITC-A,PE-A,APC-A\nFITC-A,1,0.2,0.01\nPE-A,0.05,1,0\nAPC-A,0,0.02,1\n",
        "detector\tFITC-A\tPE-A\tAPC-A\nAPC-A\t0\t0.02\t1\nPE-A\t0.05\t1\t0\nFITC-A\t1\t0.2\t0.01\n",
        ";FITC-A :: CD66b;PE-A :: CD22;APC-A :: CD10\nFITC-A;100;20;1\nPE-A;5;100;0\nAPC-A;0;2;100\n",
    ],
)
def test_csv_dialects_give_the_same_matrix(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spill.csv"
    path.write_text(text)
    assert np.allclose(read_spillover_csv(path).matrix, MATRIX)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 lines"),
        ("A,B\n1,0\n", "square"),
        ("A,B\n1,0\n0,x\n", "not a number"),
        (",A,B\nA,1,0\nC,0,1\n", "row names"),
        (",A,B\nA,1,0\nA,0,1\n", "row names"),
    ],
)
def test_a_csv_that_is_no_matrix_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "spill.csv"
    path.write_text(text)
    with pytest.raises(CompensationError, match=message):
        read_spillover_csv(path)


def test_a_missing_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompensationError, match="no such file"):
        read_spillover_csv(tmp_path / "none.csv")


def test_compensation_undoes_spillover_to_the_last_digit_of_float32() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(0, 50, (3, 70_001)) + rng.choice([0, 2e5], (3, 70_001))
    measured = (MATRIX.T @ true).astype(np.float32)
    columns = dict(zip(NAMES, measured, strict=True))
    result = compensate_columns(columns, NAMES, np.linalg.inv(MATRIX), ["PE-A", "FITC-A"])
    expected = np.linalg.inv(MATRIX).T @ measured.astype(np.float64)
    assert list(result) == ["PE-A", "FITC-A"]
    assert np.allclose(result["FITC-A"], expected[0], rtol=6e-8, atol=1e-30)
    assert np.allclose(result["PE-A"], expected[1], rtol=6e-8, atol=1e-30)
    assert (columns["PE-A"] == measured[1]).all()


def test_compensation_in_place_equals_compensation_into_new_columns() -> None:
    rng = np.random.default_rng(4)
    columns = {name: rng.normal(500, 300, 40_000).astype(np.float32) for name in NAMES}
    apart = compensate_columns(columns, NAMES, np.linalg.inv(MATRIX), NAMES)
    compensate_columns(columns, NAMES, np.linalg.inv(MATRIX), NAMES, out=columns)
    assert all((columns[name] == apart[name]).all() for name in NAMES)


def test_decimal_commas_are_read_where_commas_do_not_separate(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(";A;B\nA;1;0,17\nB;0,01;1\n", encoding="utf-8")
    assert read_spillover_csv(path).matrix[0, 1] == 0.17

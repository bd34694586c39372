"""What a run refuses from sheet and files, ``check`` refuses: the two lists are compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowmrd.cli.check import Problem, check_run
from flowmrd.engine.plan import plan_run
from flowmrd.errors import InputError
from flowmrd.fcs import ChannelSpec, read_fcs, write_fcs
from flowmrd.fcs.reader import DataSet

Values = np.ndarray
Change = Callable[[DataSet, Values, dict[str, str], list[ChannelSpec]], Values]


def rewrite(
    run: Path, sample: str, change: Callable[[DataSet, Values, dict[str, str], list[ChannelSpec]], Values]
) -> None:
    """Write a tube anew with other values, keywords or names."""
    path = run / f"fcs/{sample}.fcs"
    data = read_fcs(path)[0]
    keywords = {key: data.keywords[key] for key in ("$SPILLOVER", "$CYT", "$TIMESTEP", "$DATE")}
    specs = [ChannelSpec(str(one.pnn), str(one.pns or ""), 262144) for one in data.channels]
    values = change(data, data.scaled().astype(np.float64), keywords, specs)
    write_fcs(path, list(values.astype(np.float32)), specs, keywords)


def matrix_of(keywords: dict[str, str]) -> tuple[list[str], Values]:
    parts = keywords["$SPILLOVER"].split(",")
    n = int(parts[0])
    return parts[1 : n + 1], np.array(parts[n + 1 :], dtype=float).reshape(n, n)


def keyword_of(names: list[str], matrix: Values) -> str:
    return ",".join([str(len(names)), *names, *(f"{value:.6g}" for value in matrix.ravel())])


def compensated(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    names, matrix = matrix_of(keywords)
    rows = [next(i for i, one in enumerate(data.channels) if one.pnn == name) for name in names]
    values[rows] = np.linalg.inv(matrix).T @ values[rows]
    return values


def inverse(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    names, matrix = matrix_of(keywords)
    keywords["$SPILLOVER"] = keyword_of(names, np.linalg.inv(matrix))
    return values


def other_channels(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    keywords["$SPILLOVER"] = "2,FSC-A,SSC-A,1,0,0,1"
    return values


def second_matrix(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    names, _matrix = matrix_of(keywords)
    keywords["SPILL"], keywords["$SPILLOVER"] = keywords["$SPILLOVER"], keyword_of(names, np.eye(len(names)))
    return values


def transformed(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    return np.arcsinh(values / 150)


def exchanged(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    places = {one.pns: index for index, one in enumerate(specs)}
    first, second = places["CD22"], places["CD24"]
    specs[first] = ChannelSpec(specs[first].pnn, "CD24", 262144)
    specs[second] = ChannelSpec(specs[second].pnn, "CD22", 262144)
    return values


def cytoplasmic(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    place = next(index for index, one in enumerate(specs) if one.pns == "CD22")
    specs[place] = ChannelSpec(specs[place].pnn, "cyCD22", 262144)
    return values


FAULTS = [compensated, inverse, other_channels, second_matrix, transformed, exchanged, cytoplasmic]
TURNING = [compensated, inverse, other_channels, second_matrix]
"""The four faults that once turned a verdict round."""


@pytest.mark.parametrize("fault", FAULTS)
def test_check_and_run_refuse_the_same_tube_and_say_the_same(simulated: Path, tmp_path: Path, fault: object) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run, "P01-day21", fault)  # type: ignore[arg-type]
    plan = plan_run(run)
    assert [refusal.sample for refusal in plan.refusals] == ["P01-day21"]
    assert "P01-day21" not in plan.samples
    errors = [problem for problem in check_run(run)[0] if problem.level == "error"]
    assert len(errors) == 1
    assert "(P01-day21)" in errors[0].where
    assert errors[0].found in plan.refusals[0].what


def test_one_tube_for_two_patients_is_refused_by_both(simulated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    shutil.copy(run / "fcs/P01-day21.fcs", run / "fcs/P02-day21.fcs")
    assert {refusal.sample for refusal in plan_run(run).refusals} == {"P01-day21", "P02-day21"}
    errors: list[Problem] = [problem for problem in check_run(run)[0] if problem.level == "error"]
    assert [name in errors[place].where for place, name in enumerate(("P01-day21", "P02-day21"))] == [True, True]


def test_a_sound_run_is_refused_by_neither(simulated: Path) -> None:
    assert [problem for problem in check_run(simulated)[0] if problem.level == "error"] == []


@pytest.mark.parametrize("fault", TURNING)
def test_the_four_faults_that_turned_a_verdict_end_in_refusal_where_a_single_file_is_preprocessed(
    simulated: Path, tmp_path: Path, fault: object
) -> None:
    from flowmrd.cli.single import preprocess_file

    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run, "P01-day21", fault)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        preprocess_file(
            run / "fcs/P01-day21.fcs", panel="ino10", out=tmp_path / "x.arrow", spillover=None, compensated=False
        )
    assert not (tmp_path / "x.arrow").exists()

"""What a run refuses from sheet and files, ``check`` refuses: the two lists are compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flowmrd.cli.check import Problem, check_run
from flowmrd.engine.plan import plan_run
from flowmrd.errors import InputError
from workflow.wrong_tubes import FAULTS, TURNING, Change, rewrite


@pytest.mark.parametrize("fault", FAULTS)
def test_check_and_run_refuse_the_same_tube_and_say_the_same(simulated: Path, tmp_path: Path, fault: Change) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run / "fcs/P01-day21.fcs", fault)
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
    simulated: Path, tmp_path: Path, fault: Change
) -> None:
    from flowmrd.cli.single import preprocess_file

    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run / "fcs/P01-day21.fcs", fault)
    with pytest.raises(InputError):
        preprocess_file(
            run / "fcs/P01-day21.fcs", panel="ino10", out=tmp_path / "x.arrow", spillover=None, compensated=False
        )
    assert not (tmp_path / "x.arrow").exists()

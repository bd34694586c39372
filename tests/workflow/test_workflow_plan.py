"""What depends on what in a run, without running it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from flowmrd.cli.launch import find_profile, snakemake_command
from flowmrd.cli.plan import plan_run
from flowmrd.errors import ConfigError, SheetError
from flowmrd.store import write_json
from workflow.runs import planned


def copied(simulated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(simulated, tmp_path / "run"))


def test_a_followup_tube_is_one_cluster_job_and_controls_are_cut_at_the_fan_ins(
    simulated: Path, tmp_path: Path
) -> None:
    plan = plan_run(copied(simulated, tmp_path))
    parts = ("read", "scale", "gate", "judge")
    assert {plan.group("P01-day21", part) for part in parts} == {"P01-day21"}
    assert len({plan.group("CTRL01", part) for part in parts}) == 4
    assert plan.group_of_laip("P01") == plan.group("P01-dx", "gate")


def test_history_holds_earlier_tubes_of_the_patient_only(simulated: Path, tmp_path: Path) -> None:
    plan = plan_run(copied(simulated, tmp_path))
    assert plan.history("P01-dx") == ["P01-dx"]
    assert plan.history("P01-day21") == ["P01-dx", "P01-day21"]


def test_a_job_of_a_running_workflow_sees_the_plan_of_its_parent(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    plan_run(run)
    (run / "fcs/CTRL01.fcs").write_bytes(b"not FCS any more")
    assert "CTRL01" in plan_run(run, main_process=False).samples
    assert "CTRL01" not in plan_run(run).samples


def test_a_tube_that_a_stage_refused_is_left_out_until_its_file_changes(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    record = {"stage": "preprocess", "unit": "CTRL02", "what": "a", "where": "b", "todo": "c", "exit_code": 2}
    write_json(run / "results/logs/preprocess/CTRL02.error.json", record)
    plan = plan_run(run)
    assert "CTRL02" not in plan.samples
    assert [(refusal.sample, refusal.stage) for refusal in plan.refusals] == [("CTRL02", "preprocess")]
    shutil.copy2(run / "fcs/CTRL01.fcs", run / "fcs/CTRL02.fcs")  # keeps the older time of the other file
    assert "CTRL02" in plan_run(run).samples


def test_a_tube_that_failed_for_our_fault_is_tried_again_and_left_out_in_the_second_pass_only(
    simulated: Path, tmp_path: Path
) -> None:
    run = copied(simulated, tmp_path)
    record = {"stage": "gate", "unit": "CTRL02", "what": "a", "where": "b", "todo": "c", "exit_code": 1}
    write_json(run / "results/logs/gate/CTRL02.error.json", record)
    assert "CTRL02" in plan_run(run).samples
    assert "CTRL02" not in plan_run(run, include_failed=False).samples


def test_a_cache_that_cannot_be_read_only_costs_time(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    plan_run(run)
    (run / ".snakemake/flowmrd/headers.json").write_text("{")
    assert len(plan_run(run).samples) == 8


def test_a_sheet_without_a_usable_tube_is_an_error(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    shutil.rmtree(run / "fcs")
    with pytest.raises(SheetError, match="no tube that can be worked on"):
        plan_run(run)


def test_a_profile_is_found_or_refused(tmp_path: Path) -> None:
    assert find_profile("slurm", tmp_path).is_file()
    with pytest.raises(ConfigError, match="did you mean workstation"):
        find_profile("workstaton", tmp_path)
    site = tmp_path / "profiles/site"
    site.mkdir(parents=True)
    (site / "profile.yaml").write_text("executor: slurm\n")
    command = snakemake_command(tmp_path, find_profile("site", tmp_path), cores=None, dry_run=False)
    assert str(site / "profile.yaml") in command
    assert "--cores" not in command


@pytest.mark.workflow
@pytest.mark.timeout(600)
def test_a_followup_without_diagnosis_uses_the_phenotypes_of_the_others(
    few: Callable[[Sequence[str]], Path],
) -> None:
    jobs = planned(few(["CTRL01", "P01-day21", "P02-dx"]))
    assert "P02: phenotype of the leukaemia" in jobs
    assert "P01: phenotype of the leukaemia" not in jobs

"""Something changes while a run is going on: no result is a mixture of before and after."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowmrd.home import REPOSITORY
from workflow.runs import ENVIRONMENT, digests, flowmrd, planned, started, until

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]


def test_an_fcs_file_that_changes_during_the_run_stops_its_tube_and_is_taken_up_by_the_next_run(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    file = run / "fcs/P01-day21.fcs"
    content = file.read_bytes()
    with started(run, "--cores", 2) as process:
        until((run / "results/work/P01-day21/gates.json").is_file, process)
        file.write_bytes(content[:-200] + bytes(100) + content[-100:])
        said = process.communicate()[0]
    assert process.returncode == 2, said
    assert "NOT PROCESSED P01-day21" in said
    assert "a file that has changed since it was ingested" in said
    assert (run / "results/samples/CTRL01/report.html").is_file()
    assert not (run / "results/samples/P01-day21/report.html").exists()
    file.write_bytes(content)
    again = flowmrd("run", run, "--cores", 2)
    assert again.returncode == 0, again.stdout + again.stderr
    # what was made before the change was noticed is set aside, not removed
    assert {name: of for name, of in digests(run).items() if not name.startswith("superseded/")} == digests(
        finished_pair
    )


def test_a_configuration_changed_during_the_run_holds_for_every_tube(pair: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    config = run / "config/config.yaml"
    with started(run, "--cores", 2) as process:
        until(lambda: list(run.glob("results/work/*/gates.json")), process)
        config.write_text(config.read_text() + "mrd: {target: 0.002}\n")
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "changed during the run" in said
    for tube in ("CTRL01", "P01-day21"):
        assert json.loads((run / f"results/samples/{tube}/mrd.json").read_text())["sensitivity"]["target"] == 0.002


def test_what_was_changed_while_something_else_has_to_be_made_again_is_not_overlooked(
    finished_pair: Path, tmp_path: Path
) -> None:
    """The control's masks are upstream of everything, and Snakemake looks no further than a job that runs."""
    run = Path(shutil.copytree(finished_pair, tmp_path / "run"))
    shutil.rmtree(run / "results/samples/CTRL01")
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "mrd: {target: 0.002}\n")
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    for tube in ("CTRL01", "P01-day21"):
        assert json.loads((run / f"results/samples/{tube}/mrd.json").read_text())["sensitivity"]["target"] == 0.002
    assert planned(run) == []


def test_code_updated_during_the_run_makes_all_results(pair: Path, finished_pair: Path, tmp_path: Path) -> None:
    """A copy of the repository is updated in the middle; a comment, so that the results must be those of before."""
    copy = tmp_path / "repository"
    for name in ("src", "workflow", "panels", "config"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml", "requirements.lock"):
        shutil.copyfile(REPOSITORY / name, copy / name)
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    process = subprocess.Popen(
        [sys.executable, "-m", "flowmrd", "run", str(run), "--cores", "2"],
        env={**ENVIRONMENT, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: list(run.glob("results/work/*/gates.json")), process)
    module = copy / "src/flowmrd/gating/tree.py"
    module.write_text(module.read_text() + "# updated\n")
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "changed during the run" in said
    assert digests(run) == digests(finished_pair)


def test_a_row_taken_out_of_the_sheet_during_the_run_leaves_the_others(pair: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    sheet = run / "config/samples.tsv"
    lines = sheet.read_text().splitlines()
    with started(run, "--cores", 1) as process:
        until((run / "results/work/P01-day21/ingest.json").is_file, process)
        sheet.write_text("\n".join(line for line in lines if not line.startswith("P01-day21")) + "\n")
        said = process.communicate()[0]
    assert process.returncode == 0, said
    table = (run / "results/cohort/mrd.tsv").read_text()
    assert "CTRL01" in table
    assert "P01-day21" not in table


def test_a_row_put_into_the_sheet_during_the_run_is_there_after_the_next_start(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    sheet = run / "config/samples.tsv"
    whole = sheet.read_text()
    sheet.write_text("\n".join(line for line in whole.splitlines() if not line.startswith("P01-day21")) + "\n")
    with started(run, "--cores", 1) as process:
        until((run / "results/work/CTRL01/ingest.json").is_file, process)
        sheet.write_text(whole)
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "CTRL01" in (run / "results/cohort/mrd.tsv").read_text()
    again = flowmrd("run", run, "--cores", 2)
    assert again.returncode == 0, again.stdout + again.stderr
    assert digests(run) == digests(finished_pair)


def test_a_clock_put_back_during_the_run_is_noticed_and_the_run_goes_on(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    made = run / "results/work/CTRL01/gates.json"
    with started(run, "--cores", 1) as process:
        until(made.is_file, process)
        os.utime(made, ns=(time.time_ns() + 86400 * 10**9,) * 2)
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert digests(run) == digests(finished_pair)

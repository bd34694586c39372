"""Snakemake's own ways of using a workflow either work or are refused, never passed over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowmrd.home import REPOSITORY
from workflow.runs import snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def run(simulated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(simulated, tmp_path / "run"))


def as_module(folder: Path, *, config: str = "") -> Path:
    """A Snakefile that takes all rules of this workflow with a prefix."""
    outer = folder / "Snakefile"
    outer.write_text(
        f'module mrd:\n    snakefile: "{REPOSITORY / "Snakefile"}"\n{config}\n'
        "use rule * from mrd as mrd_*\n\n"
        "rule all:\n    default_target: True\n    input: rules.mrd_all.input\n"
    )
    return outer


def test_the_workflow_works_as_a_module_with_a_prefix(run: Path, tmp_path: Path) -> None:
    done = snakemake(run, "--snakefile", as_module(tmp_path), "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mrd_judge" in done.stdout + done.stderr


def test_keys_of_a_modules_config_are_refused(run: Path, tmp_path: Path) -> None:
    outer = as_module(tmp_path, config='    config: {"target": 0.001}\n')
    done = snakemake(run, "--snakefile", outer, "--dry-run")
    assert done.returncode != 0
    assert "(target) would not reach the stages" in done.stdout + done.stderr


def test_an_environment_without_the_package_is_told_what_to_install(run: Path, tmp_path: Path) -> None:
    package = tmp_path / "flowmrd"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('not here')\n")
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", run, "-n"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode != 0
    assert "make install PYTHON=python" in done.stdout + done.stderr


@pytest.mark.parametrize("option", [("--config", "target=0.001"), ("--configfile", "other.yaml")])
def test_keys_that_would_not_reach_the_stages_are_refused(run: Path, option: tuple[str, str]) -> None:
    (run / "other.yaml").write_text("target: 0.001\n")
    done = snakemake(run, "--dry-run", option[0], option[1].replace("other", str(run / "other")))
    assert done.returncode != 0
    assert "(target) would not reach the stages" in done.stdout + done.stderr


@pytest.mark.parametrize("method", ["conda", "apptainer"])
def test_another_software_deployment_is_refused(run: Path, method: str) -> None:
    done = snakemake(run, "--dry-run", "--sdm", method)
    assert done.returncode != 0
    assert "leave out --software-deployment-method" in done.stdout + done.stderr


@pytest.mark.parametrize("option", ["--dag", "--rulegraph", "--filegraph"])
def test_the_graph_of_the_workflow_is_printed_and_nothing_else(run: Path, option: str) -> None:
    done = snakemake(run, option)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digraph")
    assert "judge" in done.stdout
    assert not (run / "results").exists()


def test_snakemakes_own_report_of_a_finished_run_is_small_and_holds_the_numbers(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))
    done = snakemake(run, "--report", tmp_path / "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    report = tmp_path / "report.html"
    assert report.stat().st_size < 12_000_000
    text = report.read_text(encoding="utf-8")
    assert "cohort/index.html" in text
    assert "P01-day21/report.tsv" in text

"""The command line: fast to start, exact in its exit codes, and never a bare traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from flowmrd.cli import memory
from flowmrd.cli.app import app, call
from flowmrd.cli.code import module_files
from flowmrd.cli.failure import describe_failure, record_path
from flowmrd.cli.generated import _commands, files
from flowmrd.cli.stage_table import STAGES, stages_up_to
from flowmrd.errors import FcsError, ResourceError
from flowmrd.home import REPOSITORY

HEAVY = {"numpy", "pydantic", "pyarrow", "scipy", "sklearn", "flowkit", "plotly", "pandas", "snakemake"}


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, flowmrd.cli.app; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert loaded
    assert not loaded & HEAVY


def test_every_command_says_what_it_does_and_shows_an_example() -> None:
    for path, command in _commands("flowmrd", get_command(app)):
        assert command.help, path
        assert f"Example: {path}" in command.help, path


@pytest.mark.parametrize(
    "name",
    ["inspect", "preprocess", "check", "simulate", "review", "verify", "run", "ingest", "gate", "reference", "doctor"],
)
def test_the_documented_command_exists(name: str) -> None:
    assert name in get_command(app).commands  # type: ignore[attr-defined]


def test_an_unknown_command_ends_in_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(["chek"]) == 2
    assert "check" in capfd.readouterr().err


def test_wrong_input_ends_in_2_with_three_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(["inspect", str(tmp_path / "nowhere.fcs")]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "in", "do"]


def test_a_failing_stage_leaves_log_and_record_and_tells_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "logs/ingest/S1.log"
    command = [sys.executable, "-m", "flowmrd", "--log", str(log), "inspect", str(tmp_path / "nowhere.fcs")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "nowhere.fcs" in log.read_text()
    record = json.loads(record_path(log).read_text())
    assert (record["stage"], record["unit"], record["exit_code"]) == ("ingest", "S1", 2)
    assert len(done.stderr.splitlines()) == 3
    assert str(log) in done.stderr


def test_a_stage_that_succeeds_clears_the_record_of_its_failure(tmp_path: Path) -> None:
    log = tmp_path / "logs/check/S1.log"
    log.parent.mkdir(parents=True)
    record_path(log).write_text("{}")
    assert call(["--log", str(log), "--version"]) == 0
    assert not record_path(log).exists()


def test_a_full_disk_is_told_as_such() -> None:
    failure = describe_failure(OSError(28, "No space left on device", "events.arrow"))
    assert failure.what == "the disk is full"
    assert failure.exit_code == 2


def test_an_error_of_ours_is_not_blamed_on_the_user() -> None:
    assert describe_failure(ValueError("x")).exit_code == 1
    assert describe_failure(FcsError("f", found="a", expected="b", todo="c")).exit_code == 2


def test_too_little_memory_is_refused_with_the_number_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    with pytest.raises(ResourceError, match=r"mem_mb=2100"):
        memory.require(2048, "ingest of tube.fcs")


def test_the_smallest_grant_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWMRD_MEM_MB", "900")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "800")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "200")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert memory.granted_mb() == 600


def test_generated_files_are_up_to_date() -> None:
    stale = [path for path, text in files().items() if (REPOSITORY / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run 'make docs'"


def test_the_digest_of_a_stage_covers_what_it_imports_and_not_what_it_does_not() -> None:
    names = {path.stem for path in module_files("flowmrd.stages.ingest")}
    assert {"ingest", "errors", "columns"} <= names
    assert "survival" not in names
    assert "classifier" not in names


def test_every_stage_of_the_table_exists_and_comes_after_its_inputs() -> None:
    for name in STAGES:
        assert module_files(f"flowmrd.stages.{name}"), name
        assert stages_up_to(name)[-1] == name


def test_stage_rules_and_table_agree() -> None:
    rules = {path.stem for path in (REPOSITORY / "workflow/rules").glob("*.smk")} - {"common"}
    assert rules == set(STAGES)


def test_help_takes_less_than_four_tenths_of_a_second_of_processor_time() -> None:
    before = os.times()
    subprocess.run([sys.executable, "-m", "flowmrd", "--help"], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 0.4

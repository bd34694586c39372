"""The command line: fast to start, exact in its exit codes, and never a bare traceback."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from flowmrd.cli.app import app, call
from flowmrd.cli.generated import _commands, files
from flowmrd.engine import code_digest, memory
from flowmrd.engine.code_digest import PACKAGE, imports_of, module_files, package_digest
from flowmrd.engine.failure import describe_failure, record_path
from flowmrd.engine.lock import run_lock
from flowmrd.engine.progress import remaining
from flowmrd.engine.stage_table import STAGES, stages_up_to
from flowmrd.errors import ConfigError, FcsError, ResourceError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import REPOSITORY
from flowmrd.threads import THREAD_VARIABLES

HEAVY = {"numpy", "pydantic", "pyarrow", "scipy", "sklearn", "flowkit", "plotly", "pandas", "snakemake"}


def test_help_imports_nothing_heavy() -> None:
    program = "import sys, flowmrd.cli.app; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.split())
    assert loaded
    assert not loaded & HEAVY


def test_a_command_computes_with_one_thread() -> None:
    """As the libraries themselves see it once a command has loaded them."""
    program = (
        "from flowmrd.cli.app import call\n"
        "assert call(['simulate', '--help']) == 0\n"
        "import sklearn.ensemble, scipy.linalg, threadpoolctl\n"
        "print('threads', *sorted({pool['num_threads'] for pool in threadpoolctl.threadpool_info()}))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1:] == ["threads 1"], done.stdout + done.stderr


def test_a_number_of_threads_that_the_user_has_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert call(["--version"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == "3"


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


def test_an_unknown_command_exits_with_code_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(["chek"]) == 2
    assert "check" in capfd.readouterr().err


def test_wrong_input_exits_with_code_2_and_three_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
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


def test_a_full_disk_is_named_as_the_cause() -> None:
    failure = describe_failure(OSError(28, "No space left on device", "events.arrow"))
    assert failure.what == "the disk is full"
    assert failure.exit_code == 2


def test_an_error_of_ours_is_not_blamed_on_the_user() -> None:
    away = describe_failure(OSError(errno.ESTALE, "Stale file handle", "tube.fcs"))
    assert (away.exit_code, away.where) == (2, "tube.fcs")
    assert "drive" in away.what
    assert describe_failure(ValueError("x")).exit_code == 1
    assert describe_failure(FcsError("f", found="a", expected="b", todo="c")).exit_code == 2


def test_too_little_memory_is_refused_with_the_number_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    with pytest.raises(ResourceError, match=r"mem_mb=2100"):
        memory.require(2048, "ingest of tube.fcs")


def test_the_smallest_memory_grant_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWMRD_MEM_MB", "900")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "800")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "200")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert memory.granted_mb() == 600


def test_limits_of_the_own_control_group_and_those_above_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "user.slice/job/step").mkdir(parents=True)
    (tmp_path / "user.slice/job/memory.max").write_text("734003200\n")
    (tmp_path / "user.slice/job/step/memory.max").write_text("max\n")
    own = tmp_path / "own"
    own.write_text("0::/user.slice/job/step\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUPS", own)
    assert memory.granted_mb() == 700
    own.write_text("4:memory:/somewhere/else\n3:cpu:/\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("314572800\n")
    assert memory.granted_mb() == 300


def test_a_cluster_job_must_hold_snakemake_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWMRD_MEM_MB", "400")
    memory.require_for_files([tmp_path / "none"], factor=1, where="ingest")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(ResourceError, match="mem_mb=600"):
        memory.require_for_files([tmp_path / "none"], factor=1, where="ingest")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("mb", [0.1, 10, 130, 1300])
def test_what_a_stage_asks_for_is_enough_for_its_own_check(
    stage: str, mb: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files together are at most 1.4 times the raw columns (scaled columns and gates)."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("FLOWMRD_MEM_MB", str(STAGES[stage].ask_mb(mb, 1)))
    sizes = {"laip": 1.4, "reference": 1.4}
    files = tmp_path / "files"
    with files.open("wb") as file:
        file.truncate(int(sizes.get(stage, 1.2) * mb * 2**20))
    memory.require_for_files([files], factor=STAGES[stage].need, where=stage)


def test_a_retry_asks_for_twice_as_much() -> None:
    assert STAGES["gate"].ask_mb(100, 2) == 2 * STAGES["gate"].ask_mb(100, 1)
    assert STAGES["gate"].ask_minutes(6000, 2) == 2 * STAGES["gate"].ask_minutes(6000, 1)
    assert STAGES["gate"].ask_mb(200, 1) > STAGES["gate"].ask_mb(100, 1)


def test_a_job_refuses_to_go_on_with_another_configuration_or_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("panel: ino10\n")
    monkeypatch.setenv(code_digest.PLANNED, code_digest.state_of(config))
    code_digest.require_as_planned(config)
    config.write_text("panel: vienna_b8\n")
    with pytest.raises(ConfigError, match="changed after the run was started"):
        code_digest.require_as_planned(config)
    config.write_text("panel: ino10\n")
    monkeypatch.setattr(code_digest, "package_digest", lambda: "other code")
    with pytest.raises(ConfigError, match="same command again"):
        code_digest.require_as_planned(config)


def test_nothing_is_written_that_everybody_may_write(tmp_path: Path) -> None:
    source = tmp_path / "tube.fcs"
    write_fcs(source, [np.arange(9, dtype=np.float32)], [ChannelSpec("FSC-A", "", 262144)])
    command = f"umask 000; {sys.executable} -m flowmrd --log {tmp_path}/logs/inspect/S1.log inspect {source}"
    assert subprocess.run(["bash", "-c", command]).returncode == 0
    assert not [path for path in (tmp_path / "logs").rglob("*") if path.stat().st_mode & 0o002]
    command = f"umask 077; {sys.executable} -m flowmrd --log {tmp_path}/private/inspect/S1.log inspect {source}"
    assert subprocess.run(["bash", "-c", command]).returncode == 0
    assert not [path for path in (tmp_path / "private").rglob("*") if path.stat().st_mode & 0o077]


def test_a_log_is_never_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    log = tmp_path / "logs/inspect/S1.log"
    log.parent.mkdir(parents=True)
    log.symlink_to(precious)
    assert call(["--log", str(log), "inspect", str(tmp_path / "nowhere.fcs")]) == 2
    assert precious.read_text() == "mine"


def test_the_log_ends_with_what_the_job_used(tmp_path: Path) -> None:
    log = tmp_path / "logs/inspect/S1.log"
    command = [sys.executable, "-m", "flowmrd", "--log", str(log), "inspect", str(tmp_path / "nowhere.fcs")]
    assert subprocess.run(command, capture_output=True).returncode == 2
    assert re.search(r"used [\d.]+ s of processor time and at most \d+ MB of memory", log.read_text())


def test_a_lock_left_on_another_machine_is_refused_with_the_command_that_clears_it(tmp_path: Path) -> None:
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    (tmp_path / ".snakemake/flowmrd").mkdir()
    (tmp_path / ".snakemake/flowmrd/run.lock").write_text('{"host": "elsewhere", "pid": 7}')
    with pytest.raises(ConfigError, match=f"flowmrd run {tmp_path} --unlock"), run_lock(tmp_path):
        pass
    with run_lock(tmp_path, unlock=True):
        assert not list((tmp_path / ".snakemake/locks").iterdir())


def test_the_time_left_is_said_in_words_a_person_uses() -> None:
    assert remaining(1, 10, 5) == ""
    assert remaining(5, 10, 50) == ", about 50 s left"
    assert remaining(5, 10, 500) == ", about 8 min left"
    assert remaining(10, 10, 500) == ""


def test_generated_files_are_up_to_date() -> None:
    stale = [path for path, text in files().items() if (REPOSITORY / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run 'make docs'"


def test_the_digest_of_a_stage_covers_what_it_imports_and_not_what_it_does_not() -> None:
    names = {path.stem for path in module_files("flowmrd.stages.ingest")}
    assert {"ingest", "errors", "columns"} <= names
    assert "survival" not in names
    assert "classifier" not in names


def test_what_python_and_jinja_compile_changes_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is refused to go on when its digest changes, and a run compiles what is not compiled yet."""
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr("flowmrd.engine.code_digest.PACKAGE", tmp_path)
    before = package_digest.__wrapped__()
    (tmp_path / "__pycache__/template.bin").write_bytes(b"compiled")
    assert package_digest.__wrapped__() == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert package_digest.__wrapped__() != before


def test_import_statements_are_found_as_the_parser_finds_them() -> None:
    for file in PACKAGE.rglob("*.py"):
        named = set()
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        assert {name for name in named if name.split(".")[0] == PACKAGE.name} <= set(imports_of(file)), file


def test_every_stage_of_the_table_exists_and_comes_after_its_inputs() -> None:
    for name in STAGES:
        assert module_files(f"flowmrd.stages.{name}"), name
        assert stages_up_to(name)[-1] == name


def test_stage_rules_and_table_agree() -> None:
    rules = {path.stem for path in (REPOSITORY / "workflow/rules").glob("*.smk")} - {"common"}
    assert rules == set(STAGES)

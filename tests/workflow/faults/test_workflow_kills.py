"""A run, a part of it, or a job is killed: the same command continues, to the results of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from workflow.runs import digests, session_members, started, until

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]


def stage_process(session: int, stage: bytes) -> int:
    """The Python process of a stage that is at work; 0 where there is none."""
    for pid, command in session_members(session).items():
        if b"--mem-mb" in command and stage in command.split(b"\0"):
            return pid
    return 0


def test_a_job_that_outlives_its_run_is_waited_for(pair: Path, finished_pair: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    with started(run, "--cores", 2) as first:
        job = until(lambda: stage_process(first.pid, b"judge"), first)
        os.kill(job, signal.SIGSTOP)
        for pid, command in session_members(first.pid).items():
            if b"--mem-mb" not in command:
                os.kill(pid, signal.SIGKILL)
        first.wait()
        with started(run, "--cores", 2) as second:
            assert second.stdout is not None
            said = ""
            while "Jobs of an earlier run are still at work" not in said:
                line = second.stdout.readline()
                assert line, said
                said += line
            assert str(job) in said
            os.kill(job, signal.SIGCONT)
            said += second.communicate()[0]
        assert second.returncode == 0, said
    assert digests(run) == digests(finished_pair)
    assert not list(run.rglob("*.part"))


def test_a_killed_launcher_leaves_snakemake_to_be_stopped_with_the_command_that_is_shown(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    with started(run, "--cores", 1) as first:
        until(lambda: stage_process(first.pid, b"ingest"), first)
        snakemake = [pid for pid, command in session_members(first.pid).items() if b"snakemake" in command]
        for pid in snakemake:  # it would notice the loss of its terminal sooner or later
            os.kill(pid, signal.SIGSTOP)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        with started(run, "--cores", 1) as second:
            said = second.communicate()[0]
        assert second.returncode == 2
        assert f"kill {' '.join(map(str, sorted(snakemake)))}" in said
        for pid in snakemake:
            os.kill(pid, signal.SIGKILL)
        while session_members(first.pid):
            time.sleep(0.1)
        with started(run, "--cores", 2) as third:
            said = third.communicate()[0]
        assert third.returncode == 0, said
    assert digests(run) == digests(finished_pair)


def test_after_snakemake_was_killed_under_its_launcher_the_same_command_continues(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    """As the kernel does where memory runs out; the launcher ends by itself, and Snakemake's own lock is left."""
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    with started(run, "--cores", 1) as first:
        until(lambda: stage_process(first.pid, b"ingest"), first)
        for pid, command in session_members(first.pid).items():
            if pid != first.pid and b"snakemake" in command and b"--mem-mb" not in command:
                os.kill(pid, signal.SIGKILL)
        said = first.communicate()[0]
    assert first.returncode == 1, said
    assert list((run / ".snakemake/locks").iterdir())
    with started(run, "--cores", 2) as second:
        said = second.communicate()[0]
    assert second.returncode == 0, said
    assert "lock is cleared" in said
    assert digests(run) == digests(finished_pair)


def test_a_job_that_was_killed_is_said_so_and_made_by_the_same_command(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    with started(run, "--cores", 1) as first:
        os.kill(until(lambda: stage_process(first.pid, b"judge"), first), signal.SIGKILL)
        said = first.communicate()[0]
    assert first.returncode == 1
    assert "no result yet: judge did not end" in said
    assert "results/logs/judge/" in said
    with started(run, "--cores", 2) as second:
        said = second.communicate()[0]
    assert second.returncode == 0, said
    assert digests(run) == digests(finished_pair)

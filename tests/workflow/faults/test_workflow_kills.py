"""A run, a part of it, or a job is killed: the same command continues, to the results of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from flowmrd.home import REPOSITORY
from workflow.runs import ENVIRONMENT, digests, session_members, started, until

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


@pytest.mark.parametrize("forked", [True, False], ids=["forked-job", "job-with-its-own-interpreter"])
def test_a_killed_launcher_leaves_no_process_and_the_same_command_continues(
    pair: Path, finished_pair: Path, tmp_path: Path, forked: bool
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    with started(run, "--cores", 2) as first:

        def ready() -> list[int]:
            return [pid for pid, command in session_members(first.pid).items() if b"flowmrd.cli.ready" in command]

        if not forked:
            os.kill(until(ready, first)[0], signal.SIGKILL)
        until(lambda: stage_process(first.pid, b"ingest"), first)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        no_process_is_left(first.pid)
        assert list((run / ".snakemake/locks").iterdir())
        with started(run, "--cores", 2) as second:
            said = second.communicate()[0]
        assert second.returncode == 0, said
    assert "lock is cleared" in said
    assert "still at work" not in said
    assert digests(run) == digests(finished_pair)
    assert not list(run.rglob("*.part"))


def test_a_terminated_launcher_ends_after_the_jobs_that_are_at_work(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    with started(run, "--cores", 1) as first:
        until(lambda: stage_process(first.pid, b"ingest"), first)
        first.terminate()
        said = first.communicate()[0]
        assert first.returncode == 128 + signal.SIGTERM, said
        no_process_is_left(first.pid)
    assert list(run.glob("results/work/*/ingest.json"))
    assert not list(run.glob(".snakemake/locks/*"))
    with started(run, "--cores", 2) as second:
        said = second.communicate()[0]
    assert second.returncode == 0, said
    assert digests(run) == digests(finished_pair)


def no_process_is_left(session: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while left := session_members(session):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_beside_a_snakemake_that_was_started_by_hand_the_command_that_ends_it_is_shown(
    pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    command = [sys.executable, "-m", "snakemake", "--directory", str(run), "--cores", "1"]
    by_hand = subprocess.Popen(
        command, env=ENVIRONMENT, cwd=REPOSITORY, start_new_session=True, stdout=PIPE, stderr=STDOUT, text=True
    )
    try:
        until(lambda: stage_process(by_hand.pid, b"ingest"), by_hand)
        os.kill(by_hand.pid, signal.SIGSTOP)
        with started(run, "--cores", 1) as second:
            said = second.communicate()[0]
    finally:
        os.killpg(by_hand.pid, signal.SIGKILL)
        by_hand.communicate()
    assert second.returncode == 2
    assert f"kill {by_hand.pid}" in said


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

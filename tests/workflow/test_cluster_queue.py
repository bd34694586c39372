"""What the screen says of jobs in a cluster's queue, without a cluster."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowmrd.engine import lock
from flowmrd.engine.cluster_queue import QueuedJob, QueueWatch, jobs_of, seconds_between_polls

WIDTHS = (20, 20, 60, 60, 300, 1000)


def line(*values: str) -> str:
    return "".join(value.ljust(width) for value, width in zip(values, WIDTHS, strict=True))


def test_jobs_bear_the_name_of_their_tube_and_those_of_other_runs_are_left_out() -> None:
    found = jobs_of(
        [
            line("6", "RUNNING", "None", "node3", "rule_reference_wildcards_ino10", "/run/.snakemake/slurm_logs/a"),
            line("7", "PENDING", "Resources", "", "rule_P01_2_judge", "/run/.snakemake/slurm_logs/a"),
            line("8", "RUNNING", "None", "node3", "rule_laip_wildcards_P01", "/run/.snakemake/slurm_logs/b"),
            line("9", "RUNNING", "None", "node3", "rule_laip_wildcards_P02", "/other/.snakemake/slurm_logs/b"),
        ],
        "/run/.snakemake/slurm_logs/",
        {"P01", "P01_2"},
    )
    assert [(job.number, job.name) for job in found] == [("6", "ino10"), ("7", "P01_2"), ("8", "P01")]


def test_waiting_running_cancelled_and_failed_are_reported_once_each_and_why() -> None:
    states = [
        QueuedJob("1", "P01-day21", "PENDING", "Resources"),
        QueuedJob("1", "P01-day21", "PENDING", "Resources"),
        QueuedJob("1", "P01-day21", "RUNNING", "None", "node3"),
        QueuedJob("1", "P01-day21", "OUT_OF_MEMORY", "OutOfMemory", "node3"),
        QueuedJob("2", "P01-day21", "PENDING", "QOSMaxJobsPerUserLimit"),
        QueuedJob("2", "P01-day21", "CANCELLED", "None"),
        QueuedJob("3", "P01-day21", "COMPLETED", "None"),
    ]
    looks = iter([None, *([state] for state in states)])
    watch = QueueWatch(lambda: next(looks))
    assert [text for _ in states for text in watch.lines()] == [
        "  P01-day21: waiting in the queue: no node has enough free processors or memory (SLURM job 1)",
        "  P01-day21: running on node3 (SLURM job 1)",
        "  P01-day21: failed: it needed more memory than it had asked for (OutOfMemory) (SLURM job 1)",
        "  P01-day21: waiting in the queue: a limit of its quality of service is reached (QOSMaxJobsPerUserLimit) "
        "(SLURM job 2)",
        "  P01-day21: cancelled by somebody or by the cluster (SLURM job 2)",
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("JobHeldAdmin", "held by an administrator"),
        ("ReqNodeNotAvail, UnavailableNodes:node[1-4]", "the nodes that it may use are down or reserved"),
        ("PartitionTimeLimit", "more time than its partition allows, and never starts there"),
        ("BadConstraints", "no node has what it asks for, and it never starts"),
        ("AssocGrpCPUMinutesLimit", "a limit of the account is reached (AssocGrpCPUMinutesLimit)"),
        ("SomethingOfNextYear", "waiting in the queue: SomethingOfNextYear"),
    ],
)
def test_a_job_that_cannot_start_says_why_and_whether_it_ever_will(reason: str, said: str) -> None:
    """A held job was "JobHeldAdmin", and one that no node can take waited without a word."""
    looks = iter([None, [QueuedJob("1", "P01", "PENDING", reason)]])
    (told,) = QueueWatch(lambda: next(looks)).lines()
    assert said in told


def test_jobs_that_ended_before_the_run_are_not_told() -> None:
    failed = [QueuedJob("1", "P01-day21", "FAILED", "NonZeroExitCode")]
    assert QueueWatch(lambda: failed).lines() == []


def test_small_cohorts_are_looked_after_often_and_large_ones_at_the_pace_of_the_plugin() -> None:
    assert [seconds_between_polls(tubes) for tubes in (2, 50, 1000)] == [5, 10, 40]


def squeue_that_says(folder: Path, ended: float, log: Path) -> str:
    """Path with a squeue in it that knows one cancelled job."""
    line = "7".ljust(20) + f"{ended:.0f}".ljust(20) + str(log)
    (folder / "squeue").write_text(f"#!/bin/sh\ncase \"$*\" in *CANCELLED*) echo '{line}';; esac\n")
    (folder / "squeue").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("ago", "of_this_run", "waits"), [(2.0, True, True), (300.0, True, False), (2.0, False, False)]
)
def test_a_start_waits_until_a_job_that_was_cancelled_just_now_has_removed_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ago: float, of_this_run: bool, waits: bool
) -> None:
    run = tmp_path if of_this_run else tmp_path / "other"
    log = run.resolve() / ".snakemake/slurm_logs/judge/7.log"
    monkeypatch.setenv("PATH", squeue_that_says(tmp_path, time.time() - ago, log))
    waited: list[float] = []
    monkeypatch.setattr(lock, "time", SimpleNamespace(time=time.time, sleep=waited.append))
    lock.refuse_jobs_in_queue(tmp_path)
    lock.wait_for_cancelled_jobs(tmp_path)
    assert bool(waited) == waits
    assert all(0 < seconds <= lock.SECONDS_TO_TIDY_UP for seconds in waited)

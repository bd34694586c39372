"""What the screen says of jobs in a cluster's queue, without a cluster."""

from __future__ import annotations

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
        "  P01-day21: waiting in the queue: QOSMaxJobsPerUserLimit (SLURM job 2)",
        "  P01-day21: cancelled by somebody or by the cluster (SLURM job 2)",
    ]


def test_jobs_that_ended_before_the_run_are_not_told() -> None:
    failed = [QueuedJob("1", "P01-day21", "FAILED", "NonZeroExitCode")]
    assert QueueWatch(lambda: failed).lines() == []


def test_small_cohorts_are_looked_after_often_and_large_ones_at_the_pace_of_the_plugin() -> None:
    assert [seconds_between_polls(tubes) for tubes in (2, 50, 1000)] == [5, 10, 40]

"""The workflow on a real SLURM that the test starts itself."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from flowmrd.home import REPOSITORY
from workflow.slurm_cluster import Cluster, missing_programs, one_node_slurm

pytestmark = [pytest.mark.workflow, pytest.mark.slurm, pytest.mark.timeout(1800)]

FAST = (
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--seconds-between-status-checks",
    "2",
    "--latency-wait",
    "5",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A one-node SLURM."""
    if missing := missing_programs():
        pytest.skip(f"SLURM is not installed here ({', '.join(missing)})")
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, one_node_slurm(Path(folder)) as running:
        yield running


def run_there(cluster: Cluster, run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flowmrd", "run", str(run), "--profile", "slurm", *arguments]
    return subprocess.run(
        command, env=cluster.environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=1500
    )


def test_a_cohort_runs_on_slurm_with_one_job_per_followup_tube(
    cluster: Cluster, few: Callable[[Sequence[str]], Path]
) -> None:
    run = few(["CTRL01", "P01-day21"])
    done = run_there(cluster, run, "--", *FAST)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    for tube in ("CTRL01", "P01-day21"):
        assert (run / f"results/samples/{tube}/report.html").is_file()
    assert (run / "results/cohort/index.html").is_file()
    log = (run / "results/logs/snakemake.log").read_text()
    assert "SLURM jobid" in log
    jobs = [line for line in log.splitlines() if "has been submitted with SLURM jobid" in line]
    # reading, scaling, gating and judging the control; its transform, gates and reference; the tube; cohort, provenance
    assert len(jobs) <= 10, jobs


def test_a_dry_run_shows_memory_and_time_that_would_be_asked_for(
    cluster: Cluster, few: Callable[[Sequence[str]], Path]
) -> None:
    done = run_there(cluster, few(["CTRL01"]), "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mem_mb=" in done.stdout
    assert "runtime=" in done.stdout

"""The workflow on a real SLURM that the test starts itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from flowmrd.home import REPOSITORY
from workflow.runs import digests, session_members, started, until
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


def submitted(run: Path) -> list[dict[str, str]]:
    """Options of every sbatch call of a run, with the job's name under ``comment``."""
    log = (run / "results/logs/snakemake.log").read_text()
    calls = [shlex.split(line.split("--wrap=")[0]) for line in log.splitlines() if "sbatch call: sbatch" in line]
    found = []
    for words in calls:
        options = {word.split("=")[0]: word.split("=")[1] for word in words if "=" in word}
        options |= {word: words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-t", "--mem", "--comment")}
        found.append(options)
    return found


def test_a_cohort_runs_on_slurm_as_the_dry_run_said_with_one_job_for_a_followup_tube(
    cluster: Cluster, pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    dry = run_there(cluster, run, "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    done = run_there(cluster, run, "--", *FAST, "--verbose")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert digests(run) == digests(finished_pair)
    assert re.search(r"P01-day21: (waiting in the queue|running on)", done.stdout), done.stdout
    jobs = submitted(run)
    assert len([job for job in jobs if "P01-day21" in job["--comment"]]) == 1
    asked = Counter((job["--mem"], job["-t"]) for job in jobs)
    planned = [line.split()[:3] for line in dry.stdout.split("sbatch plan")[1].splitlines()[2:-1]]
    assert asked == Counter((mem, minutes) for count, mem, minutes in planned for _ in range(int(count)))
    assert {job["--cpus-per-task"] for job in jobs} == {"1"}
    # the cluster's jobs know the command, for the provenance
    assert "--profile slurm" in json.loads((run / "results/provenance.json").read_text())["run"]["command"]


def stage_at_work(run: Path, stage: bytes) -> int:
    """The process of a stage that the cluster runs for this run directory; 0 where there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"--mem-mb" in words and stage in words and (folder / "cwd").resolve() == run:
                return int(folder.name)
        except OSError:
            continue
    return 0


def test_job_node_daemon_and_run_are_killed_and_nothing_is_lost(
    cluster: Cluster, pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    arguments = ("--profile", "slurm", "--", *FAST, "--verbose")
    with started(run, *arguments, environment=cluster.environment) as first:
        said: list[str] = []
        reader = Thread(target=lambda: said.append(first.communicate()[0]))
        reader.start()
        # a job: it is tried again with twice the memory
        os.kill(until(lambda: stage_at_work(run, b"ingest"), first), signal.SIGKILL)
        # the daemon of the node: the job goes on and is counted
        until(lambda: stage_at_work(run, b"judge"), first)
        cluster.processes["slurmd"].kill()
        cluster.processes["slurmd"].wait()
        time.sleep(2)
        cluster.start_slurmd()
        # the run itself: jobs stay in the queue
        until(lambda: "P01-day21" in cluster.call("squeue", "--noheader", "--format=%k"), first)
        for pid in session_members(first.pid):
            os.kill(pid, signal.SIGKILL)
        reader.join()
    assert "CTRL01: failed" in said[0]
    ingests = [int(job["--mem"]) for job in submitted(run) if "CTRL01_read" in job["--comment"]]
    assert ingests[1] == pytest.approx(2 * ingests[0], abs=1)  # whole megabytes
    second = run_there(cluster, run, "--", *FAST)
    assert second.returncode == 2, second.stdout + second.stderr
    command = re.search(r"scancel [\d ]+", second.stderr)
    assert command, second.stderr
    cluster.call(*command[0].split())
    cluster.wait_until_idle()
    third = run_there(cluster, run, "--", *FAST)
    assert third.returncode == 0, third.stdout[-5000:] + third.stderr[-2000:]
    assert digests(run) == digests(finished_pair)
    assert not list(run.rglob("*.part"))

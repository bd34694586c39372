"""Allowing one run at a time in a run directory, and recovering after a run was killed.

The launcher holds an advisory lock, which the kernel frees when the launcher ends in any way. A free lock beside
Snakemake's own lock files means that these were left by a killed run, unless Snakemake is still at work there without a
launcher. The processes of this machine are searched for such a Snakemake. Jobs of a killed run may live on, here or on
a cluster. A new run waits for the jobs here to end and reports those in the cluster's queue.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowmrd.engine.state import STATE
from flowmrd.errors import ConfigError, counted

SECONDS_TO_TIDY_UP = 30.0
"""Seconds after which a cancelled job has removed its unfinished results; SLURM kills what is left then (KillWait)."""
_ENDED_FROM_OUTSIDE = "CANCELLED,TIMEOUT,DEADLINE,PREEMPTED,NODE_FAIL,OUT_OF_MEMORY"


@contextmanager
def run_lock(run_directory: Path, *, unlock: bool = False, dry_run: bool = False) -> Iterator[None]:
    """Hold the directory for the duration of the block.

    Raises
    ------
    ConfigError
        If another run is at work there, or left a lock that cannot be cleared safely from here.
    """
    if dry_run:
        yield
        return
    folder = run_directory / STATE
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "run.lock").open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                str(run_directory),
                found=f"a run that is still going on ({_holder(handle.name)})",
                expected="one run at a time in a run directory",
                todo="wait for it to end, or stop it there first",
            ) from error
        before = _holder(handle.name)
        _clear_left_over(run_directory, before, forced=unlock)
        handle.seek(0)
        handle.truncate()
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, handle)
        handle.flush()
        yield
        if not _snakemake_locks(
            run_directory
        ):  # killed under us, it leaves its own lock, and the next start asks whose
            handle.seek(0)
            handle.truncate()


def _snakemake_locks(run_directory: Path) -> list[Path]:
    return sorted((run_directory / ".snakemake" / "locks").glob("*"))


def _clear_left_over(run_directory: Path, before: str, *, forced: bool) -> None:
    locks = _snakemake_locks(run_directory)
    if not locks:
        return
    running = snakemake_in(run_directory)
    if running:
        raise ConfigError(
            str(run_directory),
            found=f"Snakemake at work there (process {', '.join(map(str, running))})",
            expected="one run at a time in a run directory",
            todo=f"wait for it to end, or stop it first: kill {' '.join(map(str, running))}",
        )
    here = f"on {socket.gethostname()}" in before
    if not forced and not here:
        raise ConfigError(
            str(run_directory),
            found=f"a lock that was not left by a run on this machine ({before})",
            expected="no lock, or one whose owner is known to be gone",
            todo=f"make sure that no run is going on there, then: flowmrd run {run_directory} --unlock",
        )
    for lock in locks:
        lock.unlink(missing_ok=True)
    print(f"An earlier run did not end properly ({before}); its lock is cleared and its work continued.")  # noqa: T201


def snakemake_in(run_directory: Path) -> list[int]:
    """Process ids of Snakemake runs of this machine whose working directory is ``run_directory``.

    Jobs that SLURM runs on this machine are not among them; the queue knows these and can end them.
    """
    return [pid for pid in _processes_in(run_directory, (b"snakemake",)) if not _of_another_slurm_job(pid)]


def _of_another_slurm_job(pid: int) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    job = next((entry.partition(b"=")[2].decode() for entry in environment if entry.startswith(b"SLURM_JOB_ID=")), "")
    return job not in ("", os.environ.get("SLURM_JOB_ID", ""))


def wait_for_orphans(run_directory: Path) -> None:
    """Wait for jobs of an earlier, killed run. Their files will be complete, but must not be written at the same time
    as ours.
    """
    told = False
    while jobs := _processes_in(run_directory, (b"flowmrd", b"--mem-mb")):
        if not told:
            which = ", ".join(map(str, jobs))
            print(f"Jobs of an earlier run are still at work (process {which}); waiting for them to end.", flush=True)  # noqa: T201
            told = True
        time.sleep(0.5)


def refuse_jobs_in_queue(run_directory: Path) -> None:
    """Refuse to start while SLURM jobs of an earlier run of this directory are waiting or running.

    They are recognised by their log files, which the executor plugin writes into the run directory.

    Raises
    ------
    ConfigError
        If there are such jobs; the message gives the command that ends them.
    """
    ids = [number for number, _ in _jobs_of(run_directory)]
    if ids:
        raise ConfigError(
            str(run_directory),
            found=f"{counted(len(ids), 'SLURM job')} of an earlier run in the queue",
            expected="none: two jobs would write the same files",
            todo=f"wait for them to end, or end them: scancel {' '.join(ids)}; then give the same command again",
        )


def wait_for_cancelled_jobs(run_directory: Path) -> None:
    """Wait until SLURM jobs that were ended from outside a moment ago have had time to tidy up.

    Snakemake removes the results of a job that is cancelled. Where SLURM tracks processes by their parents, a job
    leaves the queue, and its node is idle, while that is still going on; it would remove what a new run has made.
    """
    ended = [int(end) for _, end in _jobs_of(run_directory, _ENDED_FROM_OUTSIDE) if end.isdecimal()]
    left = max(ended, default=0) + SECONDS_TO_TIDY_UP - time.time()
    if left > 0:
        seconds = min(left, SECONDS_TO_TIDY_UP)
        told = f"Jobs of an earlier run were cancelled just now; waiting {seconds:.0f} s until they have tidied up."
        print(told, flush=True)  # noqa: T201
        time.sleep(seconds)


def _jobs_of(run_directory: Path, states: str = "") -> list[tuple[str, str]]:
    """Number and time of the end, seconds since 1970, of the SLURM jobs of a run directory.

    Parameters
    ----------
    states
        States that are asked for; by default those of jobs that wait or have not ended.
    """
    squeue = shutil.which("squeue")
    if squeue is None:
        return []
    columns = "--Format=JobID:20,EndTime:20,STDOUT:1000"
    command = [squeue, "--me", "--noheader", columns, *([f"--states={states}"] if states else [])]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "SLURM_TIME_FORMAT": "%s"},
        )
    except (OSError, subprocess.SubprocessError):
        return []  # no controller to ask: submitting will say so
    logs = f"{run_directory.resolve()}/.snakemake/slurm_logs/"
    lines = [line for line in done.stdout.splitlines() if line[40:].startswith(logs)]
    return [(line[:20].strip(), line[20:40].strip()) for line in lines]


def _processes_in(run_directory: Path, words: tuple[bytes, ...]) -> list[int]:
    """Other processes of this machine that work in a directory and have all these words in their command line."""
    here = run_directory.resolve()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            at = (process / "cwd").resolve()
        except OSError:
            continue
        if at == here and all(word in command for word in words) and int(process.name) != os.getpid():
            found.append(int(process.name))
    return sorted(found)


def _holder(file: str) -> str:
    try:
        facts = json.loads(Path(file).read_text(encoding="utf-8"))
        return f"process {int(facts['pid'])} on {facts['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "not started by flowmrd run"

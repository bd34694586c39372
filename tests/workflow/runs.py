"""Calling the workflow on run directories, and looking at what it made."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from flowmrd.home import REPOSITORY

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMES = ("provenance.json", "ro-crate-metadata.json")
"""Results that say when a run was made."""

Run = subprocess.CompletedProcess[str]
T = TypeVar("T")


def flowmrd(*arguments: object, timeout: float = 1500) -> Run:
    """Call the command line."""
    command = [sys.executable, "-m", "flowmrd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=REPOSITORY, timeout=timeout)


def snakemake(run_directory: Path, *arguments: object, timeout: float = 1500) -> Run:
    """Call Snakemake itself, as the documentation says it may be."""
    command = [sys.executable, "-m", "snakemake", "--directory", run_directory, "--cores", 2, *arguments]
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=REPOSITORY,
        timeout=timeout,
    )


@contextmanager
def started(
    run_directory: Path, *arguments: object, environment: dict[str, str] = ENVIRONMENT
) -> Iterator[subprocess.Popen[str]]:
    """``flowmrd run`` in a session of its own, going on in the background; what is left of it is killed at the end."""
    command = [sys.executable, "-m", "flowmrd", "run", str(run_directory), *map(str, arguments)]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        for pid in session_members(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def session_members(session: int) -> dict[int, bytes]:
    """Process id to command line of everything alive in a session."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (folder / "stat").read_text().rsplit(")", maxsplit=1)[1].split()[:4]
            if int(of) == session and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
    return found


def until(happened: Callable[[], T], process: subprocess.Popen[str], seconds: float = 600) -> T:
    """Wait for something to become true while a run goes on; return it."""
    end = time.monotonic() + seconds
    while not (value := happened()):
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"it did not happen: {process.communicate()[0] if process.poll() is not None else ''}")
        time.sleep(0.05)
    return value


def planned(run_directory: Path, *arguments: object) -> list[str]:
    """Message (``tube: what``) of every job that Snakemake would run now."""
    run = snakemake(run_directory, "--dry-run", *arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = (run.stdout + run.stderr).splitlines()
    return [line.split(": ", maxsplit=1)[1] for line in lines if re.match(r" *Job \d+: ", line)]


def digests(run_directory: Path) -> dict[str, str]:
    """SHA-256 of every result file that must not depend on when and where it was made."""
    results = run_directory / "results"
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and path.relative_to(results).parts[0] not in ("logs", "benchmarks")
        and path.name not in TIMES
    }


def times(folder: Path) -> dict[str, int]:
    """Modification time of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }

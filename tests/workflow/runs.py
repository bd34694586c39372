"""Calling the workflow on run directories, and looking at what it made."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from flowmrd.home import REPOSITORY

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMES = ("provenance.json", "ro-crate-metadata.json")
"""Results that say when a run was made."""

Run = subprocess.CompletedProcess[str]


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

"""One run at a time in a run directory, and a way out after a run was killed.

The launcher holds an advisory lock that its Snakemake process inherits; the kernel frees it when the last of them is
gone, however that happened. So a free lock beside Snakemake's own lock files means that these are left over, unless
somebody runs Snakemake directly in this directory, which is looked for among the processes.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowmrd.errors import ConfigError

STATE = Path(".snakemake/flowmrd")


@contextmanager
def run_lock(run_directory: Path, *, unlock: bool = False, dry_run: bool = False) -> Iterator[None]:
    """Hold the directory for the duration of the block.

    Raises
    ------
    ConfigError
        If another run is going on there, or left a lock that cannot be cleared safely from here.
    """
    if dry_run:
        yield
        return
    folder = run_directory / STATE
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "run.lock").open("a+", encoding="utf-8") as handle:
        os.set_inheritable(handle.fileno(), True)
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
        handle.seek(0)
        handle.truncate()


def _clear_left_over(run_directory: Path, before: str, *, forced: bool) -> None:
    locks = sorted((run_directory / ".snakemake" / "locks").glob("*"))
    if not locks:
        return
    running = snakemake_in(run_directory)
    if running:
        raise ConfigError(
            str(run_directory),
            found=f"Snakemake at work there (process {', '.join(map(str, running))})",
            expected="one run at a time in a run directory",
            todo="wait for it to end, or stop it first",
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
    """Process ids of Snakemake runs of this machine whose working directory is ``run_directory``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            at = (process / "cwd").resolve()
        except OSError:
            continue
        if b"snakemake" in command and at == run_directory.resolve() and int(process.name) != os.getpid():
            found.append(int(process.name))
    return sorted(found)


def _holder(file: str) -> str:
    try:
        facts = json.loads(Path(file).read_text(encoding="utf-8"))
        return f"process {int(facts['pid'])} on {facts['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "not started by flowmrd run"

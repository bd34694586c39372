"""Failure of a command: its log, three lines for the user, and a record for the workflow.

A stage run by Snakemake gets ``--log FILE``, and everything that it prints goes there. If it fails, the three lines
(what, which file, what to do) also reach the terminal, and ``<log stem>.error.json`` is left beside the log. The next
plan of the run directory reads these records (:mod:`flowmrd.engine.plan`), so that one bad tube is named on the cohort
page and does not stop the others.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from flowmrd.errors import (
    ChannelError,
    CompensationError,
    FcsError,
    FlowmrdError,
    GateError,
    InputError,
    TransformError,
)

RECORD_SUFFIX = ".error.json"
_AWAY = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ENODEV,
        errno.ENXIO,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
    }
)
"""What the system says when a share or a disk went away."""
OF_THE_TUBE = (FcsError, ChannelError, CompensationError, TransformError, GateError)


@dataclass(frozen=True)
class Failure:
    """Why a command ended without a result."""

    what: str
    where: str
    todo: str
    exit_code: int
    lasting: bool = False
    """Whether the tube itself is the cause, so that a retry is useless until the tube or its settings change."""

    def lines(self, log: Path | None = None) -> str:
        """Three lines for the user, and the path of the log."""
        text = f"error: {self.what}\n   in: {self.where}\n   do: {self.todo}"
        return text if log is None else f"{text} (log: {log})"


def describe_failure(error: BaseException) -> Failure:
    """Describe any exception: what happened, where, and what to do."""
    if isinstance(error, InputError):
        return Failure(
            f"found {error.found}; expected {error.expected}",
            error.where,
            error.todo,
            error.exit_code,
            # an unreadable drive proves nothing about the file
            isinstance(error, OF_THE_TUBE) and not isinstance(error.__cause__, OSError),
        )
    if isinstance(error, FlowmrdError):
        return Failure(str(error), "flowmrd itself", "report it with the log", error.exit_code)
    if isinstance(error, OSError):
        where = str(error.filename or "a file")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Failure("the disk is full", where, "free space, then run again; nothing half-written was left", 2)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return Failure(
                f"no permission ({error.strerror})", where, "make the file readable or the folder writable", 2
            )
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            return Failure("a file where a folder should be, or the reverse", where, "move it out of the way", 2)
        if error.errno == errno.ELOOP:
            return Failure("a symbolic link where a file should be", where, "remove the link, then run again", 2)
        if error.errno == errno.ENOENT:
            return Failure("no such file or folder", where, "correct the path, then run again", 2)
        if error.errno in _AWAY:
            todo = "look whether the network drive or disk is connected, then give the same command again"
            return Failure(f"a drive that does not answer ({error.strerror})", where, todo, 2)
        return Failure(f"the system refused: {error.strerror or error}", where, "look at the disk or network drive", 1)
    if isinstance(error, MemoryError):
        return Failure("memory ran out", "this job", "grant more memory (mem_mb of the rule) and run again", 2)
    return Failure(
        f"{type(error).__name__}: {error}", "flowmrd itself", "report it with the log; this is not your fault", 1
    )


def record_path(log: Path) -> Path:
    """Path of the record of a failure, beside the log."""
    return log.with_name(log.stem + RECORD_SUFFIX)


@contextmanager
def logged_to(log: Path | None) -> Iterator[TextIO]:
    """Send stdout and stderr, also of C libraries, to ``log``; yield a stream that still reaches the terminal."""
    if log is None:
        yield sys.stderr
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    record_path(log).unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    terminal = os.fdopen(os.dup(saved_err), "w", encoding="utf-8")
    try:
        yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved_out, 1)
        os.dup2(saved_err, 2)
        os.close(saved_out)
        os.close(saved_err)
        terminal.close()


def report_failure(error: BaseException, terminal: TextIO, log: Path | None) -> int:
    """Report a failure to the user, the log and the workflow; return the exit code."""
    failure = describe_failure(error)
    if failure.exit_code == 1:
        traceback.print_exception(error, file=sys.stderr)
    print(failure.lines(log), file=terminal, flush=True)
    if log is not None:
        print(failure.lines(), file=sys.stderr, flush=True)  # noqa: T201
        record = {"stage": log.parent.name, "unit": log.stem, **asdict(failure), "fingerprint": _fingerprint(log)}
        record_path(log).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return failure.exit_code


def _fingerprint(log: Path) -> str:
    """Fingerprint of the tube in the plan of the running workflow; empty outside a workflow."""
    from flowmrd.engine.state import PLAN_FILE

    try:
        plan = json.loads((log.absolute().parents[3] / PLAN_FILE).read_text(encoding="utf-8"))
        return str(plan["fingerprints"][log.stem])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return ""

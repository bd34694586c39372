"""Progress of every tube and the time left: one line per event of Snakemake.

Events come from the logger plugin ``snakemake_logger_plugin_flowmrd`` through a pipe. Everything that Snakemake and its
jobs print goes to ``results/logs/snakemake.log``. The three lines that a failing stage prints for the user are shown.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Required, TextIO, TypedDict, cast

from flowmrd.engine.cluster_queue import QueueWatch

PLUGIN = "flowmrd"
DESCRIPTOR = "FLOWMRD_EVENTS_FD"
_ERROR = re.compile(r"^(error:|   in: |   do: )")
"""Pattern of the lines that :mod:`flowmrd.engine.failure` prints for the user."""


class Terminated(KeyboardInterrupt):
    """The launcher of a run on this machine got SIGTERM."""


class Event(TypedDict, total=False):
    """One object of the logger plugin, whose docstring says which kind has which keys; ``event`` is its kind."""

    event: Required[str]
    id: int
    rule: str
    message: str
    wildcards: dict[str, str]
    group: str | None
    done: int
    total: int


def remaining(done: int, total: int, seconds: float) -> str:
    """Words for the time left, from the pace so far."""
    if done < 2 or done >= total:
        return ""
    left = seconds / done * (total - done)
    return f", about {left / 60:.0f} min left" if left >= 90 else f", about {max(left, 1):.0f} s left"


@dataclass
class Progress:
    """Lines for the terminal, from events."""

    done: int = 0
    total: int = 0
    began: float = field(default_factory=time.monotonic)

    def lines(self, event: Event) -> list[str]:
        """Lines to print for an event."""
        kind = event.get("event")
        if kind == "job" and event["message"]:
            return [f"  {event['message']}"]
        if kind == "progress":
            self.done, self.total = int(event["done"]), int(event["total"])
            left = remaining(self.done, self.total, time.monotonic() - self.began)
            return [f"  [{self.done}/{self.total} steps{left}]"]
        if kind == "trouble":
            return [line for line in str(event["message"]).splitlines()[:8] if line.strip()]
        return []


@contextmanager
def event_pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe for events: the descriptor to hand to Snakemake, and the stream to read."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with os.fdopen(reading, "r", encoding="utf-8") as stream:
        try:
            yield writing, stream
        finally:
            with suppress(OSError):  # closed by start() already
                os.close(writing)


def read_events(stream: TextIO) -> Iterator[Event]:
    """Events as they come; an incomplete line of a killed process is left out."""
    for line in stream:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield cast(Event, event)


def start(command: Sequence[str], environment: Mapping[str, str], *, cwd: Path, writing: int) -> subprocess.Popen[str]:
    """Start Snakemake with the logger plugin, then close the writing end of the pipe here."""
    process = subprocess.Popen(  # noqa: S603
        [*command, "--logger", PLUGIN],
        cwd=cwd,
        env={**environment, DESCRIPTOR: str(writing)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        pass_fds=(writing,),
    )
    os.close(writing)  # else reading would never end
    return process


def run_and_follow(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: Path,
    log: Path,
    verbose: bool = False,
    queue: tuple[QueueWatch, float] | None = None,
) -> tuple[int, int]:
    """Run Snakemake to its end; log everything that it prints, and show what a technician needs.

    Parameters
    ----------
    queue
        The cluster's queue, and the seconds between two queries.

    Returns
    -------
    tuple
        Its exit code and the number of steps done.
    """
    progress = Progress()
    with event_pipe() as (writing, events):
        process = start(command, environment, cwd=cwd, writing=writing)
        copying = threading.Thread(target=_copy, args=(process, log, verbose), daemon=True)
        copying.start()
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(queue, ended), daemon=True)
        watching.start()
        try:
            for event in read_events(events):
                for line in [] if verbose else progress.lines(event):
                    print(line, flush=True)  # noqa: T201
            code = process.wait()
        except KeyboardInterrupt as stopped:
            if isinstance(stopped, Terminated):  # Ctrl-C reaches Snakemake itself
                process.terminate()
            process.wait()
            raise
        finally:
            copying.join(timeout=10)
            ended.set()
            watching.join(timeout=70)
    return code, progress.done


def _watch(queue: tuple[QueueWatch, float] | None, ended: threading.Event) -> None:
    """Show the changes of the queue until the run has ended, and once more at the end."""
    if queue is None:
        return
    watch, seconds = queue
    last = False
    while not last:
        last = ended.wait(seconds)
        for line in watch.lines():
            print(line, flush=True)  # noqa: T201


def _copy(process: subprocess.Popen[str], log: Path, verbose: bool) -> None:
    """Copy everything into the log; copy the lines of a failing stage, or with ``verbose``
    everything, to the terminal.
    """
    assert process.stdout is not None  # noqa: S101 - opened with a pipe by the caller
    with log.open("a", encoding="utf-8") as stream:
        for line in process.stdout:
            stream.write(line)
            stream.flush()
            text = line.rstrip("\n")
            if verbose or _ERROR.match(text):
                print(text, flush=True)  # noqa: T201


def planned_events(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path
) -> tuple[int, list[Event], str]:
    """Run a dry run to its end; return its exit code, its events and its output."""
    with event_pipe() as (writing, events):
        process = start(command, environment, cwd=cwd, writing=writing)
        said: list[str] = []

        def listen() -> None:
            assert process.stdout is not None  # noqa: S101 - opened with a pipe by start()
            said.extend(process.stdout)

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        found = list(read_events(events))
        code = process.wait()
        listening.join(timeout=10)
    return code, found, "".join(said)

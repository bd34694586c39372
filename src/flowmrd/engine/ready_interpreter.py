"""An interpreter of a run on this machine that has imported everything; jobs are forked from it.

A small tube needs two seconds of work, and importing its libraries takes almost one more. ``flowmrd run`` therefore
starts one such process for each pass of Snakemake. It imports what the stages use and makes ready what every page
holds; it computes nothing of a tube. The rules' shells send it their commands (:mod:`flowmrd.engine.ready_client`). It
forks for each command, and the child runs the command as a separate interpreter would, with the environment, working
directory and terminal of the sender.

* A child dies at once with its sender, so nothing goes on working unnoticed after a job was killed.
* Snakemake and every sender die at once with the launcher: the kernel kills them when nobody holds the writing end of a
  named pipe any more (:mod:`flowmrd.engine.ready_client`). A killed launcher therefore leaves no process.
* If the code on disk has changed since it was imported, or this process is gone, the sender starts an interpreter of
  its own.
* It ends when its standard input ends, that is with the launcher, after its last child.
* Socket and pipe lie in a private temporary folder. The launcher and this process hold a lock on that folder, so that
  the next run can remove the folder of a killed one.
* On a cluster, and with plain ``snakemake``, there is no ready interpreter, and every job starts its own.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Final

from flowmrd.engine.code_digest import CodeInMemory
from flowmrd.engine.ready_client import LIFELINE

__all__ = ["VARIABLE", "ends_with_the_launcher", "ready_interpreter", "serve", "shell_function"]

VARIABLE = "FLOWMRD_READY"
"""Environment variable with the path of the socket."""
CLIENT: Final = (sys.executable, "-I", "-S", str(Path(__file__).with_name("ready_client.py")))
SECONDS_TO_END = 20.0
PREFIX = "flowmrd-ready-"
SECONDS_TO_LOCK = 60.0
"""A folder younger than this (seconds) may not have been locked yet."""
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30)}
"""Settings of glibc's allocator in bytes: a job keeps freed memory in blocks of up to 32 MB, the most that is possible.

Otherwise it gives the memory of every column of a large tube back to the kernel, which clears it for the next: a tenth
of the processor time of the stages over all controls. The peak is the same.
"""
Command = Callable[[Sequence[str]], int]
MODULES = (
    "flowmrd.cli.app",
    "flowmrd.run_files",
    "flowmrd.stages.transform_reference",
    "flowmrd.stages.gate_reference",
    "flowmrd.stages.reference",
    "flowmrd.stages.provisional_controls",
    "flowmrd.stages.laip",
    "flowmrd.stages.judge",
    "flowmrd.stages.cohort",
    "flowmrd.stages.provenance",
    "flowmrd.engine.code_digest",
    "flowmrd.engine.memory",
    "flowmrd.engine.stage_table",
    "flowmrd.engine.plan",
    "pyarrow.parquet",
)
"""Modules that the stages import, also those imported within functions."""


@contextmanager
def ready_interpreter(environment: Mapping[str, str], *, cwd: Path) -> Iterator[dict[str, str]]:
    """Start a ready interpreter for the duration of the block.

    Yields
    ------
    dict
        The environment for Snakemake, with the path of the socket; unchanged if no interpreter could be started.
    """
    try:
        _remove_left_behind()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # of this user only
        held = _hold(folder)
        os.mkfifo(folder / LIFELINE)
        lifeline = os.open(folder / LIFELINE, os.O_RDWR)  # no child inherits it
        fcntl.flock(lifeline, fcntl.LOCK_EX)
    except OSError:
        yield dict(environment)
        return
    place = folder / "ready"
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "flowmrd.cli.ready", str(place)],
        cwd=cwd,
        env={**KEPT_MEMORY, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield {**environment, VARIABLE: str(place)}
    finally:
        assert process.stdin is not None  # noqa: S101 - opened with a pipe above
        with suppress(OSError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lifeline)
        os.close(held)


def ends_with_the_launcher(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """A command whose process dies with the launcher; unchanged where the run has no ready interpreter."""
    return [*CLIENT, "--become", *command] if VARIABLE in environment else list(command)


def _hold(folder: Path) -> int:
    """A descriptor that holds a shared lock on a folder until it is closed or its process ends in any way."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):  # a file system without locks: such a folder is not removed for another run
        fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _remove_left_behind() -> None:
    """Remove this user's folders of launchers and interpreters that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            facts = folder.lstat()
            young = time.time() - facts.st_mtime < SECONDS_TO_LOCK
            if facts.st_uid != os.getuid() or not S_ISDIR(facts.st_mode) or young:
                continue
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)


def shell_function() -> str:
    """Shell function that makes the rules send their command; empty where the run has no ready interpreter."""
    if VARIABLE not in os.environ:
        return ""
    return f'flowmrd() {{{{ {shlex.join(CLIENT)} "$@"; }}}}; '


def serve(place: Path, command: Command) -> int:
    """Listen, import, then fork a child for every command until standard input ends.

    Senders that connect during the import wait until it has ended.

    Parameters
    ----------
    place
        Path of the socket; its folder is removed when standard input ends.
    command
        Function that runs the words of a command and returns its exit code.
    """
    from flowmrd.threads import THREAD_VARIABLES

    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher ends, and this with it
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    with suppress(OSError):
        _hold(place.parent)  # until this process ends
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            listening.bind(str(place))
            listening.listen(256)
            imported = CodeInMemory.now()
            for module in MODULES:
                import_module(module)
            import_module("flowmrd.report.page").prepare_pages()
            if not imported.is_on_disk() or _other_threads():
                return 1  # jobs start their own: changed meanwhile; or something would be missing in a child
            gc.collect()
            gc.freeze()  # what is shared is not looked at, hence not copied, by the children's collector
            _accept(listening, command, imported, interrupt)
        finally:
            place.unlink(missing_ok=True)
    shutil.rmtree(place.parent, ignore_errors=True)  # the launcher has ended, perhaps killed
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return 0


def _other_threads() -> list[str]:
    """Names of threads that a fork would leave behind.

    Arrow's allocator jemalloc has one, which it stops before a fork and starts again after it.
    """
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    names = [(task / "comm").read_text(encoding="utf-8").strip() for task in tasks]
    return [name for name in names if not name.startswith("jemalloc")]


def _accept(listening: socket.socket, command: Command, imported: CodeInMemory, interrupt: Any) -> None:
    """Fork for every command until standard input ends."""
    while True:
        readable, _, _ = select.select([listening.fileno(), 0], [], [], 1.0)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if 0 in readable:
            return
        if listening.fileno() in readable:
            link, _ = listening.accept()
            if os.fork() == 0:
                _child(link, listening, command, imported, interrupt)
            link.close()


def _child(
    link: socket.socket, listening: socket.socket, command: Command, imported: CodeInMemory, interrupt: Any
) -> None:
    """Run one command and end."""
    code = 1
    try:
        listening.close()
        words = _take_over(link, imported)
        if words is None:
            return
        signal.signal(signal.SIGINT, interrupt)
        _die_with_the_other_end(link)
        link.sendall(b"+")
        sys.argv = ["flowmrd", *words]
        code = command(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        fcntl.fcntl(link, fcntl.F_SETFL, 0)
        with suppress(OSError):
            link.sendall(bytes([code & 255]))
        os._exit(code & 255)  # nothing of the parent's is to be tidied up here


def _take_over(link: socket.socket, imported: CodeInMemory) -> list[str] | None:
    """Take over working directory, environment and terminal of the sender; return its words, or None if code has
    changed.
    """
    header, descriptors, _, _ = socket.recv_fds(link, 8, 3)
    size = int.from_bytes(header, "big")
    message = bytearray()
    while len(message) < size:
        part = link.recv(size - len(message))
        if not part:
            os._exit(1)  # the sender is gone
        message += part
    folder, count, *rest = bytes(message).decode("utf-8", "surrogateescape").split("\0")
    if not imported.is_on_disk():
        link.sendall(b"-")
        os._exit(0)
    os.environ.clear()
    for entry in rest[int(count) :]:
        name, _, value = entry.partition("=")
        os.environ[name] = value
    os.chdir(folder)
    for target, source in enumerate(descriptors):
        os.dup2(source, target)
        os.close(source)
    return rest[: int(count)]


def _die_with_the_other_end(link: socket.socket) -> None:
    """Let the kernel send SIGIO, which ends the process by default, when the sender is gone."""
    fcntl.fcntl(link, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(link, fcntl.F_SETFL, fcntl.fcntl(link, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([link], [], [], 0)[0]:  # gone before that
        os._exit(1)

"""The program that a job of a run on this machine starts instead of an interpreter with all libraries.

    python -I -S ready_client.py WORDS OF A flowmrd COMMAND
    python -I -S ready_client.py --become PROGRAM WORDS

In both forms the kernel ends this process with the launcher, even with a launcher that is killed. A process that it
becomes ends so, too; Snakemake is started in this way.

In the first form it passes words, environment and terminal to the ready interpreter
(:mod:`flowmrd.engine.ready_interpreter`) and ends with the exit code that comes back. If none answers, it becomes the
ordinary command. It imports almost nothing, which is why it is fast.
"""

import fcntl
import os
import signal
import socket
import sys

ENDED_WITHOUT_A_WORD = 137
"""Exit code of a killed command, as shells report it."""
LIFELINE = "launcher"
"""Named pipe beside the socket. The launcher alone holds its writing end and an exclusive lock on it."""


def launcher_is_alive() -> bool:
    """Whether the launcher is there; from now on the kernel sends SIGKILL to this process when it no longer is.

    The signal is sent when the pipe's last writing end is closed. It holds across ``exec``, for as long as the
    descriptor is open. Children of this process do not have it.
    """
    place = os.path.join(os.path.dirname(os.environ.get("FLOWMRD_READY", "")), LIFELINE)  # noqa: PTH118, PTH120
    try:
        reading = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reading, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(reading, fcntl.F_SETFL, fcntl.fcntl(reading, fcntl.F_GETFL) | os.O_ASYNC)
        os.set_inheritable(reading, True)
    except OSError:
        return False
    try:
        fcntl.flock(reading, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False  # it was gone before the signal was asked for


def main() -> int:
    """Entry point."""
    words = sys.argv[1:]
    if not launcher_is_alive():
        return ENDED_WITHOUT_A_WORD
    if words[:1] == ["--become"]:
        os.execvp(words[1], words[1:])  # noqa: S606 - the command of the launcher
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(os.environ.get("FLOWMRD_READY", ""))
        variables = [f"{name}={value}" for name, value in os.environ.items()]
        parts = [os.getcwd(), str(len(words)), *words, *variables]  # noqa: PTH109 - pathlib is what is not imported
        message = "\0".join(parts).encode("utf-8", "surrogateescape")
        socket.send_fds(link, [len(message).to_bytes(8, "big")], [0, 1, 2])
        link.sendall(message)
        accepted = link.recv(1) == b"+"
    except OSError:
        accepted = False
    if not accepted:
        link.close()
        os.execvp("flowmrd", ["flowmrd", *words])  # noqa: S606, S607 - the command that the rule names
    # Ctrl-C also reaches the process that does the work; it cleans up, and its exit code counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = link.recv(1)
    return code[0] if code else ENDED_WITHOUT_A_WORD


if __name__ == "__main__":
    sys.exit(main())

"""The program that a job of a run on this machine starts instead of an interpreter with all libraries.

    python -I -S ready_client.py WORDS OF A flowmrd COMMAND

It passes words, environment and terminal to the ready interpreter (:mod:`flowmrd.engine.ready_interpreter`) and ends
with the exit code that comes back. If none answers, it becomes the ordinary command. It imports almost nothing, which
is why it is fast.
"""

import os
import signal
import socket
import sys

ENDED_WITHOUT_A_WORD = 137
"""Exit code of a killed command, as shells report it."""


def main() -> int:
    """Entry point."""
    words = sys.argv[1:]
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

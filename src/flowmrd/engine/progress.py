"""Which tube is where, and how long it may take: Snakemake's messages in one line each.

Everything Snakemake says goes to ``results/logs/snakemake.log``; the terminal gets the steps and the share done.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

_STEP = re.compile(r"^ *Job (\d+): (.+)$")
_DONE = re.compile(r"^(\d+) of (\d+) steps")
_ERROR = re.compile(r"^(error:|   in: |   do: )")
_TROUBLE = re.compile(
    r"^(Error|WorkflowError|IncompleteFilesException|MissingInputException|LockException|[A-Za-z]*Exception in )"
)


def remaining(done: int, total: int, seconds: float) -> str:
    """Words for the time left, from the pace so far."""
    if done < 2 or done >= total:
        return ""
    left = seconds / done * (total - done)
    return f", about {left / 60:.0f} min left" if left >= 90 else f", about {max(left, 1):.0f} s left"


def follow(process: subprocess.Popen[str], log: Path, *, verbose: bool = False) -> int:
    """Read Snakemake's output until it ends; log all of it, show what a technician needs; return the steps done."""
    start = time.monotonic()
    done = 0
    trouble = 0
    assert process.stdout is not None  # noqa: S101 - opened with a pipe by the caller
    with log.open("a", encoding="utf-8") as stream:
        for line in process.stdout:
            stream.write(line)
            stream.flush()
            text = line.rstrip("\n")
            if verbose or _ERROR.match(text):
                print(text, flush=True)  # noqa: T201
            elif step := _STEP.match(text):
                print(f"  {step[2]}", flush=True)  # noqa: T201
            elif counted := _DONE.match(text):
                done, total = int(counted[1]), int(counted[2])
                left = remaining(done, total, time.monotonic() - start)
                print(f"  [{done}/{total} steps{left}]", flush=True)  # noqa: T201
            elif _TROUBLE.match(text) and not text.startswith("Error in rule"):
                trouble = 8
            if trouble and not verbose:
                print(text, flush=True)  # noqa: T201
                trouble -= 1
    return done

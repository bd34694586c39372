"""All tests in three processes side by side: workflow, faults and SLURM, all others.

    python tests/side_by_side.py [pytest arguments]

Tests of faults and of SLURM wait for much of their time: for a job to start, for a queue to be asked again. On a
machine with two cores the other two processes work meanwhile. Finished runs that several processes need are made once
(``tests/workflow/conftest.py``). What the first two processes say is printed when all have ended; the exit code is that
of a process that failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
WAITING = ("tests/workflow/faults", "tests/workflow/test_workflow_slurm.py")
BESIDE = (["tests/workflow", *(f"--ignore={path}" for path in WAITING)], [*WAITING])
IN_FRONT = ["tests", "--ignore=tests/workflow"]


def main(arguments: list[str]) -> int:
    """Run all parts to their ends."""
    command = [sys.executable, "-m", "pytest", "--durations=15"]
    with ExitStack() as stack:
        runs = stack.enter_context(tempfile.TemporaryDirectory(prefix="flowmrd-runs-", ignore_cleanup_errors=True))
        environment = {**os.environ, "FLOWMRD_TEST_RUNS": runs}
        outputs = [
            stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")) for _ in BESIDE
        ]
        beside = [
            subprocess.Popen(
                [*command, *part, *arguments],
                cwd=HERE.parent,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for part, output in zip(BESIDE, outputs, strict=True)
        ]
        try:
            front = subprocess.run([*command, *IN_FRONT, *arguments], cwd=HERE.parent, env=environment, check=False)
            codes = [front.returncode, *(process.wait() for process in beside)]
        except KeyboardInterrupt:
            for process in beside:
                process.wait()
            codes = [130]
        for output in outputs:
            output.seek(0)
            print(output.read())  # noqa: T201
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

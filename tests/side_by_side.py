"""All tests in two processes side by side: those of the workflow, and all others.

    python tests/side_by_side.py [pytest arguments]

One process after the other would leave half of a machine with two cores idle. What the workflow's tests say is printed
when all have ended; the exit code is that of a part that failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = (["tests/workflow"], ["tests", "--ignore=tests/workflow"])


def main(arguments: list[str]) -> int:
    """Run both parts to their ends."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        command = [sys.executable, "-m", "pytest", "--durations=15"]
        first = subprocess.Popen(
            [*command, *PARTS[0], *arguments], cwd=HERE.parent, stdout=said, stderr=subprocess.STDOUT, text=True
        )
        try:
            second = subprocess.run([*command, *PARTS[1], *arguments], cwd=HERE.parent, check=False).returncode
            code = first.wait()
        except KeyboardInterrupt:
            first.wait()
            code = second = 130
        said.seek(0)
        print(said.read())  # noqa: T201
    return code or second


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

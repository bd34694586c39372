"""After a clock was put back, files of a run lie in the future, and Snakemake refuses to make anything from them.

It takes an output older than its input for a sign of trouble. Which file is newer decides nothing in this workflow
(see :mod:`flowmrd.engine.plan`), so files from the future are given the present time.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path


def set_back_future_times(results: Path) -> int:
    """Give files below ``results`` whose time lies in the future the present time; return how many there were."""
    now = time.time_ns()
    changed = 0
    for folder, _, names in os.walk(results):
        for name in names:
            path = Path(folder, name)
            with suppress(OSError):  # gone meanwhile, or not ours to touch
                if path.lstat().st_mtime_ns > now:
                    os.utime(path, ns=(now, now), follow_symlinks=False)
                    changed += 1
    return changed

"""Correcting file times that lie in the future. After a clock was set back, Snakemake refuses to use such files.

Snakemake treats an output that is older than its input as an error. This workflow does not rely on file times (see
:mod:`flowmrd.engine.plan`), so a time in the future is replaced by the present time.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path


def set_back_future_times(results: Path) -> int:
    """Set file times in the future, below ``results``, to the present; return the number of these files."""
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

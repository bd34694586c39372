"""The files that the launcher and the plan keep from one start to the next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flowmrd.store import write_json

STATE = Path(".snakemake/flowmrd")
"""Folder of these files, in the run directory."""
PLAN_FILE = STATE / "plan.json"
"""File with the main process's findings for its jobs: refused tubes, and the fingerprint of each usable tube."""


def keep_state(path: Path, value: Any) -> None:
    """Write a file of :data:`STATE`. If the run directory is not writable, nothing is kept and the next start takes
    longer.
    """
    if os.access(path.parent if path.parent.is_dir() else path.parents[2], os.W_OK):
        write_json(path, value)

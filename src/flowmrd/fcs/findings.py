"""Findings: irregularities of a file that can still be read without guessing."""

from __future__ import annotations

from pathlib import Path

from flowmrd.errors import FcsError
from flowmrd.flags import Flag

__all__ = ["Finding", "refuse"]


Finding = Flag
"""An oddity that was resolved by rule: a code of :data:`flowmrd.flags.REGISTRY` and one sentence with structural
numbers only, never the value of a keyword that may name somebody."""


def refuse(path: Path, found: str, expected: str, todo: str = "export the file again from the instrument") -> FcsError:
    """Build the error for a file that can only be read by guessing; it shows the path that the user gave."""
    return FcsError(str(path), found=found, expected=expected, todo=todo)

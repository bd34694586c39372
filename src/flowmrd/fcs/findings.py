"""Findings: what was odd about a file that could still be read truthfully."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowmrd.errors import FcsError

__all__ = ["Finding", "refuse"]


@dataclass(frozen=True, order=True)
class Finding:
    """An oddity that was resolved by rule, for the record.

    Parameters
    ----------
    code
        Stable name of the kind of finding.
    message
        One sentence with structural numbers only; never the value of a keyword that may name somebody.
    """

    code: str
    message: str


def refuse(path: Path, found: str, expected: str, todo: str = "export the file again from the instrument") -> FcsError:
    """Build the error for a file that cannot be read truthfully; the path is the user's own."""
    return FcsError(str(path), found=found, expected=expected, todo=todo)

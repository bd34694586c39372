"""Flags: what a reviewer is told about a tube, with a stable code and one sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Flag"]

Level = Literal["info", "warn", "fail"]


@dataclass(frozen=True)
class Flag:
    """One finding; ``fail`` makes the tube not evaluable, ``warn`` wants a reviewer's eye, ``info`` explains."""

    code: str
    level: Level
    message: str

    def as_record(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)

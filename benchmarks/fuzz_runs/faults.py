"""Every fault: what is changed, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.fuzz_runs.sheet_faults import CONFIG_BYTES, CONFIGS, SHEETS, with_lines
from benchmarks.fuzz_runs.tube_faults import TUBES
from benchmarks.fuzz_runs.written_tube import Rng


@dataclass(frozen=True)
class Fault:
    """What is changed, and where: ``sheet`` and ``config`` change a text, ``tube`` a file, ``file`` its bytes."""

    name: str
    kind: Literal["sheet", "config", "tube"]
    change: Callable[[Any, Rng], Any]
    roles: tuple[str, ...] = ("followup", "control", "diagnosis")


def _all_faults() -> dict[str, Fault]:
    sheets = [Fault(f"sheet: {name}", "sheet", change) for name, change in SHEETS.items()]
    configs = [Fault(f"config: {name}", "config", with_lines(lines)) for name, lines in CONFIGS.items()]
    configs += [Fault(f"config: {name}", "config", change) for name, change in CONFIG_BYTES.items()]
    tubes = [Fault(f"tube: {name}", "tube", change) for name, change in TUBES.items()]
    return {fault.name: fault for fault in [*sheets, *configs, *tubes]}


FAULTS: Final = _all_faults()
"""Faults by name."""

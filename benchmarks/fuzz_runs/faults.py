"""Every fault: what is changed, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.fuzz_runs.export_faults import EXPORTS
from benchmarks.fuzz_runs.folder_faults import FOLDERS, OTHER_TUBES
from benchmarks.fuzz_runs.key_faults import KEYS
from benchmarks.fuzz_runs.sheet_faults import CONFIG_BYTES, CONFIGS, SHEETS, with_lines
from benchmarks.fuzz_runs.spreadsheet_faults import SPREADSHEETS
from benchmarks.fuzz_runs.tube_faults import TUBES

TUBES_OF_A_RUN: Final = ("followup", "clean", "undiagnosed", "control", "diagnosis")
Kind = Literal["sheet", "config", "tube", "folder"]


@dataclass(frozen=True)
class Fault:
    """What is changed, and where.

    Attributes
    ----------
    kind
        ``sheet`` and ``config`` change a text, ``tube`` a file taken apart, ``folder`` the run directory.
    roles
        Tubes that can get it.
    key
        Key of the configuration that messages must name; empty where there is none.
    """

    name: str
    kind: Kind
    change: Callable[..., Any]
    roles: tuple[str, ...] = TUBES_OF_A_RUN
    key: str = ""

    @property
    def of_tube(self) -> bool:
        """Whether the file of one tube is at fault."""
        return self.kind == "tube" or len(self.roles) > 1


def _all_faults() -> dict[str, Fault]:
    alone = TUBES_OF_A_RUN[:1]
    found = [Fault(f"sheet: {name}", "sheet", change, alone) for name, change in (SHEETS | SPREADSHEETS).items()]
    found += [Fault(f"config: {name}", "config", with_lines(lines), alone) for name, lines in CONFIGS.items()]
    found += [Fault(f"config: {name}", "config", change, alone) for name, change in CONFIG_BYTES.items()]
    found += [Fault(f"key: {name}", "config", with_lines(lines), alone, key=key) for name, (lines, key) in KEYS.items()]
    found += [Fault(f"tube: {name}", "tube", change) for name, change in (TUBES | EXPORTS).items()]
    found += [
        Fault(f"folder: {name}", "folder", change, TUBES_OF_A_RUN if name in OTHER_TUBES else alone)
        for name, change in FOLDERS.items()
    ]
    return {fault.name: fault for fault in found}


FAULTS: Final = _all_faults()
"""Faults by name."""

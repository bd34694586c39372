"""The controls behind the stored reference that a configuration names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.engine.tube_comparison import KnownLabels
from flowmrd.errors import InputError
from flowmrd.stages.laboratory_files import stored_reference

__all__ = ["stained_controls"]


def stained_controls(run_directory: Path, config: RunConfig, panels: Iterable[str]) -> dict[str, list[KnownLabels]]:
    """Panel to the controls behind its stored reference, by which labels of tubes are judged; empty without a
    reference.
    """
    found: dict[str, list[KnownLabels]] = {}
    for panel in dict.fromkeys(panels):
        try:
            folder = stored_reference(run_directory, config, panel)
            found[panel] = [] if folder is None else KnownLabels.of_reference(folder)
        except InputError:
            found[panel] = []  # told where the reference itself is read
    return found

"""Stages on a single file outside any run directory."""

from __future__ import annotations

from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.config.run import CompensationConfig
from flowmrd.panel import find_panel, load_panel
from flowmrd.stages.preprocess import preprocess_file as stage

__all__ = ["preprocess_file", "single_config"]


def preprocess_file(
    file: Path, *, panel: str, out: Path, spillover: Path | None = None, compensated: bool = False
) -> None:
    """Read and preprocess one FCS file with the default configuration; write the columns only.

    The scaling is estimated from this file: there are no controls to take it from.

    Parameters
    ----------
    panel
        Name of a shipped panel, or the path of a panel file.
    out
        Column file to write: one row per event, columns named by marker, on the 0..1 scale.
    compensated
        The data need no compensation.
    """
    model = load_panel(find_panel(panel, run_directory=Path()))
    config = single_config(panel, compensated=compensated)
    stage(file, panel=model, config=config, out=out, spillover=spillover)


def single_config(panel: str, *, spillover: Path | None = None, compensated: bool = False) -> RunConfig:
    """The default configuration for a single file, with its matrix from a CSV or none at all."""
    if compensated:
        return RunConfig(panel=panel, samples="", compensation="none")
    if spillover is None:
        return RunConfig(panel=panel, samples="")
    table = CompensationConfig(source="csv", csv={"default": str(spillover.absolute())})
    return RunConfig(panel=panel, samples="", compensation=table)

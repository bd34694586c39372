"""The stored reference that a configuration names, which is applied unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.engine.tube_comparison import Stained
from flowmrd.errors import ConfigError, InputError
from flowmrd.run_files import CONFIG

__all__ = ["stained_controls", "stored_reference"]


def stored_reference(run_directory: Path, config: RunConfig, panel: str) -> Path | None:
    """Folder of the stored reference that a configuration names for a panel; None where it names none.

    Raises
    ------
    ConfigError
        If the folder holds no reference.
    """
    section = config.reference
    given = section if isinstance(section, str) else section.path
    if given is None:
        return None
    folder = run_directory / given
    folder = folder / panel if (folder / panel).is_dir() else folder
    if not (folder / "reference.json").is_file():
        raise ConfigError(
            f"{run_directory / CONFIG}: reference",
            found=f"no reference.json in {folder}",
            expected=f"results/reference/{panel} of the run that made the reference, or a copy of that folder",
            todo="correct the path, or remove it to build the reference from this run's controls",
        )
    return folder


def stained_controls(run_directory: Path, config: RunConfig, panels: Iterable[str]) -> dict[str, list[Stained]]:
    """Panel to the controls behind its stored reference, by which labels of tubes are judged; empty without a
    reference.
    """
    found: dict[str, list[Stained]] = {}
    for panel in dict.fromkeys(panels):
        try:
            folder = stored_reference(run_directory, config, panel)
            found[panel] = [] if folder is None else Stained.of_reference(folder)
        except InputError:
            found[panel] = []  # told where the reference itself is read
    return found

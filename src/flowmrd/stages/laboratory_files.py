"""Files of the laboratory that a configuration names: its library of phenotypes, its decisions on groups."""

from __future__ import annotations

from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.errors import ConfigError
from flowmrd.run_files import CONFIG

__all__ = ["decisions_file", "stored_library"]


def stored_library(directory: Path, config: RunConfig) -> list[Path]:
    """``laip.json`` of every phenotype of the library that the configuration names; none where it names none.

    Raises
    ------
    ArtefactError
        If it names a folder that is no library, or a library that was altered.
    """
    from flowmrd.classifier.stored_library import library_files  # numpy, which a plan does not need

    return [] if config.laip.library is None else library_files(directory / config.laip.library)


def decisions_file(directory: Path, config: RunConfig) -> Path | None:
    """``decisions.json`` that the configuration names; None where it names none.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    given = config.review.decisions
    if given is not None and not (directory / given).is_file():
        raise ConfigError(
            f"{directory / CONFIG}: review.decisions",
            found=f"no file {given}",
            expected="decisions of the laboratory, as 'flowmrd reference learn' makes them",
            todo="correct the path, or remove it",
        )
    return None if given is None else directory / given

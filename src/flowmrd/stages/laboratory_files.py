"""Files of the laboratory that a configuration names: reference, phenotypes, decisions on groups, limits of charts."""

from __future__ import annotations

from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.config.path_text import obstacle
from flowmrd.errors import ArtefactError, ConfigError
from flowmrd.records.control_limits import ControlLimitsFile
from flowmrd.records.decisions import DecisionsFile
from flowmrd.records.read import read_record
from flowmrd.run_files import CONFIG

__all__ = ["control_limits_file", "decisions_file", "refuse_unreadable", "stored_library", "stored_reference"]


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


def stored_library(directory: Path, config: RunConfig) -> list[Path]:
    """``laip.json`` of every phenotype of the library that the configuration names; none where it names none.

    Raises
    ------
    ArtefactError
        If it names a folder that is no library, or a library that was altered.
    """
    if config.laip.library is None:
        return []
    from flowmrd.classifier.stored_library import library_files  # the classifier, which a plan does not need

    return library_files(directory / config.laip.library)


def decisions_file(directory: Path, config: RunConfig) -> Path | None:
    """``decisions.json`` that the configuration names; None where it names none.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    given = config.review.decisions
    expected = "decisions of the laboratory, as 'flowmrd reference learn' makes them"
    return None if given is None else _there(directory, "review.decisions", given, expected)


def control_limits_file(directory: Path, config: RunConfig) -> Path | None:
    """File of locked control limits that the configuration names; None where it names none.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    given = config.report.control_limits
    expected = "limits of the control charts, as 'flowmrd reference limits' locks them"
    return None if given is None else _there(directory, "report.control_limits", given, expected)


def refuse_unreadable(directory: Path, config: RunConfig) -> None:
    """Read the laboratory's files that the configuration names, so that a run does not fail on them tube by tube.

    Raises
    ------
    InputError
        If one of them is missing or is another kind of file.
    """
    for key, path, model, maker in (
        ("review.decisions", decisions_file(directory, config), DecisionsFile, "reference learn"),
        ("report.control_limits", control_limits_file(directory, config), ControlLimitsFile, "reference limits"),
    ):
        try:
            if path is not None:
                read_record(path, model)
        except ArtefactError as error:
            raise ConfigError(
                f"{directory / CONFIG}: {key}",
                found=f"{error.found} in {path}",
                expected=f"a file that 'flowmrd {maker}' wrote with this version",
                todo="name that file, or remove the key",
            ) from error


def _there(directory: Path, key: str, given: str, expected: str) -> Path:
    if found := obstacle(directory / given):
        raise ConfigError(
            f"{directory / CONFIG}: {key}",
            found=f"{found}: {given}",
            expected=expected,
            todo="correct the path, or remove the key",
        )
    return directory / given

"""Faults of sheet, configuration and headers taken together: single stains, labels, stored references.

The stages would find the same faults later, some of them after hours. ``flowmrd check`` reports all of them before the
run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.config.path_text import obstacle
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import HeaderPreview
from flowmrd.errors import ArtefactError, CompensationError, ConfigError, InputError
from flowmrd.gating.experts import SUFFIXES
from flowmrd.panel import find_panel, load_panel
from flowmrd.records.read import read_if_there
from flowmrd.records.references import GateReferenceFile, TransformFile, read_reference_file
from flowmrd.run_files import CONFIG
from flowmrd.stages.labels import read_labels
from flowmrd.stages.laboratory_files import stored_reference

__all__ = ["missing_tables", "run_faults", "unknown_names"]


def run_faults(
    rows: Sequence[Sample], previews: Mapping[str, HeaderPreview], config: RunConfig, run_directory: Path
) -> list[InputError]:
    """Faults that no header shows by itself.

    Parameters
    ----------
    previews
        Sample to the preview of its file, for files that can be read.
    """
    return [
        *_single_stains(rows, previews, config, run_directory),
        *_labels(rows, previews),
        *_references(rows, config, run_directory),
        *unknown_names(rows, config, run_directory),
        *missing_tables(config, run_directory),
    ]


def _single_stains(
    rows: Sequence[Sample], previews: Mapping[str, HeaderPreview], config: RunConfig, run_directory: Path
) -> Iterator[InputError]:
    """Faults of single-stain tubes from which a matrix is to be made."""
    section = config.compensation
    if isinstance(section, str) or section.source != "controls":
        return
    sheet = run_directory / config.samples
    for panel in dict.fromkeys(row.panel or config.panel for row in rows):
        tubes = [row for row in rows if (row.panel or config.panel) == panel]
        stains = [row for row in tubes if row.role is Role.COMPENSATION]
        if any(row.sample not in previews for row in stains):
            continue  # told beside their rows
        if not stains:
            yield CompensationError(
                str(sheet),
                found=f"no single-stain tube of panel {panel}",
                expected="rows with role 'compensation', as 'compensation: {source: controls}' asks for",
                todo="add them with a stain for every fluorochrome, or choose another source",
            )
            continue
        first: dict[str, Sample] = {}
        for row in stains:
            stain = previews[row.sample].stain
            if stain in first and stain != "unstained":
                yield CompensationError(
                    f"{sheet}, line {row.line} ({row.sample})",
                    found=f"a second single-stain tube for {stain} (the first is {first[stain].sample})",
                    expected="one single-stain tube per channel",
                    todo="leave one of the two out of the sample sheet",
                )
            first.setdefault(stain, row)
        missing = [dye for dye in previews[stains[0].sample].dyes if dye not in first]
        if missing:
            yield CompensationError(
                str(sheet),
                found=f"no single-stain tube of panel {panel} for {', '.join(missing)}",
                expected="one single-stain tube per fluorescence channel of the panel",
                todo="add rows with role 'compensation' and the channel's marker as 'stain'",
            )


def _labels(rows: Sequence[Sample], previews: Mapping[str, HeaderPreview]) -> Iterator[InputError]:
    """Tables of expert labels that do not belong to their tube; gates of other programs are checked in the run."""
    for row in rows:
        path = row.labels
        if path is None or not path.is_file() or row.sample not in previews or path.suffix.lower() in SUFFIXES:
            continue
        try:
            read_labels(path, previews[row.sample].events)
        except InputError as error:
            yield error


def _references(rows: Sequence[Sample], config: RunConfig, run_directory: Path) -> Iterator[InputError]:
    """Stored references that cannot be read or that were made with another panel."""
    for name in dict.fromkeys(row.panel or config.panel for row in rows):
        try:
            folder = stored_reference(run_directory, config, name)
            if folder is None:
                continue
            panel = load_panel(find_panel(name, run_directory=run_directory))
            read_reference_file(folder / "reference.json")
            parts = (
                read_if_there(folder / "gates.json", GateReferenceFile),
                read_if_there(folder / "transform.json", TransformFile),
            )
        except ConfigError:
            continue  # told with the configuration
        except InputError as error:
            yield error
            continue
        for part in parts:
            if part is not None and (part.panel, part.panel_version) != (panel.name, panel.version):
                yield ArtefactError(
                    str(folder),
                    found=f"a reference of panel {part.panel} version {part.panel_version}",
                    expected=f"{panel.name} version {panel.version}",
                    todo="make the reference again with this panel, or use the panel that it was made with",
                )
                break


def unknown_names(rows: Sequence[Sample], config: RunConfig, run_directory: Path) -> Iterator[InputError]:
    """Decisions in the configuration about tubes that the sheet does not have."""
    known = [row.sample for row in rows]
    matrices = {} if isinstance(config.compensation, str) else config.compensation.tubes
    for key, names in (
        ("compensation.tubes", matrices),
        ("controls.accepted", config.controls.accepted),
        ("controls.excluded", config.controls.excluded),
        ("labels.confirmed", config.labels.confirmed),
    ):
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                yield ConfigError(
                    f"{run_directory / CONFIG}: {key}",
                    found=f"{name[:80]!r}, which is no usable tube of this run",
                    expected="a sample of the sheet",
                    todo=f"did you mean {near[0]}?" if near else "correct the name, or remove it",
                )


def missing_tables(config: RunConfig, run_directory: Path) -> Iterator[InputError]:
    """Clinical tables that the configuration names and that are not there: the trial report would be left out.

    The tables at the default places need not exist.
    """
    for key in ("patients", "adverse_events"):
        given = getattr(config, key)
        if given != RunConfig.model_fields[key].default and (found := obstacle(run_directory / given)):
            yield ConfigError(
                f"{run_directory / CONFIG}: {key}",
                found=f"{found}: {given}",
                expected="a clinical table",
                todo="correct the path, or remove the key to run without the trial report",
            )

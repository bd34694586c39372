"""Watching a folder: new files are added to the sheet, and the run is started."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flowmrd.config import load_config, read_sheet
from flowmrd.engine.headers import check_header, file_key
from flowmrd.engine.launch import launch
from flowmrd.engine.sheet_proposal import (
    NamingRules,
    add_to_sheet,
    fcs_files,
    printable_path,
    propose_rows,
    sheet_text,
)
from flowmrd.errors import InputError, PanelError, SheetError
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.run_files import CONFIG

LOOKED_AT = 12
"""Number of files that are read to find the panel that fits."""
SETTLING = 2.0
"""Seconds between the two checks of a file's size with ``once``."""


def files_of(folder: Path) -> list[Path]:
    """FCS files of a folder.

    Raises
    ------
    SheetError
        If there is no such folder, or no FCS file in it.
    """
    files = fcs_files(folder) if folder.is_dir() else []
    if not files:
        raise SheetError(
            str(folder),
            found="no FCS or LMD file" if folder.is_dir() else "no such folder",
            expected="a folder with the tubes' files (.fcs, .lmd)",
            todo="correct --from",
        )
    return files


def best_panel(name: str | None, files: Sequence[Path], run_directory: Path) -> tuple[str, PanelModel]:
    """The named panel, or else the shipped panel that fits most of the files; among equals, the one with most markers.

    Raises
    ------
    PanelError
        If no shipped panel fits any of the files that were read.
    """
    if name is not None:
        return name, load_panel(find_panel(name, run_directory=run_directory))
    step = max(len(files) // LOOKED_AT, 1)
    counts: dict[str, int] = {}
    models = {path.stem: load_panel(path) for path in sorted(PANELS.glob("*.yaml"))}
    for panel, model in models.items():
        counts[panel] = sum(_fits(path, model) for path in files[::step])
    # a panel of few markers also fits the tubes of a larger panel
    best = max(counts, key=lambda panel: (counts[panel], sum(one.required for one in models[panel].channels)))
    if counts[best] == 0:
        raise PanelError(
            "--panel",
            found=f"files that none of the shipped panels fits ({', '.join(models)})",
            expected="the panel that the tubes were stained with",
            todo="name it with --panel, or write a panel file (docs/reference/panel.md)",
        )
    return best, models[best]


def _fits(path: Path, panel: PanelModel) -> bool:
    try:
        check_header(path, panel)
    except InputError:
        return False
    return True


def watch_folder(
    run_directory: Path,
    folder: Path,
    *,
    naming: NamingRules,
    every: float,
    once: bool,
    cores: int | None,
    profile: str,
    say: Callable[[str], None],
) -> int:
    """Add new files that no longer grow to the sheet and run; return the exit code of the last run.

    Parameters
    ----------
    every
        Seconds between two checks of the folder.
    once
        Check the folder once and end.
    """
    seen: dict[Path, str] = {path: file_key(path) for path in fcs_files(folder)}
    code = 0
    while True:
        time.sleep(SETTLING if once else every)
        present = {path: file_key(path) for path in fcs_files(folder)}
        settled = [path for path, key in present.items() if seen.get(path) == key]
        seen = present
        added = add_new_tubes(run_directory, settled, naming=naming)
        for line in added:
            say(line)
        if added:
            code = launch(run_directory, cores=cores, profile=profile)
        if once:
            return code


def add_new_tubes(run_directory: Path, files: Sequence[Path], *, naming: NamingRules) -> list[str]:
    """Append files that the sheet does not name yet; return a line for each that was added."""
    config = load_config(run_directory / CONFIG)
    sheet = run_directory / config.samples
    rows, _ = read_sheet(sheet)
    known = {os.path.realpath(row.fcs) for row in rows}
    text = sheet_text(sheet)
    new = [
        path for path in files if os.path.realpath(path) not in known and printable_path(Path(path.name)) not in text
    ]
    if not new:
        return []
    panel = load_panel(find_panel(config.panel, run_directory=run_directory))
    proposed = propose_rows(new, panel, naming=naming, taken=[row.sample for row in rows])
    add_to_sheet(sheet, proposed)
    return [
        f"{row.fcs.name}: {'NOT USED, ' + row.problem if row.problem else f'{row.sample}, {row.role.value}'}"
        for row in proposed
    ]

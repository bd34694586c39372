"""``flowmrd panel new``: a draft from the labels of tubes, written and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd.cli.panel_check import check_panel
from flowmrd.errors import PanelError, counted
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.panel.draft import draft_panel
from flowmrd.store import write_text

__all__ = ["new_panel"]

SUFFIXES = (".fcs", ".lmd")


def new_panel(
    name: str, sources: Sequence[Path], folder: Path, *, spillover: Path | None = None, compensated: bool = False
) -> tuple[int, list[str]]:
    """Write the draft to ``folder/<name>.yaml``; number of errors that are left, and lines for the terminal.

    ``spillover``: CSV with the matrix of the tubes, instead of their own; ``compensated``: they need none.

    Raises
    ------
    PanelError
        If the file is there already, or no label says a marker.
    FcsError
        If a file cannot be read.
    """
    path = folder / f"{name}.yaml"
    if path.exists():
        raise PanelError(
            str(path), found="a file of this name", expected="none yet", todo="choose another --name, or move it away"
        )
    tubes = _tubes(sources)
    labels = [[(c.pnn, c.pns) for c in choose(read_fcs(tube)).channels] for tube in tubes]
    draft = draft_panel(name, labels, [load_panel(one) for one in sorted(PANELS.glob("*.yaml"))])
    write_text(path, draft.text)
    errors, lines = check_panel(str(path), tubes, spillover=spillover, compensated=compensated)
    told = [f"draft: {note}" for note in draft.notes]
    return errors, [f"{path}: gates of {draft.base}, from {counted(len(tubes), 'tube')}", *told, *lines]


def _tubes(sources: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            found += sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
        else:
            found.append(source)
    if not found:
        raise PanelError(
            ", ".join(map(str, sources)) or "--from",
            found="no FCS file",
            expected="files or folders with .fcs or .lmd files",
            todo="give tubes that were stained with the panel: --from FOLDER",
        )
    return found

"""Stage ``flowjo``: a FlowJo 10 workspace of a finished run, written on request.

One workspace per panel, ``flowjo.wsp`` for the run's own panel and ``flowjo-<panel>.wsp`` for others, because
populations are named by the panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flowmrd.errors import ArtefactError
from flowmrd.gating.flowjo import write_workspace
from flowmrd.panel.model import PanelModel

__all__ = ["flowjo"]


def flowjo(tubes: Mapping[str, tuple[PanelModel, Path]], *, main_panel: str, folder: Path) -> list[Path]:
    """Write the workspaces of a run and return their paths.

    Parameters
    ----------
    tubes
        Sample name to its panel and its ``annotated.fcs``; tubes whose file is missing are left out.

    Raises
    ------
    ArtefactError
        If no tube has an annotated file yet.
    """
    present = {name: entry for name, entry in tubes.items() if entry[1].is_file()}
    if not present:
        raise ArtefactError(
            str(folder),
            found="no annotated.fcs of any tube",
            expected="a finished run",
            todo="run the workflow first (flowmrd run)",
        )
    written = []
    for panel in {entry[0].name: entry[0] for entry in present.values()}.values():
        out = folder / ("flowjo.wsp" if panel.name == main_panel else f"flowjo-{panel.name}.wsp")
        write_workspace({name: path for name, (own, path) in present.items() if own.name == panel.name}, panel, out)
        written.append(out)
    return written

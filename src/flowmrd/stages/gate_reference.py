"""Stage ``gate-reference``: gates of all controls together, frozen for the run.

``gates.json`` of the panel is :class:`flowmrd.records.references.GateReferenceFile`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmrd.config.run import RunConfig
from flowmrd.panel.model import PanelModel
from flowmrd.run_files import RunFiles
from flowmrd.store import write_json
from flowmrd.tube.files import TubeFiles, tube_from_files
from flowmrd.tube.gate import gates_of_controls

__all__ = ["gate_reference", "in_run"]


def in_run(run: RunFiles, *, panel: str, tube: Sequence[str]) -> None:
    """Learn the gates of a panel from control tubes of a run."""
    gate_reference(
        {name: run.work(name, "preprocessed.arrow") for name in tube},
        panel=run.panel_named(panel),
        config=run.config,
        out=run.reference(panel, "gates.json"),
    )


def gate_reference(controls: Mapping[str, Path], *, panel: PanelModel, config: RunConfig, out: Path) -> None:
    """Learn the gates of a panel from its control tubes.

    Parameters
    ----------
    controls
        Sample name to ``preprocessed.arrow`` of every control of the panel.

    Raises
    ------
    GateError
        If there is no control.
    """
    tubes = {name: tube_from_files(TubeFiles(name, path), panel, config) for name, path in controls.items()}
    write_json(out, gates_of_controls(tubes, config).as_record().as_json())

"""Finding and reading panel files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from flowmrd.config.load import describe
from flowmrd.config.path_text import impossible_path
from flowmrd.config.yaml_file import read_yaml
from flowmrd.errors import PanelError
from flowmrd.home import PANELS
from flowmrd.panel.model import PanelModel


def find_panel(name: str, *, run_directory: Path) -> Path:
    """Resolve a panel name (shipped) or path (relative to the run directory).

    Raises
    ------
    PanelError
        If the panel is unknown; the message names the most similar shipped panel.
    """
    if why := impossible_path(name):
        raise PanelError(f"panel {name[:40]!r}", found=why, expected="a panel's name or path", todo="correct 'panel'")
    candidates = [run_directory / name]
    if not name.endswith((".yaml", ".yml")):
        candidates += [run_directory / "panels" / f"{name}.yaml", PANELS / f"{name}.yaml"]
    for candidate in candidates:
        if candidate.is_file() and candidate.suffix in {".yaml", ".yml"}:
            return candidate
    known = sorted(path.stem for path in PANELS.glob("*.yaml"))
    near = get_close_matches(name, known, n=1)
    raise PanelError(
        f"panel {name!r}",
        found=f"no such panel ({_tried(candidates)})",
        expected=f"one of {', '.join(known)}, or the path of a .yaml file",
        todo=f"did you mean {near[0]}?" if near else "correct 'panel' in config.yaml or the sample sheet",
    )


def _tried(candidates: Sequence[Path]) -> str:
    """Where a panel was looked for; what lies there that is no panel file is called what it is."""
    for candidate in candidates:
        if candidate.is_dir():
            return f"{candidate} is a folder"
        if candidate.is_file():
            return f"the name of {candidate} does not end in .yaml"
    return f"looked for {', '.join(map(str, candidates))}"


def load_panel(path: Path | str) -> PanelModel:
    """Read and check a panel file.

    Parameters
    ----------
    path
        Path of the file; text may also be the name of a shipped panel (``ino10``).

    Returns
    -------
    PanelModel
        Its channels, gate tree and plots, complete and free of contradictions.

    Raises
    ------
    PanelError
        With every problem of the file in one message.
    """
    if isinstance(path, str):
        path = find_panel(path, run_directory=Path())
    data = read_yaml(path, PanelError, expected="a panel file", if_missing="correct the panel's name").data
    try:
        panel = PanelModel.model_validate(data)
    except ValidationError as error:
        raise PanelError(
            str(path),
            found=_with_gate_names(describe(error, PanelModel), data),
            expected="a panel as in docs/reference/panel.md",
            todo="correct these entries",
        ) from error
    if panel.name != path.stem:
        raise PanelError(
            str(path),
            found=f"the name {panel.name}",
            expected=f"{path.stem}, as the file is called",
            todo="rename the file, or correct 'name:' in it",
        )
    return panel


def _with_gate_names(text: str, data: object) -> str:
    """Gates of a message by their name instead of their number from 0 and their method."""
    gates = data.get("gates") if isinstance(data, dict) else None

    def name(match: re.Match[str]) -> str:
        index = int(match.group(1))
        entry = gates[index] if isinstance(gates, list) and index < len(gates) else None
        called = entry.get("name") if isinstance(entry, dict) else None
        return f"gate {called}" if isinstance(called, str) else f"gate number {index + 1}"

    return re.sub(r"gates\.(\d+)(?:\.(?:rectangle|polygon|ellipse|cut|singlet|debris|boolean))?", name, text)

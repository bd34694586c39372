"""Finding and reading panel files."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import ValidationError

from flowmrd.config.load import describe
from flowmrd.errors import PanelError
from flowmrd.panel.model import PanelModel


def find_panel(name: str, *, run_directory: Path, shipped: Path) -> Path:
    """Resolve a panel name (shipped) or path (relative to the run directory).

    Raises
    ------
    PanelError
        With the nearest shipped name where the panel is unknown.
    """
    candidates = [run_directory / name, run_directory / "panels" / f"{name}.yaml", shipped / f"{name}.yaml"]
    for candidate in candidates:
        if candidate.is_file() and candidate.suffix in {".yaml", ".yml"}:
            return candidate
    known = sorted(path.stem for path in shipped.glob("*.yaml"))
    near = get_close_matches(name, known, n=1)
    raise PanelError(
        f"panel {name!r}",
        found=f"no such panel in {', '.join(str(path) for path in candidates)}",
        expected=f"one of {', '.join(known)}, or the path of a .yaml file",
        todo=f"did you mean {near[0]}?" if near else "correct 'panel' in config.yaml or the sample sheet",
    )


def load_panel(path: Path) -> PanelModel:
    """Read and check a panel file.

    Raises
    ------
    PanelError
        With every problem of the file in one message.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        panel = PanelModel.model_validate(data)
    except FileNotFoundError as error:
        raise PanelError(
            str(path), found="no such file", expected="a panel file", todo="correct the panel's name"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark is not None else ""
        raise PanelError(
            str(path),
            found=f"text that is not YAML{line}",
            expected="a panel file",
            todo="check indentation and quotes there",
        ) from error
    except ValidationError as error:
        raise PanelError(
            str(path),
            found=describe(error, PanelModel),
            expected="a panel as in docs/reference/panel.md",
            todo="correct these entries",
        ) from error
    if panel.name != path.stem:
        raise PanelError(
            str(path),
            found=f"the name {panel.name}",
            expected=f"{path.stem}, as the file is called",
            todo="make the two agree",
        )
    return panel

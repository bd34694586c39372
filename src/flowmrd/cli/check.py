"""``flowmrd check``: every problem of a run directory in one table, in seconds, before anything is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from flowmrd.cli.headers import check_header
from flowmrd.cli.layout import CONFIG
from flowmrd.config import ReferenceConfig, RunConfig, Sample, load_config, read_sheet
from flowmrd.config.load import known_keys, problem_text
from flowmrd.config.sheet import Role
from flowmrd.errors import ConfigError, InputError, PanelError
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, find_panel, load_panel

__all__ = ["Problem", "check_run", "print_problems"]


@dataclass(frozen=True)
class Problem:
    """One line of the table. ``level`` is ``error`` (that row or file cannot be used) or ``note``."""

    level: str
    where: str
    found: str
    expected: str
    todo: str

    @classmethod
    def of(cls, error: InputError) -> Problem:
        """Make a line of an input error."""
        return cls("error", error.where, error.found, error.expected, error.todo)


def check_run(run_directory: Path) -> tuple[list[Problem], int]:
    """Find all problems of configuration, sheets, panels and FCS headers.

    Returns
    -------
    problems, tubes
        Errors and notes in the order of the files a user would open (configuration, sheet, panels, FCS, clinical
        tables), and the number of good rows of the sheet.
    """
    config_path = run_directory / CONFIG
    try:
        config: RunConfig | None = load_config(config_path)
        problems: list[Problem] = []
    except ConfigError as error:
        config = None
        problems = _yaml_problems(config_path, RunConfig, error)
    sheet = run_directory / (config.samples if config else _guess(config_path, "samples", "config/samples.tsv"))
    try:
        rows, errors = read_sheet(sheet)
    except InputError as error:
        return [*problems, Problem.of(error)], 0
    problems += [Problem.of(error) for error in errors]
    default_panel = config.panel if config else _guess(config_path, "panel", "ino10")
    panels: dict[str, PanelModel | None] = {}
    users = {
        name: [row for row in rows if (row.panel or default_panel) == name] for name in _panels(rows, default_panel)
    }
    for name, tubes in users.items():
        panels[name], found = _panel(name, run_directory, tubes, sheet)
        problems += found
    for row in rows:
        problems += _tube(row, panels[row.panel or default_panel], sheet)
    if config is not None:
        problems += _cohort(rows, config, default_panel, run_directory)
    return problems, len(rows)


def _panels(rows: Iterable[Sample], default: str) -> list[str]:
    return list(dict.fromkeys(row.panel or default for row in rows))


def _guess(config: Path, key: str, default: str) -> str:
    """A key of a configuration that did not pass, so that the rest can still be checked."""
    try:
        data = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return default
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, str) else default


def _yaml_problems(path: Path, model: type[BaseModel], error: InputError) -> list[Problem]:
    """One problem per wrong key, with its line; the given error where the file is not even YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        model.model_validate(data)
    except ValidationError as invalid:
        if not isinstance(data, dict):
            return [Problem.of(error)]
        return [
            Problem(
                "error",
                f"{path}, line {_line(tree, problem['loc'])}",
                f"{'.'.join(map(str, problem['loc']))}: {problem_text(problem, known_keys(model))}",
                error.expected,
                error.todo,
            )
            for problem in invalid.errors()
        ]
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return [Problem.of(error)]
    return [Problem.of(error)]


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Line of the deepest part of ``location`` that exists in the file."""
    line = 1
    for piece in location:
        if isinstance(node, yaml.MappingNode):
            match = [(key, value) for key, value in node.value if key.value == str(piece)]
            if not match:
                continue
            line, node = match[0][0].start_mark.line + 1, match[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(piece, int) and piece < len(node.value):
            node = node.value[piece]
            line = node.start_mark.line + 1
    return line


def _panel(name: str, run_directory: Path, users: list[Sample], sheet: Path) -> tuple[PanelModel | None, list[Problem]]:
    try:
        path = find_panel(name, run_directory=run_directory, shipped=PANELS)
    except PanelError as error:
        lines = [row.line for row in users if row.panel == name]
        where = f"{sheet}, line {', '.join(map(str, lines))}" if lines else f"{run_directory / CONFIG}: panel"
        return None, [Problem("error", where, f"the unknown panel {name!r}", error.expected, error.todo)]
    try:
        return load_panel(path), []
    except PanelError as error:
        return None, _yaml_problems(path, PanelModel, error)


def _tube(row: Sample, panel: PanelModel | None, sheet: Path) -> list[Problem]:
    try:
        check_header(row.fcs, None if row.role is Role.COMPENSATION else panel)
    except InputError as error:
        where = (
            error.where
            if f"line {row.line} " in error.where
            else f"{sheet}, line {row.line} ({row.sample}): {error.where}"
        )
        return [Problem("error", where, error.found, error.expected, error.todo)]
    if row.labels is not None and not row.labels.is_file():
        where = f"{sheet}, line {row.line} ({row.sample})"
        return [Problem("error", where, f"no file {row.labels}", "the labels of the tube", "correct the path")]
    return []


def _cohort(rows: list[Sample], config: RunConfig, default_panel: str, run_directory: Path) -> list[Problem]:
    """What is allowed but changes what the run can say."""
    notes = []
    sheet = str(run_directory / config.samples)
    section = config.reference
    stored = section if isinstance(section, str) else section.path
    minimum = section.min_controls if isinstance(section, ReferenceConfig) else 1
    if stored is not None and not (run_directory / stored).is_dir():
        notes.append(
            Problem(
                "error",
                f"{run_directory / CONFIG}: reference",
                f"no folder {stored}",
                "a stored reference",
                "correct the path, or remove it to build the reference from this run's controls",
            )
        )
    for name in _panels(rows, default_panel):
        of_panel = [row for row in rows if (row.panel or default_panel) == name]
        controls = sum(row.role is Role.CONTROL for row in of_panel)
        if stored is None and controls < minimum:
            notes.append(
                Problem(
                    "note",
                    sheet,
                    f"{controls} control tubes for panel {name}",
                    f"at least {minimum}",
                    "add controls; without them the background is unknown and every verdict is INDETERMINATE",
                )
            )
    diagnosed = {row.patient for row in rows if row.role is Role.DIAGNOSIS}
    for row in rows:
        if row.role is Role.FOLLOWUP and row.patient not in diagnosed:
            notes.append(
                Problem(
                    "note",
                    f"{sheet}, line {row.line} ({row.sample})",
                    f"no diagnosis tube of patient {row.patient}",
                    "one, for a patient's own LAIP",
                    "add it if there is one; else the tube is compared with normal cells",
                )
            )
    files = Counter(str(row.fcs) for row in rows)
    for row in rows:
        if files[str(row.fcs)] > 1:
            notes.append(
                Problem(
                    "note",
                    f"{sheet}, line {row.line} ({row.sample})",
                    f"{row.fcs.name}, which another row uses too",
                    "one file per tube",
                    "make sure that this is meant",
                )
            )
    folded = Counter(row.sample.casefold() for row in rows)
    for row in rows:
        if folded[row.sample.casefold()] > 1:
            notes.append(
                Problem(
                    "note",
                    f"{sheet}, line {row.line} ({row.sample})",
                    "an id that differs from another in case only",
                    "ids that differ in letters or digits",
                    "rename one: some file systems cannot tell them apart",
                )
            )
    return notes + _clinical(config, run_directory)


def _clinical(config: RunConfig, run_directory: Path) -> list[Problem]:
    patients = run_directory / config.patients
    if not patients.is_file():
        return []
    from flowmrd.trial.tables import enrolment_dates, read_adverse_events, read_patients

    events = run_directory / config.adverse_events
    found: list[InputError] = []
    try:
        known, problems = read_patients(patients)
        found += problems
        if events.is_file():
            found += read_adverse_events(events, known, enrolment_dates(patients))[1]
    except InputError as error:
        found.append(error)
    return [Problem.of(error) for error in found]


def print_problems(run_directory: Path, problems: list[Problem], n_tubes: int) -> int:
    """Print the table; return the exit code (2 if anything is wrong)."""
    errors = [problem for problem in problems if problem.level == "error"]
    notes = len(problems) - len(errors)
    if problems:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("", "where", "found", "expected", "what to do", show_lines=True)
        for problem in problems:
            # the user's own text is never taken as markup
            table.add_row(
                *(
                    Text(cell, overflow="fold")
                    for cell in (problem.level, problem.where, problem.found, problem.expected, problem.todo)
                )
            )
        console = Console()
        Console(width=max(console.width, 120), soft_wrap=False).print(table)
    verdict = "nothing wrong" if not errors else f"{len(errors)} error(s)"
    print(f"{run_directory}: {n_tubes} tubes checked, {verdict}, {notes} note(s)")  # noqa: T201
    return 2 if errors else 0

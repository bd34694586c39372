"""``flowmrd check``: every problem of a run directory in one table, in seconds, before anything is computed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError

from flowmrd.cli.panel_check import advice
from flowmrd.config import ReferenceConfig, RunConfig, Sample, load_config, read_sheet
from flowmrd.config.load import problems_in_words
from flowmrd.config.path_text import impossible_path, obstacle, plain_path
from flowmrd.config.sheet import Role
from flowmrd.config.yaml_file import read_yaml
from flowmrd.engine.headers import HeaderPreview, RunRequest, check_header
from flowmrd.engine.override_check import check_override
from flowmrd.engine.patient_keywords import acquired, patient_contradictions
from flowmrd.engine.run_faults import run_faults
from flowmrd.engine.tube_comparison import compare_tubes, stained_controls
from flowmrd.errors import ChannelError, ColumnError, ConfigError, InputError, PanelError, SheetError, counted
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.gating.experts import SUFFIXES as GATE_FILES
from flowmrd.gating.experts import read_expert_gates
from flowmrd.home import PANELS
from flowmrd.mrd.limits import events_needed
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.panel.match import borne_colours
from flowmrd.run_files import CONFIG, OVERRIDE_SUFFIXES, OVERRIDES
from flowmrd.simulate.cytometer import is_simulated
from flowmrd.stages.laboratory_files import refuse_unreadable, stored_library, stored_reference

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
    def of(cls, error: InputError, level: str = "error") -> Problem:
        """Make a line of an input error."""
        return cls(level, error.where, error.found, error.expected, error.todo)


def check_run(run_directory: Path) -> tuple[list[Problem], int]:
    """Find all problems of configuration, sheets, panels and FCS headers.

    Returns
    -------
    problems, tubes
        Errors and notes in the order of the files a user would open (configuration, sheet, panels, FCS, clinical
        tables), and the number of good rows of the sheet.
    """
    config, problems = _config(run_directory / CONFIG)
    sheet = run_directory / config.samples
    try:
        rows, errors = read_sheet(sheet)
    except InputError as error:
        return [*problems, Problem.of(error)], 0
    if not rows and not errors:
        empty = SheetError(
            str(sheet), found="a header and no row", expected="one row per tube", todo="add a row for each tube"
        )
        return [*problems, Problem.of(empty)], 0
    of_rows = [
        (_line_number(error.where), Problem.of(error, "note" if _is_harmless(error) else "error")) for error in errors
    ]
    panels: dict[str, PanelModel | None] = {}
    of_panels: list[Problem] = []
    for name in _panels(rows, config.panel):
        users = [row for row in rows if (row.panel or config.panel) == name]
        panels[name], found, lines = _panel(name, run_directory, users, sheet)
        of_panels += found
        of_rows += lines
    request = RunRequest(config, sheet.parent)
    previews: dict[str, HeaderPreview] = {}
    for row in rows:
        found, preview = _tube(row, panels[row.panel or config.panel], sheet, request)
        of_rows += [(row.line, problem) for problem in found]
        if preview is not None:
            previews[row.sample] = preview
    of_rows += _together(rows, previews, config, run_directory)
    problems += of_panels
    problems += [problem for _, problem in sorted(of_rows, key=lambda one: one[0])]
    problems += [Problem.of(error) for error in run_faults(rows, previews, config, run_directory)]
    problems += _cohort(rows, config, run_directory)
    problems += _overrides(
        run_directory, {row.sample: (row, panels[row.panel or config.panel]) for row in rows}, request
    )
    problems += _events(rows, previews, config, sheet)
    problems += _patients(rows, previews, sheet)
    return _grouped(problems), len(rows)


def _grouped(problems: list[Problem]) -> list[Problem]:
    """Problems with one row for a fault that several files or rows share, in the place of the first."""
    shared: dict[tuple[str, str, str, str], list[str]] = {}
    for one in problems:
        places = shared.setdefault((one.level, one.found, one.expected, one.todo), [])
        if one.where not in places:
            places.append(one.where)
    return [
        Problem(level, _places(places), found, expected, todo)
        for (level, found, expected, todo), places in shared.items()
    ]


def _places(places: list[str]) -> str:
    """The first place in full, of the others the lines, as far as a cell holds them."""
    if len(places) == 1:
        return places[0]
    others = [re.search(r"line (\d+)(?: \(([^)]*)\))?", place) for place in places[1:]]
    names = [f"{match[1]}{(match[2] and f' ({match[2]})') or ''}" if match else "" for match in others]
    if not all(names):
        return f"{places[0]} and {len(places) - 1} more"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{places[0]}; also {'line' if len(names) == 1 else 'lines'} {', '.join(names[:20])}{more}"


def _events(rows: list[Sample], previews: Mapping[str, HeaderPreview], config: RunConfig, sheet: Path) -> list[Problem]:
    """Follow-up tubes that cannot say "less than the target", whatever the result: they hold too few events."""
    mrd = config.mrd
    needed = events_needed(
        mrd.target, background=0.0, min_detect_events=mrd.min_detect_events, alpha=mrd.alpha, power=mrd.power
    )
    if needed is None:
        return []
    short = [row for row in rows if row.role is Role.FOLLOWUP and row.sample in previews]
    short = [row for row in short if previews[row.sample].events < needed]
    if not short:
        return []
    listed = ", ".join(f"{row.sample} {previews[row.sample].events:,}" for row in short[:12])
    more = f" and {len(short) - 12} more tubes" if len(short) > 12 else ""
    return [
        Problem(
            "note",
            str(sheet),
            f"events of {counted(len(short), 'follow-up tube')}: {listed}{more}",
            f"{needed:,} nucleated cells for a negative at {config.mrd.target:.0e}".replace("e-0", "e-"),
            "acquire more cells; such a tube can be positive, but never negative at the target",
        )
    ]


def _patients(rows: list[Sample], previews: Mapping[str, HeaderPreview], sheet: Path) -> list[Problem]:
    """Tubes whose files name another patient than the sheet, or another order of diagnosis and follow-up."""
    files = {row.sample: acquired(row.fcs) for row in rows if row.sample in previews}
    return [Problem.of(error, "note") for _, error in patient_contradictions(rows, files, sheet)]


def _config(path: Path) -> tuple[RunConfig, list[Problem]]:
    """The configuration and its problems; of one that cannot be used, what is needed to go on checking."""
    try:
        return load_config(path), []
    except ConfigError as error:
        problems = _yaml_problems(path, RunConfig, error)
    try:
        data = read_yaml(path, ConfigError, expected="", if_missing="").data
    except ConfigError:
        data = _plain_keys(path)
    usable = {"panel": "ino10", "samples": "config/samples.tsv"}
    if isinstance(data, dict):
        given = {key: value for key in usable if isinstance(value := data.get(key), str)}
        usable |= {key: value for key, value in given.items() if not impossible_path(value)}
    return RunConfig.model_validate(usable), problems


def _plain_keys(path: Path) -> dict[str, str]:
    """Keys of a file that is no YAML, as its lines have them: tubes are not to be checked with a panel of no one's."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {key: value.strip(" \"'") for key, value in re.findall(r"^(\w+):[ \t]*([^#\n]+)", text, re.MULTILINE)}


def _is_harmless(error: SheetError) -> bool:
    """A column that is not used and is not like one that is."""
    return isinstance(error, ColumnError) and error.near is None


def _line_number(where: str) -> int:
    number = where.rsplit(" ", maxsplit=1)[-1]
    return int(number) if number.isdigit() else 0


def _panels(rows: Iterable[Sample], default: str) -> list[str]:
    return list(dict.fromkeys(row.panel or default for row in rows))


def _yaml_problems(path: Path, model: type[BaseModel], error: InputError) -> list[Problem]:
    """One problem per wrong key, with its line; the given error where the file is not even YAML."""
    try:
        file = read_yaml(path, type(error), expected=error.expected, if_missing=error.todo)
        model.model_validate(file.data)
    except ValidationError as invalid:
        if not isinstance(file.data, dict):
            return [Problem.of(error)]
        return [
            Problem("error", f"{path}, line {file.line(problem['loc'])}", found, error.expected, error.todo)
            for problem, found in problems_in_words(invalid, model)
        ]
    except InputError:
        return [Problem.of(error)]
    return [Problem.of(error)]


def _panel(
    name: str, run_directory: Path, users: list[Sample], sheet: Path
) -> tuple[PanelModel | None, list[Problem], list[tuple[int, Problem]]]:
    """The panel of this name; problems of its file; and, for an unknown one, the lines of the sheet that name it."""
    try:
        path = find_panel(name, run_directory=run_directory)
    except PanelError as error:
        found = f"the unknown panel {name[:80]!r}"
        lines = [row.line for row in users if row.panel == name]
        problems = []
        if len(lines) < len(users) or not users:
            problems = [Problem("error", f"{run_directory / CONFIG}: panel", found, error.expected, error.todo)]
        return (
            None,
            problems,
            [(line, Problem("error", f"{sheet}, line {line}", found, error.expected, error.todo)) for line in lines],
        )
    try:
        panel = load_panel(path)
    except PanelError as error:
        return None, _yaml_problems(path, PanelModel, error), []
    return panel, [Problem.of(error) for error in advice(panel, where=str(path))[0]], []


def _overrides(
    run_directory: Path, tubes: Mapping[str, tuple[Sample, PanelModel | None]], request: RunRequest
) -> list[Problem]:
    """Files in ``config/overrides`` that belong to no tube, or that cannot be applied to theirs."""
    problems: list[Problem] = []
    taken: dict[str, Path] = {}
    for path in sorted((run_directory / OVERRIDES).glob("*")):
        if path.name.startswith(".") or not path.is_file():
            continue
        where, sample = str(path), path.stem
        if path.suffix not in OVERRIDE_SUFFIXES:
            expected = f"<sample> and one of {', '.join(OVERRIDE_SUFFIXES)}"
            problems.append(Problem("error", where, "a file that no tube will use", expected, "rename or remove it"))
        elif sample not in tubes:
            near = get_close_matches(sample, tubes, n=1)
            todo = f"did you mean {near[0]}{path.suffix}?" if near else "rename it to the tube's sample name"
            found = f"gates for {sample!r}, which is no tube of this run"
            problems.append(Problem("error", where, found, "a sample of the sheet", todo))
        elif sample in taken:
            found = f"a second override of {sample} beside {taken[sample].name}"
            problems.append(Problem("error", where, found, "one file for a tube", "remove one of them"))
        else:
            taken[sample] = path
            row, panel = tubes[sample]
            if panel is not None:
                try:
                    check_override(path, panel, row, request)
                except InputError as error:
                    problems.append(Problem.of(error))
    return problems


def _tube(
    row: Sample, panel: PanelModel | None, sheet: Path, request: RunRequest
) -> tuple[list[Problem], HeaderPreview | None]:
    """Problems of one tube, and what was seen of its file where that can be read."""
    try:
        preview = check_header(row.fcs, panel, row, request)
    except InputError as error:
        todo = error.todo
        if isinstance(error, ChannelError) and panel is not None and (fitting := _fitting_panels(row.fcs, panel)):
            todo = (
                f"choose panel {' or '.join(fitting)}, which this file fits ('panel:' in config.yaml, or column panel)"
            )
        where = (
            error.where
            if f"line {row.line} " in error.where
            else f"{sheet}, line {row.line} ({row.sample}): {error.where}"
        )
        return [Problem("error", where, error.found, error.expected, todo)], None
    where = f"{sheet}, line {row.line} ({row.sample}): {row.fcs}"
    faults = [
        Problem("error" if one.grave else "note", where, one.found, one.expected, one.todo) for one in preview.faults
    ]
    return [*faults, *_further_problems(row, preview, sheet)], preview


def _further_problems(row: Sample, preview: HeaderPreview, sheet: Path) -> list[Problem]:
    """Spillover that is left in a tube, and labels of it that cannot be used."""
    if preview.left:
        where = f"{sheet}, line {row.line} ({row.sample}): {row.fcs}"
        found = f"spillover that is left after compensation: {preview.left} of the signal"
        todo = "give the matrix of this acquisition; until then the tube is neither negative nor positive"
        return [Problem("note", where, found, "the matrix of this acquisition", todo)]
    if row.labels is not None and not row.labels.is_file():
        where = f"{sheet}, line {row.line} ({row.sample})"
        return [Problem("error", where, f"no file {row.labels}", "the labels of the tube", "correct the path")]
    if row.labels is not None and row.labels.suffix.lower() in GATE_FILES:
        try:
            read_expert_gates(row.labels, row.fcs).leukaemic()
        except InputError as error:
            return [Problem.of(error)]
    return []


def _fitting_panels(fcs: Path, wrong: PanelModel) -> list[str]:
    """Shipped panels that a file fits, though not the one that was asked for.

    One that looks at fewer colours of the file is no way out: it would pass over the very marker that is missing.
    """
    fitting = []
    try:
        names = [(one.pnn, one.pns) for one in choose(read_fcs(fcs)).channels]
    except InputError:
        return []
    least = len(borne_colours(wrong, names))
    for path in sorted(PANELS.glob("*.yaml")):
        try:
            panel = load_panel(path)
            if panel.name != wrong.name and len(borne_colours(panel, names)) >= least:
                check_header(fcs, panel)
                fitting.append(panel.name)
        except InputError:
            continue
    return fitting


def _together(
    rows: list[Sample], previews: Mapping[str, HeaderPreview], config: RunConfig, run_directory: Path
) -> list[tuple[int, Problem]]:
    """Problems of tubes that others of the run contradict, with the line of each."""
    sheet = run_directory / config.samples
    readable = [row for row in rows if row.sample in previews]
    lines = {row.sample: row.line for row in rows}
    panel_of = {row.sample: row.panel or config.panel for row in readable}
    stored = stained_controls(run_directory, config, panel_of.values())
    return [
        (lines[fault.sample], Problem.of(fault.error, "error" if fault.refused else "note"))
        for fault in compare_tubes(
            readable, previews, panel_of, sheet, stored=stored, confirmed=config.labels.confirmed
        )
    ]


def _cohort(rows: list[Sample], config: RunConfig, run_directory: Path) -> list[Problem]:
    """What concerns the tubes together: mostly allowed, but it changes what the run can say."""
    notes = _controls(rows, config, run_directory)
    sheet = str(run_directory / config.samples)
    for look in (stored_library, refuse_unreadable):
        try:
            look(run_directory, config)
        except InputError as error:
            notes.append(Problem.of(error))
    notes += _files_beside(rows, config, run_directory)
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


def _controls(rows: list[Sample], config: RunConfig, run_directory: Path) -> list[Problem]:
    """Whether every panel has enough controls, or a stored reference that can be used."""
    notes = []
    section = config.reference
    stored = section if isinstance(section, str) else section.path
    # Whatever the configuration allows, a single control cannot be compared with another.
    least = max(section.min_controls, 2) if isinstance(section, ReferenceConfig) else 2
    for name in _panels(rows, config.panel):
        try:
            stored_reference(run_directory, config, name)
        except ConfigError as error:
            notes.append(Problem.of(error))
        users = [row for row in rows if (row.panel or config.panel) == name]
        controls = sum(row.role is Role.CONTROL and row.sample not in config.controls.excluded for row in users)
        if stored is None and controls < least:
            lost = _not_simulated(name, controls, config, run_directory)
            notes.append(
                Problem(
                    "note",
                    str(run_directory / config.samples),
                    f"{counted(controls, 'control tube')} for panel {name}{lost}",
                    f"at least {least}",
                    "add controls; without them the background is unknown and every verdict is INDETERMINATE",
                )
            )
    return notes


def _not_simulated(name: str, controls: int, config: RunConfig, run_directory: Path) -> str:
    """Markers of a panel that are not used because simulated marrows, which lack them, replace its controls."""
    if not isinstance(config.reference, ReferenceConfig) or controls >= config.reference.min_controls:
        return ""
    try:
        panel = load_panel(find_panel(name, run_directory=run_directory))
    except PanelError:
        return ""  # told with the panel
    lost = [channel.marker for channel in panel.channels if channel.feature and not is_simulated(channel)]
    return f"; simulated marrows replace them, without {', '.join(lost)}" if lost else ""


def _files_beside(rows: list[Sample], config: RunConfig, run_directory: Path) -> list[Problem]:
    """Files that configuration or folder name, but that would not be found or not be used."""
    problems = []
    section = config.compensation
    if isinstance(section, str):
        return []
    for place, given in section.tables().items():
        path = plain_path((run_directory / config.samples).parent / given)
        if found := obstacle(path):
            where = f"{run_directory / CONFIG}: compensation.{place}"
            problems.append(Problem("error", where, f"{found}: {path}", "a spillover table", "correct the path"))
    return problems


def _clinical(config: RunConfig, run_directory: Path) -> list[Problem]:
    patients = run_directory / config.patients
    if not patients.is_file():
        return []
    from flowmrd.trial.response import rule_set
    from flowmrd.trial.tables import enrolment_dates, read_adverse_events, read_patients

    events = run_directory / config.adverse_events
    found: list[InputError] = []
    try:
        rule_set(config.trial.rules)
    except InputError as error:
        found.append(error)
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
        from rich.table import Column, Table
        from rich.text import Text

        width = max(Console().width, 120)
        columns = ("found", "expected", "what to do")
        # a file and its line stay together; borders take 16 columns, the level 5
        table = Table(Column(width=5), Column("where", width=30), show_lines=True)
        for heading in columns:
            table.add_column(heading, width=(width - 30 - 16 - 5) // len(columns))
        for problem in problems:
            here = "" if run_directory == Path() else f"{run_directory}/"
            where = problem.where.replace(here, "") if here else problem.where
            # the user's own text is never taken as markup
            cells = (problem.level, where, problem.found, problem.expected, problem.todo)
            table.add_row(*(Text(cell, overflow="fold") for cell in cells))
        Console(width=width, soft_wrap=False).print(table)
    verdict = "nothing wrong" if not errors else counted(len(errors), "error")
    print(f"{run_directory}: {counted(n_tubes, 'tube')} checked, {verdict}, {counted(notes, 'note')}")  # noqa: T201
    return 2 if errors else 0

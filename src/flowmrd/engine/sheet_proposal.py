"""A sample sheet proposed from a folder of FCS files: names, roles and time points from file names and headers.

Everything that the files tell is taken from them. Every guess is written as a comment above its row, for a person to
check before the run. A part of a file name that may be a person's name never becomes a patient's pseudonym.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowmrd.config.sheet import ID_PATTERN, Role
from flowmrd.config.spreadsheet import read_grid
from flowmrd.config.yaml_file import read_yaml
from flowmrd.errors import ConfigError, InputError
from flowmrd.fcs.reader import choose, marker_names, read_fcs
from flowmrd.fcs.scrub import acquisition
from flowmrd.panel import PanelModel
from flowmrd.panel.match import match_channels
from flowmrd.store import atomic_path, write_text
from flowmrd.store.workbook import append_rows, workbook_bytes

SUFFIXES = frozenset({".fcs", ".lmd"})
COLUMNS = ("sample", "patient", "role", "fcs", "timepoint", "batch", "stain")
ROLE_WORDS: Mapping[Role, str] = {
    Role.COMPENSATION: r"comp(?:ensation)?|unstained|single[-_ ]?stain|fmo",
    Role.CONTROL: r"ctrl\d*|control\d*|normal\d*|healthy\d*|nbm\d*|neg(?:ative)?[-_ ]?control\d*",
    Role.DIAGNOSIS: r"dx|diag(?:nosis)?|presentation|initial|baseline|relapse|screening",
    Role.FOLLOWUP: r"d(?:ay)?[-_ ]?\d{1,3}|c(?:ycle)?[-_ ]?\d{1,2}(?:d\d{1,3})?|eoc\d?|eoi|eot|w(?:eek|k)?[-_ ]?\d{1,3}"
    r"|m(?:onth)?[-_ ]?\d{1,2}|fu\d*|follow[-_ ]?up\d*|mrd\d*|tp\d+",
}
"""Words in a file name that show the role; the first role that is found is used."""
STAINS = re.compile(r"(unstained)|(CD\d{1,3}[a-z]?)", re.IGNORECASE)


@dataclass(frozen=True)
class NamingRules:
    """How a laboratory names its files.

    Attributes
    ----------
    patterns
        Regular expressions for the stem of a file name, with any of the groups ``patient``, ``role``, ``timepoint``,
        ``batch`` and ``sample``. The first that matches is used.
    roles
        The laboratory's word for a role, to the role.
    """

    patterns: tuple[re.Pattern[str], ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True)
class ProposedRow:
    """A row of the sheet with the reasons for it.

    Attributes
    ----------
    problem
        Reason why the file cannot be a tube of this panel, in which case the row is written as a comment; empty
        otherwise.
    """

    sample: str
    patient: str
    role: Role
    fcs: Path
    timepoint: str = ""
    batch: str = ""
    stain: str = ""
    guesses: tuple[str, ...] = ()
    problem: str | None = None


def read_naming(path: Path) -> NamingRules:
    """Read ``naming.yaml``: ``patterns`` (a list of regular expressions) and ``roles`` (word to role).

    Raises
    ------
    ConfigError
        If the file is missing or malformed, or a pattern is not a regular expression.
    """
    expected = "patterns (regular expressions with the groups patient, role, timepoint, batch, sample) and roles"
    data: Any = read_yaml(path, ConfigError, expected=expected, if_missing="correct --naming").data

    def refuse(found: str) -> ConfigError:
        return ConfigError(str(path), found=found, expected=expected, todo="correct the file")

    if not isinstance(data, dict) or set(data) - {"patterns", "roles"}:
        raise refuse("something else than patterns and roles")
    try:
        patterns = tuple(re.compile(str(pattern)) for pattern in data.get("patterns") or ())
    except re.error as error:
        raise refuse(f"a pattern that is not a regular expression ({error})") from error
    try:
        roles = {str(word).lower(): Role(str(role)) for word, role in (data.get("roles") or {}).items()}
    except ValueError as error:
        raise refuse(str(error)) from error
    return NamingRules(patterns, roles)


def fcs_files(folder: Path) -> list[Path]:
    """FCS and LMD files below a folder, in the order of their paths."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def propose_rows(
    files: Sequence[Path],
    panel: PanelModel,
    *,
    naming: NamingRules | None = None,
    taken: Iterable[str] = (),
    patients: Mapping[str, str] | None = None,
) -> list[ProposedRow]:
    """One row per file.

    Parameters
    ----------
    panel
        Panel that the files should fit.
    naming
        The laboratory's own rules; everything that they do not cover is guessed.
    taken
        Names that the sheet already uses.
    patients
        Part of a file name to pseudonym, as given earlier.
    """
    rules = naming or NamingRules()
    used = set(taken)
    pseudonyms: dict[str, str] = dict(patients or {})
    return [_propose(path, panel, rules, used, pseudonyms) for path in files]


def _propose(
    path: Path, panel: PanelModel, rules: NamingRules, used: set[str], pseudonyms: dict[str, str]
) -> ProposedRow:
    given = next((match.groupdict() for pattern in rules.patterns if (match := pattern.search(path.stem))), {})
    named = {name: value for name, value in given.items() if value}
    guesses = [f"{name} by the laboratory's pattern" for name in named]
    role, word = _role(path.stem, named.get("role"), rules)
    guesses.append(f"role {role.value}: {word}")
    timepoint = named.get("timepoint", "")
    if not timepoint and role in (Role.DIAGNOSIS, Role.FOLLOWUP):
        timepoint = "diagnosis" if role is Role.DIAGNOSIS else _found(path.stem, ROLE_WORDS[Role.FOLLOWUP])
        guesses.append(f"time point {timepoint or 'not told by the name'}")
    patient, told = _patient(path.stem, role, named.get("patient"), pseudonyms)
    guesses.append(told)
    stain = _stain(path.stem) if role is Role.COMPENSATION else ""
    batch, events, problem = _from_header(path, None if role is Role.COMPENSATION else panel)
    guesses += [f"{events:,} events"] if events else []
    guesses += [f"batch {batch}: day of acquisition"] if batch and "batch" not in named else []
    suffix = {Role.DIAGNOSIS: "dx", Role.COMPENSATION: stain or "comp"}.get(role, timepoint)
    wanted = named.get("sample") or (patient if role is Role.CONTROL else f"{patient}-{suffix or 'fu'}")
    sample = _free(_as_id(wanted), used)
    used.add(sample)
    return ProposedRow(
        sample, patient, role, path, timepoint, named.get("batch", batch), stain, tuple(guesses), problem
    )


def _found(stem: str, words: str) -> str:
    """The first of some words that stands by itself in a file name; empty where there is none."""
    match = re.search(rf"(?<![A-Za-z0-9])({words})(?![A-Za-z0-9])", stem, re.IGNORECASE)
    return match[1] if match else ""


def _role(stem: str, given: str | None, rules: NamingRules) -> tuple[Role, str]:
    if given is not None and (own := rules.roles.get(given.lower())):
        return own, f"the laboratory's word {given!r}"
    for role, words in ROLE_WORDS.items():
        if word := _found(given or stem, words):
            return role, f"{word!r} in the name"
    return Role.FOLLOWUP, "nothing in the name tells it; CHECK THIS"


def _patient(stem: str, role: Role, given: str | None, pseudonyms: dict[str, str]) -> tuple[str, str]:
    """Pseudonym of the person, and how it was found."""
    if given is not None:
        return _as_id(given), f"patient {_as_id(given)}"
    everything = "|".join(ROLE_WORDS.values())
    if role is Role.CONTROL and (word := _found(stem, ROLE_WORDS[Role.CONTROL])) and re.search(r"\d", word):
        return _as_id(word), f"control named {word}"
    rest = re.sub(rf"(?<![A-Za-z0-9])(?:{everything})(?![A-Za-z0-9])", " ", stem, flags=re.IGNORECASE)
    rest = re.sub(r"(?<!\d)(?:19|20)\d{2}[-_ ]?\d{2}[-_ ]?\d{2}(?!\d)", " ", rest)  # a date
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", rest) if part]
    with_digit = [part for part in parts if re.search(r"\d", part) and re.search(r"[A-Za-z]", part)]
    numbers = [part for part in parts if part.isdigit()]
    if with_digit:
        return _as_id(with_digit[0]), f"patient {with_digit[0]} from the name"
    # words may be a person's name, and a bare number may be the hospital's number of a patient
    key = " ".join([*parts, *numbers]).lower() or stem.lower()
    name = pseudonyms.setdefault(key, _next(pseudonyms, "CTRL" if role is Role.CONTROL else "P"))
    return name, f"pseudonym {name} given here: the name holds no code of a patient"


def _next(pseudonyms: Mapping[str, str], stem: str) -> str:
    return f"{stem}{1 + sum(name.startswith(stem) for name in pseudonyms.values()):03d}"


def _stain(stem: str) -> str:
    match = STAINS.search(stem)
    if match is None:
        return ""
    return "unstained" if match[1] else match[2].upper()


def _as_id(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]
    return cleaned if ID_PATTERN.fullmatch(cleaned) else "tube"


def _free(name: str, used: set[str]) -> str:
    if name not in used:
        return name
    number = 2
    while f"{name[:60]}-{number}" in used:
        number += 1
    return f"{name[:60]}-{number}"


def _from_header(path: Path, panel: PanelModel | None) -> tuple[str, int, str | None]:
    """Day of acquisition, number of events, and the reason why the file does not fit, or None if it fits."""
    if printable_path(path) != str(path):
        found = "found a name with a tab, a line end, or letters that are not UTF-8 (as an old drive writes them)"
        return "", 0, f"{found}; expected a name that a sheet can hold: rename the file or its folder"
    try:
        data_sets = read_fcs(path)
        chosen = choose(data_sets)
        if panel is not None:
            match_channels(panel, marker_names(chosen, data_sets)[0], path.name)
    except InputError as error:
        return "", 0, f"found {error.found}; expected {error.expected}"
    return str(acquisition(chosen.keywords)["date"] or ""), chosen.n_events, None


def printable_path(path: Path) -> str:
    """A path as a cell of a sheet can hold it; signs that it cannot are replaced."""
    text = os.fsencode(path).decode("utf-8", errors="replace")
    return re.sub(r"[\x00-\x1f\x7f]", "?", text)


def sheet_lines(rows: Sequence[ProposedRow], folder: Path) -> list[str]:
    """Lines of the sheet: for every row a comment with its guesses, then the row itself, commented out if it cannot be
    used.
    """
    lines = []
    for row in rows:
        lines.append(f"# {row.sample}: {'; '.join(row.guesses)}")
        cells = (
            row.sample,
            row.patient,
            row.role.value,
            printable_path(Path(os.path.relpath(os.path.realpath(row.fcs), os.path.realpath(folder)))),
            row.timepoint,
            row.batch,
            row.stain,
        )
        if row.problem is not None:
            lines.append(f"# NOT USED, {' '.join(row.problem.split())}")
        lines.append(("# " if row.problem is not None else "") + "\t".join(cells))
    return lines


def write_run(run_directory: Path, panel: str, rows: Sequence[ProposedRow], *, workbook: bool = False) -> Path:
    """Write ``config/config.yaml`` and the sheet of a new run directory, and return the sheet.

    The sheet is ``config/samples.tsv``, or ``config/samples.xlsx`` with ``workbook``.

    Raises
    ------
    ConfigError
        If the run directory already has one of these files.
    """
    config, sheet = run_directory / "config/config.yaml", run_directory / "config/samples.tsv"
    if workbook:
        sheet = sheet.with_suffix(".xlsx")
    for path in (config, sheet):
        if path.exists():
            raise ConfigError(
                str(path),
                found="a file that is there already",
                expected="a new run directory",
                todo="choose another one; 'flowmrd watch' adds tubes to an existing sheet",
            )
    heading = ["\t".join(COLUMNS), "# Proposed from the files. Read every line that starts with '#', correct the rows."]
    lines = [*heading, *sheet_lines(rows, sheet.parent)]
    if workbook:
        with atomic_path(sheet) as temporary:
            temporary.write_bytes(workbook_bytes("samples", [line.split("\t") for line in lines], text_columns=COLUMNS))
    else:
        write_text(sheet, "\n".join(lines) + "\n")
    write_text(config, f"panel: {panel}\nsamples: config/{sheet.name}\n")
    return sheet


def sheet_text(sheet: Path) -> str:
    """Text of every cell of a sheet, in which names of files can be searched."""
    grid = read_grid(sheet, COLUMNS[:4], one_row_per="tube", setting="samples")
    return "\n".join("\t".join(cells) for _, cells in grid.rows)


def _is_workbook(sheet: Path) -> bool:
    with sheet.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _tab_separated(sheet: Path) -> str:
    try:
        text = sheet.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if "\t" not in text.split("\n", 1)[0]:
        raise ConfigError(
            str(sheet),
            found="a sheet in another encoding or with another separator",
            expected="UTF-8 text separated by tabs, or a workbook (.xlsx), to which rows can be added",
            todo="save the sheet in one of these forms",
        )
    return text


def add_to_sheet(sheet: Path, rows: Sequence[ProposedRow]) -> None:
    """Append rows to a sheet that has all columns of :data:`COLUMNS` that the rows use.

    Raises
    ------
    ConfigError
        If the sheet lacks a column that a row fills, or is text in another encoding or with another separator, to
        which nothing can be added without writing all of it anew.
    """
    text = sheet_text(sheet) if _is_workbook(sheet) else _tab_separated(sheet)
    header = [name.strip() for name in text.split("\n", 1)[0].split("\t")]
    position = {name: COLUMNS.index(name) for name in COLUMNS}
    lines = []
    for line in sheet_lines(rows, sheet.parent):
        if "\t" not in line:
            lines.append(line)
            continue
        mark = "# " if line.startswith("# ") else ""
        cells = line.removeprefix(mark).split("\t")
        missing = [name for name in COLUMNS[:4] if name not in header]
        if missing:
            raise ConfigError(
                str(sheet), found=f"no column {missing[0]}", expected="the required columns", todo="add the column"
            )
        lines.append(mark + "\t".join(cells[position[name]] if name in position else "" for name in header))
    if _is_workbook(sheet):
        raw = append_rows(sheet.read_bytes(), COLUMNS[:4], [line.split("\t") for line in lines])
        with atomic_path(sheet) as temporary:
            temporary.write_bytes(raw)
    else:
        write_text(sheet, text.rstrip("\n") + "\n" + "\n".join(lines) + "\n")

"""Stage behind ``flowmrd doctor RUNDIR [-o BUNDLE.zip]``: a support bundle without identifiers and without events.

It holds only what is listed here: versions and machine class, the configuration without names and paths, the sample
sheet with every id replaced by a number, verdict classes with reason codes, sizes of result files, and the logs with
identifiers taken out (:mod:`flowmrd.stages.scrub_text`). No FCS keyword, no cell of a clinical table, no event, no MRD
level of a named sample. The numbers stay the same within one bundle, so that support can ask about ``S003``. The table
that leads back to the ids stays with the laboratory (``flowmrd doctor`` prints its path).
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any, Final

import yaml

from flowmrd.config.sheet import PriorTherapy, Role
from flowmrd.errors import ArtefactError
from flowmrd.home import PANELS
from flowmrd.stages.provenance import CONFIG, host_class, software
from flowmrd.stages.scrub_text import Scrubber, numbered
from flowmrd.store import atomic_path, write_text

BUNDLE: Final = Path("results/doctor/bundle.zip")
KEY: Final = Path("results/doctor/key.tsv")
MAX_LOG_BYTES: Final = 200_000
"""Bytes that are kept of a log, from its end."""

MAX_TOTAL_BYTES: Final = 20_000_000
LOG_FOLDERS: Final = ("results/logs", ".snakemake/log")
PATH_KEYS: Final = frozenset({"samples", "patients", "adverse_events", "path", "library", "csv", "laboratory"})
OWN_WORDS: Final = frozenset(
    {"", *(role.value for role in Role), *(therapy.value for therapy in PriorTherapy), "yes", "no", "unstained"}
)
WORDS: Final = re.compile(r"[^\W\d_]{3,}")
EPOCH: Final = (1980, 1, 1, 0, 0, 0)

README: Final = """Support bundle of flowmrd.

versions.json   software and kind of machine
config.yaml     configuration without names and paths
samples.tsv     sample sheet; ids are numbers, file names are left out
results.json    verdict classes and reason codes by numbered sample
files.tsv       result files and their sizes
logs/           ends of the logs, identifiers replaced

Identifiers were replaced by name where the sheets name them, and by shape (paths, dates, long numbers, quoted text,
words with letters outside ASCII) elsewhere. Please read through it before you send it.
"""


def doctor(run_directory: Path, out: Path | None = None) -> tuple[Path, Path]:
    """Write the bundle.

    Parameters
    ----------
    out
        Where to write it; ``results/doctor/bundle.zip`` by default.

    Returns
    -------
    tuple of Path
        The bundle, and the table from numbers to ids, which is not in the bundle and stays with the laboratory.

    Raises
    ------
    ArtefactError
        If this is not a run directory.
    """
    if not (run_directory / "config").is_dir() and not (run_directory / "results").is_dir():
        raise ArtefactError(
            str(run_directory),
            found="neither config nor results",
            expected="a run directory",
            todo="give the directory that 'flowmrd run' was called with",
        )
    config = _load_config(run_directory)
    rows = _sheet_rows(run_directory, config)
    known = _known_names(run_directory, config, rows)
    scrub = Scrubber(known, run_directory)
    members: dict[str, str] = {
        "README.txt": README,
        "versions.json": _json(
            {"software": software().model_dump(mode="json"), "host_class": host_class().model_dump(mode="json")}
        ),
        "config.yaml": _scrubbed_config(config, scrub),
        "samples.tsv": _scrubbed_sheet(run_directory, rows, scrub),
        "results.json": _json(_verdicts(run_directory, scrub)),
        "files.tsv": _file_list(run_directory, scrub),
        **_logs(run_directory, scrub),
    }
    bundle = out or run_directory / BUNDLE
    with atomic_path(bundle) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text.encode("utf-8"), zipfile.ZIP_DEFLATED)
    key = run_directory / KEY
    write_text(key, "".join(f"{number}\t{name}\n" for name, number in sorted(known.items(), key=lambda item: item[1])))
    return bundle, key


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def _load_config(run_directory: Path) -> dict[str, object]:
    """The configuration as far as it can be read, since a bundle is needed exactly when something is broken."""
    try:
        value = yaml.safe_load((run_directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return value if isinstance(value, dict) else {}


def _sheet_rows(run_directory: Path, config: dict[str, object], key: str = "samples") -> list[dict[str, str]]:
    """Rows of a sheet as they are, including malformed ones."""
    given = config.get(key) or f"config/{key}.tsv"
    try:
        text = (run_directory / str(given)).read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return []
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    header = [name.strip() for name in lines[0].split("\t")]
    rows = []
    if "patient" not in header:  # not separated by tabs, or no header: every cell may be a name
        return [{f"extra {n}": cell.strip() for n, cell in enumerate(re.split("[\t,;]", line))} for line in lines]
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        row = dict(zip(header, cells, strict=False))
        row.update({f"extra {number}": cell for number, cell in enumerate(cells[len(header) :])})
        rows.append(row)
    return rows


def _known_names(run_directory: Path, config: dict[str, object], rows: list[dict[str, str]]) -> dict[str, str]:
    """Every name in the sheets, with its number."""
    files, others = _files_and_other_words(run_directory, config, rows)
    laboratory = config.get("report")
    if isinstance(laboratory, dict) and isinstance(laboratory.get("laboratory"), str):
        others.append(laboratory["laboratory"])
    patients = [row.get("patient", "") for row in [*rows, *_sheet_rows(run_directory, config, "patients")]]
    known = {
        **numbered(filter(None, _clinical_words(run_directory, config)), "C"),
        **numbered(filter(None, others), "X"),
        **numbered(filter(None, files), "F"),
        **numbered(filter(None, patients), "P"),
        **numbered(filter(None, (row.get("sample", "") for row in rows)), "S"),
    }
    # Samples that were removed from the sheet still have results and logs under their names.
    for kind, letter in (("samples", "Z"), ("work", "Z"), ("laip", "Y")):
        gone = [path.name for path in sorted((run_directory / "results" / kind).glob("*")) if path.name not in known]
        known.update(numbered(gone, letter))
    return known


def _files_and_other_words(
    run_directory: Path, config: dict[str, object], rows: list[dict[str, str]]
) -> tuple[list[str], list[str]]:
    """Paths of the sheet with their parts, and the values of its other columns."""
    panels = {path.stem for path in PANELS.glob("*.yaml")}
    folder = (run_directory / str(config.get("samples") or "config/samples.tsv")).parent
    files: list[str] = []
    others: list[str] = []
    for row in rows:
        for column, cell in row.items():
            if column in ("sample", "patient") or cell in OWN_WORDS or cell in panels:
                continue
            if column not in ("fcs", "labels"):
                others.append(cell)
                continue
            path = Path(cell)
            files += [cell, str((folder / cell).resolve()), path.name, path.stem]
            files += [word for word in WORDS.findall(path.stem) if word != word.lower()]
            files += [part for part in path.parent.parts if part not in ("/", "..", ".", "fcs") and len(part) > 1]
    return files, others


def _clinical_words(run_directory: Path, config: dict[str, object]) -> list[str]:
    """Cells of the clinical tables that may identify a person."""
    return [
        cell
        for key in ("patients", "adverse_events")
        for row in _sheet_rows(run_directory, config, key)
        for column, cell in row.items()
        if column != "patient" and len(cell) > 3 and not cell.replace(".", "").isdigit() and cell not in OWN_WORDS
    ]


def _scrubbed_config(config: dict[str, object], scrub: Scrubber) -> str:
    def clean(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {
                (str(name) if key != "csv" else f"batch {number}"): clean(inner, "path" if key == "csv" else str(name))
                for number, (name, inner) in enumerate(value.items(), start=1)
            }
        if isinstance(value, list):
            return [clean(inner, key) for inner in value]
        if isinstance(value, str):
            return "<set>" if key in PATH_KEYS else scrub(value)
        return value if isinstance(value, bool | int | float | None) else "<value>"

    text: str = yaml.safe_dump(clean(config), sort_keys=False, allow_unicode=False)
    return text if config else "# the configuration is missing or cannot be read\n"


def _scrubbed_sheet(run_directory: Path, rows: list[dict[str, str]], scrub: Scrubber) -> str:
    columns = ("sample", "patient", "role", "panel", "timepoint", "specimen", "prior_therapy", "batch", "stain")
    lines = ["\t".join((*columns, "file", "bytes"))]
    for row in rows:
        cells = [scrub(row.get(column, "")) for column in columns]
        path = run_directory / "config" / row.get("fcs", "")
        kind = path.suffix.lower() if path.suffix.lower() in (".fcs", ".lmd") else "other"
        size = str(path.stat().st_size) if path.is_file() else "missing"
        lines.append("\t".join((*cells, kind, size)))
    return "\n".join(lines) + "\n"


def _verdicts(run_directory: Path, scrub: Scrubber) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted((run_directory / "results" / "samples").glob("*/mrd.json")):
        name = scrub.names(path.parent.name)
        try:
            value = json.loads(path.read_bytes())
            found[name] = {
                "class": scrub(str(value["verdict"]["class"])),
                "reasons": [scrub(str(reason["code"])) for reason in value["verdict"]["reasons"]],
            }
        except (ValueError, KeyError, TypeError):
            found[name] = {"class": "unreadable"}
    return found


def _file_list(run_directory: Path, scrub: Scrubber) -> str:
    results = run_directory / "results"
    lines = ["file\tbytes"]
    for path in sorted(results.rglob("*")):
        relative = path.relative_to(results)
        if path.is_file() and relative.parts[0] != "doctor":
            name = "/".join(scrub.names(part) for part in relative.parts)
            lines.append(f"{name}\t{path.stat().st_size}")
    return "\n".join(lines) + "\n"


def _logs(run_directory: Path, scrub: Scrubber) -> dict[str, str]:
    found: dict[str, str] = {}
    total = 0
    for folder in LOG_FOLDERS:
        paths = [
            path for path in (run_directory / folder).rglob("*") if path.is_file() and path.suffix in (".log", ".json")
        ]
        for path in sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, path.as_posix())):
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
                text = scrub(stream.read().decode("utf-8", "replace"))
            total += len(text)
            if total > MAX_TOTAL_BYTES:
                found["logs/CUT.txt"] = "Older logs were left out: the bundle would have become too large.\n"
                return found
            relative = path.relative_to(run_directory / folder)
            name = "/".join(scrub.names(part) for part in relative.parts)
            found[f"logs/{Path(folder).name}/{name}"] = text
    return found

"""Files that are written from the code, so that they cannot disagree with it.

``python -m flowmrd.cli.generated`` writes them, with ``--check`` it only says which are out of date (exit code 1):
``workflow/schemas/*.schema.yaml`` (JSON schema of configuration, panel, sample sheet row, mrd.json),
``docs/reference/*.md``, ``docs/thresholds.md``, ``docs/api.md``, and ``config/config.yaml`` with every key and its
default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flowmrd.classifier.parameters import ClassifierParameters, Section
from flowmrd.cli.api_page import api_page
from flowmrd.cli.messages_page import messages_page
from flowmrd.compare.comparison import Comparison
from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import COLUMNS, ID_PATTERN, REQUIRED, PriorTherapy, Role
from flowmrd.gating.flags import REQUIRED as REQUIRED_GATES
from flowmrd.home import REPOSITORY
from flowmrd.mrd.result import MrdResult
from flowmrd.mrd.specimen import SpecimenResult
from flowmrd.panel.gates import Gate
from flowmrd.panel.model import Channel, ChannelTransform, PanelModel
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.control_limits import ControlLimitsFile
from flowmrd.records.decisions import DecisionsFile
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import IngestFile
from flowmrd.records.monitoring import MonitoringFile
from flowmrd.records.quality import QualityFile
from flowmrd.records.references import GateReferenceFile, LaipFile, LibraryFile, ReferenceFile, TransformFile
from flowmrd.records.run import FailureFile, ManifestFile, ProvenanceFile
from flowmrd.records.selftest import SelftestFile
from flowmrd.records.simulation import SimulationFile
from flowmrd.records.validation import ValidationFile
from flowmrd.report.report_file import ReportFile
from flowmrd.review.log import LogEntry, LogHead
from flowmrd.review.model import ReviewFile
from flowmrd.store import read_json, write_text
from flowmrd.trial.result import TrialResult
from flowmrd.validate.series import MeasuredValidation

ABLATION = REPOSITORY / "docs" / "ablation.json"
"""Effect of every number of the classifier in words, as ``benchmarks.ablation`` stores it."""
NOTE = "written by 'make docs' from the code; edit the code, not this file"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


ARTEFACTS: dict[str, tuple[type[BaseModel], str]] = {
    "mrd": (MrdResult, "results/samples/<sample>/mrd.json"),
    "specimen": (SpecimenResult, "results/specimens/<specimen>.json"),
    "qc": (QualityFile, "results/samples/<sample>/qc.json"),
    "ingest": (IngestFile, "results/work/<sample>/ingest.json"),
    "gates": (GatesFile, "results/work/<sample>/gates.json"),
    "classification": (ClassificationFile, "results/work/<sample>/classification.json"),
    "laip": (LaipFile, "results/laip/<patient>/laip.json"),
    "library": (LibraryFile, "<library>/library.json"),
    "decisions": (DecisionsFile, "<file of review.decisions>"),
    "reference": (ReferenceFile, "results/reference/<panel>/reference.json"),
    "gate-reference": (GateReferenceFile, "results/reference/<panel>/gates.json"),
    "transform-reference": (TransformFile, "results/reference/<panel>/transform.json"),
    "trial": (TrialResult, "results/cohort/trial.json"),
    "report": (ReportFile, "results/samples/<sample>/report.json"),
    "validation": (ValidationFile, "results/validation/<panel>/validation.json"),
    "measured": (MeasuredValidation, "results/validation/<panel>/measured.json"),
    "agreement": (Comparison, "results/compare/agreement.json"),
    "simulation": (SimulationFile, "<simulated run>/simulation.json"),
    "monitoring": (MonitoringFile, "<folder>/monitoring/monitoring.json"),
    "control-limits": (ControlLimitsFile, "as report.control_limits names it"),
    "manifest": (ManifestFile, "results/manifest.json"),
    "provenance": (ProvenanceFile, "results/provenance.json"),
    "failure": (FailureFile, "results/logs/<stage>/<unit>.error.json"),
    "review": (ReviewFile, "review.json, as a report saves it"),
    "review-entry": (LogEntry, "results/review/log.jsonl, each line"),
    "review-head": (LogHead, "results/review/head.json"),
    "selftest": (SelftestFile, "<folder>/selftest.json"),
}
"""Name of a schema to the model of the artefact and where the file lies."""


def files() -> dict[Path, str]:
    """Every generated file, relative to the repository, and what it must hold."""
    schemas = Path("workflow/schemas")
    reference = Path("docs/reference")
    return {
        schemas / "config.schema.yaml": _schema(RunConfig.model_json_schema()),
        schemas / "panel.schema.yaml": _schema(PanelModel.model_json_schema()),
        **{
            schemas / f"{name}.schema.yaml": _schema(model.model_json_schema(by_alias=True))
            for name, (model, _) in ARTEFACTS.items()
        },
        schemas / "samples.schema.yaml": _schema(sheet_schema()),
        reference / "configuration.md": configuration_page(),
        reference / "sample-sheet.md": sheet_page(),
        reference / "panel.md": panel_page(),
        reference / "result.md": result_page(),
        reference / "artefacts.md": artefacts_page(),
        reference / "command-line.md": command_page(),
        reference / "messages.md": messages_page(NOTE),
        Path("docs/thresholds.md"): thresholds_page(),
        Path("docs/api.md"): api_page(NOTE),
        Path("config/config.yaml"): example_config(),
    }


def artefacts_page() -> str:
    """Markdown table of every JSON artefact: where it lies, its schema, what it is."""
    lines = [f"<!-- {NOTE} -->", "# JSON artefacts", ""]
    lines += [
        "Every file is checked against its model when it is written and when it is read; none has other fields.",
        "",
    ]
    lines += ["| file | schema | model | what it holds |", "|---|---|---|---|"]
    for name, (model, place) in ARTEFACTS.items():
        said = _cell((model.__doc__ or "").strip().partition("\n")[0])
        schema = f"[{name}](../../workflow/schemas/{name}.schema.yaml)"
        lines.append(f"| `{place}` | {schema} | `{model.__module__}.{model.__name__}` | {said} |")
    return "\n".join(lines) + "\n"


def sheet_schema() -> dict[str, Any]:
    """JSON schema of one row of the sample sheet."""
    choices = {"role": [role.value for role in Role], "prior_therapy": [therapy.value for therapy in PriorTherapy]}
    properties: dict[str, Any] = {}
    for name, text in COLUMNS.items():
        properties[name] = {"type": "string", "description": text}
        if name in ("sample", "patient"):
            properties[name]["pattern"] = f"^{ID_PATTERN.pattern}$"
        if name in choices:
            properties[name]["enum"] = choices[name]
    return {
        "title": "One row of the sample sheet",
        "type": "object",
        "properties": properties,
        "required": list(REQUIRED),
        "additionalProperties": False,
    }


def _schema(schema: dict[str, Any]) -> str:
    body = yaml.safe_dump({"$schema": DIALECT, **schema}, sort_keys=False, allow_unicode=True, width=110)
    return f"# {NOTE}\n{body}"


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=False)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _bounds(field: FieldInfo) -> str:
    words = {
        "gt": "above",
        "ge": "at least",
        "lt": "below",
        "le": "at most",
        "pattern": "pattern",
        "min_length": "length at least",
    }
    parts = []
    for part in field.metadata:
        for name, word in words.items():
            value = getattr(part, name, None)
            if value is not None:
                parts.append(f"{word} `{value}`" if name == "pattern" else f"{word} {value}")
    return ", ".join(parts)


def _choices(annotation: Any) -> list[str]:
    """Allowed words of a literal or an enumeration, whatever it is wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    found = []
    for argument in get_args(annotation):
        found += [argument] if isinstance(argument, str) else _choices(argument)
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _rows(model: type[BaseModel], *, required_word: str = "**required**") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.is_required():
            default = required_word
        else:
            value = _default(field)
            text = yaml.safe_dump(value, default_flow_style=True, width=10**6)
            default = "none" if value is None else f"`{text.strip().removesuffix('...').strip()}`"
        allowed = ", ".join(f"`{word}`" for word in _choices(field.annotation)) or _bounds(field)
        yield f"| `{name}` | {_cell(default)} | {_cell(allowed)} | {_cell(field.description or '')} |"


def _table(model: type[BaseModel]) -> list[str]:
    return ["| key | default | allowed | meaning |", "|---|---|---|---|", *_rows(model), ""]


def _section_model(field: FieldInfo) -> type[BaseModel] | None:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _summary(model: type) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def configuration_page() -> str:
    """Reference of ``config.yaml``."""
    lines = [f"<!-- {NOTE} -->", "# Configuration: `config/config.yaml`", ""]
    lines += ["Only `panel` and `samples` must be given. An unknown key is an error, with the nearest known one.", ""]
    lines += ["| key | default | meaning |", "|---|---|---|"]
    sections = []
    for name, field in RunConfig.model_fields.items():
        model = _section_model(field)
        default = "**required**" if field.is_required() else "see below" if model else f"`{_default(field)}`"
        lines.append(f"| `{name}` | {default} | {_cell(field.description or '')} |")
        if model:
            sections.append((name, model))
    for name, model in sections:
        lines += ["", f"## `{name}`", _summary(model), "", *_table(model)]
    return "\n".join(lines).rstrip() + "\n"


def sheet_page() -> str:
    """Reference of ``samples.tsv``."""
    lines = [f"<!-- {NOTE} -->", "# Sample sheet: `samples.tsv`", ""]
    lines += [
        "Tab separated, UTF-8, one tube per row, in the order of acquisition. Lines starting with `#` are skipped.",
        "",
    ]
    lines += ["| column | | meaning |", "|---|---|---|"]
    for name, text in COLUMNS.items():
        lines.append(f"| `{name}` | {'required' if name in REQUIRED else 'optional'} | {_cell(text)} |")
    lines += ["", "## Roles", "", "| role | what the tube is for |", "|---|---|"]
    lines += [
        "| `control` | marrow without B-ALL; all controls together say what is normal |",
        "| `diagnosis` | tube of a patient with active disease; says what this leukaemia looks like. Of several, the "
        "last row with leukaemic cells counts |",
        "| `followup` | tube that is judged |",
        "| `compensation` | single-stain tube; `stain` names the marker, or `unstained` |",
    ]
    return "\n".join(lines) + "\n"


def panel_page() -> str:
    """Reference of the panel files."""
    lines = [f"<!-- {NOTE} -->", "# Panel files: `panels/<name>.yaml`", "", _summary(PanelModel), ""]
    lines += [
        "Copy a shipped panel to `RUNDIR/panels/<name>.yaml`, change `name` and `version`, adapt channels and gates,",
        "and name it in `config.yaml`. A panel in use is never edited in place: make a new version.",
        "",
        f"Required gates: {', '.join(f'`{name}`' for name in REQUIRED_GATES)}, and a gate with `route: true`.",
        "`flowmrd panel check FILE --tubes TUBE.fcs` tells what is wrong before a run; the way through it is in",
        "[writing a panel](../guides/panel.md).",
        "",
        *_table(PanelModel),
        "## `channels`",
        _summary(Channel),
        "",
        *_table(Channel),
        "## `channels: transform`",
        _summary(ChannelTransform),
        "",
        *_table(ChannelTransform),
    ]
    for gate in get_args(get_args(Gate)[0]):
        method = get_args(gate.model_fields["method"].annotation)[0]
        lines += [f"## Gate `method: {method}`", _summary(gate), "", *_table(gate)]
    return "\n".join(lines).rstrip() + "\n"


def result_page() -> str:
    """Reference of ``mrd.json``."""
    lines = [f"<!-- {NOTE} -->", "# Result: `mrd.json`", ""]
    pending: list[tuple[str, type[BaseModel]]] = [("mrd.json", MrdResult)]
    seen: set[type] = set()
    while pending:
        title, model = pending.pop(0)
        if model in seen:
            continue
        seen.add(model)
        lines += [f"## `{title}`", _summary(model), "", "| field | meaning |", "|---|---|"]
        for name, field in model.model_fields.items():
            inner = _models_in(field.annotation)
            pending += [(field.alias or name, found) for found in inner]
            words = ", ".join(f"`{word}`" for word in _choices(field.annotation) if not inner)
            text = " ".join(filter(None, [field.description, words and f"One of {words}."]))
            lines.append(f"| `{field.alias or name}` | {_cell(text)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def command_page() -> str:
    """Reference of the command line."""
    from typer.main import get_command

    from flowmrd.cli.app import app

    lines = [f"<!-- {NOTE} -->", "# Command line", ""]
    lines += [
        "Exit codes: 0 done; 2 the input is wrong, the message says what to do; 1 a fault of flowmrd; 130 interrupted.",
        "",
    ]
    root = get_command(app)
    for path, command in _commands("flowmrd", root):
        text = " ".join((command.help or "").split())
        body, *examples = text.split("Example: ")
        lines += [f"## `{path}`", body.strip(), ""]
        if examples:
            lines += ["```", *(example.strip() for example in examples), "```", ""]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            shown = (
                ", ".join(parameter.opts) if parameter.opts and parameter.opts[0].startswith("-") else parameter.name
            )
            lines.append(f"- `{shown}`: {getattr(parameter, 'help', None) or ''}".rstrip())
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        yield from _commands(f"{path} {name}", child)


def thresholds_page() -> str:
    """Every number of the classifier with its source and its measured effect."""
    effects = read_json(ABLATION) if ABLATION.is_file() else {}
    lines = [f"<!-- {NOTE} -->", "# Numbers of the classifier", ""]
    lines += [
        "Each number is a field of `flowmrd.classifier.parameters.ClassifierParameters`. *Source* is a measurement, a",
        'citation, a key of the configuration, or "by hand" with the reason. *Effect* is what changed when',
        "`python -m benchmarks.ablation` halved and doubled the number on its development tubes. For a number that no",
        "development tube reads, `--guarded` ran the tests of its section in the same way and names those that failed;",
        "`--guarded --only NAME` does so for a number that changes nothing there.",
        "The development tubes are few and small: they do not reach limits such as the steps of a fit or the fewest",
        "cells, and they hold no doublets. So *nothing* and *not read* do not prove a number useless.",
        "`tests/structure` finds a number that no code reads.",
        "Marker shifts and spreads of blasts (332 patients) are a table of their own: `classifier/blast_prior.py`.",
        "",
    ]
    homes = _files_of_numbers()
    section = ""
    order = get_args(Section)
    for field in sorted(fields(ClassifierParameters), key=lambda one: order.index(one.metadata["section"])):
        facts = field.metadata
        if facts["section"] != section:
            section = facts["section"]
            lines += [
                f"## {section.capitalize()}",
                f"In `src/flowmrd/classifier/parameters/{homes[field.name]}`.",
                "",
                "| number | default | unit | what it decides | source | effect |",
            ]
            lines += ["|---|---|---|---|---|---|"]
        choice = isinstance(field.default, frozenset) or field.name.endswith("seed") or field.default == 0
        effect = "a choice: nothing to halve" if choice else effects.get(field.name, "not measured")
        cells = (
            f"`{field.name}`",
            f"`{_number(field.default)}`",
            facts["unit"],
            facts["meaning"],
            facts["source"],
            effect,
        )
        lines.append("| " + " | ".join(_cell(str(cell)) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _files_of_numbers() -> dict[str, str]:
    """Number of the classifier to the file in which it is a field."""
    homes: dict[str, str] = {}
    for theme in ClassifierParameters.__bases__:
        homes |= {name: f"{theme.__module__.rpartition('.')[2]}.py" for name in theme.__annotations__}
    return homes


def _number(value: object) -> str:
    """A default as it is written: digits in groups of three, sets as a list."""
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(item) for item in value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def example_config() -> str:
    """``config/config.yaml`` with the two required keys set and every other key commented out at its default."""
    lines = [
        "# Configuration of a run. Only 'panel' and 'samples' must be given; everything else is shown at its default.",
        "# Meaning and allowed values of every key: docs/reference/configuration.md",
        "panel: ino10",
        "samples: config/samples.tsv",
        "",
    ]
    for name, field in RunConfig.model_fields.items():
        if field.is_required():
            continue
        text = yaml.safe_dump({name: _default(field)}, sort_keys=False, allow_unicode=True, width=110)
        lines += [f"# {line}" for line in text.rstrip().splitlines()]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    stale = []
    for relative, text in files().items():
        path = REPOSITORY / relative
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(relative)
            if "--check" not in arguments:
                write_text(path, text)
    if "--check" in arguments and stale:
        print("out of date, run 'make docs':", *stale)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

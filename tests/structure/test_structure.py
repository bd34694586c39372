"""The shape of the repository: who may import whom, one environment in three files, no secrets of this machine."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path

import yaml

from flowmrd.cli.stages import OPTIONS_OF_UNIT
from flowmrd.engine.stage_table import STAGES, STEPS
from flowmrd.home import REPOSITORY

SOURCE = REPOSITORY / "src" / "flowmrd"
ROOMS = (
    ("errors", "units", "home", "threads"),
    ("flags",),
    ("config",),
    ("panel",),
    ("fcs",),
    ("store",),
    ("records",),
    ("preprocess",),
    ("gating",),
    ("tube",),
    ("classifier",),
    ("mrd",),
    ("simulate", "validate", "compare"),
    ("report", "trial", "review", "exchange"),
    ("run_files",),
    ("stages",),
    ("engine",),
    ("cli",),
)
"""Ground floor first, as in docs/architecture.md; an import may only point down or stay on its floor."""
FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("flowmrd."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("flowmrd.")}
    return found


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listing.split("\0") if name and (path := REPOSITORY / name).is_file()]


def test_imports_point_down_only() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)} imports {other}"
        for path in SOURCE.rglob("*.py")
        if (room := path.relative_to(SOURCE).parts[0].removesuffix(".py")) in FLOOR
        for other in imports_of(path)
        if FLOOR.get(other, -1) > FLOOR[room]
    ]
    assert wrong == []


def test_every_room_is_on_a_floor() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= set(FLOOR)


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCE.rglob("*.py")}


def imported_modules(path: Path) -> set[str]:
    """Modules of the package that a file imports, wherever in the file the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
    return (found & MODULES.keys()) - {module_name(path)}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or not (strongly connected components, Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            members: list[str] = []
            while not members or members[-1] != name:
                members.append(stack.pop())
            if len(members) > 1:
                found.append(sorted(members))

    for name in graph:
        if name not in order:
            visit(name)
    return found


def test_no_two_files_import_each_other() -> None:
    graph = {name: imported_modules(path) for name, path in MODULES.items()}
    assert circles(graph) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_class_name_stands_for_two_things() -> None:
    homes: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(name)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


MOST_BRANCHES = 20
BRANCHES = (ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.match_case)


def branches(function: ast.AST) -> int:
    """Ways through a function less one: ifs, loops, handlers, cases, comprehensions with their conditions, and/or."""
    count = 0
    for node in ast.walk(function):
        if isinstance(node, BRANCHES):
            count += 1
        elif isinstance(node, ast.comprehension):
            count += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
    return count


def test_no_function_branches_more_than_20_ways() -> None:
    found = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and branches(node) > MOST_BRANCHES:
                found[f"{name}.{node.name}"] = branches(node)
    assert found == {}


def test_branches_are_counted() -> None:
    source = "def f(x):\n    if x and not x or 1:\n        return [y for y in x if y]\n    return 1 if x else 2"
    assert branches(ast.parse(source)) == 6


LOOSE: dict[str, dict[str, int]] = {
    "a format of somebody else (plotly, Snakemake, FHIR, gates of other programs), or what people wrote": {
        "classifier/estimators.py": 2,
        "cli/generated.py": 4,
        "exchange/fhir.py": 1,
        "panel/draft.py": 1,
        "report/charts/plotly.py": 1,
        "review/importing.py": 1,
    },
    "what a template or a terminal is given to show": {
        "report/cohort_page.py": 1,
    },
}
"""Reason to the files in which a dictionary may hold anything, and how often; the numbers only get smaller."""


def test_a_dictionary_that_may_hold_anything_stands_only_where_it_is_said_why() -> None:
    allowed = {file: most for files in LOOSE.values() for file, most in files.items()}
    found = {
        file: f"{count}, {allowed.get(file, 0)} allowed: give it a model in flowmrd.records, or say why not in LOOSE"
        for path in SOURCE.rglob("*.py")
        if (count := path.read_text(encoding="utf-8").count("[str, Any]"))
        > allowed.get(file := path.relative_to(SOURCE).as_posix(), 0)
    }
    assert found == {}


PLAIN: frozenset[float] = frozenset({0, 1, 2, 0.5, 10})
"""Numbers of formulas: halves, squares, powers of ten."""
GUARDS: frozenset[float] = frozenset({1e-3, 1e-4, 1e-6, 1e-7, 1e-9, 1e-12, 1e-300, 0.01})
"""Numbers that keep a logarithm or a division finite."""
NOT_OF_THE_MODEL: dict[str, set[float]] = {
    "calibration": {0.025, 0.975, 1e6},  # 95 % interval; events per million
    "carry_over": {1e6},
    "catalogue": {8.3},  # linear signal at 0 decades
    "compact_groups": {30, 64, 0.25},  # bound of an exponent; block of memory; half of a squared half distance
    "control_judgement": {100.0, 200_000},  # ranks a laboratory's word above any score; limit of memory
    "estimators": {200_000},
    "group_evidence": {1e4},  # words
    "classification_record": {4, 5, 6},  # digits that are stored
    "laip_of_tubes": {4, 5},
    "marker_staining": {4},  # digits that are stored
    "mixture": {65_536, 4_096, 1_024, 60},  # blocks of memory; bound of an exponent
    "normal_reference": {200_000},
    "offscale_excess": {3, 6.0, 32},  # moments of a sum; tells random streams apart
    "patient_laip": {1e6},
    "phenotype_score": {99.0},
    "spike_in_raw_events": {8},  # tells random streams apart
    "separable_kinds": {40, 300, 20_000, 0.9},  # compares panels; no tube is judged by it
    "spike_in": {6, 7},  # digits of a share; tells random streams apart
    "staining_control": {0.95, 4},  # interval; digits
    "storage": {12},  # digits of a digest in a message
    "stored_library": {12},
    "tube_model": {12.0},  # variance of a uniform distribution
    "unknown_population": {31},
    "window_cells": {1e6},
}
"""Numbers of the classifier that decide nothing about a cell, by module."""


def test_every_number_of_the_classifier_that_decides_something_is_a_field_of_its_parameters() -> None:
    found = []
    for path in sorted((SOURCE / "classifier").glob("*.py")):
        if path.stem == "blast_prior":
            continue
        allowed = PLAIN | GUARDS | NOT_OF_THE_MODEL.get(path.stem, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value not in allowed:
                found.append(f"{path.name}:{node.lineno}: {node.value}")
    assert found == []


def test_every_number_of_the_classifier_is_read_somewhere() -> None:
    home = SOURCE / "classifier" / "parameters"
    named = {
        name
        for path in home.glob("*.py")
        for name in re.findall(r"^    (\w+): .* = number\(", path.read_text(encoding="utf-8"), re.M)
    }
    read = set[str]()
    for path in SOURCE.rglob("*.py"):
        if path.parent != home:
            read |= set(re.findall(r"\b\w+\b", path.read_text(encoding="utf-8")))
    assert len(named) > 200
    assert named - read == set()


def test_no_unfinished_code_is_tracked() -> None:
    words = re.compile(r"\b(TO" + "DO|FIX" + "ME|Not" + r"ImplementedError)\b|\bx" + r"fail\(")
    found = [str(path) for path in tracked("*.py", "*.smk", "Snakefile") if words.search(path.read_text())]
    assert found == []


def test_no_code_can_come_out_of_a_file_that_is_read() -> None:
    unsafe = re.compile(
        r"\bpickle\.|import pickle|joblib\.load|yaml\.load\(|allow_pickle=True|\beval\(|\bexec\(|shell=True"
    )
    found = [str(path) for path in SOURCE.rglob("*.py") if unsafe.search(path.read_text())]
    assert found == []


def locked(name: str) -> dict[str, str]:
    """Package to version of a lock file."""
    text = (REPOSITORY / name).read_text()
    return {canonical(package): version for package, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}


def canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_locks_pyproject_and_conda_environment_agree() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, wanted in (
        ("requirements.lock", [*project["dependencies"], *extras["install"]]),
        ("requirements-dev.lock", [*project["dependencies"], *(one for extra in extras.values() for one in extra)]),
    ):
        present = locked(lock)
        for requirement in wanted:
            match = re.match(r"([A-Za-z0-9._-]+)(.*)", requirement)
            assert match
            name, bounds = canonical(match[1]), match[2]
            assert name in present, f"{name} is not in {lock}"
            if bounds.startswith("=="):
                assert present[name] == bounds.removeprefix("=="), name
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert "-r requirements.lock" in pip
    assert "--require-hashes" in pip
    python = next(entry for entry in environment["dependencies"] if str(entry).startswith("python="))
    minimum = project["requires-python"].removeprefix(">=")
    assert python == f"python={minimum}"


def test_the_environment_of_users_has_the_versions_of_the_tested_one_and_no_tool_of_developers() -> None:
    users, developers = locked("requirements.lock"), locked("requirements-dev.lock")
    assert users.items() <= developers.items()
    assert not {"pytest", "mypy", "ruff", "playwright"} & users.keys()


def test_every_locked_package_is_pinned_by_hash_and_no_index_is_named() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-data.lock"):
        lock = (REPOSITORY / name).read_text()
        blocks = re.split(r"\n(?=[\w.-]+==)", lock)
        assert all("--hash=sha256:" in block for block in blocks if re.match(r"[\w.-]+==", block))
        assert "http" not in lock
        assert "--index-url" not in lock


def test_every_stage_has_its_entry_its_function_and_its_rule_with_the_same_options() -> None:
    """Only ``judge_gated``, another start of ``judge``, has no module of its own."""
    for name, step in STEPS.items():
        if name == "judge_gated":
            continue
        module = import_module(f"flowmrd.stages.{name}")
        if step.command is not None:
            given = (*OPTIONS_OF_UNIT[step.unit], *step.command.options)
            taken = list(signature(module.in_run).parameters.values())[1:]
            assert [option.name for option in given] == [one.name for one in taken], name
            assert [option.required for option in given] == [one.default is Parameter.empty for one in taken], name
    rules = {path.stem for path in (REPOSITORY / "workflow/rules").glob("*.smk")}
    assert rules == {*STAGES, "common"}


def test_the_root_snakefile_holds_the_default_target_itself() -> None:
    """A root file that only includes another is a silent no-op."""
    text = (REPOSITORY / "Snakefile").read_text()
    assert re.search(r"^rule all:", text, re.M)


def test_every_rule_has_log_memory_time_and_code_digest() -> None:
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        if path.stem == "common":
            continue
        text = path.read_text()
        for word in ("log:", "mem_mb=", "runtime=", "made_by=", "ensure(", "non_empty=True", "message:"):
            assert word in text, (path.name, word)


def test_every_caption_of_the_report_exists() -> None:
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for caption in re.findall(r'caption="\.\./report/([^"]+)"', path.read_text()):
            assert (REPOSITORY / "workflow/report" / caption).is_file()

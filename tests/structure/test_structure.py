"""The shape of the repository: who may import whom, one environment in three files, no secrets of this machine."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

from flowmrd.home import REPOSITORY

SOURCE = REPOSITORY / "src" / "flowmrd"
ROOMS = (
    ("errors", "units", "home"),
    ("flags",),
    ("config",),
    ("panel",),
    ("fcs",),
    ("store",),
    ("preprocess",),
    ("gating",),
    ("tube",),
    ("classifier",),
    ("mrd",),
    ("simulate", "validate", "compare"),
    ("report", "trial", "review", "exchange"),
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


def test_no_file_but_the_table_of_messages_is_longer_than_550_lines() -> None:
    long = [
        str(path.relative_to(REPOSITORY))
        for path in tracked("*.py")
        if path != SOURCE / "flags.py" and path.read_text().count("\n") > 550
    ]
    assert long == []


def test_nothing_is_left_undone() -> None:
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


def test_the_root_snakefile_holds_the_default_target_itself() -> None:
    """A root file that only includes another is a silent no-op."""
    text = (REPOSITORY / "Snakefile").read_text()
    assert re.search(r"^rule all:", text, re.M)


def test_every_rule_has_log_benchmark_memory_time_and_code_digest() -> None:
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        if path.stem == "common":
            continue
        text = path.read_text()
        for word in ("log:", "benchmark:", "mem_mb=", "runtime=", "made_by=", "ensure(", "non_empty=True", "message:"):
            assert word in text, (path.name, word)


def test_every_caption_of_the_report_exists() -> None:
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for caption in re.findall(r'caption="\.\./report/([^"]+)"', path.read_text()):
            assert (REPOSITORY / "workflow/report" / caption).is_file()

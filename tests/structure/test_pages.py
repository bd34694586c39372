"""Pages for people: their links lead somewhere, and their commands and files exist."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from flowmrd.cli.app import app
from flowmrd.home import REPOSITORY

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"```[^\n]*\n(.*?)```|``([^`]+)``|`([^`]+)`", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FOLDERS = ("src", "tests", "docs", "benchmarks", "panels", "workflow", "test_data", "examples", ".ci")
PLACES = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./{{}},-]+")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9-]*")
EXAMPLES = ("panels/mypanel.yaml",)
"""Names that stand for a user's own file."""


def pages() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "*.md"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [REPOSITORY / name for name in listing.split("\0") if name]


def said(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def headings(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def pieces_of_code(page: Path) -> Iterator[str]:
    for found in CODE.finditer(page.read_text(encoding="utf-8")):
        block, double, single = found.groups()
        for line in re.sub(r"\\\n", " ", block or double or single).splitlines() if block else [double or single]:
            yield re.sub(r"\s+", " ", line.split(" #")[0]).strip()


def test_every_link_of_a_page_leads_somewhere() -> None:
    broken = []
    for page in pages():
        for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            if link.startswith(("https://", "http://", "mailto:")):
                continue
            name, _, place = link.partition("#")
            target = page if not name else page.parent / name
            known = (
                target.suffix != ".md"
                or not place
                or place in map(anchor, headings(target) if target.is_file() else [])
            )
            if not target.exists() or not known:
                broken.append(f"{said(page)}: {link}")
    assert broken == []


BESIDE_TEXT = re.compile(r"^(?!\||    |#).*[.;:!?] (?:[-*] |#+ )[`*A-Za-z]", re.MULTILINE)
"""A list item or a heading that does not begin its line, as a program that fills lines leaves it."""


def test_every_list_item_and_heading_begins_its_line() -> None:
    found = [
        f"{said(page)}: {line.group()[:100]}"
        for page in pages()
        for line in BESIDE_TEXT.finditer(FENCE.sub("", page.read_text(encoding="utf-8")))
    ]
    for path in (REPOSITORY / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                found += [f"{path.name}: {line.group()[:100]}" for line in BESIDE_TEXT.finditer(text)]
    assert found == []


def test_no_page_has_a_section_twice() -> None:
    twice = []
    for page in pages():
        if said(page).startswith(("CHANGELOG", "docs/api", "docs/reference")):
            continue
        twice += [f"{said(page)}: {heading}" for heading, times in Counter(headings(page)).items() if times > 1]
    assert twice == []


def spelt_out(place: str) -> Iterator[str]:
    braces = re.search(r"\{([^}]*)\}", place)
    if braces is None:
        yield place
        return
    for one in braces.group(1).split(","):
        yield from spelt_out(place[: braces.start()] + one + place[braces.end() :])


def test_every_file_of_the_repository_that_a_page_names_exists() -> None:
    absent = []
    for page in pages():
        if said(page).startswith("CHANGELOG"):
            continue
        for code in pieces_of_code(page):
            for place in PLACES.findall(code):
                if place in EXAMPLES:
                    continue
                absent += [
                    f"{said(page)}: {one}"
                    for one in spelt_out(place.rstrip(".,"))
                    if not (REPOSITORY / one).exists() and not any(REPOSITORY.glob(one + "*"))
                ]
    assert absent == []


def option_names(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@cache
def command_tree() -> Any:
    return typer.main.get_command(app)


def flowmrd_calls(page: Path) -> Iterator[tuple[str, list[str]]]:
    for code in pieces_of_code(page):
        for found in re.finditer(r"(?:^|[ /;&|$(])flowmrd ([a-z][^;&|]*)", code):
            if not re.search(r"(?:podman|sif|apptainer|--tag|-t) flowmrd|flowmrd\.sif", code):
                yield code, found.group(1).split()


def unknown_part(words: list[str]) -> str:
    """What a command does not know; empty where it knows all."""
    command = command_tree()
    for word in words:
        if not hasattr(command, "commands"):
            break
        if word not in command.commands:
            return word
        command = command.commands[word]
    own = words[: words.index("--")] if "--" in words else words
    known = option_names(command)
    return next(
        (word.split("=")[0] for word in own if word.startswith("--") and word.split("=")[0].strip("[]") not in known),
        "",
    )


def test_every_command_that_a_page_shows_exists_with_its_options() -> None:
    unknown = [
        f"{said(page)}: {code} ({part})"
        for page in pages()
        if not said(page).startswith("CHANGELOG")
        for code, words in flowmrd_calls(page)
        if (part := unknown_part([word.strip("[]`.,:") for word in words]))
    ]
    assert unknown == []


def test_every_benchmark_that_a_page_names_exists_with_its_options() -> None:
    unknown = []
    for page in pages():
        if said(page).startswith("CHANGELOG"):
            continue
        for code in pieces_of_code(page):
            for name, rest in re.findall(r"python -m (benchmarks(?:\.\w+)+)([^;&|]*)", code):
                file = REPOSITORY / name.replace(".", "/")
                source = file.with_suffix(".py") if file.with_suffix(".py").is_file() else file / "__main__.py"
                if not source.is_file():
                    unknown.append(f"{said(page)}: {name}")
                    continue
                text = source.read_text(encoding="utf-8")
                unknown += [
                    f"{said(page)}: {name} {one}"
                    for one in OPTION.findall(rest)
                    if one != "--help" and f'"{one}"' not in text
                ]
    assert unknown == []


@pytest.mark.parametrize(
    "target", ["env", "demo", "test", "check", "docs", "install", "bundle", "accuracy", "inputs", "scale", "soak"]
)
def test_every_make_target_of_the_pages_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_links_and_commands_that_lead_nowhere_would_be_found() -> None:
    assert unknown_part(["run", "DIR", "--no-such-option"]) == "--no-such-option"
    assert unknown_part(["no-such-command"]) == "no-such-command"
    assert unknown_part(["review", "import", "DIR", "FILE", "--key", "KEY"]) == ""
    assert [anchor(one) for one in ("What fails, and why", "`make` it")] == ["what-fails-and-why", "make-it"]
    assert list(spelt_out("src/{a,b}.py")) == ["src/a.py", "src/b.py"]
    assert BESIDE_TEXT.search("- a tube of a run; - a matrix of another one")
    assert BESIDE_TEXT.search("as experts do. ## The tree is data")
    assert not BESIDE_TEXT.search("- a tube - or two - of a run")


def test_the_architecture_page_says_what_every_module_of_the_classifier_is_for() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| question | modules |") : page.index("Where to change what:")]
    folder = REPOSITORY / "src" / "flowmrd" / "classifier"
    modules = {path.stem for path in folder.iterdir() if not path.name.startswith(("_", "."))}
    assert Counter(re.findall(r"`([a-z_]+)`", table)) == Counter(modules)


def test_what_the_architecture_page_says_may_be_changed_stands_in_the_files_that_it_names() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| to change | file and function") : page.index("## The chain as functions")]
    folder = REPOSITORY / "src" / "flowmrd" / "classifier"
    files = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    rows = [line.split("|")[2:4] for line in table.splitlines()[2:] if line.startswith("|")]
    assert len(rows) >= 10
    for places, themes in rows:
        words = re.findall(r"`([a-z_]+)`", places)
        modules = [word for word in words if word in files]
        assert modules, places
        for word in words:
            assert word in modules or any(f"def {word}(" in files[module] for module in modules), word
        for theme in re.findall(r"`([a-z_]+)`", themes):
            assert (folder / "parameters" / f"{theme}.py").is_file(), theme


def test_the_architecture_page_names_every_module_of_the_engine_once() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| for | modules |") : page.index("Inside `cli`")]
    modules = {path.stem for path in (REPOSITORY / "src/flowmrd/engine").glob("*.py") if path.stem != "__init__"}
    named = Counter(re.findall(r"`([a-z_]+)`", table))
    named.subtract({"check": 1})  # the command
    assert +named == Counter(modules)

"""One registry of coded messages: every code that is raised has its entry, and every entry is raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from pydantic import TypeAdapter, ValidationError

from flowmrd import flags
from flowmrd.errors import InternalError
from flowmrd.flags import MEANINGS, REGISTRY, Effect, Flag, FlagKind, UnknownCodeError, by_rank, flag, kind_of
from flowmrd.home import REPOSITORY
from flowmrd.records.base import FlagEntry

SOURCE = REPOSITORY / "src" / "flowmrd"
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*|[a-z]+(_[a-z]+)*")
RAISERS = {"flag", "Flag", "Finding"}


def raising_calls() -> Iterator[tuple[Path, ast.AST, ast.Call]]:
    """Every call that makes a message, with the statement-level function or module around it."""
    for path in SOURCE.rglob("*.py"):
        if path == SOURCE / "flags.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISERS and node.args:
                inner = [scope for scope in scopes if scope.lineno <= node.lineno <= (scope.end_lineno or 0)]
                yield path, (inner[-1] if inner else tree), node


def imports_the_registry(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "flowmrd.flags" in text or "flowmrd.fcs.findings" in text


def fields_of(code: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(REGISTRY[code].sentence) if name}


def test_every_code_that_is_raised_has_an_entry_with_the_values_it_is_given() -> None:
    seen = 0
    for path, _, call in raising_calls():
        if not imports_the_registry(path) or not isinstance(call.args[0], ast.Constant):
            continue
        code = str(call.args[0].value)
        where = f"{path.relative_to(REPOSITORY)}:{call.lineno}"
        assert code in REGISTRY, f"{where}: {code} has no entry in flowmrd.flags.REGISTRY"
        assert isinstance(call.func, ast.Name)
        if call.func.id == "flag" and all(keyword.arg for keyword in call.keywords):
            assert {keyword.arg for keyword in call.keywords} == fields_of(code), where
        seen += 1
    assert seen > 60


def test_a_code_that_stands_in_a_variable_comes_from_constants_that_have_entries() -> None:
    for path, scope, call in raising_calls():
        if not imports_the_registry(path) or isinstance(call.args[0], ast.Constant | ast.Attribute):
            continue
        named = {
            node.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"[A-Z0-9_]{6,}", node.value)
        }
        assert named <= set(REGISTRY), f"{path.relative_to(REPOSITORY)}:{call.lineno}"


def test_every_entry_is_raised_somewhere() -> None:
    constants = {
        node.value
        for path in SOURCE.rglob("*.py")
        if path != SOURCE / "flags.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(REGISTRY) - constants == set()


def test_every_entry_can_be_read_and_what_can_end_in_doubt_asks_a_question() -> None:
    for code, kind in REGISTRY.items():
        assert CODE.fullmatch(code), code
        assert kind.sentence, code
        assert kind.step == "" or kind.step.endswith("."), code
        if kind.effect in {Effect.DOUBT, Effect.NO_POSITIVE, Effect.NO_NEGATIVE}:
            assert kind.question.endswith("?"), code
            assert kind.step, code
        if kind.effect in {Effect.FAILURE, Effect.NOT_SENSITIVE}:
            assert kind.step, code


def test_an_unknown_code_or_a_missing_value_is_an_error() -> None:
    with pytest.raises(UnknownCodeError, match="NO_SUCH_CODE"):
        flag("NO_SUCH_CODE")
    with pytest.raises(InternalError, match="share"):
        flag("TIME_UNSTABLE")
    with pytest.raises(ValidationError):
        TypeAdapter(Flag).validate_python({"code": "NO_SUCH_CODE", "message": "x"})
    assert kind_of("TIME_UNSTABLE").tone == "fail"


def test_a_flag_survives_its_file_and_is_ranked_by_the_registry() -> None:
    made = flag("TIME_UNSTABLE", share=0.4)
    assert made.message == "The signal was disturbed in 40.0% of the run; acquire the tube again."
    assert FlagEntry.of(made).flag == made
    late, early = flag("NO_TIME_CHANNEL"), flag("NO_CONTROLS")
    assert by_rank([late, made, early, late]) == [made, early, late]


def test_the_example_in_the_description_of_the_registry_is_an_entry_of_it() -> None:
    description = flags.__doc__ or ""
    written = re.search(r"    FlagKind\(.*?\n    \)", description, re.DOTALL)
    assert written
    kind = eval(written.group().strip(), {"FlagKind": FlagKind, "Effect": Effect})
    given = dict(re.findall(r'(\w+)="(\w+)"', description[written.end() :]))
    assert kind.sentence.format(**given) == "CD10 and CD20 look exchanged in this tube."


def test_the_page_of_messages_has_every_code_and_every_effect_its_meaning() -> None:
    page = (REPOSITORY / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
    assert [code for code in REGISTRY if f"`{code}`" not in page] == []
    assert list(MEANINGS) == list(Effect)


def test_every_number_of_cells_in_a_message_has_its_thousands_apart() -> None:
    counts = {"events", "least", "limit", "kept", "spiked", "quantify", "denominator", "carriers", "same", "steps"}
    decimals = {"STAINING_SHIFTED", "SPILLOVER_ILL_CONDITIONED"}
    plain = [
        (code, name)
        for code, kind in REGISTRY.items()
        if code not in decimals and "banner" in kind.places | {"banner" if kind.effect is Effect.ANSWER else ""}
        for _, name, form, _ in Formatter().parse(kind.sentence)
        if name in counts and form != ","
    ]
    assert plain == []
    assert "12,345 clustered events" in flag("QUANTIFIED", events=12345, denominator=10**6, low="", high="").message

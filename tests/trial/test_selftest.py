"""The self-test fails where something is wrong and passes where nothing is."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from flowmrd.cli import selftest
from flowmrd.cli.app import call
from flowmrd.cli.selftest import GOLDEN, installation_checks, lines, pipeline_checks, statistics_checks
from flowmrd.records.selftest import CheckEntry, GoldenFile
from flowmrd.store import read_json


@pytest.fixture
def golden() -> dict[str, Any]:
    found: dict[str, Any] = read_json(GOLDEN)
    return found


def compared(found: dict[str, Any], golden: dict[str, Any]) -> list[CheckEntry]:
    return pipeline_checks(*(TypeAdapter(GoldenFile).validate_python(one) for one in (found, golden)))


def failed(found: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    return [check.name for check in compared(found, golden) if not check.passed]


def test_golden_results_agree_with_themselves(golden: dict[str, Any]) -> None:
    assert golden
    assert failed(golden, golden) == []


def test_statistics_agree_with_published_values() -> None:
    assert [check.name for check in statistics_checks() if not check.passed] == []


def test_package_of_another_version_fails_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(check.passed for check in installation_checks())
    monkeypatch.setattr("flowmrd.stages.provenance.installed_packages", lambda: {"numpy": "1.0"})
    monkeypatch.setattr("flowmrd.stages.provenance.locked_packages", lambda: {"numpy": "2.0"})
    failures = [check for check in installation_checks() if not check.passed]
    assert [check.found for check in failures] == ["numpy 1.0"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("class", "POSITIVE"), ("mrd_negative", True), ("truth", {"events": 1, "nucleated": 1, "mrd_events": 1})],
)
def test_the_selftest_fails_on_another_verdict_or_truth(golden: dict[str, Any], key: str, value: object) -> None:
    changed = copy.deepcopy(golden)
    changed["P01-day21"][key] = value
    assert failed(changed, golden) == [f"P01-day21 {key}"]


def test_count_beyond_the_tolerance_fails_and_within_passes(golden: dict[str, Any]) -> None:
    changed = copy.deepcopy(golden)
    counts = changed["P02-day21"]["counts"]
    counts["mrd_events"] += selftest.COUNT_FLOOR
    assert failed(changed, golden) == []
    counts["mrd_events"] += 1
    assert failed(changed, golden) == ["P02-day21 mrd_events"]


def test_a_missing_tube_fails_the_selftest(golden: dict[str, Any]) -> None:
    changed = {name: tube for name, tube in golden.items() if name != "CTRL01"}
    assert failed(changed, golden) == ["tubes"]


def test_the_selftest_names_what_failed(golden: dict[str, Any]) -> None:
    changed = copy.deepcopy(golden)
    changed["P01-day21"]["class"] = "POSITIVE"
    text = lines(compared(changed, golden))
    assert text[0].startswith("FAILED operation: P01-day21 class: found POSITIVE, expected ")


@pytest.mark.workflow
def test_installation_under_test_gives_the_golden_results(tmp_path: Path) -> None:
    passed, checks = selftest.selftest(call, tmp_path)
    assert passed, lines(checks)
    assert read_json(tmp_path / "selftest.json")["passed"] is True

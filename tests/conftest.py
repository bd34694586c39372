"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["browser"]

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the optional shared data; tests that need it are skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the optional shared data (../shared/data) is not here")
    return folder


MUST_RUN = frozenset({"browser", "slurm"})
"""Markers of tests that need programs from outside; where ``FLOWMRD_CI`` is set, skipping one fails the session."""

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note skipped tests that must run in continuous integration."""
    if report.skipped and MUST_RUN & set(report.keywords) and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session for tests that continuous integration must not skip."""
    if os.environ.get("FLOWMRD_CI") and _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name them."""
    if os.environ.get("FLOWMRD_CI") and _skipped:
        terminalreporter.section("skipped, but required here (FLOWMRD_CI)", red=True)
        for name in _skipped:
            terminalreporter.line(name)

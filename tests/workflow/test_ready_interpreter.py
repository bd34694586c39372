"""Jobs of a run on one machine are forked from one interpreter, and cannot be told from jobs of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowmrd.engine import ready_client
from flowmrd.engine.ready_interpreter import PREFIX, VARIABLE, ready_interpreter, shell_function
from flowmrd.home import REPOSITORY

CLIENT = Path(ready_client.__file__)


@dataclass(frozen=True)
class Ready:
    """A ready interpreter of a copy of the package."""

    package: Path
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        """A command that is sent to it."""
        return [sys.executable, "-I", "-S", str(CLIENT), *words]

    def send(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Send a command and wait for its end."""
        return subprocess.run(
            self.command(*words), env=self.environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    folder = tmp_path_factory.mktemp("ready")
    package = Path(shutil.copytree(REPOSITORY / "src" / "flowmrd", folder / "src" / "flowmrd"))
    own = folder / "bin" / "flowmrd"
    own.parent.mkdir()
    own.write_text('#!/bin/sh\necho "an interpreter of its own: $*"\n')
    own.chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(package.parent),
        "PATH": f"{own.parent}{os.pathsep}{os.environ['PATH']}",
    }
    with ready_interpreter(environment, cwd=folder) as given:
        while not Path(given[VARIABLE]).exists():  # a sender that comes before this would start its own
            time.sleep(0.05)
        yield Ready(package, given)


def test_a_command_has_its_output_its_folder_and_its_exit_code(ready: Ready, tmp_path: Path) -> None:
    said = ready.send("--version", cwd=tmp_path)
    assert said.returncode == 0 and said.stdout.startswith("flowmrd "), said.stderr
    wrong = ready.send("judge", "--sample", "P1", "--reference", "r.json", cwd=tmp_path)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ")
    assert ready.send("--no-such-option", cwd=tmp_path).returncode == 2


def test_nothing_works_on_after_its_sender_was_killed(ready: Ready, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    sender = subprocess.Popen(
        ready.command("watch", str(tmp_path), "--from", str(folder), "--every", "600"),
        env=ready.environment,
        cwd=tmp_path,
    )

    def at_work() -> list[Path]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve() == tmp_path.resolve() and process.name != str(sender.pid):
                    found.append(process)
            except OSError:
                continue
        return found

    _wait_until(lambda: bool(at_work()))
    sender.kill()
    sender.wait()
    _wait_until(lambda: not at_work())


def test_a_sender_without_a_ready_interpreter_starts_its_own(ready: Ready, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ready_client.LIFELINE)
    alone = Ready(ready.package, {**ready.environment, VARIABLE: str(tmp_path / "gone")})
    launcher = os.open(tmp_path / ready_client.LIFELINE, os.O_RDWR)
    fcntl.flock(launcher, fcntl.LOCK_EX)
    said = alone.send("cohort", "--run", "x", cwd=tmp_path)
    os.close(launcher)
    assert said.stdout == "an interpreter of its own: cohort --run x\n"


@pytest.mark.parametrize("left", [True, False])
def test_a_job_that_comes_after_the_launchers_end_starts_nothing(ready: Ready, tmp_path: Path, left: bool) -> None:
    if left:
        os.mkfifo(tmp_path / ready_client.LIFELINE)
    late = Ready(ready.package, {**ready.environment, VARIABLE: str(tmp_path / "ready")})
    said = late.send("cohort", "--run", "x", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (ready_client.ENDED_WITHOUT_A_WORD, "")


def test_changed_code_is_run_by_an_interpreter_of_its_own(ready: Ready, tmp_path: Path) -> None:
    file = ready.package / "units.py"
    before = file.read_text()
    try:
        file.write_text(before + "\n# changed\n")
        assert ready.send("--version", cwd=tmp_path).stdout == "an interpreter of its own: --version\n"
    finally:
        file.write_text(before)
    assert ready.send("--version", cwd=tmp_path).stdout.startswith("flowmrd ")


def test_the_ready_interpreter_ends_with_the_run_and_leaves_nothing() -> None:
    with ready_interpreter(os.environ, cwd=REPOSITORY) as given:
        place = Path(given[VARIABLE])
        assert place.parent.is_dir()
        assert place.parent.stat().st_mode & 0o077 == 0
    assert not place.parent.exists()


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_that_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders = {name: tmp_path / f"{PREFIX}{name}" for name in ("killed", "used", "young")}
    elsewhere = tmp_path / "somebody-elses"
    for folder in (*folders.values(), elsewhere):
        folder.mkdir()
        (folder / "ready").touch()
        hour_ago = time.time() - 3600.0
        os.utime(folder, None if folder == folders["young"] else (hour_ago, hour_ago))
    (tmp_path / f"{PREFIX}link").symlink_to(elsewhere)
    used = os.open(folders["used"], os.O_RDONLY)
    fcntl.flock(used, fcntl.LOCK_SH)
    with ready_interpreter(dict(os.environ), cwd=REPOSITORY):
        left = sorted(
            path.name for path in tmp_path.iterdir() if path.name.endswith(("killed", "used", "young", "link"))
        )
    os.close(used)
    assert left == [f"{PREFIX}link", f"{PREFIX}used", f"{PREFIX}young"]
    assert (elsewhere / "ready").is_file()


def test_without_a_ready_interpreter_the_rules_shells_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert shell_function() == ""


def _wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)

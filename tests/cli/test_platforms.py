"""What happens on a machine that flowmrd does not run on, and what a bundle installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flowmrd.cli.bundle import write_lock


def test_on_windows_the_command_says_what_to_do_instead_of_a_missing_module() -> None:
    script = "import sys; sys.platform = 'win32'; import flowmrd.cli"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Windows Subsystem for Linux" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lock_of_a_bundle_names_every_wheel_by_its_hash(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "Some_Package-1.2-py3-none-any.whl").write_bytes(b"a wheel")
    write_lock(wheels, tmp_path / "requirements.lock")
    assert (tmp_path / "requirements.lock").read_text() == (
        "some-package==1.2 --hash=sha256:69f51477f05c46bfa5ff0027a1fcde274695311a38adfb85611ffeb93c8b146b\n"
    )

"""An installation that needs no network: ``python -m flowmrd.cli.bundle FOLDER`` (``make bundle``).

Holds a wheel of every locked package, a lock file with the hashes of these wheels, the sources of flowmrd at the commit
that is checked out, and ``install.sh``. The bundle fits the platform and the Python version that it was made with. It
is checked at once: ``install.sh`` makes an environment in a temporary folder, without an index and, where the system
allows it, without a network.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from flowmrd.home import REPOSITORY

LOCKS = ("requirements.lock", "requirements-data.lock")
INSTALL = """#!/usr/bin/env bash
# Installs flowmrd from this folder, without a network: bash install.sh TARGET
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:?give the folder to install into}
python=${PYTHON:-python3}
mkdir -p "$target"
tar -xf "$here/flowmrd.tar" -C "$target"
"$python" -m venv "$target/.venv"
export PIP_NO_INDEX=1 PIP_FIND_LINKS="$here/wheels" PIP_DISABLE_PIP_VERSION_CHECK=1
"$target/.venv/bin/python" -m pip install --quiet --require-hashes -r "$here/requirements.lock"
cd "$target"
make --no-print-directory install PYTHON=.venv/bin/python DATA_LOCK="$here/requirements-data.lock"
touch .venv/.installed
.venv/bin/flowmrd --version
"""


def make_bundle(folder: Path) -> None:
    """Write the bundle into a new folder."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    for lock in LOCKS:
        target = wheels if lock == LOCKS[0] else folder / "data"
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*command, "--require-hashes", "--wheel-dir", str(target), "-r", str(REPOSITORY / lock)])
        write_lock(target, folder / lock)
    for wheel in (folder / "data").iterdir():
        shutil.move(wheel, wheels / wheel.name)
    (folder / "data").rmdir()
    _run(["git", "-C", str(REPOSITORY), "archive", "--output", str((folder / "flowmrd.tar").resolve()), "HEAD"])
    script = folder / "install.sh"
    script.write_text(INSTALL, encoding="utf-8")
    script.chmod(0o755)


def check_bundle(folder: Path) -> bool:
    """Install the bundle into a temporary folder; return whether that was done with the network off."""
    alone = ["unshare", "--net"] if shutil.which("unshare") and _works(["unshare", "--net", "true"]) else []
    with tempfile.TemporaryDirectory() as temporary:
        _run([*alone, "bash", str(folder / "install.sh"), str(Path(temporary) / "flowmrd")])
    return bool(alone)


def write_lock(wheels: Path, lock: Path) -> None:
    """A lock of exactly these wheels: packages built from sources have other hashes than in the repository."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{re.sub(r'[-_.]+', '-', name).lower()}=={version} --hash=sha256:{digest}")
    lock.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, env=environment)  # noqa: S603


def main() -> None:
    """Make and check a bundle in the folder of the first argument."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "bundle")
    if folder.exists():
        sys.exit(f"error: {folder} is there already; remove it or name another folder")
    make_bundle(folder)
    alone = check_bundle(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    how = "with the network off" if alone else "without an index"
    print(f"{folder}: {size:.0f} MB; installed {how} into a new environment")  # noqa: T201


if __name__ == "__main__":
    main()

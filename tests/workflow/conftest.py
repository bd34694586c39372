"""Run directories of simulated tubes, and the workflow run on them for real.

Where ``FLOWMRD_TEST_RUNS`` names a folder, these are made once for all test processes (``tests/side_by_side.py``). Each
state of the code has a subfolder of its own, so that a run made by other code is never taken for one of this code.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from flowmrd.engine.code_digest import package_digest
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from workflow.runs import flowmrd, snakemake

Made = Callable[[str, Callable[[Path], None]], Path]


def code_state() -> str:
    """Digest of all that decides what a run makes: package, workflow, panels, and the recipes of this file."""
    files = [REPOSITORY / "Snakefile", Path(__file__)]
    for folder in (REPOSITORY / "workflow", PANELS):
        files += (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    total = hashlib.sha256(package_digest().encode())
    for path in sorted(files):
        total.update(str(path.relative_to(REPOSITORY)).encode() + path.read_bytes())
    return total.hexdigest()[:16]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run directory of a name, made by the first process that needs it while the others wait; each gets a copy."""
    given = os.environ.get("FLOWMRD_TEST_RUNS")
    folder = Path(given) / code_state() if given else tmp_path_factory.mktemp("made-once")
    folder.mkdir(parents=True, exist_ok=True)

    def run_directory(name: str, make: Callable[[Path], None]) -> Path:
        run, done = folder / name / "run", folder / name / "done"
        run.parent.mkdir(exist_ok=True)
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.is_file():
                shutil.rmtree(run, ignore_errors=True)  # of a process that failed
                make(run)
                done.touch()
        return Path(shutil.copytree(run, tmp_path_factory.mktemp(name) / "run", symlinks=True))

    return run_directory


def simulate_small(run: Path, **seed: int) -> None:
    simulate(run, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=6000, **seed)


@pytest.fixture(scope="session")
def simulated(made_once: Made) -> Path:
    """A run directory with small simulated tubes, not run. Copy it, do not change it."""
    return made_once("simulated", simulate_small)


@pytest.fixture(scope="session")
def drawn_again(made_once: Made) -> Path:
    """FCS files of the same names as in ``simulated`` with other cells: a tube acquired once more."""
    return made_once("drawn-again", lambda run: simulate_small(run, seed=99)) / "fcs"


@pytest.fixture(scope="session")
def finished(simulated: Path, made_once: Made) -> Path:
    """The same after ``snakemake --directory``. Copy it, do not change it."""

    def make(run: Path) -> None:
        shutil.copytree(simulated, run)
        done = snakemake(run)
        assert done.returncode == 0, done.stdout + done.stderr

    return made_once("finished", make)


@pytest.fixture(scope="session")
def pair(simulated: Path, made_once: Made) -> Path:
    """A run directory of one control and one follow-up tube, not run. Copy it, do not change it."""

    def make(run: Path) -> None:
        lines = (simulated / "config/samples.tsv").read_text().splitlines()
        tubes = ("CTRL01", "P01-day21")
        for name in ("config", "fcs"):
            (run / name).mkdir(parents=True)
        for tube in tubes:
            shutil.copyfile(simulated / f"fcs/{tube}.fcs", run / f"fcs/{tube}.fcs")
        kept = [line for line in lines[1:] if line.split("\t")[0] in tubes]
        (run / "config/samples.tsv").write_text("\n".join([lines[0], *kept]) + "\n")
        (run / "config/config.yaml").write_text(
            "panel: ino10\nsamples: config/samples.tsv\nreference: {min_controls: 1}\n"
        )

    return made_once("pair", make)


@pytest.fixture(scope="session")
def finished_pair(pair: Path, made_once: Made) -> Path:
    """The same after an undisturbed run."""

    def make(run: Path) -> None:
        shutil.copytree(pair, run)
        done = flowmrd("run", run, "--cores", 2)
        assert done.returncode == 0, done.stdout + done.stderr

    return made_once("finished-pair", make)


@pytest.fixture
def few(simulated: Path, tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Make a run directory of some of the simulated tubes; one control is enough for its reference."""

    def make(tubes: Sequence[str]) -> Path:
        folder = tmp_path / "few"
        (folder / "config").mkdir(parents=True)
        lines = (simulated / "config/samples.tsv").read_text().splitlines()
        kept = [line.replace("../fcs", str(simulated / "fcs")) for line in lines[1:] if line.split("\t")[0] in tubes]
        (folder / "config/samples.tsv").write_text("\n".join([lines[0], *kept]) + "\n")
        (folder / "config/config.yaml").write_text(
            "panel: ino10\nsamples: config/samples.tsv\nreference: {min_controls: 1}\n"
        )
        return folder

    return make

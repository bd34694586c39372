"""Run directories of simulated tubes, and the workflow run on them for real."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from workflow.runs import flowmrd, snakemake


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with small simulated tubes, not run. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("simulated") / "run"
    simulate(folder, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=6000)
    return folder


@pytest.fixture(scope="session")
def drawn_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FCS files of the same names as in ``simulated`` with other cells: a tube acquired once more."""
    folder = tmp_path_factory.mktemp("drawn-again") / "run"
    simulate(folder, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=6000, seed=99)
    return folder / "fcs"


@pytest.fixture(scope="session")
def finished(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after ``snakemake --directory``. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(simulated, folder)
    run = snakemake(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def pair(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of one control and one follow-up tube, not run. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    lines = (simulated / "config/samples.tsv").read_text().splitlines()
    tubes = ("CTRL01", "P01-day21")
    for name in ("config", "fcs"):
        (folder / name).mkdir(parents=True)
    for tube in tubes:
        shutil.copyfile(simulated / f"fcs/{tube}.fcs", folder / f"fcs/{tube}.fcs")
    kept = [line for line in lines[1:] if line.split("\t")[0] in tubes]
    (folder / "config/samples.tsv").write_text("\n".join([lines[0], *kept]) + "\n")
    (folder / "config/config.yaml").write_text(
        "panel: ino10\nsamples: config/samples.tsv\nreference: {min_controls: 1}\n"
    )
    return folder


@pytest.fixture(scope="session")
def finished_pair(pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after an undisturbed run."""
    folder = tmp_path_factory.mktemp("finished-pair") / "run"
    shutil.copytree(pair, folder)
    run = flowmrd("run", folder, "--cores", 2)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


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

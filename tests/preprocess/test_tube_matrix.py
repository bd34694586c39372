"""A single tube may have a compensation of its own (``compensation: {tubes: {SAMPLE: ...}}``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.cli.check import _files_beside
from flowmrd.config import RunConfig, Sample
from flowmrd.config.run import CompensationConfig
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import RunRequest, check_header
from flowmrd.engine.run_faults import unknown_names
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import TubeSpec, simulate_tube
from flowmrd.tube import Tube
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube


@pytest.fixture(scope="module")
def fcs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tube") / "tube.fcs"
    write_tube(path, simulate_tube(TubeSpec(3_000, person_seed=5), load_panel("vienna_b8"), 5))
    return path


def config(**tubes: str) -> RunConfig:
    return RunConfig(panel="vienna_b8", samples="", compensation=CompensationConfig(tubes=tubes))


def read(fcs: Path, name: str, settings: RunConfig, spillover: Path | None = None) -> Tube:
    return preprocess(
        read_tube(fcs, load_panel("vienna_b8"), name=name), settings, spillover=spillover, base=fcs.parent
    )


def table(fcs: Path, name: str, spill: float) -> Path:
    made = simulate_tube(TubeSpec(10, person_seed=5), load_panel("vienna_b8"), 5)
    names = [detector.pnn for detector in made.cytometer.fluorescence]
    matrix = np.where(made.cytometer.spill == 1, 1.0, made.cytometer.spill * spill)
    rows = [f"{one},{','.join(f'{value:g}' for value in row)}" for one, row in zip(names, matrix, strict=True)]
    path = fcs.parent / name
    path.write_text("\n".join([f",{','.join(names)}", *rows]) + "\n")
    return path


def source(tube: Tube) -> str:
    assert tube.qc is not None
    return tube.qc.compensation.source


def test_a_tube_with_a_compensation_of_its_own_has_it_and_the_others_that_of_the_run(fcs: Path) -> None:
    own = table(fcs, "own.csv", 1.02)
    settings = config(T1="own.csv", T2="none")
    assert "own.csv" in source(read(fcs, "T1", settings))
    assert source(read(fcs, "T2", settings)) == "none"
    assert source(read(fcs, "T3", settings)) == source(read(fcs, "T3", config()))
    assert "own.csv" not in source(read(fcs, "T3", settings))
    controls = table(fcs, "controls.csv", 1.01)
    assert "own.csv" in source(read(fcs, "T1", settings, spillover=controls))
    assert "controls.csv" in source(read(fcs, "T3", settings, spillover=controls))
    assert own.is_file()


def test_the_check_before_a_run_uses_the_tubes_own_matrix_and_knows_what_it_depends_on(fcs: Path) -> None:
    table(fcs, "own.csv", 1.02)
    asked, plain = RunRequest(config(T1="own.csv"), fcs.parent), RunRequest(config(), fcs.parent)
    row = Sample("T1", "P", Role.FOLLOWUP, fcs)
    check_header(fcs, load_panel("vienna_b8"), row, asked)
    assert asked.key(row) != plain.key(row)


def test_a_misspelt_tube_and_a_missing_table_are_reported_by_check(tmp_path: Path) -> None:
    rows = [Sample("T1", "P", Role.FOLLOWUP, tmp_path / "t.fcs")]
    settings = config(T1="nowhere.csv", T9="none").model_copy(update={"samples": "config/samples.tsv"})
    told = [str(problem) for problem in _files_beside(rows, settings, tmp_path)]
    assert any("compensation.tubes.T1" in text for text in told)
    assert any("T9" in str(fault) for fault in unknown_names(rows, settings, tmp_path))

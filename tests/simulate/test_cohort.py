"""Promises of a simulated run directory and of the presets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from flowmrd.cli.demo import write_pooled
from flowmrd.config import load_config
from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import PriorTherapy, Role, read_sheet
from flowmrd.errors import ConfigError
from flowmrd.fcs.reader import read_fcs
from flowmrd.fcs.spillover import read_spillover
from flowmrd.home import PANELS
from flowmrd.panel.load import load_panel
from flowmrd.panel.model import PanelModel
from flowmrd.simulate.cohort import truth_path, write_tube
from flowmrd.simulate.design import FollowUp, patients, plan_preset
from flowmrd.simulate.tube import TubeSpec, simulate_tube
from flowmrd.stages.simulate import simulate
from flowmrd.store import open_columns, read_json


@pytest.fixture(scope="module")
def ino10() -> PanelModel:
    return load_panel(PANELS / "ino10.yaml")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory, ino10: PanelModel) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    simulate(folder, preset="small", seed=7, panel=ino10, nucleated=2000)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_run_directory_has_a_valid_configuration_and_sheet_with_all_files(cohort: Path) -> None:
    config = RunConfig.model_validate(yaml.safe_load((cohort / "config" / "config.yaml").read_text()))
    samples, problems = read_sheet(cohort / config.samples)
    assert problems == []
    assert [sample.role for sample in samples].count(Role.CONTROL) == 4
    assert all(sample.fcs.is_file() for sample in samples)
    followups = [sample for sample in samples if sample.role is Role.FOLLOWUP]
    assert all("cd22" in sample.prior_therapy.targets for sample in followups)


def test_two_directories_from_one_seed_are_equal_byte_for_byte(cohort: Path, ino10: PanelModel, tmp_path: Path) -> None:
    simulate(tmp_path, preset="small", seed=7, panel=ino10, nucleated=2000)
    assert files(cohort) == files(tmp_path)


def test_running_again_leaves_every_tube_untouched_and_replaces_a_damaged_one(
    ino10: PanelModel, tmp_path: Path
) -> None:
    simulate(tmp_path, preset="small", seed=7, panel=ino10, nucleated=500)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "fcs").iterdir()}
    wanted = files(tmp_path)
    damaged = tmp_path / "fcs" / "CTRL02.fcs"
    damaged.write_bytes(b"FCS3.1")
    simulate(tmp_path, preset="small", seed=7, panel=ino10, nucleated=500)
    assert files(tmp_path) == wanted
    spared = [path for path in before if not path.name.startswith("CTRL02")]
    assert all(path.stat().st_mtime_ns == before[path] for path in spared)


def test_a_configuration_of_the_users_own_is_never_overwritten(ino10: PanelModel, tmp_path: Path) -> None:
    config = tmp_path / "config" / "config.yaml"
    config.parent.mkdir()
    config.write_text("panel: mine\n")
    with pytest.raises(ConfigError, match="never replace real ones"):
        simulate(tmp_path, preset="small", panel=ino10)
    assert config.read_text() == "panel: mine\n"


def test_an_unknown_preset_is_refused_with_the_known_ones(ino10: PanelModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="demo"):
        simulate(tmp_path, preset="large", panel=ino10)


@pytest.mark.parametrize("name", ["ino10", "vienna_b8"])
def test_the_file_read_back_holds_the_simulated_values_and_matrix(name: str, tmp_path: Path) -> None:
    panel = load_panel(PANELS / f"{name}.yaml")
    tube = simulate_tube(TubeSpec(1500), panel, 3)
    path = tmp_path / "tube.fcs"
    write_tube(path, tube)
    data = read_fcs(path)[0]
    names = [channel.pnn for channel in data.channels]
    assert names == list(tube.columns)
    for row, column in zip(data.scaled(), tube.columns.values(), strict=True):
        np.testing.assert_allclose(row, column * (0.01 if column is tube.columns["Time"] else 1), rtol=1e-6)
    spillover = read_spillover(data.keywords, data.channels)
    assert spillover is not None
    assert spillover.matrix is not None
    np.testing.assert_allclose(spillover.matrix, tube.cytometer.spill, atol=1e-6)
    with open_columns(truth_path(path)) as truth:
        assert truth.n_events == tube.n_events
        np.testing.assert_array_equal(truth["mrd"], tube.truth["mrd"])


def test_the_demo_holds_what_the_demonstration_promises(ino10: PanelModel) -> None:
    plans = plan_preset("demo", ino10, 1)
    controls = [plan for plan in plans if plan.role is Role.CONTROL]
    followups = [plan for plan in plans if plan.role is Role.FOLLOWUP]
    diagnoses = {plan.patient for plan in plans if plan.role is Role.DIAGNOSIS}
    # 27.88 / N <= 1e-4 needs 278,793 nucleated cells.
    assert sum(plan.spec.nucleated >= 300_000 for plan in controls) >= 6
    assert sum(plan.spec.nucleated < 278_793 for plan in controls) == 1
    assert sorted(plan.spec.level for plan in followups) == [0.0, 3e-5, 1e-4, 3e-4, 1e-3]
    assert all(plan.spec.nucleated >= 300_000 for plan in followups)
    assert {plan.patient for plan in followups} - diagnoses == {"P06"}, "one without a diagnosis tube: a group is asked"
    assert len(diagnoses) == 4


def test_a_patient_after_cd19_loss_is_declared_as_treated_against_cd19_and_cd22(ino10: PanelModel) -> None:
    third = [plan for plan in plan_preset("demo", ino10, 1) if plan.patient == "P03"]
    assert [plan.prior_therapy for plan in third] == [PriorTherapy.CD19, PriorTherapy.CD19_CD22]


def test_compensation_tubes_cover_every_dye_and_the_unstained_cells(ino10: PanelModel) -> None:
    stains = [plan.stain for plan in plan_preset("compensation", ino10, 1)]
    assert sorted(stains) == sorted([*(m for m in ino10.features if m.startswith("CD")), "unstained"])


def test_a_tube_does_not_depend_on_the_other_tubes_of_the_design() -> None:
    rows = [FollowUp("A", 0.0), FollowUp("B", 1e-3)]
    assert [repr(plan) for plan in patients(rows, 4)[2:]] == [repr(plan) for plan in patients(rows[1:], 4)]


def test_the_trial_has_tubes_for_its_twelve_evaluable_patients_and_the_clinical_tables(
    ino10: PanelModel, tmp_path: Path
) -> None:
    cohort = simulate(tmp_path, preset="trial", nucleated=300, panel=ino10)
    samples, problems = read_sheet(cohort.sheet)
    assert problems == []
    assert len({sample.patient for sample in samples if sample.role is Role.FOLLOWUP}) == 12
    assert sum(sample.role is Role.CONTROL for sample in samples) >= 6
    assert (tmp_path / "config" / "patients.tsv").is_file()


def test_a_table_of_patients_is_simulated_with_controls_and_its_own_levels(
    ino10: PanelModel, tmp_path: Path, repository: Path
) -> None:
    table = repository / "test_data" / "dilution.tsv"
    cohort = simulate(tmp_path, preset=str(table), nucleated=4000, panel=ino10)
    tubes = read_json(cohort.run_directory / "simulation.json")["tubes"]
    assert tubes["D02-day21"]["level"] == 1e-2
    # Poisson with mean 40 of 4,000: outside 15..70 once in 10,000 seeds.
    assert 15 < tubes["D02-day21"]["mrd_events"] < 70
    assert tubes["D01-day21"]["mrd_events"] == 0


def test_many_gives_the_number_of_tubes_asked_for(ino10: PanelModel, tmp_path: Path) -> None:
    cohort = simulate(tmp_path, preset="many", tubes=12, nucleated=300, panel=ino10)
    samples, problems = read_sheet(cohort.sheet)
    assert problems == []
    assert len(samples) == 12


def test_the_pooled_tubes_of_the_demo_are_one_specimen_judged_by_the_cohorts_reference(
    ino10: PanelModel, tmp_path: Path
) -> None:
    cohort = write_pooled(tmp_path, ino10, nucleated=500)
    rows, problems = read_sheet(cohort.sheet)
    assert not problems
    followups = [row for row in rows if row.role is Role.FOLLOWUP]
    assert {row.specimen_id for row in followups} == {"P05-day21"}
    assert len({row.fcs.read_bytes() for row in followups}) == 5
    config = load_config(tmp_path / "pooled/config/config.yaml")
    assert config.mrd.target == 1e-5
    assert config.reference.path == "../cohort/results/reference/ino10"  # type: ignore[union-attr]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "pooled").rglob("*") if path.is_file()}
    write_pooled(tmp_path, ino10, nucleated=500)
    config_file = tmp_path / "pooled/config/config.yaml"
    assert config_file.stat().st_mtime_ns == before[config_file]


def test_the_pooled_tubes_of_the_demo_hold_more_than_five_million_cells(ino10: PanelModel) -> None:
    plans = [plan for plan in plan_preset("pooled", ino10, 1) if plan.specimen]
    assert sum(plan.spec.nucleated for plan in plans) > 5_000_000
    assert all(plan.spec.nucleated < 2_788_000 for plan in plans)  # 27.88 / N > 1e-5 in each tube

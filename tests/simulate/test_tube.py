"""Promises of one simulated tube."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.errors import PanelError
from flowmrd.home import PANELS
from flowmrd.panel.load import load_panel
from flowmrd.panel.model import Channel, PanelModel
from flowmrd.simulate.design import leukaemia_of
from flowmrd.simulate.leukaemia import Cd19, Cd22, Leukaemia, Therapy, draw_leukaemia
from flowmrd.simulate.populations import AFTER_ANTI_B, REGENERATING, Code
from flowmrd.simulate.tube import Acquisition, SimulatedTube, TubeSpec, simulate_tube

CLEAN = Acquisition(doublets=0.0, debris=0.0, dead=0.0, aggregates=0.0, drift=0.0, spill_error=0.0)


@pytest.fixture(scope="module")
def ino10() -> PanelModel:
    return load_panel(PANELS / "ino10.yaml")


@pytest.fixture(scope="module")
def leukaemia() -> Leukaemia:
    return leukaemia_of(1, "P01")


def compensated(tube: SimulatedTube) -> dict[str, npt.NDArray[Any]]:
    """Decades by marker, with the tube's own matrix."""
    cytometer = tube.cytometer
    raw = np.stack([tube.columns[d.pnn] for d in cytometer.fluorescence], axis=1).astype(np.float64)
    linear = raw @ np.linalg.inv(cytometer.spill)
    return {d.marker: cytometer.to_decades(linear[:, j], d) for j, d in enumerate(cytometer.fluorescence)}


@pytest.mark.parametrize("name", ["ino10", "vienna_b8"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(name: str, leukaemia: Leukaemia) -> None:
    panel = load_panel(PANELS / f"{name}.yaml")
    spec = TubeSpec(3000, leukaemia=leukaemia, level=0.1)
    one, two, other = (simulate_tube(spec, panel, seed) for seed in (5, 5, 6))
    assert list(one.columns) == list(two.columns)
    for column in one.columns:
        assert one.columns[column].tobytes() == two.columns[column].tobytes()
    for column in one.truth:
        assert one.truth[column].tobytes() == two.truth[column].tobytes()
    assert one.columns["FSC-A"].tobytes() != other.columns["FSC-A"].tobytes()


@pytest.mark.parametrize("name", ["ino10", "vienna_b8"])
def test_truth_agrees_with_itself_and_with_what_was_asked_for(name: str, leukaemia: Leukaemia) -> None:
    spec = TubeSpec(20_000, leukaemia=leukaemia, level=0.05)
    tube = simulate_tube(spec, load_panel(PANELS / f"{name}.yaml"), 3)
    truth = tube.truth
    population, partner, doublet = truth["population"], truth["partner"], truth["doublet"]
    assert {len(column) for column in [*truth.values(), *tube.columns.values()]} == {tube.n_events}
    assert all(column.dtype == np.float32 and np.isfinite(column).all() for column in tube.columns.values())
    assert tube.nucleated == spec.nucleated
    assert np.array_equal(doublet, partner >= 0)
    assert np.count_nonzero(doublet) == round(spec.nucleated * spec.acquisition.doublets)
    assert np.array_equal(truth["leukaemic"], (population == Code.LEUKAEMIC) | (partner == Code.LEUKAEMIC))
    assert np.array_equal(truth["mrd"], truth["leukaemic"] & ~doublet)
    assert np.array_equal(truth["nucleated"], ~np.isin(population, [Code.DEBRIS, Code.DEAD]))
    assert set(population.tolist()) <= {int(code) for code in Code}
    assert 0 < tube.mrd_events < np.count_nonzero(truth["leukaemic"])


def test_leukaemic_events_are_poisson_numbers(ino10: PanelModel, leukaemia: Leukaemia) -> None:
    spec = TubeSpec(2000, leukaemia=leukaemia, level=5e-3, acquisition=CLEAN)
    counts = np.array([simulate_tube(spec, ino10, seed).mrd_events for seed in range(120)])
    # Mean 10 ± 0.29, variance 10 ± 1.33 (standard errors of 120 draws): limits at four of them.
    assert abs(counts.mean() - 10) < 1.2
    assert abs(counts.var(ddof=1) - 10) < 5.3


def test_a_tube_without_leukaemia_has_no_leukaemic_event(ino10: PanelModel) -> None:
    tube = simulate_tube(TubeSpec(5000, level=0.5), ino10, 1)
    assert not tube.truth["leukaemic"].any()


def test_a_single_stain_tube_shows_the_spillover_matrix_that_it_carries(ino10: PanelModel) -> None:
    for stain in ("CD45", "CD10", "CD24"):
        tube = simulate_tube(TubeSpec(20_000, stain=stain, acquisition=CLEAN), ino10, 4)
        dyes = tube.cytometer.fluorescence
        row = [d.marker for d in dyes].index(stain)
        own = tube.columns[dyes[row].pnn]
        bright = (own > np.quantile(own, 0.7)) & (own < 200_000)
        dark = own < np.quantile(own, 0.1)
        for column, detector in enumerate(dyes):
            seen = tube.columns[detector.pnn]
            rise = np.mean(seen[bright]) - np.mean(seen[dark])
            measured = rise / (np.mean(own[bright]) - np.mean(own[dark]))
            assert measured == pytest.approx(tube.cytometer.spill[row, column], abs=0.004, rel=0.02)


def test_compensation_with_the_tubes_own_matrix_brings_other_dyes_back_to_the_unstained_level(
    ino10: PanelModel,
) -> None:
    tube = simulate_tube(TubeSpec(20_000, stain="CD24", acquisition=CLEAN), ino10, 4)
    dyes = tube.cytometer.fluorescence
    raw = np.stack([tube.columns[d.pnn] for d in dyes], axis=1).astype(np.float64)
    linear = raw @ np.linalg.inv(tube.cytometer.spill)
    unsaturated = (raw < 262_000).all(axis=1)
    for column, detector in enumerate(dyes):
        if detector.marker != "CD24":
            assert abs(np.median(linear[unsaturated, column]) - 60) < 15
    # Noise is real: after compensation a dark detector beside a bright dye spreads below zero.
    neighbour = [d.marker for d in dyes].index("CD34")
    assert np.mean(linear[unsaturated, neighbour] < 0) > 0.05


def test_cd19_loss_cd22_masking_and_steroid_act_on_the_blasts_as_named(ino10: PanelModel, leukaemia: Leukaemia) -> None:
    def blasts(therapy: Therapy) -> dict[str, npt.NDArray[Any]]:
        spec = TubeSpec(6000, leukaemia=leukaemia, level=0.5, therapy=therapy, acquisition=CLEAN)
        tube = simulate_tube(spec, ino10, 9)
        return {marker: values[tube.truth["mrd"]] for marker, values in compensated(tube).items()}

    untreated = blasts(Therapy())
    lost = blasts(Therapy(cd19=Cd19.LOST))
    partial = blasts(Therapy(cd19=Cd19.PARTIAL))
    dim, masked = blasts(Therapy(cd22=Cd22.DIM)), blasts(Therapy(cd22=Cd22.MASKED))
    steroid = blasts(Therapy(steroid=1.0))
    assert np.median(untreated["CD19"]) > 2.2
    assert np.quantile(lost["CD19"], 0.95) < 1.8
    assert 0.35 < np.mean(partial["CD19"] < 1.8) < 0.65
    assert np.median(masked["CD22"]) < np.median(dim["CD22"]) < np.median(untreated["CD22"])
    assert np.median(masked["CD22"]) < 1.4
    # CD10 falls, CD20 and CD45 rise; each within the size written for it.
    assert np.mean(steroid["CD10"]) < np.mean(untreated["CD10"]) - 0.15
    assert np.mean(steroid["CD20"]) > np.mean(untreated["CD20"]) + 0.1
    assert np.mean(steroid["CD45"]) > np.mean(untreated["CD45"]) + 0.05


def test_the_b_lineage_is_nearly_gone_after_therapy_and_complete_in_a_regenerating_marrow(ino10: PanelModel) -> None:
    b_lineage = [Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B]
    after = simulate_tube(TubeSpec(100_000, AFTER_ANTI_B, acquisition=CLEAN), ino10, 2).truth["population"]
    regenerating = simulate_tube(TubeSpec(100_000, REGENERATING, acquisition=CLEAN), ino10, 2).truth["population"]
    assert np.isin(after, b_lineage).mean() < 1e-3
    haematogones = [np.mean(regenerating == code) for code in b_lineage[:3]]
    assert sum(haematogones) > 0.04
    assert min(haematogones) > 0.1 * sum(haematogones)


def test_haematogones_mature_without_a_gap(ino10: PanelModel) -> None:
    tube = simulate_tube(TubeSpec(100_000, REGENERATING, acquisition=CLEAN), ino10, 2)
    haematogones = np.isin(tube.truth["population"], [Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3])
    cd45 = np.sort(compensated(tube)["CD45"][haematogones])
    inner = cd45[(cd45 > np.quantile(cd45, 0.02)) & (cd45 < np.quantile(cd45, 0.98))]
    assert np.diff(inner).max() < 0.05


def test_time_rises_and_a_clog_is_marked_dimmer_and_slower(ino10: PanelModel) -> None:
    run = replace(CLEAN, clog=0.1, slow_start=0.1)
    tube = simulate_tube(TubeSpec(60_000, acquisition=run), ino10, 2)
    time, unstable = tube.columns["Time"] * 0.01, tube.truth["unstable"]
    assert (np.diff(tube.columns["Time"]) >= 0).all()
    assert 0.01 < unstable.mean() < 0.06
    assert np.median(tube.columns["FSC-A"][unstable]) < 0.85 * np.median(tube.columns["FSC-A"][~unstable])
    span = time[unstable].max() - time[unstable].min()
    assert span == pytest.approx(0.1 * time.max(), rel=0.05)
    first_tenth = np.count_nonzero(time < 0.1 * time.max())
    assert first_tenth < 0.02 * len(time)


def test_doublets_are_wider_and_saturation_stops_at_the_range(ino10: PanelModel) -> None:
    tube = simulate_tube(TubeSpec(30_000), ino10, 2)
    doublet, nucleated = tube.truth["doublet"], tube.truth["nucleated"]
    width = tube.columns["FSC-W"]
    ratio = np.median(width[doublet]) / np.median(width[nucleated & ~doublet])
    assert 1.3 < ratio < 1.7
    height = np.minimum(tube.columns["FSC-A"] / width * 65536, 262_143)
    unsaturated = (tube.columns["FSC-A"] < 262_143) & (width < 262_143)
    np.testing.assert_allclose(tube.columns["FSC-H"][unsaturated], height[unsaturated], rtol=1e-4)
    assert max(float(column.max()) for column in tube.columns.values()) <= 262_143
    assert np.count_nonzero(tube.columns["SSC-A"] == 262_143) > 100


def test_doublets_of_b_cells_with_t_cells_and_granulocytes_occur(ino10: PanelModel) -> None:
    truth = simulate_tube(TubeSpec(100_000, REGENERATING), ino10, 2).truth
    b_cell = {int(Code.HAEMATOGONE_1), int(Code.HAEMATOGONE_2), int(Code.HAEMATOGONE_3), int(Code.MATURE_B)}
    for other in (Code.T_NK, Code.NEUTROPHIL):
        pairs = zip(truth["population"].tolist(), truth["partner"].tolist(), strict=True)
        assert any({one, two} & b_cell and other in {one, two} for one, two in pairs)


def test_two_tubes_of_one_person_share_their_biology_and_other_persons_differ(ino10: PanelModel) -> None:
    def composition(person: int, seed: int) -> npt.NDArray[Any]:
        spec = TubeSpec(20_000, person_seed=person, acquisition=CLEAN)
        return np.bincount(simulate_tube(spec, ino10, seed).truth["population"], minlength=25) / 20_000

    same = np.abs(composition(1, 1) - composition(1, 2)).sum()
    different = np.abs(composition(1, 1) - composition(2, 2)).sum()
    assert same < 0.05 < different


def test_a_marker_the_simulator_does_not_know_is_named_in_the_error(ino10: PanelModel) -> None:
    panel = ino10.model_copy(update={"channels": (*ino10.channels, Channel(marker="CD7", fluorochrome="BV605"))})
    with pytest.raises(PanelError, match="CD7"):
        simulate_tube(TubeSpec(100), panel, 1)


def test_leukaemias_differ_between_patients_and_show_at_least_two_aberrant_markers_in_most() -> None:
    shifts = np.array([draw_leukaemia(np.random.default_rng(seed)).shift for seed in range(300)])
    assert len(np.unique(shifts[:, 4].round(6))) > 250
    # Measured: 2.4 % of patients have fewer than two measured antigens shifted by over 0.5 decades.
    assert np.mean((np.abs(shifts[:, 3:9]) > 0.5).sum(axis=1) >= 2) > 0.9


def test_the_number_of_threads_does_not_change_a_byte() -> None:
    program = (
        "import hashlib\n"
        "from flowmrd.home import PANELS\n"
        "from flowmrd.panel.load import load_panel\n"
        "from flowmrd.simulate.tube import TubeSpec, simulate_tube\n"
        "tube = simulate_tube(TubeSpec(30_000), load_panel(PANELS / 'ino10.yaml'), 3)\n"
        "print(hashlib.sha256(b''.join(column.tobytes() for column in tube.columns.values())).hexdigest())\n"
    )
    digests = set()
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.strip())
    assert len(digests) == 1

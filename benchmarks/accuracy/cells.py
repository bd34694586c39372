"""Tubes gated once and kept as candidate cells, so that an experiment with the classifier alone takes seconds a tube.

``python -m benchmarks.accuracy.cells FOLDER --seed N --pairs N [--simulated]`` makes the tubes.
Persons are dealt into two halves by their names: one to develop on, one for the figures that are published.
One file is made for every pair of a marrow and a leukaemia, at the highest level; lower levels leave cells out.
Thresholds of gates are read from all cells, of which one in a thousand more or less changes nothing.
A run that was stopped goes on with the first measured pair that is missing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.__main__ import DATA
from benchmarks.accuracy.acquire import NORMAL, acquire, measured_spillover
from benchmarks.accuracy.cast import Condition, cast
from benchmarks.accuracy.experiment import DIAGNOSIS_CELLS, TOP
from benchmarks.accuracy.mixtures import draw, load
from benchmarks.accuracy.pipeline import Pipeline
from benchmarks.accuracy.simulated import sheet_of
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.config import RunConfig
from flowmrd.config.sheet import PriorTherapy
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.cohort import truth_path, write_tube
from flowmrd.simulate.design import FollowUp, controls, patients, tube_seed
from flowmrd.simulate.leukaemia import Cd22, Therapy
from flowmrd.simulate.populations import AFTER_ANTI_B
from flowmrd.simulate.tube import simulate_tube
from flowmrd.store import open_columns
from flowmrd.tube.files import TubeFiles, tube_from_files

HIGHEST = 1e-3
CONTROL_EVENTS = (150_000, 450_000)
"""Events of a control tube, drawn per tube."""
EVENTS = 450_000


@dataclass(frozen=True)
class Kept:
    """One gated tube.

    Attributes
    ----------
    codes
        Shape (tube.n,): 0 and more for single leukaemic cells, below 0 for everything else.
    off_scale
        Shape (tube.n,): some detector at the end of its range.
    """

    tube: CandidateCells
    codes: npt.NDArray[np.int8]
    off_scale: npt.NDArray[np.bool_]


def keep(path: Path, pipeline: Pipeline, sample: str, panel: PanelModel, codes: npt.NDArray[np.int8]) -> None:
    """Store a gated tube; its files are removed."""
    files = TubeFiles(sample, pipeline.work(sample, "preprocessed.arrow"), pipeline.work(sample, "gated.arrow"))
    whole = tube_from_files(files, panel, RunConfig(panel=panel.name, samples=""))
    found = candidates(whole)
    tube = found.cells
    with open_columns(pipeline.work(sample, "events.arrow")) as raw:
        edge = np.zeros(whole.n_events, dtype=bool)
        for name in raw.names:
            if name.lower() != "time" and not name.startswith(("FSC", "SSC")):
                edge |= np.asarray(raw[name]) >= 262_142.0
    np.savez(
        path,
        name=tube.name,
        features=np.array(tube.features),
        values=tube.values,
        window=tube.window,
        denominator=tube.denominator,
        population=np.full(tube.n, -1, dtype=np.int16) if tube.population is None else tube.population,
        populations=np.array(tube.populations),
        doublets=np.empty((0, len(tube.features)), dtype=np.float32) if tube.doublets is None else tube.doublets,
        codes=codes[found.rows],
        off_scale=edge[found.rows],
    )
    shutil.rmtree(pipeline.work(sample, ""))
    for fcs in (pipeline.run / "fcs").glob(f"{sample}.*"):
        fcs.unlink()


def read(path: Path) -> Kept:
    """A stored tube."""
    with np.load(path, allow_pickle=False) as stored:
        data = {name: stored[name] for name in stored.files}
    tube = CandidateCells(
        name=str(data["name"]),
        features=tuple(str(name) for name in data["features"]),
        values=data["values"],
        window=data["window"],
        denominator=int(data["denominator"]),
        population=data["population"],
        populations=tuple(str(name) for name in data["populations"]),
        doublets=data["doublets"],
    )
    return Kept(tube, data["codes"], data["off_scale"])


def make_measured(
    folder: Path, seed: int, pairs: int, cohort: str, half: int | None, n_controls: int = 7, *, diagnosis: bool = True
) -> None:
    """Controls, marrows with leukaemia and, where asked for, diagnosis tubes from the collection of real mixtures.

    Persons of both halves play where ``half`` is None.
    """
    spill = measured_spillover(DATA / "population_statistics.json")
    panel = load_panel(PANELS / "vienna_b8.yaml")
    condition = Condition(
        "cells", pairs=pairs, controls=n_controls, seed=seed, backgrounds=cohort, controls_from=cohort, half=half
    )
    actors = cast(load(DATA), condition)
    directory = folder / "run"
    shutil.rmtree(directory, ignore_errors=True)
    pipeline = Pipeline(directory, panel.name, tuple(f"C{i:02d}" for i in range(n_controls)))
    rows = [("sample", "patient", "role", "fcs", "prior_therapy")]
    rows += [(name, name, "control", f"../fcs/{name}.fcs", "none") for name in pipeline.controls]
    for i in range(len(actors.blasts)):
        rows.append((f"P{i:02d}_dx", f"P{i:02d}", "diagnosis", f"../fcs/P{i:02d}_dx.fcs", "none"))
        rows.append((f"P{i:02d}", f"P{i:02d}", "followup", f"../fcs/P{i:02d}.fcs", "none"))
    pipeline.prepare(rows)

    def make(name: str, cells: npt.NDArray[np.float32], blasts: int, rng: np.random.Generator) -> npt.NDArray[np.int8]:
        codes = np.r_[np.full(len(cells) - blasts, NORMAL), np.zeros(blasts)].astype(np.int8)
        return acquire(pipeline.run / "fcs" / f"{name}.fcs", cells, codes, spill, rng)

    rng = np.random.default_rng([seed, 99])
    truth = {}
    for name, patient in zip(pipeline.controls, actors.controls, strict=True):
        truth[name] = make(name, draw(patient.normal_mixture(), int(rng.integers(*CONTROL_EVENTS)), rng), 0, rng)
    pipeline.gate_controls()
    for name in pipeline.controls:
        keep(folder / f"{name}.npz", pipeline, name, panel, truth[name])
    for i, (marrow, blasts) in enumerate(zip(actors.backgrounds, actors.blasts, strict=True)):
        if (folder / f"P{i:02d}{'_dx' if diagnosis else ''}.npz").is_file():
            continue
        rng = np.random.default_rng([seed, 7, i])
        count = int(rng.poisson(HIGHEST * EVENTS))
        cells = np.concatenate([draw(marrow.normal_mixture(), EVENTS, rng), draw(blasts.groups["blast"], count, rng)])
        codes = make(f"P{i:02d}", cells, count, rng)
        pipeline.gate(f"P{i:02d}")
        keep(folder / f"P{i:02d}.npz", pipeline, f"P{i:02d}", panel, codes)
        if not diagnosis:
            continue
        n = round(condition.diagnosis_share * DIAGNOSIS_CELLS)
        cells = np.concatenate(
            [draw(marrow.normal_mixture(), DIAGNOSIS_CELLS - n, rng), draw(blasts.groups["blast"], n, rng)]
        )
        cells = np.clip(cells + rng.normal(0.0, condition.drift, cells.shape[1]), 0, TOP).astype(np.float32)
        codes = make(f"P{i:02d}_dx", cells, n, rng)
        pipeline.gate(f"P{i:02d}_dx")
        keep(folder / f"P{i:02d}_dx.npz", pipeline, f"P{i:02d}_dx", panel, codes)
    shutil.rmtree(directory)


def make_simulated(folder: Path, seed: int, pairs: int, n_controls: int = 7) -> None:
    """The same from the simulator: ten colours, marrow after anti-CD22, CD22 dim on the blasts."""
    panel = load_panel(PANELS / "ino10.yaml")
    marrows = controls(n_controls, 320_000, seed, every=3)
    directory = folder / "run"
    shutil.rmtree(directory, ignore_errors=True)
    pipeline = Pipeline(directory, panel.name, tuple(plan.sample for plan in marrows))
    rows = [
        FollowUp(
            f"P{i:02d}",
            HIGHEST,
            after=Therapy(cd22=Cd22.DIM, steroid=0.5),
            nucleated=EVENTS,
            diagnosis_nucleated=100_000,
            composition=AFTER_ANTI_B,
        )
        for i in range(pairs)
    ]
    plans = [*marrows, *patients(rows, seed)]
    pipeline.prepare(sheet_of(plans))

    def make(name: str) -> npt.NDArray[np.int8]:
        plan = next(plan for plan in plans if plan.sample == name)
        fcs = pipeline.run / "fcs" / f"{name}.fcs"
        write_tube(fcs, simulate_tube(plan.spec, panel, tube_seed(seed, name)))
        with open_columns(truth_path(fcs)) as truth:
            # -1 less the population, so that a group can be told by what its cells are.
            population, mrd = np.asarray(truth["population"]), np.asarray(truth["mrd"])
        return np.where(mrd, 0, -1 - population).astype(np.int8)

    truth = {plan.sample: make(plan.sample) for plan in marrows}
    pipeline.gate_controls()
    for i, plan in enumerate(marrows):
        keep(folder / f"C{i:02d}.npz", pipeline, plan.sample, panel, truth[plan.sample])
    for plan in plans[len(marrows) :]:
        codes = make(plan.sample)
        pipeline.gate(plan.sample)
        suffix = "_dx" if plan.prior_therapy is PriorTherapy.NONE else ""
        keep(folder / f"{plan.patient}{suffix}.npz", pipeline, plan.sample, panel, codes)
    shutil.rmtree(directory)


def main() -> int:
    """Make the tubes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.cells")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--cohort", default="VIE", choices=("VIE", "VIE14KM"))
    parser.add_argument("--half", type=int, default=0, choices=(0, 1), help="persons to develop on, or the others")
    parser.add_argument("--everybody", action="store_true", help="persons of both halves, for a cohort of few marrows")
    parser.add_argument("--simulated", action="store_true", help="ten colours after anti-CD22")
    parser.add_argument("--no-diagnosis", action="store_true", help="no diagnosis tubes, which take half of the time")
    arguments = parser.parse_args()
    if not arguments.simulated and not DATA.is_dir():
        sys.stderr.write(f"no mixtures in {DATA}: no tubes can be made of them\n")
        return 2
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.simulated:
        make_simulated(arguments.folder, arguments.seed, arguments.pairs)
    else:
        make_measured(
            arguments.folder,
            arguments.seed,
            arguments.pairs,
            arguments.cohort,
            None if arguments.everybody else arguments.half,
            diagnosis=not arguments.no_diagnosis,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

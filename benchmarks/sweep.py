"""How often events that the classifier does not measure raise a question about a clean tube.

Run ``python -m benchmarks.sweep [--marrows N] [--panels NAME ...] [--seed N] [--no-diagnosis]``. Clean marrows (no
leukaemic cell in the file) of both panels go through every stage with gates and reference of seven controls. Each is
searched once with the phenotype of a leukaemia at diagnosis and once without. Counted are the tubes whose result has
one of two reasons: ``EXCLUDED_PHENOTYPE`` (events that were masked or lie outside the gates; at most 1 in 20) and
``OFFSCALE_LIKE_BLASTS`` (cells off scale in a detector, searched without a phenotype alone; at most 1 in 50). Of the
eight-colour events 0.15 to 0.45 % are off scale in one detector. The eight-colour rows need the optional shared data
beside the repository. Everything is seeded.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.accuracy.acquire import measured_spillover
from benchmarks.accuracy.cast import Condition, cast
from benchmarks.accuracy.mixtures import load
from benchmarks.accuracy.pipeline import Pipeline
from benchmarks.gating import SHARED, say
from benchmarks.stress.raw_tube import RawTube, from_mixtures, from_plan
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.design import FollowUp, controls, patients
from flowmrd.store import read_json

SEED: Final = 47
CELLS: Final = 200_000
DIAGNOSIS: Final = 60_000
CONTROLS: Final = 7
REASONS: Final = ("EXCLUDED_PHENOTYPE", "OFFSCALE_LIKE_BLASTS")

Made = tuple[str, str, RawTube]
"""Sample, role and tube."""


def simulated(panel: PanelModel, marrows: int, seed: int) -> Iterator[Made]:
    """Ten colours: simulated marrow after anti-CD22 therapy."""
    for number, plan in enumerate(controls(CONTROLS, CELLS, seed, every=3)):
        yield f"C{number:02d}", "control", from_plan(plan, panel, seed)
    for number in range(marrows):
        row = FollowUp(f"P{number:02d}", 0.0, nucleated=CELLS, diagnosis_nucleated=DIAGNOSIS)
        for plan in patients([row], seed):
            role = plan.role.value
            yield f"P{number:02d}-{'dx' if role == 'diagnosis' else 'fu'}", role, from_plan(plan, panel, seed)


def measured(data: Path, marrows: int, seed: int) -> Iterator[Made]:
    """Eight colours: measured mixtures; the leukaemia is another person's, the marrow the same in both tubes."""
    spill = measured_spillover(data / "population_statistics.json")
    found = cast(load(data), Condition("sweep", pairs=marrows, controls=CONTROLS, odd_control=False, seed=seed))
    for number, person in enumerate(found.controls):
        rng = np.random.default_rng([seed, 1, number])
        yield f"C{number:02d}", "control", from_mixtures(person, None, CELLS, 0, spill, rng)
    for number, (person, blasts) in enumerate(zip(found.backgrounds, found.blasts, strict=True)):
        rng = np.random.default_rng([seed, 2, number])
        made = from_mixtures(person, blasts, DIAGNOSIS, DIAGNOSIS // 2, spill, rng)
        yield f"P{number:02d}-dx", "diagnosis", made
        yield f"P{number:02d}-fu", "followup", from_mixtures(person, None, CELLS, 0, spill, rng)


def questions(panel: PanelModel, tubes: list[Made], folder: Path) -> dict[str, list[frozenset[str]]]:
    """Which of :data:`REASONS` each clean tube has, with the phenotype (where it has a diagnosis tube) and without."""
    names = tuple(sample for sample, role, _ in tubes if role == "control")
    diagnosed = {sample.split("-")[0] for sample, role, _ in tubes if role == "diagnosis"}
    pipeline = Pipeline(folder, panel.name, names)
    rows = [("sample", "patient", "role", "fcs")]
    rows += [(sample, sample.split("-")[0], role, f"../fcs/{sample}.fcs") for sample, role, _ in tubes]
    pipeline.prepare(rows)
    for sample, _, tube in tubes:
        tube.write(folder / "fcs" / f"{sample}.fcs")
    pipeline.gate_controls()
    pipeline.learn()
    asked: dict[str, list[frozenset[str]]] = {"with phenotype": [], "without": []}
    for sample, role, _ in tubes:
        if role == "control":
            continue
        pipeline.gate(sample)
        patient = sample.split("-")[0]
        if role == "diagnosis":
            pipeline.learn_laip(patient, sample)
        else:
            ways = {"with phenotype": pipeline.laip(patient)} if patient in diagnosed else {}
            for mode, laip in (*ways.items(), ("without", None)):
                pipeline.judge(sample, laip)
                reasons = read_json(pipeline.result(sample))["verdict"]["reasons"]
                asked[mode].append(frozenset(reason["code"] for reason in reasons) & set(REASONS))
        shutil.rmtree(pipeline.work(sample, ""))
    return asked


def main() -> None:
    """Print one line for every panel, way of search and reason."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep")
    parser.add_argument("--marrows", type=int, default=20, help="clean marrows of each panel")
    parser.add_argument("--panels", nargs="*", default=["ino10", "vienna_b8"], help="ino10 or vienna_b8, or both")
    parser.add_argument("--seed", type=int, default=SEED, help="another number draws other persons")
    parser.add_argument("--no-diagnosis", action="store_true", help="search without a phenotype alone")
    arguments = parser.parse_args()
    marrows, seed = arguments.marrows, arguments.seed
    say(f"Clean tubes ({CELLS:,} nucleated cells) with a question about events that the classifier does not measure\n")
    data = SHARED / "mixtures"
    for name in arguments.panels:
        if name == "vienna_b8" and not data.is_dir():
            say("vienna_b8: the optional shared data is not here")
            continue
        panel = load_panel(name)
        with tempfile.TemporaryDirectory() as folder:
            made = simulated(panel, marrows, seed) if name == "ino10" else measured(data, marrows, seed)
            tubes = [one for one in made if not (arguments.no_diagnosis and one[1] == "diagnosis")]
            for mode, asked in questions(panel, tubes, Path(folder)).items():
                for reason in REASONS if asked else ():
                    count = sum(reason in found for found in asked)
                    say(f"{name:<12}{mode:<16}{reason:<24}{count:>4} of {len(asked)}")


if __name__ == "__main__":
    main()

"""What a diagnosis tube lets be counted, against what could be known at best: ``python -m benchmarks.accuracy.recall``.

Of the development persons the marrow is taken in which leukaemias are hardest to tell by the true mixtures
(:mod:`benchmarks.accuracy.oracle`). The hardest of them and some spread over the rest are diluted into it and counted
with their diagnosis tube, from the FCS file to the classifier's count. No spike-in is made and no verdict given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.accuracy.__main__ import DATA
from benchmarks.accuracy.acquire import Spillover, measured_spillover
from benchmarks.accuracy.cast import Condition, cast
from benchmarks.accuracy.mixtures import Patient, half_of, load
from benchmarks.accuracy.oracle import Oracle, oracles
from benchmarks.stress.raw_tube import RawTube, from_mixtures
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.control_judgement import build_judged_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import find_laip
from flowmrd.classifier.tube_candidates import TubeCandidates, candidates
from flowmrd.config import RunConfig
from flowmrd.gating.reference import GateReference
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.records.references import FrozenScale
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from flowmrd.tube.transforms import transforms_of_controls

LEUKAEMIAS, MARROWS, CONTROLS = 40, 4, 7
CONTROL_CELLS, CELLS, DIAGNOSIS_CELLS = 150_000, 300_000, 60_000
LEVELS = (1e-3, 1e-4, 0.0)
MIN_CELLS = 200
"""The default of ``laip.min_diagnosis_cells``."""


@dataclass(frozen=True)
class Laboratory:
    """Scales and gates that the controls gave."""

    panel: PanelModel
    config: RunConfig
    scales: Mapping[str, FrozenScale]
    gates: GateReference

    def candidates(self, raw: RawTube, path: Path) -> TubeCandidates:
        """Candidate cells of a tube, through its FCS file."""
        raw.write(path)
        tube = preprocess(read_tube(path, self.panel, name=path.stem), self.config, transforms=self.scales)
        return candidates(gate(tube, self.config, reference=self.gates))


def chosen(found: list[Oracle], number: int) -> list[int]:
    """Numbers of the hardest leukaemias and of as many spread evenly over the rest, the hardest first."""
    order = sorted(range(len(found)), key=lambda one: found[one])
    hard, rest = order[: number // 2], order[number // 2 :]
    places = np.linspace(0, len(rest) - 1, number - len(hard)).round().astype(int)
    return hard + [rest[place] for place in places]


def laboratory(controls: list[Patient], spill: Spillover, folder: Path) -> tuple[Laboratory, list[TubeCandidates]]:
    """Scales, gates and candidate cells of control marrows."""
    panel = load_panel(PANELS / "vienna_b8.yaml")
    config = RunConfig(panel=panel.name, samples="")
    tubes = []
    for number, marrow in enumerate(controls):
        path = folder / f"C{number:02d}.fcs"
        rng = np.random.default_rng([13, 1, number])
        from_mixtures(marrow, None, CONTROL_CELLS, 0, spill, rng).write(path)
        tubes.append(read_tube(path, panel, name=path.stem))
    scales = transforms_of_controls(tubes, config).channels
    ready = {tube.name: preprocess(tube, config, transforms=scales) for tube in tubes}
    gates = gates_of_controls(ready, config)
    made = Laboratory(panel, config, scales, gates)
    return made, [candidates(gate(tube, config, reference=gates)) for tube in ready.values()]


def lines(number: int, seed: int, folder: Path) -> list[str]:
    """One line of the table per leukaemia, the hardest first."""
    spill = measured_spillover(DATA / "population_statistics.json")
    people = [one for one in load(DATA) if half_of(one.person) == 0]
    actors = cast(people, Condition("recall", pairs=LEUKAEMIAS, controls=CONTROLS, seed=seed))
    blasts_of = [one.groups["blast"] for one in actors.blasts]
    tried = [
        oracles(marrow.normal_mixture(), blasts_of, np.random.default_rng([seed, 6]))
        for marrow in actors.backgrounds[:MARROWS]
    ]
    hardest = min(range(len(tried)), key=lambda one: sum(sorted(o.recall for o in tried[one])[: number // 2]))
    found, marrow = tried[hardest], actors.backgrounds[hardest]
    made, controls = laboratory(actors.controls, spill, folder)
    parameters = replace(ClassifierParameters(), replicates=0)
    reference, _ = build_judged_reference("recall", [control.cells for control in controls], parameters=parameters)
    out = []
    for rank in chosen(found, number):
        blasts = actors.blasts[rank]
        rng = np.random.default_rng([13, 2, rank])
        half = DIAGNOSIS_CELLS // 2
        diagnosis = made.candidates(from_mixtures(marrow, blasts, DIAGNOSIS_CELLS, half, spill, rng), folder / "D.fcs")
        laip = find_laip("P", diagnosis.cells, reference, min_cells=MIN_CELLS, parameters=parameters)
        cells = [f"{found[rank].recall:.2f}", "none" if laip is None else f"{100 * laip.share:.1f} %"]
        for level in LEVELS:
            rng = np.random.default_rng([13, 3, rank, round(1e6 * level)])
            raw = from_mixtures(marrow, blasts, CELLS, round(level * CELLS), spill, rng)
            tube = made.candidates(raw, folder / "F.fcs")
            called = tube.rows[classify_tube(tube.cells, reference, laip=laip, library=None, parameters=parameters).mrd]
            true, hit = int(raw.leukaemic.sum()), int(raw.leukaemic[called].sum())
            false = 1e6 * (len(called) - hit) / CELLS
            cells.append(f"{hit} of {true}, {false:.0f}" if true else f"{false:.0f}")
        out.append("| " + " | ".join(cells) + " |")
        sys.stdout.write(out[-1] + "\n")
        sys.stdout.flush()
    return out


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.recall")
    parser.add_argument("--leukaemias", type=int, default=12, help="how many, half of them the hardest")
    parser.add_argument("--seed", type=int, default=301, help="which persons play which part")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.stderr.write(f"no mixtures in {DATA}: no tubes can be made of them\n")
        return 2
    levels = " | ".join(f"{level:g}: counted, false per million" if level else "clean: false" for level in LEVELS)
    sys.stdout.write(f"| oracle | share learned | {levels} |\n|---|---|{'---|' * len(LEVELS)}\n")
    with TemporaryDirectory() as folder:
        lines(arguments.leukaemias, arguments.seed, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())

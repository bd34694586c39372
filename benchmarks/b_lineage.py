"""What is called B lineage in treated marrow, and which normal B stages are assessed, against the simulator's truth.

Run ``python -m benchmarks.b_lineage [--docs] [panel]...``; by default panels ino10 and vienna_b8; ``--docs`` puts the
table into docs/methods/gating.md. Tubes are written as FCS and go through reading, preprocessing and gating, with gates
of four simulated controls. The marrows hold no B cells to speak of, or one B cell in 1000 nucleated cells, half of them
precursors. Everything is seeded.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.gating import PAGE, say
from benchmarks.pages import put_output
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import FollowUp, TubePlan, controls, patients, tube_seed
from flowmrd.simulate.populations import AFTER_ANTI_B, Code, Composition
from flowmrd.simulate.tube import SimulatedTube, simulate_tube
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

SEED: Final = 3
NUCLEATED: Final = 120_000
PERSONS: Final = 4
B_CELLS: Final = (Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B)
MARROWS: Final[dict[str, Composition]] = {
    "no B cells": AFTER_ANTI_B,
    "0.1 % B cells": AFTER_ANTI_B.scaled({Code.MATURE_B: 10.0, Code.HAEMATOGONE_2: 25.0}),
}
STATES: Final = {"present": "", "too_few": "*", "not_evaluable": "?", "unavailable": "?"}


def made(plan: TubePlan, panel: PanelModel, folder: Path) -> tuple[SimulatedTube, Tube]:
    """Simulate a tube, write it and preprocess what is read back."""
    simulated = simulate_tube(plan.spec, panel, tube_seed(SEED, plan.sample))
    path = folder / f"{plan.sample}.fcs"
    write_tube(path, simulated)
    tube = preprocess(read_tube(path, panel), overwrite=True)
    path.unlink()
    return simulated, tube


def table(names: list[str]) -> None:
    """Print one line per tube."""
    say(f"B lineage of simulated marrow after therapy, {NUCLEATED:,} nucleated cells, gates from four controls")
    say("counted: cells of the gate; true: B cells among them; of all: share of the tube's B cells that is counted;")
    say("stages: counted (other cells, at most), * too few to assess\n")
    say(f"{'panel':<11}{'marrow':<15}{'window':>7}{'counted':>8}{'true':>6}{'share':>7}{'of all':>8}  stages")
    for name in names:
        panel = load_panel(name)
        with tempfile.TemporaryDirectory() as folder:
            tubes = {plan.sample: made(plan, panel, Path(folder))[1] for plan in controls(4, NUCLEATED, SEED, every=3)}
            reference = gates_of_controls(tubes)
            for marrow, composition in MARROWS.items():
                for number in range(PERSONS):
                    row = FollowUp(
                        f"P{number}", 0.0, nucleated=NUCLEATED, diagnosis_nucleated=0, composition=composition
                    )
                    simulated, tube = made(patients([row], SEED)[0], panel, Path(folder))
                    tube = gate(tube, reference=reference, prior_therapy="cd22")
                    say(f"{name:<11}{marrow:<15}{_told(simulated, tube)}")
    say()


def _told(simulated: SimulatedTube, tube: Tube) -> str:
    truth, usable = simulated.truth, tube.analysable()
    b_cells = np.isin(truth["population"], B_CELLS) & ~truth["doublet"] & usable
    counted = tube.gate("b_lineage") & usable
    n, true, every = (int(np.count_nonzero(one)) for one in (counted, counted & b_cells, b_cells))
    window = int(np.count_nonzero(tube.gate("possible_b_lineage") & usable))
    assert tube.gates is not None  # noqa: S101 - it was gated
    stages = ", ".join(
        f"{one.count} ({one.others_at_most:.0f}){STATES[one.state]}"
        for one in tube.gates.b_lineage.stages
        if one.others_at_most is not None
    )
    return f"{window:>7}{n:>8}{true:>6}{true / max(n, 1):>7.2f}{true / max(every, 1):>8.2f}  {stages}"


def main(arguments: list[str]) -> None:
    """Print the table, or put it into the page."""
    names = [one for one in arguments if one != "--docs"] or ["ino10", "vienna_b8"]
    if "--docs" in arguments:
        put_output(PAGE, "b lineage", partial(table, names))
    else:
        table(names)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the classifier costs: reference, phenotype, and judging follow-up tubes of several sizes.

python -m benchmarks.classifier [--docs] [--millions 0.5 1 2 5]

Every command runs in a process of its own. Processor time is that of a stage after its imports (a small tube is
judged first); memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.accuracy.pipeline import Pipeline
from benchmarks.accuracy.simulated import sheet_of
from benchmarks.pages import put_between_marks
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import FollowUp, TubePlan, controls, patients, tube_seed
from flowmrd.simulate.tube import simulate_tube

PAGE = REPOSITORY / "docs" / "performance.md"
SEED, N_CONTROLS, CONTROL_CELLS = 3, 8, 320_000


def plans_of(millions: list[float]) -> list[TubePlan]:
    """Controls, a diagnosis tube, a small follow-up to import everything with, and the follow-ups to measure."""
    out = controls(N_CONTROLS, CONTROL_CELLS, SEED)
    sizes = [0.05, *millions]
    for number, size in enumerate(sizes):
        row = FollowUp(
            "P01",
            1e-4,
            nucleated=round(size * 1e6),
            diagnosis_nucleated=100_000 if number == 0 else 0,
            timepoint=f"f{number}",
        )
        out += patients([row], SEED)
    return out


def measured(work: tuple[Pipeline, str, list[str]]) -> tuple[float, float]:
    """Processor seconds of a command after its imports, and the peak memory of its process in MB."""
    pipeline, what, samples = work
    if what == "reference":
        seconds = pipeline.learn()
    elif what == "laip":
        seconds = pipeline.learn_laip("P01", samples[0])
    else:
        pipeline.judge(samples[0], pipeline.laip("P01"))
        seconds = pipeline.judge(samples[1], pipeline.laip("P01"))
    # ru_maxrss would count what the parent held when it started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return seconds, int(status.split("VmHWM:")[1].split()[0]) / 1e3


def alone(work: tuple[Pipeline, str, list[str]]) -> tuple[float, float]:
    """The same in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, work).result()


def run(folder: Path, millions: list[float]) -> str:
    """Make the tubes, measure, and return the table."""
    panel = load_panel(PANELS / "ino10.yaml")
    plans = plans_of(millions)
    marrows = [plan.sample for plan in plans[:N_CONTROLS]]
    diagnosis = next(plan.sample for plan in plans if plan.sample.endswith("-dx"))
    followups = [plan.sample for plan in plans[N_CONTROLS:] if plan.sample != diagnosis]
    pipeline = Pipeline(folder, panel.name, tuple(marrows))
    pipeline.prepare(sheet_of(plans))
    for plan in plans:
        write_tube(folder / "fcs" / f"{plan.sample}.fcs", simulate_tube(plan.spec, panel, tube_seed(SEED, plan.sample)))
    pipeline.gate_controls()
    table = ["| command | million nucleated events | CPU s | CPU s per million | peak MB |", "|---|---|---|---|---|"]

    def line(name: str, size: float, cost: tuple[float, float]) -> None:
        table.append(f"| {name} | {size:g} | {cost[0]:.2f} | {cost[0] / size:.2f} | {cost[1]:.0f} |")

    line(f"reference of {N_CONTROLS} controls", N_CONTROLS * CONTROL_CELLS / 1e6, alone((pipeline, "reference", [])))
    pipeline.gate(diagnosis)
    line("phenotype of a diagnosis tube", 0.1, alone((pipeline, "laip", [diagnosis])))
    pipeline.gate(followups[0])
    for sample, size in zip(followups[1:], millions, strict=True):
        pipeline.gate(sample)
        line("classify and quantify", size, alone((pipeline, "judge", [followups[0], sample])))
    return "\n".join(table)


def main() -> int:
    """Run and print, or put the table into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classifier")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument(
        "--millions", type=float, nargs="+", default=[0.5, 1.0, 2.0, 5.0], help="sizes of follow-up tubes"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = run(Path(folder), arguments.millions)
    sys.stdout.write(table + "\n")
    if arguments.docs:
        put_between_marks(PAGE, "classifier", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

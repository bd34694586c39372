"""Processor time of each single-stage command on one follow-up tube, interpreter and imports included.

    python -m benchmarks.stages_alone [--events 450000] [--docs]

Simulates two controls and a patient, runs them, and then gives every command from ``ingest`` to ``report`` to the
follow-up tube, each in an interpreter of its own. That serves to look at one step. In a run the tube takes one process,
``judge``, which is measured last.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.interpreter_starts import make_run
from benchmarks.pages import put_between_marks
from flowmrd.home import REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import TubeSpec, simulate_tube

TUBE, PATIENT, CONTROLS = "P01-day21", "P01", ("CTRL01", "CTRL02")


def used_by(*words: str) -> float:
    """Processor seconds of one command of flowmrd."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "flowmrd", *words],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=450_000)
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alone") as folder:
        run = make_run(Path(folder), 20_000)
        panel = load_panel(REPOSITORY / "panels" / "ino10.yaml")
        spec = TubeSpec(nucleated=int(options.events / 1.08), person_seed=7)
        write_tube(run / "fcs" / f"{TUBE}.fcs", simulate_tube(spec, panel, 7))
        used_by("run", str(run))
        of_panel = run / "results" / "reference" / "ino10"
        judged_by = ["--reference", f"{of_panel}/reference.json", "--laip", f"{run}/results/laip/{PATIENT}/laip.json"]
        scales = ["--transforms", f"{of_panel}/transform.json"]
        gates = ["--thresholds", f"{of_panel}/gates.json"]
        beside = [word for name in CONTROLS for word in ("--control", name)]
        commands = {
            "ingest": [],
            "preprocess": scales,
            "gate": gates,
            "classify": judged_by,
            "quantify": judged_by,
            "export": [],
            "report": [*judged_by, *beside],
            "judge": [*scales, *gates, *judged_by, *beside],
        }
        took = {
            stage: used_by(stage, "--run", str(run), "--sample", TUBE, *options_of)
            for stage, options_of in commands.items()
        }
    judge = took.pop("judge")
    lines = [f"| {options.events:,} events | {' | '.join(took)} | sum | judge |", "|---" * (len(took) + 3) + "|"]
    seconds = [*took.values(), sum(took.values()), judge]
    lines += [f"| CPU s | {' | '.join(f'{one:.1f}' for one in seconds)} |"]
    print("\n".join(lines))  # noqa: T201
    if options.docs:
        put_between_marks(REPOSITORY / "docs" / "performance.md", "stages alone", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

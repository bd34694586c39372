"""Processor seconds a tube of whole runs, of this checkout and of another one, in the same minutes on the same tubes.

    python -m benchmarks.run_cost [--tubes 8] [--events 30000 ...] [--cores 1] [--against CHECKOUT] [--page PAGE]

A run is ``flowmrd run`` with launcher, Snakemake, shells and interpreters; "one process" are the same functions without
an engine (``benchmarks.bare``). Both checkouts run with the interpreter of this command and get a copy of the same
simulated run directory. On a busy machine all of it takes longer: the ratios are what compares.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.pages import put_between_marks
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate


def cpu_seconds(checkout: Path, words: list[str]) -> float:
    """Processor seconds of a command in a checkout, its descendants included."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    before = used()
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(checkout / "src"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation keeps what it compiled
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *words], cwd=checkout, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {checkout}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return used() - before


def rows(folder: Path, events: int, tubes: int, cores: int, checkouts: list[tuple[str, Path]]) -> list[str]:
    """Table rows of one size of tube."""
    made = folder / f"{events}"
    simulate(made, preset="many", panel=load_panel(PANELS / "ino10.yaml"), nucleated=int(events / 1.08), tubes=tubes)
    first = 0.0
    lines = []
    for name, checkout in checkouts:
        run = folder / f"{events}-{name.replace(' ', '-')}"
        shutil.copytree(made, run)
        whole = cpu_seconds(checkout, ["flowmrd", "run", str(run), "--cores", str(cores)]) / tubes
        shutil.rmtree(run / "results")
        bare = cpu_seconds(checkout, ["benchmarks.bare", str(run)]) / tubes
        first = first or whole
        lines.append(
            f"| {events:,} | {name} | {whole:.2f} | {bare:.2f} | {whole / bare - 1:.0%} | {whole / first:.2f} |"
        )
        print(lines[-1], flush=True)  # noqa: T201
        shutil.rmtree(run)
    return lines


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tubes", type=int, default=8)
    parser.add_argument("--events", type=int, nargs="+", default=[30_000])
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    checkouts = [("before", options.against.resolve())] if options.against else []
    checkouts.append(("now", REPOSITORY))
    lines = [
        "| events a tube | checkout | whole run, CPU s a tube | one process, CPU s a tube | overhead | ratio |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="run-cost") as folder:
        for events in options.events:
            lines += rows(Path(folder), events, options.tubes, options.cores, checkouts)
    if options.page:
        put_between_marks(options.page, "run cost", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

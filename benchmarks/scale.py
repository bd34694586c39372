"""Cost of a whole run by number of tubes and of events, and what a thousand large tubes would take on a cluster.

    python benchmarks/scale.py [--small 20] [--large 2] [--events 2000000] [--cores 2] [--folder F]

Runs a cohort of small tubes (30,000 nucleated cells) and one of large tubes with the real workflow and reads
Snakemake's own benchmark files. Processor seconds of a stage are fitted as a + b x events; the engine's overhead is
what the run took on its cores beyond the sum of its jobs. The prediction schedules the fitted jobs of 1,000 tubes of
5 million events greedily on 100 nodes of 8 cores, in the order the workflow allows.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from flowmrd.store import read_json

TUBE_STAGES = ("ingest", "preprocess", "gate", "classify", "quantify", "export", "report")
SUBMIT_SECONDS = 45.0
"""Between the end of a cluster job and Snakemake's noticing it (the plugin asks every 40 s and more)."""


@dataclass(frozen=True)
class Job:
    """One line of a Snakemake benchmark file."""

    stage: str
    unit: str
    seconds: float
    cpu: float
    peak_mb: float


def jobs_of(run: Path) -> list[Job]:
    """All benchmark files of a run."""
    found = []
    for path in sorted((run / "results/benchmarks").rglob("*.tsv")):
        with path.open(encoding="utf-8") as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
        stage = path.parent.name if path.parent.name != "benchmarks" else path.stem

        def number(name: str, row: dict[str, str] = row) -> float:
            return float(row[name]) if row[name] not in ("NA", "-") else 0.0

        found.append(Job(stage, path.stem, number("s"), number("cpu_time"), number("max_rss")))
    return found


def run_cohort(folder: Path, tubes: int, nucleated: int, cores: int) -> tuple[float, list[Job], dict[str, int]]:
    """Simulate and run a cohort; seconds, jobs, and events by tube."""
    panel = load_panel(PANELS / "ino10.yaml")
    simulate(folder, preset="many", panel=panel, nucleated=nucleated, tubes=tubes)
    manifest = read_json(folder / "simulation.json")["tubes"]
    began = time.monotonic()
    command = [sys.executable, "-m", "flowmrd", "run", str(folder), "--cores", str(cores)]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    seconds = time.monotonic() - began
    return seconds, jobs_of(folder), {name: int(tube["events"]) for name, tube in manifest.items()}


def fit(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Fixed processor seconds and seconds per million events by least squares, neither below zero."""
    events = np.array([point[0] for point in points]) / 1e6
    seconds = np.array([point[1] for point in points])
    if np.ptp(events) == 0:
        return float(seconds.mean()), 0.0
    slope, base = np.polyfit(events, seconds, 1)
    return max(float(base), 0.0), max(float(slope), 0.0)


def schedule(lengths: list[float], workers: int) -> float:
    """End of the last of independent jobs started greedily, longest first."""
    free = [0.0] * workers
    for length in sorted(lengths, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=20)
    parser.add_argument("--large", type=int, default=4)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale") as temporary:
        folder = options.folder or Path(temporary)
        points: dict[str, list[tuple[int, float]]] = defaultdict(list)
        print("| tubes | events each | wall s | s per tube | engine overhead | peak MB of a job |")  # noqa: T201
        print("|---|---|---|---|---|---|")  # noqa: T201
        for name, tubes, nucleated in (
            ("small", options.small, 30_000),
            ("large", options.large, options.events),
        ):
            seconds, jobs, events = run_cohort(folder / name, tubes, nucleated, options.cores)
            busy = sum(job.seconds for job in jobs) / options.cores
            peak = max(job.peak_mb for job in jobs)
            mean = sum(events.values()) / len(events)
            print(  # noqa: T201
                f"| {len(events)} | {mean:,.0f} | {seconds:.0f} | {seconds / len(events):.1f} "
                f"| {seconds / busy - 1:.0%} | {peak:.0f} |"
            )
            for job in jobs:
                if job.unit in events:
                    points[job.stage].append((events[job.unit], job.cpu))
        print("\n| stage | fixed CPU s | CPU s per million events |\n|---|---|---|")  # noqa: T201
        models = {stage: fit(points[stage]) for stage in TUBE_STAGES}
        for stage, (base, slope) in models.items():
            print(f"| {stage} | {base:.2f} | {slope:.2f} |")  # noqa: T201
        tube = sum(base + slope * 5 for base, slope in models.values())
        hours = (schedule([tube] * 1000, 800) + 5 * SUBMIT_SECONDS) / 3600
        print(f"\n1,000 tubes of 5 million events on 100 nodes of 8 cores: {tube:.0f} s a tube, {hours:.2f} h in all")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

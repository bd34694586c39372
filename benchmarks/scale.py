"""Cost of a whole run by number of tubes and of events, and what a thousand large tubes take on a cluster.

    python -m benchmarks.scale [--small 200] [--large 20] [--events 2000000] [--cores 2] [--slots 200]
                               [--simulated 1000] [--rows few-small middle large] [--folder F]
                               [--page docs/performance.md]

Runs cohorts of small tubes (30,000 events), two of them, to see what the number of tubes does, and one of large tubes
with the real workflow; then the same stages on the same tubes in one process without an engine (``benchmarks.bare``).
The overhead is the processor time of the run, launcher, Snakemake, shells and interpreters included, against that of
the one process. Cores share caches and memory, so a job beside another takes more processor time than a job alone.
Therefore as many such processes run side by side as the run has cores, and their mean is compared. Seconds and peak
memory of a job are what its log says; seconds of a stage are fitted as a + b x events.

``--rows`` takes some of the cohorts and leaves the other rows of the table as they are; the prediction below needs
all of them.

The prediction for 1,000 tubes of 5 million events schedules the fitted jobs greedily in the order the workflow allows
(``benchmarks.schedule``). It is checked by a run of Snakemake on the workflow of as many tubes (``--simulated`` for
fewer, on as many slots a tube) with commands that only sleep for as long as the fit says.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.pages import put_between_marks
from benchmarks.schedule import Lengths, makespan, simulated_makespan
from flowmrd.engine.stage_table import STAGES, Unit
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from flowmrd.store import read_json

ROWS = ("few-small", "many-small", "middle", "large")
SMALL_EVENTS = 30_000
SUBMIT_SECONDS = 60.0
"""On a cluster, between the end of a job and the start of one that waited for it: Snakemake asks every 40 s, and its
two processes in a job take some seconds to start."""

_USED = re.compile(r"^used ([\d.]+) s of processor time and at most (\d+) MB of memory", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """What the log of one job says."""

    stage: str
    unit: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Cohort:
    """A cohort that was run."""

    name: str
    events: dict[str, int]
    roles: dict[str, str]
    wall: float
    cpu: float
    jobs: tuple[Job, ...]
    bare_wall: float = 0.0
    bare_cpu: float = 0.0

    @property
    def peak_mb(self) -> float:
        """Largest peak of a job."""
        return max(job.peak_mb for job in self.jobs)


def jobs_of(run: Path) -> tuple[Job, ...]:
    """Every job of a run that left a log."""
    found = []
    for path in sorted((run / "results/logs").rglob("*.log")):
        if match := _USED.search(path.read_text(encoding="utf-8", errors="replace")):
            stage = path.parent.name if path.parent.name != "logs" else path.stem
            found.append(Job(stage, path.stem, float(match[1]), float(match[2])))
    return tuple(found)


def timed(*commands: list[str]) -> tuple[float, float]:
    """Wall seconds of commands that run side by side, and the mean of their processor seconds, descendants included."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    wall, cpu = time.monotonic(), used()
    # one thread for each process, as `flowmrd run` has it
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation keeps what it compiled
    with tempfile.TemporaryDirectory(prefix="scale-output") as folder:
        outputs = [Path(folder) / f"{i}.txt" for i in range(len(commands))]
        started = []
        for command, output in zip(commands, outputs, strict=True):
            with output.open("wb") as file:
                started.append(
                    subprocess.Popen(  # noqa: S603
                        command, cwd=REPOSITORY, env=environment, stdout=file, stderr=subprocess.STDOUT
                    )
                )
        for command, output, process in zip(commands, outputs, started, strict=True):
            if process.wait():
                raise SystemExit(f"{' '.join(command)}\n{output.read_text(errors='replace')[-3000:]}")
    return time.monotonic() - wall, (used() - cpu) / len(commands)


def without_engine(run: Path, cores: int) -> tuple[float, float]:
    """Wall and processor seconds of one process that takes the tubes through all stages, beside others like it."""
    copies = [run.with_name(f"{run.name}-alone{i}") for i in range(cores)]
    for copy in copies:
        shutil.copytree(run, copy, copy_function=os.link)
    took = timed(*([sys.executable, "-m", "benchmarks.bare", str(copy)] for copy in copies))
    for copy in copies:
        shutil.rmtree(copy)
    return took


def run_cohort(folder: Path, name: str, tubes: int, events: int, cores: int, *, bare: bool) -> Cohort:
    """Simulate a cohort, run it, and take its stages through one process."""
    run = folder / name
    simulate(run, preset="many", panel=load_panel(PANELS / "ino10.yaml"), nucleated=int(events / 1.08), tubes=tubes)
    manifest = read_json(run / "simulation.json")["tubes"]
    wall, cpu = timed([sys.executable, "-m", "flowmrd", "run", str(run), "--cores", str(cores)])
    jobs = jobs_of(run)
    shutil.rmtree(run / "results")
    alone = without_engine(run, cores) if bare else (0.0, 0.0)
    print(f"{name}: {len(manifest)} tubes, {wall:.0f} s, {cpu:.0f} CPU s; one process {alone[1]:.0f} CPU s", flush=True)  # noqa: T201
    shutil.rmtree(run)
    return Cohort(
        name,
        {tube: int(facts["events"]) for tube, facts in manifest.items()},
        {tube: str(facts["role"]) for tube, facts in manifest.items()},
        wall,
        cpu,
        jobs,
        *alone,
    )


def fit(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Fixed processor seconds and seconds per million events by least squares, neither below zero."""
    millions, seconds = (np.array(column) for column in zip(*points, strict=True))
    if np.ptp(millions) == 0:
        return float(seconds.mean()), 0.0
    slope, base = np.polyfit(millions, seconds, 1)
    return max(float(base), 0.0), max(float(slope), 0.0)


def models(cohorts: list[Cohort]) -> dict[str, dict[str, tuple[float, float]]]:
    """Fit of every stage by the role of its tube; stages about several tubes by the sum of their events."""
    points: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for cohort in cohorts:
        controls = sum(n for tube, n in cohort.events.items() if cohort.roles[tube] == "control")
        for job in cohort.jobs:
            unit = STAGES[job.stage].unit if job.stage in STAGES else Unit.RUN
            if unit is Unit.SAMPLE:
                points[job.stage][cohort.roles[job.unit]].append((cohort.events[job.unit] / 1e6, job.seconds))
            elif unit is Unit.PATIENT:
                points[job.stage]["diagnosis"].append((cohort.events[f"{job.unit}-dx"] / 1e6, job.seconds))
            elif unit is Unit.PANEL:
                points[job.stage]["control"].append((controls / 1e6, job.seconds))
            elif job.stage in STAGES:
                points[job.stage]["run"].append((len(cohort.events) / 1000, job.seconds))
    return {stage: {role: fit(found) for role, found in of.items()} for stage, of in points.items()}


def cohort_table(cohorts: list[Cohort]) -> str:
    """What the cohorts took."""
    lines = [
        "| tubes | events each | wall s a tube | CPU s a tube | without engine | overhead | peak MB of a job "
        "| of one over all controls |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cohort in cohorts:
        n = len(cohort.events)
        common = [job.peak_mb for job in cohort.jobs if job.stage in STAGES and STAGES[job.stage].unit is Unit.PANEL]
        bare = f"{cohort.bare_cpu / n:.2f} | {cohort.cpu / cohort.bare_cpu - 1:.0%}" if cohort.bare_cpu else "- | -"
        lines.append(
            f"| {n} | {sum(cohort.events.values()) / n:,.0f} | {cohort.wall / n:.1f} | {cohort.cpu / n:.2f} | {bare} "
            f"| {cohort.peak_mb:.0f} | {max(common):.0f} |"
        )
    return "\n".join(lines)


def beside_earlier(page: Path, table: str) -> str:
    """The table with the rows of the page's table that are of other cohorts, by number of tubes and events."""
    header, rule, *rows = table.splitlines()
    mine = {tuple(row.split("|")[1:3]) for row in rows}
    lines = page.read_text(encoding="utf-8").splitlines()
    if header in lines:
        for line in lines[lines.index(header) + 2 :]:
            if not line.startswith("|"):
                break
            if tuple(line.split("|")[1:3]) not in mine:
                rows.append(line)
    rows.sort(key=lambda row: [float(cell.replace(",", "")) for cell in reversed(row.split("|")[1:3])])
    return "\n".join([header, rule, *rows])


def stage_table(fitted: dict[str, dict[str, tuple[float, float]]], cohorts: list[Cohort]) -> str:
    """Fits, and peak memory against what is asked for."""
    large = max(cohorts, key=lambda cohort: max(cohort.events.values()))
    lines = [
        "| stage | of | fixed CPU s | CPU s per million events | peak MB | asked for |",
        "|---|---|---|---|---|---|",
    ]
    channels_mb = 17 * 4 / 2**20
    for stage, of in fitted.items():
        for role, (base, slope) in of.items():
            mine = [
                job.peak_mb
                for job in large.jobs
                if job.stage == stage and (role in ("run", large.roles.get(job.unit, role)))
            ]
            if not mine:
                continue  # a cohort of few tubes has not every role
            largest = max(large.events.values()) * channels_mb
            asked = STAGES[stage].ask_mb(0 if role == "run" else largest, 1)
            unit = " thousand tubes" if role == "run" else ""
            lines.append(f"| {stage} | {role} | {base:.2f} | {slope:.2f}{unit} | {max(mine):.0f} | {asked} |")
    return "\n".join(lines)


def prediction(
    fitted: dict[str, dict[str, tuple[float, float]]], slots: int, controls: int, simulated_tubes: int
) -> str:
    """The thousand large tubes by the model, and the model against a simulation of the schedule."""
    lengths = Lengths(fitted, million_events=5.0, tubes=1000, controls=controls)
    fewer = max(2, slots * simulated_tubes // 1000)
    tried = Lengths(
        fitted, million_events=5.0, tubes=simulated_tubes, controls=max(3, controls * simulated_tubes // 1000)
    )
    model = makespan(tried, fewer, submit_seconds=0.0)
    with tempfile.TemporaryDirectory(prefix="schedule") as folder:
        simulated = simulated_makespan(tried, fewer, Path(folder))
    nodes, profile = (makespan(lengths, n, submit_seconds=SUBMIT_SECONDS) / 3600 for n in (800, slots))
    return (
        f"1,000 tubes of 5 million events, {controls} of them controls: {lengths.followup():.0f} CPU s for a follow-up "
        f"tube, {lengths.critical():.0f} s from the first file to the last report where nothing waits for a slot. "
        f"With {SUBMIT_SECONDS:.0f} s between the end of a cluster job and what waits for it: {nodes:.2f} h "
        f"on 100 nodes of 8 cores (`-- --jobs 800`), {profile:.2f} h with the {slots} jobs at a time of the profile."
        f"\n\n| {tried.tubes:,} tubes, {tried.controls} of them controls, {fewer} slots, no cluster | minutes |\n"
        f"|---|---|\n"
        f"| model | {model / 60:.1f} |\n"
        f"| Snakemake on the workflow of these tubes, commands that sleep | {simulated / 60:.1f} |"
    )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=200)
    parser.add_argument("--large", type=int, default=20)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--controls", type=int, default=20)
    parser.add_argument("--simulated", type=int, default=1000)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale") as temporary:
        folder = options.folder or Path(temporary)
        few = max(8, options.small // 10)
        sizes = {
            "few-small": (few, SMALL_EVENTS),
            "many-small": (options.small, SMALL_EVENTS),
            "middle": (few, options.events // 5),
            "large": (options.large, options.events),
        }
        cohorts = [
            run_cohort(folder, name, *sizes[name], options.cores, bare=name != "many-small")
            for name in ROWS
            if name in options.rows
        ]
    fitted = models(cohorts)
    parts = [beside_earlier(options.page, cohort_table(cohorts)), stage_table(fitted, cohorts)]
    print("\n\n".join(parts), flush=True)  # noqa: T201
    put_between_marks(options.page, "scale", "\n\n".join(parts))
    if len(cohorts) < len(ROWS):
        return 0  # the model of a cluster needs all sizes
    parts.append(prediction(fitted, options.slots, options.controls, options.simulated))
    print(parts[-1])  # noqa: T201
    put_between_marks(options.page, "scale", "\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())

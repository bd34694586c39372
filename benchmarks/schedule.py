"""When the jobs of a large run end: a model, and Snakemake on the real workflow with commands that only sleep."""

from __future__ import annotations

import heapq
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate

Fits = dict[str, dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class Lengths:
    """Seconds of every job of a run of equal tubes.

    Parameters
    ----------
    fitted
        Stage to role to fixed seconds and seconds per million events; role ``run`` by thousand tubes.
    controls
        Number of control tubes; the rest are pairs of diagnosis and follow-up.
    """

    fitted: Fits
    million_events: float
    tubes: int
    controls: int

    @property
    def patients(self) -> int:
        """Patients with a tube at diagnosis and one at follow-up."""
        return (self.tubes - self.controls) // 2

    def of(self, stage: str, role: str) -> float:
        """Seconds of one job."""
        of = self.fitted[stage]
        base, slope = of.get(role) or next(iter(of.values()))
        if role == "run":
            return base + slope * self.tubes / 1000
        learned = stage.endswith("reference")
        return base + slope * self.million_events * (self.controls if learned else 1)

    def followup(self) -> float:
        """A follow-up tube from its FCS file to its report."""
        return self.of("judge", "followup")

    def critical(self) -> float:
        """Longest chain of jobs: what a run takes where none waits for a slot."""
        return makespan(self, 1_000_000, submit_seconds=0.0)

    def jobs(self) -> Iterator[tuple[str, float, list[str]]]:
        """Cluster jobs of a run: name, seconds, and the jobs they wait for."""
        controls = [f"C{i}" for i in range(self.controls)]
        yield from ((f"{name} read", self.of("ingest", "control"), []) for name in controls)
        yield "transform", self.of("transform_reference", "control"), [f"{name} read" for name in controls]
        yield from ((f"{name} scale", self.of("preprocess", "control"), ["transform"]) for name in controls)
        yield "gates", self.of("gate_reference", "control"), [f"{name} scale" for name in controls]
        yield from ((f"{name} gate", self.of("gate", "control"), ["gates"]) for name in controls)
        yield "reference", self.of("reference", "control"), [f"{name} gate" for name in controls]
        last = []
        for name in controls:
            yield f"{name} judge", self.of("judge", "control"), ["reference"]
            last.append(f"{name} judge")
        for i in range(self.patients):
            prepare = self.of("prepare", "diagnosis") + self.of("laip", "diagnosis")
            yield f"P{i} prepare", prepare, ["reference"]
            yield f"P{i} judge", self.of("judge", "diagnosis"), [f"P{i} prepare"]
            yield f"P{i} followup", self.followup(), [f"P{i} prepare"]
            last += [f"P{i} judge", f"P{i} followup"]
        yield "cohort", self.of("cohort", "run"), last
        yield "provenance", self.of("provenance", "run"), ["cohort"]


def makespan(lengths: Lengths, slots: int, *, submit_seconds: float) -> float:
    """End of the last job where ready jobs start as soon as a slot is free, in the order they became ready."""
    jobs = {name: (seconds, before) for name, seconds, before in lengths.jobs()}
    waiting = {name: len(before) for name, (_, before) in jobs.items()}
    after = defaultdict(list)
    for name, (_, before) in jobs.items():
        for other in before:
            after[other].append(name)
    ready = [(0.0, order, name) for order, name in enumerate(jobs) if not waiting[name]]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    free, now, order = slots, 0.0, len(jobs)
    while ready or running:
        while ready and free and ready[0][0] <= now:
            _, _, name = heapq.heappop(ready)
            heapq.heappush(running, (now + jobs[name][0], name))
            free -= 1
        times = [running[0][0]] if running else []
        times += [ready[0][0]] if ready and free else []
        now = max(now, min(times))
        while running and running[0][0] <= now:
            _, name = heapq.heappop(running)
            free += 1
            for other in after[name]:
                waiting[other] -= 1
                if not waiting[other]:
                    order += 1
                    heapq.heappush(ready, (now + submit_seconds, order, other))
    return now


STEPS = {
    "control": ("ingest", "preprocess", "gate", "judge"),
    "diagnosis": ("prepare", "judge"),
    "followup": ("judge",),
}
"""Steps of a tube by its role."""

_GATED = (
    "results/work/U/ingest.json results/samples/U/qc.json results/work/U/qc.json "
    "results/work/U/gates.json results/samples/U/populations.tsv results/samples/U/gates.xml"
)
OUTPUTS = {
    "ingest": "results/work/U/events.arrow results/work/U/ingest.json",
    "transform-reference": "results/reference/U/transform.json",
    "preprocess": "results/work/U/preprocessed.arrow results/samples/U/qc.json results/work/U/qc.json",
    "gate-reference": "results/reference/U/gates.json",
    "gate": "results/work/U/gated.arrow results/work/U/gates.json results/samples/U/populations.tsv "
    "results/samples/U/gates.xml",
    "reference": "results/reference/U/reference.json results/reference/U/reference.npz",
    "laip": "results/laip/U/laip.json results/laip/U/laip.npz",
    "judge": "results/work/U/classification.json results/samples/U/mrd.json results/work/U/mrd.json "
    "results/samples/U/events.parquet results/samples/U/annotated.fcs "
    "results/samples/U/report.html results/samples/U/report.json results/samples/U/report.tsv",
    "judge-fcs": _GATED,
    "prepare": f"results/work/U/preprocessed.arrow results/work/U/gated.arrow {_GATED}",
    "cohort": "results/cohort/index.html results/cohort/mrd.tsv",
    "provenance": "results/provenance.json results/ro-crate-metadata.json results/manifest.json",
}
"""What each command writes; U is its tube, patient or panel. ``judge-fcs``: besides, from the file on."""


def simulated_makespan(lengths: Lengths, slots: int, folder: Path) -> float:
    """Seconds that Snakemake needs for the workflow of all tubes with commands that sleep for as long as the fit says.

    An environment of its own holds the command: the same interpreter and packages, another ``flowmrd``.
    """
    run = folder / "run"
    total = lengths.controls + 2 * lengths.patients
    simulate(run, preset="many", panel=load_panel(PANELS / "ino10.yaml"), nucleated=300, tubes=total)
    sheet = (run / "config/samples.tsv").read_text(encoding="utf-8").splitlines()
    files = iter(line.split("\t")[3] for line in sheet[1:])  # a file each: a copy of another tube's would be refused
    rows = ["sample\tpatient\trole\tfcs"]
    seconds: list[str] = []
    names = [(f"C{i}", f"C{i}", "control") for i in range(lengths.controls)]
    names += [
        (f"P{i}-{role[:2]}", f"P{i}", role) for i in range(lengths.patients) for role in ("diagnosis", "followup")
    ]
    for tube, patient, role in names:
        rows.append("\t".join([tube, patient, role, next(files)]))
        for stage in STEPS[role]:
            seconds.append(f"{stage} {tube} {lengths.of(stage, role):.2f}")
    for i in range(lengths.patients):
        seconds.append(f"laip P{i} {lengths.of('laip', 'diagnosis'):.2f}")
    for stage in ("transform_reference", "gate_reference", "reference"):
        seconds.append(f"{stage.replace('_', '-')} ino10 {lengths.of(stage, 'control'):.2f}")
    seconds += [f"{stage} run {lengths.of(stage, 'run'):.2f}" for stage in ("cohort", "provenance")]
    (run / "config/samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    environment = folder / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "lib").symlink_to(Path(sys.prefix) / "lib")
    (environment / "pyvenv.cfg").write_bytes((Path(sys.prefix) / "pyvenv.cfg").read_bytes())
    (environment / "bin/python").symlink_to(Path(sys.executable).resolve())
    command = environment / "bin/flowmrd"
    command.write_text(_sleeping_command(folder / "seconds"), encoding="utf-8")
    command.chmod(0o755)
    (folder / "seconds").write_text("\n".join(seconds) + "\n", encoding="utf-8")
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603
        [
            *(str(environment / "bin/python"), "-m", "snakemake", "--directory", str(run), "--cores", str(slots)),
            *("--scheduler", "greedy", "--quiet", "all"),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the simulated schedule failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.monotonic() - began


def _sleeping_command(seconds: Path) -> str:
    cases = "\n".join(f"{stage}) files='{files}';;" for stage, files in OUTPUTS.items())
    return f"""#!/bin/bash
# --log FILE --mem-mb N STAGE [build] [--sample|--panel|--patient UNIT] ...
log=$2; stage=$5; unit=run; shift 5
while [ $# -gt 0 ]; do
    case $1 in
        --sample|--panel|--patient) unit=$2; shift;;
        --gated) gated=1;;
    esac
    shift
done
case $stage in
{cases}
esac
if [ "$stage" = judge ] && [ -z "$gated" ]; then files="$files {OUTPUTS["judge-fcs"]}"; fi
sleep "$(grep -m 1 "^$stage $unit " '{seconds}' | cut -d' ' -f3)"
for file in ${{files//\\/U\\//\\/$unit\\/}}; do echo x > "$file"; done
echo done > "$log"
"""

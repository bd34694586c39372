"""Load + compensate + logicle, measured against FlowKit in the same run.

    python benchmarks/preprocess.py [--events 1000000] [--repeat 3] [--large 5000000]

Makes two simulated 17-channel FCS files (float32, and 20-bit values in 32-bit integers), lets FlowKit and flowmrd
process each in processes of their own, compares every value, and prints a Markdown table. Times leave out imports
(given apart). Ratios are of processor time, which other work on the machine disturbs least. Peak memory is that of the
whole process, interpreter and libraries included.

flowmrd is measured twice: ``load, compensate, logicle`` does what FlowKit does, in memory; ``preprocess (whole)`` is
the work of ``flowmrd preprocess FILE``: it also chooses the scales, places all masks, measures residual spillover and
writes the column file and qc.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

N_CHANNELS = 17
SCATTER = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W")
DYES = ("CD66b", "CD22", "CD24", "CD34", "CD19", "CD10", "CD38", "CD20", "CD58", "CD45")
WIDTH = 0.75
TOLERANCE = 1e-5


def make_file(path: Path, n: int, kind: str, seed: int = 1) -> None:
    """Write a simulated tube: dim and bright cells per dye, spillover from 0.2 to 20 %, rounded for integers."""
    from flowmrd.fcs.writer import ChannelSpec, write_fcs

    rng = np.random.default_rng(seed)
    top = 262144 if kind == "float" else 1048576
    spill = spillover()
    dyes = np.empty((len(DYES), n), dtype=np.float32)
    for row in range(len(DYES)):
        bright = rng.random(n, dtype=np.float32) < 0.3
        dyes[row] = np.where(
            bright,
            np.exp(rng.normal(9.0, 0.6, n).astype(np.float32)),
            rng.normal(60, 80, n).astype(np.float32),
        )
    measured = (spill.T.astype(np.float32) @ dyes) + (400 if kind == "int" else 0)
    fsc = np.clip(rng.normal(0.35, 0.1, n), 0.02, 0.99).astype(np.float32) * top
    columns = [
        fsc,
        fsc * 0.95,
        np.full(n, 0.25 * top, np.float32),
        fsc * 0.6,
        fsc * 0.55,
        np.full(n, 0.24 * top, np.float32),
    ]
    columns += list(measured)
    columns.append(np.arange(n, dtype=np.float32) * (60000.0 / n))
    names = [ChannelSpec(name, range=top) for name in SCATTER]
    names += [ChannelSpec(f"FL{i}-A", pns=dye, range=top) for i, dye in enumerate(DYES, 1)]
    names.append(ChannelSpec("Time", range=top))
    detectors = ",".join(f"FL{i}-A" for i in range(1, len(DYES) + 1))
    text = f"{len(DYES)},{detectors}," + ",".join(f"{value:.6f}" for value in spill.ravel())
    keywords = {"$SPILLOVER": text, "$TIMESTEP": "0.01"}
    if kind == "float":
        write_fcs(path, columns, names, keywords)
    else:
        whole = [np.clip(column, 0, top - 1).astype(np.uint32) for column in columns]
        write_fcs(path, whole, names, keywords, datatype="I", bits=32)


def spillover() -> Any:
    """Spillover matrix of the simulated files, row = dye."""
    n = len(DYES)
    matrix = np.eye(n)
    for i in range(n):
        for j in range(n):
            if i != j:
                matrix[i, j] = 0.2 * 0.35 ** (abs(i - j) - 1) if abs(i - j) < 5 else 0.002
    return matrix


class Clock:
    """Time of day and processor time at one moment."""

    def __init__(self) -> None:
        self.wall = time.perf_counter()
        self.cpu = time.process_time()


def between(start: Clock, imported: Clock, done: Clock) -> dict[str, Any]:
    """Processor seconds of the imports; elapsed and processor seconds of the work."""
    return {"import": imported.cpu - start.cpu, "run": done.wall - imported.wall, "cpu": done.cpu - imported.cpu}


def by_flowkit(path: Path) -> dict[str, Any]:
    """FlowKit: Sample, apply_compensation, apply_transform (logicle)."""
    start = Clock()
    import flowkit

    imported = Clock()
    sample = flowkit.Sample(str(path))
    sample.apply_compensation(sample.get_metadata()["spillover"])
    top = float(sample.channels["pnr"].iloc[0])
    sample.apply_transform(flowkit.transforms.LogicleTransform(param_t=top, param_w=WIDTH, param_m=4.5, param_a=0))
    done = Clock()
    events = sample.get_events("xform")
    rows = [sample.pnn_labels.index(f"FL{i}-A") for i in range(1, len(DYES) + 1)]
    return between(start, imported, done) | {"values": [events[:, row] for row in rows]}


def by_flowmrd(path: Path) -> dict[str, Any]:
    """flowmrd: the same three steps in memory."""
    start = Clock()
    from flowmrd.fcs.reader import choose, read_fcs
    from flowmrd.fcs.spillover import read_spillover
    from flowmrd.preprocess.compensation import check_spillover, compensate_columns
    from flowmrd.preprocess.transform import ChannelScale

    imported = Clock()
    data = choose(read_fcs(path))
    found = read_spillover(data.keywords, data.channels)
    if found is None or found.matrix is None:
        raise SystemExit("the simulated file has no spillover")
    names = [str(index) for index in found.channels]
    values = data.scaled()
    top = float(data.channels[0].range or 0)
    matrix = check_spillover(str(path), names, found.matrix, source=found.source)
    columns = {name: values[int(name)] for name in names}
    compensate_columns(columns, names, matrix.inverse(), names, out=columns)
    scale = ChannelScale("logicle", T=top, W=WIDTH)
    for column in columns.values():
        scale.apply(column, out=column)
    done = Clock()
    return between(start, imported, done) | {"values": list(columns.values())}


def by_stage(path: Path) -> dict[str, Any]:
    """flowmrd: the whole of ``flowmrd preprocess FILE``."""
    start = Clock()
    from flowmrd.config.run import RunConfig, TransformConfig
    from flowmrd.home import PANELS
    from flowmrd.panel import load_panel
    from flowmrd.stages.preprocess import preprocess_file
    from flowmrd.store import open_columns
    from flowmrd.tube.read import read_tube

    assert callable(read_tube)  # noqa: S101 - imported here, because the stage imports it only when it is needed
    imported = Clock()
    panel = load_panel(PANELS / "ino10.yaml")
    config = RunConfig(panel="ino10", samples="-", transform=TransformConfig(width="fixed", default_width=WIDTH))
    out = path.with_suffix(".arrow")
    preprocess_file(path, panel=panel, config=config, out=out, qc=path.with_suffix(".json"))
    done = Clock()
    store = open_columns(out)
    return between(start, imported, done) | {"values": [store[name] for name in DYES]}


WAYS = {"flowkit": by_flowkit, "flowmrd": by_flowmrd, "stage": by_stage}


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes.

    Not ``ru_maxrss``: a child starts with the peak of the process that started it.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def worker(way: str, path: Path, result: Path | None) -> None:
    """Run one way in this process; print times and peak memory as JSON."""
    outcome = WAYS[way](path)
    peak = peak_memory()
    if result is not None:
        np.save(result, np.array(outcome["values"]))
    sys.stdout.write(json.dumps({key: outcome[key] for key in ("import", "run", "cpu")} | {"peak": peak}) + "\n")


def measure(way: str, path: Path, repeat: int, result: Path | None = None) -> dict[str, float]:
    """Best of ``repeat`` runs, each in a fresh process."""
    runs = []
    for turn in range(repeat):
        command = [sys.executable, __file__, "--worker", way, "--file", str(path)]
        if result is not None and turn == 0:
            command += ["--result", str(result)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: min(run[key] for run in runs) for key in ("import", "run", "cpu", "peak")}


def compare(first: Path, second: Path) -> float:
    """Largest difference of the values of two ways."""
    one, other = np.load(first, mmap_mode="r"), np.load(second, mmap_mode="r")
    return max(float(np.max(np.abs(a.astype(np.float64) - b))) for a, b in zip(one, other, strict=True))


def main() -> int:
    """Make the files, measure, print the table; exit code 1 where values differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=5_000_000, help="events of the memory test; 0 leaves it out")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--worker", choices=sorted(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.file, arguments.result)
        return 0
    lines = [
        "| file | way | seconds | CPU s | times FlowKit | peak MB | of float32 data | import CPU s | difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="flowmrd-bench-") as folder:
        for kind in ("float", "int"):
            path = Path(folder) / f"{kind}.fcs"
            make_file(path, arguments.events, kind)
            reference = Path(folder) / "flowkit.npy"
            base = measure("flowkit", path, arguments.repeat, reference)
            lines.append(row(kind, arguments.events, "FlowKit", base, base, None))
            for way, name in (("flowmrd", "load, compensate, logicle"), ("stage", "preprocess (whole)")):
                result = Path(folder) / f"{way}.npy"
                timing = measure(way, path, arguments.repeat, result)
                difference = compare(result, reference)
                worst = max(worst, difference)
                lines.append(row(kind, arguments.events, name, timing, base, difference))
                result.unlink()
            reference.unlink()
            path.unlink()
        if arguments.large:
            path = Path(folder) / "large.fcs"
            make_file(path, arguments.large, "float")
            for way, name in (("flowmrd", "load, compensate, logicle"), ("stage", "preprocess (whole)")):
                lines.append(row("float", arguments.large, name, measure(way, path, 1), None, None))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if worst <= TOLERANCE else 1


def row(
    kind: str, n: int, name: str, timing: dict[str, float], base: dict[str, float] | None, difference: float | None
) -> str:
    """One line of the table."""
    data = n * N_CHANNELS * 4
    ratio = f"{base['cpu'] / timing['cpu']:.1f}" if base else "-"
    differs = f"{difference:.1e}" if difference is not None else "-"
    return (
        f"| {n:,} {kind} | {name} | {timing['run']:.2f} | {timing['cpu']:.2f} | {ratio} | {timing['peak'] / 1e6:.0f} "
        f"| {timing['peak'] / data:.2f} | {timing['import']:.2f} | {differs} |"
    )


if __name__ == "__main__":
    sys.exit(main())

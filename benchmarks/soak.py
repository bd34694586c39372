"""``make soak``: kill runs at random moments, many times, and compare what comes out with an undisturbed run.

Killed with SIGKILL, in turn: the whole run (launcher, Snakemake and jobs), Snakemake alone, one job. After each kill
the same command is given again, until it finishes; then every result file is compared by digest. The outcome is
printed as a table for docs/reliability.md. ``--kills N`` (default 50), ``--seed S``, ``--folder F``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from workflow.runs import ENVIRONMENT, digests

VICTIMS = ("run", "snakemake", "job")


def make_run(folder: Path) -> Path:
    """A small run directory: one control, one patient at diagnosis and follow-up."""
    simulate(folder, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=3000)
    sheet = folder / "config/samples.tsv"
    lines = sheet.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines[1:] if line.split("\t")[0] in ("CTRL01", "P02-dx", "P02-day21")]
    sheet.write_text("\n".join([lines[0], *kept]) + "\n", encoding="utf-8")
    config = folder / "config/config.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "reference: {min_controls: 1}\n", encoding="utf-8")
    return folder


def start(run: Path) -> subprocess.Popen[bytes]:
    """Start the launcher in a session of its own."""
    command = [sys.executable, "-m", "flowmrd", "run", str(run), "--cores", "2"]
    return subprocess.Popen(  # noqa: S603
        command,
        env=ENVIRONMENT,
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def members(session: int) -> dict[int, bytes]:
    """Process id to command line of everything in a session."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", maxsplit=1)[1].split()
            if int(fields[3]) == session:
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
    return found


def kill(process: subprocess.Popen[bytes], victim: str) -> None:
    """Kill the victim, then wait until the launcher has ended; end what is left of its session."""
    processes = members(process.pid)
    chosen = list(processes)
    if victim == "snakemake":
        chosen = [pid for pid, command in processes.items() if b"snakemake" in command]
    elif victim == "job":
        chosen = [pid for pid, command in processes.items() if b"--mem-mb" in command and b"bash" not in command]
    for pid in chosen or list(processes):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(120)
    for pid in members(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def soak(folder: Path, kills: int, seed: int) -> int:
    """Run the campaign; return the number of runs whose results differ or that could not be finished."""
    draw = random.Random(seed)  # noqa: S311 - moments of kills, not secrets
    template = make_run(folder / "template")
    undisturbed = Path(shutil.copytree(template, folder / "undisturbed"))
    began = time.monotonic()
    if start(undisturbed).wait() != 0:
        raise SystemExit("the undisturbed run failed")
    length = time.monotonic() - began
    expected = digests(undisturbed)
    done: Counter[str] = Counter()
    runs = lost = 0
    while sum(done.values()) < kills:
        run = Path(shutil.copytree(template, folder / f"run{runs}"))
        for _ in range(min(8, kills - sum(done.values()))):
            process = start(run)
            try:
                process.wait(draw.uniform(0.05, 0.8) * length)
                break  # it finished first
            except subprocess.TimeoutExpired:
                victim = VICTIMS[sum(done.values()) % len(VICTIMS)]
                kill(process, victim)
                done[victim] += 1
        code = start(run).wait()
        same = code == 0 and digests(run) == expected and not list(run.rglob("*.part"))
        lost += not same
        runs += 1
        print(f"run {runs}: exit {code}, {'identical' if same else 'DIFFERENT'}, {sum(done.values())} kills so far")  # noqa: T201
        if same:
            shutil.rmtree(run)
    print("\n| killed | times |\n|---|---|")  # noqa: T201
    for victim in VICTIMS:
        print(f"| {victim} | {done[victim]} |")  # noqa: T201
    print(f"\n{runs} runs, {len(expected)} result files each; runs with a lost or different file: {lost}")  # noqa: T201
    return lost


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.folder is not None:
        return int(soak(options.folder, options.kills, options.seed) > 0)
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        return int(soak(Path(folder), options.kills, options.seed) > 0)


if __name__ == "__main__":
    sys.exit(main())

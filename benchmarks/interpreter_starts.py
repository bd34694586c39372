"""How many Python interpreters a run starts for one tube, on this machine and on SLURM.

    python -m benchmarks.interpreter_starts [--events 6000] [--slurm] [--docs]

Runs two controls, a diagnosis tube and a follow-up tube. Every interpreter of the run notes its command line in a file
(a ``sitecustomize`` module on ``PYTHONPATH``); a start belongs to a tube if its command line names the tube. On this
machine the jobs are forked from one interpreter, and each job's shell starts a small client that passes the command on
(``flowmrd.engine.ready_client``). That client reads no ``sitecustomize``; it is counted by the logs of the jobs.
``--slurm`` starts a one-node SLURM of its own and counts there as well.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks.pages import put_between_marks
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from workflow.slurm_cluster import one_node_slurm

NOTE = """
import os, sys
with open(os.environ["INTERPRETER_STARTS"], "a") as file:
    file.write(" ".join(sys.orig_argv).replace(chr(10), " ") + chr(10))
"""
TUBES = {"control": ("CTRL01",), "diagnosis": ("P01-dx", "P01"), "follow-up": ("P01-day21",)}
"""Role in the table to the tube of the small simulated cohort that is counted; the job that learns the patient's
phenotype is one of the diagnosis tube.
"""
KEPT = ("CTRL01", "CTRL02", "P01-dx", "P01-day21")


def make_run(folder: Path, nucleated: int) -> Path:
    """A run directory of four simulated tubes."""
    run = folder / "run"
    simulate(run, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=nucleated)
    sheet = run / "config" / "samples.tsv"
    header, *rows = sheet.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if row.split("\t")[0] in KEPT]
    sheet.write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    config = "panel: ino10\nsamples: config/samples.tsv\nreference: {min_controls: 2}\n"
    (run / "config" / "config.yaml").write_text(config, encoding="utf-8")
    return run


def starts_by_tube(run: Path, note: Path, environment: Mapping[str, str], *options: str) -> dict[str, int]:
    """Take the tubes through a run, and count the interpreters that were started for each."""
    code = note.parent / "code"
    code.mkdir()
    (code / "sitecustomize.py").write_text(NOTE, encoding="utf-8")
    path = os.pathsep.join((str(code), *filter(None, [environment.get("PYTHONPATH")])))
    command = [sys.executable, "-m", "flowmrd", "run", str(run), *options]
    variables = {**environment, "PYTHONPATH": path, "INTERPRETER_STARTS": str(note)}
    done = subprocess.run(  # noqa: S603
        command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    lines = note.read_text(encoding="utf-8").splitlines()
    jobs = [path.stem for path in (run / "results" / "logs").glob("*/*.log")]  # of which each had a client here
    return {
        role: sum(bool(_about(names).search(line)) for line in lines)
        + (0 if "slurm" in options else sum(job in names for job in jobs))
        for role, names in TUBES.items()
    }


def _about(names: Sequence[str]) -> re.Pattern[str]:
    """Pattern of the command line of a stage, or of Snakemake within a job, for one of these tubes or patients."""
    return re.compile(rf"(?:sample|patient)[ =](?:{'|'.join(map(re.escape, names))})(?![\w-])")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--slurm", action="store_true")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    found = {}
    with ExitStack() as stack:
        folders = {
            name: Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="starts"))) for name in ("here", "slurm")
        }
        run = make_run(folders["here"], options.events)
        found["this machine"] = starts_by_tube(run, folders["here"] / "starts.txt", os.environ, "--cores", "2")
        if options.slurm:
            cluster = stack.enter_context(one_node_slurm(folders["slurm"] / "cluster"))
            run = make_run(folders["slurm"], options.events)
            found["SLURM"] = starts_by_tube(
                run, folders["slurm"] / "starts.txt", cluster.environment, "--profile", "slurm"
            )
    lines = [f"| interpreters started for one tube | {' | '.join(TUBES)} |", "|---|---|---|---|"]
    lines += [f"| {place} | {' | '.join(map(str, starts.values()))} |" for place, starts in found.items()]
    table = "\n".join(lines)
    print(table)  # noqa: T201
    if options.docs:
        put_between_marks(REPOSITORY / "docs" / "performance.md", "starts", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

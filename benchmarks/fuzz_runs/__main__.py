"""Put one fault at random into small run directories, and see what ``check`` and the run make of it.

    python -m benchmarks.fuzz_runs [--runs 200] [--seed 1] [--faults WORD ...] [--panel ino10] [--work FOLDER]

Every run directory holds a few controls, a diagnosis tube and a follow-up tube of one patient, a few thousand cells
each; one in fifty cells of the follow-up tube is leukaemic, and the target is set so high that a negative is possible.
The fault goes into the sheet, the configuration, or the FCS file of one tube. Then ``check`` looks at the directory,
and the stages of a run do, in this process and by the same commands. Promises:

crash
    Whatever is wrong, no exception but a refusal with a reason. Must be 0.
disagree
    What the run refuses ``check`` refuses, and the reverse. Must be 0.
missed
    No negative for a follow-up tube that holds at least 20 leukaemic cells. Must be 0.

Faults are in ``sheet_faults`` and ``tube_faults``; ``--list`` names them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.fuzz_runs.faults import FAULTS, Fault
from benchmarks.fuzz_runs.small_run import CommandError, everything, make_base
from benchmarks.fuzz_runs.written_tube import Tube
from flowmrd.cli.check import check_run
from flowmrd.engine.plan import plan_run
from flowmrd.engine.run_plan import RunPlan
from flowmrd.errors import InputError
from flowmrd.store import open_columns, read_json

ROLES: Final = {"control": "CTRL02", "diagnosis": "P01-dx", "followup": "P01-day21"}
"""Role to the tube that gets the fault."""
LEAST: Final = 20
"""Leukaemic cells from which a negative is a miss."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run directory: a word of the table, and more where it is no good."""

    word: str
    detail: str = ""

    @property
    def bad(self) -> bool:
        """Whether a promise is broken."""
        return self.word in ("crash", "disagree", "missed")


def judge(base: Path, fault: Fault, role: str, seed: int, folder: Path) -> Outcome:
    """Put a fault into a copy of the sound run directory, and look at what comes of it."""
    rng = np.random.default_rng([seed, sum(map(ord, fault.name))])
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(base, run)
    changed = ""
    if fault.kind == "tube":
        changed = ROLES[role]
        path = run / "fcs" / f"{changed}.fcs"
        tube = Tube.read(path)
        fault.change(tube, rng)
        tube.write(path)
    else:
        path = run / "config" / ("samples.tsv" if fault.kind == "sheet" else "config.yaml")
        path.write_bytes(fault.change(path.read_text(encoding="utf-8"), rng))
    try:
        problems, _ = check_run(run)
    except Exception:
        return Outcome("crash", f"check: {traceback.format_exc()[-1500:]}")
    errors = [one for one in problems if one.level == "error"]
    told = "; ".join(f"{one.where.split('/')[-1]}: {one.found}" for one in errors)[:600]
    try:
        plan = plan_run(run)
    except InputError as error:
        return Outcome("refused" if errors else "disagree", f"run: {error}"[:700])
    except Exception:
        return Outcome("crash", f"plan: {traceback.format_exc()[-1500:]}")
    refused = {refusal.sample for refusal in plan.refusals}
    if refused and not errors:
        return Outcome("disagree", f"check: nothing; run refuses {sorted(refused)}")
    if refused and fault.kind == "tube":
        return Outcome("refused", told)
    try:
        everything(run, plan, changed)
    except CommandError as error:
        if error.code == 1 or "Traceback" in error.said:
            return Outcome("crash", str(error)[-1800:])
        return Outcome("refused" if errors else "disagree", f"refused late: {error}"[:900])
    except Exception:
        return Outcome("crash", traceback.format_exc()[-1500:])
    if errors and not refused:
        # An error that no refusal stands for: the tube must have no answer.
        given = {name: class_of(run, name) for name in ([changed] if changed else plan.followups)}
        if any(kind not in ("NOT_EVALUABLE", "") for kind in given.values()):
            return Outcome("disagree", f"check: {told}; run: {given}")
    return answer(run, plan, told)


def class_of(run: Path, name: str) -> str:
    """Class of a tube's answer; empty where it has none."""
    path = run / "results/samples" / name / "mrd.json"
    return str(read_json(path)["verdict"]["class"]) if path.is_file() else ""


def answer(run: Path, plan: RunPlan, told: str) -> Outcome:
    """Compare the follow-up tube's answer with its truth."""
    name = ROLES["followup"]
    path = run / "results/samples" / name / "mrd.json"
    if name not in plan.followups or not path.is_file():
        return Outcome("refused" if told else "no follow-up", told)
    result = read_json(path)
    kind = result["verdict"]["class"]
    reasons = ",".join(reason["code"] for reason in result["verdict"]["reasons"][:6])
    with open_columns(run / "fcs" / f"{name}.truth.arrow") as truth:
        leukaemic = int(truth["mrd"][: result["counts"]["total"]].sum())
    missed = result["verdict"]["mrd_negative"] is True and leukaemic >= LEAST
    return Outcome("missed" if missed else kind, f"{leukaemic} cells; {reasons}")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0, help="faults drawn at random; 0 tries every fault once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", nargs="*", default=[], help="faults whose name contains one of these words")
    parser.add_argument("--roles", nargs="*", default=list(ROLES), choices=ROLES, help="tubes that get a fault")
    parser.add_argument("--panel", default="ino10")
    parser.add_argument("--cells", type=int, default=6_000, help="nucleated cells of a tube")
    parser.add_argument("--controls", type=int, default=4)
    parser.add_argument("--work", type=Path, help="folder for the sound run, kept for the next campaign")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    arguments = parser.parse_args()
    chosen = [one for one in FAULTS.values() if not arguments.faults or any(w in one.name for w in arguments.faults)]
    if arguments.list:
        sys.stdout.writelines(f"{one.name}\n" for one in chosen)
        return 0
    with tempfile.TemporaryDirectory(prefix="fuzz-runs-") as name:
        return campaign(arguments, chosen, Path(name))


def campaign(arguments: argparse.Namespace, chosen: list[Fault], folder: Path) -> int:
    """Try the faults and print a table and every broken promise; the exit code."""
    made = partial(
        make_base,
        panel=arguments.panel,
        cells=arguments.cells,
        n_controls=arguments.controls,
        seed=arguments.seed,
    )
    base = arguments.work or folder / "base"
    made(base)
    if not (base / "results").is_dir():
        everything(base, plan_run(base), "")
    rng = np.random.default_rng(arguments.seed)
    wanted = [(one, role) for one in chosen for role in (one.roles if one.kind == "tube" else one.roles[:1])]
    wanted = [(one, role) for one, role in wanted if role in arguments.roles]
    if arguments.runs:
        wanted = [wanted[int(i)] for i in rng.integers(len(wanted), size=arguments.runs)]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    bad = 0
    for number, (fault, role) in enumerate(wanted):
        outcome = judge(base, fault, role, arguments.seed + number * bool(arguments.runs), folder)
        counts[fault.kind][outcome.word] += 1
        bad += outcome.bad
        of = f" of the {role} tube" if fault.kind == "tube" else ""
        sys.stdout.write(f"{'!! ' if outcome.bad else ''}{fault.name}{of}: {outcome.word}: {outcome.detail}\n")
        sys.stdout.flush()
    for kind, words in counts.items():
        sys.stdout.write(f"{kind}: {', '.join(f'{n} {word}' for word, n in words.most_common())}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

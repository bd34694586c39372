"""What ``check``, the plan and the stages make of a run directory with a fault, and whether a promise is broken."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.fuzz_runs.clear_message import complaints
from benchmarks.fuzz_runs.faults import Fault
from benchmarks.fuzz_runs.folder_faults import SPARE
from benchmarks.fuzz_runs.small_run import CommandError, everything, judge_tube
from benchmarks.fuzz_runs.written_tube import Tube
from flowmrd.cli.check import Problem, check_run
from flowmrd.engine.plan import plan_run
from flowmrd.engine.run_plan import RunPlan
from flowmrd.errors import InputError
from flowmrd.store import open_columns, read_json

__all__ = ["ROLES", "Outcome", "judge"]

ROLES: Final = {
    "followup": "P01-day21",
    "clean": "P02-day21",
    "undiagnosed": "P03-day21",
    "control": "CTRL02",
    "diagnosis": "P01-dx",
}
"""Role to the tube that gets the fault; the follow-up tubes of P02 and P03 hold no leukaemic cell."""
LEAST: Final = 20
"""Leukaemic cells from which a negative is a miss."""
BAD: Final = ("crash", "disagree", "missed", "false alarm", "unclear", "other bytes", "stopped others")


@dataclass(frozen=True)
class Outcome:
    """What came of a run directory: a word of the table, and more where it is no good."""

    word: str
    detail: str = ""

    @property
    def bad(self) -> bool:
        """Whether a promise is broken."""
        return self.word in BAD


@dataclass
class Looked:
    """A run directory with its fault, and what was said about it so far."""

    run: Path
    fault: Fault
    changed: str
    problems: Sequence[Problem] = ()
    unclear: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[Problem]:
        """Problems that ``check`` calls errors."""
        return [one for one in self.problems if one.level == "error"]

    @property
    def told(self) -> str:
        """What ``check`` says, in short."""
        return "; ".join(f"{one.where.split('/')[-1]}: {one.found}" for one in self.errors)[:600]

    def read(self, where: str, found: str, expected: str, todo: str) -> None:
        """Look whether a message is clear."""
        named = [self.fault.key] if self.fault.key else [self.changed] if self.changed and self.fault.of_tube else []
        wrong = complaints(where, found, expected, todo, named=named if named[:1] != [""] else [])
        self.unclear += (
            [f"{'; '.join(wrong)}: {where[-160:]}: found {found[:300]}; to do: {todo[:160]}"] if wrong else []
        )


def judge(
    base: Path, fault: Fault, role: str, seed: int, folder: Path, *, stages: bool = True, twice: bool = False
) -> Outcome:
    """Put a fault into a copy of the sound run directory, and look at what comes of it.

    ``stages``: also run the stages, not only ``check`` and the plan; ``twice``: judge the tube twice.
    """
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(base, run, symlinks=True)
    changed = ROLES[role] if fault.of_tube or fault.kind == "folder" else ""
    put(fault, run, changed, np.random.default_rng([seed, sum(map(ord, fault.name))]))
    looked = Looked(run, fault, changed if fault.of_tube else "")
    outcome = _looked_at(looked, stages=stages, twice=twice)
    if looked.unclear and not outcome.bad:
        return Outcome("unclear", looked.unclear[0])
    return outcome


def put(fault: Fault, run: Path, changed: str, rng: np.random.Generator) -> None:
    """Change a sound run directory."""
    if fault.kind == "folder":
        fault.change(run, changed, rng)
    elif fault.kind == "tube":
        path = run / "fcs" / f"{changed}.fcs"
        tube = Tube.read(path)
        fault.change(tube, rng)
        tube.write(path)
    else:
        path = run / "config" / ("samples.tsv" if fault.kind == "sheet" else "config.yaml")
        path.write_bytes(fault.change(path.read_text(encoding="utf-8"), rng))


def _looked_at(looked: Looked, *, stages: bool, twice: bool) -> Outcome:
    try:
        looked.problems, _ = check_run(looked.run)
    except Exception:
        return Outcome("crash", f"check: {traceback.format_exc()[-1500:]}")
    for one in looked.problems:
        if one.level == "error":
            looked.read(one.where, one.found, one.expected, one.todo)
    try:
        plan = plan_run(looked.run)
    except InputError as error:
        if "no tube that can be worked on" not in error.found:
            looked.read(error.where, error.found, error.expected, error.todo)
        return Outcome("refused" if looked.errors else "disagree", f"run: {error}"[:700])
    except Exception:
        return Outcome("crash", f"plan: {traceback.format_exc()[-1500:]}")
    return _run(looked, plan, stages=stages, twice=twice)


def _run(looked: Looked, plan: RunPlan, *, stages: bool, twice: bool) -> Outcome:
    refused = {refusal.sample for refusal in plan.refusals}
    if refused and not looked.errors:
        return Outcome("disagree", f"check: nothing; run refuses {sorted(refused)}")
    others = set(ROLES.values()) - {looked.changed} if looked.fault.of_tube else set()
    if lost := others & refused:
        said = looked.told
        if not all(name in said for name in lost) or "same events" not in said:
            return Outcome("stopped others", f"{sorted(lost)}: {said}")
    if refused and looked.fault.kind == "tube":
        return Outcome("refused", looked.told)
    if not stages:
        return Outcome("refused" if looked.errors else "accepted", looked.told)
    try:
        everything(looked.run, plan, looked.changed if looked.changed in plan.samples else "")
        if twice and (other := _other_bytes(looked.run, plan, looked.changed or ROLES["followup"])):
            return Outcome("other bytes", other)
    except CommandError as error:
        if error.code == 1 or "Traceback" in error.said:
            return Outcome("crash", str(error)[-1800:])
        return Outcome("refused" if looked.errors else "disagree", f"refused late: {error}"[:900])
    except Exception:
        return Outcome("crash", traceback.format_exc()[-1500:])
    if looked.errors and not refused:
        # An error that no refusal stands for: the tube must have no answer.
        names = [looked.changed] if looked.changed in plan.followups else plan.followups
        given = {name: class_of(looked.run, name) for name in names}
        if looked.fault.of_tube and any(kind not in ("NOT_EVALUABLE", "") for kind in given.values()):
            return Outcome("disagree", f"check: {looked.told}; run: {given}")
    return _answers(looked, plan)


def _other_bytes(run: Path, plan: RunPlan, name: str) -> str:
    """Files of a tube that are not the same when it is judged again."""
    if name not in plan.followups:
        return ""
    folder = run / "results/samples" / name
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    judge_tube(run, plan, name)
    return ", ".join(sorted(path.name for path in folder.iterdir() if before.get(path.name) != path.read_bytes()))


def class_of(run: Path, name: str) -> str:
    """Class of a tube's answer; empty where it has none."""
    path = run / "results/samples" / name / "mrd.json"
    return str(read_json(path)["verdict"]["class"]) if path.is_file() else ""


def _answers(looked: Looked, plan: RunPlan) -> Outcome:
    """Compare the answers of follow-up tubes with the truth."""
    run, seen = looked.run, []
    for role in ("followup", "clean", "undiagnosed"):
        name = ROLES[role]
        path = run / "results/samples" / name / "mrd.json"
        if name not in plan.followups or not path.is_file():
            seen.append(f"{name} no answer")
            continue
        result: dict[str, Any] = read_json(path)
        kind, reasons = result["verdict"]["class"], result["verdict"]["reasons"]
        shown = f"{kind} ({','.join(reason['code'] for reason in reasons[:5])})"
        leukaemic = leukaemic_cells(plan.samples[name].fcs, result["counts"]["total"], run)
        if looked.fault.kind == "folder" and name == looked.changed and role != "followup":
            leukaemic = -1  # it may be another tube by now
        if leukaemic >= LEAST and result["verdict"]["mrd_negative"] is True:
            return Outcome("missed", f"{name}: {leukaemic} leukaemic cells; {shown}; check: {looked.told}")
        if leukaemic == 0 and result["mrd"]["detected"]:
            return Outcome("false alarm", f"{name}: {result['counts']['mrd_events']} cells; {shown}")
        seen.append(f"{name} {shown}")
    return Outcome("refused" if looked.told else "answered", f"{looked.told}; {'; '.join(seen)}")


def leukaemic_cells(fcs: Path, events: int, run: Path) -> int:
    """Leukaemic cells of the file that a row names, as far as the simulator knows them; else -1."""
    truth = run / "fcs" / f"{fcs.stem}.truth.arrow"
    if not truth.is_file() or (run / SPARE) in fcs.parents:
        truth = fcs.with_name(f"{fcs.stem}.truth.arrow")
    if not truth.is_file():
        return -1
    with open_columns(truth) as columns:
        return int(columns["mrd"][:events].sum())

"""What a run would submit to a cluster: the jobs, and what is asked for each.

Snakemake's dry run names the jobs and which of them go together; memory and time come from the same table that the
rules take them from.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from flowmrd.engine.plan import RunPlan
from flowmrd.engine.stage_table import STAGES, Unit

_GROUP = re.compile(r"^\[.*\] Group job (\S+) \(jobs")
_JOB = re.compile(r"^( *)Job \d+: ([^:]+): (.+)$")
_STAGE_OF = {(stage.does, stage.unit is Unit.RUN): name for name, stage in STAGES.items()}


@dataclass(frozen=True)
class BatchJob:
    """One job of the cluster."""

    name: str
    stages: tuple[str, ...]
    mem_mb: int
    minutes: int


def batch_jobs(dry_run: Iterable[str], plan: RunPlan) -> list[BatchJob]:
    """Jobs that a run would submit.

    Parameters
    ----------
    dry_run
        Lines that Snakemake printed.
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    group = ""
    for line in dry_run:
        if match := _GROUP.match(line):
            group = match[1]
        elif match := _JOB.match(line):
            indented, unit, does = match.groups()
            stage = _STAGE_OF.get((does, unit in STAGES))
            if stage is not None:
                groups[group if indented else f"{unit} {stage}"].append((stage, unit))
    return [_job(name, members, plan) for name, members in groups.items()]


def _job(name: str, members: list[tuple[str, str]], plan: RunPlan) -> BatchJob:
    """Stages of one job run one after the other: the largest memory counts, and the sum of times."""
    order = list(STAGES)
    members = sorted(members, key=lambda member: order.index(member[0]))
    sizes = [[plan.columns_mb.get(tube, 0.0) for tube in plan.tubes_of(stage, unit)] for stage, unit in members]
    return BatchJob(
        name,
        tuple(stage for stage, _ in members),
        max(STAGES[stage].ask_mb(max(mb, default=0), 1) for (stage, _), mb in zip(members, sizes, strict=True)),
        sum(STAGES[stage].ask_minutes(sum(mb), 1) for (stage, _), mb in zip(members, sizes, strict=True)),
    )


def lines(jobs: Iterable[BatchJob]) -> list[str]:
    """The plan for a terminal: jobs of the same stages together, with the range of what they ask for."""
    kinds: dict[tuple[str, ...], list[BatchJob]] = defaultdict(list)
    for job in jobs:
        kinds[job.stages].append(job)
    text = [
        "",
        "sbatch plan (a retry asks for twice as much):",
        f"{'jobs':>6}  {'--mem MB':<14}{'-t minutes':<12}stages",
    ]
    for stages, of_kind in kinds.items():
        memory, minutes = _range(job.mem_mb for job in of_kind), _range(job.minutes for job in of_kind)
        text.append(f"{len(of_kind):>6}  {memory:<14}{minutes:<12}{', '.join(stages)}")
    return [*text, f"{sum(map(len, kinds.values())):>6}  in all, each --ntasks=1 --cpus-per-task=1"]


def _range(numbers: Iterable[int]) -> str:
    known = sorted(numbers)
    return str(known[0]) if known[0] == known[-1] else f"{known[0]} to {known[-1]}"

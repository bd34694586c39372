"""Plan of a run before it starts: the steps, and on a cluster the jobs with the memory and time requested for each.

Snakemake's dry run gives the jobs and their groups; memory and time come from the same table that the rules use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from flowmrd.engine.progress import Event
from flowmrd.engine.run_plan import RunPlan
from flowmrd.engine.stage_table import STAGES, Unit


@dataclass(frozen=True)
class BatchJob:
    """One job of the cluster."""

    name: str
    stages: tuple[str, ...]
    mem_mb: int
    minutes: int


def _stage_and_unit(event: Event) -> tuple[str, str] | None:
    """Stage of a planned job and its tube, patient or panel; None for a rule that is not a stage."""
    stage = str(event["rule"]).removesuffix("_kept")
    if stage not in STAGES:
        return None
    of = STAGES[stage].unit
    return stage, stage if of is Unit.RUN else str(event["wildcards"].get(of, ""))


def batch_jobs(events: Iterable[Event], plan: RunPlan) -> list[BatchJob]:
    """Jobs that a run would submit.

    Parameters
    ----------
    events
        Events of Snakemake's dry run (:mod:`snakemake_logger_plugin_flowmrd`).
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for event in events:
        if event.get("event") == "job" and (found := _stage_and_unit(event)) is not None:
            stage, unit = found
            groups[event.get("group") or f"{unit} {stage}"].append((stage, unit))
    return [_job(name, members, plan) for name, members in groups.items()]


def _job(name: str, members: list[tuple[str, str]], plan: RunPlan) -> BatchJob:
    """One job of several stages, which run one after the other: the largest memory and the sum of the times."""
    order = list(STAGES)
    members = sorted(members, key=lambda member: order.index(member[0]))
    sizes = [[plan.columns_mb.get(tube, 0.0) for tube in plan.tubes_of(stage, unit)] for stage, unit in members]
    return BatchJob(
        name,
        tuple(stage for stage, _ in members),
        max(STAGES[stage].ask_mb(max(mb, default=0), 1) for (stage, _), mb in zip(members, sizes, strict=True)),
        sum(STAGES[stage].ask_minutes(sum(mb), 1) for (stage, _), mb in zip(members, sizes, strict=True)),
    )


def work_lines(events: Iterable[Event]) -> list[str]:
    """Steps to be done, one line per tube, patient or panel with its stages; one line where
    everything is up to date.
    """
    todo: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event.get("event") == "job" and (found := _stage_and_unit(event)) is not None:
            stage, unit = found
            if stage not in todo[unit]:
                todo[unit].append(stage)
    order = list(STAGES)
    lines = [f"  {unit:<24} {', '.join(sorted(stages, key=order.index))}" for unit, stages in todo.items()]
    steps = sum(map(len, todo.values()))
    return [f"To be done: {steps} steps for {len(todo)} units", *lines] if lines else ["Nothing is to be done."]


def lines(jobs: Iterable[BatchJob]) -> list[str]:
    """The plan for a terminal: jobs of the same stages together, with the range of memory and time requested."""
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

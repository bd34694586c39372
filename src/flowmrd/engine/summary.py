"""Summary of a run: one line per tube, and the reason for everything that has no result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowmrd.engine.failure import RECORD_SUFFIX
from flowmrd.engine.refusals import LOGS, Refusal, StageFailure, stage_failures
from flowmrd.engine.run_plan import RunPlan
from flowmrd.engine.stage_table import CONTRACT, SAMPLE_STAGES

if TYPE_CHECKING:
    from flowmrd.mrd.result import MrdResult

RESULTS = Path("results/samples")


def print_plan(plan: RunPlan) -> None:
    """Print which tubes will be processed and which will not."""
    roles = [sample.role.value for sample in plan.samples.values()]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    print(f"{plan.run_directory}: {len(roles)} tubes ({counted}); panels {', '.join(plan.panels)}")  # noqa: T201
    _print_refusals(plan.refusals)


def _print_refusals(refusals: Sequence[Refusal]) -> None:
    for refusal in refusals:
        log = f" (log: {refusal.log})" if refusal.log is not None else ""
        print(  # noqa: T201
            f"NOT PROCESSED {refusal.sample}: {refusal.what}\n   in: {refusal.where}\n   do: {refusal.todo}{log}"
        )


def print_summary(plan: RunPlan, code: int, began: int) -> int:
    """Print verdicts, refusals and the place of the reports; return the exit code of the run.

    Parameters
    ----------
    began
        Start of the run in nanoseconds since 1970. Results older than this are marked, since after a failed run they
        may be out of date.
    """
    # imported here, so that a refused start does not wait for them
    from flowmrd.mrd.result import MrdResult

    failed = {failure.refusal.sample: failure for failure in stage_failures(plan.run_directory, plan.samples)}
    unreached = []
    for name in plan.analysed:
        if name in failed:
            continue
        path = plan.run_directory / RESULTS / name / "mrd.json"
        try:
            result = MrdResult.model_validate_json(path.read_bytes())
            old = code != 0 and path.stat().st_mtime_ns < began
            print(f"  {verdict_line(result)}{'  (from an earlier run)' if old else ''}")  # noqa: T201
        except (OSError, ValueError):
            unreached.append(name)
    _print_refusals([*plan.refusals, *(failure.refusal for failure in failed.values())])
    for name in unreached:
        print(f"  {name:<24} no result yet{_last_log(plan.run_directory, name)}")  # noqa: T201
    index = plan.run_directory / "results/cohort/index.html"
    if code == 0 and index.is_file():
        print(f"Reports: {index}")  # noqa: T201
    print(f"Log: {plan.run_directory / LOGS / 'snakemake.log'}")  # noqa: T201
    gone = missing_results(plan, began) if code == 0 else []
    for lost in gone:
        print(f"  {lost} was made and is gone; the same command makes it again")  # noqa: T201
    if code == 0:
        return 1 if gone else 2 if plan.refusals else 0
    return code if code >= 128 else exit_code_of(failed.values(), _common_failures(plan.run_directory))


def missing_results(plan: RunPlan, began: int) -> list[str]:
    """Results of the contract that are gone although the whole workflow ended since ``began``; none where it did not.

    Snakemake has seen each of them. What removes one afterwards is a cancelled job of an earlier start that was still
    tidying up, or somebody.
    """
    try:
        if (plan.run_directory / "results/provenance.json").stat().st_mtime_ns < began:
            return []
    except OSError:
        return []
    paths = [str(RESULTS / sample / name) for sample in plan.analysed for name in CONTRACT]
    return [path for path in paths if not (plan.run_directory / path).is_file()]


UNEXPLAINED = ("NEGATIVE", "POSITIVE", "POSITIVE_BELOW_THRESHOLD", "DETECTED_NOT_QUANTIFIABLE", "CONTROL_CLEAN")
"""Classes of verdict whose summary line gives no reason."""


def verdict_line(result: MrdResult) -> str:
    """Sample, class and reported level; for other than a plain answer also the reason that decided."""
    kind = result.verdict.class_.value
    why = "" if kind in UNEXPLAINED else f"  {result.verdict.reasons[0].code}: {result.verdict.reasons[0].message}"
    level = "" if result.role == "control" else result.mrd.reported
    return f"{result.sample:<24} {kind:<34} {level}{why}".rstrip()


def exit_code_of(failures: Iterable[StageFailure], common: Sequence[int]) -> int:
    """Exit code: 2 if the user can correct every fault, 1 if any fault is flowmrd's or its cause is not known."""
    codes = [*(failure.exit_code for failure in failures), *common]
    return 2 if codes and all(code == 2 for code in codes) else 1


def _common_failures(run_directory: Path) -> list[int]:
    """Exit codes of failed stages that work on several tubes, from their records."""
    found = []
    for record in sorted((run_directory / LOGS).rglob(f"*{RECORD_SUFFIX}")):
        if record.parent.name in SAMPLE_STAGES:
            continue
        try:
            found.append(int(json.loads(record.read_text(encoding="utf-8"))["exit_code"]))
        except (OSError, ValueError, KeyError, TypeError):
            found.append(1)
    return found


def _last_log(run_directory: Path, name: str) -> str:
    logs = sorted((run_directory / LOGS).glob(f"*/{name}.log"), key=lambda path: path.stat().st_mtime_ns)
    if not logs:
        return ": not started, because a step that it waits for gave no result"
    return f": {logs[-1].parent.name} did not end, or what comes after it was not reached (log: {logs[-1]})"

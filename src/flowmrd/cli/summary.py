"""What came of a run: a line per tube, and the reason for everything that has no result."""

from __future__ import annotations

import json
from pathlib import Path

from flowmrd.cli.plan import RunPlan

RESULTS = Path("results/samples")


def print_plan(plan: RunPlan) -> None:
    """Say what will be worked on and what will not."""
    roles = [sample.role.value for sample in plan.samples.values()]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    print(f"{plan.run_directory}: {len(roles)} tubes ({counted}); panels {', '.join(plan.panels)}")  # noqa: T201
    _print_refusals(plan)


def _print_refusals(plan: RunPlan) -> None:
    for refusal in plan.refusals:
        print(  # noqa: T201
            f"NOT PROCESSED {refusal.sample}: {refusal.what}\n   in: {refusal.where}\n   do: {refusal.todo}"
        )


def print_summary(plan: RunPlan, code: int) -> int:
    """Print verdicts, refusals and where the reports lie; return the exit code of the run."""
    missing = []
    for name in plan.analysed:
        path = plan.run_directory / RESULTS / name / "mrd.json"
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            percent = result["mrd"]["percent"]
            level = "no denominator" if percent is None else f"{percent:.4g} %"
            print(f"  {name:<24} {result['verdict']['class']:<34} {level}")  # noqa: T201
        except (OSError, ValueError, KeyError):
            missing.append(name)
    _print_refusals(plan)
    for name in missing:
        print(f"  {name:<24} no result yet: look at results/logs/*/{name}.log")  # noqa: T201
    index = plan.run_directory / "results/cohort/index.html"
    if code == 0 and index.is_file():
        print(f"Reports: {index}")  # noqa: T201
    print(f"Log: {plan.run_directory / 'results/logs/snakemake.log'}")  # noqa: T201
    if code == 0:
        return 2 if plan.refusals else 0
    return code if code >= 128 else 1

"""The published figures of ChiCTR2400093987, and whether an analysed re-enactment gives them.

``python -m benchmarks.published_trial RUNDIR``, after ``flowmrd simulate RUNDIR --preset trial`` and
``flowmrd run RUNDIR``, prints each figure and ends with 1 if one differs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from flowmrd.trial.result import TrialResult

FIGURES: Final[dict[str, object]] = {
    "enrolled": 13,
    "men": 8,
    "women": 5,
    "evaluable": 12,
    "complete remission": (11, 12, 91.7, 61.5, 99.8),
    "MRD negative": (9, 12, 75.0, 42.8, 94.5),
    "MRD found, of the evaluable": 3,
    "neutropenia grade 3 or 4, percent": 82,
    "thrombocytopenia grade 3 or 4, percent": 73,
    "anaemia grade 3 or 4, percent": 64,
    "tumour lysis syndrome": 1,
    "fatal sepsis": 1,
    "veno-occlusive disease": 0,
    "cytokine release syndrome": 0,
    "median follow-up, months": 8.0,
    "responders alive in remission": (10, 11),
    "median overall survival": "not reached",
    "median progression-free survival": "not reached",
}
"""The figures as published; intervals are the exact ones of the published counts. 9 of 12 means that the three others
had MRD. A re-enactment in which their tubes gave no answer would have the same rate for the wrong reason.
"""


def figures_of(result: TrialResult) -> dict[str, object]:
    """The same figures from a trial result."""
    events = {line.term.casefold(): line for line in result.adverse_events}

    def rate(name: str) -> tuple[float | None, ...]:
        one = result.rates[name].primary
        low, high = one.ci95_percent or (None, None)
        shown = [None if value is None else round(value, 1) for value in (one.percent, low, high)]
        return (one.successes, one.total, *shown)

    def severe(term: str) -> int | None:
        percent = events[term].grade_3_4.percent if term in events else None
        return None if percent is None else round(percent)

    def patients(term: str) -> int | None:
        return events[term].any_grade.successes if term in events else None

    def median(name: str) -> str:
        months = result.endpoints[name].median_months
        return "not reached" if months is None or months.value is None else f"{months.value:.1f} months"

    follow_up = result.follow_up_months.value
    alive = result.rates["in_remission"].primary
    return {
        "enrolled": result.flow[0].patients,
        "men": result.demographics.sex.get("male", 0),
        "women": result.demographics.sex.get("female", 0),
        "evaluable": result.rates["cr"].primary.total,
        "complete remission": rate("cr"),
        "MRD negative": rate("mrd_negative"),
        "MRD found, of the evaluable": result.mrd_of_evaluable["positive"],
        "neutropenia grade 3 or 4, percent": severe("neutropenia"),
        "thrombocytopenia grade 3 or 4, percent": severe("thrombocytopenia"),
        "anaemia grade 3 or 4, percent": severe("anaemia"),
        "tumour lysis syndrome": patients("tumour lysis syndrome"),
        "fatal sepsis": events["sepsis"].fatal if "sepsis" in events else None,
        "veno-occlusive disease": patients("veno-occlusive disease"),
        "cytokine release syndrome": patients("cytokine release syndrome"),
        "median follow-up, months": None if follow_up is None else round(follow_up, 1),
        "responders alive in remission": (alive.successes, alive.total),
        "median overall survival": median("os"),
        "median progression-free survival": median("pfs"),
    }


def main(arguments: list[str]) -> int:
    """Compare a run directory with the published figures."""
    if len(arguments) != 1:
        print("usage: python -m benchmarks.published_trial RUNDIR", file=sys.stderr)  # noqa: T201
        return 2
    path = Path(arguments[0]) / "results" / "cohort" / "trial.json"
    if not path.is_file():
        print(f"{path}: not found; analyse the run with `flowmrd run` first", file=sys.stderr)  # noqa: T201
        return 2
    found = figures_of(TrialResult.model_validate_json(path.read_bytes()))
    for name, expected in FIGURES.items():
        sign = "same" if found[name] == expected else "DIFFERS"
        print(f"{sign:<8}{name:<42}{found[name]!s:<36}published {expected}")  # noqa: T201
    return int(found != FIGURES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

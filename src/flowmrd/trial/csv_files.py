"""CSV files for a statistician: long format, one unit per column name, nothing rounded, no date."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from flowmrd.store import write_text
from flowmrd.trial.result import TrialResult

NAMES = ("patients", "times", "rates", "curves", "adverse_events", "worst_grades")
"""Files for a statistician."""

RISKY_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of cells that a spreadsheet program would read as a formula."""


def write_tables(folder: Path, result: TrialResult) -> None:
    """Write one CSV of each of :data:`NAMES`.

    ``patients`` has one row per patient. ``times`` has one row per patient and endpoint, ready for a survival model
    (code 0 censored, 1 the event, 2 the competing event). ``rates`` and ``curves`` hold the estimates.
    ``adverse_events`` is by term and worst grade. ``worst_grades`` has one row per patient and term.
    """
    _write(
        folder / "patients.csv",
        (
            *("patient", "sex", "age", "treated", "evaluable", "response", "response_day", "blasts_before_percent"),
            *("blasts_after_percent", "mrd_sample", "mrd_status", "mrd_class", "mrd_fraction", "mrd_lod95"),
            *("mrd_review", "progression_day", "relapse_day", "transplant_day", "death_day", "death_cause"),
            *("last_contact_day", "safety_evaluable"),
        ),
        (
            (
                *(line.patient, line.sex, line.age, line.treated, line.evaluable, line.response, line.response_day),
                *(line.blasts_before_percent, line.blasts_after_percent, line.mrd.sample, line.mrd.status),
                *(line.mrd.klass, line.mrd.fraction, line.mrd.lod95, line.mrd.review, line.progression_day),
                *(line.relapse_day, line.transplant_day, line.death_day, line.death_cause),
                *(line.last_contact_day, line.safety_evaluable),
            )
            for line in result.patients
        ),
    )
    _write(
        folder / "times.csv",
        ("endpoint", "patient", "days", "code"),
        (
            (name, one.patient, one.days, one.code)
            for name, endpoint in result.endpoints.items()
            for one in endpoint.observations
        ),
    )
    _write(
        folder / "rates.csv",
        ("endpoint", "population", "successes", "total", "percent", "low_percent", "high_percent"),
        (
            (rate.name, one.population, one.successes, one.total, one.percent, *(one.ci95_percent or (None, None)))
            for rate in result.rates.values()
            for one in (rate.primary, *rate.others)
        ),
    )
    _write(
        folder / "curves.csv",
        ("endpoint", "day", "at_risk", "events", "censored", "estimate", "low", "high"),
        (
            (name, step.time, step.at_risk, step.events, step.censored, step.value, *(step.ci95 or (None, None)))
            for name, endpoint in result.endpoints.items()
            for step in endpoint.curve.steps
        ),
    )
    _write(
        folder / "adverse_events.csv",
        ("term", "grade_1", "grade_2", "grade_3", "grade_4", "grade_5", "patients", "safety_population"),
        (
            (
                line.term,
                *(line.by_grade[grade] for grade in range(1, 6)),
                line.any_grade.successes,
                line.any_grade.total,
            )
            for line in result.adverse_events
        ),
    )

    _write(
        folder / "worst_grades.csv",
        ("patient", "term", "worst_grade"),
        ((patient, line.term, grade) for line in result.adverse_events for patient, grade in line.worst.items()),
    )


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    write_text(path, stream.getvalue())


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value.startswith(RISKY_STARTS):
        return "'" + value
    return value

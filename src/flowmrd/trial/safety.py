"""Adverse events: every patient once per term, with the worst grade (CTCAE v5)."""

from __future__ import annotations

from collections.abc import Sequence

from flowmrd.trial.proportion import proportion
from flowmrd.trial.result import EventLine
from flowmrd.trial.tables import AdverseEvent, Patient

SAFETY = "safety-evaluable patients"
TREATED = "treated patients"


def in_safety_population(patient: Patient) -> bool:
    """Whether a patient is in the safety population: as the sheet says; otherwise if the patient was treated."""
    return patient.treated if patient.safety_evaluable is None else patient.safety_evaluable


def worst_grades(events: Sequence[AdverseEvent]) -> dict[str, dict[str, int]]:
    """Term to patient to worst grade. Terms are compared without case; the first spelling is kept."""
    spelling: dict[str, str] = {}
    worst: dict[str, dict[str, int]] = {}
    for event in events:
        term = spelling.setdefault(event.term.casefold(), event.term)
        patients = worst.setdefault(term, {})
        patients[event.patient] = max(patients.get(event.patient, 0), event.grade)
    return worst


def tabulate(
    patients: Sequence[Patient], events: Sequence[AdverseEvent], of_interest: Sequence[str]
) -> tuple[EventLine, ...]:
    """One line per term, by number of patients with grade 3 or worse; terms of interest are listed even without
    patients.
    """
    safety = {patient.patient for patient in patients if in_safety_population(patient)}
    treated = {patient.patient for patient in patients if patient.treated}
    worst = worst_grades(events)
    seen = {term.casefold() for term in worst}
    for term in of_interest:
        if term.casefold() not in seen:
            worst[term] = {}
    lines = []
    for term, grades in worst.items():
        in_safety = {name: grade for name, grade in grades.items() if name in safety}
        severe = sum(grade >= 3 for grade in in_safety.values())
        fatal = sum(grade == 5 for grade in in_safety.values())
        lines.append(
            EventLine(
                term=term,
                by_grade={grade: sum(found == grade for found in in_safety.values()) for grade in range(1, 6)},
                any_grade=proportion(SAFETY, len(in_safety), len(safety)),
                grade_3_4=proportion(SAFETY, severe - fatal, len(safety)),
                grade_3_plus=proportion(SAFETY, severe, len(safety)),
                fatal=fatal,
                treated_grade_3_plus=proportion(
                    TREATED, sum(grade >= 3 for name, grade in grades.items() if name in treated), len(treated)
                ),
                worst=dict(sorted(grades.items())),
            )
        )
    return tuple(
        sorted(lines, key=lambda line: (-line.grade_3_plus.successes, -line.any_grade.successes, line.term.casefold()))
    )

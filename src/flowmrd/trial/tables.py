"""The clinical tables: ``patients.tsv`` (one row per patient) and ``adverse_events.tsv`` (one row per event).

Both are read to the end and every problem is returned at once, with its line. Dates become days since enrolment as
they are read, so no date of a patient enters a result. The columns are described in docs/methods/trial.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from flowmrd.config.sheet import ID_PATTERN
from flowmrd.config.table import Row, read_table
from flowmrd.errors import InputError, SheetError, TrialError
from flowmrd.trial.clinical_values import SheetRow

PATIENT_REQUIRED = ("patient", "enrolled", "status", "last_contact")
PATIENT_OPTIONAL = (
    "sex",
    "age",
    "first_dose",
    "evaluable",
    "not_evaluable_reason",
    "baseline_blasts_percent",
    "response_date",
    "marrow_blasts_percent",
    "circulating_blasts",
    "extramedullary_disease",
    "anc_e9_l",
    "platelets_e9_l",
    "platelet_transfusion",
    "response_reported",
    "mrd_sample",
    "progression_date",
    "relapse_date",
    "relapse_site",
    "relapse_blasts_percent",
    "transplant_date",
    "death_date",
    "death_cause",
    "safety_evaluable",
    "safety_not_evaluable_reason",
)
EVENT_REQUIRED = ("patient", "term", "grade")
EVENT_OPTIONAL = ("onset", "code", "related", "serious")
RESPONSES = ("CR", "CRi", "MLFS", "PR", "NR", "NE")
SITES = ("marrow", "blood", "extramedullary")
CAUSES = ("leukaemia", "toxicity", "infection", "other", "unknown")
MISSPELT_CAUSES = {"leukemia": "leukaemia"}
SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Patient:
    """One patient; times are days since enrolment, counts are 10⁹/L, blasts are percent of nucleated marrow cells."""

    patient: str
    last_contact: int
    alive: bool
    sex: str | None = None
    age: float | None = None
    first_dose: int | None = None
    evaluable: bool | None = None
    not_evaluable_reason: str | None = None
    baseline_blasts: float | None = None
    response_day: int | None = None
    blasts: float | None = None
    circulating_blasts: bool | None = None
    extramedullary: bool | None = None
    neutrophils: float | None = None
    platelets: float | None = None
    platelet_transfusion: bool | None = None
    response_reported: str | None = None
    mrd_sample: str | None = None
    progression: int | None = None
    relapse: int | None = None
    relapse_site: str | None = None
    relapse_blasts: float | None = None
    transplant: int | None = None
    death: int | None = None
    death_cause: str | None = None
    safety_evaluable: bool | None = None
    safety_reason: str | None = None
    line: int = 0

    @property
    def treated(self) -> bool:
        """Whether a first dose was given."""
        return self.first_dose is not None


@dataclass(frozen=True)
class AdverseEvent:
    """One adverse event, graded 1 to 5 (CTCAE v5); ``onset`` in days since enrolment."""

    patient: str
    term: str
    grade: int
    onset: int | None = None
    code: str | None = None
    related: str | None = None
    serious: bool | None = None
    line: int = 0


def read_patients(path: Path, cutoff: date | None = None) -> tuple[list[Patient], list[InputError]]:
    """Read ``patients.tsv``; return the valid rows and every problem.

    Raises
    ------
    SheetError
        Only where the sheet as a whole cannot be read.
    """
    rows, form = read_table(path, PATIENT_REQUIRED, PATIENT_OPTIONAL, one_row_per="patient", setting="patients")
    problems: list[InputError] = [*form]
    patients: list[Patient] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        cells = SheetRow(f"{path}, line {line}", row, cutoff=cutoff)
        patient = _patient(cells, line)
        name = row["patient"]
        if name in first_line:
            cells.contradiction(
                f"patient {name[:80]} again (first on line {first_line[name]})",
                "one row per patient",
                "merge the two rows",
            )
        first_line.setdefault(name, line)
        problems.extend(cells.problems)
        if patient is not None and not cells.problems:
            patients.append(patient)
    return patients, problems


def read_adverse_events(
    path: Path, patients: Sequence[Patient], enrolment: dict[str, date | None]
) -> tuple[list[AdverseEvent], list[InputError]]:
    """Read ``adverse_events.tsv`` and check it against the list of patients; return the valid rows and every problem.

    Parameters
    ----------
    enrolment
        Date of enrolment by patient where the patients' sheet gives one (see :func:`enrolment_dates`).

    Raises
    ------
    SheetError
        Only where the sheet as a whole cannot be read.
    """
    rows, form = read_table(path, EVENT_REQUIRED, EVENT_OPTIONAL, one_row_per="adverse event", setting="adverse_events")
    problems: list[InputError] = [*form]
    known = {patient.patient: patient for patient in patients}
    events = []
    for line, row in rows:
        cells = SheetRow(f"{path}, line {line}", row, enrolled=enrolment.get(row["patient"]))
        event = _event(cells, line, known, row["patient"] in enrolment)
        problems.extend(cells.problems)
        if event is not None and not cells.problems:
            events.append(event)
    return events, problems


def enrolment_dates(path: Path) -> dict[str, date | None]:
    """Every patient that the sheet names, with the date of enrolment; None where the row has day numbers."""
    rows, _ = read_table(path, PATIENT_REQUIRED, PATIENT_OPTIONAL, one_row_per="patient", setting="patients")
    found: dict[str, date | None] = {}
    for _, row in rows:
        cells = SheetRow("", row)
        cells.origin("enrolled")
        found[row["patient"]] = cells.enrolled
    return found


def _patient(cells: SheetRow, line: int) -> Patient | None:
    row = cells.row
    if not ID_PATTERN.fullmatch(row["patient"]):
        cells.bad(
            "patient",
            repr(row["patient"][:80]),
            "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
            "use the pseudonym of the sample sheet",
        )
    mrd_sample = cells.text("mrd_sample")
    if mrd_sample is not None and not ID_PATTERN.fullmatch(mrd_sample):
        cells.bad("mrd_sample", repr(mrd_sample[:80]), "a sample of the sample sheet", "correct it")
    cells.origin("enrolled")
    status = cells.choice("status", ("alive", "dead"), required=True)
    last_contact = cells.day("last_contact", required=True)
    cause = row.get("death_cause", "").lower()
    spelt: Row = {**row, "death_cause": MISSPELT_CAUSES.get(cause, cause)}
    patient = Patient(
        patient=row["patient"],
        last_contact=last_contact if last_contact is not None else -1,
        alive=status == "alive",
        sex=cells.choice("sex", ("male", "female", "other")),
        age=cells.number("age", 0, 120),
        first_dose=cells.day("first_dose"),
        evaluable=cells.yes_no("evaluable"),
        not_evaluable_reason=cells.text("not_evaluable_reason"),
        baseline_blasts=cells.number("baseline_blasts_percent", 0, 100),
        response_day=cells.day("response_date"),
        blasts=cells.number("marrow_blasts_percent", 0, 100),
        circulating_blasts=cells.yes_no("circulating_blasts"),
        extramedullary=cells.yes_no("extramedullary_disease"),
        neutrophils=cells.number("anc_e9_l", 0, 500),
        platelets=cells.number("platelets_e9_l", 0, 5000),
        platelet_transfusion=cells.yes_no("platelet_transfusion"),
        response_reported=cells.choice("response_reported", RESPONSES),
        mrd_sample=mrd_sample,
        progression=cells.day("progression_date"),
        relapse=cells.day("relapse_date"),
        relapse_site=cells.choice("relapse_site", SITES),
        relapse_blasts=cells.number("relapse_blasts_percent", 0, 100),
        transplant=cells.day("transplant_date"),
        death=cells.day("death_date"),
        death_cause=SheetRow(cells.where, spelt, problems=cells.problems).choice("death_cause", CAUSES),
        safety_evaluable=cells.yes_no("safety_evaluable"),
        safety_reason=cells.text("safety_not_evaluable_reason"),
        line=line,
    )
    if status is None or last_contact is None:
        return None
    _contradictions(cells, patient)
    return patient


@dataclass(frozen=True)
class ContradictionRule:
    """A rule about statements of one row that contradict each other.

    Attributes
    ----------
    broken
        Whether a row contradicts itself in this way.
    found, expected, todo
        For the message; ``p`` in ``found`` is the patient.
    """

    broken: Callable[[Patient], bool]
    found: str
    expected: str
    todo: str


ONE_OF_TWO = "correct one of the two dates"
RULES: Final = (
    ContradictionRule(
        lambda p: p.alive and p.death is not None,
        "a death date for a patient who is alive",
        "status dead, or no death date",
        "correct one of the two",
    ),
    ContradictionRule(
        lambda p: p.alive and p.death_cause is not None,
        "a cause of death for a patient who is alive",
        "status dead, or no cause",
        "correct one of the two",
    ),
    ContradictionRule(
        lambda p: not p.alive and p.death is None,
        "status dead without a death date",
        "the death date",
        "fill in death_date",
    ),
    ContradictionRule(
        lambda p: p.first_dose is None and p.response_day is not None,
        "a response date but no first dose",
        "the date of the first dose",
        "fill in first_dose",
    ),
    ContradictionRule(
        lambda p: _before(p.response_day, p.first_dose),
        "response_date before first_dose",
        "a response after treatment began",
        ONE_OF_TWO,
    ),
    ContradictionRule(
        lambda p: p.blasts is not None and p.response_day is None,
        "marrow blasts without a response date",
        "the date of that marrow",
        "fill in response_date",
    ),
    ContradictionRule(
        lambda p: p.response_day is not None and p.blasts is None,
        "a response date without marrow blasts",
        "marrow_blasts_percent of that date",
        "fill it in",
    ),
    ContradictionRule(
        lambda p: p.response_reported in ("CR", "CRi", "MLFS", "PR") and p.response_day is None,
        "{p.response_reported} reported without a response date",
        "the date of response",
        "fill in response_date",
    ),
    ContradictionRule(
        lambda p: p.relapse is not None and p.response_day is None,
        "a relapse without a response",
        "response_date, or progression_date instead",
        "correct the row",
    ),
    ContradictionRule(
        lambda p: p.relapse is not None and p.response_day is not None and p.relapse <= p.response_day,
        "relapse_date not after response_date",
        "a relapse after the response",
        ONE_OF_TWO,
    ),
    ContradictionRule(
        lambda p: p.relapse_site is not None and p.relapse is None,
        "a relapse site without a relapse date",
        "relapse_date",
        "fill it in, or remove the site",
    ),
    ContradictionRule(
        lambda p: p.relapse is not None and p.progression is not None,
        "both a relapse and a progression",
        "relapse after a response, progression without one",
        "keep one",
    ),
    ContradictionRule(
        lambda p: p.evaluable is False and p.not_evaluable_reason is None,
        "evaluable no without a reason",
        "the reason",
        "fill in not_evaluable_reason",
    ),
    ContradictionRule(
        lambda p: p.safety_evaluable is False and p.safety_reason is None,
        "safety_evaluable no without a reason",
        "the reason",
        "fill in safety_not_evaluable_reason",
    ),
    ContradictionRule(
        lambda p: bool(p.evaluable) and not p.treated,
        "evaluable yes without a first dose",
        "a treated patient",
        "fill in first_dose, or write no",
    ),
    ContradictionRule(
        lambda p: bool(p.safety_evaluable) and not p.treated,
        "safety_evaluable yes without a first dose",
        "a treated patient",
        "fill in first_dose, or write no",
    ),
)


def _before(day: int | None, other: int | None) -> bool:
    return day is not None and other is not None and day < other


def _contradictions(cells: SheetRow, patient: Patient) -> None:
    """Note every rule that a row breaks, and every date outside the patient's time in the trial."""
    for rule in RULES:
        if rule.broken(patient):
            cells.contradiction(rule.found.format(p=patient), rule.expected, rule.todo)
    days = {
        "first_dose": patient.first_dose,
        "response_date": patient.response_day,
        "progression_date": patient.progression,
        "relapse_date": patient.relapse,
        "transplant_date": patient.transplant,
        "death_date": patient.death,
        "last_contact": patient.last_contact,
    }
    for column, day in days.items():
        if day is None:
            continue
        if day < 0:
            cells.contradiction(f"{column} {-day} days before enrolment", "a date at or after enrolment", ONE_OF_TWO)
        elif day > patient.last_contact:
            what = "the death itself" if column == "death_date" else "any event of the patient"
            cells.contradiction(f"{column} after last_contact", f"last_contact at or after {what}", ONE_OF_TWO)
        elif _before(patient.death, day):
            cells.contradiction(f"{column} after death", "no date after the death", ONE_OF_TWO)


def _event(cells: SheetRow, line: int, known: dict[str, Patient], on_sheet: bool) -> AdverseEvent | None:
    row = cells.row
    name = row["patient"]
    term = SPACES.sub(" ", cells.text("term") or "")
    if not term:
        cells.bad("term", "no usable term", "the name of the event, the same for all patients", "fill it in")
    grade = cells.number("grade", 1, 5)
    if grade is None and not row["grade"]:
        cells.bad("grade", "an empty cell", "a CTCAE grade from 1 to 5", "fill it in")
    if grade is not None and grade != int(grade):
        cells.bad("grade", row["grade"][:80], "a whole number from 1 to 5", "correct it")
    if not on_sheet:
        cells.contradiction(
            f"patient {name[:80]!r}, who is not in patients.tsv", "a patient of that sheet", "correct the pseudonym"
        )
    onset = cells.day("onset") if on_sheet else None
    event = AdverseEvent(
        patient=name,
        term=term,
        grade=int(grade or 0),
        onset=onset,
        code=cells.text("code"),
        related=cells.choice("related", ("yes", "no", "unknown")),
        serious=cells.yes_no("serious"),
        line=line,
    )
    patient = known.get(name)
    if patient is None:
        return None
    if not patient.treated:
        cells.contradiction(
            "an event of a patient without a first dose", "a treated patient", "fill in first_dose in patients.tsv"
        )
    if event.grade == 5 and patient.alive:
        cells.contradiction("grade 5 for a patient who is alive", "a grade below 5, or status dead", "correct one")
    if event.onset is not None and event.onset < 0:
        cells.contradiction("an onset before enrolment", "an onset at or after enrolment", "correct the date")
    if event.onset is not None and event.onset > patient.last_contact:
        cells.contradiction("an onset after last_contact", "an onset within follow-up", "correct one of the dates")
    return event


def check_tables(problems: Sequence[InputError], path: Path) -> None:
    """Raise one error that lists every problem, if there is any.

    Raises
    ------
    SheetError, TrialError
        Where there is any problem; a TrialError where the rows contradict themselves.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0]
    kind = TrialError if any(isinstance(problem, TrialError) for problem in problems) else SheetError
    listed = "".join(f"\n  {problem}" for problem in problems)
    raise kind(
        str(path.parent),
        found=f"{len(problems)} problems in the clinical tables:{listed}\n",
        expected="tables without contradictions",
        todo="correct every line listed; docs/methods/trial.md describes the columns",
    )

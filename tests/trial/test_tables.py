"""Clinical tables: good rows are read, bad ones are all told at once with their line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.errors import InputError, SheetError, TrialError
from flowmrd.trial.tables import (
    Patient,
    check_tables,
    enrolment_dates,
    read_adverse_events,
    read_patients,
)

GOOD = {
    "patient": "P1",
    "enrolled": "2024-01-01",
    "first_dose": "2024-01-02",
    "status": "alive",
    "last_contact": "2024-09-01",
    "response_date": "2024-01-24",
    "marrow_blasts_percent": "1.5",
    "extramedullary_disease": "no",
    "anc_e9_l": "1.8",
    "platelets_e9_l": "140",
}


def write(folder: Path, *rows: dict[str, str], name: str = "patients.tsv") -> Path:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = ["\t".join(columns), *("\t".join(row.get(column, "") for column in columns) for row in rows)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def problems_of(folder: Path, **changes: str) -> list[InputError]:
    patients, problems = read_patients(write(folder, {**GOOD, **changes}))
    assert not (patients and problems)
    return problems


def test_dates_become_days_since_enrolment(tmp_path: Path) -> None:
    patients, problems = read_patients(write(tmp_path, GOOD))
    assert not problems
    assert (patients[0].first_dose, patients[0].response_day, patients[0].last_contact) == (1, 23, 244)


def test_day_numbers_are_accepted_instead_of_dates(tmp_path: Path) -> None:
    row = {**GOOD, "enrolled": "0", "first_dose": "1", "response_date": "23", "last_contact": "244"}
    patients, problems = read_patients(write(tmp_path, row))
    assert not problems
    assert patients[0].last_contact == 244


CONTRADICTIONS = [
    ({"status": "dead"}, "without a death date"),
    ({"death_date": "2024-05-01"}, "death date for a patient who is alive"),
    ({"status": "dead", "death_date": "2023-12-01"}, "before enrolment"),
    ({"status": "dead", "death_date": "2024-05-01"}, "last_contact after death"),
    ({"response_date": ""}, "marrow blasts without a response date"),
    ({"response_date": "", "marrow_blasts_percent": "", "response_reported": "CR"}, "CR reported without"),
    ({"response_date": "2024-01-01"}, "response_date before first_dose"),
    ({"relapse_date": "2024-01-10"}, "relapse_date not after response_date"),
    ({"relapse_date": "2024-10-01"}, "relapse_date after last_contact"),
    ({"relapse_date": "2024-05-01", "progression_date": "2024-05-01"}, "both a relapse and a progression"),
    ({"relapse_site": "marrow"}, "site without a relapse date"),
    ({"evaluable": "no"}, "evaluable no without a reason"),
    ({"safety_evaluable": "no"}, "safety_evaluable no without a reason"),
    ({"first_dose": ""}, "response date but no first dose"),
]


@pytest.mark.parametrize(("changes", "words"), CONTRADICTIONS)
def test_contradiction_is_found_with_its_line(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    problems = problems_of(tmp_path, **changes)
    assert any(words in str(problem) and "line 2" in problem.where for problem in problems), problems
    assert all(isinstance(problem, TrialError) for problem in problems)


MALFORMED = [
    ({"last_contact": "09/08/2024"}, "may mean 2024-08-09 or 2024-09-08"),
    ({"last_contact": "45536"}, "day number"),
    ({"last_contact": "2024-02-30"}, "last_contact"),
    ({"last_contact": "september"}, "not a date"),
    ({"last_contact": ""}, "last_contact"),
    ({"status": "alife"}, "did you mean alive"),
    ({"marrow_blasts_percent": "1,500"}, "decimal point"),
    ({"marrow_blasts_percent": "150"}, "0 to 100"),
    ({"marrow_blasts_percent": "nan"}, "0 to 100"),
    ({"extramedullary_disease": "maybe"}, "yes or no"),
    ({"patient": "../x"}, "pseudonym"),
    ({"enrolled": ""}, "enrolment"),
    ({"mrd_sample": "a b"}, "mrd_sample"),
]


@pytest.mark.parametrize("written", ["2024-09-01", "01.09.2024", "1 Sep 2024", "1. September 2024", "20240901"])
def test_a_date_that_can_mean_one_day_only_is_read(tmp_path: Path, written: str) -> None:
    assert problems_of(tmp_path, last_contact=written, marrow_blasts_percent="1,5") == []


@pytest.mark.parametrize(("changes", "words"), MALFORMED)
def test_malformed_cell_is_found_with_its_line(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    problems = problems_of(tmp_path, **changes)
    assert any(words in str(problem) and "line 2" in problem.where for problem in problems), problems


def test_all_problems_of_all_rows_come_in_one_error(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, {**GOOD, "status": "x", "age": "old"}, {**GOOD, "patient": "P3", "status": "dead"})
    patients, problems = read_patients(path)
    assert [patient.patient for patient in patients] == ["P1"]
    with pytest.raises(TrialError) as caught:
        check_tables(problems, path)
    for words in ("line 3, column status", "line 3, column age", "patient P1 again (first on line 2)", "line 4"):
        assert words in str(caught.value)


def test_date_after_the_cutoff_is_a_contradiction(tmp_path: Path) -> None:
    _, problems = read_patients(write(tmp_path, GOOD), cutoff=date(2024, 6, 30))
    assert ["last_contact after the data cut-off" in str(problem) for problem in problems] == [True]


def test_missing_required_column_ends_at_once(tmp_path: Path) -> None:
    row = {key: value for key, value in GOOD.items() if key != "status"}
    with pytest.raises(SheetError, match="status"):
        read_patients(write(tmp_path, row))


def events_of(folder: Path, *rows: dict[str, str], patient: dict[str, str] | None = None) -> list[InputError]:
    sheet = write(folder, {**GOOD, **(patient or {})})
    patients, problems = read_patients(sheet)
    assert not problems
    path = write(folder, *rows, name="adverse_events.tsv")
    return read_adverse_events(path, patients, enrolment_dates(sheet))[1]


EVENTS = [
    ({"patient": "P9", "term": "Sepsis", "grade": "3"}, "not in patients.tsv"),
    ({"patient": "P1", "term": "Sepsis", "grade": "5"}, "grade 5 for a patient who is alive"),
    ({"patient": "P1", "term": "Sepsis", "grade": "6"}, "1 to 5"),
    ({"patient": "P1", "term": "Sepsis", "grade": "2.5"}, "whole number"),
    ({"patient": "P1", "term": "Sepsis", "grade": ""}, "empty cell"),
    ({"patient": "P1", "term": "", "grade": "2"}, "no usable term"),
    ({"patient": "P1", "term": "Sepsis", "grade": "3", "onset": "2023-12-01"}, "before enrolment"),
    ({"patient": "P1", "term": "Sepsis", "grade": "3", "onset": "2024-12-01"}, "after last_contact"),
]


@pytest.mark.parametrize(("row", "words"), EVENTS)
def test_bad_adverse_event_is_found(tmp_path: Path, row: dict[str, str], words: str) -> None:
    assert any(words in str(problem) for problem in events_of(tmp_path, row))


def test_good_adverse_event_has_no_problem(tmp_path: Path) -> None:
    row = {"patient": "P1", "term": "Nausea", "grade": "2", "onset": "2024-02-01"}
    assert events_of(tmp_path, row) == []


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]), max_size=12), max_size=9)
)
def test_hostile_cells_end_in_problems_never_in_a_crash(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "patients.tsv"
    header = ["patient", "enrolled", "status", "last_contact", "age", "sex", "death_date", "relapse_date", "evaluable"]
    path.write_text("\t".join(header) + "\n" + "\t".join(cells) + "\n", encoding="utf-8")
    patients, problems = read_patients(path)
    assert all(isinstance(patient, Patient) for patient in patients)
    assert all(isinstance(problem, InputError) for problem in problems)

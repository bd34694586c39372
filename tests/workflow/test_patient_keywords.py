"""Tubes under another patient's name are told by the keywords of their files, and no keyword is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.config.sheet import Role, Sample
from flowmrd.engine.patient_keywords import Acquired, acquired, patient_contradictions
from flowmrd.fcs.writer import ChannelSpec, write_fcs

DX, FU = Role.DIAGNOSIS, Role.FOLLOWUP


def told(*tubes: tuple[str, Role, str], days: tuple[str, ...] = ()) -> dict[str, str]:
    """Tube (patient-role) to what is told of it; every tube is given as patient, role and the value of ``$SRC``."""
    rows = [
        Sample(f"{patient}-{role.value}", patient, role, Path("x.fcs"), line=number)
        for number, (patient, role, _) in enumerate(tubes, start=2)
    ]
    files = {
        row.sample: Acquired({"$SRC": name} if name else {}, days[number] if days else None)
        for number, (row, (_, _, name)) in enumerate(zip(rows, tubes, strict=True))
    }
    return {row.sample: error.found for row, error in patient_contradictions(rows, files, Path("s.tsv"))}


SOUND = (("C", DX, "smith"), ("C", FU, "smith"), ("D", DX, "jones"), ("D", FU, "jones"))


def test_patients_whose_files_agree_with_the_sheet_are_not_told() -> None:
    assert told(*SOUND) == {}


def test_a_follow_up_tube_of_one_patient_under_the_name_of_another_is_told() -> None:
    assert told(("A", DX, "ahmed"), ("B", DX, "baker"), ("B", FU, "ahmed")) == {
        "B-followup": "a tube of patient B with the $SRC of tubes of patient A"
    }


def test_exchanged_follow_up_tubes_are_told() -> None:
    found = told(("A", DX, "ahmed"), ("A", FU, "baker"), ("B", DX, "baker"), ("B", FU, "ahmed"))
    assert {"A-followup", "B-followup"} <= set(found)


def test_a_diagnosis_tube_of_somebody_who_is_not_in_the_run_is_told_where_the_keyword_names_patients() -> None:
    strange = (("A", DX, "other"), ("A", FU, "ahmed"))
    assert set(told(*SOUND, *strange)) == {"A-diagnosis", "A-followup"}
    assert told(*strange) == {}, "alone, the keyword may name the visit"


@pytest.mark.parametrize("patients", ["AB", "ABC"])
def test_a_keyword_that_names_the_visit_is_not_taken_for_the_patient(patients: str) -> None:
    assert told(*((one, role, role.value) for one in patients for role in (DX, FU))) == {}


def test_a_diagnosis_tube_that_was_acquired_after_the_follow_up_is_told() -> None:
    tubes = (("A", DX, ""), ("A", FU, ""))
    found = told(*tubes, days=("2026-03-09", "2026-03-02"))
    assert "on a later day than the follow-up tube A-followup" in found["A-diagnosis"]
    assert told(*tubes, days=("2026-03-02", "2026-03-09")) == {}


@pytest.mark.parametrize("usual", ["Specimen_001", "sample 12", "xxxx", "BM-1", ""])
def test_words_that_programs_fill_in_name_nobody(usual: str, tmp_path: Path) -> None:
    assert acquired(written(tmp_path, usual)).names == {}


def test_values_are_compared_without_case_and_punctuation(tmp_path: Path) -> None:
    assert acquired(written(tmp_path, "Mueller, A.")).names == {"$SRC": "muellera"}


def written(folder: Path, source: str) -> Path:
    path = folder / "tube.fcs"
    keywords = {"$SRC": source} if source else {}
    write_fcs(path, [np.arange(9, dtype=np.float32)], [ChannelSpec("FSC-A", "", 262144)], keywords)
    return path

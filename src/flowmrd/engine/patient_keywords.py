"""Whether the files agree with the sheet about whose tubes they are, by keywords that name a specimen or a patient.

Instruments write into ``$SRC``, ``@SAMPLEID1`` and the like what was typed into the worklist. Some laboratories type
the patient, others the visit, others nothing. So a keyword is believed only where two patients exchange it, or where it
names other patients of the run. The values are compared and neither shown nor kept, not even as digests.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowmrd.config import Sample
from flowmrd.config.sheet import Role
from flowmrd.errors import InputError, SheetError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.fcs.scrub import acquisition

__all__ = ["Acquired", "acquired", "patient_contradictions"]

KEYS: Final = ("$SRC", "PATIENT ID", "PATIENTID", "PATIENT NAME", "$SMNO", "SAMPLE ID", "@SAMPLEID1", "@SAMPLEID2")
"""Keywords that may name a patient. ``$SRC`` is the source of the specimen (FACSDiva: the name of the specimen)."""
USUAL_WORDS: Final = re.compile(r"(?:specimen|sample|tube|patient|experiment|unknown|none|bm|pb|x)*\d{0,3}")
"""Values, without blanks and punctuation, that programs fill in or that say nothing about a person."""
LEAST_PATIENTS: Final = 2
"""Number of other patients, each with tubes that agree, from which a keyword is taken for a name of the patient."""


@dataclass(frozen=True)
class Acquired:
    """What a file says about its specimen; held in memory only.

    Attributes
    ----------
    names
        Keyword to its value in small letters and digits, where the value may name somebody.
    day
        Day of acquisition, ISO; None where it is not known.
    """

    names: Mapping[str, str]
    day: str | None


def acquired(path: Path) -> Acquired:
    """Read what a file says about its specimen.

    Raises
    ------
    FcsError
        If the file cannot be read.
    """
    keywords = choose(read_fcs(path)).keywords
    words = {key: re.sub(r"[\W_]", "", keywords.get(key, "")).casefold() for key in KEYS}
    day = acquisition(keywords)["date"]
    return Acquired(
        {key: word for key, word in words.items() if not USUAL_WORDS.fullmatch(word)}, str(day) if day else None
    )


def patient_contradictions(
    rows: Sequence[Sample], files: Mapping[str, Acquired], sheet: Path
) -> Iterator[tuple[Sample, InputError]]:
    """Tubes that the sheet gives to another patient than the files do, and diagnosis tubes that came after a follow-up.

    Parameters
    ----------
    files
        Sample to what its file says, for files that can be read.
    """
    known = [row for row in rows if row.sample in files and row.role is not Role.COMPENSATION]
    told: set[str] = set()
    for key in KEYS:
        for row, found in _Named.by(key, known, files).contradictions():
            if row.sample not in told:
                told.add(row.sample)
                yield row, _error(row, sheet, found)
    for row, earlier in _late_diagnoses(known, files):
        yield (
            row,
            SheetError(
                f"{sheet}, line {row.line} ({row.sample})",
                found=f"a diagnosis tube acquired on a later day than the follow-up tube {earlier.sample} (line "
                f"{earlier.line}) of the same patient",
                expected="the diagnosis before the follow-up",
                todo="make sure that role and patient of both rows are right; a relapse is a diagnosis of its own",
            ),
        )


def _error(row: Sample, sheet: Path, found: str) -> InputError:
    return SheetError(
        f"{sheet}, line {row.line} ({row.sample})",
        found=found,
        expected="tubes of one patient whose files name one patient",
        todo="compare the sheet with the worklist: a tube under another patient's name is searched for the wrong "
        "leukaemia",
    )


@dataclass(frozen=True)
class _Named:
    """The values of one keyword.

    Attributes
    ----------
    tubes
        Patient to the tubes with each value.
    holders
        Value to the patients that have it.
    """

    key: str
    tubes: Mapping[str, Mapping[str, Sequence[Sample]]]
    holders: Mapping[str, set[str]]

    @classmethod
    def by(cls, key: str, rows: Sequence[Sample], files: Mapping[str, Acquired]) -> _Named:
        """Sort the tubes by the values of a keyword."""
        tubes: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
        holders: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            if (value := files[row.sample].names.get(key)) is not None:
                tubes[row.patient][value].append(row)
                holders[value].add(row.patient)
        return cls(key, tubes, holders)

    def contradictions(self) -> Iterator[tuple[Sample, str]]:
        """Tubes that the sheet gives to another patient than this keyword does, in words."""
        agreeing = sum(self._agrees(patient) for patient in self.tubes)
        for patient, values in self.tubes.items():
            shared = {value: other for value in values if (other := self._other(patient, value)) is not None}
            if len(values) == 1 and agreeing < LEAST_PATIENTS:
                continue  # nothing within the patient contradicts the sheet
            for value, other in shared.items():
                for row in values[value]:
                    yield row, f"a tube of patient {patient} with the {self.key} of tubes of patient {other}"
            if len(values) > 1 and not shared and agreeing >= LEAST_PATIENTS:
                for row in (row for same in values.values() for row in same):
                    yield (
                        row,
                        f"tubes of patient {patient} that differ in {self.key}, which is the same in all tubes of each "
                        f"of {agreeing} other patients",
                    )

    def _agrees(self, patient: str) -> bool:
        """Whether all tubes of a patient, two or more, have one value that nobody else has."""
        values = self.tubes[patient]
        return len(values) == 1 and all(
            len(rows) > 1 and self.holders[value] == {patient} for value, rows in values.items()
        )

    def _other(self, patient: str, value: str) -> str | None:
        """The only other patient with this value, unless the value names the visit: then both have it for one visit."""
        others = self.holders[value] - {patient}
        if len(others) != 1:
            return None
        other = next(iter(others))
        visits = {(row.role, row.timepoint) for row in self.tubes[other][value]}
        own = {(row.role, row.timepoint) for row in self.tubes[patient][value]}
        return other if len(visits | own) > 1 else None


def _late_diagnoses(rows: Sequence[Sample], files: Mapping[str, Acquired]) -> Iterator[tuple[Sample, Sample]]:
    """Diagnosis tubes with the first follow-up tube of the patient, where that was acquired on an earlier day."""
    first: dict[str, Sample] = {}
    for row in sorted(rows, key=lambda one: files[one.sample].day or ""):
        if row.role is Role.FOLLOWUP and files[row.sample].day is not None:
            first.setdefault(row.patient, row)
    for row in rows:
        day = files[row.sample].day
        earlier = first.get(row.patient)
        if row.role is Role.DIAGNOSIS and day is not None and earlier is not None:
            before = files[earlier.sample].day
            if before is not None and before < day:
                yield row, earlier

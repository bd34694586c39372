"""The sample sheet: one tube per row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Never
from unicodedata import normalize

from flowmrd.config.path_text import impossible_path, plain_path
from flowmrd.config.table import read_table
from flowmrd.dates import DayError, read_day
from flowmrd.errors import RepeatedSampleError, SheetError

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COLUMNS = {
    "sample": "Name of the tube: 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit.",
    "patient": "Pseudonym of the person, same characters. Tubes of one person belong together by it.",
    "role": "control, diagnosis, followup or compensation.",
    "fcs": "The tube's FCS file, relative to the folder of the sheet, or absolute.",
    "panel": "Panel of this tube where it is not the configuration's.",
    "timepoint": "Free text for the report; the trial report looks for its own words (trial.mrd_timepoints).",
    "specimen": "Free text for the report, for example bone marrow.",
    "specimen_id": "Name of the specimen, same characters as sample: tubes of one name are judged together as well.",
    "pull": "Free text for the report: first pull, second pull.",
    "anticoagulant": "Free text for the report: EDTA, heparin.",
    "collected": "When it was aspirated: YYYY-MM-DD, or with the time, YYYY-MM-DDTHH:MM; the report computes its age.",
    "received": "When it came to the laboratory, written in the same way.",
    "viability": "Free text for the report: viability as the laboratory measured it.",
    "lots": "Free text for the report: lots of the reagents.",
    "expiry": "First day on which a reagent of the tube has expired, YYYY-MM-DD; a tube acquired later is named.",
    "analyst": "Free text for the report: who acquired or gated the tube; better initials or a number than a name.",
    "prior_therapy": "none, cd19, cd22 or cd19+cd22: earlier therapy that may have taken a marker away.",
    "batch": "Staining or instrument batch; chooses the spillover CSV where the configuration gives one per batch.",
    "stain": "For compensation tubes: the marker that is stained, or unstained.",
    "labels": "Expert labels by event of a diagnosis tube, which then give its phenotype: a table (columns event and "
    "blast), or the gates themselves (FlowJo, Kaluza, FACSDiva, GatingML) with one called Blasts, MRD or the like.",
}
"""Columns of the sheet and what they mean, the four required ones first."""
REQUIRED = tuple(COLUMNS)[:4]
OPTIONAL = tuple(COLUMNS)[4:]


class Role(StrEnum):
    """Role of a tube in the run: ``control``, ``diagnosis``, ``followup`` or ``compensation`` (a single stain)."""

    CONTROL = "control"
    DIAGNOSIS = "diagnosis"
    FOLLOWUP = "followup"
    COMPENSATION = "compensation"


class PriorTherapy(StrEnum):
    """Earlier therapies after which leukaemic cells may lack the target antigen."""

    NONE = "none"
    CD19 = "cd19"
    CD22 = "cd22"
    CD19_CD22 = "cd19+cd22"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        known = ", ".join(one.value for one in cls)
        raise ValueError(f"{str(value)[:80]!r} is no therapy before a tube: one of {known}")

    @property
    def targets(self) -> frozenset[str]:
        """The therapy's targets: a subset of ``{"cd19", "cd22"}``."""
        return frozenset() if self is PriorTherapy.NONE else frozenset(self.value.split("+"))


@dataclass(frozen=True)
class Sample:
    """One row of the sheet, checked.

    Attributes
    ----------
    sample, patient
        Name of the tube; pseudonym of its patient.
    role
        Control, diagnosis, follow-up or single-stain tube.
    fcs
        Absolute path of the file.
    prior_therapy
        Therapy against CD19 or CD22 before the tube.
    stain
        Marker of a single-stain tube.
    labels
        Expert labels by event.
    line
        Line of the sheet; 0 for a tube that is in no sheet.
    panel, timepoint, specimen, specimen_id and other attributes
        Columns of the sheet as written there (docs/reference/sample-sheet.md).
    """

    sample: str
    patient: str
    role: Role
    fcs: Path
    panel: str | None = None
    timepoint: str | None = None
    specimen: str | None = None
    specimen_id: str | None = None
    pull: str | None = None
    anticoagulant: str | None = None
    collected: str | None = None
    received: str | None = None
    viability: str | None = None
    lots: str | None = None
    expiry: str | None = None
    analyst: str | None = None
    prior_therapy: PriorTherapy = PriorTherapy.NONE
    batch: str | None = None
    stain: str | None = None
    labels: Path | None = None
    line: int = 0


def read_sheet(path: Path) -> tuple[list[Sample], list[SheetError]]:
    """Read ``samples.tsv``; return its valid rows and every problem found.

    The caller decides whether a problem stops the run (``flowmrd check``) or only excludes the rows concerned.

    Raises
    ------
    SheetError
        Only where the sheet as a whole cannot be read (missing, no header, required column absent).
    """
    rows, problems = read_table(path, REQUIRED, OPTIONAL, one_row_per="tube", setting="samples")
    samples: list[Sample] = []
    first_line: dict[str, int] = {}
    patients: dict[str, str] = {}
    repeated: set[str] = set()
    for line, cells in rows:
        where = f"{path}, line {line}"
        row = _as_meant(cells)
        errors = _row_errors(where, row)
        sample = row["sample"]
        if sample in first_line:
            repeated.add(sample)
            errors.append(
                RepeatedSampleError(
                    where,
                    found=f"sample {sample} again (first on line {first_line[sample]})",
                    expected="every sample once",
                    todo="give each tube its own name; until then neither is used",
                    sample=sample,
                    patient=row["patient"] if row["patient"] == patients[sample] else "",
                )
            )
        if errors:
            problems.extend(errors)
            continue
        first_line[sample], patients[sample] = line, row["patient"]
        samples.append(_to_sample(path.parent, row, line))
    problems += _specimen_errors(path, samples)
    # which of two tubes of one name is meant cannot be known, so neither is used
    return [sample for sample in samples if sample.sample not in repeated], problems


def _specimen_errors(path: Path, samples: list[Sample]) -> list[SheetError]:
    """Rows of one specimen that cannot be of one specimen."""
    first: dict[str, Sample] = {}
    errors = []
    for sample in samples:
        if sample.specimen_id is None:
            continue
        other = first.setdefault(sample.specimen_id, sample)
        for column in ("patient", "role", "timepoint"):
            mine, theirs = getattr(sample, column), getattr(other, column)
            if mine != theirs:
                errors.append(
                    SheetError(
                        f"{path}, line {sample.line}",
                        found=f"specimen {sample.specimen_id} with {column} {mine or 'empty'}, "
                        f"on line {other.line} {theirs or 'empty'}",
                        expected="tubes of one specimen to be of one patient, role and time point",
                        todo="correct the row, or give the specimens different names",
                    )
                )
    return errors


def _as_meant(row: Mapping[str, str]) -> dict[str, str]:
    """A row with its fixed words in their own spelling: ``Follow-up`` and ``CONTROL`` can mean one thing only."""
    meant = dict(row)
    for column, words in (("role", Role), ("prior_therapy", PriorTherapy)):
        folded = re.sub(r"[\s_\-]+", "", meant.get(column, "").casefold())
        for word in words:
            if folded == word.value:
                meant[column] = word.value
    for column in ("collected", "received", "expiry"):
        if value := meant.get(column, ""):
            meant[column] = _iso(value)
    return meant


def _iso(value: str) -> str:
    """A day, with its time where there is one, as ISO; what is no single day stays as it is and is reported."""
    try:
        day = read_day(value)
    except DayError:
        return value
    clock = re.search(r"[T ](\d{1,2}):(\d{2})", value)
    return day.isoformat() + (f"T{int(clock[1]):02d}:{clock[2]}" if clock else "")


def _date_errors(where: str, row: Mapping[str, str]) -> list[SheetError]:
    errors = []
    for column in ("collected", "received", "expiry"):
        value = row.get(column, "")
        try:
            if value:
                read_day(value)
        except DayError as error:
            found = f"{column} {value[:80]!r}, which {error}"
            expected = "a date as YYYY-MM-DD, or with the time as YYYY-MM-DDTHH:MM"
            errors.append(SheetError(where, found=found, expected=expected, todo="rewrite the date"))
    return errors


def _path_errors(where: str, row: Mapping[str, str]) -> list[SheetError]:
    return [
        SheetError(
            where,
            found=f"{column}: {why}",
            expected="the name of a panel, or the path of its file" if column == "panel" else "the path of a file",
            todo="correct the cell",
        )
        for column in ("panel", "labels")
        if row.get(column) and (why := impossible_path(row[column]))
    ]


def _row_errors(where: str, row: Mapping[str, str]) -> list[SheetError]:
    errors = []
    for column in ("sample", "patient", "specimen_id"):
        name = row.get(column, "")
        if not ID_PATTERN.fullmatch(name) and (name or column != "specimen_id"):
            errors.append(
                SheetError(
                    where,
                    found=f"{column} {name[:80]!r}",
                    expected="1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
                    todo="choose another id",
                )
            )
    choices = {"role": [role.value for role in Role], "prior_therapy": [therapy.value for therapy in PriorTherapy]}
    for column, allowed in choices.items():
        value = row.get(column, "")
        if value not in allowed and (value or column == "role"):
            near = get_close_matches(value.lower(), allowed, n=1)
            errors.append(
                SheetError(
                    where,
                    found=f"{column} {value[:80]!r}",
                    expected=f"one of {', '.join(allowed)}",
                    todo=f"did you mean {near[0]}?" if near else "correct it",
                )
            )
    errors += _date_errors(where, row)
    if not row["fcs"]:
        errors.append(
            SheetError(where, found="no fcs file", expected="the path of the tube's FCS file", todo="fill it in")
        )
    errors += _path_errors(where, row)
    if row["role"] == Role.COMPENSATION and not row.get("stain"):
        errors.append(
            SheetError(
                where,
                found="a compensation tube without a stain",
                expected="the marker of the single stain, or 'unstained'",
                todo="fill in the stain column",
            )
        )
    return errors


def _file(folder: Path, written: str) -> Path:
    """The file that a cell names: as written, else with the slashes or the Unicode form of this system."""
    turned = written.replace("\\", "/")
    forms = [form for text in (written, turned) for form in (text, *(normalize(one, text) for one in ("NFC", "NFD")))]
    for form in forms:
        try:
            if (folder / form).is_file():
                return plain_path(folder / form)
        except (OSError, ValueError):
            break
    return plain_path(folder / written)


def _to_sample(folder: Path, row: Mapping[str, str], line: int) -> Sample:
    def optional(name: str) -> str | None:
        return row.get(name) or None

    labels = optional("labels")
    return Sample(
        sample=row["sample"],
        patient=row["patient"],
        role=Role(row["role"]),
        fcs=_file(folder, row["fcs"]),
        panel=optional("panel"),
        timepoint=optional("timepoint"),
        specimen=optional("specimen"),
        specimen_id=optional("specimen_id"),
        pull=optional("pull"),
        anticoagulant=optional("anticoagulant"),
        collected=optional("collected"),
        received=optional("received"),
        viability=optional("viability"),
        lots=optional("lots"),
        expiry=optional("expiry"),
        analyst=optional("analyst"),
        prior_therapy=PriorTherapy(row.get("prior_therapy") or "none"),
        batch=optional("batch"),
        stain=optional("stain"),
        labels=_file(folder, labels) if labels else None,
        line=line,
    )

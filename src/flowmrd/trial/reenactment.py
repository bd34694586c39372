"""The re-enacted trial of ``test_data/trial``: which tubes to simulate, and the clinical tables that go with them.

``flowmrd simulate RUNDIR --preset trial`` simulates the tubes of :func:`read_tubes` with
:func:`flowmrd.simulate.design.trial` and calls :func:`copy_tables`. ``flowmrd run RUNDIR`` then analyses the tubes, and
the figures result from that analysis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flowmrd.config.sheet import ID_PATTERN
from flowmrd.config.table import read_table
from flowmrd.errors import SheetError
from flowmrd.home import REPOSITORY
from flowmrd.simulate.design import FollowUp
from flowmrd.simulate.leukaemia import Cd19, Cd22, Therapy
from flowmrd.store import write_text

REENACTMENT: Final = REPOSITORY / "test_data" / "trial"
TABLES: Final = ("patients.tsv", "adverse_events.tsv")
COLUMNS: Final = (
    "patient",
    "level",
    "nucleated",
    "diagnosis_nucleated",
    "blasts",
    "cd19_before",
    "cd19",
    "cd22",
    "steroid",
)


def read_tubes(path: Path = REENACTMENT / "tubes.tsv") -> list[FollowUp]:
    """Patients to simulate, from a design table.

    Raises
    ------
    SheetError
        For the first row that is not a tube.
    """
    rows, problems = read_table(path, COLUMNS, (), one_row_per="patient with tubes", setting="tubes")
    if problems:
        raise problems[0]
    found = []
    for line, row in rows:
        try:
            if not ID_PATTERN.fullmatch(row["patient"]):
                raise ValueError(row["patient"])  # noqa: TRY301 - told together with the other bad cells
            found.append(
                FollowUp(
                    patient=row["patient"],
                    level=float(row["level"]),
                    before=Therapy(cd19=Cd19(row["cd19_before"])),
                    after=Therapy(cd19=Cd19(row["cd19"]), cd22=Cd22(row["cd22"]), steroid=float(row["steroid"])),
                    nucleated=int(row["nucleated"]),
                    diagnosis_nucleated=int(row["diagnosis_nucleated"]),
                    blasts=float(row["blasts"]),
                )
            )
        except ValueError as error:
            raise SheetError(
                f"{path}, line {line}",
                found=str(error)[:200],
                expected="a pseudonym, numbers, and the states of CD19 and CD22 the simulator knows",
                todo="correct the row",
            ) from error
    return found


def copy_tables(run_directory: Path) -> None:
    """Copy the clinical tables into ``config/`` of a run directory; tables that are already there
    are left as they are.
    """
    for name in TABLES:
        text = (REENACTMENT / name).read_text(encoding="utf-8")
        target = run_directory / "config" / name
        if not (target.is_file() and target.read_text(encoding="utf-8") == text):
            write_text(target, text)

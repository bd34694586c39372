"""Tubes that cannot be used: the reason, and how long it holds.

A stage that fails leaves a record beside its log (:mod:`flowmrd.engine.failure`). A record keeps its tube out of later
runs only if the fault lies in the tube itself and nothing on which the tube depends has changed since. A change is
recognised by a fingerprint of content, not by file times, because clocks are set back and copies keep old times. After
a full disk, too little memory or a fault of flowmrd, the tube is tried again at the next start.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowmrd.config import Sample
from flowmrd.engine.failure import RECORD_SUFFIX
from flowmrd.engine.stage_table import SAMPLE_STAGES
from flowmrd.errors import ArtefactError, InputError, RepeatedSampleError, SheetError
from flowmrd.records.read import read_if_there
from flowmrd.records.run import FailureFile

LOGS: Final = Path("results/logs")
CHECK: Final = "check"
"""Name of the stage in refusals that follow from sheet, panel and header, before any stage ran."""


@dataclass(frozen=True)
class Refusal:
    """A tube, or a row of the sheet, that cannot be used."""

    sample: str
    patient: str
    role: str
    stage: str
    what: str
    where: str
    todo: str

    @property
    def message(self) -> str:
        """One line for a table."""
        return f"{self.what} ({self.where}); {self.todo}"

    @property
    def log(self) -> Path | None:
        """Log of the stage that refused the tube, relative to the run directory; None where no stage was started."""
        return None if self.stage == CHECK else LOGS / self.stage / f"{self.sample}.log"


def refuse(row: Sample, error: InputError) -> Refusal:
    """Turn an error in a tube's row, panel or header into its refusal."""
    return Refusal(row.sample, row.patient, row.role.value, CHECK, _what(error), error.where, error.todo)


def refuse_row(error: SheetError) -> Refusal:
    """Turn a row that cannot be read into a refusal, named by its line; by its tube where two rows name one."""
    if isinstance(error, RepeatedSampleError):
        return Refusal(error.sample, error.patient, "", CHECK, _what(error), error.where, error.todo)
    name = error.where.rsplit(", ", maxsplit=1)[-1].replace(" ", "-")
    return Refusal(name, "", "", CHECK, _what(error), error.where, error.todo)


def _what(error: InputError) -> str:
    return f"found {error.found}; expected {error.expected}"


@dataclass(frozen=True)
class StageFailure:
    """The record that a failed stage left beside its log."""

    refusal: Refusal
    exit_code: int
    lasting: bool
    fingerprint: str


def stage_failures(run_directory: Path, samples: Mapping[str, Sample]) -> list[StageFailure]:
    """The earliest failed stage of every tube that has a record, in the order of the stages.

    A record that cannot be read, for example one cut short by a crash, is ignored.
    """
    found: dict[str, StageFailure] = {}
    for stage in SAMPLE_STAGES:
        for name, row in samples.items():
            record = run_directory / LOGS / stage / f"{name}{RECORD_SUFFIX}"
            if name not in found and (failure := _read(record, row, stage)) is not None:
                found[name] = failure
    return list(found.values())


def forget_failures(run_directory: Path, samples: Iterable[str]) -> None:
    """Remove the records of tubes that are tried again, so that a tube that is not reached does not look failed."""
    for name in samples:
        for stage in SAMPLE_STAGES:
            (run_directory / LOGS / stage / f"{name}{RECORD_SUFFIX}").unlink(missing_ok=True)


def set_aside(run_directory: Path, refused: Iterable[Sample]) -> None:
    """Move results of refused tubes to ``results/superseded``, so that nobody takes them for results of the present
    file.

    Results of a tube whose file is merely out of reach stay, because a drive may be away for a moment.
    """
    results = run_directory / "results"
    for row in refused:
        folder, place = results / "samples" / row.sample, results / "superseded" / row.sample
        if row.fcs.is_file() and folder.is_dir() and not folder.is_symlink():
            if place.is_dir():
                shutil.rmtree(place)
            place.parent.mkdir(exist_ok=True)
            folder.rename(place)


def _read(record: Path, row: Sample, stage: str) -> StageFailure | None:
    try:
        failure = read_if_there(record, FailureFile)
    except ArtefactError:
        return None
    if failure is None:
        return None
    return StageFailure(
        Refusal(row.sample, row.patient, row.role.value, stage, failure.what, failure.where, failure.todo),
        failure.exit_code,
        failure.lasting,
        failure.fingerprint,
    )

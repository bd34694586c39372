"""Stage behind ``flowmrd trial``: from the clinical tables and every ``mrd.json`` to the trial's answer.

Writes ``results/cohort/trial.json``, ``results/cohort/trial.html`` and CSV files in ``results/cohort/trial/``. Besides
the tables it reads ``results/review/``, if there is a review log.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from flowmrd.config import load_config, read_sheet
from flowmrd.errors import ConfigError, InputError
from flowmrd.report.language import language
from flowmrd.report.page import write_page
from flowmrd.review.status import states_for_trial
from flowmrd.run_files import RunFiles
from flowmrd.store import write_json
from flowmrd.trial.csv_files import write_tables
from flowmrd.trial.endpoints import analyse
from flowmrd.trial.mrd_calls import calls_of, choose_samples
from flowmrd.trial.page import render_trial
from flowmrd.trial.result import TrialResult
from flowmrd.trial.tables import AdverseEvent, check_tables, enrolment_dates, read_adverse_events, read_patients


def in_run(run: RunFiles) -> None:
    """Analyse the trial of a run."""
    build_trial(run.directory)


def build_trial(run_directory: Path) -> TrialResult:
    """Analyse the trial of a run directory and write its report.

    Raises
    ------
    SheetError, TrialError
        With every problem of the clinical tables at once.
    ConfigError
        For an unknown rule set or an impossible cut-off date.
    ReviewError
        Where the review log was altered.
    ArtefactError
        Where an ``mrd.json`` is not the result of its sample.
    """
    config = load_config(run_directory / "config" / "config.yaml")
    sheet = run_directory / config.patients
    patients, problems = read_patients(sheet, _cutoff(config.trial.cutoff))
    events: list[AdverseEvent] = []
    events_sheet = run_directory / config.adverse_events
    if events_sheet.is_file():
        events, more = read_adverse_events(events_sheet, patients, enrolment_dates(sheet))
        problems.extend(more)
    samples, _ = read_sheet(run_directory / config.samples)  # bad rows were told by the stages that need them
    ambiguous: list[InputError]
    tubes, ambiguous = choose_samples(patients, samples, config.trial.mrd_timepoints, sheet)
    check_tables([*problems, *ambiguous], sheet)
    reviews = states_for_trial(run_directory, signatures=config.report.signatures)
    calls = calls_of(patients, tubes, run_directory / "results" / "samples", reviews, config.mrd)
    result = analyse(patients, events, calls, config.trial).model_copy(update={"trial": config.report.trial})
    cohort = run_directory / "results" / "cohort"
    write_tables(cohort / "trial", result)
    write_json(cohort / "trial.json", result.to_json_dict())
    write_page(
        cohort / "trial.html", render_trial(result, config.report.laboratory, language=language(config.report.language))
    )
    return result


def _cutoff(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            "config.yaml, trial.cutoff",
            found=repr(text),
            expected="a date of the calendar as YYYY-MM-DD",
            todo="correct it",
        ) from error

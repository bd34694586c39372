"""Stage behind ``flowmrd monitor``: many runs to ``monitoring.json`` and ``index.html``.

A run is a folder with ``config/config.yaml`` and ``results/samples``; the folder itself and two levels below it are
looked through. A tube that was analysed in several runs (the same FCS file by its digest) counts once, with the result
of the run that ended last. Months are those of acquisition.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import ValidationError

from flowmrd.config import Role, Sample, load_config, read_sheet
from flowmrd.dates import DayError, read_day
from flowmrd.errors import ConfigError, FlowmrdError
from flowmrd.mrd.result import MrdResult
from flowmrd.records.monitoring import MonitoredRun, MonitoringFile
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_if_there, read_record
from flowmrd.report.language import language
from flowmrd.report.monitor_page import render_monitoring
from flowmrd.report.monitoring import UNDATED, MonitoredTube, monitor
from flowmrd.report.page import write_page
from flowmrd.review.log import LogEntry, check_log, standing_decisions
from flowmrd.review.status import ReviewState, SampleReview, review_status
from flowmrd.store import digest_file, read_json, write_json

__all__ = ["called_otherwise", "find_runs", "monitor_runs"]

DEPTH: Final = 2
"""Levels below the folder in which runs are looked for."""


def find_runs(folder: Path) -> list[Path]:
    """Run directories with results in a folder, including the folder itself, in the order of their paths."""

    def below(place: Path, levels: int) -> list[Path]:
        if (place / "config" / "config.yaml").is_file() and (place / "results" / "samples").is_dir():
            return [place]
        if not levels:
            return []
        folders = sorted(child for child in place.iterdir() if child.is_dir() and not child.name.startswith("."))
        return [run for child in folders for run in below(child, levels - 1)]

    return below(folder, DEPTH)


def monitor_runs(
    folder: Path,
    out: Path,
    *,
    seed: int,
    again: int,
    locked: Path | None = None,
    laboratory: str = "",
    code: str | None = None,
) -> MonitoringFile:
    """Read every run of a folder and write both files.

    Parameters
    ----------
    locked
        An earlier ``monitoring.json`` whose months set the control limits.
    seed, again
        Seed and size of the random sample of negatives.
    code
        Language of the page; by default that of the run that ended last.

    Raises
    ------
    ConfigError
        If the folder holds no run with results.
    ArtefactError
        If the earlier file is not one.
    """
    runs = find_runs(folder) if folder.is_dir() else []
    if not runs:
        raise ConfigError(
            str(folder),
            found="no run with results",
            expected="run directories (config/config.yaml and results/samples) in it, at most two levels down",
            todo="name the folder that holds the laboratory's runs",
        )
    baseline = None if locked is None else read_record(locked, MonitoringFile)
    problems: list[str] = []
    found: list[tuple[str, str, list[MonitoredTube]]] = []
    for run in runs:
        name = run.relative_to(folder).as_posix()
        try:
            found.append((_ended(run), name, _tubes(run, name, problems)))
        except (FlowmrdError, OSError) as error:
            problems.append(f"{name}: {_told(error, folder)}")
    latest: dict[str, tuple[str, str]] = {}
    for ended, name, tubes in found:
        for tube in tubes:
            if tube.result is not None:
                key = tube.result.provenance.fcs_sha256
                latest[key] = max(latest.get(key, ("", "")), (ended, name))
    kept, entries = [], []
    for _, name, tubes in found:
        mine = [t for t in tubes if t.result is None or latest[t.result.provenance.fcs_sha256][1] == name]
        kept += mine
        entries.append(MonitoredRun(run=name, tubes=len(mine), repeated=len(tubes) - len(mine)))
    measures, negatives, rereview = monitor(kept, locked=baseline, seed=seed, again=again)
    record = MonitoringFile(
        runs=tuple(entries),
        problems=tuple(problems),
        locked=None if locked is None else digest_file(locked),
        followups=sum(tube.role == "followup" for tube in kept),
        controls=sum(tube.role == "control" for tube in kept),
        measures=measures,
        negatives=negatives,
        seed=seed,
        rereview=rereview,
    )
    write_json(out / "monitoring.json", record.model_dump(mode="json"))
    links = {(entry.run, entry.sample): _link(folder, out, entry.run, entry.sample) for entry in rereview}
    spoken = language(code or _language_of(folder, max(((ended, name) for ended, name, _ in found), default=None)))
    write_page(out / "index.html", render_monitoring(record, links=links, laboratory=laboratory, language=spoken))
    return record


def _language_of(folder: Path, latest: tuple[str, str] | None) -> str:
    """Language of a run's pages, given as when it ended and its name."""
    return "en" if latest is None else load_config(folder / latest[1] / "config/config.yaml").report.language


def _link(folder: Path, out: Path, run: str, sample: str) -> str:
    """The report of a tube, relative to the page."""
    page = folder / run / "results" / "samples" / sample / "report.html"
    return quote(Path(os.path.relpath(page, out)).as_posix())


def _told(error: Exception, folder: Path) -> str:
    """An error in one line, with paths relative to the folder, because the place of the folder is not a result."""
    return " ".join(str(error).replace(f"{folder}{os.sep}", "").split())[:300]


def _ended(run: Path) -> str:
    """End of the run by its provenance; empty where this does not say it."""
    path = run / "results" / "provenance.json"
    if not path.is_file():
        return ""
    record = read_json(path)
    ended = record.get("run", {}).get("ended") if isinstance(record, dict) else None
    return ended if isinstance(ended, str) else ""


def _tubes(run: Path, name: str, problems: list[str]) -> list[MonitoredTube]:
    """Every control and follow-up tube of a run; a tube that cannot be read is listed as a problem."""
    config = load_config(run / "config" / "config.yaml")
    rows, wrong = read_sheet(run / config.samples)
    problems += [f"{name}: {len(wrong)} rows of the sample sheet are wrong and in no figure"] if wrong else []
    reviews = {review.sample: review for review in review_status(run, signatures=config.report.signatures).samples}
    entries = check_log(run).entries
    tubes = []
    for row in rows:
        if row.role not in {Role.CONTROL, Role.FOLLOWUP}:
            continue
        folder = run / "results" / "samples" / row.sample
        try:
            tubes.append(_tube(folder, name, row, reviews.get(row.sample), entries))
        except (FlowmrdError, ValidationError) as error:
            problems.append(f"{name}, {row.sample}: {_told(error, run)}")
    return tubes


def _tube(
    folder: Path, run: str, row: Sample, review: SampleReview | None, entries: Sequence[LogEntry]
) -> MonitoredTube:
    path = folder / "mrd.json"
    result = read_record(path, MrdResult) if path.is_file() else None
    quality = read_if_there(folder / "qc.json", QualityFile)
    day = None if quality is None else quality.acquisition.date
    state = ReviewState.NOT_REVIEWED if review is None else review.state
    standing = [entry for entry in standing_decisions(entries, row.sample) if path.is_file()]
    standing += [entry for entry in entries if entry.sample == row.sample and entry.recount is not None]
    return MonitoredTube(
        run=run,
        sample=row.sample,
        patient=row.patient,
        role=row.role.value,
        result=result,
        mrd_sha256=digest_file(path) if path.is_file() else "",
        month=UNDATED if day is None else day[:7],
        review=state.value,
        overruled=state is ReviewState.REJECTED or (result is not None and called_otherwise(result, standing)),
        days=_days(row, review) if state is ReviewState.ACCEPTED else None,
    )


CALLS: Final[Mapping[str, str]] = {"leukaemia": "counted", "normal": "normal", "artefact": "artefact"}
"""A reviewer's word for a group, and how the classifier's call of the same kind begins."""


def called_otherwise(result: MrdResult, standing: Sequence[LogEntry]) -> bool:
    """Whether a reviewer called a group differently from the classifier. An atypical group is an open question, so an
    answer to it overrules nothing.

    Parameters
    ----------
    standing
        Decisions that stand, and entries whose calls were counted.
    """
    groups = result.groups
    for entry in standing:
        if entry.recount is not None:
            answers = [
                (one.classifier, one.reviewer)
                for one in entry.recount.groups
                if one.group < len(groups) and groups[one.group].called_by == "reviewer"
            ]
        else:
            answers = [(groups[one.group].call, one.call) for one in entry.review.groups if one.group < len(groups)]
        for found, said in answers:
            kind = said.partition(":")[0]
            if found != "atypical" and found.partition(":")[0] != CALLS.get(kind, kind):
                return True
    return False


def _days(row: Sample, review: SampleReview | None) -> float | None:
    """Days from reception, else from aspiration, to the signature that completed the acceptance."""
    start = row.received or row.collected
    if start is None or review is None or review.entry is None:
        return None
    try:
        begun: date = read_day(start)
    except DayError:
        return None
    signed = datetime.fromisoformat(review.entry.review.signed_at).date()
    return float((signed - begun).days) if signed >= begun else None

"""Counting one tube again with the reviewers' calls of its groups, in seconds: from the stored classification.

The tube is read once more with the thresholds that were placed in it; the cells of each group are stored. Classifier
and spike-in do not run. The written files are, byte for byte, those of a run that finds the calls in the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.errors import ReviewError
from flowmrd.mrd.calls import ReviewerCalls, with_calls
from flowmrd.mrd.quantify import Digests, quantify
from flowmrd.mrd.result import CellGroup, MrdResult
from flowmrd.panel.model import PanelModel
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import IngestFile
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_record
from flowmrd.review.group_calls import calls_in_force, calls_of_log
from flowmrd.review.importing import import_review
from flowmrd.review.log import Answer, GroupAnswer, LogEntry, Recount, locked
from flowmrd.review.model import GroupOpinion, ReviewFile, read_review
from flowmrd.review.status import trusted_key
from flowmrd.stages.export import events_of, original_values, write_annotated, write_parquet
from flowmrd.stages.finished_tube import finished_tube, read_events
from flowmrd.stages.judge import gated_from_files
from flowmrd.stages.prepare import TubeFolders
from flowmrd.stages.provenance import renew_records
from flowmrd.stages.report import FilesBeside, report
from flowmrd.stages.review_calls import result_sha256
from flowmrd.store import digest_file, write_json, write_text
from flowmrd.tube import Tube

__all__ = ["ImportedReview", "TubeInRun", "import_and_count"]

WRITTEN = ("mrd.json", "events.parquet", "annotated.fcs", "report.html", "report.json", "report.tsv")
"""Results that a recount writes."""


@dataclass(frozen=True)
class TubeInRun:
    """A finished tube of a run, and the files of the tubes that its page also shows.

    Attributes
    ----------
    beside
        What its page shows beside it.
    later
        The patient's later tubes with a result, whose pages show this tube among the visits.
    """

    run_directory: Path
    sample: Sample
    at: TubeFolders
    panel: PanelModel
    config: RunConfig
    beside: FilesBeside
    later: Sequence[TubeInRun] = ()


@dataclass(frozen=True)
class ImportedReview:
    """An entry of the log, and the tubes whose results were written again with it."""

    entry: LogEntry
    before: str
    after: str
    counted_again: bool
    pages: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgedTube:
    """A tube as the classifier judged it, with its result."""

    tube: Tube
    digests: Digests
    automatic: MrdResult
    sha256: str


def import_and_count(
    tube: TubeInRun, file: Path, *, key: Path | None = None, now: datetime | None = None
) -> ImportedReview:
    """Import a review into the log; if calls of groups are in force that the result lacks, count the tube again.

    Parameters
    ----------
    tube
        The tube that the review is about.
    key, now
        As in :func:`flowmrd.review.importing.import_review`.

    Raises
    ------
    ReviewError
        As in :func:`flowmrd.review.importing.import_review`; if a call is of a group that the result does not have, or
        of a control; if the result cannot be made again from its files.
    ArtefactError
        If a file of the tube is missing or is not the one that was judged.
    """
    review = read_review(file)
    judged: list[JudgedTube] = []

    def recount(asked: ReviewFile, entries: Sequence[LogEntry]) -> Recount:
        judged.append(reopen(tube))
        return _recount_of(tube, file, asked, entries, judged[0])

    with locked(tube.run_directory, ".recount.lock"):
        before = read_record(tube.at.result / "mrd.json", MrdResult)
        entry = import_review(tube.run_directory, file, key=key, now=now, recount=recount)
        if not review.groups and before.provenance.review_sha256 is None:
            return ImportedReview(entry, before.verdict.class_.value, before.verdict.class_.value, counted_again=False)
        known = judged[0] if judged else reopen(tube)
        calls = calls_of_log(tube.run_directory, tube.sample.sample, known.sha256)
        if calls.sha256 == before.provenance.review_sha256:
            return ImportedReview(entry, before.verdict.class_.value, before.verdict.class_.value, counted_again=False)
        after = write_again(tube, known, calls)
    pages = tuple(other.sample.sample for other in tube.later)
    return ImportedReview(
        entry, before.verdict.class_.value, after.verdict.class_.value, counted_again=True, pages=pages
    )


def reopen(tube: TubeInRun) -> JudgedTube:
    """A finished tube as the classifier judged it.

    Raises
    ------
    ReviewError
        If its files do not give its result, because they belong to another version or configuration.
    """
    present = tube.at.result / "mrd.json"
    stored = read_record(present, MrdResult)
    opened = _open(tube)
    made_by = stored.provenance
    digests = Digests(made_by.config_sha256, made_by.panel_sha256, made_by.reference_sha256, made_by.laip_sha256)
    automatic = quantify(opened, tube.config, sample=tube.sample, digests=digests)
    sha256 = result_sha256(automatic)
    if sha256 != (made_by.automatic_sha256 or digest_file(present)):
        raise ReviewError(
            str(present),
            found="a result that does not come out of the tube's files any more",
            expected="the result of the present version, configuration and files",
            todo="run 'flowmrd run', open the new report, and review it again",
        )
    return JudgedTube(opened, digests, automatic, sha256)


def _open(tube: TubeInRun) -> Tube:
    """The tube's events with the classifier's own calls."""
    work, result, name = tube.at.work, tube.at.result, tube.sample.sample
    classification = read_record(work / "classification.json", ClassificationFile)
    counted = [entry.id for entry in classification.clusters]
    if tube.sample.role is Role.FOLLOWUP:
        opened = finished_tube(tube.sample.fcs, tube.at, tube.panel, tube.config, name=name)
        opened = replace(
            opened,
            facts=read_record(work / "ingest.json", IngestFile),
            qc=read_record(result / "qc.json", QualityFile),
            gates=read_record(work / "gates.json", GatesFile),
            quality=tube.config.quality,
        )
    else:
        opened = gated_from_files(tube.sample, tube.at, panel=tube.panel, config=tube.config)
        events = read_events(result / "events.parquet", opened.n_events)
        score, group, excluded = (events[name].to_numpy() for name in ("mrd_score", "group", "excluded"))
        opened = replace(opened, mrd_score=score, group=group, excluded=excluded)
    assert opened.group is not None  # noqa: S101 - read above
    mrd = np.isin(opened.group, counted)
    cluster = np.where(mrd, opened.group, -1).astype(np.int32)
    return replace(opened, mrd=mrd, cluster=cluster, classification=classification)


def _recount_of(
    tube: TubeInRun, file: Path, review: ReviewFile, entries: Sequence[LogEntry], judged: JudgedTube
) -> Recount:
    """The result with the calls of a review, before these are in the log."""
    if tube.sample.role is Role.CONTROL:
        raise ReviewError(
            str(file),
            found=f"calls of groups of {tube.sample.sample}, which is a control",
            expected="a decision about a control under 'controls' in config.yaml",
            todo="accept or exclude the control there, with the reason, and sign without calls",
        )
    before = read_record(tube.at.result / "mrd.json", MrdResult)
    answers = tuple(_answer(file, opinion, before, judged) for opinion in review.groups)
    signed = Answer(
        mrd_sha256=review.mrd_sha256, verdict=before.verdict.class_.value, mrd_events=before.counts.mrd_events
    )
    draft = Recount(automatic=_of(judged.automatic, judged.sha256), before=signed, after=signed, groups=answers)
    trusted = trusted_key(tube.run_directory, None)
    together = calls_in_force(entries, review.sample, judged.sha256, trusted, also=(review.name, answers))
    after = quantify(
        judged.tube, tube.config, sample=tube.sample, digests=judged.digests, calls=together if together else None
    )
    return draft.model_copy(update={"after": _of(after, result_sha256(after))})


def _of(result: MrdResult, sha256: str) -> Answer:
    return Answer(mrd_sha256=sha256, verdict=result.verdict.class_.value, mrd_events=result.counts.mrd_events)


def _answer(file: Path, opinion: GroupOpinion, before: MrdResult, judged: JudgedTube) -> GroupAnswer:
    group: CellGroup | None = before.groups[opinion.group] if opinion.group < len(before.groups) else None
    if group is None or group.cluster is None:
        raise ReviewError(
            str(file),
            found=f"a call of group {opinion.group + 1}, "
            + ("which the result does not have" if group is None else "whose cells are not measured well enough"),
            expected="calls of groups that the page offers",
            todo="open the present report of this sample and review it again",
        )
    assert judged.tube.group is not None  # noqa: S101 - a reopened tube has it
    cells = int(np.count_nonzero(judged.tube.group[judged.tube.analysable()] == group.cluster))
    return GroupAnswer(
        group=opinion.group,
        cluster=group.cluster,
        events=cells,
        classifier=judged.automatic.groups[opinion.group].call,
        before=group.call,
        reviewer=opinion.call,
    )


def write_again(tube: TubeInRun, judged: JudgedTube, calls: ReviewerCalls) -> MrdResult:
    """Write a tube's results with these calls, and the pages that show them; file times stay.

    With its old time, no file that was made from a result looks out of date. The cohort page is rebuilt because of the
    new entry of the log.
    """
    digests = judged.digests
    result = quantify(judged.tube, tube.config, sample=tube.sample, digests=digests, calls=calls if calls else None)
    counted = with_calls(judged.tube, calls)
    folder = tube.at.result
    with same_times([folder / name for name in WRITTEN] + [tube.at.work / "mrd.json"]):
        write_json(folder / "mrd.json", result.to_json_dict())
        write_text(tube.at.work / "mrd.json", (folder / "mrd.json").read_text(encoding="utf-8"))
        events = events_of(counted, values=tube.config.export.values)
        facts = counted.ingest
        values = list(counted.raw.values()) or list(original_values(tube.sample.fcs, facts))
        write_parquet(folder / "events.parquet", events)
        write_annotated(folder / "annotated.fcs", facts, values, events)
        _write_page(tube, counted)
    changed = [Path("samples") / tube.sample.sample / name for name in WRITTEN]
    for other in tube.later:
        with same_times([other.at.result / f"report.{kind}" for kind in ("html", "json", "tsv")]):
            known = reopen(other)
            calls_there = calls_of_log(tube.run_directory, other.sample.sample, known.sha256)
            _write_page(other, with_calls(known.tube, calls_there))
        changed += [Path("samples") / other.sample.sample / f"report.{kind}" for kind in ("html", "json", "tsv")]
    renew_records(tube.run_directory, changed)
    return result


def _write_page(tube: TubeInRun, counted: Tube) -> None:
    report(
        tube.at.result,
        tube.at.work,
        panel=tube.panel,
        config=tube.config,
        sample=tube.sample,
        beside=tube.beside,
        tube=counted,
    )


@contextmanager
def same_times(paths: Sequence[Path]) -> Iterator[None]:
    """Restore the times of files after the block has written them again."""
    times = {path: path.stat() for path in paths if path.is_file()}
    yield
    for path, state in times.items():
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

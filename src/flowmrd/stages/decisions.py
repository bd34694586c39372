"""Decisions of one laboratory: collected from the signed results of runs, and shown with the groups of later tubes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmrd.classifier.laboratory_decisions import in_staining_of_reference, propose
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.errors import ArtefactError
from flowmrd.mrd.result import MrdResult
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.decisions import DecisionsFile, LearnedDecision, Proposal
from flowmrd.records.read import read_record
from flowmrd.review.status import ReviewState, review_status
from flowmrd.store import digest_file, write_json

__all__ = ["learn_decisions", "with_proposals"]

STANDING = {ReviewState.ACCEPTED, ReviewState.SIGNED_ONCE}


def learn_decisions(runs: Sequence[Path], out: Path) -> DecisionsFile:
    """Collect the reviewers' calls of groups in finished runs.

    Only calls in force with a valid signature are taken. No name of a tube, a patient or a reviewer is kept.

    Parameters
    ----------
    out
        ``decisions.json``, which ``review.decisions`` of a configuration names.

    Raises
    ------
    ArtefactError
        If the file exists already, a review log was altered, or no reviewer has called a group.
    """
    if out.exists():
        raise ArtefactError(
            str(out),
            found="a file that is there already",
            expected="a new file: decisions that results may name are never changed",
            todo="choose another name",
        )
    found: dict[tuple[str, int], LearnedDecision] = {}
    for run in runs:
        status = review_status(run)
        if status.findings:
            raise ArtefactError(
                str(run / "results/review"),
                found="; ".join(finding.what for finding in status.findings[:5]),
                expected="a review log whose chain is whole",
                todo="run 'flowmrd verify', and restore the log from your backup",
            )
        for one in status.samples:
            if one.state in STANDING:
                found |= _of_tube(run, one.sample)
    if not found:
        raise ArtefactError(
            ", ".join(str(run) for run in runs),
            found="no group that a reviewer has called",
            expected="runs with signed calls of groups",
            todo="call groups on the pages, and import the reviews with 'flowmrd review import'",
        )
    learned = DecisionsFile(decisions=tuple(found[key] for key in sorted(found)))
    write_json(out, learned.model_dump(mode="json"))
    return learned


def _of_tube(run: Path, sample: str) -> dict[tuple[str, int], LearnedDecision]:
    """The reviewers' calls of one tube by digest of its result and number of the group."""
    path = run / "results/samples" / sample / "mrd.json"
    result, sha256 = read_record(path, MrdResult), digest_file(path)
    called = [group for group in result.groups if group.called_by == "reviewer" and group.cluster is not None]
    if not called:
        return {}
    judged = read_record(run / "results/work" / sample / "classification.json", ClassificationFile)
    return {
        (sha256, int(group.cluster or 0)): LearnedDecision(
            panel=result.panel,
            call=group.call,
            events=group.events,
            levels=in_staining_of_reference(group.medians, judged.staining_shift),
            sd=group.sd,
            result_sha256=sha256,
        )
        for group in called
    }


def with_proposals(judged: ClassificationFile, path: Path, *, panel: str) -> ClassificationFile:
    """``classification.json`` with what earlier decisions propose for its groups, and their digest.

    Parameters
    ----------
    path
        ``decisions.json``.
    panel
        Panel of the tube; decisions on tubes of other panels are not used.
    """
    decisions = read_record(path, DecisionsFile).decisions
    parameters = ClassifierParameters()

    def proposed(medians: Mapping[str, float], sd: Mapping[str, float]) -> dict[str, Proposal]:
        levels = in_staining_of_reference(medians, judged.staining_shift)
        said = propose(levels, sd, decisions, panel=panel, parameters=parameters)
        return {} if said is None else {"proposal": said}

    return judged.model_copy(
        update={
            "clusters": tuple(one.model_copy(update=proposed(one.medians, {})) for one in judged.clusters),
            "uncounted": tuple(one.model_copy(update=proposed(one.medians, one.sd)) for one in judged.uncounted),
            "decisions_sha256": digest_file(path),
        }
    )

"""The compact groups of a classification as reported in the result: counted, named, or open."""

from __future__ import annotations

from collections.abc import Sequence

from flowmrd.flags import Flag, flag
from flowmrd.mrd.result import CellGroup, GroupEvidence, MarkerShift
from flowmrd.records.classification import CountedEntry, OffScaleCells, TubeJudgement, UncountedEntry

MOST_SAID = 3
"""The most markers that a phenotype names; the others are in ``markers``."""


def groups_of(judged: TubeJudgement) -> tuple[CellGroup, ...]:
    """Every compact group, largest first.

    Parameters
    ----------
    judged
        ``classification.json``: its ``clusters`` are counted; its ``uncounted`` groups bear a ``call`` where the
        classifier names them and are atypical otherwise.
    """
    found = [_group(entry, "counted", entry.id) for entry in judged.clusters]
    found += [_group(entry, entry.call or "atypical", entry.id) for entry in judged.uncounted]
    found += [_off_scale(entry) for entry in judged.offscale if entry.events > entry.joined]
    return tuple(sorted(found, key=lambda group: -group.events))


def _group(entry: CountedEntry | UncountedEntry, call: str, cluster: int | None) -> CellGroup:
    sd: dict[str, float] = {}
    off_scale = ""
    if isinstance(entry, UncountedEntry):
        sd = entry.sd
        off_scale = f", off scale in {entry.detector}" if entry.detector else ""
    evidence = entry.evidence
    return CellGroup(
        events=entry.events,
        phenotype=phenotype(entry.markers) + off_scale,
        nearest_normal=entry.nearest_normal,
        evidence=GroupEvidence() if evidence is None else GroupEvidence(**dict(evidence)),
        call=call,
        markers=entry.markers,
        medians=entry.medians,
        sd=sd,
        proposal=entry.proposal,
        cluster=cluster,
    )


def _off_scale(entry: OffScaleCells) -> CellGroup:
    """Cells off scale in a detector that no counted group took: no measurement places them anywhere."""
    return CellGroup(
        events=entry.events - entry.joined,
        phenotype=f"off scale in {entry.detector}",
        nearest_normal="none",
        evidence=GroupEvidence(said="Their place in this detector is not known; they found no group."),
        call=entry.call,
        markers=(),
        medians={},
    )


def phenotype(markers: Sequence[MarkerShift]) -> str:
    """Markers that distinguish a group, the largest shift first: ``CD38 under, CD58 over``."""
    telling = sorted((shift for shift in markers if shift.direction != "same"), key=lambda s: -abs(s.shift_decades))
    return ", ".join(f"{shift.marker} {shift.direction}" for shift in telling[:MOST_SAID]) or "like the nearest stage"


def questions(groups: Sequence[CellGroup], raised: Sequence[Flag]) -> list[Flag]:
    """A flag for atypical groups, which forbid a negative answer, where the classifier raised none."""
    atypical = [group for group in groups if group.call == "atypical"]
    if not atypical or {item.code for item in raised} & {"UNRESOLVED_CLUSTER", "PHENOTYPE_LIKE_NORMAL"}:
        return []
    largest = atypical[0]
    return [
        flag(
            "UNRESOLVED_CLUSTER",
            events=sum(group.events for group in atypical),
            what=f"is unlike normal marrow ({largest.phenotype}, nearest to {largest.nearest_normal})",
        )
    ]

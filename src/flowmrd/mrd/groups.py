"""The compact groups of a classification as the result tells them: counted, named, or a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowmrd.flags import Flag, flag
from flowmrd.mrd.result import CellGroup, GroupEvidence, MarkerShift
from flowmrd.records.decisions import Proposal

MOST_SAID = 3
"""The most markers that a phenotype names; the others are in ``markers``."""


def groups_of(classification: Mapping[str, Any]) -> tuple[CellGroup, ...]:
    """Every compact group, largest first.

    Parameters
    ----------
    classification
        ``classification.json``: its ``clusters`` are counted; its ``uncounted`` groups bear a ``call`` where the
        classifier names them and are atypical otherwise.
    """
    found = [_group(entry, "counted", cluster=int(entry["id"])) for entry in classification["clusters"]]
    found += [
        _group(entry, str(entry.get("call") or "atypical"), cluster=entry.get("id"))
        for entry in classification.get("uncounted") or ()
    ]
    found += [_off_scale(entry) for entry in classification.get("offscale") or () if entry["events"] > entry["joined"]]
    return tuple(sorted(found, key=lambda group: -group.events))


def _group(entry: Mapping[str, Any], call: str, cluster: int | None = None) -> CellGroup:
    markers = tuple(MarkerShift.model_validate(shift) for shift in entry["markers"])
    return CellGroup(
        events=int(entry["events"]),
        phenotype=str(entry.get("phenotype") or phenotype(markers))
        + (f", off scale in {entry['detector']}" if entry.get("detector") else ""),
        nearest_normal=str(entry["nearest_normal"]),
        evidence=GroupEvidence.model_validate(entry.get("evidence") or {}),
        call=call,
        markers=markers,
        medians=entry["medians"],
        sd=entry.get("sd") or {},
        proposal=None if entry.get("proposal") is None else Proposal.model_validate(entry["proposal"]),
        cluster=cluster,
    )


def _off_scale(entry: Mapping[str, Any]) -> CellGroup:
    """Cells off scale in a detector that no counted group took: no measurement places them anywhere."""
    return CellGroup(
        events=int(entry["events"]) - int(entry["joined"]),
        phenotype=f"off scale in {entry['detector']}",
        nearest_normal="none",
        evidence=GroupEvidence(said="Their place in this detector is not known; they found no group."),
        call=str(entry["call"]),
        markers=(),
        medians={},
    )


def phenotype(markers: Sequence[MarkerShift]) -> str:
    """What sets a group apart, most telling marker first: ``CD38 under, CD58 over``."""
    telling = sorted((shift for shift in markers if shift.direction != "same"), key=lambda s: -abs(s.shift_decades))
    return ", ".join(f"{shift.marker} {shift.direction}" for shift in telling[:MOST_SAID]) or "like the nearest stage"


def questions(groups: Sequence[CellGroup], raised: Sequence[Flag]) -> list[Flag]:
    """A flag for atypical groups where the classifier raised none: they forbid a negative answer.

    Parameters
    ----------
    raised
        Flags of the classification.
    """
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

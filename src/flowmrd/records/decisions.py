"""``decisions.json``: calls of groups of cells by the reviewers of one laboratory, and proposals for later groups."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.records.base import Artefact, MarkerLevels

__all__ = ["DecisionsFile", "LearnedDecision", "Proposal"]


class LearnedDecision(Artefact):
    """One group that a reviewer called, without a name of tube or patient."""

    panel: str
    call: str = Field(pattern="^(counted|normal:.+|artefact:.+)$", description="As in groups of mrd.json.")
    events: int
    levels: MarkerLevels = Field(description="Marker to median in the staining of the reference, 0..1 scale.")
    sd: MarkerLevels = Field(description="Marker to standard deviation, 0..1 scale.")
    result_sha256: str = Field(description="Of the mrd.json that the call is counted in.")


class DecisionsFile(Artefact):
    """Decisions of a laboratory, with which later tubes are compared; made by ``flowmrd reference learn``."""

    format: Literal["flowmrd-decisions/1"] = "flowmrd-decisions/1"
    decisions: tuple[LearnedDecision, ...]


class Proposal(Artefact):
    """Earlier decisions on cells in a group's place: a proposal to the reviewer, never a call."""

    call: str = Field(description="The most frequent call there.")
    agree: int = Field(description="Earlier groups in this place with that call.")
    decisions: int = Field(description="Earlier groups in this place.")

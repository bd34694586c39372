"""``simulation.json``: the true content of the tubes in a simulated run directory."""

from __future__ import annotations

from pydantic import Field

from flowmrd.records.base import Artefact

__all__ = ["SimulatedTubeEntry", "SimulationFile"]


class SimulatedTubeEntry(Artefact):
    """One simulated tube; the pipeline never reads it."""

    recipe: str = Field(description="Digest of the plan, the seed, the panel and the simulator.")
    patient: str
    role: str
    level: float = Field(description="Leukaemic cells as a fraction of the nucleated; 0 without leukaemia.")
    events: int
    nucleated: int
    mrd_events: int
    sha256: str = Field(description="Of the FCS file.")
    truth_sha256: str


class SimulationFile(Artefact):
    """``simulation.json``: design and seed of a simulated run directory, and the true content of its tubes."""

    design: str
    seed: int
    panel: str
    tubes: dict[str, SimulatedTubeEntry]

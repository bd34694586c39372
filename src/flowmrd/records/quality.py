"""``qc.json``: what was masked in a tube and why, its matrix, scales and stability."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.records.base import Artefact, FlagEntry
from flowmrd.records.ingest import AcquisitionEntry, ChannelEntry

__all__ = [
    "AnalysableEntry",
    "AttritionEntry",
    "CompensationEntry",
    "DebrisEntry",
    "DoubletsEntry",
    "DriftEntry",
    "DyeEntry",
    "OffScaleEntry",
    "QualityFile",
    "ResidualEntry",
    "ScaleEntry",
    "StretchEntry",
    "TimeEntry",
]


class AnalysableEntry(Artefact):
    """Events that are not masked."""

    with_time_mask: int
    without_time_mask: int
    time_mask_applied: bool


class AttritionEntry(Artefact):
    """One step of masking; the first row is ``acquired``."""

    step: str
    masked: int = Field(description="Events masked by this step, whatever the others say.")
    removed: int = Field(description="Events masked by this step and none before.")
    remaining: int


class ResidualEntry(Artefact):
    """Residual spillover of one ordered pair of channels."""

    source: str
    target: str
    ratio: float | None = Field(description="Signal left in target, as a share of that in source.")
    slope: float | None
    n_bright: int
    state: Literal["ok", "over", "under", "coexpressed", "undecided"]


class CompensationEntry(Artefact):
    """The applied matrix and its residual spillover; without a matrix ``condition`` is null and all lists are empty."""

    source: str
    condition: float | None
    notes: tuple[str, ...]
    channels: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    uncompensated: tuple[str, ...] = Field(description="Fluorescence channels that the matrix does not name.")
    residuals: tuple[ResidualEntry, ...]


class ScaleEntry(Artefact):
    """How a channel was brought to 0..1 (:class:`flowmrd.preprocess.transform.ChannelScale`)."""

    kind: Literal["logicle", "asinh", "linear"]
    T: float
    M: float
    W: float
    A: float
    cofactor: float
    T_source: str
    W_source: str


class OffScaleEntry(Artefact):
    """End of a detector's scale, and the events beyond it."""

    edge: float | None = Field(description="Raw units; null where no event lies at an edge.")
    how: str = Field(description="How the edge was found: range, pile or none.")
    top: float = Field(description="Raw units.")
    events: int
    share: float
    censored: int | None = Field(description="Events in which this channel is no measurement.")


class StretchEntry(Artefact):
    """One stretch of the acquisition."""

    first: int
    last: int
    seconds: float | None
    rate: float | None = Field(description="Events per second; null without a time channel.")
    score: float = Field(description="Distance of the signal from its usual level; masked above the limit.")
    worst: str
    shift: float
    shifted: bool
    bad: bool = Field(description="Masked.")
    medians: tuple[float | None, ...]


class DriftEntry(Artefact):
    """A channel that drifts over the acquisition."""

    channel: str
    rho: float = Field(description="Rank correlation of its level with time.")
    range: float


class TimeEntry(Artefact):
    """Stability over the acquisition."""

    checked: bool
    reason: str
    limit: float
    channels: tuple[str, ...]
    steps_back: int
    bins: tuple[StretchEntry, ...] = Field(description="At most 200.")
    drift: tuple[DriftEntry, ...]


class DoubletsEntry(Artefact):
    """The band of single cells (:class:`flowmrd.preprocess.quality.DoubletBand`)."""

    kind: Literal["ratio", "width", "none"]
    x: str
    y: str
    low: float
    high: float | None = Field(description="null where the band is open above.")
    centre: float
    spread: float
    method: Literal["valley", "flank", "ratio", "mad", "none"]
    n_events: int
    reason: str


class DebrisEntry(Artefact):
    """The debris cut (:class:`flowmrd.preprocess.quality.DebrisCut`)."""

    fsc: float
    ssc: float
    cd45: float | None
    anchor: float
    method: str
    reason: str


class DyeEntry(Artefact):
    """The cut of one dye."""

    channel: str
    value: float | None
    masked_side: Literal["above", "below"]
    reason: str


class QualityFile(Artefact):
    """``qc.json``: quality of a tube: events left after each mask, spillover, stability, scales, flags."""

    schema_version: int
    sample: str
    panel: str
    panel_version: str
    events: int
    analysable: AnalysableEntry
    attrition: tuple[AttritionEntry, ...]
    flags: tuple[FlagEntry, ...]
    compensation: CompensationEntry
    transforms: dict[str, ScaleEntry]
    saturation: dict[str, float] = Field(description="Channel to share of events at the top of its range.")
    offscale: dict[str, OffScaleEntry]
    time: TimeEntry
    margins: dict[str, float]
    margin_singles: tuple[DoubletsEntry, ...] = Field(
        (), description="Bands of the pulse by which an event with clipped forward scatter is one cell, and not masked."
    )
    pulses: dict[str, dict[str, bool | float]] = Field({}, description="Height and width by their values.")
    doublets: DoubletsEntry
    debris: DebrisEntry
    dyes: tuple[DyeEntry, ...]
    channels: tuple[ChannelEntry, ...]
    medians: dict[str, float | None] = Field(description="Channel to the median of analysable single cells, 0..1.")
    instrument: dict[str, str]
    acquisition: AcquisitionEntry

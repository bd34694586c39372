"""``mrd.json`` as a typed model: the contract every reader of a result depends on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from flowmrd.flags import Flag

SCHEMA_VERSION = "1"


class Part(BaseModel):
    """Base of all parts of a result."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VerdictClass(StrEnum):
    """Result classes (ELN adult ALL 2024 wording, split so that a weak answer is never a negative one)."""

    NEGATIVE = "NEGATIVE"
    NEGATIVE_INSUFFICIENT_SENSITIVITY = "NEGATIVE_INSUFFICIENT_SENSITIVITY"
    DETECTED_NOT_QUANTIFIABLE = "DETECTED_NOT_QUANTIFIABLE"
    POSITIVE_BELOW_THRESHOLD = "POSITIVE_BELOW_THRESHOLD"
    POSITIVE = "POSITIVE"
    INDETERMINATE = "INDETERMINATE"
    NOT_EVALUABLE = "NOT_EVALUABLE"


class Counts(Part):
    """Events by population; every candidate denominator is counted."""

    total: int
    analysable: int
    singlets: int
    nucleated: int
    mononuclear: int
    b_lineage: int
    mrd_events: int


class Level(Part):
    """The MRD level."""

    fraction: float | None
    percent: float | None
    log10: float | None = Field(description="null when no MRD event was seen.")
    ci95: tuple[float, float] | None = Field(description="Exact Poisson 95 % interval of the fraction.")


class SpikeIn(Part):
    """The in-silico experiment on this very tube."""

    level: float
    expected: float = Field(description="Mean number of cells spiked in per replicate.")
    recovered: float = Field(description="Mean number of spiked cells called MRD.")
    detected: bool
    replicates: int
    detected_replicates: int
    recovery: float | None
    recovery_ci95: tuple[float, float] | None
    source: str = Field(description="Whose cells were spiked: patient, library, simulated.")


class Sensitivity(Part):
    """What this tube could have seen."""

    target: float
    background_per_million: float | None
    background_ci95: tuple[float, float] | None
    lob_events: int | None
    lod_nominal: float | None
    lod95: float | None
    loq: float | None
    achieved: bool
    events_needed: int | None = Field(description="Denominator events for lod95 <= target; null where none suffice.")
    spike_in: SpikeIn | None


class Verdict(Part):
    """The answer in one word, the trial's flag, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    class_: VerdictClass = Field(alias="class")
    mrd_negative: bool | None = Field(
        description="Trial endpoint MRD < target; null when the tube could not have told."
    )
    reasons: tuple[Flag, ...]


class MarkerShift(Part):
    """One line of a LAIP: the leukaemia against the nearest normal stage."""

    marker: str
    shift_decades: float
    direction: Literal["over", "under", "same"]


class Cluster(Part):
    """A group of MRD events that lie together."""

    id: int
    events: int
    nearest_normal: str
    markers: tuple[MarkerShift, ...]
    medians: dict[str, float] = Field(description="Marker to median on the 0..1 scale.")


class Laip(Part):
    """How the leukaemia was recognised."""

    mode: Literal["patient", "library", "different_from_normal", "none"]
    markers: tuple[MarkerShift, ...]
    clusters: tuple[Cluster, ...]


class Target(Part):
    """State of a therapy target on the B-lineage or MRD cells."""

    percent_positive: float | None
    median_ratio_to_reference: float | None
    status: Literal["present", "dim", "lost", "masked_or_lost", "not_evaluable"]
    population: str = Field(description="Population it was measured on: mrd or b_lineage.")
    note: str


class Provenance(Part):
    """Digests of everything that made the result; who, when and where are in provenance.json alone."""

    fcs_sha256: str
    config_sha256: str
    panel_sha256: str
    reference_sha256: str | None
    laip_sha256: str | None
    flowmrd_version: str


class Regeneration(Part):
    """What the haematogones say about regeneration once the MRD cells are left out."""

    verdict: Literal["increased", "present", "incomplete", "few", "not_evaluable"]
    statement: str


class MrdResult(Part):
    """``results/samples/<sample>/mrd.json``."""

    schema_version: Literal["1"] = "1"
    sample: str
    patient: str
    role: str
    timepoint: str | None
    panel: str
    counts: Counts
    denominator: str
    mrd: Level
    mrd_without_time_mask: Level
    sensitivity: Sensitivity
    verdict: Verdict
    laip: Laip
    targets: dict[Annotated[str, Field(pattern="^(CD19|CD22)$")], Target] = Field(
        description="Of the MRD cells where there are enough of them, else of the B lineage."
    )
    targets_b_lineage: dict[Annotated[str, Field(pattern="^(CD19|CD22)$")], Target] = Field(
        {}, description="Of the whole B lineage, whatever targets is of."
    )
    regeneration: Regeneration | None = Field(
        None, description="Haematogone spectrum without the MRD cells; null where there is none."
    )
    provenance: Provenance

    def to_json_dict(self) -> dict[str, object]:
        """Plain data with the contract's field names, ready for :func:`flowmrd.store.write_json`."""
        return self.model_dump(mode="json", by_alias=True)

"""``mrd.json`` as a typed model: the contract every reader of a result depends on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowmrd.flags import Flag
from flowmrd.records.base import MarkerShift
from flowmrd.records.base import TargetState as Target
from flowmrd.records.decisions import Proposal

__all__ = [
    "DETECTED_CLASSES",
    "MRD_NEGATIVE_OF",
    "SCHEMA_VERSION",
    "CellGroup",
    "Cluster",
    "Counts",
    "GroupEvidence",
    "Laip",
    "Level",
    "MarkerShift",
    "Mrd",
    "MrdResult",
    "Provenance",
    "Regeneration",
    "ResultPart",
    "Sensitivity",
    "SpikeIn",
    "SpikeInStep",
    "Target",
    "Verdict",
    "VerdictClass",
]

SCHEMA_VERSION = "2"


class ResultPart(BaseModel):
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
    CONTROL_CLEAN = "CONTROL_CLEAN"
    CONTROL_ODD = "CONTROL_ODD"


DETECTED_CLASSES = frozenset(
    {VerdictClass.DETECTED_NOT_QUANTIFIABLE, VerdictClass.POSITIVE_BELOW_THRESHOLD, VerdictClass.POSITIVE}
)
"""Classes that say: leukaemia was found."""


MRD_NEGATIVE_OF: Final[Mapping[VerdictClass, frozenset[bool | None]]] = {
    VerdictClass.NEGATIVE: frozenset({True}),
    VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY: frozenset({None}),
    VerdictClass.DETECTED_NOT_QUANTIFIABLE: frozenset({True, False, None}),
    VerdictClass.POSITIVE_BELOW_THRESHOLD: frozenset({True, None}),
    VerdictClass.POSITIVE: frozenset({False, None}),
    VerdictClass.INDETERMINATE: frozenset({None}),
    VerdictClass.NOT_EVALUABLE: frozenset({None}),
    VerdictClass.CONTROL_CLEAN: frozenset({None}),
    VerdictClass.CONTROL_ODD: frozenset({None}),
}
"""Answers to the trial's question (MRD < target) that each class allows, so that the two never contradict each other.
Null with a detection: the 95 % interval holds the target, or the tube was not sensitive enough to say "below"."""


class Counts(ResultPart):
    """Events by population; every candidate denominator is counted. null where the tube cannot have the gate."""

    total: int
    analysable: int
    singlets: int | None
    nucleated: int | None
    mononuclear: int | None
    b_lineage: int | None = Field(
        description="Living cells with two markers of the B lineage (docs/methods/gating.md), leukaemic ones included; "
        "not the wider window that is searched for leukaemia."
    )
    mrd_events: int


class Level(ResultPart):
    """The MRD level."""

    fraction: float | None
    percent: float | None
    log10: float | None = Field(description="null when no MRD event was seen.")
    ci95: tuple[float, float] | None = Field(description="Exact Poisson 95 % interval of the fraction.")


class Mrd(Level):
    """The MRD level, whether it is a detection, and how it is reported."""

    detected: bool = Field(description="Leukaemia was found: the class is one of those that say so.")
    reported: str = Field(
        description="What a letter may print: the percentage of a detection, else < the 95 %-power limit of detection; "
        "'not established' where a question is open, with the count where that is doubted."
    )


class SpikeInStep(ResultPart):
    """Spiked cells that are left after one step of the way from the raw file to the count."""

    step: str = Field(description="Step of the chain, in its order.")
    spiked: int = Field(ge=0, description="Spiked cells before the step, all replicates.")
    kept: int = Field(ge=0, description="Of them, those that the step kept.")


class KindOutcome(ResultPart):
    """One kind of leukaemia whose cells were spiked into the tube; without a diagnosis tube many are tried."""

    phenotype: str = Field(description="Its markers, such as CD19+ CD10+ CD34-.")
    nearest_normal: str = Field(description="Normal population that it resembles most.")
    spiked: int = Field(ge=0, description="Cells spiked.")
    recovered: int = Field(ge=0, description="Of them, cells counted as MRD.")
    noticed: int = Field(ge=0, description="Of them, cells counted or in a group that forbids a negative answer.")
    outcome: Literal["counted", "reported", "missed"] = Field(
        description="Counted as MRD; only reported, so that the tube would not have been negative; or overlooked."
    )
    share: float = Field(ge=0, le=1, description="Share of the leukaemias that it stands for.")


class SpikeIn(ResultPart):
    """In-silico spike-in of leukaemic cells into this tube."""

    level: float
    expected: float = Field(description="Mean number of cells spiked in per replicate.")
    recovered: float = Field(description="Mean number of spiked cells called MRD.")
    detected: bool
    replicates: int
    detected_replicates: int
    recovery: float | None
    recovery_ci95: tuple[float, float] | None
    source: str = Field(description="Whose cells were spiked: patient, library, simulated.")
    steps: tuple[SpikeInStep, ...] = Field((), description="Where spiked cells were lost, from the raw file on.")
    kinds: tuple[KindOutcome, ...] = Field((), description="Kinds of leukaemia tried without a diagnosis tube.")


class Sensitivity(ResultPart):
    """Sensitivity of this tube."""

    target: float
    background_per_million: float | None
    background_ci95: tuple[float, float] | None = Field(description="Per million; its upper end sets the limits.")
    lob_events: int | None
    detect_events: int | None = Field(description="n: clustered events from which on there is a detection.")
    quantify_events: int | None = Field(description="max(50, 2.5 n): events from which on a detection is quantified.")
    lod_nominal: float | None
    lod95: float | None
    loq: float | None
    achieved: bool
    events_needed: int | None = Field(description="Denominator events for lod95 <= target; null where none suffice.")
    spike_in: SpikeIn | None


class Verdict(ResultPart):
    """Result class, the trial's ``mrd_negative``, and the reasons."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    class_: VerdictClass = Field(alias="class")
    mrd_negative: bool | None = Field(
        description="Trial endpoint MRD < target; null when the tube could not have told."
    )
    question: str | None = Field(
        None, description="Of INDETERMINATE: the one question that decides whether leukaemia is there."
    )
    reasons: tuple[Flag, ...] = Field(description="The reason that decided comes first.")

    @model_validator(mode="after")
    def _class_and_flag_agree(self) -> Verdict:
        if self.mrd_negative not in MRD_NEGATIVE_OF[self.class_]:
            raise ValueError(f"the class {self.class_} cannot go with mrd_negative {self.mrd_negative}")
        return self


class GroupEvidence(ResultPart):
    """Evidence for and against leukaemia in one group; null where it was not measured."""

    gain: float | None = Field(None, description="Log likelihood gained by calling the group leukaemia.")
    false_groups: float | None = Field(
        None, description="Groups like this one that marrow without leukaemia is expected to show per tube."
    )
    fit: float | None = Field(None, description="How well the group fits leukaemia, 0..1.")
    share_of_controls: float | None = Field(
        None, description="Share of nucleated cells that controls hold in its place, on average."
    )
    said: str = Field("", description="The same in one sentence.")


class CellGroup(ResultPart):
    """A compact group of cells, and its call."""

    events: int
    phenotype: str = Field(description="Markers that set it apart from the nearest normal stage, as CD10+ CD38-.")
    nearest_normal: str
    evidence: GroupEvidence
    call: str = Field(
        pattern=r"^(counted|normal:.+|artefact:.+|atypical)$",
        description="counted as leukaemia; normal:<population>; artefact:<kind>; atypical: forbids a negative answer.",
    )
    called_by: Literal["classifier", "reviewer"] = "classifier"
    reviewer: str | None = Field(None, description="Name of the reviewer who called it.")
    markers: tuple[MarkerShift, ...]
    medians: dict[str, float] = Field(description="Marker to median on the 0..1 scale.")
    sd: dict[str, float] = Field({}, description="Marker to standard deviation on the 0..1 scale.")
    proposal: Proposal | None = Field(
        None, description="What earlier decisions of the laboratory say of such cells; the call stays what it is."
    )
    cluster: int | None = Field(
        None, description="Number of the group in events.parquet; null where no cell of its own is known."
    )


class Cluster(ResultPart):
    """A group of MRD events that lie together."""

    id: int
    events: int
    nearest_normal: str
    markers: tuple[MarkerShift, ...]
    medians: dict[str, float] = Field(description="Marker to median on the 0..1 scale.")


class Laip(ResultPart):
    """How leukaemic cells were recognised."""

    mode: Literal["patient", "library", "different_from_normal", "none"]
    markers: tuple[MarkerShift, ...]
    clusters: tuple[Cluster, ...]


class Provenance(ResultPart):
    """Digests of everything that made the result; who, when and where are in provenance.json alone."""

    fcs_sha256: str
    config_sha256: str = Field(
        description="Of the keys of the configuration that a result may rest on (not report, export, trial), defaults "
        "included; the digest of the whole file is in provenance.json."
    )
    panel_sha256: str
    reference_sha256: str | None
    laip_sha256: str | None
    library_sha256: str | None = Field(None, description="Of the library of leukaemias, where one was used.")
    decisions_sha256: str | None = Field(
        None, description="Of the laboratory's decisions that proposals come from, where the run names some."
    )
    review_sha256: str | None = Field(None, description="Of the reviewer's calls of groups, where there are any.")
    automatic_sha256: str | None = Field(
        None, description="Of this result as the classifier alone gives it, where a reviewer has called groups."
    )
    flowmrd_version: str


class Regeneration(ResultPart):
    """Regeneration as assessed from the haematogones without the MRD cells."""

    verdict: Literal["increased", "present", "incomplete", "few", "not_evaluable"]
    statement: str


class MrdResult(ResultPart):
    """The result of one tube: ``results/samples/<sample>/mrd.json``. docs/reference/result.md describes every field."""

    schema_version: Literal["2"] = "2"
    sample: str
    patient: str
    role: str
    timepoint: str | None
    panel: str
    counts: Counts
    denominator: str
    mrd: Mrd
    mrd_without_time_mask: Level
    sensitivity: Sensitivity
    verdict: Verdict
    groups: tuple[CellGroup, ...] = Field((), description="Every compact group that was found, largest first.")
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

    @model_validator(mode="after")
    def _class_and_role_agree(self) -> MrdResult:
        of_control = self.verdict.class_ in {VerdictClass.CONTROL_CLEAN, VerdictClass.CONTROL_ODD}
        if of_control and self.role != "control":
            raise ValueError(f"the class {self.verdict.class_} is for controls; this tube is a {self.role}")
        if self.mrd.detected is not (self.verdict.class_ in DETECTED_CLASSES):
            raise ValueError(f"the class {self.verdict.class_} cannot go with detected {self.mrd.detected}")
        negative = self.verdict.class_ in {VerdictClass.NEGATIVE, VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY}
        if negative and any(group.called_by == "reviewer" and group.call == "counted" for group in self.groups):
            raise ValueError(f"the class {self.verdict.class_} cannot go with a group that a reviewer calls leukaemia")
        return self

    @property
    def denominator_count(self) -> int | None:
        """Events of the reported denominator; None where the tube cannot have its gate."""
        count: int | None = getattr(self.counts, self.denominator)
        return count

    def to_json_dict(self) -> dict[str, object]:
        """Plain data with the contract's field names, ready for :func:`flowmrd.store.write_json`."""
        return self.model_dump(mode="json", by_alias=True)

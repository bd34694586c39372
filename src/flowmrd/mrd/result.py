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

    total: int = Field(description="All events of the file.")
    analysable: int = Field(description="Events that enter the analysis: not masked by quality control.")
    singlets: int | None = Field(description="Analysable single cells.")
    nucleated: int | None = Field(description="Analysable nucleated cells.")
    mononuclear: int | None = Field(description="Analysable nucleated cells without granulocytes and erythroblasts.")
    b_lineage: int | None = Field(
        description="Living cells with two markers of the B lineage (docs/methods/gating.md), leukaemic ones included; "
        "not the wider window that is searched for leukaemia."
    )
    mrd_events: int = Field(description="Analysable events that are counted as leukaemic.")


class Level(ResultPart):
    """The MRD level."""

    fraction: float | None = Field(description="MRD events over the denominator; null where the denominator is empty.")
    percent: float | None = Field(description="The fraction in per cent.")
    log10: float | None = Field(description="log10 of the fraction; null when no MRD event was seen.")
    ci95: tuple[float, float] | None = Field(description="Exact Poisson 95 % interval of the fraction.")


class Mrd(Level):
    """The MRD level, whether it is a detection, and how it is reported."""

    detected: bool = Field(description="Leukaemia was found: the class is one of those that say so.")
    reported: str = Field(
        description="What a letter may print: the percentage of a detection, else < the 95 %-power limit of detection; "
        "'not established' where a question is open, with the counted percentage only where no background is known."
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

    level: float = Field(description="Level that was spiked in, as a fraction of the denominator.")
    expected: float = Field(description="Mean number of cells spiked in per replicate.")
    recovered: float = Field(description="Mean number of spiked cells called MRD.")
    detected: bool = Field(description="Spiked cells were found often enough for the target (docs/methods/limits.md).")
    replicates: int = Field(description="Number of copies of the tube with spiked cells.")
    detected_replicates: int = Field(
        description="Replicates in which the detection count was reached, or kinds of leukaemia that were not missed.",
    )
    recovery: float | None = Field(
        description="Spiked cells called MRD over all spiked cells, of kinds of leukaemia by their share of the "
        "patients; null without spiked cells.",
    )
    recovery_ci95: tuple[float, float] | None = Field(
        description="Exact binomial 95 % interval of the recovery; null where kinds of leukaemia were tried."
    )
    source: str = Field(description="Whose cells were spiked: patient, library, simulated.")
    steps: tuple[SpikeInStep, ...] = Field((), description="Where spiked cells were lost, from the raw file on.")
    kinds: tuple[KindOutcome, ...] = Field((), description="Kinds of leukaemia tried without a diagnosis tube.")


class Sensitivity(ResultPart):
    """Sensitivity of this tube."""

    target: float = Field(description="Threshold of the protocol, as a fraction.")
    background_per_million: float | None = Field(
        description="False MRD events per million events of the denominator, mean over the controls; null without "
        "controls.",
    )
    background_ci95: tuple[float, float] | None = Field(description="Per million; its upper end sets the limits.")
    lob_events: int | None = Field(description="Limit of blank: the largest count that background explains.")
    detect_events: int | None = Field(description="n: clustered events from which on there is a detection.")
    quantify_events: int | None = Field(description="max(50, 2.5 n): events from which on a detection is quantified.")
    lod_nominal: float | None = Field(
        description="Smallest number of events that may be a detection (mrd.min_detect_events) over the denominator.",
    )
    lod95: float | None = Field(description="Limit of detection with 95 % power, as a fraction.")
    loq: float | None = Field(description="Limit of quantification, as a fraction.")
    achieved: bool = Field(description="The tube reaches the target, by counting and by the spike-in.")
    events_needed: int | None = Field(description="Denominator events for lod95 <= target; null where none suffice.")
    spike_in: SpikeIn | None = Field(description="Outcome of the spike-in; null where none was possible.")


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

    events: int = Field(description="Cells of the group.")
    phenotype: str = Field(description="Markers that set it apart from the nearest normal stage, as CD10+ CD38-.")
    nearest_normal: str = Field(description="Normal population that it resembles most.")
    evidence: GroupEvidence = Field(description="Evidence for and against leukaemia.")
    call: str = Field(
        pattern=r"^(counted|normal:.+|artefact:.+|atypical)$",
        description="counted as leukaemia; normal:<population>; artefact:<kind>; atypical: forbids a negative answer.",
    )
    called_by: Literal["classifier", "reviewer"] = Field("classifier", description="Who made the call.")
    reviewer: str | None = Field(None, description="Name of the reviewer who called it.")
    markers: tuple[MarkerShift, ...] = Field(description="Shift of every marker against the nearest normal population.")
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

    id: int = Field(description="Number of the group in events.parquet.")
    events: int = Field(description="Cells of the group.")
    nearest_normal: str = Field(description="Normal population that it resembles most.")
    markers: tuple[MarkerShift, ...] = Field(description="Shift of every marker against the nearest normal population.")
    medians: dict[str, float] = Field(description="Marker to median on the 0..1 scale.")


class Laip(ResultPart):
    """How leukaemic cells were recognised."""

    mode: Literal["patient", "library", "different_from_normal", "none"] = Field(
        description="What was searched for: the patient's phenotype at diagnosis, any kind of leukaemia (with or "
        "without a library), or nothing.",
    )
    markers: tuple[MarkerShift, ...] = Field(
        description="Phenotype that was searched for or found: shift of every marker against the nearest normal "
        "population.",
    )
    clusters: tuple[Cluster, ...] = Field(description="Groups of MRD events.")


class Provenance(ResultPart):
    """Digests of everything that made the result; who, when and where are in provenance.json alone."""

    fcs_sha256: str = Field(description="SHA-256 of the FCS file.")
    config_sha256: str = Field(
        description="SHA-256 of the keys of the configuration that a result may rest on (not report, export, trial), "
        "defaults included; the digest of the whole file is in provenance.json."
    )
    panel_sha256: str = Field(description="SHA-256 of the panel file.")
    reference_sha256: str | None = Field(description="SHA-256 of the normal reference; null without one.")
    laip_sha256: str | None = Field(description="SHA-256 of the phenotype at diagnosis; null without one.")
    library_sha256: str | None = Field(None, description="SHA-256 of the library of leukaemias, if one was used.")
    decisions_sha256: str | None = Field(
        None, description="SHA-256 of the laboratory's decisions that proposals come from, where the run names some."
    )
    review_sha256: str | None = Field(None, description="SHA-256 of the reviewer's calls of groups, if there are any.")
    automatic_sha256: str | None = Field(
        None, description="SHA-256 of this result as the classifier alone gives it, where a reviewer has called groups."
    )
    flowmrd_version: str = Field(description="Version of flowmrd.")


class Regeneration(ResultPart):
    """Regeneration as assessed from the haematogones without the MRD cells."""

    verdict: Literal["increased", "present", "incomplete", "few", "not_evaluable"] = Field(
        description="Whether the haematogones form a complete spectrum.",
    )
    statement: str = Field(description="The same in a sentence.")


class MrdResult(ResultPart):
    """``mrd.json``: the result of one tube. docs/reference/result.md describes every field."""

    schema_version: Literal["2"] = "2"
    sample: str = Field(description="Name of the tube.")
    patient: str = Field(description="Pseudonym of the patient.")
    role: str = Field(description="control, diagnosis or followup.")
    timepoint: str | None = Field(description="Time point, as the sheet has it.")
    panel: str = Field(description="Name of the panel.")
    counts: Counts = Field(description="Events by population.")
    denominator: str = Field(
        description="Count over which the fraction is taken: nucleated, analysable, singlets or mononuclear.",
    )
    mrd: Mrd = Field(description="The MRD level.")
    mrd_without_time_mask: Level = Field(
        description="The MRD level with the unstable stretches of the acquisition left in.",
    )
    sensitivity: Sensitivity = Field(description="Sensitivity of this tube.")
    verdict: Verdict = Field(description="Result class and reasons.")
    groups: tuple[CellGroup, ...] = Field((), description="Every compact group that was found, largest first.")
    laip: Laip = Field(description="How leukaemic cells were recognised.")
    targets: dict[Annotated[str, Field(pattern="^(CD19|CD22)$")], Target] = Field(
        description="State of CD19 and CD22 on the MRD cells if there are enough, else on the B lineage."
    )
    targets_b_lineage: dict[Annotated[str, Field(pattern="^(CD19|CD22)$")], Target] = Field(
        {}, description="The same on the whole B lineage."
    )
    regeneration: Regeneration | None = Field(
        None, description="Haematogone spectrum without the MRD cells; null where there is none."
    )
    provenance: Provenance = Field(description="Digests of everything that determined the result.")

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

"""The run configuration: every key, its default, its range and what it means."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from flowmrd.config.path_text import impossible_path
from flowmrd.units import TARGET_MRD


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        # YAML reads yes and no so, and they would count as 1 and 0
        raise ValueError(f"{'true' if value else 'false'}, which is not a number")  # noqa: TRY004 - the validator's own
    return value


def _possible_path(text: str) -> str:
    # a tube without a run has no sheet; where a run has an empty path, the folder that it leads to is told
    if text and (why := impossible_path(text)):
        raise ValueError(f"{why}, which names no file")
    return text


def _day_of_the_calendar(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text[:20]!r}, which is no day of the calendar") from error
    return text


Whole = Annotated[int, BeforeValidator(_no_truth_value)]
Number = Annotated[float, BeforeValidator(_no_truth_value)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
PathText = Annotated[str, AfterValidator(_possible_path)]

WITHOUT_EFFECT: Final = frozenset({"report", "export", "trial", "patients", "adverse_events", "samples"})
"""Keys that change pages and files, and no number or verdict of a tube. A row of the sheet is in the result itself."""


class Section(BaseModel):
    """Base of all sections: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CompensationConfig(Section):
    """Where the spillover matrix comes from."""

    source: Literal[
        "file", "csv", "controls", "none", "$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL", "$COMP", "$DFCiTOj"
    ] = Field(
        "file",
        description="The FCS file's own matrix, a CSV per batch, single-stain tubes, or deliberately none. Where files "
        "hold several matrices that differ, the keyword of the one that counts.",
    )
    csv: dict[str, PathText] = Field(
        {}, description="Batch name to CSV path, relative to the sheet; key 'default' for all."
    )
    max_condition: Number = Field(50.0, gt=1, description="A matrix with a larger condition number is flagged.")
    tubes: dict[str, PathText] = Field(
        {},
        description="Tubes with a compensation of their own: sample, and file, none, the keyword of a matrix, or the "
        "path of a CSV relative to the sheet.",
    )

    def tables(self) -> dict[str, str]:
        """Every CSV path in this section, by its key."""
        named = {f"csv.{batch}": path for batch, path in self.csv.items() if self.source == "csv"}
        return named | {f"tubes.{name}": own for name, own in self.tubes.items() if own not in _OF_TUBE}

    def of_tube(self, sample: str) -> CompensationConfig:
        """The compensation settings of one tube: the section with the tube's own values in place."""
        own = self.tubes.get(sample)
        if own is None:
            return self
        source = _OF_TUBE.get(own, "csv")
        return self.model_copy(update={"source": source, "csv": {"default": own} if source == "csv" else {}})


_OF_TUBE: Final = {
    word: word for word in ("file", "none", "$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL", "$COMP", "$DFCiTOj")
}
"""What the compensation of a single tube can be besides a CSV."""


class TransformConfig(Section):
    """How W of the logicle is chosen where the panel leaves it open."""

    width: Literal["controls", "sample", "fixed"] = Field(
        "controls",
        description="Where W comes from: controls (learned from them and frozen), sample (each tube's own), fixed "
        "(default_width).",
    )
    default_width: Number = Field(0.75, ge=0, le=2.2, description="W in decades, where it cannot be estimated.")


class QualityConfig(Section):
    """Quality masks, and the limits at which a tube fails."""

    time_max_removed_warn: Fraction = Field(
        0.05, description="Share of events in unstable stretches from which the tube is flagged."
    )
    time_max_removed_fail: Fraction = Field(
        0.30, description="Share of events in unstable stretches from which the tube is NOT_EVALUABLE."
    )
    time_mask: bool = Field(
        True, description="Leave unstable stretches out of the result; the result with them is reported too."
    )
    nonfinite_max: Fraction = Field(
        0.001, description="Largest share of events with NaN or infinity; a tube with more is refused."
    )
    min_events: Whole = Field(1000, ge=1, description="A tube with fewer events in its file is NOT_EVALUABLE.")


class GatingConfig(Section):
    """Bounds of per-sample gate adjustment."""

    max_shift_decades: Number = Field(
        0.35, ge=0, description="Largest anchored shift of a reference gate, in decades (of scatter: of its factor)."
    )
    min_anchor_events: Whole = Field(
        500, ge=10, description="With fewer anchor cells the gates are not shifted and the tube is flagged."
    )


class ReferenceConfig(Section):
    """The normal reference: which controls it uses."""

    path: PathText | None = Field(None, description="A stored reference to apply unchanged, instead of building one.")
    min_controls: Whole = Field(
        3,
        ge=1,
        description="With fewer control tubes than this, simulated marrows replace them and every answer is "
        "INDETERMINATE. A single control cannot be compared with another: the answer is INDETERMINATE as well.",
    )
    max_events_per_control: Whole = Field(
        200_000, ge=1000, description="Largest number of cells per control that enter the model."
    )


class ControlsConfig(Section):
    """The laboratory's decisions about single control tubes, each with its reason."""

    accepted: dict[str, str] = Field(
        {}, description="Control tubes kept in the reference although they are odd: sample and reason."
    )
    excluded: dict[str, str] = Field({}, description="Control tubes left out of every reference: sample and reason.")


class LabelsConfig(Section):
    """Decisions about tubes whose labels look exchanged."""

    confirmed: dict[str, str] = Field(
        {},
        description="Tubes whose labels were compared with the worklist and are right, although other tubes of the run "
        "have a marker on another detector or with other values: sample and reason.",
    )


class ReviewConfig(Section):
    """Support for reviewers."""

    decisions: PathText | None = Field(
        None,
        description="The laboratory's earlier decisions on groups, as 'flowmrd reference learn' makes them: they "
        "propose what a group may be, and call nothing.",
    )


class LaipConfig(Section):
    """The LAIP classifier."""

    min_diagnosis_cells: Whole = Field(
        200, ge=20, description="With fewer aberrant cells a diagnosis tube gives no LAIP."
    )
    background_per_million: Number = Field(
        5.0, gt=0, description="Cells per million nucleated cells of controls that the cut may let through."
    )
    library: PathText | None = Field(
        None,
        description="Folder of a library of other patients' phenotypes, as 'flowmrd library build' makes it.",
    )
    seed: Whole = Field(20240093, ge=0, description="Seed of every random draw.")


class MrdConfig(Section):
    """Counting rules, limits and the reportable denominator."""

    denominator: Literal["nucleated", "analysable", "singlets", "mononuclear"] = Field(
        "nucleated", description="Count over which the fraction is taken; all of them are reported."
    )
    target: Fraction = Field(TARGET_MRD, description="Threshold of the protocol, as a fraction.")
    min_detect_events: Whole = Field(
        20, ge=1, description="Smallest number of clustered events that counts as a detection."
    )
    min_quantify_events: Whole = Field(50, ge=1, description="Smallest number of events that is quantified.")
    alpha: Fraction = Field(0.05, description="One-sided false positive rate of the limit of blank.")
    power: Fraction = Field(0.95, description="Power of the limit of detection.")
    spike_in_replicates: Whole = Field(5, ge=1, le=1000, description="Number of in-silico spike-ins per tube.")


class ReportConfig(Section):
    """Content of the HTML pages."""

    plotly: Literal["auto", "inside", "shared"] = Field(
        "auto",
        description="Where pages have plotly.js (0.5 MB): inside, so that a page can be moved alone; shared, one file "
        "in results/assets for all; auto: shared where the sheet has more than 20 tubes.",
    )
    max_plot_events: Whole = Field(
        4000, ge=100, le=200_000, description="Points drawn per plot besides the density of all events."
    )
    laboratory: str = Field("", description="Name printed on the report.")
    language: Literal["en", "de", "zh"] = Field(
        "en",
        description="Language of the pages; a sentence without a translation is English.",
    )
    control_limits: PathText | None = Field(
        None,
        description="Limits of the Levey-Jennings charts as 'flowmrd reference limits' locks them, relative to the run "
        "directory; without them every control is judged by the others of the run.",
    )
    trial: str = Field("", description="Trial or study named on the report, for example its registration number.")
    signatures: Whole = Field(1, ge=1, le=2, description="Different persons that must accept a result.")
    checklist: tuple[str, ...] = Field(
        (
            "Patient, sample and time point are those of the request.",
            "The standard panel was looked at in all three columns.",
            "Every group of cells was called.",
            "Quality, carry-over and controls were looked at.",
        ),
        max_length=20,
        description="Points that a signer ticks; the review keeps those that were ticked.",
    )


class ExportConfig(Section):
    """Files for the laboratory's own tools."""

    values: bool = Field(
        False,
        description="Also write every marker on the 0..1 scale into events.parquet, as columns scale_<marker>; the "
        "file grows by about 4 bytes for each event and marker.",
    )


class TrialConfig(Section):
    """The trial report, built when the clinical table exists."""

    rules: str = Field("chictr2400093987-1", description="Rule set of response and relapse (docs/methods/trial.md).")
    mrd_timepoints: tuple[str, ...] = Field(
        ("day21", "d21", "C1D21", "C1", "cycle 1", "after cycle 1", "EOC1"),
        min_length=1,
        description="Timepoints of the sheet that mean 'after cycle 1'; case, spaces and signs do not count.",
    )
    cutoff: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day_of_the_calendar)] | None = Field(
        None, description="Data cut-off; a later date in the tables is an error."
    )
    origin: Literal["enrolment", "first_dose"] = Field(
        "enrolment", description="Start of overall and progression-free survival; first_dose leaves out the untreated."
    )
    events_of_interest: tuple[str, ...] = Field(
        ("Tumour lysis syndrome", "Sepsis", "Veno-occlusive disease", "Cytokine release syndrome"),
        description="Adverse event terms that get a line even where no patient had them.",
    )


class RunConfig(Section):
    """Everything a run needs to know. Only ``panel`` and ``samples`` have no default."""

    panel: PathText = Field(
        description="Name of a shipped panel, or path of a panel file relative to the run directory."
    )
    samples: PathText = Field(description="Sample sheet, relative to the run directory.")
    patients: PathText = Field(
        "config/patients.tsv", description="Clinical table of the trial report; used if it exists."
    )
    adverse_events: PathText = Field(
        "config/adverse_events.tsv", description="Table of adverse events; used if it exists."
    )
    compensation: CompensationConfig | Literal["none"] = Field(
        CompensationConfig(), description="Where the spillover matrix comes from."
    )
    transform: TransformConfig = Field(TransformConfig(), description="How the width of the logicle is chosen.")
    quality: QualityConfig = Field(QualityConfig(), description="Quality masks, and the limits at which a tube fails.")
    gating: GatingConfig = Field(GatingConfig(), description="Bounds of the shift of gates in a tube.")
    reference: ReferenceConfig | PathText = Field(
        ReferenceConfig(), description="Normal reference, or the path of one."
    )
    review: ReviewConfig = Field(ReviewConfig(), description="Earlier decisions of the laboratory.")
    controls: ControlsConfig = Field(ControlsConfig(), description="Control tubes accepted or excluded by name.")
    labels: LabelsConfig = Field(LabelsConfig(), description="Labels that look exchanged and are right.")
    laip: LaipConfig = Field(LaipConfig(), description="Limits of the classifier, and its library.")
    mrd: MrdConfig = Field(MrdConfig(), description="Counting and limits.")
    report: ReportConfig = Field(ReportConfig(), description="Content of the pages.")
    export: ExportConfig = Field(ExportConfig(), description="Files for the laboratory's own tools.")
    trial: TrialConfig = Field(TrialConfig(), description="Trial report.")

    def for_tube(self, sample: str) -> RunConfig:
        """The configuration with this tube's own compensation settings."""
        section = self.compensation
        if isinstance(section, str) or sample not in section.tubes:
            return self
        return self.model_copy(update={"compensation": section.of_tube(sample)})

    @property
    def result_digest(self) -> str:
        """SHA-256 of the keys that can change a tube's result, defaults included.

        Results name this digest, and a signature covers it. A change of the page's language therefore voids no
        signature. The digest of the whole file is in ``provenance.json``.
        """
        values = self.model_dump(mode="json", exclude=set(WITHOUT_EFFECT))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

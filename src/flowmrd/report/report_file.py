"""``report.json``: the numbers of a sample's page as a file of their own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.records.base import Artefact, FlagEntry, MarkerLevels
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.records.quality import AnalysableEntry, AttritionEntry, DriftEntry

__all__ = ["ReportFile", "StepRow"]


class DenominatorRow(Artefact):
    """One count that may be the denominator of a fraction."""

    title: str
    events: int | None = Field(description="null where the tube cannot have the population.")
    reported: bool = Field(description="The reported fraction is of this count.")
    mrd_events: int | None = Field(description="MRD events among these events.")
    fraction: float | None = Field(description="mrd_events / events.")


class BorderRow(Artefact):
    """One border in a plot."""

    role: str
    label: str
    points: tuple[tuple[float, float], ...] = Field(description="Scale 0..1.")
    closed: bool


class GateCount(Artefact):
    """One gate of a plot."""

    gate: str
    events: int
    of_parent: float | None
    of_nucleated: float | None
    mrd: int = Field(description="MRD events inside.")


class PlotRow(Artefact):
    """One plot of this tube."""

    title: str
    parent: str
    x: str
    y: str
    parent_events: int
    outlines: tuple[BorderRow, ...]
    gates: tuple[GateCount, ...]


class PopulationRow(Artefact):
    """One population that the panel names."""

    title: str
    gate: str
    events: int
    of_nucleated: float | None
    mrd: int
    others_at_most: float | None = Field(
        None, description="Of a normal B stage: as many of its cells can be other cells (gates.json, b_lineage)."
    )
    state: str | None = Field(None, description="Of a normal B stage: present, too_few, not_evaluable or unavailable.")


class MarkerLevelRow(Artefact):
    """One antibody (:class:`flowmrd.report.laip_view.MarkerRow`): 5, 25, 50, 75 and 95 % quantiles, scale 0..1."""

    marker: str
    mrd: tuple[float, ...] | None
    normal: tuple[float, ...] | None
    normal_name: str
    stage: float | None
    diagnosis: float | None
    shift: float | None = Field(description="Decades.")
    direction: str


class UncountedRow(Artefact):
    """A group that was not counted (:class:`flowmrd.report.uncounted_groups.LetteredGroup`)."""

    letter: str
    number: int | None = Field(description="Its number among the groups of the result.")
    events: int
    why: str
    nearest: str
    shifts: tuple[tuple[str, float, str], ...] = Field(description="Marker, decades, direction.")
    medians: MarkerLevels
    sd: MarkerLevels


class ResidualRow(Artefact):
    """Residual spillover of one pair of channels."""

    source: str
    target: str
    ratio: float | None
    n_bright: int
    state: str


class StretchRow(Artefact):
    """One stretch of the run."""

    first: int
    last: int
    seconds: float | None
    rate: float | None
    score: float
    bad: bool


class ArrivalRow(Artefact):
    """Places of the MRD cells in the run (:class:`flowmrd.report.carry_over.Arrival`)."""

    events: int
    places: tuple[float, ...]
    first_tenth: float | None
    p_value: float | None
    uneven: bool


class QualityNumbers(Artefact):
    """The numbers of ``qc.json`` that the quality section shows."""

    flags: tuple[FlagEntry, ...]
    attrition: tuple[AttritionEntry, ...]
    analysable: AnalysableEntry
    residuals: tuple[ResidualRow, ...]
    condition: float | None
    time: tuple[StretchRow, ...]
    drift: tuple[DriftEntry, ...]
    mrd_cells_over_the_run: ArrivalRow


class BrokenRow(Artefact):
    """A control that breaks rules of the Levey-Jennings chart."""

    sample: str
    rules: tuple[str, ...]


class AmongControlsRow(Artefact):
    """One channel of this tube among the control tubes."""

    channel: str
    z: float = Field(description="Distance from the controls' mean in their SD.")
    mean: float
    sd: float
    controls: int
    beyond: bool
    broken: tuple[BrokenRow, ...]


class ThresholdRow(Artefact):
    """One number on which the result rests, and its source."""

    setting: str
    value: str
    source: str


class GateRow(Artefact):
    """Place of a gate and the reason for it, in words."""

    gate: str
    numbers: str
    source: str
    shift: str
    why: str
    state: str


class TrendRow(Artefact):
    """One visit of the patient."""

    sample: str
    timepoint: str | None
    role: str
    class_: VerdictClass = Field(alias="class")
    fraction: float | None
    ci95: tuple[float, float] | None
    lod95: float | None


class StepRow(Artefact):
    """One next step of the page."""

    text: str
    target: str = Field(description="Id of the element to look at; empty where there is none.")
    title: str
    signs: bool = Field(description="The step ends with the signature: left out once the result is signed.")


class ReportFile(Artefact):
    """``report.json``: the numbers on a tube's page."""

    format: Literal["flowmrd-report/1"]
    mrd_sha256: str
    result: MrdResult
    acquisition: AcquisitionEntry
    specimen: dict[str, str] = Field(description="Who, what, when and with which instrument, as the page has it.")
    denominators: tuple[DenominatorRow, ...]
    plots: tuple[PlotRow, ...]
    populations: tuple[PopulationRow, ...]
    markers: tuple[MarkerLevelRow, ...]
    uncounted: tuple[UncountedRow, ...]
    quality: QualityNumbers | None
    controls: tuple[AmongControlsRow, ...]
    thresholds: tuple[ThresholdRow, ...]
    gates: tuple[GateRow, ...]
    trend: tuple[TrendRow, ...]
    notes: tuple[tuple[str, str], ...] = Field(description="Notes below the verdict: sentence, place on the page.")
    steps: tuple[StepRow, ...] = Field(description="What to do next, before anybody signed.")

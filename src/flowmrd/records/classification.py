"""``classification.json``: the groups found in a tube, and how well others would have been found."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from flowmrd.records.base import Artefact, FlagEntry, MarkerLevels, MarkerShift
from flowmrd.records.decisions import Proposal

__all__ = [
    "SPIKE_IN_STEPS",
    "BackgroundEntry",
    "ClassificationFile",
    "CountedEntry",
    "EvidenceEntry",
    "NoveltyEntry",
    "OffScaleCells",
    "SpikeInEntry",
    "SpikeInStepEntry",
    "SpikedKindEntry",
    "StainingControlEntry",
    "StainingState",
    "TubeJudgement",
    "UncountedEntry",
]


StainingState = Literal["ok", "shifted", "absent", "not_verifiable"]
"""State of an antibody, judged by the cells that should carry its marker; ``not_verifiable`` without such cells."""


class EvidenceEntry(Artefact):
    """Evidence for and against leukaemia in one group, as in the groups of mrd.json."""

    gain: float | None
    false_groups: float | None
    fit: float
    share_of_controls: float | None = Field(
        None, description="Share of their nucleated cells that the controls hold in its place, on average."
    )
    said: str


class CountedEntry(Artefact):
    """A group of cells that was called leukaemia."""

    id: int = Field(description="Number of the group in the columns cluster and group.")
    events: int
    nearest_normal: str
    evidence: EvidenceEntry | None = None
    markers: tuple[MarkerShift, ...]
    medians: MarkerLevels
    came_first: bool = Field(False, description="Far more of its cells than even ones came first, and too few later.")
    carried: int = Field(0, description="Its cells that came first and are not counted: the tube before left them.")
    proposal: Proposal | None = Field(None, description="What earlier decisions of the laboratory say of such cells.")


class UncountedEntry(Artefact):
    """A compact group that is reported and not counted; without a ``call`` it is atypical."""

    id: int | None = Field(None, description="Number of the group in events.parquet.")
    events: int = Field(description="Cells that founded it, as a mixture gives them.")
    why: str
    detector: str | None = Field(None, description="Detector in which its cells are off scale.")
    call: str | None = Field(None, description="normal:<population>, artefact:<kind> or atypical.")
    evidence: EvidenceEntry | None = None
    nearest_normal: str
    markers: tuple[MarkerShift, ...]
    medians: MarkerLevels
    sd: MarkerLevels
    cells: int | None = Field(None, description="Analysable cells that would be counted if it were called leukaemia.")
    proposal: Proposal | None = Field(None, description="What earlier decisions of the laboratory say of such cells.")


class BackgroundEntry(Artefact):
    """False events that the same search counts in the controls."""

    per_million: float
    ci95: tuple[float, float]
    worst_per_million: float
    n_controls: int


class NoveltyEntry(Artefact):
    """How far the tube lies from the controls; 1 is as far as allowed."""

    score: float
    flag: bool


class OffScaleCells(Artefact):
    """Cells that are off scale in one detector; they start no group."""

    detector: str
    events: int
    joined: int = Field(description="Of them, those that a counted group took by its other channels.")
    call: str


class StainingControlEntry(Artefact):
    """Staining control of one antibody, by the cells that should carry its marker."""

    marker: str
    state: StainingState
    carriers: int
    bright: int
    decades: float
    limit: float
    carrier_decades: float
    stained: float | None
    expected: float | None


class SpikedKindEntry(Artefact):
    """One kind of leukaemia that was spiked in."""

    phenotype: str
    nearest_normal: str
    spiked: int
    recovered: int
    noticed: int
    share: float = Field(description="Share of the leukaemias that it stands for.")


SPIKE_IN_STEPS: Final = {
    "scale": "compensation and scales",
    "masks": "quality masks",
    "singlets": "single cells",
    "nucleated": "nucleated cells",
    "window": "B-lineage window",
    "counted": "classifier",
}
"""Steps from the raw file to the count, in their order, in words."""


class SpikeInStepEntry(Artefact):
    """Spiked cells before and after one step."""

    step: str
    spiked: int
    kept: int


class SpikeInEntry(Artefact):
    """Leukaemic cells put into copies of the tube at the target level."""

    level: float
    replicates: int
    expected: float
    recovered: float
    spiked_total: int
    recovered_total: int
    detected_replicates: int
    detected: bool
    source: str
    recovered_counts: tuple[int, ...]
    least_spiked: int = Field(
        0, description="Spiked cells of the replicates of which the smaller part is counted: without drift, or all."
    )
    least_recovered: int = Field(0, description="How many of them are counted.")
    kinds: tuple[SpikedKindEntry, ...]
    steps: tuple[SpikeInStepEntry, ...] = Field((), description="Where spiked cells were lost, from the raw file on.")


class JudgedTubeEntry(Artefact):
    """The tube that was judged."""

    format: str
    sample: str
    patient: str


class TubeJudgement(Artefact):
    """The part of ``classification.json`` that follows from the tube, the reference and the phenotypes."""

    seen_without_cd19: float | None = Field(
        description="Share of the blasts at diagnosis that need no CD19 to be seen."
    )
    mode: Literal["patient", "library", "different_from_normal", "none"]
    features: tuple[str, ...]
    cut: float = Field(description="Score (log10 of phenotype over normal density) from which a cell counts.")
    clusters: tuple[CountedEntry, ...]
    uncounted: tuple[UncountedEntry, ...]
    offscale: tuple[OffScaleCells, ...]
    markers: tuple[MarkerShift, ...] = Field(description="Of the largest cluster, else of the phenotype at diagnosis.")
    background: BackgroundEntry | None
    n_controls: int
    novelty: NoveltyEntry
    calibration: dict[str, float]
    staining_shift: dict[str, float] = Field(description="Marker to decades, this tube against the reference.")
    staining_control: tuple[StainingControlEntry, ...]
    spike_in: SpikeInEntry | None = Field(description="Null where nothing was spiked.")
    flags: tuple[FlagEntry, ...]
    excluded: dict[str, int] = Field(
        {}, description="Reason to excluded events that lie in the place of the phenotype."
    )


class ClassificationFile(TubeJudgement, JudgedTubeEntry):
    """``classification.json``: groups of cells found in a tube, background in the controls, spike-in, flags."""

    reference_digest: str
    laip_sha256: str | None
    library_sha256: str | None = Field(description="Digest of the library of leukaemias, only where it was used.")
    decisions_sha256: str | None = Field(None, description="Of the laboratory's decisions, where the run names some.")

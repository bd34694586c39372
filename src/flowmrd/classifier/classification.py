"""The result of a classification in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.staining_control import StainingFinding
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.flags import Flag

Mode = Literal["patient", "library", "different_from_normal", "none"]
Why = Literal[
    "like_precursors",
    "regenerating",
    "like_controls",
    "beyond_leukaemia",
    "displaced",
    "few_cells",
    "not_the_phenotype",
    "stretched",
    "like_one_control",
    "offscale",
    "named",
]
"""Why a group is not counted, in the order of the values: it lies where controls keep B-lineage cells; it lies among
the stages of a regenerating marrow after a shift that tubes of one patient hardly show; marrow without leukaemia
shows equally unusual groups; it lies at an end of a scale or where no leukaemia of other patients does, and would
count elsewhere; it may be a normal population that lies further from its place than in the controls; it has fewer
cells than a detection needs, and normal cells beside it could make them up; it is not the patient's phenotype; it
matches the phenotype only after a shift that is rare between tubes of one patient; it lies nearer to cells of one
control than to the phenotype; its cells are off scale in a detector; it is a normal population or an artefact of the
catalogue.
"""


@dataclass(frozen=True)
class CountedGroup:
    """A group whose cells are counted as leukaemic.

    ``source`` says how it was found: by the patient's phenotype, as a heavy burden before the normal cells were fitted,
    or as a compact group that is different from normal.
    """

    mixture: Mixture
    source: Literal["patient", "burden", "different_from_normal"]
    evidence: EvidenceOnGroup


@dataclass(frozen=True)
class UncountedGroup:
    """A compact group of cells that is reported and not counted.

    Attributes
    ----------
    detector
        Detector in which the cells are off scale; empty for others.
    is_fitted
        Whether the cells are a population of the tube's own normal model, with the weights of ``mixture`` as shares of
        the tube.
    """

    mixture: Mixture
    events: float
    why: Why
    evidence: EvidenceOnGroup
    detector: str = ""
    is_fitted: bool = False

    @property
    def call(self) -> str:
        """``normal:<population>`` or ``artefact:<kind>`` where the catalogue's name answers the question, else
        ``atypical``.
        """
        place = self.evidence.place
        return place.call if self.why == "named" and place is not None else "atypical"


@dataclass(frozen=True)
class OffscaleDetector:
    """Candidate cells that are off scale in one detector, and how many of them belong to counted groups."""

    detector: str
    events: int
    joined: int


@dataclass(frozen=True)
class Background:
    """False events that the same search counts in the controls."""

    per_million: float
    ci95: tuple[float, float]
    worst_per_million: float
    n_controls: int


@dataclass(frozen=True)
class SpikedKind:
    """One kind of leukaemia that was spiked into the tube.

    Attributes
    ----------
    mixture
        Its phenotype in the staining of the tube, decades.
    spiked, recovered
        Number of cells spiked, and how many of them are counted as MRD.
    noticed
        How many of them are counted, or lie in a group that is reported and rules out a negative answer.
    share
        Share of all leukaemias that this kind stands for.
    """

    mixture: Mixture
    spiked: int
    recovered: int
    noticed: int
    share: float


@dataclass(frozen=True)
class SpikeStep:
    """Spiked cells before one step between the raw file and the count, and those that the step kept."""

    step: str
    spiked: int
    kept: int


@dataclass(frozen=True)
class SpikeInResult:
    """Result of the in-silico spike-in.

    Attributes
    ----------
    recovered_counts
        Cells counted as MRD in every replicate.
    least_spiked, least_recovered
        Spiked cells of a patient, and how many of them are counted, in the replicates that the sensitivity rests on:
        those without drift, or all, of which the smaller part is counted.
    kinds
        Every kind of leukaemia that was tried, one per replicate; empty with a diagnosis tube.
    """

    level: float
    replicates: int
    expected: float
    recovered: float
    detected_replicates: int
    detected: bool
    spiked_total: int
    recovered_total: int
    source: str
    recovered_counts: tuple[int, ...] = ()
    least_spiked: int = 0
    least_recovered: int = 0
    kinds: tuple[SpikedKind, ...] = ()
    steps: tuple[SpikeStep, ...] = ()


@dataclass(frozen=True)
class Classification:
    """The classification of one tube.

    Attributes
    ----------
    score
        Shape (n,): log10 of the ratio of phenotype density to normal density for every candidate cell; -99 outside the
        window.
    mrd, cluster
        Shape (n,): called MRD; cluster number or -1.
    cut
        Score (log10) from which a cell counts.
    counted, uncounted
        Groups whose cells are MRD, in the order of ``cluster``; groups that are reported and not counted.
    staining
        For every antibody, how it stained the cells that carry its antigen; empty without controls to compare with.
    places
        Phenotypes in the staining of this tube, decades: those of the counted groups, and the patient's own.
    tube_model
        Normal cells of the tube.
    offscale
        Off-scale cells by detector.
    offscale_score, offscale_cluster
        Shape (m,): ``score`` and ``cluster`` of the tube's off-scale cells, by their measured channels; None where
        there are no such cells.
    group, offscale_group
        Shape (n,) and (m,): number of the group that has the cell, -1 for none. Counted groups come first, then
        ``uncounted``, in their order.
    """

    mode: Mode
    features: tuple[str, ...]
    score: npt.NDArray[np.float32]
    mrd: npt.NDArray[np.bool_]
    cluster: npt.NDArray[np.int32]
    cut: float
    counted: tuple[CountedGroup, ...]
    background: Background | None
    novelty: float
    novel: bool
    novelty_reason: str
    shift: Floats
    calibration: dict[str, float]
    spike_in: SpikeInResult | None
    flags: tuple[Flag, ...]
    uncounted: tuple[UncountedGroup, ...] = ()
    staining: tuple[StainingFinding, ...] = ()
    places: tuple[Mixture, ...] = ()
    tube_model: TubeModel | None = None
    offscale: tuple[OffscaleDetector, ...] = ()
    offscale_score: npt.NDArray[np.float32] | None = None
    offscale_cluster: npt.NDArray[np.int32] | None = None
    group: npt.NDArray[np.int32] | None = None
    offscale_group: npt.NDArray[np.int32] | None = None

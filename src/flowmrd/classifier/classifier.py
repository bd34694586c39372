"""Classifying one tube: by the patient's phenotype where it is known, otherwise by atypical compact groups.

The score is relative to the tube's own normal cells: the normal components are first shifted to their levels in this
tube. The controls determine the cut (:mod:`flowmrd.classifier.calibration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.added_cells import StepsToClassifier
from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.candidate_cells import Bools, CandidateCells, OffscaleCells
from flowmrd.classifier.classification import Classification, CountedGroup, UncountedGroup
from flowmrd.classifier.found_groups import displaced_doubts, find_other_groups
from flowmrd.classifier.group_evidence import beside_controls
from flowmrd.classifier.group_members import find_members
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ControlRecord, ReferenceModel
from flowmrd.classifier.novelty import judge_novelty
from flowmrd.classifier.odd_markers import WithoutMarkers, compare_without, odd_markers
from flowmrd.classifier.offscale_cells import judge_offscale, offscale_groups
from flowmrd.classifier.offscale_evidence import OffscaleRates, rates_of_controls
from flowmrd.classifier.offscale_excess import find_excess
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import starting_shifts
from flowmrd.classifier.phenotype_score import NO_SCORE
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, score_mixtures
from flowmrd.classifier.searched_tube import found_without_phenotype, search_tube
from flowmrd.classifier.shifted_staining import shifted_staining_flags
from flowmrd.classifier.spike_in import OffscaleQuestions, spike_in
from flowmrd.classifier.staining_control import (
    StainingFinding,
    control_staining,
    staining_flags,
    unstained_markers,
)
from flowmrd.classifier.tube_flags import (
    offscale_excess_flags,
    search_flags,
    unknown_population_flags,
    unlike_controls_flags,
)
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.classifier.window_cells import WindowCells, control_cells
from flowmrd.errors import InternalError

Group = TypeVar("Group", CountedGroup, UncountedGroup)


def classify_tube(
    tube: CandidateCells,
    reference: ReferenceModel,
    *,
    laip: PatientLaip | None,
    library: Library | None,
    parameters: ClassifierParameters,
    chain: StepsToClassifier | None = None,
    with_odd_markers: bool = False,
) -> Classification:
    """Judge a tube.

    Parameters
    ----------
    tube
        Candidate cells; there may be none.
    laip
        The patient's phenotype; None where no diagnosis tube gave one.
    library
        Other patients' phenotypes, without the patient's own.
    chain
        Takes spiked cells from the raw file to the classifier; without it they start in the B-lineage window.
    with_odd_markers
        True leaves out the second search, without markers that are stained unlike in the controls.

    Raises
    ------
    InternalError
        If tube and reference share no marker.
    """
    features = tuple(name for name in reference.features if name in tube.features)
    if laip is not None:
        features = tuple(name for name in features if name in laip.features)
        laip = laip.select(features)
    if not features:
        raise InternalError(f"tube {tube.name} and reference share no feature")
    measured = tube.features
    tube = tube.select(features)
    search = SearchedPhenotypes(laip, (library or Library(())).covering(features), parameters)
    own = next((record for record in reference.controls if record.name == tube.name), None)
    # A control is judged by the fold made without it, and is not among its own controls.
    model = (reference.model if own is None else reference.folds[own.fold]).select(features)
    others = [record for record in reference.controls if record is not own]
    controls = [control_cells(reference, record, features, parameters) for record in others]
    seen, calibration = search_tube(tube, model, reference, search, controls)
    tube_model, cells, found = seen.fitted, seen.cells, seen.found
    score, label = score_mixtures(cells, [group.mixture for group in found.counted])
    uncounted = found.uncounted
    if search.laip is not None:
        uncounted += displaced_doubts(search, cells, calibration, found)
        uncounted += find_other_groups(cells, calibration, score)
    called = score >= found.cut
    joined = np.where(called, label, -1).astype(np.int32)
    rates = _offscale_rates(tube, tube_model, reference, search, others)
    offscale = judge_offscale(
        tube.offscale, found.counted, _shares_of(called, label, cells, len(found.counted)), cells, found.cut, rates
    )
    uncounted += offscale.uncounted
    without: list[tuple[UncountedGroup, Bools]] = []
    if _is_without_phenotype(search, uncounted, called):
        without = found_without_phenotype(tube, model, reference, search, controls)
    uncounted = _largest_first(uncounted, without)
    members = find_members(cells, joined, tube.offscale, offscale.cluster, uncounted, len(found.counted))
    columns = _columns(tube.n, seen.rows, score, joined, members.window)
    _number_cells(columns.group, columns.mrd, without, uncounted, len(found.counted))
    mrd = columns.mrd
    novelty = judge_novelty(tube_model, features, reference, parameters, without=tube.name)
    staining = _staining(tube, mrd, model, tube_model, reference, others, parameters)
    without_odd = WithoutMarkers()
    if own is None and not with_odd_markers:
        odd = odd_markers(novelty, staining, parameters)
        without_odd = _without_odd_markers(tube, odd, mrd, tube_model.shift, reference, laip, library, parameters)
    return Classification(
        mode=search.mode,
        features=features,
        score=columns.score,
        mrd=mrd,
        cluster=columns.cluster,
        cut=float(found.cut / np.log(10.0)),
        counted=_beside_controls(found.counted, cells, calibration),
        background=None if reference.provisional else calibration.background,
        novelty=novelty.score,
        novel=novelty.flag,
        novelty_reason=novelty.reason,
        shift=tube_model.shift,
        calibration={
            "outlier_share": tube_model.outlier_share,
            "displacement": tube_model.displacement,
            "false_groups_per_tube": calibration.groups.rate(parameters),
        },
        spike_in=spike_in(
            search,
            cells,
            calibration,
            chain,
            unstained_markers(staining, parameters.unreliable),
            _unclaimed(tube, offscale.cluster),
            rates,
            found,
            _offscale_questions(tube, model, tube_model, reference, others, search),
        ),
        flags=(
            *unlike_controls_flags(novelty, int(mrd.sum()), without_odd, reference),
            *search_flags(search, tube, measured, reference, calibration, uncounted, tube_model.shift, others),
            *staining_flags(staining, parameters.unreliable, parameters, answered=without_odd.negative),
            *shifted_staining_flags(tube, found.counted, columns.cluster, tube_model, staining, parameters),
            *unknown_population_flags(tube, model, tube_model, reference, own, mrd, parameters),
            *offscale_excess_flags(tube, offscale.cluster, model, tube_model, reference, others, search),
        ),
        uncounted=_beside_controls(uncounted, cells, calibration),
        staining=staining,
        places=_places(search, cells, found.counted),
        tube_model=tube_model,
        offscale=offscale.detectors,
        offscale_score=offscale.score,
        offscale_cluster=offscale.cluster,
        group=columns.group,
        offscale_group=members.offscale,
    )


@dataclass(frozen=True)
class _CandidateColumns:
    """What is said of every candidate cell of a tube, all of shape (n,): see :class:`Classification`."""

    score: npt.NDArray[np.float32]
    mrd: Bools
    cluster: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]


def _columns(
    n: int,
    rows: npt.NDArray[np.intp],
    score: npt.NDArray[np.floating],
    joined: npt.NDArray[np.int32],
    group: npt.NDArray[np.int32],
) -> _CandidateColumns:
    """The columns of a tube's ``n`` candidate cells, of which the searched ones, at ``rows`` (m,), have values.

    Parameters
    ----------
    score
        Shape (m,): natural log scores.
    joined
        Shape (m,): number of the counted group, -1 for none.
    group
        Shape (m,): number of the group of any kind, -1 for none.
    """
    out = _CandidateColumns(
        score=np.full(n, NO_SCORE, dtype=np.float32),
        mrd=np.zeros(n, dtype=bool),
        cluster=np.full(n, -1, dtype=np.int32),
        group=np.full(n, -1, dtype=np.int32),
    )
    out.score[rows] = np.maximum(score / np.log(10.0), NO_SCORE)
    out.mrd[rows] = joined >= 0
    out.cluster[rows] = joined
    out.group[rows] = group
    return out


def _beside_controls(groups: tuple[Group, ...], cells: WindowCells, calibration: Calibration) -> tuple[Group, ...]:
    """The groups, with the cells that controls hold in their place; off-scale cells have no place in one channel."""
    return tuple(
        group
        if getattr(group, "detector", "")
        else replace(group, evidence=beside_controls(group.evidence, group.mixture, cells, calibration.controls))
        for group in groups
    )


def _unclaimed(tube: CandidateCells, cluster: npt.NDArray[np.int32] | None) -> OffscaleCells | None:
    """Off-scale cells of the tube that belong to no counted group."""
    return tube.offscale if tube.offscale is None or cluster is None else tube.offscale.only(cluster < 0)


def _offscale_questions(
    tube: CandidateCells,
    model: NormalModel,
    fitted: TubeModel,
    reference: ReferenceModel,
    others: Sequence[ControlRecord],
    search: SearchedPhenotypes,
) -> OffscaleQuestions | None:
    """Detectors whose off-scale cells are a question in this tube; None where a patient's phenotype is searched for."""
    if search.laip is not None or reference.provisional:
        return None
    columns = [reference.features.index(name) for name in tube.features]
    normal_b = model.normal_b + fitted.shift

    def asked(offscale: OffscaleCells, cells: WindowCells) -> frozenset[str]:
        claimed = np.zeros(offscale.n, dtype=np.bool_)
        groups = offscale_groups(offscale, claimed, cells)
        found = find_excess(
            replace(tube, offscale=offscale), None, fitted, normal_b, others, columns, search.parameters
        )
        return frozenset([group.detector for group in groups] + [one.detector for one in found])

    return asked


def _staining(
    tube: CandidateCells,
    mrd: Bools,
    model: NormalModel,
    fitted: TubeModel,
    reference: ReferenceModel,
    others: Sequence[ControlRecord],
    parameters: ClassifierParameters,
) -> tuple[StainingFinding, ...]:
    """Findings of the staining control; none where simulated marrows replace the controls."""
    if reference.provisional:
        return ()
    return control_staining(tube, mrd, model, fitted.shift, [record.staining for record in others], parameters)


def _shares_of(called: Bools, label: npt.NDArray[np.int32], cells: WindowCells, groups: int) -> list[float]:
    """Share of the tube's nucleated cells that every counted group has among the cells on scale."""
    counts = np.bincount(label[called], minlength=groups)
    return [float(count) / max(cells.denominator, 1) for count in counts]


def _offscale_rates(
    tube: CandidateCells,
    fitted: TubeModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    others: Sequence[ControlRecord],
) -> OffscaleRates | None:
    """How often cells are off scale in this tube; None without a diagnosis tube that tells it of the leukaemia."""
    if search.laip is None or not search.laip.offscale or tube.offscale is None:
        return None
    columns = [reference.features.index(name) for name in tube.features]
    controls = rates_of_controls(tube.offscale, others, columns, fitted, search.parameters)
    return OffscaleRates.of(search.laip.offscale, tube.offscale, controls)


def _is_without_phenotype(search: SearchedPhenotypes, uncounted: Sequence[UncountedGroup], called: Bools) -> bool:
    """Whether the phenotype of a patient was searched for, and nothing was detected or is a question."""
    asked = any(group.call == "atypical" for group in uncounted)
    return search.laip is not None and not asked and called.sum() < search.parameters.detect_events


def _without_odd_markers(
    tube: CandidateCells,
    markers: tuple[str, ...],
    mrd: Bools,
    shift: Floats,
    reference: ReferenceModel,
    laip: PatientLaip | None,
    library: Library | None,
    parameters: ClassifierParameters,
) -> WithoutMarkers:
    """What the tube shows without some markers; the spike-in is repeated only where nothing was called.

    Parameters
    ----------
    mrd
        Shape (n,): cells called with all markers.
    shift
        Shape (d,): staining of the tube against the reference, decades.
    """
    rest = tuple(name for name in tube.features if name not in markers)
    if not markers or not rest:
        return WithoutMarkers()
    few = mrd.sum() < parameters.detect_events
    fewer = parameters if few else replace(parameters, replicates=0)
    known = None if laip is None else laip.select(rest)
    found = classify_tube(
        tube.select(rest), reference, laip=known, library=library, parameters=fewer, with_odd_markers=True
    )
    furthest = max(abs(float(shift[tube.features.index(name)])) for name in markers)
    return compare_without(markers, furthest, mrd, found, known, parameters)


def _largest_first(
    uncounted: Sequence[UncountedGroup], without: Sequence[tuple[UncountedGroup, Bools]]
) -> tuple[UncountedGroup, ...]:
    """All groups that are not counted, by decreasing number of cells."""
    return tuple(sorted((*uncounted, *(one for one, _ in without)), key=lambda group: -group.events))


def _number_cells(
    group: npt.NDArray[np.int32],
    mrd: Bools,
    without: Sequence[tuple[UncountedGroup, Bools]],
    uncounted: Sequence[UncountedGroup],
    first: int,
) -> None:
    """Give the cells of such groups their number in ``group`` (n,), in place; ``first`` is that of ``uncounted[0]``."""
    for other, rows in without:
        group[rows & ~mrd] = first + next(place for place, one in enumerate(uncounted) if one is other)


def _places(search: SearchedPhenotypes, cells: WindowCells, counted: tuple[CountedGroup, ...]) -> tuple[Mixture, ...]:
    """Phenotypes as they may lie in this tube: those of the counted groups, and the patient's own."""
    places = [group.mixture for group in counted]
    if search.laip is not None:
        places += [
            search.laip.mixture.shifted(shift) for shift in starting_shifts(search.laip, search.parameters, cells)
        ]
    return tuple(places)

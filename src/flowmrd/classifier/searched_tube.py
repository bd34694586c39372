"""The search of one tube: its normal cells are fitted, and groups unlike them or like the phenotype are found.

A leukaemia that was found doubtful gets a component of its own, and the tube is fitted and searched again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.calibration import Calibration, calibrate
from flowmrd.classifier.candidate_cells import Bools, CandidateCells
from flowmrd.classifier.catalogue import anchor_levels
from flowmrd.classifier.classification import CountedGroup, UncountedGroup
from flowmrd.classifier.fit_beside_leukaemia import fit_beside_leukaemia
from flowmrd.classifier.found_groups import (
    FoundGroups,
    displaced_match,
    find_groups,
    is_looked_at_twice,
    matched_beside,
    only_beyond_doubt,
    stands_beside,
    with_questions,
)
from flowmrd.classifier.group_evidence import is_normal_population, weigh_mixture
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import is_unusual_shift, match_laip
from flowmrd.classifier.phenotype_score import PhenotypeFit
from flowmrd.classifier.regeneration import is_among_stages, regenerating_part
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, keep_candidates, score_mixtures
from flowmrd.classifier.tube_model import TubeModel, fit_tube
from flowmrd.classifier.window_cells import WindowCells, tube_cells

__all__ = ["SearchedTube", "found_without_phenotype", "search_tube"]


@dataclass(frozen=True)
class SearchedTube:
    """What was found in a tube.

    Attributes
    ----------
    fitted
        Normal model of the tube.
    cells
        The m cells of the window that may belong to a searched phenotype.
    rows
        Shape (m,): their rows among the candidate cells of the tube.
    found
        Groups among them.
    """

    fitted: TubeModel
    cells: WindowCells
    rows: npt.NDArray[np.intp]
    found: FoundGroups


def search_tube(
    tube: CandidateCells,
    model: NormalModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    controls: list[WindowCells],
) -> tuple[SearchedTube, Calibration]:
    """What the search finds in a tube, and what controls say of it.

    Parameters
    ----------
    tube
        Candidate cells in the features of the model.
    model
        Normal model of the controls that does not rest on this tube.
    controls
        Cells of the controls but the tube itself.
    """
    tube_model, burden, cells, window = _fitted(tube, model, reference, search, controls)
    regenerating = None if burden is None else regenerating_part(burden.mixture, burden.share, cells, tube)
    if regenerating is not None:
        return _beside_regeneration(tube, model, reference, search, controls, regenerating)
    share = burden.share if burden is not None else 0.0
    fits: list[PhenotypeFit] | None = None
    if search.laip is not None:
        fits = match_laip(search.laip, search.parameters, cells)
        share = max(share, sum(fit.share for fit in fits))
    calibration = calibrate(search, controls, share)
    found = find_groups(search, cells, calibration, burden=burden, fits=fits)
    found = _without_regeneration(found, cells, tube)
    seen = SearchedTube(tube_model, cells, window, found)
    return _fit_beside_doubt(tube, model, reference, search, calibration, seen) or seen, calibration


def _beside_regeneration(
    tube: CandidateCells,
    model: NormalModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    controls: list[WindowCells],
    regenerating: Mixture,
) -> tuple[SearchedTube, Calibration]:
    """The search in a tube that is full of regenerating precursors: they are a question, other groups may count.

    They are fitted as a population of the tube. Without that, a leukaemia beside them was never searched for. The rim
    of a population that the tube itself placed is known less well, so groups count by the stricter rate of a second
    look.

    Parameters
    ----------
    regenerating
        Weights are shares of the tube.
    """
    parameters = search.parameters
    fitted = fit_tube(model, tube, parameters, regenerating=regenerating, unreliable=parameters.unreliable)
    cells, rows = _candidates(tube, fitted, model, reference, search, regenerating=regenerating)
    calibration = calibrate(search, controls, 0.0)
    found = only_beyond_doubt(find_groups(search, cells, calibration), cells)
    share = float(regenerating.weight.sum())
    evidence = weigh_mixture(regenerating.with_share(1.0 / share), share, cells)
    alike = UncountedGroup(regenerating, share * tube.denominator, "like_precursors", evidence, is_fitted=True)
    return SearchedTube(fitted, cells, rows, replace(found, uncounted=(alike, *found.uncounted))), calibration


def found_without_phenotype(
    tube: CandidateCells,
    model: NormalModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    controls: list[WindowCells],
) -> list[tuple[UncountedGroup, Bools]]:
    """Groups that would be a detection if there were no diagnosis tube, and their cells (n,); they are questions.

    The diagnosis tube may be another person's, and a leukaemia may change. Normal populations are fitted beside the
    phenotype alone, so another leukaemia can pass for a displaced one of them.
    """
    seen, _ = search_tube(tube, model, reference, replace(search, laip=None), controls)
    score, label = score_mixtures(seen.cells, [group.mixture for group in seen.found.counted])
    called = score >= seen.found.cut
    if called.sum() < search.parameters.detect_events:
        return []
    out = []
    for number, group in enumerate(seen.found.counted):
        members = np.zeros(tube.n, dtype=bool)
        members[seen.rows[called & (label == number)]] = True
        out.append((UncountedGroup(group.mixture, float(members.sum()), "not_the_phenotype", group.evidence), members))
    return out


def _without_regeneration(found: FoundGroups, cells: WindowCells, tube: CandidateCells) -> FoundGroups:
    """The groups, where a match that may have been moved onto regenerating precursors is a question.

    Controls need not regenerate, so that the normal model may lack a stage. The match of a diagnosis tube that was
    moved by 0.9 decades in CD38 took 4,054 haematogones of stage I of a clean marrow for leukaemia.
    """
    unusual = [fit.mixture for fit in found.fits if is_unusual_shift(fit, cells.parameters)]

    def may_be_normal(group: CountedGroup, events: int) -> bool:
        moved = any(group.mixture is mixture for mixture in unusual)
        return moved and is_among_stages(group.mixture, events / max(cells.denominator, 1), cells, tube)

    return with_questions(found, cells, "regenerating", may_be_normal)


def _fitted(
    tube: CandidateCells,
    model: NormalModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    controls: list[WindowCells],
) -> tuple[TubeModel, PatientLaip | None, WindowCells, npt.NDArray[np.intp]]:
    """The tube's normal model, a heavy burden that was fitted beside it, the candidate cells and their rows.

    Much of a tube may be a normal population; then it is fitted as one, and the tube is searched like any other.
    """
    fitted, burden = fit_beside_leukaemia(tube, model, reference, search)
    cells, rows = _candidates(tube, fitted, model, reference, search, burden)
    if burden is not None and is_normal_population(burden.mixture, burden.share, cells, controls):
        fitted = fit_tube(model, tube, search.parameters, unreliable=search.parameters.unreliable)
        burden = None
        cells, rows = _candidates(tube, fitted, model, reference, search)
    return fitted, burden, cells, rows


def _candidates(
    tube: CandidateCells,
    fitted: TubeModel,
    model: NormalModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    burden: PatientLaip | None = None,
    regenerating: Mixture | None = None,
) -> tuple[WindowCells, npt.NDArray[np.intp]]:
    """Window cells that any searched phenotype could claim, with their density under the tube's normal model; their
    rows.
    """
    parameters = search.parameters
    window = np.flatnonzero(tube.window)
    stages = reference.stage_centres[:, [reference.features.index(name) for name in tube.features]]
    anchors = anchor_levels(tube, parameters, expected=reference.anchors_at(tube.features, fitted.shift))
    cells = tube_cells(tube, window, fitted, model, parameters, stages, parameters.unreliable, anchors)
    cells, kept = keep_candidates(search, cells, None if burden is None else burden.mixture, fitted=regenerating)
    return cells, window[kept]


def _fit_beside_doubt(
    tube: CandidateCells,
    model: NormalModel,
    reference: ReferenceModel,
    search: SearchedPhenotypes,
    calibration: Calibration,
    seen: SearchedTube,
) -> SearchedTube | None:
    """Fit the tube again with its most questionable group beside the normal cells; None if no group counts then.

    A leukaemia of some hundred cells is too small to be found as a heavy burden. It is large enough to pull a normal
    population of the tube onto itself, so that its cells seem half normal. Once the leukaemia has a component of its
    own it no longer does so, and the groups are judged anew. Without a phenotype, this is done for the largest group
    that is like those of controls, or that stands out beside a displaced population and is rare enough to count after
    the fit. Other displaced populations are left as they are, because regenerating marrow holds such populations. With
    a phenotype, it is done for a displaced population that lies where the phenotype does.
    """
    parameters = search.parameters
    if search.laip is not None:
        match = displaced_match(search, seen.cells, calibration, seen.found)
        if match is None:
            return None
        leukaemia, share = match.mixture, match.share
    else:
        doubts = [group for group in seen.found.uncounted if is_looked_at_twice(group, parameters)]
        if not doubts:
            return None
        largest = max(doubts, key=lambda group: group.events)
        leukaemia, share = largest.mixture, largest.events / max(tube.denominator, 1)
    fitted = fit_tube(
        model, tube, parameters, leukaemia=leukaemia, leukaemia_share=share, unreliable=parameters.unreliable
    )
    cells, rows = _candidates(tube, fitted, model, reference, search)
    second = find_groups(search, cells, calibration)
    if search.laip is not None:
        confirmed = matched_beside(second, cells, calibration)
    else:
        confirmed = stands_beside(second, parameters)
    return SearchedTube(fitted, cells, rows, second) if confirmed else None

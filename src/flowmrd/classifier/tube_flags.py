"""What a reviewer must know of a judged tube: how it differs from the controls, and how the search was limited.

Flags of the staining control are made in :mod:`flowmrd.classifier.staining_control`, those of uncounted groups in
:mod:`flowmrd.classifier.uncounted_group_flags`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.candidate_cells import Bools, CandidateCells
from flowmrd.classifier.classification import UncountedGroup
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ControlRecord, ReferenceModel
from flowmrd.classifier.novelty import Novelty
from flowmrd.classifier.odd_markers import WithoutMarkers
from flowmrd.classifier.offscale_excess import find_excess
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype import beside_diagnosis
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.classifier.uncounted_group_flags import uncounted_flags
from flowmrd.classifier.unknown_population import find_unknown_populations, in_words, possible_stainings
from flowmrd.flags import Flag, flag

__all__ = [
    "missing_markers_flags",
    "offscale_excess_flags",
    "search_flags",
    "unknown_population_flags",
    "unlike_controls_flags",
]

BLAST_MARKERS = ("CD19", "CD10", "CD20", "CD34", "CD22", "CD24")
"""Markers that place cells in the B lineage and tell leukaemia from normal precursors."""


def search_flags(
    search: SearchedPhenotypes,
    tube: CandidateCells,
    measured: tuple[str, ...],
    reference: ReferenceModel,
    calibration: Calibration,
    uncounted: tuple[UncountedGroup, ...],
    shift: Floats,
    others: Sequence[ControlRecord],
) -> list[Flag]:
    """What a reviewer must know; some of these flags keep the verdict from being negative."""
    parameters = search.parameters
    flags: list[Flag] = []
    if reference.provisional:
        flags.append(flag("NO_CONTROLS"))
        if lost := [name for name in measured if name not in reference.features]:
            flags.append(flag("MARKERS_NOT_SIMULATED", markers=", ".join(lost)))
    elif not reference.controls:
        flags.append(flag("ONE_CONTROL"))
    elif len(reference.controls) < parameters.cut_set_aside_from:
        flags.append(flag("FEW_CONTROLS", count=len(reference.controls)))
    flags += missing_markers_flags(measured, reference, parameters)
    if tube.window.sum() == 0:
        flags.append(flag("EMPTY_WINDOW"))
    if search.laip is not None and search.laip.indistinct:
        flags.append(flag("DIAGNOSIS_LIKE_NORMAL"))
    flags += _uncounted_flags(search, uncounted, shift)
    background = calibration.background
    if calibration.alone is not None:
        flags.append(flag("CONTROL_SET_ASIDE", control=others[calibration.alone].name))
    most = parameters.high_background_ratio * parameters.background_per_million
    if background is not None and background.per_million > most:
        flags.append(flag("HIGH_BACKGROUND", per_million=background.per_million))
    return flags


def unlike_controls_flags(
    novelty: Novelty, called: int, without: WithoutMarkers, reference: ReferenceModel
) -> list[Flag]:
    """Flags of a tube unlike the controls; milder ones where the answer is the same without the odd markers."""
    if reference.provisional:
        return []
    markers = ", ".join(without.markers)
    if without.negative:
        return [flag("NEGATIVE_WITHOUT_ODD_MARKERS", markers=markers)]
    if not novelty.flag:
        return []
    if without.same == 0:
        return [flag("TUBE_UNLIKE_CONTROLS", why=novelty.reason)]
    return [flag("TUBE_UNLIKE_IN_ONE_MARKER", why=novelty.reason, marker=markers, same=without.same, events=called)]


def unknown_population_flags(
    tube: CandidateCells,
    model: NormalModel,
    fitted: TubeModel,
    reference: ReferenceModel,
    own: ControlRecord | None,
    mrd: Bools,
    parameters: ClassifierParameters,
) -> list[Flag]:
    """A flag for the largest population that no control holds in such numbers; empty where there is none."""
    if reference.provisional:
        return []
    others = [record for record in reference.controls if record is not own]
    columns = [reference.features.index(name) for name in tube.features]
    stainings = possible_stainings(fitted.shift, tube.features)
    anchors = [reference.anchors_at(tube.features, staining) for staining in stainings]
    found = find_unknown_populations(tube, others, columns, fitted.shift, mrd, anchors, parameters)
    return [
        flag(
            "UNKNOWN_POPULATION",
            share=one.share,
            most=one.most,
            what=in_words(one, tube.features, model.mixture, fitted.shift, parameters),
        )
        for one in found[:1]
    ]


def offscale_excess_flags(
    tube: CandidateCells,
    joined: npt.NDArray[np.int32] | None,
    model: NormalModel,
    fitted: TubeModel,
    reference: ReferenceModel,
    others: Sequence[ControlRecord],
    search: SearchedPhenotypes,
) -> list[Flag]:
    """A flag for the detector beyond whose range leukaemia may lie; none where the phenotype is a patient's.

    Parameters
    ----------
    joined
        Shape (m,): counted group of every off-scale cell, -1 for none.
    """
    if search.laip is not None or reference.provisional:
        return []
    columns = [reference.features.index(name) for name in tube.features]
    normal_b = model.normal_b + fitted.shift
    claimed = None if joined is None else joined >= 0
    found = find_excess(tube, claimed, fitted, normal_b, others, columns, search.parameters)
    return [
        flag("OFFSCALE_LIKE_BLASTS", events=one.events, detector=one.detector, excess=round(one.excess))
        for one in found[:1]
    ]


def missing_markers_flags(
    measured: tuple[str, ...], reference: ReferenceModel, parameters: ClassifierParameters
) -> list[Flag]:
    """Flags of a tube that lacks markers which the controls have."""
    missing = [name for name in reference.features if name not in measured]
    of_blasts = [name for name in missing if name in BLAST_MARKERS]
    left = [name for name in BLAST_MARKERS if name in measured]
    if not missing:
        return []
    if len(of_blasts) >= parameters.blast_markers_missing or ("CD19" in missing and not {"CD22", "CD24"} <= set(left)):
        return [flag("PANEL_TOO_WEAK", markers=", ".join(missing), left=", ".join(left) or "none")]
    code = "CD19_NOT_MEASURED" if "CD19" in missing else "MARKER_MISSING"
    return [flag(code, markers=", ".join(missing), left=", ".join(left))]


def _uncounted_flags(search: SearchedPhenotypes, uncounted: tuple[UncountedGroup, ...], shift: Floats) -> list[Flag]:
    """One flag for every reason why groups are not counted; a group unlike the diagnosis is given with the levels of
    both.
    """
    unlike = [group for group in uncounted if group.why == "not_the_phenotype"]
    levels: dict[str, str] = {}
    if unlike and search.laip is not None:
        here, known = max(unlike, key=lambda group: group.events).mixture, search.laip.mixture
        at_diagnosis = known.weight @ known.mean - search.laip.staining
        told = beside_diagnosis(here.weight @ here.mean - shift, at_diagnosis, search.laip.features)
        levels["not_the_phenotype"] = f" ({told})"
    return uncounted_flags(((group.why, group.events) for group in uncounted), levels)

"""Judging one tube: the patient's phenotype where it is known, compact strangers where not, and the same on controls.

The tube's own normal cells set the scale of the score, since normal components are moved to where they lie in this very
tube; the controls set the cut (:mod:`flowmrd.classifier.search`).
"""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import CandidateCells, thin
from flowmrd.classifier.classification import Classification, Uncounted, Why
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import log_density
from flowmrd.classifier.normal_model import BLAST_SHARE, DEGREES, NormalModel, TubeModel, fit_tube
from flowmrd.classifier.normal_reference import NormalReference
from flowmrd.classifier.novelty import Novelty, judge_novelty
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, drift_covariance, find_laip, loosened
from flowmrd.classifier.phenotype_match import fit_laip
from flowmrd.classifier.phenotype_score import NOTHING, score_cells
from flowmrd.classifier.probability import cluster_probabilities
from flowmrd.classifier.search import (
    Calibration,
    Found,
    Search,
    calibrate,
    find_strangers,
    find_targets,
    narrowed,
    score_targets,
)
from flowmrd.classifier.spike_in import spike_in
from flowmrd.classifier.window_cells import control_cells, tube_cells
from flowmrd.errors import InternalError
from flowmrd.flags import Flag, flag

MUCH = 0.01
"""From this share of the cells on leukaemia is looked for before the normal model is fitted, which it would pull."""
BURDEN_CELLS = 10_000
"""Window cells that tell whether leukaemia is that much."""


def classify_tube(
    tube: CandidateCells,
    reference: NormalReference,
    *,
    laip: PatientLaip | None,
    library: Library | None,
    settings: ClassifierParameters,
) -> Classification:
    """Judge a tube.

    Parameters
    ----------
    tube
        Candidate cells; of any number, also none.
    laip
        The patient's phenotype, where a diagnosis tube gave one.
    library
        Other patients' phenotypes (the patient's own already taken out).
    """
    features = tuple(name for name in reference.features if name in tube.features)
    if laip is not None:
        features = tuple(name for name in features if name in laip.features)
        laip = laip.select(features)
    if not features:
        raise InternalError(f"tube {tube.name} and reference share no feature")
    tube = tube.select(features)
    search = Search(laip, (library or Library(())).covering(features), settings)
    own = next((record for record in reference.controls if record.name == tube.name), None)
    # A control is judged by the fold it did not help to build, and is no witness in its own case.
    model = (reference.model if own is None else reference.folds[own.fold]).select(features)
    window = np.flatnonzero(tube.window)
    controls = [control_cells(reference, record, features) for record in reference.controls if record is not own]
    tube_model, burden = _fit_beside_leukaemia(tube, model, reference, search)
    stages = reference.stage_centres[:, [reference.features.index(name) for name in features]]
    cells = tube_cells(tube, window, tube_model, model, stages, settings.unreliable)
    cells, kept = narrowed(search, cells)
    window = window[kept]
    share = burden.share if burden is not None else 0.0
    if search.laip is not None:
        share = max(share, sum(fit.share for fit in fit_laip(search.laip, settings, cells)))
    calibration = calibrate(search, controls, share)
    found = find_targets(search, cells, calibration, burden)
    score, label = score_targets(cells, found.targets)
    strangers = find_strangers(cells, calibration, score) if search.laip is not None else ()
    called = score >= calibration.cut
    novelty = judge_novelty(tube_model, features, reference, without=tube.name)
    spiked = spike_in(search, cells, calibration)
    full_score = np.full(tube.n, NOTHING, dtype=np.float32)
    full_score[window] = np.maximum(score / np.log(10.0), NOTHING)
    mrd = np.zeros(tube.n, dtype=bool)
    mrd[window] = called
    cluster = np.full(tube.n, -1, dtype=np.int32)
    cluster[window[called]] = label[called]
    return Classification(
        mode=search.mode,
        features=features,
        score=full_score,
        mrd=mrd,
        cluster=cluster,
        cut=float(calibration.cut / np.log(10.0)),
        targets=found.targets,
        probabilities=cluster_probabilities(
            [target.gain for target in found.targets],
            false=calibration.control_gains(cells.denominator),
            true=spiked.gains if spiked is not None else (),
            limit=calibration.limit(cells.denominator),
        ),
        background=None if reference.provisional else calibration.background,
        novelty=novelty.score,
        novel=novelty.flag,
        shift=tube_model.shift,
        calibration={
            "strays": tube_model.strays,
            "displacement": tube_model.distance,
            "spot_gain_limit": calibration.groups.limit(cells.denominator),
        },
        spike_in=spiked,
        flags=tuple(_flags(search, tube, reference, novelty, calibration, found, strangers)),
        uncounted=_uncounted(found, strangers),
    )


def _uncounted(found: Found, strangers: tuple[CompactGroup, ...]) -> tuple[Uncounted, ...]:
    """Groups that forbid an answer or a negative one, by falling size."""
    kinds: tuple[tuple[Why, tuple[CompactGroup, ...]], ...] = (
        ("like_precursors", found.doubtful),
        ("like_controls", found.unresolved),
        ("displaced", found.displaced),
        ("not_the_phenotype", strangers),
    )
    groups = [Uncounted(spot.mixture, spot.events, why) for why, spots in kinds for spot in spots]
    return tuple(sorted(groups, key=lambda group: -group.events))


def _fit_beside_leukaemia(
    tube: CandidateCells, model: NormalModel, reference: NormalReference, search: Search
) -> tuple[TubeModel, PatientLaip | None]:
    """The tube's normal model. Where leukaemia is so much that it would pass for a normal population of this tube, it
    is found first and explained beside the normal ones."""
    unreliable = search.settings.unreliable
    anchored = fit_tube(model, tube, anchors_only=True)
    loose = loosened(model, anchored)
    sample = thin(tube.window, BURDEN_CELLS)
    cells = tube.values[sample]
    known = blast_prior(tube.features, model.normal_b + anchored.shift)
    if search.laip is not None:
        # The patient's own phenotype says what to look for; what else a tube holds is not taken for a burden.
        drift = drift_covariance(tube.features, search.settings.unreliable, search.settings.shifted)
        known = search.laip.mixture.broadened(drift)
    foreign = score_cells(known, cells, log_density(loose, cells, degrees=DEGREES)) > 0.0
    share = float(foreign.mean()) * float(tube.window.sum()) / max(tube.n, 1) if len(sample) else 0.0
    if search.laip is not None:
        share = min(max(share, BLAST_SHARE), 0.9)
        return fit_tube(model, tube, foreign=known, foreign_share=share, unreliable=unreliable), None
    if share < MUCH:
        return fit_tube(model, tube, unreliable=unreliable), None
    found = find_laip(
        tube.name,
        tube,
        reference,
        min_cells=max(200, round(MUCH * tube.n / 2)),
        seed=search.settings.seed,
        model=model,
    )
    if found is None or found.indistinct:
        return fit_tube(model, tube, unreliable=unreliable), None
    share = min(found.share, 0.9)
    return fit_tube(model, tube, foreign=found.mixture, foreign_share=share, unreliable=unreliable), found


def _flags(
    search: Search,
    tube: CandidateCells,
    reference: NormalReference,
    novelty: Novelty,
    calibration: Calibration,
    found: Found,
    strangers: tuple[CompactGroup, ...],
) -> list[Flag]:
    """What a reviewer must know; the verdict treats some of these as doubts."""
    flags: list[Flag] = []
    if reference.provisional or not reference.controls:
        flags.append(flag("NO_CONTROLS"))
    if novelty.flag:
        flags.append(flag("TUBE_UNLIKE_CONTROLS", why=novelty.reason))
    if tube.window.sum() == 0:
        flags.append(flag("EMPTY_WINDOW"))
    if search.laip is not None and search.laip.indistinct:
        flags.append(flag("DIAGNOSIS_LIKE_NORMAL"))
    for code, spots, what in (
        ("PHENOTYPE_LIKE_NORMAL", found.doubtful, "regenerating precursors without a diagnosis tube"),
        ("UNRESOLVED_CLUSTER", strangers, "is unlike normal marrow and unlike the leukaemia at diagnosis"),
        (
            "UNRESOLVED_CLUSTER",
            found.unresolved,
            "is unlike normal marrow, but not more so than groups that marrow without leukaemia may hold",
        ),
        (
            "UNRESOLVED_CLUSTER",
            found.displaced,
            "is leukaemia, or a normal population further from its place than in the controls",
        ),
    ):
        if spots:
            flags.append(flag(code, events=round(sum(spot.events for spot in spots)), what=what))
    background = calibration.background
    if background is not None and background.per_million > 4 * search.settings.background_per_million:
        flags.append(flag("HIGH_BACKGROUND", per_million=background.per_million))
    return flags

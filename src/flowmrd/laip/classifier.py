"""Judging one tube: the patient's phenotype where it is known, compact strangers where not, and the same on controls.

The cut is set on the controls, each under a reference that it did not help to build, so that they keep the background
asked for; the tube's own normal cells set the scale of the score, since normal components are moved to where they lie
in this very tube.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.errors import InternalError
from flowmrd.laip.gaussian import Floats, Mixture, log_density
from flowmrd.laip.library import Library
from flowmrd.laip.patient import PatientLaip, drift_covariance, find_laip, loosened
from flowmrd.laip.prior import blast_prior, cluster_shape
from flowmrd.laip.reference import (
    DEGREES,
    ControlRecord,
    NormalModel,
    NormalReference,
    TubeModel,
    fit_tube,
    rescore,
)
from flowmrd.laip.result import Background, Classification, Flag, Mode, SpikeInResult, Target
from flowmrd.laip.scan import NEAR, Spot, find_spots
from flowmrd.laip.settings import Settings
from flowmrd.laip.template import NOTHING, REACH, Fitted, fit_template, score_cells
from flowmrd.laip.tube import Floats32, Tube, thin

LOWEST_CUT, HIGHEST_CUT = 4.0, 12.0
"""Bounds of the cut in natural log units: 4 leaves at most 1.8 % and 12 six per million of the normal cells that
the normal model has right."""
SPOT_GAIN_FLOOR = 45.0
"""Least gain of a spot, whatever few controls say."""
SPOT_GAIN_MARGIN = 1.5
"""A spot must gain this much more than any spot of any control."""
SPOT_PURITY = 2.5
"""Least gain per event of a spot: cells of a leukaemia are each clearly unlike normal ones, a normal population that
the model describes badly is large and gains little per cell."""
HEAVY = 0.02
"""From this share on the cut follows the burden."""
FIT_GAIN, FIT_PURITY = 12.0, 1.0
"""Least gain, and least gain per explained event, at which cells answering to the patient's phenotype form a cluster;
below it they are scattered normal cells at its rim and none of them is counted."""
LIKE_NORMAL = 2.5
"""Mahalanobis distance to a normal B-lineage population, its spread over controls included, below which a group without
a known leukaemia may be a regenerating one. Real blasts lie 6.1 (5th percentile 3.2) from the nearest population of
their own marrow (332 patients)."""
MUCH = 0.01
"""From this share of the cells on leukaemia is looked for before the normal model is fitted, which it would pull."""
BURDEN_CELLS = 10_000
"""Window cells that tell whether leukaemia is that much."""
SPOT_CUT = 5.0
"""Cut inside a spot, natural log: the spot as a whole has been judged already."""
DEFAULT_CUT = 8.0
"""Cut where there is no control to set it by."""
SPIKE_DRIFT_SD = 0.15
"""Drift of spiked cells against where they came from, decades per marker."""
DISTINCT_DETECTION = 0.8
"""Share of spike-ins that must be detected for the check to pass."""


@dataclass(frozen=True)
class Cells:
    """Candidate cells of a tube or control with their normal density under a model that did not learn from them."""

    features: tuple[str, ...]
    values: Floats32
    log_normal: Floats32 | Floats
    denominator: int
    shift: Floats
    normal: NormalModel
    model: TubeModel
    sampling: float = 1.0

    def per_million(self, events: float) -> float:
        """Events as a rate per million nucleated cells."""
        return 1e6 * events / self.sampling / max(self.denominator, 1)


@dataclass(frozen=True)
class Search:
    """What is looked for: the patient's phenotype, other patients', or neither."""

    laip: PatientLaip | None
    library: Library
    settings: Settings

    @property
    def mode(self) -> Mode:
        """Name of the mode, as reported."""
        if self.laip is not None:
            return "patient"
        return "library" if self.library.usable else "different_from_normal"


def classify_tube(
    tube: Tube,
    reference: NormalReference,
    *,
    laip: PatientLaip | None,
    library: Library | None,
    settings: Settings,
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
    controls = [_control_cells(reference, record, features) for record in reference.controls if record is not own]
    tube_model, burden = _fit_beside_leukaemia(tube, model, reference, search)
    cells = _cells(tube, window, tube_model, model)
    cells, kept = _narrowed(search, cells)
    window = window[kept]
    share = burden.share if burden is not None else 0.0
    if search.laip is not None:
        share = max(share, _fit_laip(search, cells).share)
    calibration = calibrate(search, [_narrowed(search, control)[0] for control in controls], share)
    targets, doubtful = find_targets(search, cells, calibration, burden)
    score, label = score_targets(cells, targets)
    called = score >= calibration.cut
    novelty, novel = reference.novelty(tube_model)
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
        targets=tuple(targets),
        background=None if reference.provisional else calibration.background,
        novelty=novelty,
        novel=novel,
        shift=tube_model.shift,
        calibration={
            "strays": tube_model.strays,
            "displacement": tube_model.distance,
            "spot_gain_limit": calibration.spot_limit(cells.denominator),
        },
        spike_in=spike_in(search, cells, calibration),
        flags=tuple(_flags(search, tube, reference, novelty, novel, calibration, doubtful)),
    )


def _fit_beside_leukaemia(
    tube: Tube, model: NormalModel, reference: NormalReference, search: Search
) -> tuple[TubeModel, PatientLaip | None]:
    """The tube's normal model. Where leukaemia is so much that it would pass for a normal population of this tube, it
    is found first and explained beside the normal ones."""
    anchored = fit_tube(model, tube, anchors_only=True)
    loose = loosened(model, anchored)
    sample = thin(tube.window, BURDEN_CELLS)
    cells = tube.values[sample]
    plausible = search.library.plausible(tube.features, model.normal_b, anchored.shift)
    foreign = score_cells(plausible, cells, log_density(loose, cells, degrees=DEGREES)) > 0.0
    if search.laip is not None:
        drift = drift_covariance(tube.features, search.settings.unreliable, search.settings.shifted)
        known = search.laip.mixture.broadened(drift)
        foreign |= score_cells(known, cells, log_density(loose, cells, degrees=DEGREES)) > 0.0
    share = float(foreign.mean()) * float(tube.window.sum()) / max(tube.n, 1) if len(sample) else 0.0
    if share < MUCH:
        return fit_tube(model, tube), None
    found = find_laip(
        tube.name,
        tube,
        reference,
        min_cells=max(200, round(MUCH * tube.n / 2)),
        seed=search.settings.seed,
        model=model,
    )
    if found is None or found.indistinct:
        return fit_tube(model, tube), None
    return fit_tube(model, tube, foreign=found.mixture, foreign_share=min(found.share, 0.9)), found


def _cells(tube: Tube, window: npt.NDArray[np.intp], model: TubeModel, normal: NormalModel) -> Cells:
    values = np.ascontiguousarray(tube.values[window])
    log_normal = model.log_density(values).astype(np.float32)
    return Cells(tube.features, values, log_normal, tube.denominator, model.shift, normal, model)


def _control_cells(reference: NormalReference, record: ControlRecord, features: tuple[str, ...]) -> Cells:
    index = [reference.features.index(name) for name in features]
    same = features == reference.features
    return Cells(
        features,
        record.values if same else np.ascontiguousarray(record.values[:, index]),
        record.log_normal if same else rescore(record, index),
        record.denominator,
        record.model.shift[index],
        reference.folds[record.fold].select(features),
        record.model.select(index),
        record.sampling,
    )


def _starts(search: Search, cells: Cells) -> list[Floats]:
    """Where the phenotype may lie: staining as at diagnosis, staining moved as the tube's normal cells have moved, and
    each of these with a marker lost that therapy may take away."""
    if search.laip is None:
        return []
    laip = search.laip
    d = len(cells.features)
    starts = [np.zeros(d), cells.shift - laip.staining]
    centre = laip.mixture.weight @ laip.mixture.mean
    for j, marker in enumerate(cells.features):
        if marker in search.settings.unreliable:
            # The level of cells without the marker: the lowest tenth of the tube's normal components.
            lowest = float(np.quantile(cells.model.mixture.mean[:, j], 0.1))
            lost = starts[1].copy()
            lost[j] = min(lowest - float(centre[j]), 0.0)
            starts.append(lost)
    return starts


def _fit_laip(search: Search, cells: Cells) -> Fitted:
    """The best fit over all starts."""
    if search.laip is None:
        raise InternalError("no patient phenotype to fit")
    drift = drift_covariance(cells.features, search.settings.unreliable, search.settings.shifted)
    fits = [
        fit_template(search.laip.mixture, drift, cells.values, cells.log_normal, cells.denominator, start=start)
        for start in _starts(search, cells)
    ]
    return max(fits, key=lambda fit: fit.gain)


def _is_cluster(fit: Fitted, cells: Cells) -> bool:
    return fit.gain >= FIT_GAIN and fit.gain >= FIT_PURITY * fit.share * cells.denominator


def _relevant(search: Search, cells: Cells) -> npt.NDArray[np.intp]:
    """Cells that anything looked for could claim; the others are out of the game before the expensive part."""
    plausible = search.library.plausible(cells.features, cells.normal.normal_b, cells.shift)
    keep = score_cells(plausible, cells.values, cells.log_normal) > NEAR
    if search.laip is not None:
        drift = drift_covariance(cells.features, search.settings.unreliable, search.settings.shifted)
        for start in _starts(search, cells):
            broad = search.laip.mixture.shifted(start).broadened(drift)
            keep |= score_cells(broad, cells.values, cells.log_normal) > REACH
    return np.flatnonzero(keep)


def _narrowed(search: Search, cells: Cells) -> tuple[Cells, npt.NDArray[np.intp]]:
    keep = _relevant(search, cells)
    return replace(cells, values=cells.values[keep], log_normal=cells.log_normal[keep]), keep


def _spots(search: Search, cells: Cells) -> list[Spot]:
    plausible = search.library.plausible(cells.features, cells.normal.normal_b, cells.shift)
    shape = cluster_shape(cells.features)
    found = find_spots(cells.values, cells.log_normal, cells.denominator, plausible, shape)[0]
    return [spot for spot in found if spot.purity >= SPOT_PURITY]


def _strange(spot: Spot, cells: Cells) -> bool:
    return not like_normal(spot.mixture, cells.normal, cells.shift)


def like_normal(mixture: Mixture, model: NormalModel, shift: Floats) -> bool:
    """Whether every component lies where controls keep B-lineage cells, give or take what sets controls apart.

    Regenerating marrow fills such places; nothing that lies there is called leukaemia without a diagnosis tube.
    """
    inside = model.inside > 0.5
    if not inside.any():
        return False
    centres = model.mixture.mean[inside] + shift
    spread = model.between[inside] ** 2
    wide = model.mixture.covariance[inside] + spread[:, :, None] * np.eye(mixture.d)
    offset = mixture.mean[:, None, :] - centres[None, :, :]
    distance = np.einsum("jki,kil,jkl->jk", offset, np.linalg.inv(wide), offset).min(axis=1)
    return bool((np.sqrt(distance) < LIKE_NORMAL).all())


@dataclass(frozen=True)
class Calibration:
    """What the controls say.

    Attributes
    ----------
    cut
        Natural log score from which a cell counts.
    spot_gains
        Per control, the largest gain of a spot per nucleated cell.
    background
        False events at this cut; None without controls.
    """

    cut: float
    spot_gains: tuple[float, ...]
    background: Background | None

    def spot_limit(self, denominator: int) -> float:
        """Gain from which a spot counts in a tube of this size: gains of chance grow with the number of cells."""
        return max(SPOT_GAIN_FLOOR, SPOT_GAIN_MARGIN * max(self.spot_gains, default=0.0) * denominator)


def calibrate(search: Search, controls: list[Cells], share: float = 0.0) -> Calibration:
    """Run the same search on every control; none of them is judged by a reference it helped to build.

    ``share`` is the leukaemic share of the tube in question: where it is large, a background of a five-hundredth of it
    is accepted, so that a relapse is counted and not only detected.
    """
    fits = [_fit_laip(search, control) for control in controls] if search.laip is not None else []
    laip_scores = [fit.score for fit in fits]
    allowed = search.settings.background_per_million
    if share > HEAVY:
        allowed = max(allowed, 1e6 * share / 500.0)
    cut = choose_cut(laip_scores, controls, allowed, lowest=0.0 if share > HEAVY else LOWEST_CUT)
    if search.laip is None:
        cut = 0.0 if share > HEAVY else SPOT_CUT
    spots = [
        [] if search.laip is not None else [spot for spot in _spots(search, control) if _strange(spot, control)]
        for control in controls
    ]
    gains = [
        max((spot.gain for spot in found), default=0.0) / max(control.denominator, 1)
        for found, control in zip(spots, controls, strict=True)
    ]
    counts = []
    for i, control in enumerate(controls):
        others = Calibration(cut, tuple(gains[:i] + gains[i + 1 :]), None)
        targets = [
            Target(spot.mixture, "spot", spot.gain, 1.0)
            for spot in spots[i]
            if spot.gain >= others.spot_limit(control.denominator)
        ]
        score, _ = score_targets(control, targets)
        if fits and _is_cluster(fits[i], control):
            score = np.maximum(score, fits[i].score)
        counts.append(float((score >= cut).sum()) / control.sampling)
    return Calibration(cut, tuple(gains), _background(counts, controls))


def choose_cut(scores: list[Floats], controls: list[Cells], per_million: float, *, lowest: float = LOWEST_CUT) -> float:
    """Smallest cut at which controls keep the background on average.

    From five controls on the worst one is set aside: one regenerating marrow among the controls must not take the
    sensitivity of all others. It still counts in the background that is reported, and so in the limit of blank.
    """
    if not scores:
        return min(DEFAULT_CUT, lowest + 4.0)
    for cut in np.arange(lowest, HIGHEST_CUT + 0.01, 0.25):
        rates = sorted(
            control.per_million(float((score >= cut).sum())) for score, control in zip(scores, controls, strict=True)
        )
        kept = rates[:-1] if len(rates) >= 5 else rates
        if np.mean(kept) <= 0.4 * per_million and kept[-1] <= 3.0 * per_million:
            return float(cut)
    return HIGHEST_CUT


def _background(counts: list[float], controls: list[Cells]) -> Background | None:
    total = sum(control.denominator for control in controls)
    if not controls or total == 0:
        return None
    from scipy.stats import chi2

    events = float(sum(counts))
    low = 0.0 if events == 0 else float(chi2.ppf(0.025, 2 * events)) / 2
    high = float(chi2.ppf(0.975, 2 * events + 2)) / 2
    worst = max(control.per_million(count * control.sampling) for count, control in zip(counts, controls, strict=True))
    return Background(1e6 * events / total, (1e6 * low / total, 1e6 * high / total), worst, len(controls))


def find_targets(
    search: Search, cells: Cells, calibration: Calibration, burden: PatientLaip | None = None
) -> tuple[list[Target], bool]:
    """The patient's phenotype as it lies in the tube; without one, spots that gain clearly more than any control's.

    Parameters
    ----------
    burden
        Leukaemia found in the tube itself, where it is so much that no search is needed.

    Returns
    -------
    targets, doubtful
        ``doubtful`` is true where a group was found that may be regenerating precursors.
    """
    targets: list[Target] = []
    doubtful = False
    if search.laip is not None:
        fit = _fit_laip(search, cells)
        if _is_cluster(fit, cells):
            chance = float(1 / (1 + np.exp(-(fit.gain - FIT_GAIN) / 5.0 - 1.0)))
            targets.append(Target(fit.mixture, "patient", fit.gain, chance))
    if burden is not None:
        if like_normal(burden.mixture, cells.normal, cells.shift):
            doubtful = search.laip is None
        else:
            targets.append(Target(burden.mixture, "burden", float(burden.n_cells), 1.0))
    if targets or search.laip is not None:
        return targets, doubtful
    limit = calibration.spot_limit(cells.denominator)
    for spot in _spots(search, cells):
        if spot.gain < limit:
            continue
        if _strange(spot, cells):
            chance = float(1 / (1 + np.exp(-(spot.gain - limit) / 15.0 - 2.0)))
            targets.append(Target(spot.mixture, "spot", spot.gain, chance))
        else:
            doubtful = True
    return targets, doubtful


def score_targets(cells: Cells, targets: list[Target]) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Best score of every cell over the targets and which one gives it."""
    score = np.full(len(cells.values), NOTHING)
    label = np.full(len(cells.values), -1, dtype=np.int32)
    for number, target in enumerate(targets):
        own = score_cells(target.mixture, cells.values, cells.log_normal)
        better = own > score
        score[better], label[better] = own[better], number
    return score, label


def spike_in(search: Search, cells: Cells, calibration: Calibration) -> SpikeInResult | None:
    """Put leukaemic cells into a copy of the tube at the target level and run the same search on it.

    The source is the patient's own diagnosis cells, else cells of library leukaemias, else draws from the prior. Every
    replicate moves them by a drift of its own.
    """
    settings = search.settings
    expected = settings.target * cells.denominator
    if cells.denominator == 0:
        return None
    rng = np.random.default_rng([settings.seed, 7])
    found, detected, total = 0, 0, 0
    source = "patient" if search.laip is not None else ("library" if search.library.usable else "simulated")
    for replicate in range(settings.replicates):
        count = int(rng.poisson(expected))
        extra = _spike_cells(search, cells, count, rng, replicate)
        log_normal = cells.model.log_density(extra).astype(np.float32)
        spiked = replace(
            cells,
            values=np.concatenate([cells.values, extra]),
            log_normal=np.concatenate([np.asarray(cells.log_normal, dtype=np.float32), log_normal]),
            denominator=cells.denominator + count,
        )
        score, _ = score_targets(spiked, find_targets(search, spiked, calibration)[0])
        recovered = int((score[len(cells.values) :] >= calibration.cut).sum())
        found += recovered
        total += count
        detected += recovered >= settings.detect_events
    return SpikeInResult(
        level=settings.target,
        replicates=settings.replicates,
        expected=float(expected),
        recovered=found / settings.replicates,
        detected_replicates=detected,
        detected=detected >= DISTINCT_DETECTION * settings.replicates,
        spiked_total=total,
        recovered_total=found,
        source=source,
    )


def _spike_cells(
    search: Search, cells: Cells, count: int, rng: np.random.Generator, replicate: int
) -> npt.NDArray[np.float32]:
    d = len(cells.features)
    drift = rng.normal(0.0, SPIKE_DRIFT_SD, d)
    entries = [search.laip] if search.laip is not None else list(search.library.entries)
    if search.laip is not None or search.library.usable:
        entry = entries[replicate % len(entries)]
        source = entry.select(cells.features).cells
        # A known patient's cells keep the staining of their tube in every second replicate and follow this tube's in
        # the others: which of the two real drift does is not known beforehand. Other patients' cells always follow.
        follow = search.laip is None or replicate % 2 == 1
        shift = cells.shift - entry.select(cells.features).staining if follow else np.zeros(d)
        picked = source[rng.integers(len(source), size=count)]
        return (picked + shift + drift).astype(np.float32)
    shape = cluster_shape(cells.features)
    prior = blast_prior(cells.features, cells.normal.normal_b + cells.shift)
    centre = rng.multivariate_normal(prior.mean[0], prior.covariance[0] - shape)
    return rng.multivariate_normal(centre, shape, size=count).astype(np.float32).reshape(count, d)


def _flags(
    search: Search,
    tube: Tube,
    reference: NormalReference,
    novelty: float,
    novel: bool,
    calibration: Calibration,
    doubtful: bool,
) -> list[Flag]:
    """What a reviewer must know; the verdict treats some of these as doubts."""
    flags: list[Flag] = []
    if reference.provisional or not reference.controls:
        flags.append(
            Flag(
                "NO_CONTROLS",
                "Too few control tubes of this panel: no background rate is known, the result is provisional.",
            )
        )
    if novel:
        flags.append(
            Flag(
                "TUBE_UNLIKE_CONTROLS",
                f"The tube's normal cells lie {novelty:.1f} times as far from the controls as allowed.",
            )
        )
    if tube.window.sum() == 0:
        flags.append(Flag("EMPTY_WINDOW", "No event lies in the B-lineage window of this tube."))
    if search.laip is not None and search.laip.indistinct:
        flags.append(
            Flag(
                "PHENOTYPE_LIKE_NORMAL", "The cells found at diagnosis cannot be told from cells of the control tubes."
            )
        )
    if doubtful:
        flags.append(
            Flag(
                "PHENOTYPE_LIKE_NORMAL",
                "A compact group of cells cannot be told from regenerating precursors without a diagnosis tube.",
            )
        )
    background = calibration.background
    if background is not None and background.per_million > 4 * search.settings.background_per_million:
        flags.append(
            Flag(
                "HIGH_BACKGROUND",
                f"Controls show {background.per_million:.0f} such cells per million even at the strictest cut.",
            )
        )
    return flags

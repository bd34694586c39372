"""What is looked for in a tube, and what the same search finds in controls.

The cut is set on the controls, each under a reference that it did not help to build, so that they keep the background
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.errors import InternalError
from flowmrd.laip.gaussian import Floats, Mixture
from flowmrd.laip.library import Library
from flowmrd.laip.normal import NormalModel, TubeModel
from flowmrd.laip.patient import PatientLaip, drift_covariance
from flowmrd.laip.prior import blast_prior, cluster_shape
from flowmrd.laip.reference import ControlRecord, NormalReference, rescore
from flowmrd.laip.result import Background, Mode, Target
from flowmrd.laip.scan import NEAR, Spot, find_spots
from flowmrd.laip.settings import Settings
from flowmrd.laip.template import NOTHING, REACH, Fitted, fit_template, score_cells
from flowmrd.laip.tube import Floats32, Tube

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
"""Least gain, and least gain per event above the cut, at which cells answering to the patient's phenotype form a
cluster; below it they are scattered normal cells at its rim and none of them is counted."""
HEAVY_CUT = 2.0
"""Cut for a burden found in the tube itself, natural log."""
LIKE_NORMAL = 2.5
"""Mahalanobis distance to a normal B-lineage population, its spread over controls included, below which a group without
a known leukaemia may be a regenerating one. Real blasts lie 6.1 (5th percentile 3.2) from the nearest population of
their own marrow (332 patients)."""
SPOT_CUT = 5.0
"""Cut inside a spot, natural log: the spot as a whole has been judged already."""
DEFAULT_CUT = 8.0
"""Cut where there is no control to set it by."""


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


def tube_cells(tube: Tube, window: npt.NDArray[np.intp], model: TubeModel, normal: NormalModel) -> Cells:
    """The chosen cells of a tube with their normal density."""
    values = np.ascontiguousarray(tube.values[window])
    log_normal = model.log_density(values).astype(np.float32)
    return Cells(tube.features, values, log_normal, tube.denominator, model.shift, normal, model)


def control_cells(reference: NormalReference, record: ControlRecord, features: tuple[str, ...]) -> Cells:
    """The kept cells of a control with their density under the fold that did not see it."""
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


def fit_laip(search: Search, cells: Cells) -> Fitted:
    """The best fit over all starts."""
    if search.laip is None:
        raise InternalError("no patient phenotype to fit")
    drift = drift_covariance(cells.features, search.settings.unreliable, search.settings.shifted)
    fits = [
        fit_template(search.laip.mixture, drift, cells.values, cells.log_normal, cells.denominator, start=start)
        for start in _starts(search, cells)
    ]
    return max(fits, key=lambda fit: fit.gain)


def _is_cluster(fit: Fitted, cells: Cells, cut: float) -> bool:
    """Whether the cells above the cut stand out together: what each gains over normal, at the share they make up."""
    score = fit.score[fit.score >= cut]
    if len(score) == 0:
        return False
    odds = np.log(len(score) / max(cells.denominator, 1)) + score
    gain = float(np.logaddexp(0.0, odds).sum()) - len(score)
    return gain >= FIT_GAIN and gain >= FIT_PURITY * len(score)


def _relevant(search: Search, cells: Cells) -> npt.NDArray[np.intp]:
    """Cells that anything looked for could claim; the others are out of the game before the expensive part."""
    plausible = blast_prior(cells.features, cells.normal.normal_b + cells.shift)
    keep = score_cells(plausible, cells.values, cells.log_normal) > NEAR
    if search.laip is not None:
        drift = drift_covariance(cells.features, search.settings.unreliable, search.settings.shifted)
        for start in _starts(search, cells):
            broad = search.laip.mixture.shifted(start).broadened(drift)
            keep |= score_cells(broad, cells.values, cells.log_normal) > REACH
    return np.flatnonzero(keep)


def narrowed(search: Search, cells: Cells) -> tuple[Cells, npt.NDArray[np.intp]]:
    """Only the cells that anything looked for could claim, and which they are."""
    keep = _relevant(search, cells)
    return replace(cells, values=cells.values[keep], log_normal=cells.log_normal[keep]), keep


def spots_of(search: Search, cells: Cells) -> list[Spot]:
    """Compact groups of a tube whose cells are each clearly unlike normal ones."""
    plausible = blast_prior(cells.features, cells.normal.normal_b + cells.shift)
    shape = cluster_shape(cells.features)
    found = find_spots(cells.values, cells.log_normal, cells.denominator, plausible, shape)[0]
    return [spot for spot in found if spot.purity >= SPOT_PURITY]


def is_strange(spot: Spot, cells: Cells) -> bool:
    """Whether a group lies where controls keep no B-lineage cells."""
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
    fits = [fit_laip(search, control) for control in controls] if search.laip is not None else []
    laip_scores = [fit.score for fit in fits]
    allowed = search.settings.background_per_million
    if share > HEAVY:
        allowed = max(allowed, 1e6 * share / 500.0)
    cut = choose_cut(laip_scores, controls, allowed, lowest=0.0 if share > HEAVY else LOWEST_CUT)
    if search.laip is None:
        cut = HEAVY_CUT if share > HEAVY else SPOT_CUT
    spots = [
        [] if search.laip is not None else [spot for spot in spots_of(search, control) if is_strange(spot, control)]
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
        if fits and _is_cluster(fits[i], control, cut):
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
        fit = fit_laip(search, cells)
        if _is_cluster(fit, cells, calibration.cut):
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
    for spot in spots_of(search, cells):
        if spot.gain < limit:
            continue
        if is_strange(spot, cells):
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

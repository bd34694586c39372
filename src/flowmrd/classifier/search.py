"""What is looked for in a tube, and what the same search finds in controls.

The cut is set on the controls, each under a reference that it did not help to build, so that they keep the background
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.atypical_groups import is_uncommon, like_early_progenitors, like_normal, spots_of, strange_spots
from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.classification import Background, Mode, Target
from flowmrd.classifier.compact_groups import NEAR, CompactGroup
from flowmrd.classifier.control_groups import ControlGroups, is_same
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Floats, chi2_quantile
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import FIT_GAIN, best_score, fit_laip, is_cluster, within_reach
from flowmrd.classifier.phenotype_score import NOTHING, REACH, score_cells, score_each
from flowmrd.classifier.window_cells import WindowCells

LOWEST_CUT, HIGHEST_CUT = 4.0, 12.0
"""Bounds of the cut in natural log units: 4 leaves at most 1.8 % and 12 six per million of the normal cells that
the normal model has right."""
STRANGER_MARGIN = 1.5
"""Where the phenotype is known, a group of another one must stand out this much more than without."""
HEAVY = 0.02
"""From this share on the cut follows the burden."""
HEAVY_CUT = 2.0
"""Cut for a burden found in the tube itself, natural log."""
SPOT_CUT = 5.0
"""Cut inside a spot, natural log: the spot as a whole has been judged already."""
DEFAULT_CUT = 8.0
"""Cut where there is no control to set it by."""


@dataclass(frozen=True)
class Search:
    """What is looked for: the patient's phenotype, other patients', or neither."""

    laip: PatientLaip | None
    library: Library
    settings: ClassifierParameters

    @property
    def mode(self) -> Mode:
        """Name of the mode, as reported."""
        if self.laip is not None:
            return "patient"
        return "library" if self.library.usable else "different_from_normal"


def narrowed(search: Search, cells: WindowCells) -> tuple[WindowCells, npt.NDArray[np.intp]]:
    """Only the cells that anything looked for could claim, and which they are; the others cost time only."""
    candidates = [blast_prior(cells.features, cells.normal.normal_b + cells.shift)]
    least = [NEAR]
    if search.laip is not None:
        known = within_reach(search.laip, search.settings, cells)
        candidates += known
        least += [REACH] * len(known)
    # Without a phenotype, cells count as well that a population too far from its place explains.
    normal = cells.log_normal if search.laip or cells.log_held is None else np.minimum(cells.log_normal, cells.log_held)
    keep = (score_each(candidates, cells.values, normal) > least).any(axis=1)
    index = np.flatnonzero(keep)
    return cells.only(index), index


@dataclass(frozen=True)
class Calibration:
    """What the controls say.

    Attributes
    ----------
    cut
        Natural log score from which a cell counts.
    groups
        Strange groups of the controls.
    fit_gains
        Per control, the gain per nucleated cell of what answers to the patient's phenotype; empty where none is known.
    background
        False events at this cut; None without controls.
    controls
        The controls themselves, with all cells of their windows.
    """

    cut: float
    groups: ControlGroups
    background: Background | None
    controls: tuple[WindowCells, ...] = ()
    fit_gains: tuple[float, ...] = ()

    def limit(self, denominator: int) -> float:
        """Gain from which what is looked for counts in a tube of this size."""
        return FIT_GAIN if self.fit_gains else self.groups.limit(denominator)

    def control_gains(self, denominator: int) -> list[float]:
        """Gains of what the controls hold were they of this size, one per control."""
        if self.fit_gains:
            return [gain * denominator for gain in self.fit_gains]
        single = self.groups.single
        return [
            max((group.gain for group in single if group.control == number), default=0.0) * denominator
            for number in range(len(self.controls))
        ]


def calibrate(search: Search, everything: list[WindowCells], share: float = 0.0) -> Calibration:
    """Run the same search on every control; none of them is judged by a reference it helped to build.

    Parameters
    ----------
    everything
        All window cells of every control.
    share
        Leukaemic share of the tube in question: where it is large, a background of a five-hundredth of it is accepted,
        so that a relapse is counted and not only detected.
    """
    controls = [narrowed(search, control)[0] for control in everything]
    spots = [strange_spots(control, everything[:i] + everything[i + 1 :]) for i, control in enumerate(controls)]
    groups = ControlGroups.of(spots, controls)
    if search.laip is None:
        cut = HEAVY_CUT if share > HEAVY else SPOT_CUT
        counts = []
        for i, control in enumerate(controls):
            targets = [_spot_target(spot) for spot in spots[i] if _counts(spot, control, groups.without(i))]
            counts.append(float((score_targets(control, targets)[0] >= cut).sum()) / control.sampling)
        return Calibration(cut, groups, _background(counts, controls), tuple(everything))
    fits = [fit_laip(search.laip, search.settings, control) for control in controls]
    allowed = search.settings.background_per_million
    if share > HEAVY:
        allowed = max(allowed, 1e6 * share / 500.0)
    scores = [best_score(found) for found in fits]
    cut = choose_cut(scores, controls, allowed, lowest=0.0 if share > HEAVY else LOWEST_CUT)
    counts = []
    for found, control in zip(fits, controls, strict=True):
        clusters = [fit for fit in found if is_cluster(fit, control, cut)]
        counts.append(float((best_score(clusters) >= cut).sum()) / control.sampling if clusters else 0.0)
    fit_gains = tuple(
        max(0.0, *(fit.gain for fit in found)) / max(control.denominator, 1)
        for found, control in zip(fits, controls, strict=True)
    )
    return Calibration(cut, groups, _background(counts, controls), tuple(everything), fit_gains)


def choose_cut(
    scores: list[Floats], controls: list[WindowCells], per_million: float, *, lowest: float = LOWEST_CUT
) -> float:
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


def _background(counts: list[float], controls: list[WindowCells]) -> Background | None:
    total = sum(control.denominator for control in controls)
    if not controls or total == 0:
        return None
    events = float(sum(counts))
    low = 0.0 if events == 0 else chi2_quantile(0.025, 2 * events) / 2
    high = chi2_quantile(0.975, 2 * events + 2) / 2
    worst = max(control.per_million(count * control.sampling) for count, control in zip(counts, controls, strict=True))
    return Background(1e6 * events / total, (1e6 * low / total, 1e6 * high / total), worst, len(controls))


@dataclass(frozen=True)
class Found:
    """What a search gave.

    Attributes
    ----------
    targets
        What is counted.
    doubtful
        Groups that may be regenerating precursors, as they lie where controls keep B-lineage cells.
    unresolved
        Groups that would count were their cells a little less like normal ones, or had no control as odd a group.
    displaced
        Groups that pass for a normal population only if it may lie further from its place than in controls. Marrow
        without leukaemia can hold such populations too, so that they are not counted.
    """

    targets: tuple[Target, ...]
    doubtful: tuple[CompactGroup, ...] = ()
    unresolved: tuple[CompactGroup, ...] = ()
    displaced: tuple[CompactGroup, ...] = ()


def find_targets(
    search: Search, cells: WindowCells, calibration: Calibration, burden: PatientLaip | None = None
) -> Found:
    """The patient's phenotype as it lies in the tube; without one, spots that gain clearly more than any control's.

    Parameters
    ----------
    burden
        Leukaemia found in the tube itself, where it is so much that no search is needed.
    """
    if search.laip is not None:
        fits = fit_laip(search.laip, search.settings, cells)
        clusters = [fit for fit in fits if is_cluster(fit, cells, calibration.cut)]
        return Found(tuple(Target(fit.mixture, "patient", fit.gain) for fit in clusters))
    if burden is not None:
        if not like_normal(burden.mixture, cells):
            return Found((Target(burden.mixture, "burden", float(burden.n_cells)),))
        return Found((), doubtful=(CompactGroup(burden.mixture, burden.share, 0.0, float(burden.n_cells)),))
    found, doubtful, unresolved = _judged(cells, calibration)
    displaced: tuple[CompactGroup, ...] = ()
    if cells.held is not None:
        counted, doubted, _ = _judged(cells.held, calibration)
        known = (*found, *doubtful, *unresolved)
        displaced = tuple(spot for spot in (*counted, *doubted) if not any(_covers(one, spot) for one in known))
    return Found(tuple(_spot_target(spot) for spot in found), doubtful, unresolved, displaced)


def _judged(
    cells: WindowCells, calibration: Calibration
) -> tuple[tuple[CompactGroup, ...], tuple[CompactGroup, ...], tuple[CompactGroup, ...]]:
    """Spots that count, that may be regenerating precursors, and that would count were they less like normal cells."""
    groups = calibration.groups
    odd = [
        spot
        for spot in spots_of(cells)
        if spot.gain >= groups.limit(cells.denominator, spot.mixture, cells.shift, single=False)
        and is_uncommon(spot, cells, calibration.controls)
    ]
    spots = [spot for spot in odd if spot.is_pure and _counts(spot, cells, groups)]
    doubtful = [like_normal(spot.mixture, cells) or like_early_progenitors(spot.mixture, cells) for spot in spots]
    return (
        tuple(spot for spot, doubt in zip(spots, doubtful, strict=True) if not doubt),
        tuple(spot for spot, doubt in zip(spots, doubtful, strict=True) if doubt),
        tuple(spot for spot in odd if not any(spot is one for one in spots) and not like_normal(spot.mixture, cells)),
    )


def _covers(one: CompactGroup, other: CompactGroup) -> bool:
    """Whether a group is another's, with half of its cells at least."""
    return is_same(one.mixture, other.mixture) and one.events >= 0.5 * other.events


def find_strangers(cells: WindowCells, calibration: Calibration, score: Floats) -> tuple[CompactGroup, ...]:
    """Groups unlike normal that the patient's phenotype does not claim: a leukaemia may have changed.

    Parameters
    ----------
    score
        Shape (n,): score of every cell under what was found.
    """
    rest = cells.only(np.flatnonzero(score < 0.0))
    return tuple(
        spot
        for spot in strange_spots(rest, calibration.controls)
        if _counts(spot, cells, calibration.groups, margin=STRANGER_MARGIN)
    )


def _counts(spot: CompactGroup, cells: WindowCells, groups: ControlGroups, margin: float = 1.0) -> bool:
    return spot.gain >= margin * groups.limit(cells.denominator, spot.mixture, cells.shift)


def _spot_target(spot: CompactGroup) -> Target:
    return Target(spot.mixture, "spot", spot.gain)


def score_targets(
    cells: WindowCells, targets: list[Target] | tuple[Target, ...]
) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Best score of every cell over the targets and which one gives it."""
    score = np.full(len(cells.values), NOTHING)
    label = np.full(len(cells.values), -1, dtype=np.int32)
    for number, target in enumerate(targets):
        own = score_cells(target.mixture, cells.values, cells.log_normal)
        better = own > score
        score[better], label[better] = own[better], number
    return score, label

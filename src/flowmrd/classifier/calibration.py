"""The score cut and the background, from the same search in the controls.

The cut for a phenotype is set where the phenotype was found, by the cells that controls hold at that very place. Each
control is scored under a reference that it did not help to build. A phenotype that no cell has placed is as broad as
the drift between two tubes. Controls hold normal cells somewhere within that reach, and a cut that keeps all of them
out would keep leukaemia out too. The background is what the same search, with its cut set in the same way, counts in
the controls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betainc

from flowmrd.classifier.classification import Background
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.group_evidence import unexplained_groups
from flowmrd.classifier.group_judgement import judge_groups, settle_counted
from flowmrd.classifier.match_judgement import judge_matches
from flowmrd.classifier.mixture import Floats, chi2_quantile
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import forms_group, match_laip
from flowmrd.classifier.phenotype_score import PhenotypeFit, score_cells, score_each
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, keep_candidates, score_mixtures
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class Calibration:
    """Result of the search in the controls.

    Attributes
    ----------
    cut
        Natural log score from which a cell of a group of unknown phenotype counts; :func:`cut_beside` gives the cut for
        a known phenotype.
    groups
        Groups of the controls that no normal population or artefact of the catalogue explains.
    background
        False events of the same search; None without controls.
    controls
        The controls themselves, with all cells of their windows.
    nearby
        The controls, with the cells that a phenotype or group could claim.
    alone
        Number of the one control that has far more cells of the phenotype than the others (:func:`stands_alone`); None
        where there is no such control.
    alone_shifts
        Places at which the phenotype matches in that control: shifts (d,) in the staining of the reference, decades.
    """

    cut: float
    groups: ControlGroups
    background: Background | None
    controls: tuple[WindowCells, ...] = ()
    nearby: tuple[WindowCells, ...] = ()
    alone: int | None = None
    alone_shifts: tuple[Floats, ...] = ()


def calibrate(search: SearchedPhenotypes, everything: list[WindowCells], share: float = 0.0) -> Calibration:
    """Run the same search on every control, each with a reference made without it.

    Parameters
    ----------
    everything
        All window cells of every control.
    share
        Share of the tube in question that a leukaemia of unknown phenotype makes up; where it is large, the cut is
        lower.
    """
    parameters = search.parameters
    controls = [keep_candidates(search, control)[0] for control in everything]
    found = [unexplained_groups(control, everything[:i] + everything[i + 1 :]) for i, control in enumerate(controls)]
    groups = ControlGroups.of(found, controls, parameters)
    cut = parameters.heavy_cut if share > parameters.heavy_share else parameters.group_cut
    if search.laip is None:
        false_events = _counted_in_controls(found, controls, everything, groups, cut)
        return Calibration(cut, groups, _background(false_events, controls), tuple(everything), tuple(controls))
    matches = [
        _Matches.of(search.laip, control, controls[:i] + controls[i + 1 :], parameters)
        for i, control in enumerate(controls)
    ]
    alone = stands_alone([one.counted()[1] for one in matches], [one.denominator for one in controls], parameters)
    shifts: tuple[Floats, ...] = ()
    if alone is not None:
        shifts = tuple(fit.shift - controls[alone].shift for fit in matches[alone].counted()[0])
    # Cells like those of the one control are a question in a tube, and so no background in another control.
    false_events = [one.counted(() if i == alone else shifts)[1] for i, one in enumerate(matches)]
    background = _background(false_events, controls, alone)
    return Calibration(cut, groups, background, tuple(everything), tuple(controls), alone, shifts)


def _counted_in_controls(
    found: list[tuple[CompactGroup, ...]],
    controls: list[WindowCells],
    everything: list[WindowCells],
    groups: ControlGroups,
    cut: float,
) -> list[float]:
    """Cells that would be counted in every control, each judged beside the other controls as a tube is beside all.

    Parameters
    ----------
    found
        Groups of every control.
    controls, everything
        Cells of every control that a group could claim, and all cells of its window.
    cut
        Natural log score below which no cell counts.
    """
    false_events = []
    for i, control in enumerate(controls):
        judged = judge_groups(found[i], control, groups.without(i), everything[:i] + everything[i + 1 :])
        counted, _, own_cut = settle_counted(judged, control, cut)
        score, _ = score_mixtures(control, [one.group.mixture for one in counted])
        false_events.append(float((score >= own_cut).sum()) / control.sampling)
    return false_events


@dataclass(frozen=True)
class _Matches:
    """Matches of a phenotype in a control, and the cut that they would have in a tube beside the other controls."""

    fits: Sequence[PhenotypeFit]
    cells: WindowCells
    cut: float

    @classmethod
    def of(
        cls, laip: PatientLaip, control: WindowCells, others: list[WindowCells], parameters: ClassifierParameters
    ) -> _Matches:
        """The search for a phenotype in a control.

        Markers that the tube's therapy makes unreliable are so here too, because they decide which normal places may
        hold leukaemia.
        """
        fits = match_laip(laip, parameters, control)
        cut = cut_beside(fits, control, others, parameters)
        return cls(fits, replace(control, unreliable=parameters.unreliable), cut)

    def counted(self, alone_shifts: Sequence[Floats] = ()) -> tuple[list[PhenotypeFit], float]:
        """Matches that a tube would count, by the same rules (:func:`judge_matches`), and the number of their cells."""
        judged = judge_matches(self.fits, self.cells, self.cut, alone_shifts)
        fits = [one.fit for one in judged if one.why is None]
        score, _ = score_mixtures(self.cells, [fit.mixture for fit in fits])
        return fits, float((score >= self.cut).sum()) / self.cells.sampling


def cut_beside(
    fits: Sequence[PhenotypeFit], cells: WindowCells, controls: Sequence[WindowCells], parameters: ClassifierParameters
) -> float:
    """The cut for a phenotype where it lies in a tube: with it, the controls' cells at that place keep to the
    background.

    Where the phenotype forms a group, as many normal cells are accepted as leukaemic ones lie below the cut. So the
    count is neither too low, as with a cut that keeps all normal cells out, nor too high.

    Parameters
    ----------
    fits
        Matches of the phenotype in the tube.
    cells, controls
        Cells of the tube and of the controls that the phenotype could claim.
    """
    moved = [[fit.mixture.shifted(control.shift - cells.shift) for fit in fits] for control in controls]
    scores = [
        np.sort(score_each(places, control.values, control.log_normal, parameters.blast_tail_degrees).max(axis=1))
        for places, control in zip(moved, controls, strict=True)
    ]
    own = [_drawn_scores(fit, cells) for fit in fits]
    shares = [0.0] * len(fits)

    def accepted(cut: float) -> float:
        """Background accepted at a cut, per million: what is allowed, or the leukaemia that lies below the cut."""
        below = (share * np.searchsorted(drawn, cut) / len(drawn) for share, drawn in zip(shares, own, strict=True))
        return max(parameters.background_per_million, 1e6 * float(sum(below)))

    cut = choose_cut(scores, controls, accepted, parameters, lowest=parameters.cut_least)
    # A strict cut shows only a part of a leukaemia that resembles normal cells. What it shows allows a lower cut, and
    # that one shows more; the cut only ever falls, so this ends.
    while True:
        shares = [_share_above(fit, cells, cut) for fit in fits]
        heavy = sum(shares) > parameters.heavy_share
        lowest = parameters.heavy_cut_least if heavy else parameters.cut_least
        lower = choose_cut(scores, controls, accepted, parameters, lowest=lowest)
        if lower >= cut or not any(forms_group(fit, cells, lower) for fit in fits):
            break
        if _adds_normal_cells(fits, own, cut, lower, parameters):
            break
        cut = lower
    # A cut that leaves out less than a hundredth of the leukaemia finds little more, and may let in cells of the tube
    # that no control has.
    needless = [float(np.quantile(drawn, parameters.cut_leukaemia_lost)) for drawn in own]
    return max(cut, min(*needless, parameters.cut_most) if needless else parameters.cut_least)


def _adds_normal_cells(
    fits: Sequence[PhenotypeFit], own: Sequence[Floats], cut: float, lower: float, parameters: ClassifierParameters
) -> bool:
    """Whether a lower cut adds mostly normal cells that this tube has and the controls do not.

    By its own shape the leukaemia has a known part below the present cut, and :func:`cut_beside` accepts no more
    normal cells than that. A tube with more precursors than any control adds more than ``cut_added_ratio`` times this
    part. Counted as leukaemia, they would allow a still lower cut: 3,000 normal cells were called beside 426 leukaemic
    ones.
    """
    added = expected = 0.0
    for fit, drawn in zip(fits, own, strict=True):
        above = float((fit.score >= cut).sum())
        below = float(np.searchsorted(drawn, cut)) / len(drawn)
        added += float((fit.score >= lower).sum()) - above
        expected += above * below / max(1.0 - below, 1.0 / len(drawn))
    return added > parameters.cut_added_ratio * expected + parameters.detect_events


def _share_above(fit: PhenotypeFit, cells: WindowCells, cut: float) -> float:
    """Share of the tube's cells that a match has above the cut; 0 where they form no group."""
    if not forms_group(fit, cells, cut):
        return 0.0
    return cells.per_million(float((fit.score >= cut).sum())) / 1e6


def _drawn_scores(fit: PhenotypeFit, cells: WindowCells) -> Floats:
    """Scores of cells drawn from a match of the phenotype, in rising order: how much of it a cut leaves out."""
    parameters = cells.parameters
    rng = np.random.default_rng(parameters.seed)
    counts = rng.multinomial(parameters.cut_draws, fit.mixture.weight / fit.mixture.weight.sum())
    drawn = fit.mixture.mean.repeat(counts, axis=0)
    root = np.linalg.cholesky(fit.mixture.covariance).repeat(counts, axis=0)
    drawn = drawn + np.einsum("nij,nj->ni", root, rng.standard_normal(drawn.shape))
    log_normal = cells.model.log_density(drawn, parameters)
    return np.sort(score_cells(fit.mixture, drawn, log_normal, parameters.blast_tail_degrees))


def stands_alone(counts: list[float], denominators: list[int], parameters: ClassifierParameters) -> int | None:
    """The control whose number of cells of the phenotype is very improbable given the other controls.

    Cells that only one marrow has are reported as that control's own. They do not raise the background of every tube.
    The count of the worst control is compared with the predictive distribution of the others (negative binomial:
    Poisson counts whose rate has Jeffreys' prior), corrected for the number of controls. This needs
    ``cut_set_aside_from`` controls; with fewer, nobody can say which one is odd.
    """
    if len(counts) < parameters.cut_set_aside_from:
        return None
    rates = [count / max(n, 1) for count, n in zip(counts, denominators, strict=True)]
    worst = int(np.argmax(rates))
    if counts[worst] < parameters.group_events_least:
        return None
    others, cells = sum(counts) - counts[worst], sum(denominators) - denominators[worst]
    share = cells / (cells + denominators[worst])
    chance = float(betainc(np.ceil(counts[worst]), others + 0.5, 1.0 - share))
    return worst if chance * len(counts) < parameters.background_alone else None


def choose_cut(
    scores: Sequence[Floats],
    controls: Sequence[WindowCells],
    accepted: Callable[[float], float],
    parameters: ClassifierParameters,
    *,
    lowest: float,
) -> float:
    """Smallest cut at which the mean background of the controls is not above what is accepted there.

    Where there are enough controls (``cut_set_aside_from``) the worst one is set aside. It still counts in the
    background that is reported, and so in the limit of blank.

    Parameters
    ----------
    scores
        Per control, the scores of its cells in rising order.
    accepted
        Background per million that is accepted at a cut.
    """
    if not scores:
        return lowest + parameters.cut_without_controls
    for cut in np.arange(lowest, parameters.cut_most + 0.01, parameters.cut_step):
        rates = sorted(
            control.per_million(float(len(score) - np.searchsorted(score, cut)))
            for score, control in zip(scores, controls, strict=True)
        )
        kept = rates[:-1] if len(rates) >= parameters.cut_set_aside_from else rates
        most = accepted(float(cut))
        if np.mean(kept) <= parameters.cut_background_share * most and kept[-1] <= parameters.cut_worst_ratio * most:
            return float(cut)
    return parameters.cut_most


def _background(counts: list[float], controls: Sequence[WindowCells], alone: int | None = None) -> Background | None:
    """Rate of false events in the controls together, with its exact Poisson interval (95 %).

    Parameters
    ----------
    alone
        Number of a control that stands alone. Its cells do not count as background; it is still reported as the worst
        control.
    """
    total = sum(control.denominator for number, control in enumerate(controls) if number != alone)
    if not controls or total == 0:
        return None
    events = float(sum(count for number, count in enumerate(counts) if number != alone))
    low = 0.0 if events == 0 else chi2_quantile(0.025, 2 * events) / 2
    high = chi2_quantile(0.975, 2 * events + 2) / 2
    worst = max(control.per_million(count * control.sampling) for count, control in zip(counts, controls, strict=True))
    used = len(controls) - (alone is not None)
    return Background(1e6 * events / total, (1e6 * low / total, 1e6 * high / total), worst, used)

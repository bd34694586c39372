"""The score cut and the background, from the same search in the controls.

The cut is chosen so that the controls stay at the configured background. Each control is searched with a reference made
without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from flowmrd.classifier.atypical_groups import like_normal
from flowmrd.classifier.classification import Background
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.group_evidence import counts, unexplained_groups, weigh_group
from flowmrd.classifier.mixture import Floats, Mixture, chi2_quantile
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import best_score, forms_group, match_laip
from flowmrd.classifier.phenotype_score import PhenotypeFit
from flowmrd.classifier.search import Search, keep_candidates, score_mixtures
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class Calibration:
    """Result of the search in the controls.

    Attributes
    ----------
    cut
        Natural log score from which a cell counts.
    groups
        Groups of the controls that no accepted population explains.
    background
        Rate of false events at this cut; None without controls.
    controls
        The controls, with all cells of their windows.
    alone
        Number of the only control with cells of the phenotype (:func:`stands_alone`); None where there is no such
        control.
    alone_shifts
        Where the phenotype matches in it: shifts (d,) in the staining of the reference, decades.
    """

    cut: float
    groups: ControlGroups
    background: Background | None
    controls: tuple[WindowCells, ...] = ()
    alone: int | None = None
    alone_shifts: tuple[Floats, ...] = ()


def calibrate(search: Search, everything: list[WindowCells], share: float = 0.0) -> Calibration:
    """Run the same search on every control, each with a reference made without it.

    Parameters
    ----------
    everything
        All window cells of every control.
    share
        Leukaemic share of the tube to be judged. Where it is large, a background of a small part of it is accepted
        (``heavy_background``), so that a relapse is quantified and not only detected.
    """
    parameters = search.parameters
    heavy = share > parameters.heavy_share
    controls = [keep_candidates(search, control)[0] for control in everything]
    found = [unexplained_groups(control, everything[:i] + everything[i + 1 :]) for i, control in enumerate(controls)]
    groups = ControlGroups.of(found, controls, parameters)
    if search.laip is None:
        cut = parameters.heavy_cut if heavy else parameters.group_cut
        false_events = _counted_in_controls(found, controls, groups, cut)
        return Calibration(cut, groups, _background(false_events, controls), tuple(everything))
    cut, matches = _cut_for_phenotype(search.laip, parameters, controls, share if heavy else 0.0)
    false_events = [
        float((best_score(own) >= cut).sum()) / control.sampling if own else 0.0
        for own, control in zip(matches, controls, strict=True)
    ]
    alone = stands_alone(false_events, [control.denominator for control in controls], parameters)
    shifts: tuple[Floats, ...] = ()
    if alone is not None:
        shifts = tuple(fit.shift - controls[alone].shift for fit in matches[alone])
    return Calibration(cut, groups, _background(false_events, controls, alone), tuple(everything), alone, shifts)


def _counted_in_controls(
    found: list[tuple[CompactGroup, ...]], controls: list[WindowCells], groups: ControlGroups, cut: float
) -> list[float]:
    """Cells of every control that would be counted beside the groups of the others."""
    false_events = []
    for i, control in enumerate(controls):
        others = groups.without(i)
        mixtures: list[Mixture] = [
            group.mixture
            for group in found[i]
            if counts(group, weigh_group(group, control, others), control) and not like_normal(group.mixture, control)
        ]
        false_events.append(float((score_mixtures(control, mixtures)[0] >= cut).sum()) / control.sampling)
    return false_events


def _cut_for_phenotype(
    laip: PatientLaip, parameters: ClassifierParameters, controls: list[WindowCells], heavy_share: float
) -> tuple[float, list[list[PhenotypeFit]]]:
    """The cut for a known phenotype, and the matches that form a group in every control at it.

    Parameters
    ----------
    heavy_share
        Leukaemic share of the tube where it is heavy, else 0.
    """
    fits = [match_laip(laip, parameters, control) for control in controls]
    allowed, lowest = parameters.background_per_million, parameters.cut_least
    if heavy_share > 0.0:
        allowed = max(allowed, 1e6 * heavy_share / parameters.heavy_background)
        lowest = parameters.heavy_cut_least
    cut = choose_cut([best_score(own) for own in fits], controls, allowed, parameters, lowest=lowest)
    return cut, [
        [fit for fit in own if forms_group(fit, control, cut)] for own, control in zip(fits, controls, strict=True)
    ]


def stands_alone(counts: list[float], denominators: list[int], parameters: ClassifierParameters) -> int | None:
    """The control whose number of cells of the phenotype is very improbable given the other controls.

    Cells that only one marrow has are named as that control's own; they do not raise the background of every tube. The
    count of the worst control is compared with the predictive distribution of the others (negative binomial: Poisson
    counts whose rate has Jeffreys' prior), corrected for the number of controls. This needs ``cut_set_aside_from``
    controls; with fewer it is unknown which one is odd.
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
    scores: list[Floats],
    controls: list[WindowCells],
    per_million: float,
    parameters: ClassifierParameters,
    *,
    lowest: float,
) -> float:
    """Smallest cut at which the mean background of the controls is not exceeded.

    Where there are enough controls (``cut_set_aside_from``) the worst one is set aside. It still counts in the
    background that is reported, and so in the limit of blank.
    """
    if not scores:
        return lowest + parameters.cut_without_controls
    for cut in np.arange(lowest, parameters.cut_most + 0.01, parameters.cut_step):
        rates = sorted(
            control.per_million(float((score >= cut).sum())) for score, control in zip(scores, controls, strict=True)
        )
        kept = rates[:-1] if len(rates) >= parameters.cut_set_aside_from else rates
        low_mean = np.mean(kept) <= parameters.cut_background_share * per_million
        if low_mean and kept[-1] <= parameters.cut_worst_ratio * per_million:
            return float(cut)
    return parameters.cut_most


def _background(counts: list[float], controls: list[WindowCells], alone: int | None = None) -> Background | None:
    """Rate of false events in the controls together, with its exact Poisson interval (95 %).

    Parameters
    ----------
    alone
        Number of a control that stands alone: it is no background, and still the worst one.
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

"""A patient's phenotype in a tube: where it may lie, and which cells match it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from flowmrd.classifier.mixture import Floats, Mixture, chi2_quantile
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, drift_covariance
from flowmrd.classifier.phenotype_score import NO_SCORE, PhenotypeFit, fit_phenotype
from flowmrd.classifier.window_cells import WindowCells


def starting_shifts(laip: PatientLaip, parameters: ClassifierParameters, cells: WindowCells) -> list[Floats]:
    """Shifts at which the phenotype may lie, shape (d,) each, decades.

    The staining may be that of the diagnosis tube, or it may have moved as the tube's normal cells have. In the second
    case, markers that the therapy may remove may also be lost, alone or together.
    """
    d = len(cells.features)
    moved = cells.shift - laip.staining
    out = [np.zeros(d), moved]
    centre = laip.mixture.weight @ laip.mixture.mean
    unreliable = [j for j, marker in enumerate(cells.features) if marker in parameters.unreliable]
    for number in range(1, len(unreliable) + 1):
        for lost in combinations(unreliable, number):
            start = moved.copy()
            for j in lost:
                # Cells without the marker lie at a low quantile of the tube's normal components.
                lowest = float(np.quantile(cells.model.mixture.mean[:, j], parameters.negative_quantile))
                start[j] = min(lowest - float(centre[j]), 0.0)
            out.append(start)
    return out


def match_laip(laip: PatientLaip, parameters: ClassifierParameters, cells: WindowCells) -> list[PhenotypeFit]:
    """The best fit over all starts, then fits to other cells, since only part of a leukaemia may have lost a marker."""
    drift = drift_covariance(cells.features, parameters, parameters.unreliable, parameters.shifted)
    starts = starting_shifts(laip, parameters, cells)

    def best(among: WindowCells) -> PhenotypeFit:
        return fit_phenotype(
            laip.mixture, drift, among.values, among.log_normal, among.denominator, parameters, starts=starts
        )

    found = [best(cells)]
    while len(found) < len(starts) - 1 and found[-1].log_likelihood_gain >= parameters.match_gain:
        explained = np.max([fit.score for fit in found], axis=0) >= parameters.match_explained
        rest = np.flatnonzero(~explained)
        if len(rest) == 0:
            break
        further = best(cells.only(rest))
        if further.log_likelihood_gain < parameters.match_gain:
            break
        score = np.full(len(cells.values), NO_SCORE)
        score[rest] = further.score
        found.append(replace(further, score=score))
    return found


def forms_group(fit: PhenotypeFit, cells: WindowCells, cut: float) -> bool:
    """Whether the cells above the cut together gain enough over the normal model, at their share of the tube.

    They must also scatter as the phenotype does, not merely overlap it, and lie where the phenotype may be expected in
    another tube of the patient (:func:`is_stretched`).
    """
    return _stands_out(fit, cells, cut) and not is_stretched(fit, cells, cut)


def is_usual_drift(match: Mixture, laip: PatientLaip, shift: Floats, parameters: ClassifierParameters) -> bool:
    """Whether a match lies where 99 of 100 tubes of one patient have the phenotype, by all markers together.

    Parameters
    ----------
    match
        The phenotype as it lies in the tube.
    shift
        Shape (d,): staining of the tube against the reference, decades. The phenotype is expected in this staining or
        in that of the diagnosis tube.
    """
    moved = match.weight @ match.mean - laip.mixture.weight @ laip.mixture.mean
    drift = drift_covariance(laip.features, parameters, parameters.unreliable, parameters.shifted)
    strains = [float(apart @ np.linalg.solve(drift, apart)) for apart in (moved, moved - (shift - laip.staining))]
    return min(strains) <= chi2_quantile(parameters.match_strain_quantile, len(moved))


def is_unusual_shift(fit: PhenotypeFit, parameters: ClassifierParameters) -> bool:
    """Whether a match lies where 1 of 100 tubes of one patient has the phenotype, by all markers together."""
    return fit.strain > chi2_quantile(parameters.match_strain_quantile, len(fit.shift))


def is_stretched(fit: PhenotypeFit, cells: WindowCells, cut: float) -> bool:
    """Whether cells match only after a shift that is rare between tubes of one patient, and are not clearly abnormal.

    A phenotype that may move anywhere will always find some normal population. Cells beyond the usual drift are taken
    for the patient's leukaemia only if each gains as much over normal cells as those of a leukaemia of unknown
    phenotype must.
    """
    parameters = cells.parameters
    if not is_unusual_shift(fit, parameters):
        return False
    gain, events = _gain(fit, cells, cut)
    return gain - 0.5 * fit.strain < parameters.gain_per_event_counted * events


def stretched_match(fit: PhenotypeFit, cells: WindowCells, cut: float) -> bool:
    """Whether cells form a group of the phenotype except that they are stretched; they are reported and not counted."""
    if not (_stands_out(fit, cells, cut) and is_stretched(fit, cells, cut)):
        return False
    gain, events = _gain(fit, cells, cut)
    return events >= cells.parameters.group_events_least and gain - 0.5 * fit.strain >= cells.parameters.match_gain


def _stands_out(fit: PhenotypeFit, cells: WindowCells, cut: float) -> bool:
    parameters = cells.parameters
    if fit.scatter > parameters.match_scatter_most:
        return False
    gain, events = _gain(fit, cells, cut)
    return gain >= parameters.match_gain and gain >= parameters.match_gain_per_event * events


def _gain(fit: PhenotypeFit, cells: WindowCells, cut: float) -> tuple[float, int]:
    """Gain of the cells above the cut over the normal model at their share of the tube, natural log; their number."""
    score = fit.score[fit.score >= cut]
    if len(score) == 0:
        return 0.0, 0
    odds = np.log(len(score) / max(cells.denominator, 1)) + score
    return float(np.logaddexp(0.0, odds).sum()) - len(score), len(score)


def nearer_to(fit: PhenotypeFit, other: Floats, cells: WindowCells) -> bool:
    """Whether a match lies nearer to another match of the same phenotype than to where the phenotype is expected.

    Parameters
    ----------
    other
        Shape (d,): shift of the other match in the staining of the reference, decades.
    """
    drift = drift_covariance(cells.features, cells.parameters, cells.parameters.unreliable, cells.parameters.shifted)
    apart = fit.shift - cells.shift - other
    return float(apart @ np.linalg.solve(drift, apart)) < fit.strain


def places_within_reach(laip: PatientLaip, parameters: ClassifierParameters, cells: WindowCells) -> list[Mixture]:
    """Places where the phenotype may lie, one per start; cells below ``match_reach`` under all are no candidates."""
    drift = drift_covariance(cells.features, parameters, parameters.unreliable, parameters.shifted)
    return [laip.mixture.shifted(start).broadened(drift) for start in starting_shifts(laip, parameters, cells)]

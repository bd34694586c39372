"""A patient's phenotype in a tube: where it may lie, and the cells that answer to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, drift_covariance
from flowmrd.classifier.phenotype_score import NOTHING, Fitted, fit_template
from flowmrd.classifier.window_cells import WindowCells

FIT_GAIN, FIT_PURITY = 12.0, 1.0
"""Least gain, and least gain per event above the cut, at which cells answering to the patient's phenotype form a
cluster; below it they are scattered normal cells at its rim and none of them is counted."""
MOST_SCATTER = 1.5
"""Scatter of a fit (see ``template.Fitted``) above which its cells are another, diffuse group. Real blasts
had 0.75 to 1.07 in 20 tubes, normal precursors of an odd marrow that a phenotype overlapped 1.3 to 2.0."""
CLAIMED = 2.0
"""Cells scoring above this are explained by the best fit and are not looked at again, natural log."""


def starts(laip: PatientLaip, settings: ClassifierParameters, cells: WindowCells) -> list[Floats]:
    """Shifts at which the phenotype may lie, shape (d,) each, decades.

    Staining as at diagnosis; staining moved as the tube's normal cells have moved; and the latter with any of the
    markers lost, alone or together, that the therapy given may take away.
    """
    d = len(cells.features)
    moved = cells.shift - laip.staining
    out = [np.zeros(d), moved]
    centre = laip.mixture.weight @ laip.mixture.mean
    unreliable = [j for j, marker in enumerate(cells.features) if marker in settings.unreliable]
    for number in range(1, len(unreliable) + 1):
        for lost in combinations(unreliable, number):
            start = moved.copy()
            for j in lost:
                # The level of cells without the marker: the lowest tenth of the tube's normal components.
                lowest = float(np.quantile(cells.model.mixture.mean[:, j], 0.1))
                start[j] = min(lowest - float(centre[j]), 0.0)
            out.append(start)
    return out


def fit_laip(laip: PatientLaip, settings: ClassifierParameters, cells: WindowCells) -> list[Fitted]:
    """The best fit over all starts; behind it fits that explain other cells, as a marker may be lost on a part only."""
    drift = drift_covariance(cells.features, settings.unreliable, settings.shifted)
    places = starts(laip, settings, cells)

    def best(among: WindowCells) -> Fitted:
        return fit_template(laip.mixture, drift, among.values, among.log_normal, among.denominator, starts=places)

    found = [best(cells)]
    while len(found) < len(places) - 1 and found[-1].gain >= FIT_GAIN:
        claimed = np.max([fit.score for fit in found], axis=0) >= CLAIMED
        rest = np.flatnonzero(~claimed)
        if len(rest) == 0:
            break
        further = best(cells.only(rest))
        if further.gain < FIT_GAIN:
            break
        score = np.full(len(cells.values), NOTHING)
        score[rest] = further.score
        found.append(replace(further, score=score))
    return found


def best_score(fits: list[Fitted]) -> Floats:
    """Best score of every cell over the fits, shape (n,)."""
    out: Floats = np.max([fit.score for fit in fits], axis=0)
    return out


def is_cluster(fit: Fitted, cells: WindowCells, cut: float) -> bool:
    """Whether the cells above the cut stand out together: what each gains over normal, at the share they make up.

    They must also lie as the phenotype does, not merely overlap it.
    """
    if fit.scatter > MOST_SCATTER:
        return False
    score = fit.score[fit.score >= cut]
    if len(score) == 0:
        return False
    odds = np.log(len(score) / max(cells.denominator, 1)) + score
    gain = float(np.logaddexp(0.0, odds).sum()) - len(score)
    return gain >= FIT_GAIN and gain >= FIT_PURITY * len(score)


def within_reach(laip: PatientLaip, settings: ClassifierParameters, cells: WindowCells) -> list[Mixture]:
    """Where the phenotype may lie, from any start; what scores below ``REACH`` under all of them is no candidate."""
    drift = drift_covariance(cells.features, settings.unreliable, settings.shifted)
    return [laip.mixture.shifted(place).broadened(drift) for place in starts(laip, settings, cells)]

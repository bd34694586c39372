"""Groups of cells far more frequent than any control has in that place.

A leukaemia may look like something normal (a plasmablast, a precursor) and still be known by its number: a tenth of the
marrow where every control holds a thousandth.
"""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.candidate_cells import Bools
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.mixture import Floats, Mixture, component_log_density, fit_mixture, mahalanobis_squared
from flowmrd.classifier.normal_reference import NormalReference
from flowmrd.classifier.window_cells import control_cells

GROUPS = 6
FIT_CELLS = 8_000
LEAST_SHARE = 0.02
"""A group below this share of the nucleated cells is not judged by its number."""
TIMES = 10.0
"""A group counts from this many times the largest share that a control has in its place."""
PLACE_SD = 0.15
"""How far a place in one tube may lie from the same place in another after their common shift, decades."""
MATURE = "mature_b"
NEAR_MATURE = 2.5
"""Groups this near (Mahalanobis) to the mature B cells are those: their number varies a hundredfold between marrows."""


def excessive(x: Floats, unit: float, shift: Floats, reference: NormalReference, features: tuple[str, ...]) -> Bools:
    """Cells of groups that no control has in such number.

    Parameters
    ----------
    x
        Shape (n, d): cells of the tube's B-lineage window, decades.
    unit
        Share of the tube's nucleated cells that one row stands for.
    shift
        Shape (d,): staining of the tube against the reference.

    Returns
    -------
    numpy.ndarray
        Shape (n,), boolean.
    """
    out = np.zeros(len(x), dtype=bool)
    if len(x) < 20 * x.shape[1] or not reference.controls:
        return out
    step = max(1, len(x) // FIT_CELLS)
    groups = fit_mixture(x[::step], GROUPS, np.random.default_rng(GROUPS), floor=0.05, steps=25)
    label = component_log_density(groups, x).argmax(axis=1)
    index = [reference.features.index(name) for name in features]
    broad = groups.broadened(PLACE_SD**2 * np.eye(len(features)))
    controls = [control_cells(reference, record, features) for record in reference.controls]
    largest = [
        float(shares_in_place(broad.only(np.arange(groups.k) == j), shift, controls).max()) for j in range(groups.k)
    ]
    mature = _near_mature(groups, shift, reference, index)
    for j in range(groups.k):
        share = float((label == j).sum()) * unit
        if share >= LEAST_SHARE and share >= TIMES * largest[j] and not mature[j]:
            out |= label == j
    return out


def _near_mature(groups: Mixture, shift: Floats, reference: NormalReference, index: list[int]) -> Bools:
    if MATURE not in reference.stage_names:
        return np.zeros(groups.k, dtype=bool)
    centre = reference.stage_centres[reference.stage_names.index(MATURE)][index] + shift
    broad = groups.broadened(PLACE_SD**2 * np.eye(len(index)))
    near: Bools = np.sqrt(mahalanobis_squared(broad, centre[None])[0]) < NEAR_MATURE
    return near

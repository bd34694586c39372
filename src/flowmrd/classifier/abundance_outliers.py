"""Groups of cells that are far more frequent than cells of this phenotype in any control.

A leukaemia may have a normal phenotype, such as that of a plasmablast or a precursor. It can still be recognised by its
number: it is a tenth of the marrow where these cells are a thousandth of every control.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Bools
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.mixture import Floats, Mixture, component_log_density, fit_mixture, mahalanobis_squared
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.window_cells import control_cells

MATURE = "mature_b"
"""Name of the mature B cells in the panels' gate trees."""


def abundance_outliers(
    x: Floats,
    unit: float,
    shift: Floats,
    reference: ReferenceModel,
    features: tuple[str, ...],
    parameters: ClassifierParameters,
    aberrant: Bools | None = None,
) -> Bools:
    """Cells of groups that are more frequent than in any control.

    Parameters
    ----------
    x
        Shape (n, d): cells of the tube's B-lineage window, decades.
    unit
        Share of the tube's nucleated cells that one row stands for.
    shift
        Shape (d,): staining of the tube against the reference.
    aberrant
        Shape (n,): cells whose marker values are unlike normal. A group that lies nearer to mature B cells than to
        groups of such cells is taken for the tube's own B cells, however badly the tube's staining is known. Where
        there is no such group, the frequent group that is furthest from mature B cells stands for them.

    Returns
    -------
    numpy.ndarray
        Shape (n,), boolean.
    """
    out = np.zeros(len(x), dtype=bool)
    if len(x) < parameters.abundance_cells_least * x.shape[1] or not reference.controls:
        return out
    step = max(1, len(x) // parameters.abundance_cells)
    groups = fit_mixture(
        x[::step],
        parameters.abundance_groups,
        np.random.default_rng(parameters.abundance_groups),
        parameters,
        steps=parameters.abundance_steps,
    )
    label = component_log_density(groups, x).argmax(axis=1)
    index = [reference.features.index(name) for name in features]
    broad = groups.broadened(parameters.abundance_place_sd**2 * np.eye(len(features)))
    controls = [control_cells(reference, record, features, parameters) for record in reference.controls]
    largest = [
        float(shares_in_place(broad.only(np.arange(groups.k) == j), shift, controls, parameters).max())
        for j in range(groups.k)
    ]
    mature = _mature_distance(groups, shift, reference, index, parameters)
    shares = np.bincount(label, minlength=groups.k) * unit
    enough = (shares >= parameters.abundance_share_least) & (shares >= parameters.abundance_ratio * np.array(largest))
    others = np.zeros(groups.k)
    if aberrant is not None and enough.any():
        # Where no values are odd, the leukaemia is known by its number: it is the group least like mature cells.
        furthest = enough & (mature == mature[enough].max())
        others = _distance_to(groups, _of_aberrant_cells(label, aberrant, groups.k, parameters), furthest, parameters)
    for j in np.flatnonzero(enough):
        if mature[j] >= max(parameters.abundance_mature_distance, others[j]):
            out |= label == j
    return out


def _mature_distance(
    groups: Mixture,
    shift: Floats,
    reference: ReferenceModel,
    index: list[int],
    parameters: ClassifierParameters,
) -> Floats:
    """Mahalanobis distance of every group from mature B cells, shape (k,)."""
    if MATURE not in reference.stage_names:
        return np.full(groups.k, np.inf)
    centre = reference.stage_centres[reference.stage_names.index(MATURE)][index] + shift
    broad = groups.broadened(parameters.abundance_place_sd**2 * np.eye(len(index)))
    out: Floats = np.sqrt(mahalanobis_squared(broad, centre[None])[0])
    return out


def _of_aberrant_cells(
    label: npt.NDArray[np.intp], aberrant: Bools, groups: int, parameters: ClassifierParameters
) -> Bools:
    """Groups of which enough cells are aberrant, shape (k,)."""
    sizes = np.bincount(label, minlength=groups)
    aberrant_cells = np.bincount(label, weights=aberrant, minlength=groups)
    odd: Bools = (sizes > 0) & (aberrant_cells >= parameters.aberrant_at_start * sizes)
    return odd


def _distance_to(groups: Mixture, odd: Bools, otherwise: Bools, parameters: ClassifierParameters) -> Floats:
    """Mahalanobis distance of every group from the nearest odd one, or from the others given where none is, (k,)."""
    broad = groups.broadened(parameters.abundance_place_sd**2 * np.eye(groups.d))
    chosen = odd if odd.any() else otherwise
    out: Floats = np.sqrt(mahalanobis_squared(broad, groups.mean[chosen])).min(axis=0)
    return out

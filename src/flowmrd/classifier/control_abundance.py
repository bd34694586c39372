"""How many cells of a group's phenotype the controls have."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.mixture import Floats, Mixture, chi2_quantile, mahalanobis_squared
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.window_cells import WindowCells


def shares_in_place(
    group: Mixture, shift: Floats, controls: Iterable[WindowCells], parameters: ClassifierParameters
) -> Floats:
    """Share of every control's nucleated cells that lie within a group's components.

    Parameters
    ----------
    group
        Its components, decades, in the staining of its tube.
    shift
        Shape (d,): staining of that tube against the reference; controls are moved to it.

    Returns
    -------
    numpy.ndarray
        Shape (n_controls,). Compare it with ``place_share`` times the group's own share.
    """
    limit = chi2_quantile(parameters.place_share, group.d)
    half = np.sqrt(limit * np.diagonal(group.covariance, axis1=1, axis2=2))
    shares = []
    for control in controls:
        moved = control.shift - shift
        low = (group.mean - half + moved).min(axis=0).astype(np.float32)
        high = (group.mean + half + moved).max(axis=0).astype(np.float32)
        boxed = _within(control.values, low, high)
        inside = int((mahalanobis_squared(group, boxed - moved) < limit).any(axis=1).sum()) if len(boxed) else 0
        shares.append(inside / control.sampling / max(control.denominator, 1))
    return np.array(shares)


def _within(values: Floats32, low: Floats32, high: Floats32) -> Floats32:
    """Cells within a box, shape (m, d). One channel after the other: most cells lie outside it in the first ones."""
    rows = np.flatnonzero((values[:, 0] >= low[0]) & (values[:, 0] <= high[0]))
    for column in range(1, values.shape[1]):
        one = values[rows, column]
        rows = rows[(one >= low[column]) & (one <= high[column])]
    return values[rows]

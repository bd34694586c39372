"""How many cells of a group's phenotype the controls have."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from flowmrd.classifier.mixture import Floats, Mixture, chi2_quantile, mahalanobis_squared
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.window_cells import WindowCells


def shares_in_place(
    group: Mixture, shift: Floats, controls: Iterable[WindowCells], parameters: ClassifierParameters
) -> Floats:
    """Share of every control's nucleated cells that lie within a single Gaussian.

    Parameters
    ----------
    group
        One component, decades, in the staining of its tube.
    shift
        Shape (d,): staining of that tube against the reference; controls are moved to it.

    Returns
    -------
    numpy.ndarray
        Shape (n_controls,). Compare it with ``place_share`` times the group's own share.
    """
    limit = chi2_quantile(parameters.place_share, group.d)
    half = np.sqrt(limit * np.diagonal(group.covariance[0]))
    shares = []
    for control in controls:
        moved = control.shift - shift
        low, high = (group.mean[0] - half + moved).astype(np.float32), (group.mean[0] + half + moved).astype(np.float32)
        boxed = control.values[((control.values >= low) & (control.values <= high)).all(axis=1)]
        inside = int((mahalanobis_squared(group, boxed - moved)[:, 0] < limit).sum()) if len(boxed) else 0
        shares.append(inside / control.sampling / max(control.denominator, 1))
    return np.array(shares)

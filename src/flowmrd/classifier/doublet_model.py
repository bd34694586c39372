"""Doublets that pass the singlet gate: two cells measured as one have a phenotype that no single cell has.

A B-cell precursor that is measured together with a T cell or an erythroblast has the precursor's markers and the other
cell's CD45 and CD58. This is an aberrant phenotype. Such doublets are few, but of the order of 1 in 10,000 where
precursors are many. Their phenotype can be computed: it is the sum of the linear signals of two cells of this tube.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, Floats32, thin
from flowmrd.classifier.mixture import Mixture, fit_mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.units import LOGICLE_M


def simulated_doublets(
    values: Floats32, window: Bools, scales: Sequence[ChannelScale], parameters: ClassifierParameters
) -> Floats32:
    """Simulated doublets: cells of the B-lineage window, each with the fluorescence of another cell of the tube added.

    Parameters
    ----------
    values
        Shape (n, d), decades.
    window
        Shape (n,).
    scales
        Scale of every column.

    Returns
    -------
    numpy.ndarray
        Shape (m, d), decades; m is at most ``sample_cells``, and 0 where there are fewer than ``place_cells_least``.
    """
    first = thin(window, parameters.sample_cells)
    if len(first) < parameters.place_cells_least:
        return np.empty((0, values.shape[1]), dtype=np.float32)
    second = np.random.default_rng([parameters.doublet_seed, len(values)]).integers(len(values), size=len(first))
    out = np.empty((len(first), values.shape[1]), dtype=np.float32)
    for j, scale in enumerate(scales):
        pair = [scale.inverse(values[rows, j].astype(np.float64) / LOGICLE_M) for rows in (first, second)]
        total = np.minimum(pair[0] + pair[1], scale.T).astype(np.float32)
        out[:, j] = scale.apply(total) * np.float32(LOGICLE_M)
    return out[np.isfinite(out).all(axis=1)]


def doublet_mixture(doublets: Floats32, parameters: ClassifierParameters) -> Mixture | None:
    """Density of simulated doublets; None where there are too few for an estimate."""
    if len(doublets) < parameters.place_cells_least:
        return None
    return fit_mixture(
        doublets,
        parameters.doublet_components,
        np.random.default_rng(parameters.doublet_seed),
        parameters,
        sd_least=parameters.doublet_sd_least,
        steps=parameters.tube_mixture_steps,
    )

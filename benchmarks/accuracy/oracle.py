"""What can be known at best: the likelihood ratio of the true mixtures."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy.mixtures import Patient, draw
from flowmrd.classifier.mixture import log_density

NORMAL, BLASTS = 200_000, 1_000
FALSE_RATE = 1e-5


def oracle_recall(marrow: Patient, blasts: Patient, rng: np.random.Generator) -> float:
    """Share of blasts above the cut that leaves ten false events per million in this very marrow."""
    normal, leukaemia = marrow.normal_mixture(), blasts.groups["blast"]

    def ratio(cells: np.ndarray) -> np.ndarray:
        return log_density(leukaemia, cells) - log_density(normal, cells)

    background = np.sort(ratio(draw(normal, NORMAL, rng)))[::-1]
    cut = background[round(FALSE_RATE * NORMAL)]
    return float((ratio(draw(leukaemia, BLASTS, rng)) > cut).mean())

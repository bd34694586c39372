"""What can be known at best: the likelihood ratio of the true mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.mixtures import Patient, draw
from flowmrd.classifier.mixture import Mixture, log_density

NORMAL, BLASTS = 200_000, 1_000
FALSE_RATE = 1e-5


@dataclass(frozen=True, order=True)
class Oracle:
    """How well a leukaemia can be told from a marrow whose true mixtures are known; the smaller, the harder.

    Attributes
    ----------
    recall
        Share of blasts above the cut that leaves ten false events per million.
    margin
        How far above that cut nine of ten blasts lie, natural log; it tells leukaemias of full recall apart.
    """

    recall: float
    margin: float


def oracles(normal: Mixture, leukaemias: Sequence[Mixture], rng: np.random.Generator) -> list[Oracle]:
    """The likelihood ratio of mixtures of the same features (decades) as a classifier, for each leukaemia."""
    background = draw(normal, NORMAL, rng)
    log_background = log_density(normal, background)
    out = []
    for leukaemia in leukaemias:
        ratio = np.sort(log_density(leukaemia, background) - log_background)[::-1]
        blasts = draw(leukaemia, BLASTS, deepcopy(rng))
        above = log_density(leukaemia, blasts) - log_density(normal, blasts) - ratio[round(FALSE_RATE * NORMAL)]
        out.append(Oracle(float((above > 0.0).mean()), float(np.quantile(above, 0.1))))
    return out


def oracle_recall(marrow: Patient, blasts: Patient, rng: np.random.Generator) -> float:
    """Share of blasts above the cut that leaves ten false events per million in this very marrow."""
    return oracles(marrow.normal_mixture(), [blasts.groups["blast"]], rng)[0].recall


def oracle_recalls(marrow: Patient, leukaemias: Sequence[Patient], rng: np.random.Generator) -> list[float]:
    """The recall of several leukaemias in one marrow, whose cells are drawn once."""
    normal = marrow.normal_mixture()
    cells = draw(normal, NORMAL, rng)
    own = log_density(normal, cells)
    found = []
    for one in leukaemias:
        leukaemia = one.groups["blast"]
        cut = np.sort(log_density(leukaemia, cells) - own)[::-1][round(FALSE_RATE * NORMAL)]
        blasts = draw(leukaemia, BLASTS, rng)
        found.append(float((log_density(leukaemia, blasts) - log_density(normal, blasts) > cut).mean()))
    return found

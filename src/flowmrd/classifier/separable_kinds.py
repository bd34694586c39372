"""How many kinds of leukaemia a set of markers can tell from the normal B lineage of a reference.

Phenotypes are drawn evenly from the prior of blasts (:mod:`flowmrd.classifier.leukaemia_kinds`). Each is compared with
the reference's normal cells by the ratio of their densities. No classifier that knows both densities can do better
(Neyman and Pearson 1933). The numbers serve to compare panels; they promise nothing about a tube.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from flowmrd.classifier.leukaemia_kinds import LeukaemiaKind, kinds_of_prior
from flowmrd.classifier.mixture import Floats, Mixture, log_density
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.parameters import ClassifierParameters

__all__ = ["KINDS", "SeparableKinds", "separable_kinds"]

KINDS: Final = 40
"""Phenotypes that are tried."""
NORMAL_CELLS: Final = 20_000
CELLS: Final = 300
FALSE_RATE: Final = 1e-4
"""Share of the normal B-lineage cells that may be mistaken for leukaemia."""
FOUND_SHARE: Final = 0.9
"""A kind is separable if at least this share of its cells is found at that rate."""


@dataclass(frozen=True)
class SeparableKinds:
    """Numbers of kinds that are separable with all markers, and without each.

    Attributes
    ----------
    tried
        Number of kinds that were tried.
    with_all
        Number of kinds that are separable with all markers of the reference.
    without
        Name of a marker to the number of kinds that are separable without it.
    """

    tried: int
    with_all: int
    without: dict[str, int]


def separable_kinds(model: NormalModel) -> SeparableKinds:
    """Count the kinds of leukaemia that the markers of a reference can tell from its normal B lineage.

    Parameters
    ----------
    model
        Normal marrow of the laboratory's controls; its antibodies are left out in turn.
    """
    features = model.features
    parameters = ClassifierParameters()
    kinds = kinds_of_prior(features, model.normal_b, parameters, KINDS)
    rng = np.random.default_rng(parameters.spike_kinds_seed)
    window = _window(model)
    normal = _draw(window, NORMAL_CELLS, rng)
    cells = [_draw(kind.mixture, CELLS, rng) for kind in kinds]

    def told(kept: list[int]) -> int:
        reference, seen = window.marginal(kept), normal[:, kept]
        background = log_density(reference, seen)
        return sum(
            _found(kind, own[:, kept], kept, reference, seen, background)
            for kind, own in zip(kinds, cells, strict=True)
        )

    everything = list(range(len(features)))
    chosen = [name for name in features if not name.startswith(("FSC", "SSC"))]
    without = {name: told([i for i in everything if features[i] != name]) for name in chosen}
    return SeparableKinds(len(kinds), told(everything), without)


def _found(
    kind: LeukaemiaKind, own: Floats, kept: list[int], reference: Mixture, seen: Floats, background: Floats
) -> bool:
    leukaemia = kind.mixture.marginal(kept)
    cut = float(np.quantile(log_density(leukaemia, seen) - background, 1 - FALSE_RATE))
    ratio = log_density(leukaemia, own) - log_density(reference, own)
    return float(np.mean(ratio > cut)) >= FOUND_SHARE


def _window(model: NormalModel) -> Mixture:
    """Components of the B-lineage window, weighted by their cells in it and widened by their spread between tubes."""
    weight = model.mixture.weight * model.window_share
    kept = model.in_window & (weight > 0)
    if not kept.any():
        kept = weight > 0
    between = np.stack([np.diag(row) for row in model.between_tube_sd**2])
    wide = replace(model.mixture, weight=weight / weight.sum(), covariance=model.mixture.covariance + between)
    return wide.only(kept)


def _draw(mixture: Mixture, n: int, rng: np.random.Generator) -> Floats:
    which = rng.choice(mixture.k, size=n, p=mixture.weight)
    root = np.linalg.cholesky(mixture.covariance)
    noise = np.einsum("nij,nj->ni", root[which], rng.standard_normal((n, mixture.d)))
    drawn: Floats = mixture.mean[which] + noise
    return drawn

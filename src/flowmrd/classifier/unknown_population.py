"""A large population that marrow without leukaemia does not hold: another disease, or leukaemia of another lineage.

The cells of a tube are divided into populations without looking at the reference. The share of each is compared with
the share that the controls hold in the same place, in every staining that the tube may have. A population is reported
if it is many times as frequent as in any control and makes up a good part of the tube. It may be acute myeloid
leukaemia, myeloma, or B-ALL that lost its lineage under therapy. Populations that therapy makes frequent (T cells,
erythroblasts) are frequent in controls too and are not reported.

Some populations are known although no control holds as many of them, if controls hold any in their place. T and NK
cells are nearly all that an aplastic marrow holds, so their share in controls bounds nothing: a population is theirs if
it is as bright in CD45 and in no signal brighter. Granulocytes and erythroblasts differ between persons and lysis
reagents: a population is theirs if it lies in their place of the catalogue, where no leukaemia lies. Monocytes and
plasma cells are judged by their share, since leukaemia that switched its lineage and myeloma lie there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, CandidateCells, thin
from flowmrd.classifier.catalogue import match_catalogue
from flowmrd.classifier.mixture import Floats, Mixture, chi2_quantile, draw, fit_mixture, mahalanobis_squared
from flowmrd.classifier.normal_reference import ControlRecord
from flowmrd.classifier.parameters import ClassifierParameters

KNOWN_IF_LARGE: Final = frozenset({"normal:cd10_granulocytes", "normal:erythroblasts"})
"""Populations of the catalogue that some persons have many times as many of as others."""

__all__ = ["UnknownPopulation", "find_unknown_populations", "in_words", "possible_stainings"]


@dataclass(frozen=True)
class UnknownPopulation:
    """A population that the controls hardly hold.

    Attributes
    ----------
    share
        Share of the tube's cells that lie in the place of the population; ``most`` is the largest such share in a
        control.
    mean
        Shape (d,): centre of the population, decades.
    """

    share: float
    most: float
    mean: Floats


def find_unknown_populations(
    tube: CandidateCells,
    controls: list[ControlRecord],
    columns: list[int],
    shift: Floats,
    called: Bools,
    anchors: Sequence[Mapping[str, Floats]],
    parameters: ClassifierParameters,
) -> tuple[UnknownPopulation, ...]:
    """Populations of a tube that no control holds in such numbers, by decreasing share.

    Parameters
    ----------
    controls, columns
        Controls other than the tube itself, and the columns of the tube's markers in them.
    shift
        Shape (d,): staining of the tube against the reference, decades.
    called
        Shape (n,): cells that are called leukaemic; they are left out.
    anchors
        Levels (d,) of T and NK cells (``t_nk``), granulocytes and the other anchors of the catalogue in the controls,
        once for each staining that the tube may have (:func:`possible_stainings`).
    """
    rows = thin(~called, parameters.compared_cells)
    if not controls or len(rows) < parameters.unknown_cells_least:
        return ()
    x = tube.values[rows].astype(np.float64)
    rng = np.random.default_rng([parameters.seed, 31])
    drawn = [
        draw(record.model.mixture.marginal(columns), parameters.compared_cells, rng) - record.model.shift[columns]
        for record in controls
    ]
    found = []
    mixture = fit_mixture(x, parameters.unknown_components, rng, parameters)
    mixture = mixture.broadened(parameters.expected_staining_sd**2 * np.eye(mixture.d))
    near = chi2_quantile(parameters.unknown_place, mixture.d)
    share = (mahalanobis_squared(mixture, x) <= near).mean(axis=0)
    held_by = [
        (mahalanobis_squared(mixture.shifted(-staining), cells) <= near).mean(axis=0)
        for staining in possible_stainings(shift, tube.features)
        for cells in drawn
    ]
    most = np.max(held_by, axis=0)
    for k in np.argsort(-share):
        large = share[k] >= parameters.unknown_share_least
        if not large or share[k] < parameters.unknown_ratio * max(float(most[k]), 1.0 / parameters.compared_cells):
            continue
        if mixture.weight[k] < parameters.unknown_own_share * share[k]:
            continue  # a few cells at the edge of another population, whose wide place holds that population
        held = parameters.unknown_ratio * most[k] >= parameters.unknown_share_least
        place = mixture.mean[k]
        if held and any(_is_normal(place, float(share[k]), tube.features, levels, parameters) for levels in anchors):
            continue
        found.append(UnknownPopulation(float(share[k]), float(most[k]), mixture.mean[k]))
    return tuple(found)


def possible_stainings(shift: Floats, features: tuple[str, ...]) -> tuple[Floats, ...]:
    """Stainings (d,) that a tube may have against the reference, decades: as estimated, none, of scatter or dyes alone.

    A population that is most of a tube moves the estimate: the T cells of a marrow that holds little else are taken for
    all its cells, which are larger on average.
    """
    scatter = np.array([name.startswith(("FSC", "SSC")) for name in features])
    return shift, np.zeros_like(shift), np.where(scatter, shift, 0.0), np.where(scatter, 0.0, shift)


def _is_normal(
    mean: Floats,
    share: float,
    features: tuple[str, ...],
    anchors: Mapping[str, Floats],
    parameters: ClassifierParameters,
) -> bool:
    """Whether a centre (d,) is that of a normal population which may be this large in some persons."""
    if "t_nk" in anchors and _is_lymphoid(mean, anchors["t_nk"], features, parameters):
        return True
    match = match_catalogue(mean, features, anchors, parameters, share=share, unreliable=parameters.unreliable)
    return match is not None and match.accepted and match.firm and match.call in KNOWN_IF_LARGE


def _is_lymphoid(
    mean: Floats, lymphocytes: Floats, features: tuple[str, ...], parameters: ClassifierParameters
) -> bool:
    """Whether a centre (d,) is as bright in CD45 as T and NK cells, and in no signal brighter."""
    if "CD45" not in features:
        return False
    above = mean - lymphocytes
    margin = parameters.unknown_lymphocyte_margin
    return bool(above.max() <= margin and above[features.index("CD45")] >= -margin)


def in_words(
    population: UnknownPopulation,
    features: tuple[str, ...],
    normal: Mixture,
    shift: Floats,
    parameters: ClassifierParameters,
) -> str:
    """Levels of a population's antibodies compared with normal populations, such as ``CD45 dim, CD38+, CD34-``."""
    words = []
    for j, marker in enumerate(features):
        if marker.startswith(("FSC", "SSC")):
            continue
        level = normal.mean[:, j] + shift[j]
        low, high = float(np.quantile(level, parameters.negative_quantile)), float(level.max())
        place = (population.mean[j] - low) / max(high - low, parameters.unknown_span_least)
        dim, bright = place >= parameters.unknown_dim_from, place >= parameters.unknown_bright_from
        words.append(f"{marker}+" if bright else f"{marker} dim" if dim else f"{marker}-")
    return ", ".join(words)

"""Phenotypes in words: marker shifts against the nearest normal stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters


@dataclass(frozen=True)
class MarkerLevel:
    """One marker against the nearest normal stage."""

    marker: str
    shift_decades: float
    direction: Literal["over", "under", "same"]


def nearest_stage(mean: Floats, features: tuple[str, ...], reference: ReferenceModel) -> tuple[str, Floats]:
    """Name and centre of the normal stage nearest to a centre, in units of the spread of normal populations."""
    index = [reference.features.index(name) for name in features]
    centres = reference.stage_centres[:, index]
    model = reference.model.mixture
    scale = np.sqrt(np.einsum("k,kii->i", model.weight, model.covariance))[index]
    best = int((((mean - centres) / scale) ** 2).sum(axis=1).argmin())
    return reference.stage_names[best], centres[best]


def marker_levels(
    mean: Floats, centre: Floats, features: tuple[str, ...], parameters: ClassifierParameters | None = None
) -> list[MarkerLevel]:
    """Levels of the markers against the normal stage, as a haematologist writes a LAIP; scatter is left out."""
    least = (parameters or ClassifierParameters()).marker_shift_least
    out = []
    for marker, value in zip(features, mean - centre, strict=True):
        if marker.startswith(("FSC", "SSC")):
            continue
        direction: Literal["over", "under", "same"] = "same"
        if abs(value) >= least:
            direction = "over" if value > 0 else "under"
        out.append(MarkerLevel(marker, float(value), direction))
    return out


def beside_diagnosis(here: Floats, diagnosis: Floats, features: tuple[str, ...]) -> str:
    """Levels of a group and of the leukaemia at diagnosis, by falling difference; scatter is left out.

    Parameters
    ----------
    here, diagnosis
        Shape (d,): both centres in the staining of the reference, decades.

    Examples
    --------
    >>> beside_diagnosis(np.array([1.0, 3.2]), np.array([1.1, 0.7]), ("CD19", "CD10"))
    'decades here and at diagnosis: CD10 3.2 and 0.7, CD19 1.0 and 1.1'
    """
    levels = [
        (name, float(now), float(then))
        for name, now, then in zip(features, here, diagnosis, strict=True)
        if not name.startswith(("FSC", "SSC"))
    ]
    levels.sort(key=lambda level: -abs(level[1] - level[2]))
    return "decades here and at diagnosis: " + ", ".join(
        f"{name} {now:.1f} and {then:.1f}" for name, now, then in levels
    )


def positive_markers(
    mean: Floats, features: tuple[str, ...], model: NormalModel, parameters: ClassifierParameters
) -> frozenset[str]:
    """Markers of a population that lie nearer to the bright end of the normal populations than to their dim end.

    Parameters
    ----------
    mean
        Shape (d,): centre of the population in the staining of the reference, decades.
    """
    index = [model.features.index(name) for name in features]
    ends = [parameters.negative_quantile, parameters.positive_quantile]
    low, high = np.quantile(model.mixture.mean[:, index], ends, axis=0)
    bright = mean > np.maximum((low + high) / 2.0, low + parameters.positive_least)
    return frozenset(name for name, flag in zip(features, bright, strict=True) if flag)


KIND_MARKERS = ("CD19", "CD10", "CD34", "CD20", "CD38", "CD58", "CD22")
"""Markers that distinguish kinds of B-ALL, in the order in which they are written."""


def phenotype_in_words(mean: Floats, features: tuple[str, ...], reference: ReferenceModel) -> str:
    """The markers of :data:`KIND_MARKERS` with + or -, such as ``CD19+ CD10+ CD34-``; ``mean`` as in
    :func:`positive_markers`.
    """
    positive = positive_markers(mean, features, reference.model, ClassifierParameters())
    return " ".join(f"{name}{'+' if name in positive else '-'}" for name in KIND_MARKERS if name in features)

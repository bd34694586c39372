"""Phenotypes in words: marker shifts against the nearest normal stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from flowmrd.classifier.mixture import Floats
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
    """The LAIP as a haematologist writes it down; scatter is left out."""
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

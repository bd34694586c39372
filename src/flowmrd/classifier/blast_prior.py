"""Prior distribution of B-ALL blasts relative to the normal B cells of the same laboratory.

Shifts (blast mean minus mean of the normal CD19+ cells of the same tube, mostly mature B cells), their spread over
patients and the spread of cells within a patient are those of 332 childhood B-ALL follow-up marrows of two laboratories
(per-sample Gaussian mixtures of expert-gated cells; CD58: 182 of them). CD22, CD24 and CD66b were not in that tube.
Their values follow textbooks, with a wide spread: blasts keep CD22 and CD24 at about the level of normal B-cell
precursors and lack CD66b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.parameters import ClassifierParameters

# marker: mean shift, sd over patients, sd of cells within a patient's component; all in decades.
_SHIFTS: dict[str, tuple[float, float, float]] = {
    "FSC-A": (0.29, 0.30, 0.38),
    "SSC-A": (0.19, 0.18, 0.18),
    "SYTO41": (0.16, 0.18, 0.19),
    "CD19": (0.19, 0.40, 0.25),
    "CD10": (1.90, 0.75, 0.31),
    "CD20": (-1.05, 0.70, 0.46),
    "CD45": (-0.87, 0.60, 0.40),
    "CD34": (0.72, 0.65, 0.45),
    "CD38": (0.48, 0.50, 0.38),
    "CD58": (0.90, 0.40, 0.33),
    "CD22": (-0.50, 0.60, 0.35),
    "CD24": (0.30, 0.60, 0.35),
    "CD66b": (0.0, 0.25, 0.25),
}
_UNKNOWN = (0.0, 0.70, 0.40)
_ENDS: dict[str, tuple[float, float]] = {
    "CD19": (-0.58, 0.89),
    "CD10": (-0.01, 3.18),
    "CD20": (-2.29, 0.61),
    "CD45": (-2.52, 0.09),
    "CD34": (-0.48, 2.46),
    "CD38": (-0.41, 1.86),
}
"""Marker to the dimmest and the brightest of 168 leukaemias of development persons against normal B cells, decades
(``python -m benchmarks.accuracy.places --brightest``)."""
_SD_OF_ENDS = 3.0
"""Standard deviations from the average that stand for the dimmest and the brightest where they were not measured."""
# The same for leukaemias that lie where haematogones do, by stage: mean shift, sd over patients.
_STAGE_II: dict[str, tuple[float, float]] = {
    "FSC-A": (0.24, 0.19),
    "SSC-A": (0.16, 0.12),
    "SYTO41": (0.21, 0.15),
    "CD19": (0.29, 0.17),
    "CD10": (2.11, 0.55),
    "CD20": (-0.98, 0.43),
    "CD45": (-0.61, 0.26),
    "CD34": (0.19, 0.24),
    "CD38": (1.07, 0.29),
}
_STAGE_III: dict[str, tuple[float, float]] = {
    "FSC-A": (0.26, 0.22),
    "SSC-A": (0.24, 0.11),
    "SYTO41": (0.04, 0.15),
    "CD19": (0.17, 0.21),
    "CD10": (1.57, 0.46),
    "CD20": (0.11, 0.31),
    "CD45": (-0.38, 0.26),
    "CD34": (0.14, 0.24),
    "CD38": (0.88, 0.55),
}
PRECURSOR_LIKE = 35 / 332
"""Share of all leukaemias that lie where haematogones do (``python -m benchmarks.accuracy.places``)."""
_SCATTER = ("FSC-A", "SSC-A")


def blast_prior(features: tuple[str, ...], normal_b: Floats, parameters: ClassifierParameters) -> Mixture:
    """Density of the blasts of an unknown patient: one broad component, and one for every marker that may be aberrant.

    Parameters
    ----------
    normal_b
        Shape (d,): mean of the normal B-lineage cells of the laboratory's controls, decades.
    """
    rows = np.array([_SHIFTS.get(name, _UNKNOWN) for name in features])
    variance = rows[:, 1] ** 2 + rows[:, 2] ** 2
    odd = [i for i, name in enumerate(features) if name not in _SCATTER]
    variances = np.tile(variance, (1 + len(odd), 1))
    for row, column in enumerate(odd, start=1):
        variances[row, column] *= parameters.odd_marker_width**2
    share = parameters.odd_marker_share
    weight = np.array([1.0 - share, *(share / len(odd) for _ in odd)]) if odd else np.ones(1)
    mean = np.tile(normal_b + rows[:, 0], (len(weight), 1))
    return Mixture(weight, mean, np.stack([np.diag(row) for row in variances]))


@dataclass(frozen=True)
class PrecursorLike:
    """Leukaemias that lie where haematogones of one stage do.

    Attributes
    ----------
    share
        Their share of all leukaemias.
    shift, sd
        Shape (d,): mean shift against normal B cells, and its standard deviation over patients, decades.
    """

    share: float
    shift: Floats
    sd: Floats


def precursor_like(features: tuple[str, ...]) -> tuple[PrecursorLike, ...]:
    """Leukaemias that lie where haematogones II and III do, as in 19 of 168 development persons.

    Of these 19, 14 lie where stage II does and 5 where stage III does (``python -m benchmarks.accuracy.places
    --shifts``). Markers that were not in that tube have the shifts of all leukaemias.
    """
    out = []
    for share, stage in ((14 / 19, _STAGE_II), (5 / 19, _STAGE_III)):
        rows = np.array([stage.get(name, _SHIFTS.get(name, _UNKNOWN)[:2]) for name in features])
        out.append(PrecursorLike(PRECURSOR_LIKE * share, rows[:, 0], rows[:, 1]))
    return tuple(out)


def blast_spread(features: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Mean of the patients' shifts against normal B cells and their standard deviation, shape (d,) each, decades."""
    rows = np.array([_SHIFTS.get(name, _UNKNOWN) for name in features])
    return rows[:, 0], rows[:, 1]


def brightest_blasts(features: tuple[str, ...]) -> Floats:
    """How bright the brightest leukaemias are against normal B cells, shape (d,), decades."""
    return ends_of_blasts(features)[1]


def ends_of_blasts(features: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Dimmest and brightest leukaemias against normal B cells, shape (d,) each, decades."""
    mean, sd = blast_spread(features)
    usual = zip(features, mean - _SD_OF_ENDS * sd, mean + _SD_OF_ENDS * sd, strict=True)
    ends = np.array([_ENDS.get(name, (low, high)) for name, low, high in usual])
    return ends[:, 0], ends[:, 1]


def cluster_shape(features: tuple[str, ...]) -> Floats:
    """Typical covariance of one patient's blasts, shape (d, d), decades squared."""
    rows = np.array([_SHIFTS.get(name, _UNKNOWN) for name in features])
    return np.diag(rows[:, 2] ** 2)

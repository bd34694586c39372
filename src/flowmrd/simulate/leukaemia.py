"""Patient-specific leukaemias, and the effects of therapy on them.

A leukaemia is a set of shifts (decades) against the patient's normal B cells. The shifts of the measured markers are
drawn from their quantiles over real patients, with the correlation between them (:mod:`flowmrd.simulate.measured`). So
the frequency of each aberrancy is that of real B-ALL: CD58 over-expressed in most, CD45 and CD38 shifted in about half,
CD10 bright in most and absent in some, CD34 and CD20 asynchronous in some. CD22 and CD24 were not measured:

* CD22 is dimmer than on mature B cells and varies; about a quarter of relapsed patients have under 90 % positive blasts
  (INO-VATE baseline, Kantarjian et al. 2016), which the spread below reproduces.
* CD24 is bright, but often absent where CD10 is absent (KMT2A-like; general knowledge).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from flowmrd.simulate import measured
from flowmrd.simulate.further_markers import blast_levels
from flowmrd.simulate.populations import LEVELS, N_FIRST, NORMAL, SIGNALS, Code

Floats = npt.NDArray[np.float64]

_N = len(measured.MEASURED)


class Cd19(StrEnum):
    """CD19 on the leukaemic cells after anti-CD19 therapy (lost in 41 % of relapses after CAR T, Blood Adv 2023)."""

    KEPT = "kept"
    PARTIAL = "partial"
    LOST = "lost"


class Cd22(StrEnum):
    """CD22 signal after inotuzumab: density falls (Clin Cancer Res 2021;27:2742) or the drug covers the epitope."""

    KEPT = "kept"
    DIM = "dim"
    MASKED = "masked"


@dataclass(frozen=True)
class Therapy:
    """Therapy of the cells of one tube.

    Attributes
    ----------
    steroid
        Strength of the glucocorticoid shift of blasts, 0 (none) to about 1.5; 1 is typical.
    """

    cd19: Cd19 = Cd19.KEPT
    cd22: Cd22 = Cd22.KEPT
    steroid: float = 0.0


NO_THERAPY: Final = Therapy()

STEROID_SHIFT: Final = {"CD10": -0.3, "CD34": -0.3, "CD20": 0.3, "CD45": 0.15, "CD19": 0.1}
"""Glucocorticoid shift of blasts, decades; the direction is from Gaipa et al., the size general knowledge."""

CD22_DIM: Final = -0.8
"""Decrease of CD22 where it is dim, decades (to about a sixth of the density)."""

CD19_PARTIAL: Final = (0.5, -0.5)
"""Partial loss of CD19: share of blasts without it, and the decrease on the others, decades."""

_LOST: Final = LEVELS[0] + 0.1


@dataclass(frozen=True)
class Component:
    """One subclone: its share of the blasts, mean and spread in decades, shape (len(SIGNALS),)."""

    weight: float
    mean: Floats
    sd: Floats


@dataclass(frozen=True)
class Leukaemia:
    """The blasts of one patient before therapy and before the tube's own staining.

    Attributes
    ----------
    shift
        Mean of all blasts minus mean of normal CD19+ cells, decades, shape (len(SIGNALS),), order ``SIGNALS``.
    """

    shift: Floats
    components: tuple[Component, ...]

    def after(self, therapy: Therapy) -> tuple[Component, ...]:
        """Components as they look after a therapy; partial CD19 loss splits each component in two."""
        result: list[Component] = []
        for component in self.components:
            mean = component.mean.copy()
            for marker, change in STEROID_SHIFT.items():
                i = SIGNALS.index(marker)
                mean[i] = max(mean[i] + therapy.steroid * change, min(mean[i], _LOST))
            mask_cd22(mean, therapy.cd22)
            kept = Component(component.weight, mean, component.sd)
            if therapy.cd19 is Cd19.KEPT:
                result.append(kept)
                continue
            lost = _without(kept, "CD19")
            if therapy.cd19 is Cd19.LOST:
                result.append(lost)
                continue
            share, fall = CD19_PARTIAL
            dim = mean.copy()
            i = SIGNALS.index("CD19")
            dim[i] = max(dim[i] + fall, _LOST)
            result.append(Component(component.weight * (1 - share), dim, component.sd))
            result.append(Component(component.weight * share, lost.mean, lost.sd))
        return tuple(result)


def mask_cd22(mean: Floats, state: Cd22) -> None:
    """Lower CD22 in a vector of means, shape (len(SIGNALS),), in place; the drug acts on normal cells too."""
    i = SIGNALS.index("CD22")
    if state is Cd22.DIM:
        mean[i] = max(mean[i] + CD22_DIM, min(mean[i], _LOST))
    elif state is Cd22.MASKED:
        mean[i] = min(mean[i], _LOST)


def _without(component: Component, marker: str) -> Component:
    mean, sd = component.mean.copy(), component.sd.copy()
    i = SIGNALS.index(marker)
    mean[i] = _LOST
    sd[i] = 0.25
    return Component(component.weight, mean, sd)


def normal_b_mean() -> Floats:
    """Mean of normal CD19+ cells, decades, shape (len(SIGNALS),): the measured one, or else that of mature B cells."""
    mean = NORMAL[Code.MATURE_B].mean.copy()
    mean[:_N] = measured.MEAN["normal_b"]
    return mean


def draw_leukaemia(rng: Generator) -> Leukaemia:
    """Draw the leukaemia of a new patient.

    Parameters
    ----------
    rng
        Random generator, which advances; the same state gives the same leukaemia.
    """
    shift = np.zeros(len(SIGNALS))
    shift[:_N] = _draw_shifts(rng)
    reference = normal_b_mean()
    cd10_absent = shift[SIGNALS.index("CD10")] < 1.0
    cd24_absent = rng.random() < (0.7 if cd10_absent else 0.1)
    target = {
        "CD22": float(np.clip(rng.normal(2.5, 0.4), 1.35, 3.3)),
        "CD24": float(np.clip(rng.normal(1.35 if cd24_absent else 3.0, 0.3), LEVELS[0], 3.6)),
        "CD66b": LEVELS[0] + abs(float(rng.normal(0.0, 0.08))),
        **blast_levels(shift[:_N]),
    }
    for marker, level in target.items():
        i = SIGNALS.index(marker)
        shift[i] = level - reference[i]
    mean = reference + shift
    return Leukaemia(shift, _components(mean, rng))


def _draw_shifts(rng: Generator) -> Floats:
    """Shifts of the measured signals: Gaussian copula with measured correlations and quantiles, shape (10,)."""
    correlation = np.eye(_N)
    correlation[: _N - 1, : _N - 1] = measured.shift_correlation()
    z = np.linalg.cholesky(correlation) @ rng.standard_normal(_N)
    # Quantiles end at 1 and 99 %. Beyond them the last value is used, which leaves out the rarest 2 % of each marker.
    knots = np.array(_NORMAL_QUANTILES)
    return np.array([np.interp(z[i], knots, measured.SHIFT_QUANTILES[m]) for i, m in enumerate(measured.MEASURED)])


_NORMAL_QUANTILES: Final = (-2.32635, -1.64485, -1.28155, -0.67449, 0.0, 0.67449, 1.28155, 1.64485, 2.32635)
"""Standard normal quantiles of ``measured.QUANTILES``."""

_SD_KNOTS: Final = (-1.64485, -0.67449, 0.0, 0.67449, 1.64485)

COMPONENT_DISTANCE: Final = 0.88
"""Root mean square distance of two components of one leukaemia per signal, in within-component standard deviations
(321 patients of the measured mixtures: 0.64-1.2 by signal)."""


SINGLE_COMPONENT: Final = 0.06
"""Share of leukaemias with one component (20 of 341 measured)."""


def _components(mean: Floats, rng: Generator) -> tuple[Component, ...]:
    spread = np.full(len(SIGNALS), 0.27)
    for i, marker in enumerate(measured.MEASURED):
        table = measured.BLAST_WITHIN_SD_QUANTILES.get(marker)
        spread[i] = np.interp(rng.standard_normal(), _SD_KNOTS, table) if table else measured.WITHIN_SD["blast"][i]
    if rng.random() < SINGLE_COMPONENT:
        return (Component(1.0, mean, spread),)
    centre, width = measured.MINOR_COMPONENT_WEIGHT
    minor = float(np.clip(rng.normal(centre, width), 0.06, 0.5))
    direction = np.zeros(len(SIGNALS))  # the components are alike in further markers
    direction[:N_FIRST] = rng.standard_normal(N_FIRST) * spread[:N_FIRST] * COMPONENT_DISTANCE
    return (
        Component(1 - minor, mean - minor * direction, spread),
        Component(minor, mean + (1 - minor) * direction, spread),
    )


def blast_covariance(sd: Floats) -> Floats:
    """Covariance of a blast component with the measured correlation, shape (len(SIGNALS), len(SIGNALS))."""
    correlation = np.eye(len(SIGNALS))
    correlation[:_N, :_N] = measured.correlation("blast")
    return correlation * np.outer(sd, sd)

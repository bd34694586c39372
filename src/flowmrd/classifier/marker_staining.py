"""How every antibody of a tube stains the cells that carry its antigen and those that do not.

A tube holds its own staining control: granulocytes carry CD24, CD66b and CD10, lymphocytes CD45, plasma cells CD38 and
CD19, progenitors CD34. Which cells should carry a marker follows from the frozen reference: every cell is assigned to
the normal populations by its *other* markers alone, and once more by its scatter alone, which no antibody changes.
Cells whose population carries the marker in the controls are its carriers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, CandidateCells, Floats32, is_nucleic_acid_dye, thin
from flowmrd.classifier.mixture import LOG_2PI, Floats, Mixture, log_density_coefficients, normalised, products
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.staining import outlier_component
from flowmrd.records.references import MarkerStainingEntry

__all__ = [
    "SCATTER",
    "MarkerStaining",
    "MembershipsByOthers",
    "bright_cells",
    "measure_staining",
    "memberships_by",
    "negative_level",
]

SCATTER: Final = ("FSC", "SSC")
"""First letters of channels that carry no antibody."""


@dataclass(frozen=True)
class MarkerStaining:
    """One marker of one tube.

    Attributes
    ----------
    carriers
        Number of examined cells that should carry the marker.
    stained
        Share of them that are stained; None without carriers.
    middle, upper
        Median and 85th percentile of the carriers' distance from their level in the controls, decades; None below 10
        carriers.
    without
        Median of the same distance for cells that do not carry the marker, decades.
    bright
        Number of clearly positive cells in the tube, whatever their population.
    cells
        Number of cells in the tube.
    """

    marker: str
    carriers: int
    stained: float | None
    middle: float | None
    upper: float | None
    without: float | None
    bright: int
    cells: int

    def as_record(self) -> dict[str, object]:
        """Plain values for JSON."""

        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        return {
            "marker": self.marker,
            "carriers": self.carriers,
            "stained": rounded(self.stained),
            "middle": rounded(self.middle),
            "upper": rounded(self.upper),
            "without": rounded(self.without),
            "bright": self.bright,
            "cells": self.cells,
        }

    @classmethod
    def from_record(cls, record: MarkerStainingEntry) -> MarkerStaining:
        """Read what :meth:`as_record` wrote."""
        return cls(
            record.marker,
            record.carriers,
            record.stained,
            record.middle,
            record.upper,
            record.without,
            record.bright,
            record.cells,
        )


def measure_staining(
    tube: CandidateCells,
    model: NormalModel,
    shift: Floats,
    parameters: ClassifierParameters,
    *,
    markers: Collection[str] | None = None,
) -> tuple[MarkerStaining, ...]:
    """Measure the staining of every antibody and dye of a tube.

    Parameters
    ----------
    tube
        Candidate cells; features that the model lacks are left out.
    model
        Normal marrow that the tube did not help to build.
    shift
        Common shift of the tube's staining against the model, decades, shape (d,) in the order of the model. Cells are
        assigned with and without it, and the assignment that explains them better is used, so that one strong colour
        does not look like a fault of the others.
    markers
        Measure only these; all where absent.
    """
    features = tuple(name for name in model.features if name in tube.features)
    moved = np.array([shift[model.features.index(name)] for name in features])
    tube, model = tube.select(features), model.select(features)
    wanted = [
        (j, name)
        for j, name in enumerate(features)
        if not name.startswith(SCATTER) and (markers is None or name in markers)
    ]
    if tube.n == 0 or not wanted:
        return ()
    rows = np.concatenate(
        [thin(~tube.window, parameters.staining_control_outside), thin(tube.window, parameters.staining_control_inside)]
    )
    x = tube.values[rows].astype(np.float64)
    # Therapy changes the frequency of populations; the square root of the weights lets rare ones keep their cells.
    weight = np.sqrt(model.mixture.weight)
    normal = Mixture(weight / weight.sum(), model.mixture.mean, model.mixture.covariance)
    normal = normal.broadened(parameters.other_markers_sd**2 * np.eye(len(features)))
    scatter = [i for i, name in enumerate(features) if name.startswith(SCATTER)]
    ways = (normal, normal.shifted(moved))
    by_scatter = [memberships_by(ways, x, scatter, parameters)] if scatter else []
    by_others = MembershipsByOthers(ways, x, parameters)
    return tuple(
        _marker(marker, x[:, j], normal.mean[:, j], [by_others.of(j), *by_scatter], tube.values[:, j], parameters)
        for j, marker in wanted
    )


def memberships_by(ways: Sequence[Mixture], x: Floats, columns: list[int], parameters: ClassifierParameters) -> Floats:
    """Probability of every normal population for every cell, by some of the markers, shape (k, n)."""
    centre = x[:, columns].mean(axis=0)
    table = products(x[:, columns], centre)
    outliers = log_density_coefficients(outlier_component(centre, parameters), centre) @ table.T
    found = [log_density_coefficients(normal.marginal(columns), centre) @ table.T for normal in ways]
    return _best_way(found, outliers, parameters)


def _best_way(found: Sequence[Floats], outliers: Floats, parameters: ClassifierParameters) -> Floats:
    """Memberships (k, n) under the log densities (k, n) that explain the cells best, beside outliers (1, n)."""
    share = parameters.outlier_share
    rest = outliers + np.log(share)
    judged = [normalised(np.concatenate([values + np.log(1.0 - share), rest])) for values in found]
    return max(judged, key=lambda one: float(one[0].mean()))[1][:-1]


class MembershipsByOthers:
    """Memberships by all markers but one, for every marker in turn.

    The density without marker j follows from the density with all markers. For a Gaussian with precision P, the squared
    distance falls by (P (x - mean))_j^2 / P_jj, and the determinant of the precision falls by the factor P_jj.
    """

    def __init__(self, ways: Sequence[Mixture], x: Floats, parameters: ClassifierParameters) -> None:
        self._ways, self._parameters = ways, parameters
        centre = x.mean(axis=0)
        self._centre, self._centred = centre, np.ascontiguousarray((x - centre).T)
        table = products(x, centre)
        self._whole = [log_density_coefficients(normal, centre) @ table.T for normal in ways]
        self._outliers = log_density_coefficients(outlier_component(centre, parameters), centre) @ table.T
        self._precision = np.linalg.inv(np.array([normal.covariance for normal in ways]))

    def of(self, j: int) -> Floats:
        """Probability of every normal population for every cell by all markers but the j-th, shape (k, n)."""
        outlier_precision = np.full(1, self._parameters.outlier_sd**-2)
        outliers = _without(self._outliers, self._centred[j][None] * outlier_precision, outlier_precision)
        found = []
        for normal, whole, precision in zip(self._ways, self._whole, self._precision, strict=True):
            slope = precision[:, j]
            pull = slope @ self._centred
            pull -= np.einsum("kd,kd->k", slope, normal.mean - self._centre)[:, None]
            found.append(_without(whole, pull, slope[:, j]))
        return _best_way(found, outliers, self._parameters)


def _without(log_density: Floats, pull: Floats, precision: Floats) -> Floats:
    """Log densities (k, n) without a marker, from its part of P (x - mean), shape (k, n), and P_jj, shape (k,)."""
    pull *= pull
    pull *= (0.5 / precision)[:, None]
    pull += (0.5 * (LOG_2PI - np.log(precision)))[:, None]
    pull += log_density
    return pull


def _marker(
    marker: str,
    values: Floats,
    level: Floats,
    memberships: Sequence[Floats],
    everything: Floats32,
    parameters: ClassifierParameters,
) -> MarkerStaining:
    lowest = negative_level(level, parameters)
    carry, lack = level >= lowest + parameters.carrier_gap, level <= lowest + parameters.without_gap
    bright = bright_cells(level, everything, parameters)
    carriers = [_beside(values, level, member, carry, parameters) for member in memberships]
    # Where scatter alone finds more carriers than all other markers do, those markers have failed as well.
    observed, expected = max(carriers, key=lambda pair: len(pair[0]))
    stained = middle = upper = without = None
    if len(observed):
        # Tubes differ so much in a nucleic acid dye that cells below half way may be stained.
        way = parameters.without_gap if is_nucleic_acid_dye(marker) else parameters.stained_at * (expected - lowest)
        stained = float(np.mean(observed >= lowest + way))
    if len(observed) >= parameters.carriers_placed:
        middle, upper = (float(q) for q in np.quantile(observed - expected, (0.5, parameters.upper_quantile)))
    lacking, level_without = _beside(values, level, memberships[0], lack, parameters)
    if len(lacking) >= max(parameters.carriers_placed, parameters.without_share_least * len(values)):
        without = float(np.median(lacking - level_without))
    return MarkerStaining(marker, len(observed), stained, middle, upper, without, bright, len(everything))


def negative_level(level: Floats, parameters: ClassifierParameters) -> float:
    """Level of cells without a marker, from the levels (k,) of the normal populations, decades."""
    return min(float(np.quantile(level, parameters.negative_quantile)), parameters.without_level)


def bright_cells(level: Floats, everything: Floats32, parameters: ClassifierParameters) -> int:
    """Number of cells about as bright in a marker as its brightest normal population."""
    lowest = negative_level(level, parameters)
    brightest = max(float(level.max()), lowest + parameters.staining_span_least)
    return int(np.count_nonzero(everything >= lowest + parameters.bright_at * (brightest - lowest)))


def _beside(
    values: Floats, level: Floats, member: Floats, which: Bools, parameters: ClassifierParameters
) -> tuple[Floats, Floats]:
    """Signal of the cells that belong to some populations with high probability, and these populations' level in
    controls.
    """
    mass = member[which].sum(axis=0)
    sure = mass >= parameters.carrier_probability
    return values[sure], (level[which] @ member[which][:, sure]) / mass[sure]

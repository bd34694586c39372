"""Whether every antibody of a tube stained the cells that carry its antigen, whatever the disease and the therapy.

A tube holds its own staining control: granulocytes carry CD24, CD66b and CD10, lymphocytes CD45, plasma cells CD38 and
CD19, progenitors CD34. Which cells should carry a marker follows from the frozen reference: every cell is assigned to
the normal populations by its *other* markers alone, and once more by its scatter alone, which no antibody changes.
Cells whose population carries the marker in the controls are its carriers. An antibody that was forgotten leaves its
carriers without signal. A different titration or detector voltage moves the carriers, and the cells without the antigen
with them.

The numbers are compared with those of the controls, each measured under the fold that it did not help to build.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, CandidateCells, Floats32, is_nucleic_acid_dye, thin
from flowmrd.classifier.mixture import LOG_2PI, Floats, Mixture, log_density_coefficients, normalised, products
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.staining import outlier_component
from flowmrd.flags import Flag, flag
from flowmrd.records.classification import StainingControlEntry, StainingState
from flowmrd.records.references import MarkerStainingEntry

__all__ = [
    "MarkerStaining",
    "StainingFinding",
    "judge_staining",
    "measure_staining",
    "staining_flags",
    "unstained_markers",
]

SCATTER: Final = ("FSC", "SSC")
"""First letters of channels that carry no antibody."""
ON_B_CELLS_ALONE: Final = frozenset({"CD20", "CD22"})
"""Markers that marrow without B cells does not show at all; every other marker of a panel is also on other cells."""


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
    lowest = _negative_level(level, parameters)
    carry, lack = level >= lowest + parameters.carrier_gap, level <= lowest + parameters.without_gap
    bright = _bright_cells(level, everything, parameters)
    carriers = [_beside(values, level, member, carry, parameters) for member in memberships]
    # Where scatter alone finds more carriers than all other markers do, those markers have failed as well.
    observed, expected = max(carriers, key=lambda pair: len(pair[0]))
    stained = middle = upper = without = None
    if len(observed):
        stained = float(np.mean(observed >= lowest + parameters.stained_at * (expected - lowest)))
    if len(observed) >= parameters.carriers_placed:
        middle, upper = (float(q) for q in np.quantile(observed - expected, (0.5, parameters.upper_quantile)))
    lacking, level_without = _beside(values, level, memberships[0], lack, parameters)
    if len(lacking) >= max(parameters.carriers_placed, parameters.without_share_least * len(values)):
        without = float(np.median(lacking - level_without))
    return MarkerStaining(marker, len(observed), stained, middle, upper, without, bright, len(everything))


def _negative_level(level: Floats, parameters: ClassifierParameters) -> float:
    """Level of cells without a marker, from the levels (k,) of the normal populations, decades."""
    return min(float(np.quantile(level, parameters.negative_quantile)), parameters.without_level)


def _bright_cells(level: Floats, everything: Floats32, parameters: ClassifierParameters) -> int:
    """Number of cells about as bright in a marker as its brightest normal population."""
    lowest = _negative_level(level, parameters)
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


@dataclass(frozen=True)
class StainingFinding:
    """Finding about a marker's antibody, from its carriers.

    Attributes
    ----------
    state
        ``ok``, ``shifted``, ``absent`` or ``not_verifiable`` (no cell should carry the marker).
    decades, limit
        Largest shift of the carriers or of the cells without the marker against the controls' mean, and its limit for
        an ordinary tube.
    carrier_decades
        Shift of the carriers alone; a wrong spillover from a neighbouring channel moves dim cells and not bright ones.
    stained, expected
        Share of the carriers that are stained in this tube, and the lowest share in a control; None where unknown.
    """

    marker: str
    state: StainingState
    carriers: int
    bright: int
    decades: float = 0.0
    limit: float = 0.0
    carrier_decades: float = 0.0
    stained: float | None = None
    expected: float | None = None

    def as_record(self) -> StainingControlEntry:
        """The finding as ``classification.json`` holds it."""
        return StainingControlEntry(
            marker=self.marker,
            state=self.state,
            carriers=self.carriers,
            bright=self.bright,
            decades=round(self.decades, 4),
            limit=round(self.limit, 4),
            carrier_decades=round(self.carrier_decades, 4),
            stained=None if self.stained is None else round(self.stained, 4),
            expected=None if self.expected is None else round(self.expected, 4),
        )


def judge_staining(
    tube: Sequence[MarkerStaining], controls: Collection[Sequence[MarkerStaining]], parameters: ClassifierParameters
) -> tuple[StainingFinding, ...]:
    """Compare a tube's staining with that of the controls; a marker that no control has is not judged.

    Parameters
    ----------
    controls
        The same numbers of every control, measured with a model that it did not help to build.
    """
    found = []
    for own in tube:
        known = [one for control in controls for one in control if one.marker == own.marker]
        if known:
            found.append(_judged(own, known, parameters))
    return tuple(found)


def _judged(
    own: MarkerStaining, controls: Sequence[MarkerStaining], parameters: ClassifierParameters
) -> StainingFinding:
    finding = StainingFinding(own.marker, "ok", own.carriers, own.bright, stained=own.stained)
    shares = [one.stained for one in controls if one.stained is not None and one.carriers >= parameters.carriers_least]
    expected = min(shares, default=None)
    finding = replace(finding, expected=expected)
    if (
        expected is not None
        and expected >= parameters.carriers_stained_least
        and own.carriers >= parameters.carriers_least
    ):
        few = _has_few_bright(own.bright, own.cells, controls, parameters)
        if few and _highest_share(own) < parameters.absent_stained * expected:
            return replace(finding, state="absent")
    elif own.bright < parameters.bright_least:
        return replace(finding, state="not_verifiable")
    dye = is_nucleic_acid_dye(own.marker)
    shifts = [
        _beyond(
            (own.middle, own.upper),
            [(one.middle, one.upper) for one in controls],
            parameters.expected_dye_sd if dye else parameters.carrier_shift_sd,
            parameters,
        )
        if own.carriers >= parameters.carriers_least
        else (0.0, 0.0),
        _beyond(
            (own.without,),
            [(one.without,) for one in controls],
            parameters.expected_dye_sd if dye else parameters.without_shift_sd,
            parameters,
        ),
    ]
    (carried, known), (lacked, usual) = shifts
    if known and carried * lacked <= 0.0:
        # Voltage and titration move cells with the antigen at least as far as those without it. Where the carriers stay
        # or move the other way, light from another source lies on the dim cells, and that differs between persons.
        shifts[1] = (lacked, parameters.without_alone_limits * usual)
    decades, limit = max(shifts, key=lambda pair: abs(pair[0]) / pair[1] if pair[1] else 0.0)
    state: StainingState = "shifted" if limit and abs(decades) > limit else "ok"
    return replace(finding, state=state, decades=decades, limit=limit, carrier_decades=shifts[0][0])


def absent_antibodies(
    tube: CandidateCells,
    model: NormalModel,
    shift: Floats,
    controls: Collection[Sequence[MarkerStaining]],
    parameters: ClassifierParameters,
) -> dict[str, StainingFinding]:
    """Findings about the antibodies that a tube lacks, by marker; arguments as :func:`judge_staining` has them.

    Only markers with few bright cells are measured, because no other antibody can be absent.
    """
    suspects = set()
    for j, marker in enumerate(model.features):
        known = [one for control in controls for one in control if one.marker == marker]
        if known and marker in tube.features:
            everything = tube.values[:, tube.features.index(marker)]
            bright = _bright_cells(model.mixture.mean[:, j], everything, parameters)
            suspects |= {marker} if _has_few_bright(bright, tube.n, known, parameters) else set()
    measured = measure_staining(tube, model, shift, parameters, markers=suspects)
    return {one.marker: one for one in judge_staining(measured, controls, parameters) if one.state == "absent"}


def _has_few_bright(
    bright: int, cells: int, controls: Sequence[MarkerStaining], parameters: ClassifierParameters
) -> bool:
    """Whether a marker has too few bright cells for its antibody to be in the tube."""
    rarest = min(one.bright / max(one.cells, 1) for one in controls)
    return bright / max(cells, 1) <= parameters.absent_bright * rarest


def _highest_share(own: MarkerStaining) -> float:
    """Upper end of the exact one-sided 95 % interval of the stained share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    n, k = own.carriers, round((own.stained or 0.0) * own.carriers)
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 0.95))


def _beyond(
    own: tuple[float | None, ...],
    controls: Sequence[tuple[float | None, ...]],
    expected_sd: float,
    parameters: ClassifierParameters,
) -> tuple[float, float]:
    """Distance from the controls' mean, in decades, and the limit of an ordinary tube; 0 and 0 where unknown.

    Of several numbers the one that moved least is used; where they moved in different directions, the distance is 0.
    """
    from scipy.special import stdtrit

    moved: list[tuple[float, float]] = []
    for place, value in enumerate(own):
        values = np.array([row[place] for row in controls if row[place] is not None], dtype=np.float64)
        if value is None or len(values) == 0:
            return 0.0, 0.0
        n = len(values)
        variance = (((values - values.mean()) ** 2).sum() + parameters.staining_pseudo_tubes * expected_sd**2) / (
            n - 1 + parameters.staining_pseudo_tubes
        )
        limit = float(
            stdtrit(n - 1 + parameters.staining_pseudo_tubes, 1.0 - parameters.staining_tail)
            * np.sqrt(variance * (1.0 + 1.0 / n))
        )
        limit = max(limit, parameters.staining_shift_least)
        moved.append((value - float(values.mean()), limit))
    if min(d for d, _ in moved) < 0 < max(d for d, _ in moved):
        return 0.0, moved[0][1]
    return min(moved, key=lambda pair: abs(pair[0]) / pair[1])


def unstained_markers(findings: Sequence[StainingFinding], hidden: Collection[str] = ()) -> tuple[str, ...]:
    """Markers whose antibody the tube lacks; spiked cells must lack them too.

    A shifted antibody is not among them, because spiked cells are placed in the staining of the tube's normal cells.

    Parameters
    ----------
    hidden
        Markers that the therapy before the tube removes from normal cells or masks on them; there the antibody is not
        at fault.
    """
    return tuple(one.marker for one in findings if one.state == "absent" and one.marker not in hidden)


def staining_flags(
    findings: Sequence[StainingFinding], hidden: Collection[str], parameters: ClassifierParameters
) -> list[Flag]:
    """Flags of the staining control.

    Parameters
    ----------
    hidden
        Markers that the therapy before the tube removes from normal cells or masks on them.
    """
    flags = []
    unverified = []
    for one in findings:
        if one.state == "absent":
            facts = {"marker": one.marker, "carriers": one.carriers, "expected": one.expected or 0.0}
            flags.append(flag("MARKER_HIDDEN" if one.marker in hidden else "ANTIBODY_ABSENT", **facts))
        elif one.state == "not_verifiable" and one.marker not in hidden:
            unverified.append(one.marker)
    flags += _unverified_flags(
        unverified, "CD19" in unverified or len(unverified) > parameters.unverified_share * len(findings)
    )
    for one in _at_fault([one for one in findings if one.state == "shifted" and one.marker not in hidden]):
        way = "brighter" if one.decades > 0 else "dimmer"
        size = abs(one.decades)
        flags.append(
            flag("STAINING_SHIFTED", marker=one.marker, factor=10.0**size, decades=size, way=way, limit=one.limit)
        )
    return flags


def _unverified_flags(unverified: Sequence[str], too_many: bool) -> list[Flag]:
    """Flags of antibodies that no cell verifies: one flag where they are too many, else one by the kind of their
    carriers.
    """
    if too_many:
        return [flag("ANTIBODY_NOT_VERIFIED", markers=", ".join(unverified))]
    of_b_cells = [marker for marker in unverified if marker in ON_B_CELLS_ALONE]
    elsewhere = [marker for marker in unverified if marker not in ON_B_CELLS_ALONE]
    return [
        flag(code, markers=", ".join(markers))
        for code, markers in (("ANTIBODY_NOT_SHOWN", elsewhere), ("ANTIBODY_WITHOUT_CELLS", of_b_cells))
        if markers
    ]


def _at_fault(shifted: Sequence[StainingFinding]) -> list[StainingFinding]:
    """The channels that were shifted, without those that only lost or gained spillover from them."""
    moved = [one for one in shifted if abs(one.carrier_decades) > one.limit]
    if not moved and len(shifted) > 1:
        return [max(shifted, key=lambda one: abs(one.carrier_decades))]
    return list(moved or shifted)

"""Whether every antibody of a tube stained the cells that carry its antigen, whatever the disease and the therapy.

A tube holds its own staining control: granulocytes carry CD24, CD66b and CD10, lymphocytes CD45, plasma cells CD38 and
CD19, progenitors CD34. Which cells should carry a marker follows from the frozen reference: every cell is assigned to
the normal populations by its *other* markers alone, and once more by its scatter alone, which no antibody changes.
Cells whose population carries the marker in the controls are its carriers. An antibody that was forgotten leaves its
carriers without signal; one that was titrated or measured otherwise moves them, and the cells without the antigen with
them.

Markers are compared with the same numbers of the controls, each under the fold that it did not help to build.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells, thin
from flowmrd.classifier.mixture import Floats, Mixture, combine, component_log_density, log_sum
from flowmrd.classifier.normal_model import NormalModel

__all__ = ["MarkerStaining", "StainingFinding", "judge_staining", "measure_staining"]

State = Literal["ok", "shifted", "absent", "not_verifiable"]

SCATTER: Final = ("FSC", "SSC")
"""Channels whose name begins so carry no antibody."""
CELLS_OUTSIDE, CELLS_INSIDE = 40_000, 20_000
"""Cells outside and inside the B-lineage window that are looked at; rare carriers are mostly inside."""
CARRIER_GAP = 0.8
"""A population carries a marker from this distance to the lowest populations on, decades."""
WITHOUT_GAP = 0.35
"""A population lies within this distance of the lowest ones where it does not carry the marker, decades."""
LOWEST_QUANTILE, LOWEST_LEVEL = 0.1, 1.3
"""The level of cells without a marker: this quantile of the populations, or this many decades where all carry it."""
DRIFT = 0.15
"""Staining of the other markers may differ from the controls' by this much without losing the populations, decades."""
OUTLIER_SHARE, OUTLIER_SD = 0.01, 1.2
"""Share and spread (decades) of cells that belong to no normal population."""
SURE = 0.9
"""Probability of its populations from which a cell is called a carrier, or a cell without the marker."""
STAINED_AT = 0.5
"""A carrier is stained from this share of the way between the level without the marker and its expected level on."""
BRIGHT_AT = 0.6
"""A cell is clearly positive from this share of the way to the brightest population of the controls on."""
LEAST_FOR_PLACE = 10
"""Fewer carriers than this have no place."""
WITHOUT_SHARE = 0.05
"""Cells without a marker must be at least this share of those looked at: of few, most are cells assigned wrongly."""
UPPER = 0.85
"""Quantile of the carriers that younger and dimmer cells among them do not move."""

LEAST_CARRIERS = 25
"""Fewer carriers than this do not show that an antibody is missing."""
LEAST_BRIGHT = 20
"""So many clearly positive cells show that an antibody works, whatever cells they are."""
ABSENT_SHARE = 0.3
"""An antibody is absent where, with 99.9 % confidence, the carriers are stained in less than this share of what the
control with the fewest shows."""
ABSENT_BRIGHT = 0.05
"""... and clearly positive cells are rarer than this share of what any control has."""
TYPICAL_SHARE = 0.6
"""Carriers of which the controls stain less than this share prove nothing."""
CARRIER_SD, WITHOUT_SD = 0.15, 0.09
"""Spread between ordinary tubes of carriers and of cells without the marker, decades, worth :data:`PRIOR_TUBES`."""
LEAST_LIMIT = 0.3
"""Smaller shifts than this are no fault, decades."""
PRIOR_TUBES = 4.0
TAIL = 0.001
"""Share of ordinary tubes beyond a limit, on either side."""


@dataclass(frozen=True)
class MarkerStaining:
    """One marker of one tube.

    Attributes
    ----------
    carriers
        Cells that should carry the marker, of those looked at.
    stained
        Share of them that does; None where there is none.
    middle, upper
        Median and 85th percentile of how far the carriers lie from where the controls have them, decades. None below
        10 carriers.
    without
        The median of the same for cells that do not carry it, decades.
    bright
        Cells of the tube that are clearly positive, whatever they are.
    cells
        Cells of the tube.
    """

    marker: str
    carriers: int
    stained: float | None
    middle: float | None
    upper: float | None
    without: float | None
    bright: int
    cells: int

    def as_record(self) -> dict[str, Any]:
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
    def from_record(cls, record: Mapping[str, Any]) -> MarkerStaining:
        """Read what :meth:`as_record` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """

        def number(value: Any) -> float | None:
            return None if value is None else float(value)

        return cls(
            str(record["marker"]),
            int(record["carriers"]),
            number(record["stained"]),
            number(record["middle"]),
            number(record["upper"]),
            number(record["without"]),
            int(record["bright"]),
            int(record["cells"]),
        )


def measure_staining(tube: CandidateCells, model: NormalModel, shift: Floats) -> tuple[MarkerStaining, ...]:
    """Look at every antibody and dye of a tube.

    Parameters
    ----------
    tube
        Candidate cells; features that the model lacks are left out.
    model
        Normal marrow that the tube did not help to build.
    shift
        Common shift of the tube's staining against the model, decades, shape (d,) in the order of the model. Cells are
        assigned with it and without it, and the way that explains them better counts: one strong colour must not pass
        for a fault of the others.
    """
    features = tuple(name for name in model.features if name in tube.features)
    moved = np.array([shift[model.features.index(name)] for name in features])
    tube, model = tube.select(features), model.select(features)
    if tube.n == 0:
        return ()
    rows = np.concatenate([thin(~tube.window, CELLS_OUTSIDE), thin(tube.window, CELLS_INSIDE)])
    x = tube.values[rows].astype(np.float64)
    # Therapy changes how common populations are; the root lets rare ones keep their cells.
    weight = np.sqrt(model.mixture.weight)
    normal = Mixture(weight / weight.sum(), model.mixture.mean, model.mixture.covariance)
    normal = normal.broadened(DRIFT**2 * np.eye(len(features)))
    scatter = [i for i, name in enumerate(features) if name.startswith(SCATTER)]
    ways = (normal, normal.shifted(moved))
    by_scatter = [_memberships(ways, x, scatter)] if scatter else []
    found = []
    for j, marker in enumerate(features):
        if marker.startswith(SCATTER):
            continue
        by_others = _memberships(ways, x, [i for i in range(len(features)) if i != j])
        found.append(_marker(marker, x[:, j], normal.mean[:, j], [by_others, *by_scatter], tube.values[:, j]))
    return tuple(found)


def _memberships(ways: Sequence[Mixture], x: Floats, columns: list[int]) -> Floats:
    """Probability of every normal population for every cell by some of the markers, shape (n, k)."""
    best: tuple[float, Floats] | None = None
    for normal in ways:
        known = normal.marginal(columns)
        middle = x[:, columns].mean(axis=0)
        outliers = Mixture(np.ones(1), middle[None], OUTLIER_SD**2 * np.eye(len(columns))[None])
        values = component_log_density(combine([known, outliers], [1.0 - OUTLIER_SHARE, OUTLIER_SHARE]), x[:, columns])
        total = log_sum(values)
        if best is None or float(total.mean()) > best[0]:
            best = float(total.mean()), np.exp(values - total[:, None])[:, : normal.k]
    assert best is not None  # noqa: S101 - there are two ways
    return best[1]


def _marker(
    marker: str, values: Floats, level: Floats, memberships: Sequence[Floats], everything: Floats
) -> MarkerStaining:
    lowest = min(float(np.quantile(level, LOWEST_QUANTILE)), LOWEST_LEVEL)
    brightest = max(float(level.max()), lowest + 1.0)
    carry, lack = level >= lowest + CARRIER_GAP, level <= lowest + WITHOUT_GAP
    bright = int(np.count_nonzero(everything >= lowest + BRIGHT_AT * (brightest - lowest)))
    carriers = [_beside(values, level, member, carry) for member in memberships]
    # Where scatter alone tells more carriers than all other markers do, these have failed as well.
    observed, expected = max(carriers, key=lambda pair: len(pair[0]))
    stained = middle = upper = without = None
    if len(observed):
        stained = float(np.mean(observed >= lowest + STAINED_AT * (expected - lowest)))
    if len(observed) >= LEAST_FOR_PLACE:
        middle, upper = (float(q) for q in np.quantile(observed - expected, (0.5, UPPER)))
    lacking, level_without = _beside(values, level, memberships[0], lack)
    if len(lacking) >= max(LEAST_FOR_PLACE, WITHOUT_SHARE * len(values)):
        without = float(np.median(lacking - level_without))
    return MarkerStaining(marker, len(observed), stained, middle, upper, without, bright, len(everything))


def _beside(values: Floats, level: Floats, member: Floats, which: Any) -> tuple[Floats, Floats]:
    """Signal of the cells that surely belong to some populations, and the level that these have in the controls."""
    mass = member[:, which].sum(axis=1)
    sure = mass >= SURE
    return values[sure], (member[sure][:, which] @ level[which]) / mass[sure]


@dataclass(frozen=True)
class StainingFinding:
    """What a marker's carriers say of its antibody.

    Attributes
    ----------
    state
        ``ok``, ``shifted``, ``absent`` or ``not_verifiable`` (no cell that should carry it).
    decades
        How far it is shifted; 0 where it is not.
    stained, expected
        Share of the carriers that is stained here, and the least share in a control; None where unknown.
    """

    marker: str
    state: State
    carriers: int
    bright: int
    decades: float = 0.0
    limit: float = 0.0
    stained: float | None = None
    expected: float | None = None

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "marker": self.marker,
            "state": self.state,
            "carriers": self.carriers,
            "bright": self.bright,
            "decades": round(self.decades, 4),
            "limit": round(self.limit, 4),
            "stained": None if self.stained is None else round(self.stained, 4),
            "expected": None if self.expected is None else round(self.expected, 4),
        }


def judge_staining(
    tube: Sequence[MarkerStaining], controls: Collection[Sequence[MarkerStaining]]
) -> tuple[StainingFinding, ...]:
    """Compare a tube's staining with the controls'; nothing is judged without a control that has the marker.

    Parameters
    ----------
    controls
        The same numbers of every control, measured with a model that it did not help to build.
    """
    found = []
    for own in tube:
        known = [one for control in controls for one in control if one.marker == own.marker]
        if known:
            found.append(_judged(own, known))
    return tuple(found)


def _judged(own: MarkerStaining, controls: Sequence[MarkerStaining]) -> StainingFinding:
    finding = StainingFinding(own.marker, "ok", own.carriers, own.bright, stained=own.stained)
    shares = [one.stained for one in controls if one.stained is not None and one.carriers >= LEAST_CARRIERS]
    expected = min(shares, default=None)
    finding = replace(finding, expected=expected)
    if expected is not None and expected >= TYPICAL_SHARE and own.carriers >= LEAST_CARRIERS:
        rarest = min(one.bright / max(one.cells, 1) for one in controls)
        bright = own.bright / max(own.cells, 1)
        if _highest_share(own) < ABSENT_SHARE * expected and bright <= ABSENT_BRIGHT * rarest:
            return replace(finding, state="absent")
    elif own.bright < LEAST_BRIGHT:
        return replace(finding, state="not_verifiable")
    shifts = [
        _beyond((own.middle, own.upper), [(one.middle, one.upper) for one in controls], CARRIER_SD)
        if own.carriers >= LEAST_CARRIERS
        else (0.0, 0.0),
        _beyond((own.without,), [(one.without,) for one in controls], WITHOUT_SD),
    ]
    decades, limit = max(shifts, key=lambda pair: abs(pair[0]) / pair[1] if pair[1] else 0.0)
    if limit and abs(decades) > limit:
        return replace(finding, state="shifted", decades=decades, limit=limit)
    return replace(finding, limit=limit)


def _highest_share(own: MarkerStaining) -> float:
    """Upper end of the exact one-sided 99.9 % interval of the stained share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    n, k = own.carriers, round((own.stained or 0.0) * own.carriers)
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 0.999))


def _beyond(
    own: tuple[float | None, ...], controls: Sequence[tuple[float | None, ...]], expected_sd: float
) -> tuple[float, float]:
    """Distance from the controls' mean, in decades, and the limit of an ordinary tube; 0 and 0 where unknown.

    Of several numbers the one that moved least counts, and none where they moved in different directions.
    """
    from scipy.special import stdtrit

    moved: list[tuple[float, float]] = []
    for place, value in enumerate(own):
        values = np.array([row[place] for row in controls if row[place] is not None], dtype=np.float64)
        if value is None or len(values) == 0:
            return 0.0, 0.0
        n = len(values)
        variance = (((values - values.mean()) ** 2).sum() + PRIOR_TUBES * expected_sd**2) / (n - 1 + PRIOR_TUBES)
        limit = float(stdtrit(n - 1 + PRIOR_TUBES, 1.0 - TAIL) * np.sqrt(variance * (1.0 + 1.0 / n)))
        limit = max(limit, LEAST_LIMIT)
        moved.append((value - float(values.mean()), limit))
    if min(d for d, _ in moved) < 0 < max(d for d, _ in moved):
        return 0.0, moved[0][1]
    return min(moved, key=lambda pair: abs(pair[0]) / pair[1])

"""Detecting exchanged labels from the values: each of two markers resembles the other marker of the controls.

Where the detector names give no evidence (``$PnN`` names the marker, or reagents were exchanged when pipetting), only
the cells do. The pattern of a marker has three parts, and none needs a gate: its levels in cells of low and of high
side scatter, its rank correlation with every other channel, and the levels of its brightest cells in the other
channels.

A marker's pattern is compared with that of every marker in the controls. For a pair of markers, the *gain* is how much
closer the tube comes to the controls when the two labels are exchanged: the geometric mean of both markers' gains, and
0 if either has none. Disease and therapy change one marker or many, but they do not give each of two markers the
pattern of the other.

The distance of a number is ``log(1 + |x - mean| / sd)``: a number that leukaemia or therapy changes strongly does not
outweigh the others. ``sd`` is that of the controls with two tubes of the usual spread added, because two controls may
agree by chance.

:data:`LEAST_GAIN` was set on mixtures of real marrows that were stained and measured in many ways
(``python -m benchmarks.inputs.exchanged_labels`` counts the false alarms and the exchanges that are found again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.records.references import PatternEntry

__all__ = ["LEAST_CONTROLS", "LEAST_GAIN", "Exchange", "StainingPattern", "find_exchange", "staining_pattern"]

Values = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

LEAST_GAIN: Final = 0.26
"""Gain from which two labels look exchanged."""

LEAST_CONTROLS: Final = 2
LEAST_EVENTS: Final = 1000
MOST_EVENTS: Final = 6_000
LEAST_IN_CLASS: Final = 200
"""Cells of a side scatter class from which its levels count."""

LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.998)
LOW_SIDE_SCATTER: Final = 0.2
HIGH_SIDE_SCATTER: Final = 0.27
"""Shares of the range below and above which cells are lymphoid and granulocytic."""

BRIGHTEST: Final = (0.05, 0.01)
"""Shares of a marker's brightest cells."""

USUAL_LEVEL: Final = 0.15
USUAL_CORRELATION: Final = 0.09
USUAL_BRIGHTEST: Final = 0.15
"""Usual spread between tubes of one laboratory: decades, rank correlation, decades."""
USUAL_TUBES: Final = 2

FARTHEST: Final = 20.0
LINEAR_SHARE: Final = 1 / 2000
"""Share of the range up to which the scale is linear."""


@dataclass(frozen=True)
class StainingPattern:
    """Staining pattern of a tube's markers.

    Attributes
    ----------
    markers
        Dyes, n of them.
    levels
        Shape (n, 14): quantiles in cells of low and of high side scatter, decades; NaN where there are few such cells.
    together
        Shape (n, n + s): rank correlation with every dye and every scatter channel.
    brightest
        Shape (n, n + s, 2): median of the brightest cells in every channel, less that of all cells; decades.
    """

    markers: tuple[str, ...]
    levels: Floats
    together: Floats
    brightest: Floats

    def as_record(self) -> PatternEntry:
        """The pattern as artefacts hold it; NaN as null."""
        return PatternEntry(
            markers=self.markers,
            levels=_plain(self.levels),
            together=_plain(self.together),
            brightest=_plain(self.brightest),
        )

    @classmethod
    def from_record(cls, entry: PatternEntry) -> StainingPattern:
        """Read what :meth:`as_record` wrote.

        Raises
        ------
        ValueError
            If its parts do not fit each other.
        """
        markers = entry.markers
        parts = [np.array(part, dtype=np.float64) for part in (entry.levels, entry.together, entry.brightest)]
        if any(len(part) != len(markers) for part in parts) or [part.ndim for part in parts] != [2, 2, 3]:
            raise ValueError("a staining pattern of another form")
        return cls(markers, *parts)


def _plain(values: Floats) -> Any:
    rounded = np.round(values, 3).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()


@dataclass(frozen=True)
class Exchange:
    """Two labels that look exchanged, and by how much each fits the other's pattern better."""

    first: str
    second: str
    gain: float


def staining_pattern(
    dyes: Mapping[str, Values], scatter: Mapping[str, Values], ranges: Mapping[str, float]
) -> StainingPattern | None:
    """The pattern of a tube; None where there are too few cells or dyes to tell.

    Parameters
    ----------
    dyes
        Compensated values by marker, each of shape (n_events,).
    scatter
        Scatter channels of the same events; the one whose name begins with SSC is side scatter.
    ranges
        Channel to the top of its range, as the file states it.
    """
    if len(dyes) < 3:
        return None
    n, names = len(dyes), [*dyes, *scatter]
    stride = max(len(next(iter(dyes.values()))) // MOST_EVENTS, 1)
    every = np.column_stack([values[::stride] for values in (*dyes.values(), *scatter.values())]).astype(np.float64)
    every = every[np.isfinite(every).all(axis=1)]
    if len(every) < LEAST_EVENTS:
        return None
    every /= np.array([ranges[name] for name in names])
    side = next((place for place, name in enumerate(names) if place >= n and name.startswith("SSC")), None)
    light = None if side is None else every[:, side]
    decades = np.arcsinh(every / LINEAR_SHARE) / np.log(10.0)
    order = np.ascontiguousarray(decades.T).argsort(
        axis=1, kind="stable"
    )  # one channel at a time, so that it stays in the processor's cache
    ranks = np.empty(order.shape, dtype=np.float64)
    np.put_along_axis(ranks, order, np.arange(order.shape[1], dtype=np.float64)[None, :], axis=1)
    middle = np.median(decades, axis=0)
    brightest = np.empty((n, decades.shape[1], len(BRIGHTEST)))
    for row in range(n):
        for place, share in enumerate(BRIGHTEST):
            bright = order[row, -max(int(share * order.shape[1]), 1) :]
            brightest[row, :, place] = np.median(decades[bright], axis=0) - middle
    with np.errstate(invalid="ignore", divide="ignore"):
        together = np.asarray(np.corrcoef(ranks))[:n]
    return StainingPattern(tuple(dyes), _levels(decades[:, :n], light), together, brightest)


def _levels(decades: Floats, light: Floats | None) -> Floats:
    everything = np.ones(len(decades), dtype=np.bool_)
    classes = [everything, ~everything] if light is None else [light < LOW_SIDE_SCATTER, light >= HIGH_SIDE_SCATTER]
    parts = [
        np.quantile(decades[cells], LEVELS, axis=0).T
        if int(cells.sum()) >= LEAST_IN_CLASS
        else np.full((decades.shape[1], len(LEVELS)), np.nan)
        for cells in classes
    ]
    return np.concatenate(parts, axis=1)


def find_exchange(tube: StainingPattern, controls: Sequence[StainingPattern]) -> Exchange | None:
    """The pair of labels of a tube that look exchanged; None where no pair does.

    Parameters
    ----------
    controls
        Patterns of control tubes of the same panel; those with other markers are left out.
    """
    alike = [_ordered(one, tube.markers) for one in controls if set(one.markers) == set(tube.markers)]
    alike = [one for one in alike if one.together.shape == tube.together.shape]
    if len(alike) < LEAST_CONTROLS:
        return None
    n = len(tube.markers)
    levels = _distances(tube.levels, np.stack([one.levels for one in alike]), USUAL_LEVEL)
    own = np.nanmean(levels, axis=2) if np.isfinite(levels).any(axis=2).all() else np.zeros((n, n))
    together = _distances(tube.together, np.stack([one.together for one in alike]), USUAL_CORRELATION)
    brightest = _distances(tube.brightest, np.stack([one.brightest for one in alike]), USUAL_BRIGHTEST).mean(axis=3)
    beside = (together + brightest) / 2
    best: Exchange | None = None
    for i in range(n):
        for j in range(i + 1, n):
            others = [column for column in range(beside.shape[2]) if column not in (i, j)]
            gains = [
                own[row, row] - own[row, other] + np.nanmean(beside[row, row, others] - beside[row, other, others])
                for row, other in ((i, j), (j, i))
            ]
            gain = float(np.sqrt(gains[0] * gains[1])) / 2 if min(gains) > 0.0 else 0.0
            if gain >= LEAST_GAIN and (best is None or gain > best.gain):
                best = Exchange(tube.markers[i], tube.markers[j], gain)
    return best


def _ordered(one: StainingPattern, markers: tuple[str, ...]) -> StainingPattern:
    """A pattern with its markers in another order."""
    rows = [one.markers.index(name) for name in markers]
    columns = [*rows, *range(len(rows), one.together.shape[1])]
    return StainingPattern(
        markers, one.levels[rows], one.together[np.ix_(rows, columns)], one.brightest[np.ix_(rows, columns)]
    )


def _distances(tube: Floats, controls: Floats, usual: float) -> Floats:
    """Distance of every marker of the tube, second axis, from every marker of the controls, first axis."""
    mean = controls.mean(axis=0)
    spread = np.sqrt(
        (((controls - mean) ** 2).sum(axis=0) + USUAL_TUBES * usual**2) / (len(controls) - 1 + USUAL_TUBES)
    )
    steps = np.abs(tube[None] - mean[:, None]) / spread[:, None]
    return np.asarray(np.log1p(np.minimum(steps, FARTHEST)))

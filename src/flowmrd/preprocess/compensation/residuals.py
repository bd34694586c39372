"""Residual spillover after compensation, per ordered pair of channels.

For a source i and a target j, residual spillover shifts the cells *without* antigen j in proportion to their signal in
i. So only these cells are used: among cells bright in i, the peak of j nearest to its negative cells, within a window
of :data:`WINDOW` times their signal around the level of the negative cells::

    ratio = (mode_j(bright in i) - mode_j(all negatives)) / median_i(bright)

The right matrix gives 0. If all cells bright in i carry antigen j, there is no such peak, and the pair is
``undecided``.

* ``over``: ratio below -:data:`TOLERANCE`, the peak itself lies below 0, and the brighter half of the bright cells lies
  lower than the dimmer half in proportion. No biology makes bright cells more negative, so the matrix is wrong. Without
  the proportion, the tail of cells that all carry antigen j has a peak anywhere (CD45 of B cells).
* ``under``: ratio above +:data:`TOLERANCE`, and in proportion: the brighter half of the bright cells lies further off
  than the dimmer half, by 0.5 to 2 times the ratio. A weakly expressed antigen raises both halves alike. An antigen
  whose amount is proportional to the source's cannot be distinguished from spillover, so this state is only a
  suspicion.
* ``coexpressed``: above the tolerance, but not in proportion.
* ``undecided``: the target has no negative cells at all, or none among the bright cells of the source.
* ``ok``: within the tolerance.

The tolerance (0.02) is a reviewer's rule of thumb for a visible slope; not configurable, because it only raises flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.records.quality import ResidualEntry

__all__ = ["TOLERANCE", "Residual", "measure_residuals"]

Values = npt.NDArray[np.floating[Any]]

TOLERANCE: Final = 0.02
WINDOW: Final = 0.20
BRIGHT: Final = 0.02
"""Bright means above this share of the range: in dimmer cells weakly expressed antigens outweigh spillover."""

MIN_CELLS: Final = 100
NEGATIVE_LIMIT: Final = 0.004
"""A peak counts as negative cells up to this share of the range (1049 of 262144: 0.4 on a usual logicle scale)."""

BINS: Final = 80

State = Literal["ok", "over", "under", "coexpressed", "undecided"]


@dataclass(frozen=True)
class Residual:
    """Residual spillover of one ordered pair: fraction of ``source``'s signal left in ``target``; None if undecided."""

    source: str
    target: str
    ratio: float | None
    slope: float | None
    n_bright: int
    state: State

    def as_record(self) -> ResidualEntry:
        """The residual as ``qc.json`` holds it."""
        return ResidualEntry(
            source=self.source,
            target=self.target,
            ratio=self.ratio,
            slope=self.slope,
            n_bright=self.n_bright,
            state=self.state,
        )


def measure_residuals(columns: Mapping[str, Values], tops: Mapping[str, float]) -> list[Residual]:
    """Residuals of all pairs; sources with fewer than 200 bright cells are left out.

    Parameters
    ----------
    columns
        Compensated raw columns of finite events, each of shape (n_events,); thin them beforehand to save time.
    tops
        Top of the range of each channel; bright means above 2 % of it and in the upper half of such cells.
    """
    negatives = {name: _negative_peak(values, tops[name]) for name, values in columns.items()}
    found: list[Residual] = []
    for source, on in columns.items():
        # Saturated cells have lost signal in the source only, which would look like spillover.
        positive = (on > BRIGHT * tops[source]) & (on < 0.95 * tops[source])
        if int(positive.sum()) < 2 * MIN_CELLS:
            continue
        bright = positive & (on >= np.median(on[positive]))
        signal = on[bright]
        halves = signal < np.median(signal)
        for target, off in columns.items():
            if target != source:
                negative = negatives[target]
                ratio, slope = _displacement(signal, off[bright], halves, negative)
                below_zero = ratio is not None and negative is not None and ratio * float(np.median(signal)) < -negative
                state = _state(ratio, slope, below_zero=below_zero)
                found.append(Residual(source, target, ratio, slope, len(signal), state))
    return found


def _negative_peak(values: Values, top: float) -> float | None:
    """Place of the negative cells: the highest density peak within the negative range, if enough cells are there."""
    limit = NEGATIVE_LIMIT * top
    near = values[np.abs(values) <= limit]
    if len(near) < max(MIN_CELLS, 0.005 * len(values)):
        return None
    return _mode(near, -limit, limit)


def _displacement(
    signal: Values, off: Values, dimmer: npt.NDArray[np.bool_], negative: float | None
) -> tuple[float | None, float | None]:
    if negative is None:
        return None, None
    reach = float(np.median(signal))
    mode = _mode_near(off, negative, WINDOW * reach)
    if mode is None:
        return None, None
    ratio = (mode - negative) / reach
    low, high = float(np.median(signal[dimmer])), float(np.median(signal[~dimmer]))
    first = _mode_near(off[dimmer], negative, WINDOW * low)
    second = _mode_near(off[~dimmer], negative, WINDOW * high)
    slope = None if first is None or second is None or high <= low else (second - first) / (high - low)
    return ratio, slope


def _mode_near(values: Values, centre: float, reach: float) -> float | None:
    near = values[np.abs(values - centre) <= reach]
    if len(near) < max(MIN_CELLS // 2, 0.05 * len(values)):
        return None
    return _mode(near, centre - reach, centre + reach)


def _mode(values: Values, low: float, high: float) -> float | None:
    """Highest point of a smoothed histogram between ``low`` and ``high``; None where it lies at an edge."""
    counts = np.histogram(values, bins=BINS, range=(low, high))[0].astype(np.float64)
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
    density = np.convolve(counts, kernel, mode="same")
    at = int(np.argmax(density))
    if at < 3 or at > BINS - 4:
        return None
    near = slice(max(at - 3, 0), at + 4)
    centres = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    return float(np.average(centres[near], weights=counts[near]))


def _state(ratio: float | None, slope: float | None, *, below_zero: bool) -> State:
    if ratio is None:
        return "undecided"
    proportional = slope is not None and 0.5 <= slope / ratio <= 2.0 if ratio else False
    if ratio < -TOLERANCE and below_zero:
        return "over" if proportional else "undecided"
    if ratio <= TOLERANCE:
        return "ok"
    return "under" if proportional else "coexpressed"

"""Stability over the acquisition: stretches with a disturbed *signal* are masked; the flow rate is only reported.

The acquisition is cut, in event order, into equal bins. In every bin and channel five quantiles (10, 25, 50, 75, 90 %)
of the 0..1 scale (scatter: its logarithm in the same units) are compared with their medians over all bins. A quantile's
deviation is divided by its robust standard deviation over bins (never less than :data:`FLOOR`), and the deviation of
the channel is the *median of the five signed values*: a shift of the signal moves all quantiles the same way, whereas a
change of composition or a bimodal marker moves one or two.

A bin is *shifted* where any channel deviates by more than :data:`LIMIT` robust standard deviations, alone or as the
median of five bins. It is *disturbed* where it does so alone and by more than :data:`MIN_SHIFT`, or where a shift of
any size meets a flow rate :data:`RATE_FACTOR` times off its median (a clog or a bubble: two signs of one fault).
Disturbed bins are masked, with fewer than :data:`BRIDGE` good bins between two of them (PeacoQC's "consecutive bins":
data between two disturbances are not trusted). Shifted bins are only flagged, because a shift that cannot carry a cell
across a gate is no reason to drop a rare event.

Why the flow rate does not mask: a slow stretch holds fewer cells a second, not worse cells, and rare events in it are
as real as any. Clogs and bubbles that harm the signal show in the signal. Rate changes are counted, plotted, flagged.

The idea of bins, MAD and consecutive bins is PeacoQC's (Emmaneel et al., Cytometry A 101:325-338, 2022: 6 MAD,
150 cells a bin, 5 consecutive bins); peaks and isolation tree are replaced by the quantile shift. Slow drift without
a break is not masked: it is measured (Spearman's rho and range of the bins' medians) and flagged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.units import LOGICLE_M

__all__ = ["TimeCheck", "check_time"]

Values = npt.NDArray[np.floating[Any]]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MAX_BINS: Final = 200
MIN_CELLS: Final = 150
MIN_BINS: Final = 10
SAMPLED: Final = 500
"""Events of a bin that enter its quantiles, evenly spaced."""

QUANTILES: Final = (0.10, 0.25, 0.50, 0.75, 0.90)
MEDIAN: Final = 2
"""Position of the median among the quantiles."""

LIMIT: Final = 6.0
MIN_SHIFT: Final = 0.15 / LOGICLE_M
"""Smallest shift that masks: 0.15 decades, about half the spread (0.2 to 0.3 decades) of one normal population."""

NOTED_SHIFT: Final = 0.05 / LOGICLE_M
"""Smallest shift that is flagged: 0.05 decades."""

FLOOR: Final = 0.002
SCATTER_FLOOR: Final = 0.005
BRIDGE: Final = 5
MIN_USABLE: Final = 30
RATE_FACTOR: Final = 2.5
WRAP: Final = 0.95
"""A step back over more than this share of the clock's range is a counter that was full."""
DRIFT_RHO: Final = 0.8
DRIFT_RANGE: Final = 0.05
"""Trend flagged: |Spearman's rho| of bin medians with time, and their 5-95 % range on the 0..1 scale."""


@dataclass(frozen=True)
class TimeCheck:
    """Result of the stability check.

    Attributes
    ----------
    mask
        True for events in disturbed bins, shape (n_events,).
    edges
        First event of each bin, and the event count at the end: shape (n_bins + 1,).
    bad
        Disturbed (masked) bins, shape (n_bins,).
    shifted
        Bins with a significant shift of any size above :data:`NOTED_SHIFT`, shape (n_bins,).
    score
        Largest robust deviation of any channel, shape (n_bins,); ``worst`` names the channel.
    shift
        Shift of that channel on the 0..1 scale, shape (n_bins,).
    rate
        Events per second of each bin, or empty without a time channel.
    seconds
        Time at the start of each bin, or empty.
    medians
        Channel to its median on the 0..1 scale in each bin; empty where the run was not checked.
    drift
        Channel to (Spearman's rho, range of medians) for channels with a trend.
    checked
        False where the run is too short to judge, see ``reason``.
    """

    mask: Mask
    edges: npt.NDArray[np.int64]
    bad: Mask
    shifted: Mask
    score: Float64
    shift: Float64
    worst: tuple[str, ...]
    rate: Float64
    seconds: Float64
    medians: dict[str, Float64] = field(default_factory=dict)
    drift: dict[str, tuple[float, float]] = field(default_factory=dict)
    time_steps_back: int = 0
    checked: bool = True
    reason: str = ""


def check_time(
    channels: Mapping[str, Values],
    time: Values | None,
    *,
    scatter: Collection[str] = (),
    usable: Mask | None = None,
) -> TimeCheck:
    """Find disturbed stretches of a run.

    Parameters
    ----------
    channels
        Columns on the 0..1 scale in file order, each of shape (n_events,).
    time
        Seconds, shape (n_events,), or None where the file has no time channel: the signal is judged all the same.
    scatter
        Names of the linear channels: their shifts are judged as ratios.
    usable
        Events that count as signal (finite, not at a margin); all where absent.
    """
    n = len(next(iter(channels.values())))
    n_bins = min(MAX_BINS, n // MIN_CELLS)
    edges = np.linspace(0, n, max(n_bins, 1) + 1).astype(np.int64)
    rate, seconds, back = _rate(time, edges)
    rows = _sampled_rows(edges, usable)
    judged = sum(len(chosen) >= MIN_USABLE for chosen in rows)
    if judged < MIN_BINS:
        return TimeCheck(
            mask=np.zeros(n, dtype=np.bool_),
            edges=edges,
            bad=np.zeros(len(edges) - 1, dtype=np.bool_),
            shifted=np.zeros(len(edges) - 1, dtype=np.bool_),
            score=np.zeros(len(edges) - 1),
            shift=np.zeros(len(edges) - 1),
            worst=("",) * (len(edges) - 1),
            rate=rate,
            seconds=seconds,
            time_steps_back=back,
            checked=False,
            reason=f"{n} events, {judged} of {len(rows)} bins with enough usable ones, fewer than {MIN_BINS}",
        )
    names = tuple(channels)
    scores = np.zeros((len(names), n_bins))
    sizes = np.zeros((len(names), n_bins))
    shifted = np.zeros(n_bins, dtype=np.bool_)
    drift: dict[str, tuple[float, float]] = {}
    medians: dict[str, Float64] = {}
    for row, name in enumerate(names):
        quantiles = _bin_quantiles(channels[name], rows)
        medians[name] = quantiles[:, MEDIAN]
        if name in scatter:
            quantiles = np.log10(np.maximum(quantiles, SCATTER_FLOOR)) / LOGICLE_M
        centre = np.nanmedian(quantiles, axis=0)
        scores[row], sizes[row] = _deviation(quantiles - centre)
        # Five bins together show a shift that is too small for one; it is flagged, never masked.
        smooth_score, smooth_size = _deviation(_smoothed(quantiles - centre))
        shifted |= (smooth_score > LIMIT) & (np.abs(smooth_size) > NOTED_SHIFT)
        trend = _trend(quantiles[:, MEDIAN])
        if abs(trend[0]) >= DRIFT_RHO and trend[1] >= DRIFT_RANGE:
            drift[name] = trend
    counted = np.where(np.abs(sizes) > NOTED_SHIFT, scores, 0.0)
    shifted |= np.any(counted > LIMIT, axis=0)
    bad = _bridge(np.any((counted > LIMIT) & (np.abs(sizes) > MIN_SHIFT), axis=0) | (shifted & _odd_rate(rate, n_bins)))
    worst = counted.argmax(axis=0)
    score = counted.max(axis=0)
    mask = np.repeat(bad, np.diff(edges))
    return TimeCheck(
        mask=mask,
        edges=edges,
        bad=bad,
        shifted=shifted,
        score=score,
        shift=sizes[worst, np.arange(n_bins)],
        worst=tuple(names[i] if s > 0 else "" for i, s in zip(worst, score, strict=True)),
        rate=rate,
        seconds=seconds,
        medians=medians,
        drift=drift,
        time_steps_back=back,
    )


def _deviation(shift: Float64) -> tuple[Float64, Float64]:
    """Robust score and size of each bin's shift: medians over the quantiles; 0 for bins without quantiles."""
    spread = np.maximum(np.nanmedian(np.abs(shift), axis=0) / 0.6745, FLOOR)
    known = np.isfinite(shift).all(axis=1)
    score, size = np.zeros(len(shift)), np.zeros(len(shift))
    score[known] = np.abs(np.median((shift / spread)[known], axis=1))
    size[known] = np.median(shift[known], axis=1)
    return score, size


def _smoothed(shift: Float64) -> Float64:
    """Median of each bin and its neighbours, :data:`BRIDGE` bins together."""
    reach = BRIDGE // 2
    padded = np.pad(shift, ((reach, reach), (0, 0)), mode="edge")
    return np.median(np.stack([padded[i : i + len(shift)] for i in range(BRIDGE)]), axis=0)


def _sampled_rows(edges: npt.NDArray[np.int64], usable: Mask | None) -> list[npt.NDArray[np.int64]]:
    """Rows of each bin that enter its quantiles: usable, at most :data:`SAMPLED`, evenly spaced."""
    rows = []
    for start, stop in pairwise(edges.tolist()):
        chosen = np.arange(start, stop) if usable is None else start + np.flatnonzero(usable[start:stop])
        if len(chosen) > SAMPLED:
            chosen = chosen[np.linspace(0, len(chosen) - 1, SAMPLED).astype(np.int64)]
        rows.append(chosen)
    return rows


def _bin_quantiles(values: Values, rows: list[npt.NDArray[np.int64]]) -> Float64:
    """Quantiles of each bin, shape (n_bins, 5); NaN for bins with fewer than :data:`MIN_USABLE` events."""
    result = np.full((len(rows), len(QUANTILES)), np.nan)
    full = [i for i, chosen in enumerate(rows) if len(chosen) == SAMPLED]
    if full:
        k = [int(q * (SAMPLED - 1)) for q in QUANTILES]
        chosen = values[np.concatenate([rows[i] for i in full])].reshape(-1, SAMPLED)
        # Sorting float32 is faster than partitioning at five places: numpy sorts with vector instructions.
        result[full] = np.sort(chosen, axis=1)[:, k]
    for i in set(range(len(rows))) - set(full):
        chosen = rows[i]
        if len(chosen) >= MIN_USABLE:
            k = [int(q * (len(chosen) - 1)) for q in QUANTILES]
            result[i] = np.partition(values[chosen], k)[k]
    return result


def _trend(medians: Float64) -> tuple[float, float]:
    """Spearman's rho of bin medians against bin number, and their 5-95 % range."""
    known = medians[np.isfinite(medians)]
    if len(known) < MIN_BINS or float(np.ptp(known)) == 0.0:
        return 0.0, 0.0
    ranks = np.argsort(np.argsort(known, kind="stable"), kind="stable")
    rho = float(np.corrcoef(ranks, np.arange(len(known)))[0, 1])
    low, high = np.quantile(known, [0.05, 0.95])
    return rho, float(high - low)


def _bridge(bad: Mask) -> Mask:
    """Also mask good stretches shorter than :data:`BRIDGE` bins that lie between two disturbed bins."""
    result = bad.copy()
    where = np.flatnonzero(bad)
    for left, right in pairwise(where.tolist()):
        if 1 < right - left <= BRIDGE:
            result[left:right] = True
    return result


def _odd_rate(rate: Float64, n_bins: int) -> Mask:
    """Bins whose flow rate is far off the median; none without a clock."""
    if len(rate) != n_bins:
        return np.zeros(n_bins, dtype=np.bool_)
    usual = float(np.median(rate))
    return np.asarray((rate < usual / RATE_FACTOR) | (rate > usual * RATE_FACTOR))


def unwrapped(time: Values) -> Values:
    """The clock of one run, counted on where it went back to its start after it was full, shape (n_events,).

    Some instruments store time in a counter of 20 bits that wraps. A step back over nearly the whole range of the clock
    is such a wrap where there are two at least: one alone may be two runs of the same length that were joined.
    """
    steps = np.diff(time.astype(np.float64))
    extent = float(np.ptp(time)) if len(time) else 0.0
    wraps = steps < -WRAP * extent
    if extent <= 0.0 or np.count_nonzero(wraps) < 2:
        return time
    out: Values = time + np.concatenate([[0.0], np.cumsum(wraps)]) * extent
    return out


def _rate(time: Values | None, edges: npt.NDArray[np.int64]) -> tuple[Float64, Float64, int]:
    """Events per second and start of each bin, and how often time steps back (concatenated or reset runs)."""
    if time is None or len(time) == 0:
        return np.empty(0), np.empty(0), 0
    time = unwrapped(time)
    back = int(np.count_nonzero(time[1:] < time[:-1]))
    stamps = time[np.minimum(edges, len(time) - 1)].astype(np.float64)
    if not np.isfinite(stamps).all() or float(np.ptp(stamps)) == 0.0:
        return np.empty(0), np.empty(0), back
    duration = np.diff(stamps)
    counts = np.diff(edges).astype(np.float64)
    # A bin that starts and ends within one tick of the clock gets the clock's resolution as its length.
    positive = duration[duration > 0]
    tick = float(positive.min()) if len(positive) else 1.0
    return counts / np.maximum(duration, tick), stamps[:-1], back

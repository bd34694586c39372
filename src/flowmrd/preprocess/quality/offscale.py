"""Off-scale events: of a signal beyond a detector's range, only a lower bound is known.

They are found per detector on the stored values, before compensation: at the top of the range, if the instrument clips
at the range that the file states; and at a value where many events accumulate, because some instruments clip below the
range that they state.

After compensation such an event is not measured in every channel. The light beyond the range is unknown: up to
:data:`OVERFLOW` times the range was observed, and an electronic pulse has none. In every channel that the detector
spills into, the error is this unknown light times the coefficient. A channel is *censored* for the event where this
could shift its value by more than :data:`CENSORED_SHIFT`; the other channels are as well measured as in any cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.quality.margins import EDGE, SMALLEST_RANGE
from flowmrd.preprocess.transform import ChannelScale, choose_top, upper_value
from flowmrd.records.quality import OffScaleEntry
from flowmrd.units import LOGICLE_M

__all__ = ["OFFSCALE_WARN", "DetectorTop", "OffScale", "censored_channels", "find_offscale", "placed_offscale"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint32]

OVERFLOW: Final = 7.0
"""Light that may be missing in an off-scale event, in ranges of its detector: up to eight ranges were seen in all."""

CENSORED_SHIFT: Final = 0.15 / LOGICLE_M
"""A value that the missing light could move by this much is censored: 0.15 decades, half the spread of a population."""

OFFSCALE_WARN: Final = 0.01
"""Share of the events off scale in one detector from which its voltage is called too high. In tubes of two centres
0.15 to 0.45 % of the events were off scale in all detectors together."""

PILE_EVENTS: Final = 3
"""Fewest events at the largest value that can make a pile."""

PILE_BAND: Final = 0.02
"""A pile holds more events than the band of this width, as a share of the value, right below it: the tail of a
population thins out gradually, a clip gathers at its end all that lies beyond."""

LEAST_PILE: Final = 0.02
"""A pile below this share of the range is no clip: an empty channel has all its events at one value."""

STRIDE_EVENTS: Final = 100_000


@dataclass(frozen=True)
class DetectorTop:
    """Value from which a detector is off scale.

    Attributes
    ----------
    edge
        Smallest stored value that is off scale, raw units; infinity where no clip was seen.
    how
        ``range``: the top of the stated range; ``pile``: the value where events accumulate; ``none``.
    top
        Range of the detector, raw units; the light beyond it is expressed in this unit.
    events, share
        Off-scale events.
    """

    edge: float
    how: str
    top: float
    events: int
    share: float

    def as_record(self, censored: int | None) -> OffScaleEntry:
        """The top as ``qc.json`` holds it, with the events in which the channel is no measurement."""
        return OffScaleEntry(
            edge=None if np.isinf(self.edge) else self.edge,
            how=self.how,
            top=self.top,
            events=self.events,
            share=self.share,
            censored=censored,
        )


@dataclass(frozen=True)
class OffScale:
    """Off-scale events of one tube.

    Attributes
    ----------
    masks
        By detector's column, True for off-scale events, shape (n_events,).
    tops
        Detector's column to where its scale ends.
    """

    masks: dict[str, Mask]
    tops: dict[str, DetectorTop]

    @property
    def any(self) -> Mask:
        """True for events that are off scale in one detector at least, shape (n_events,)."""
        found: Mask = np.logical_or.reduce(list(self.masks.values())) if self.masks else np.zeros(0, dtype=np.bool_)
        return found


def find_offscale(stored: Mapping[str, Values], ranges: Mapping[str, float | None]) -> OffScale:
    """Find the off-scale events of every detector.

    Parameters
    ----------
    stored
        Fluorescence columns as stored, before compensation, raw units, each of shape (n_events,).
    ranges
        Column to the range that the file states on the scale of the events, or None.
    """
    n = len(next(iter(stored.values()))) if stored else 0
    upper = upper_value(list(stored.values()), stride=max(n // STRIDE_EVENTS, 1))
    masks: dict[str, Mask] = {}
    tops: dict[str, DetectorTop] = {}
    for name, values in stored.items():
        top = choose_top(ranges.get(name), upper)[0]
        edge, how = _edge(values, top)
        mask = np.asarray(values >= edge) if np.isfinite(edge) else np.zeros(n, dtype=np.bool_)
        events = int(np.count_nonzero(mask))
        masks[name] = mask
        tops[name] = DetectorTop(edge, how, top, events, events / n if n else 0.0)
    return OffScale(masks, tops)


def placed_offscale(stored: Mapping[str, Values], record: Mapping[str, OffScaleEntry]) -> OffScale:
    """Off-scale events by the edges of another tube.

    Parameters
    ----------
    stored
        Fluorescence columns as stored, raw units, each of shape (n_events,).
    record
        ``offscale`` of the other tube's ``qc.json``.
    """
    masks: dict[str, Mask] = {}
    tops: dict[str, DetectorTop] = {}
    for name, facts in record.items():
        if name not in stored:
            continue
        edge = np.inf if facts.edge is None else facts.edge
        masks[name] = np.asarray(stored[name] >= edge)
        events = int(np.count_nonzero(masks[name]))
        share = events / len(masks[name]) if len(masks[name]) else 0.0
        tops[name] = DetectorTop(edge, facts.how, facts.top, events, share)
    return OffScale(masks, tops)


def _edge(values: Values, top: float) -> tuple[float, str]:
    """Smallest off-scale value of a detector and how it is known."""
    largest = float(np.max(values, initial=-np.inf, where=np.isfinite(values)))
    if not np.isfinite(largest) or largest <= 0:
        return np.inf, "none"
    end = min(EDGE * top, top - 1) if top >= SMALLEST_RANGE else EDGE * top
    # Values far beyond the stated range show that the instrument does not clip there.
    candidates = [(end, "range")] if end <= largest <= 1.001 * top else []
    pile = largest * (1.0 - 1e-6)
    if largest >= LEAST_PILE * top:
        at = int(np.count_nonzero(values >= pile))
        below = int(np.count_nonzero(values >= (1.0 - PILE_BAND) * largest)) - at
        if PILE_EVENTS <= at <= len(values) // 2 and at > below:
            candidates.append((pile, "pile"))
    return min(candidates, default=(np.inf, "none"))


def censored_channels(
    offscale: OffScale,
    compensated: Mapping[str, Values],
    scales: Mapping[str, ChannelScale],
    names: tuple[str, ...],
    inverse: npt.NDArray[np.float64] | None,
) -> tuple[Bits, tuple[str, ...]]:
    """Find for every event the channels that are not measured because a detector was off scale.

    Parameters
    ----------
    compensated
        Compensated fluorescence columns of the panel, raw units, each of shape (n_events,).
    scales
        Their scales.
    names, inverse
        Detectors of the spillover matrix in its order, and its inverse (measured row times inverse = light); empty and
        None where nothing was compensated.

    Returns
    -------
    bits
        Shape (n_events,), uint32: bit i is set where channel i is censored; 0 for events on scale.
    channels
        Names of the bits: the columns of ``compensated`` in their order, at most 32.
    """
    channels = tuple(compensated)[:32]
    bits = np.zeros(len(offscale.any), dtype=np.uint32)
    rows = np.flatnonzero(offscale.any)
    if len(rows) == 0:
        return bits, channels
    held = {name: mask[rows] for name, mask in offscale.masks.items() if mask.any()}
    for place, channel in enumerate(channels):
        unknown = np.zeros(len(rows))
        for detector, mask in held.items():
            reach = _reach(detector, channel, names, inverse)
            unknown[mask] += OVERFLOW * offscale.tops[detector].top * reach
        touched = unknown > 0
        values = compensated[channel][rows[touched]].astype(np.float64)
        scale = scales[channel]
        here = scale.apply(values.astype(np.float32))
        moved = np.zeros(len(values), dtype=np.bool_)
        for side in (-1.0, 1.0):
            there = scale.apply((values + side * unknown[touched]).astype(np.float32))
            moved |= np.abs(there - here) > CENSORED_SHIFT
        if channel in held:
            moved |= held[channel][touched]
        bits[rows[touched]] |= moved.astype(np.uint32) << np.uint32(place)
    return bits, channels


def _reach(detector: str, channel: str, names: tuple[str, ...], inverse: npt.NDArray[np.float64] | None) -> float:
    """Part of a detector's stored value that compensation takes into a channel, without sign."""
    if detector == channel:
        return 1.0
    if inverse is None or detector not in names or channel not in names:
        return 0.0
    return float(abs(inverse[names.index(detector), names.index(channel)]))

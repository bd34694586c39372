"""Cut on a viability dye, which dead cells take up.

It is the deepest valley of the dye's density on the 0..1 scale between the largest peak and the population on the
other side. Where there is no valley, the mask is empty and the reason is recorded: a dye without two populations
(nearly all cells alive, or no signal) must not exclude cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.records.quality import DyeEntry

__all__ = ["DyeCut", "find_dye_cut"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

BINS: Final = 256
MAX_EVENTS: Final = 200_000
MIN_EVENTS: Final = 500
"""Fewest usable events of which a cut is estimated."""


@dataclass(frozen=True)
class DyeCut:
    """Threshold of one dye on the 0..1 scale; ``value`` is None where no two populations were seen."""

    channel: str
    value: float | None
    masked_side: Literal["above", "below"]
    reason: str = ""

    def masked(self, values: Values) -> Mask:
        """True for events on the masked side, shape (n_events,)."""
        if self.value is None:
            return np.zeros(len(values), dtype=np.bool_)
        return np.asarray(values > self.value if self.masked_side == "above" else values < self.value)

    def as_record(self) -> DyeEntry:
        """The cut as ``qc.json`` holds it."""
        return DyeEntry(channel=self.channel, value=self.value, masked_side=self.masked_side, reason=self.reason)

    @classmethod
    def from_record(cls, entry: DyeEntry) -> DyeCut:
        """The cut that ``qc.json`` holds."""
        return cls(entry.channel, entry.value, entry.masked_side, entry.reason)


def find_dye_cut(channel: str, values: Values, *, masked_side: Literal["above", "below"], usable: Mask) -> DyeCut:
    """Place the cut beside the main peak: above it for a viability dye, below it for a nucleic acid dye.

    Parameters
    ----------
    values
        The dye on the 0..1 scale, shape (n_events,).
    masked_side
        Side of the cut that is masked.
    usable
        Events that the estimate may use, shape (n_events,).
    """
    seen = values[sampled_rows(len(values), usable, MAX_EVENTS)]
    seen = seen[np.isfinite(seen)]
    if len(seen) < MIN_EVENTS:
        return DyeCut(channel, None, masked_side, f"{len(seen)} usable events, fewer than {MIN_EVENTS}")
    low, high = (float(v) for v in np.quantile(seen, [0.0005, 0.9995]))
    if high - low < 0.1:
        return DyeCut(channel, None, masked_side, "the dye has one population")
    edges = np.linspace(low, high, BINS + 1)
    counts = np.histogram(seen, bins=edges)[0].astype(np.float64)
    kernel = np.exp(-0.5 * (np.arange(-15, 16) / 5.0) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), mode="same")
    grid = 0.5 * (edges[:-1] + edges[1:])
    mode = int(np.argmax(density))
    side = np.arange(mode, BINS) if masked_side == "above" else np.arange(mode, -1, -1)
    profile = density[side]
    # Walking away from the main peak: the valley is the lowest point before the highest later rise.
    running = np.minimum.accumulate(profile)
    rise = profile - running
    far = int(np.argmax(rise))
    if rise[far] < max(3.0, 0.0005 * density[mode]) or profile[far] < 2.0 * running[far]:
        return DyeCut(channel, None, masked_side, "no second population beside the main peak")
    valley = int(np.argmin(profile[: far + 1]))
    return DyeCut(channel, float(grid[side[valley]]), masked_side)

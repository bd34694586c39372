"""Lymphocytes as the landmark of light scatter.

The laboratory chooses the voltages of the scatter detectors, and no file relates them to cell size. Lymphocytes are in
every marrow, spared by therapy, and have the lowest side scatter of the CD45-bright cells. They are searched as a peak
of the two-dimensional density of CD45 against the logarithm of side scatter: of all peaks that hold enough cells the
brightest ones in CD45 are kept, and of these the one with the lowest side scatter is taken. Where a marrow has no
lymphocytes this finds the next cells without granules (lymphoblasts, normal B cells), whose scatter is within a factor
of 1.5 of theirs; where there is no such peak, there is no landmark and the panel's numbers are used unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.gating.density import MAX_EVENTS
from flowmrd.gating.panel_scale import PanelScale
from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.records.gates import LandmarkEntry

__all__ = ["Landmark", "find_landmark"]

Values = npt.NDArray[np.floating[Any]]
Float64 = npt.NDArray[np.float64]

CD45_BIN: Final = 0.02
LOG_BIN: Final = 0.1
CD45_RANGE: Final = (-0.2, 1.2)
LOG_RANGE: Final = (float(np.log(0.004)), float(np.log(1.3)))
SMOOTH: Final = 1.2
"""Standard deviation of the smoothing kernel in bins, both ways."""

BRIGHT: Final = 0.12
"""Peaks within this of the brightest one, on the panel scale (half a decade), are as bright as lymphocytes."""

MIN_SHARE: Final = 0.004
MIN_EVENTS: Final = 100
"""Cells around a peak, as a share of all and in number, below which it may be noise."""

REACH: Final = (0.06, 0.4)
"""Half-width of the region around a peak that is counted and measured: CD45 on the panel scale, ln of side scatter."""

LARGEST_FACTOR: Final = 6.0
"""A landmark further off than this is not believed."""


@dataclass(frozen=True)
class Landmark:
    """Scatter of the lymphocytes of a tube.

    Attributes
    ----------
    levels
        By scatter channel, the median on the stored 0..1 scale; empty where no landmark was found.
    factors
        By scatter channel, the factor to the panel's level; 1 where no landmark was found.
    events
        Number of cells used.
    why
        One sentence.
    """

    levels: Mapping[str, float]
    factors: Mapping[str, float]
    events: int
    why: str

    def as_record(self, applied: Mapping[str, float]) -> LandmarkEntry:
        """The landmark as ``gates.json`` holds it, with the factors that were applied; numbers at 6 digits."""
        return LandmarkEntry(
            levels={name: round(value, 6) for name, value in self.levels.items()},
            factors={name: round(value, 6) for name, value in self.factors.items()},
            events=self.events,
            why=self.why,
            applied={name: round(value, 6) for name, value in applied.items()},
        )


def find_landmark(
    columns: Mapping[str, Values],
    usable: npt.NDArray[np.bool_],
    nominal: Mapping[str, float],
    panel_scale: PanelScale,
    *,
    cd45: str = "CD45",
    side: str = "SSC-A",
) -> Landmark:
    """Find the lymphocytes and the factors that convert their scatter to the panel's levels.

    Parameters
    ----------
    columns
        Stored columns, shape (n_events,) each.
    usable
        Events that may be used.
    nominal
        By scatter channel, the level of lymphocytes in the panel's numbers.
    panel_scale
        Conversion of CD45 to the panel scale.
    """
    none = dict.fromkeys(nominal, 1.0)
    if not nominal:
        return Landmark({}, {}, 0, "the panel names no landmark")
    missing = [name for name in (cd45, side, *nominal) if name not in columns]
    if missing:
        return Landmark({}, none, 0, f"no landmark without {', '.join(dict.fromkeys(missing))}")
    rows = sampled_rows(len(usable), usable, MAX_EVENTS)
    bright = panel_scale.to_panel(cd45, columns[cd45][rows]).astype(np.float64)
    scatter = columns[side][rows].astype(np.float64)
    known = np.isfinite(bright) & (scatter > 0.004)
    rows, bright, scatter = rows[known], bright[known], np.log(scatter[known])
    place = _lymphocytes(bright, scatter)
    if place is None:
        return Landmark({}, none, 0, "no peak of CD45 and side scatter stands out: the panel's numbers as they are")
    near = rows[(np.abs(bright - place[0]) <= REACH[0]) & (np.abs(scatter - place[1]) <= REACH[1])]
    levels = {name: float(np.median(columns[name][near])) for name in nominal}
    factors = {name: nominal[name] / level if level > 0 else np.inf for name, level in levels.items()}
    if any(not 1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR for factor in factors.values()):
        text = ", ".join(f"{name} {level:.3f}" for name, level in levels.items())
        return Landmark({}, none, len(near), f"lymphocytes at {text} are too far off to be believed")
    return Landmark(levels, factors, len(near), "CD45-bright cells with the lowest side scatter")


def _lymphocytes(bright: Float64, scatter: Float64) -> tuple[float, float] | None:
    """CD45 (panel scale) and ln side scatter of the lymphocytes' peak, or None."""
    edges = [np.arange(*CD45_RANGE, CD45_BIN), np.arange(*LOG_RANGE, LOG_BIN)]
    counts = np.histogram2d(bright, scatter, bins=edges)[0]
    smooth = _smoothed(_smoothed(counts, 0), 1)
    inner = smooth[1:-1, 1:-1]
    neighbours = [smooth[1 + i : smooth.shape[0] - 1 + i, 1 + j : smooth.shape[1] - 1 + j]
                  for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]  # fmt: skip
    peaks = np.argwhere((inner > 0) & np.logical_and.reduce([inner >= other for other in neighbours])) + 1
    least = max(MIN_EVENTS, MIN_SHARE * len(bright))
    found = []
    for i, j in peaks:
        x, y = float(edges[0][i] + CD45_BIN / 2), float(edges[1][j] + LOG_BIN / 2)
        held = np.count_nonzero((np.abs(bright - x) <= REACH[0]) & (np.abs(scatter - y) <= REACH[1]))
        if held >= least:
            found.append((x, y))
    if not found:
        return None
    top = max(x for x, _ in found)
    return min((peak for peak in found if peak[0] >= top - BRIGHT), key=lambda peak: (peak[1], -peak[0]))


def _smoothed(counts: Float64, axis: int) -> Float64:
    reach = int(4 * SMOOTH) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTH) ** 2)
    kernel /= kernel.sum()
    return np.apply_along_axis(np.convolve, axis, counts, kernel, mode="same")

"""Detecting exchanged names of pulse height and width: some instruments export each under the other's name.

The area of a pulse is its height times its width, up to a constant. Single cells differ in height but hardly in width,
so height correlates with area. If the channel named width correlates with area and the channel named height does not,
the names are exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["DETECTORS", "PulseCheck", "check_pulses", "exchange_names"]

Values = npt.NDArray[np.floating[Any]]

DETECTORS: Final = ("FSC", "SSC")
MAX_EVENTS: Final = 20_000
MIN_EVENTS: Final = 200
LIKE_AREA: Final = 0.8
"""Rank correlation with the area from which a channel is a height; chosen by hand."""

APART: Final = 0.2
"""The other channel's correlation must be lower by this much; else nothing is exchanged."""

PRODUCT_SD: Final = 0.1
"""Robust SD of ln(area / (height x width)) up to which area is height times width; names are exchanged only then."""


@dataclass(frozen=True)
class PulseCheck:
    """Result for one detector.

    Attributes
    ----------
    exchanged
        Whether the names of height and width are exchanged.
    height, width
        Rank correlation with the area of the channels that are called height and width.
    product_sd
        Robust standard deviation of ln(area / (height x width)).
    """

    exchanged: bool
    height: float
    width: float
    product_sd: float

    def as_record(self) -> dict[str, bool | float]:
        """Plain values for JSON."""
        return {
            "exchanged": self.exchanged,
            "height_like_area": round(self.height, 4),
            "width_like_area": round(self.width, 4),
            "product_sd": round(self.product_sd, 4),
        }


def check_pulses(columns: Mapping[str, Values]) -> dict[str, PulseCheck]:
    """Check every detector that has area, height and width.

    Parameters
    ----------
    columns
        Raw columns, shape (n_events,) each, as the file names them.

    Returns
    -------
    dict
        Result for ``FSC`` and ``SSC``; a detector without all three channels or usable events is left out.
    """
    found: dict[str, PulseCheck] = {}
    for detector in DETECTORS:
        names = [f"{detector}-{part}" for part in "AHW"]
        if any(name not in columns for name in names):
            continue
        stride = max(len(columns[names[0]]) // MAX_EVENTS, 1)
        area, height, width = (np.asarray(columns[name][::stride], dtype=np.float64) for name in names)
        usable = np.ones(len(area), dtype=np.bool_)
        for values in (area, height, width):
            # Clipped pulses break the rule.
            usable &= np.isfinite(values) & (values > 0) & (values < values.max(initial=0.0))
        if np.count_nonzero(usable) < MIN_EVENTS:
            continue
        area, height, width = np.log(area[usable]), np.log(height[usable]), np.log(width[usable])
        like = (_rank_correlation(area, height), _rank_correlation(area, width))
        rest = area - height - width
        spread = float(np.median(np.abs(rest - np.median(rest))) / 0.6745)
        exchanged = like[1] >= LIKE_AREA and like[1] - like[0] >= APART and spread <= PRODUCT_SD
        found[detector] = PulseCheck(exchanged, *like, spread)
    return found


def _rank_correlation(first: Values, second: Values) -> float:
    """Spearman's correlation; 0 where one of them is constant."""
    if float(np.ptp(first)) == 0.0 or float(np.ptp(second)) == 0.0:
        return 0.0
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def exchange_names(checks: Mapping[str, PulseCheck]) -> dict[str, str]:
    """Corrected name by name in the file, for channels whose names are exchanged."""
    names: dict[str, str] = {}
    for detector, check in checks.items():
        if check.exchanged:
            names |= {f"{detector}-H": f"{detector}-W", f"{detector}-W": f"{detector}-H"}
    return names

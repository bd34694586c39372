"""What compensation left behind, per ordered pair of channels.

For a source channel i and a target j the cells *bright* in i are compared with those *dim* in i, both in compensated
raw units::

    ratio = (q_j(bright) - q_j(dim)) / (median_i(bright) - median_i(dim))

q_j is the lower quartile of the target: cells that carry the target's own antibody sit above it, so that it follows the
cells on which only spillover can act. A right matrix gives 0.

* ``over``: ratio below -:data:`TOLERANCE`. No biology makes bright cells more negative, so this is the matrix.
* ``under``: ratio above +:data:`TOLERANCE` *and* the target rises with the source among the bright cells at a slope of
  the same size. Antigens that occur on the same cells lift the target without such a slope.
* ``coexpressed``: the target is lifted, but not in proportion: biology, or not decidable.
* ``ok``: within the tolerance. Pairs with too few bright or dim cells are left out.

The tolerance (0.02) is a reviewer's rule of thumb for a visible slope; not configurable, because it only raises flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Residual", "measure_residuals"]

Values = npt.NDArray[np.floating[Any]]

TOLERANCE: Final = 0.02
MIN_CELLS: Final = 100
MAX_EVENTS: Final = 100_000

State = Literal["ok", "over", "under", "coexpressed"]


@dataclass(frozen=True)
class Residual:
    """Residual spillover of one ordered pair: fraction of ``source``'s signal left in ``target``."""

    source: str
    target: str
    ratio: float
    slope: float
    n_bright: int
    state: State

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def measure_residuals(columns: Mapping[str, Values], tops: Mapping[str, float]) -> list[Residual]:
    """Residuals of all pairs.

    Parameters
    ----------
    columns
        Compensated raw columns of finite events, each of shape (n_events,); thin them beforehand to save time.
    tops
        Top of the range of each channel; bright means above 1 % of it and in the upper half of such cells.
    """
    found: list[Residual] = []
    for source, on in columns.items():
        positive = on > 0.01 * tops[source]
        if int(positive.sum()) < 2 * MIN_CELLS:
            continue
        bright = on >= np.median(on[positive])
        # Saturated cells have lost signal in the source only, which would look like spillover.
        bright &= on < 0.95 * tops[source]
        dim = on <= np.quantile(on, 0.25)
        if int(bright.sum()) < MIN_CELLS or int(dim.sum()) < MIN_CELLS:
            continue
        reach = float(np.median(on[bright]) - np.median(on[dim]))
        if reach <= 0:
            continue
        for target, off in columns.items():
            if target == source:
                continue
            low = float(np.quantile(off[bright], 0.25))
            ratio = (low - float(np.quantile(off[dim], 0.25))) / reach
            slope = _slope(on[bright], off[bright])
            found.append(Residual(source, target, ratio, slope, int(bright.sum()), _state(ratio, slope)))
    return found


def _slope(on: Values, off: Values) -> float:
    """Rise of the target's lower half per unit of source between the dimmer and the brighter third of bright cells."""
    first, second = np.quantile(on, [1 / 3, 2 / 3])
    dimmer, brighter = on <= first, on >= second
    reach = float(np.median(on[brighter]) - np.median(on[dimmer]))
    if reach <= 0:
        return 0.0
    return float(np.quantile(off[brighter], 0.25) - np.quantile(off[dimmer], 0.25)) / reach


def _state(ratio: float, slope: float) -> State:
    if ratio < -TOLERANCE:
        return "over"
    if ratio <= TOLERANCE:
        return "ok"
    return "under" if 0.5 * ratio <= slope <= 2.0 * ratio else "coexpressed"

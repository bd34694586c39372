"""Common brightness factor between the instrument's values and the numbers of the panel.

The bounds of cuts were set on one instrument. On another one the same cells may be a quarter or four times as bright
relative to the top of the range, for instance with 20 bits where the laboratory keeps the signals that it had with 18
bits. Most cuts then end at a bound. One factor for all colours converts such values to those of the panel, as the
landmark does for scatter.

On simulated tubes 5 or 6 of 27 cuts (``ino10``) and 5 of 20 (``vienna_b8``) end at a bound; with all colours at a
quarter, a third, three or twice their brightness 12 to 20 do (``python -m benchmarks.gating_brightness``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.gating.panel_scale import tube_panel_scale
from flowmrd.gating.placement import Placement
from flowmrd.gating.raw_units import resolved_gates
from flowmrd.gating.shapes import Columns
from flowmrd.gating.tree import evaluate_tree
from flowmrd.panel.gates import CutGate, Gate
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.transform import ChannelScale

__all__ = [
    "MOST_AT_BOUNDS",
    "ScaledTube",
    "at_bound",
    "common_brightness",
    "cuts_at_bounds",
    "dye_factors",
    "share_at_bounds",
]

Mask = npt.NDArray[np.bool_]

MOST_AT_BOUNDS: Final = 0.52
"""Above this share of the estimated cuts the bounds are called those of another instrument. Two real day-15 tubes of
the instrument that the bounds of ``vienna_b8`` were written for have 9 of 20 (optional shared data)."""

STEPS: Final = (0.5, 2.0, 0.25, 4.0, 0.125, 8.0)
"""Factors that are tried; within half a step of the true one bounds are wide enough."""

LEAST_GAIN: Final = 0.25
FEW_AT_BOUNDS: Final = 0.4
"""A factor is taken if it frees at least the first share of the cuts and leaves at most the second at a bound."""

EVENTS: Final = 40_000
"""Evenly spaced events of each tube that are looked at."""


@dataclass(frozen=True)
class ScaledTube:
    """A tube as stored: columns, analysable events, their scales, and factors of its scatter channels."""

    columns: Columns
    analysable: Mask
    scales: Mapping[str, ChannelScale]
    factors: Mapping[str, float]


def at_bound(gate: Gate, placement: Placement) -> bool:
    """Whether an estimated threshold ended at a bound of the panel, so that the right threshold may lie beyond it."""
    if not isinstance(gate, CutGate) or placement.source not in ("sample", "reference", "sample-shift"):
        return False
    if gate.estimator in ("fixed", "top") or "threshold" not in placement.nominal:
        return False
    return bool(np.isclose(gate.bounds, placement.nominal["threshold"], rtol=0.0, atol=1e-6).any())


def cuts_at_bounds(gates: Sequence[Gate], placements: Iterable[Placement]) -> tuple[list[str], int]:
    """Cuts whose estimate ended at a bound, and the number of estimated cuts."""
    held, estimated = [], 0
    for gate, placement in zip(gates, placements, strict=True):
        if isinstance(gate, CutGate) and gate.estimator not in ("fixed", "top") and placement.nominal:
            estimated += placement.source in ("sample", "reference", "sample-shift")
            held += [gate.name] if at_bound(gate, placement) else []
    return held, estimated


def share_at_bounds(gates: Sequence[Gate], placements: Iterable[Placement]) -> float:
    """Share of the estimated cuts that ended at a bound; 0 where none was estimated."""
    held, estimated = cuts_at_bounds(gates, placements)
    return len(held) / max(estimated, 1)


def common_brightness(tubes: Sequence[ScaledTube], panel: PanelModel) -> float:
    """Factor that brings raw values of all colours to the numbers of the panel; 1 unless most cuts end at a bound."""
    usual = _share(tubes, panel, 1.0)
    if usual <= MOST_AT_BOUNDS:
        return 1.0
    best, share = 1.0, usual
    for factor in STEPS:
        found = _share(tubes, panel, factor)
        if found < share - 1e-9:
            best, share = factor, found
    return best if usual - share >= LEAST_GAIN and share <= FEW_AT_BOUNDS else 1.0


def dye_factors(scales: Mapping[str, ChannelScale], brightness: float) -> dict[str, float]:
    """Factor of every colour; empty where there is nothing to multiply."""
    if brightness == 1.0:
        return {}
    return {marker: brightness for marker, scale in scales.items() if scale.kind == "logicle"}


def _share(tubes: Sequence[ScaledTube], panel: PanelModel, factor: float) -> float:
    shares = []
    for tube in tubes:
        step = max(1, -(-len(tube.analysable) // EVENTS))
        thin: dict[str, npt.NDArray[np.float32]] = {name: values[::step] for name, values in tube.columns.items()}
        panel_scale = tube_panel_scale(panel, tube.scales, {**tube.factors, **dye_factors(tube.scales, factor)})
        gates = resolved_gates(panel, panel_scale, tube.scales)
        result = evaluate_tree(thin, gates, usable=tube.analysable[::step], panel_scale=panel_scale, final=False)
        shares.append(share_at_bounds(gates, result.placements))
    return float(np.median(shares)) if shares else 0.0

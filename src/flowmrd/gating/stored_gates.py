"""Rebuilding placed gates from ``gates.json``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flowmrd.gating.placement import Placement
from flowmrd.gating.shapes import Nothing, shape_from_record
from flowmrd.gating.tree import GateResult
from flowmrd.records.gates import GateEntry

__all__ = ["placements_from_record", "result_from_record", "unplaced_result"]


def placements_from_record(entries: Sequence[GateEntry]) -> tuple[Placement, ...]:
    """Placement of every gate, in the order of the tree; ``entries`` is ``gates`` of ``gates.json``."""
    return tuple(
        Placement(
            entry.name,
            Nothing() if entry.state == "unavailable" else shape_from_record(entry.shape),
            entry.state,
            entry.source,
            entry.how,
            entry.why,
            entry.parent_events,
            dict(entry.parameters),
            entry.shift_decades,
        )
        for entry in entries
    )


def result_from_record(
    entries: Sequence[GateEntry], names: tuple[str, ...], bits: npt.NDArray[np.uint64]
) -> GateResult:
    """A gated tube from its record and its stored bits, shape (n_events,). The bits of helper gates are not stored."""
    placements = placements_from_record(entries)
    none = np.zeros(len(bits), dtype=np.uint64)
    return GateResult(tuple(placement.name for placement in placements), placements, names, bits, (), none)


def unplaced_result(names: tuple[str, ...], bits: npt.NDArray[np.uint64]) -> GateResult:
    """A gated tube from its stored bits alone, uint64 of shape (n_events,), without the placement of its gates."""
    placements = tuple(Placement(name, Nothing(), "ok", "default", "none", "not recorded", 0) for name in names)
    return GateResult(names, placements, names, bits, (), np.zeros(len(bits), dtype=np.uint64))

"""A tree of drawn gates: regions on the axes they were drawn on, combinations of other gates, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.gating.experts.expert_gates import GateBorder, GatePath, Mask, spelled
from flowmrd.gating.shapes import Polygon, Rectangle

__all__ = ["CombinedGate", "DrawnGate", "RefusedGateError", "evaluate"]


class RefusedGateError(Exception):
    """One gate cannot be evaluated; the text says why. It ends as an entry of the refused gates."""


@dataclass(frozen=True)
class DrawnGate:
    """A region.

    Attributes
    ----------
    columns
        Axis to the place of every event on it, as the expert saw it.
    shape
        Region on these axes.
    outline
        Its border in values.
    """

    path: GatePath
    parent: GatePath | None
    columns: Mapping[str, npt.NDArray[np.floating[Any]]] = field(repr=False)
    shape: Rectangle | Polygon
    outline: GateBorder


@dataclass(frozen=True)
class CombinedGate:
    """Events of a parent that are in all, in any, or in none of other gates."""

    path: GatePath
    parent: GatePath | None
    how: Literal["all", "any", "none"]
    of: tuple[GatePath, ...]


def evaluate(
    gates: Sequence[DrawnGate | CombinedGate], refused: Mapping[GatePath, str], n_events: int
) -> tuple[dict[GatePath, Mask], dict[GatePath, str]]:
    """Events of every gate, shape (n_events,), and every gate that cannot be evaluated with the reason.

    A gate below a refused one, or made of one, is refused as well.
    """
    masks: dict[GatePath, Mask] = {}
    reasons = dict(refused)
    waiting = list(gates)
    while waiting:
        later = []
        for gate in waiting:
            needed = [*([gate.parent] if gate.parent else []), *(gate.of if isinstance(gate, CombinedGate) else ())]
            bad = next((path for path in needed if path in reasons), None)
            if bad is not None:
                reasons[gate.path] = f"it needs the gate {spelled(bad)}, which cannot be evaluated"
            elif all(path in masks for path in needed):
                inside = np.ones(n_events, dtype=np.bool_) if gate.parent is None else masks[gate.parent]
                masks[gate.path] = inside & _inside(gate, masks)
            else:
                later.append(gate)
        if len(later) == len(waiting):
            reasons |= {gate.path: "it refers to a gate that the file does not hold, or to itself" for gate in later}
            later = []
        waiting = later
    return masks, reasons


def _inside(gate: DrawnGate | CombinedGate, masks: Mapping[GatePath, Mask]) -> Mask:
    if isinstance(gate, DrawnGate):
        return gate.shape.inside(gate.columns)
    parts = [masks[path] for path in gate.of]
    if gate.how == "all":
        return np.asarray(np.logical_and.reduce(parts))
    inside = np.asarray(np.logical_or.reduce(parts))
    return inside if gate.how == "any" else ~inside

"""Evaluating a gate tree: every gate is placed and applied, with one bit per gate and event."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import GateError
from flowmrd.gating.cuts import estimate_cut, frozen_cut, own_cut, snapped
from flowmrd.gating.panel_scale import STORED, PanelScale
from flowmrd.gating.placement import Parameters, Placement, build_shape, estimate_geometry
from flowmrd.gating.shapes import Columns, Combination, Everything, Nothing, Rectangle, Shape
from flowmrd.panel.gates import ROOT, BooleanGate, CutGate, DebrisGate, Gate, SingletGate

__all__ = ["FrozenGate", "GateResult", "apply_placements", "available_gates", "evaluate_tree"]

Mask = npt.NDArray[np.bool_]

MAX_SUBSET: Final = 0.25
"""Shapes that take long to evaluate look only at the parent's events if these are fewer than this share of all."""


@dataclass(frozen=True)
class FrozenGate:
    """Numbers that replace an estimate: the controls' pooled ones, moved by the anchors.

    Attributes
    ----------
    parameters
        The numbers to use; thresholds of cuts on the panel scale.
    shift
        Part of them that is due to the anchors, in decades (0 where none).
    geometry
        True for gates that follow the instrument's pulse shape: the tube's own estimate is preferred.
    label
        Name of the reference for the record.
    """

    parameters: Parameters
    shift: float
    geometry: bool
    label: str


@dataclass(frozen=True)
class GateResult:
    """A tree applied to one tube.

    Attributes
    ----------
    names
        All gates in the order of the panel file.
    placements
        One for each gate.
    stored
        Gates in the order of the bits: those that are no helpers.
    bits
        uint64, shape (n_events,): bit i is set where the event is inside stored gate i and all its ancestors.
    helpers, helper_bits
        The same for helper gates.
    """

    names: tuple[str, ...]
    placements: tuple[Placement, ...]
    stored: tuple[str, ...]
    bits: npt.NDArray[np.uint64]
    helpers: tuple[str, ...]
    helper_bits: npt.NDArray[np.uint64]

    def inside(self, name: str) -> Mask:
        """True inside a gate, shape (n_events,); an unavailable gate holds no event.

        Raises
        ------
        GateError
            If the tree has no gate of this name.
        """
        for names, bits in ((self.stored, self.bits), (self.helpers, self.helper_bits)):
            if name in names:
                return np.asarray((bits & np.uint64(1 << names.index(name))) != 0)
        raise GateError(
            f"gate {name[:80]!r}",
            found="no such gate in the tree",
            expected=f"one of {', '.join(self.names)}",
            todo="correct the name of the gate",
        )

    def placement(self, name: str) -> Placement:
        """Placement of a gate by name."""
        return self.placements[self.names.index(name)]

    def available(self, name: str) -> bool:
        """Whether the gate exists and could be placed."""
        return name in self.names and self.placement(name).state != "unavailable"


def evaluate_tree(
    columns: Columns,
    gates: Sequence[Gate],
    *,
    usable: Mask | None = None,
    frozen: Mapping[str, FrozenGate] | None = None,
    overrides: Mapping[str, Shape] | None = None,
    panel_scale: PanelScale = STORED,
    final: bool = True,
) -> GateResult:
    """Place and apply every gate of a tree.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale as stored, each of shape (n_events,).
    gates
        Parents before children (``flowmrd.panel.gates.check_tree``).
    usable
        Events that may be used for estimates; gates are always applied to all events.
    frozen
        Pooled numbers of the controls by gate.
    overrides
        Shapes set by a reviewer by gate, on the scale as stored.
    panel_scale
        Conversion of the columns to the panel scale, which all numbers of the panel file use.
    final
        Whether to move thresholds into gaps between events (:func:`flowmrd.gating.cuts.snap`) and to keep the densities
        that explain them. A first pass, of which only the populations are used, needs neither.
    """
    n = len(next(iter(columns.values()))) if columns else 0
    stored, helpers = _BitColumn(n), _BitColumn(n)
    masks: dict[str, Mask] = {ROOT: np.ones(n, dtype=np.bool_)}
    states: dict[str, bool] = {ROOT: True}
    placements: list[Placement] = []
    for gate in gates:
        parent = masks[gate.parent]
        within = masks[gate.estimate_in] if isinstance(gate, CutGate) and gate.estimate_in else parent
        if usable is not None and isinstance(gate, CutGate | SingletGate | DebrisGate):
            within = within & usable
        missing = _missing(gate, columns, states)
        if missing:
            placement = Placement(gate.name, Nothing(), "unavailable", "default", "none", missing, 0)
        else:
            known = (frozen or {}).get(gate.name)
            placement = _place(gate, columns, within, masks, known, overrides or {}, panel_scale, explain=final)
        side = None
        if final and isinstance(gate, CutGate) and placement.parameters:
            placement, side = snapped(gate, placement, columns)
        mask = _apply(placement.shape, columns, parent, masks, states) if side is None else side & parent
        masks[gate.name] = mask
        states[gate.name] = placement.state != "unavailable"
        placements.append(placement)
        (helpers if gate.helper else stored).add(gate.name, mask)
    return GateResult(
        tuple(gate.name for gate in gates),
        tuple(placements),
        tuple(stored.names),
        stored.column(),
        tuple(helpers.names),
        helpers.column(),
    )


def apply_placements(columns: Columns, gates: Sequence[Gate], placements: Sequence[Placement]) -> GateResult:
    """Apply gates that have been placed already, in this tube or another; nothing is estimated.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, stored with the scales of the tube that the gates were placed in; each of shape
        (n_events,).
    gates, placements
        The tree, parents before children, and the place of each of its gates in the same order.
    """
    n = len(next(iter(columns.values()))) if columns else 0
    stored, helpers = _BitColumn(n), _BitColumn(n)
    masks: dict[str, Mask] = {ROOT: np.ones(n, dtype=np.bool_)}
    states: dict[str, bool] = {ROOT: True}
    for gate, placement in zip(gates, placements, strict=True):
        mask = _apply(placement.shape, columns, masks[gate.parent], masks, states)
        masks[gate.name] = mask
        states[gate.name] = placement.state != "unavailable"
        (helpers if gate.helper else stored).add(gate.name, mask)
    names = tuple(gate.name for gate in gates)
    return GateResult(
        names, tuple(placements), tuple(stored.names), stored.column(), tuple(helpers.names), helpers.column()
    )


class _BitColumn:
    """Up to 64 masks, packed byte by byte because that is what the processor's cache likes."""

    def __init__(self, n: int) -> None:
        self.names: list[str] = []
        self._n = n
        self._bytes: list[npt.NDArray[np.uint8]] = []

    def add(self, name: str, mask: Mask) -> None:
        """Give the next bit to a mask of shape (n_events,)."""
        place = len(self.names)
        if place % 8 == 0:
            self._bytes.append(np.zeros(self._n, dtype=np.uint8))
        self._bytes[-1] |= mask.view(np.uint8) << np.uint8(place % 8)
        self.names.append(name)

    def column(self) -> npt.NDArray[np.uint64]:
        """The masks as one uint64 column of shape (n_events,), first mask in the lowest bit."""
        bits = np.zeros(self._n, dtype="<u8")
        table = bits.view(np.uint8).reshape(self._n, 8)
        for index, column in enumerate(self._bytes):
            table[:, index] = column
        return bits


def available_gates(gates: Sequence[Gate], channels: Collection[str]) -> frozenset[str]:
    """Gates that can be placed in a tube with these channels, whatever its events are.

    Parameters
    ----------
    gates
        Parents before children.
    """
    columns = dict.fromkeys(channels, np.empty(0, dtype=np.float32))
    states = {ROOT: True}
    for gate in gates:
        states[gate.name] = not _missing(gate, columns, states)
    return frozenset(name for name, possible in states.items() if possible)


def _missing(gate: Gate, columns: Columns, states: Mapping[str, bool]) -> str:
    """Why a gate cannot be looked for; empty where it can."""
    absent = [channel for channel in (*gate.dimensions(), *gate.needs) if channel not in columns]
    if isinstance(gate, SingletGate):
        absent = [channel for channel in gate.needs if channel not in columns]
    if absent:
        return f"the file has no {', '.join(dict.fromkeys(absent))}"
    if not states[gate.parent]:
        return f"its parent {gate.parent} is unavailable"
    if isinstance(gate, BooleanGate):
        lost = [name for name in (*gate.all_of, *gate.none_of) if not states[name]]
        if lost:
            return f"{', '.join(lost)} is unavailable"
        available = [name for name in dict.fromkeys(gate.any_of) if states[name]]
        if gate.any_of and len(available) < gate.at_least:
            few = "none" if not available else f"only {', '.join(available)}"
            return f"{few} of {', '.join(gate.any_of)} is available"
    if isinstance(gate, CutGate):
        lost = [name for name in gate.references() if not states[name]]
        if lost:
            return f"{', '.join(lost)}, which its estimate needs, is unavailable"
    return ""


def _place(
    gate: Gate,
    columns: Columns,
    within: Mask,
    masks: Mapping[str, Mask],
    frozen: FrozenGate | None,
    overrides: Mapping[str, Shape],
    panel_scale: PanelScale,
    *,
    explain: bool,
) -> Placement:
    if gate.name in overrides:
        n = int(np.count_nonzero(within))
        return Placement(gate.name, overrides[gate.name], "ok", "override", "manual", "set by a reviewer", n)
    if frozen is None or not isinstance(gate, CutGate | SingletGate | DebrisGate):
        return _estimate(gate, columns, within, masks, panel_scale)
    if isinstance(gate, CutGate) and gate.own_tube and gate.estimator == "negative_quantile":
        return _estimate(gate, columns, within, masks, panel_scale)
    if isinstance(gate, CutGate) and gate.own_tube:
        return own_cut(gate, frozen.parameters, columns, within, masks, panel_scale, frozen.label)
    n = int(np.count_nonzero(within))
    few = n < gate.min_events
    if frozen.geometry and not few:
        own = _estimate(gate, columns, within, masks, panel_scale)
        if own.source == "sample":
            return own
    if isinstance(gate, CutGate):
        placed = frozen_cut(gate, frozen.parameters["threshold"], columns, within, panel_scale, explain=explain)
    else:
        shape = build_shape(gate, frozen.parameters, columns, panel_scale)
        placed = Placement(gate.name, shape, "ok", "reference", "", "", n, dict(frozen.parameters))
    why = f"frozen gate of {frozen.label}"
    if frozen.shift:
        why += f", moved by {frozen.shift:+.2f} decades with the anchor cells"
    if few:
        why = f"{n} events to look at, fewer than {gate.min_events}: " + why
    return replace(
        placed,
        state="insufficient_parent" if few else "ok",
        source="sample-shift" if frozen.shift else "reference",
        how="reference",
        why=why,
        shift=frozen.shift,
    )


def _estimate(
    gate: Gate, columns: Columns, within: Mask, masks: Mapping[str, Mask], panel_scale: PanelScale
) -> Placement:
    if isinstance(gate, CutGate):
        return estimate_cut(gate, columns, within, masks, panel_scale)
    return estimate_geometry(gate, columns, within, panel_scale)


def _apply(shape: Shape, columns: Columns, parent: Mask, masks: Mapping[str, Mask], states: Mapping[str, bool]) -> Mask:
    if isinstance(shape, Nothing):
        return np.zeros(len(parent), dtype=np.bool_)
    if isinstance(shape, Everything):
        return parent.copy()
    if isinstance(shape, Combination):
        result = parent.copy()
        for name in shape.all_of:
            result &= masks[name]
        available = [masks[name] for name in dict.fromkeys(shape.any_of) if states[name]]
        if shape.any_of and shape.at_least == 1:
            union = np.zeros(len(parent), dtype=np.bool_)
            for mask in available:
                union |= mask
            result &= union
        elif shape.any_of:
            held = np.zeros(len(parent), dtype=np.uint8)
            for mask in available:
                held += mask.view(np.uint8)
            result &= held >= shape.at_least
        for name in shape.none_of:
            if states[name]:
                result &= ~masks[name]
        return result
    if not isinstance(shape, Rectangle) and np.count_nonzero(parent) < MAX_SUBSET * len(parent):
        rows = np.flatnonzero(parent)
        result = np.zeros(len(parent), dtype=np.bool_)
        result[rows] = shape.inside(_Rows(columns, rows))
        return result
    return np.asarray(shape.inside(columns)) & parent


class _Rows(Mapping[str, npt.NDArray[np.float32]]):
    """Some rows of every column, taken when asked for."""

    def __init__(self, columns: Columns, rows: npt.NDArray[np.intp]) -> None:
        self._columns, self._rows = columns, rows

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        return self._columns[name][self._rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

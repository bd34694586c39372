"""Flags about the gates of a tube."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.flags import Flag, flag
from flowmrd.gating.brightness import MOST_AT_BOUNDS, cuts_at_bounds
from flowmrd.gating.reference import AnchorShift
from flowmrd.gating.tree import GateResult
from flowmrd.panel.gates import Gate, window_gate
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.records.gates import MissingRoute

__all__ = ["REQUIRED", "gate_flags", "missing_routes", "nucleated_by", "required_gates"]

REQUIRED: Final = ("singlets", "nucleated", "mononuclear", "b_lineage")
"""Gates that every tree defines: denominators and the classifier's window."""

KNOWN_ROUTES: Final = {
    "route_cd19": "CD19",
    "route_cd22": "CD22",
    "route_cd24": "CD24",
    "route_precursor": "CD10 or CD34",
}

WITHOUT_CD19: Final = ("route_cd22", "route_cd24")
"""Routes by markers that blasts hardly ever lose together with CD19; steroids may shift those of other routes."""


def required_gates(names: Collection[str]) -> tuple[str, ...]:
    """Gates that a tube with this tree must have: :data:`REQUIRED`, with the window that its tree has.

    Where a tree has a window of its own, a tube without ``b_lineage`` can still be searched; its B cells are not
    counted.
    """
    return tuple(window_gate(names) if name == "b_lineage" else name for name in REQUIRED)


def nucleated_by(panel: PanelModel, present: Sequence[str]) -> str:
    """``dye`` where the tube has a nucleic acid dye, else ``scatter``."""
    dyes = [channel.marker for channel in panel.channels if channel.kind is ChannelKind.NUCLEIC_ACID]
    return "dye" if any(marker in present for marker in dyes) else "scatter"


def missing_routes(panel: PanelModel, result: GateResult) -> tuple[MissingRoute, ...]:
    """Routes into the B lineage that this panel or tube lacks, with the reason."""
    missing = []
    defined = {gate.name: gate for gate in panel.gates if gate.route}
    for route, marker in KNOWN_ROUTES.items():
        if route not in defined:
            missing.append(MissingRoute(route=route, why=f"the panel has no route by {marker}"))
    for name in defined:
        if not result.available(name):
            missing.append(MissingRoute(route=name, why=result.placement(name).why))
    return tuple(missing)


def gate_flags(
    panel: PanelModel,
    result: GateResult,
    shifts: Mapping[str, AnchorShift],
    analysable: npt.NDArray[np.bool_],
    *,
    scatter_only: bool,
    has_reference: bool,
    prior_therapy: str = "none",
    gates: Sequence[Gate] | None = None,
    brightness: float = 1.0,
) -> list[Flag]:
    """Flags of one tube: required gates, parents that were too small, shifts at their bound, routes, manual gates.

    Parameters
    ----------
    gates
        The panel's gates with their bounds on the panel scale; those of the panel where absent.
    brightness
        Factor by which raw values were multiplied for the bounds.
    analysable
        True for analysable events, shape (n_events,).
    """
    flags = _unavailable(result)
    if result.available("nucleated") and not np.any(result.inside("nucleated") & analysable):
        flags.append(flag("NO_NUCLEATED_CELLS"))
    if "cd19" in prior_therapy.split("+") and not any(result.available(route) for route in WITHOUT_CD19):
        flags.append(flag("CD19_LOSS_UNSEEN"))
    flags += _small_parents(result)
    flags += _bounded(shifts, {gate.name: gate.title or gate.name for gate in panel.gates})
    flags += _of_another_instrument(gates or panel.gates, result, brightness)
    flags += _set_by_hand(panel, result)
    if not has_reference:
        flags.append(flag("GATES_WITHOUT_CONTROLS"))
    if scatter_only:
        flags.append(flag("NUCLEATED_BY_SCATTER"))
    return flags


def _unavailable(result: GateResult) -> list[Flag]:
    """Gates that every tube needs and this one cannot have."""
    flags = []
    for name in required_gates(result.names):
        if not result.available(name):
            why = result.placement(name).why if name in result.names else "the panel does not define it"
            flags.append(flag("REQUIRED_GATE_UNAVAILABLE", gate=name, why=why))
    return flags


def _small_parents(result: GateResult) -> list[Flag]:
    """Thresholds used for gates whose parent holds too few cells to place them in this tube."""
    few = [placed for placed in result.placements if placed.state == "insufficient_parent"]
    if not few:
        return []
    frozen = [placed.name for placed in few if placed.source in {"reference", "sample-shift"}]
    own = [placed.name for placed in few if placed.source == "fallback"]
    parts = [f"frozen reference gates stand for {', '.join(frozen)}"] if frozen else []
    parts += [f"the panel's fallbacks stand for {', '.join(own)}"] if own else []
    return [flag("GATE_PARENT_TOO_SMALL", stand_ins="; ".join(parts))]


def _bounded(shifts: Mapping[str, AnchorShift], titles: Mapping[str, str]) -> list[Flag]:
    """Channels that would shift further than is believed and than controls do, and those without cells to show it."""
    flags = []
    bound = [shift for shift in shifts.values() if shift.beyond_controls]
    if bound:
        text = ", ".join(
            f"{shift.channel} ({shift.measured:+.2f} decades in {titles.get(shift.population, shift.population)})"
            for shift in bound
        )
        flags.append(flag("GATE_SHIFT_AT_BOUND", shifts=text))
    alone: dict[str, list[str]] = {}
    for shift in shifts.values():
        if shift.measured is None:
            alone.setdefault(shift.why.removesuffix(": no shift"), []).append(shift.channel)
    if alone:
        text = "; ".join(f"{', '.join(channels)} ({why})" for why, channels in alone.items())
        flags.append(flag("GATE_ANCHOR_TOO_SMALL", channels=text))
    return flags


def _of_another_instrument(gates: Sequence[Gate], result: GateResult, brightness: float) -> list[Flag]:
    """Whether the panel's bounds are those of this instrument."""
    flags = []
    if brightness != 1.0:
        flags.append(flag("BOUNDS_FOLLOW_INSTRUMENT", factor=f"{1 / brightness:g}"))
    held, estimated = cuts_at_bounds(gates, result.placements)
    if len(held) > MOST_AT_BOUNDS * estimated:
        flags.append(flag("GATES_AT_BOUNDS", held=len(held), estimated=estimated))
    return flags


def _set_by_hand(panel: PanelModel, result: GateResult) -> list[Flag]:
    titles = {gate.name: gate.title or gate.name for gate in panel.gates}
    manual = [titles[placed.name] for placed in result.placements if placed.source == "override"]
    return [flag("GATES_SET_BY_HAND", gates=", ".join(manual))] if manual else []

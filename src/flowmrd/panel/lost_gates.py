"""Gates that are lost when channels are missing."""

from __future__ import annotations

from collections.abc import Iterable

from flowmrd.panel.gates import BooleanGate, Gate
from flowmrd.panel.model import PanelModel

__all__ = ["lost_gates"]


def lost_gates(panel: PanelModel, absent: Iterable[str], *, exclusions: bool = True) -> tuple[str, ...]:
    """Gates that a tube without these channels cannot have, in the order of the panel.

    Parameters
    ----------
    exclusions
        Whether a gate also counts as lost when a gate that it excludes (``none_of``) is lost, as in a tube.
    """
    missing = set(absent)
    lost: set[str] = set()
    for gate in panel.gates:
        asked = {*gate.needs, *(gate.dimensions() if gate.method != "singlet" else ())}
        if asked & missing or gate.parent in lost or _cannot_do_without(gate, lost, exclusions):
            lost.add(gate.name)
    return tuple(gate.name for gate in panel.gates if gate.name in lost)


def _cannot_do_without(gate: Gate, lost: set[str], exclusions: bool) -> bool:
    if not isinstance(gate, BooleanGate):
        return bool(lost & set(gate.references()))
    left = [name for name in dict.fromkeys(gate.any_of) if name not in lost]
    if not exclusions and not set(gate.references()) - lost:
        return True
    needed = {*gate.all_of, *(gate.none_of if exclusions else ())}
    return bool(lost & needed) or bool(gate.any_of and len(left) < gate.at_least)

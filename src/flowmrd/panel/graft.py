"""Gates of one panel for markers that the gate tree of another does not look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from flowmrd.panel.gates import MAX_ROUTES, BooleanGate, Gate
from flowmrd.panel.lost_gates import lost_gates
from flowmrd.panel.model import ChannelKind, PanelModel

__all__ = ["grafted", "markers_of_gates"]

LISTS: Final = ("any_of", "none_of", "unless")
"""Lists of a Boolean gate that take in grafted gates."""


def markers_of_gates(panel: PanelModel, present: Collection[str]) -> set[str]:
    """Colours that a gate looks at which a tube with these channels can have."""
    absent = [channel.marker for channel in panel.channels if channel.marker not in present]
    lost = set(lost_gates(panel, absent, exclusions=False))
    scatter = {one.marker for one in panel.channels if one.kind is ChannelKind.SCATTER}
    return {marker for gate in panel.gates if gate.name not in lost for marker in gate.dimensions()} - scatter


def grafted(base: PanelModel, shipped: Sequence[PanelModel], present: Collection[str]) -> tuple[PanelModel, list[str]]:
    """The base with routes of other panels for markers that none of its gates looks at; and notes on them.

    Taken are routes into the B lineage by such a marker, what they are made of, and its place in Boolean gates that
    both trees have under one name (a cell that carries the marker is then no debris, no erythroblast). A gate is taken
    only if everything that it names is there.
    """
    notes: list[str] = []
    names = {gate.name for gate in base.gates}
    donors = sorted(
        (panel for panel in shipped if panel.name != base.name),
        key=lambda panel: -len(names & {gate.name for gate in panel.gates}),
    )
    for donor in donors:
        antibodies = {one.marker for one in donor.channels if one.kind is ChannelKind.ANTIBODY}
        wanted = (antibodies & set(present)) - markers_of_gates(base, present)
        offered = _offered(donor, base, wanted, present)
        if not offered:
            continue
        base = base.model_copy(update={"gates": _with(base, donor, offered)})
        markers = sorted({marker for gate in offered for marker in gate.dimensions()} & wanted)
        notes.append(f"{' and '.join(markers)}: gates of {donor.name}: {', '.join(gate.name for gate in offered)}")
    return base, notes


def _offered(donor: PanelModel, base: PanelModel, wanted: set[str], present: Collection[str]) -> list[Gate]:
    """Routes of the donor by the wanted markers with what they are made of, in its order."""
    there = {gate.name for gate in base.gates}
    own: dict[str, Gate] = {}
    for gate in donor.gates:
        needed = {gate.parent, *(gate.all_of if isinstance(gate, BooleanGate) else gate.references())} - {"root"}
        about = set(gate.dimensions()) & wanted or {*needed, *gate.references()} & set(own)
        if gate.name in there or not about or not set(gate.dimensions()) <= set(present):
            continue
        if needed <= there | set(own):
            own[gate.name] = _only(gate, there | set(own))
    in_both = [name for gate in donor.gates if gate.name in there for name in gate.references()]
    return _used(own, in_both, MAX_ROUTES - sum(gate.route for gate in base.gates))


def _used(own: Mapping[str, Gate], in_both: Sequence[str], room: int) -> list[Gate]:
    """Of these gates at most ``room`` routes, and what they or the gates of both trees are made of."""
    routes = [gate.name for gate in own.values() if gate.route][: max(room, 0)]
    taken: set[str] = set()
    todo = [*routes, *in_both] if routes else []
    while todo:
        name = todo.pop()
        if name in own and name not in taken:
            taken.add(name)
            todo += [own[name].parent, *own[name].references()]
    return [gate for gate in own.values() if gate.name in taken and (not gate.route or gate.name in routes)]


def _only(gate: Gate, names: set[str]) -> Gate:
    """A Boolean gate without members that are not there."""
    if not isinstance(gate, BooleanGate):
        return gate
    kept = {key: tuple(name for name in getattr(gate, key) if name in names) for key in LISTS}
    return gate.model_copy(update=kept)


def _with(base: PanelModel, donor: PanelModel, offered: Sequence[Gate]) -> tuple[Gate, ...]:
    """The base's gates with the offered ones, each behind the last gate that it names, and merged Boolean gates."""
    gates = list(base.gates)
    within = next((gate.parent for gate in gates if gate.route), None)
    for gate in offered:
        placed = gate if within is None or not gate.route else gate.model_copy(update={"parent": within})
        named = {placed.parent, *placed.references()}
        last = max((at for at, one in enumerate(gates) if one.name in named), default=-1)
        gates.insert(last + 1, placed)
    names = {gate.name for gate in offered}
    of_donor = {gate.name: gate for gate in donor.gates if isinstance(gate, BooleanGate)}
    before: set[str] = set()
    merged: list[Gate] = []
    for gate in gates:
        merged.append(gate if gate.name in names else _merged(gate, of_donor.get(gate.name), names & before))
        before.add(gate.name)
    return tuple(merged)


def _merged(gate: Gate, other: BooleanGate | None, names: set[str]) -> Gate:
    """A Boolean gate with those members of the donor's gate of its name that are in ``names``."""
    if not isinstance(gate, BooleanGate) or other is None or gate.at_least > 1:
        return gate
    lists = {key: (getattr(gate, key), getattr(other, key)) for key in LISTS if getattr(gate, key) or key != "any_of"}
    more = {
        key: tuple(dict.fromkeys([*own, *(name for name in added if name in names)]))
        for key, (own, added) in lists.items()
    }
    return gate.model_copy(update=more)

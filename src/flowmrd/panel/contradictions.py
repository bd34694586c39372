"""Entries of a panel that are allowed one by one and contradict each other or what a marker is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from flowmrd.panel.gates import BooleanGate, Gate, window_gate
from flowmrd.panel.model import Channel, ChannelKind, PanelModel
from flowmrd.units import LOGICLE_M

__all__ = ["ROUTE_MARKERS", "contradictions", "markers_of_route"]

ROUTE_MARKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "route_cd19": ("CD19",),
    "route_cd22": ("CD22",),
    "route_cd24": ("CD24",),
    "route_cd20": ("CD20",),
    "route_precursor": ("CD10", "CD34"),
}
"""Routes of the shipped panels to the markers by which they are ways into the B lineage."""

LEAST_COFACTOR: Final = 50.0
"""Fluorescence is shown with a cofactor of 150 and more; 5 is that of mass cytometry."""
WIDEST: Final = 1.6
"""W of the logicle above which dim cells lie on the linear part; laboratories set 0.5 to 1.5."""


def contradictions(panel: PanelModel) -> list[str]:
    """What a reader of the panel should look at, in words."""
    return [*_scales(panel), *_kinds(panel), *_features(panel), *_routes(panel)]


def _scales(panel: PanelModel) -> list[str]:
    notes = []
    for channel in panel.channels:
        scale = channel.transform
        if channel.kind in {ChannelKind.SCATTER, ChannelKind.TIME}:
            continue
        if scale.kind == "asinh" and scale.cofactor < LEAST_COFACTOR:
            notes.append(
                f"{channel.marker}: asinh with cofactor {scale.cofactor:g} spreads cells without the antigen over the "
                "scale; fluorescence needs 150 or more"
            )
        if scale.kind == "logicle" and scale.W is not None and scale.W > WIDEST * scale.M / LOGICLE_M:
            notes.append(
                f"{channel.marker}: W = {scale.W:g} puts dim cells and cells without the antigen in one place; 0.5 to "
                "1.5 is usual"
            )
    return notes


def _kinds(panel: PanelModel) -> list[str]:
    """Antigens that are given as a dye or the other way round."""
    return [
        f"{channel.marker} has the kind {channel.kind.value}: an antigen is of kind antibody"
        for channel in panel.channels
        if channel.kind in {ChannelKind.NUCLEIC_ACID, ChannelKind.VIABILITY, ChannelKind.EMPTY}
        and re.match(r"CD\d", channel.marker)
    ]


def _features(panel: PanelModel) -> list[str]:
    looked_at = {marker for gate in panel.gates for marker in gate.dimensions()}
    left_out = [
        channel.marker
        for channel in panel.channels
        if channel.kind is ChannelKind.ANTIBODY and not channel.feature and channel.marker in looked_at
    ]
    if not left_out:
        return []
    return [f"{', '.join(left_out)}: gates look at it and the classifier does not (feature: false)"]


def markers_of_route(panel: PanelModel, route: Gate) -> set[str]:
    """Channels that the gates look at by which an event gets into a route."""
    gates = {gate.name: gate for gate in panel.gates}

    def asked(gate: Gate) -> set[str]:
        names = (*gate.all_of, *gate.any_of) if isinstance(gate, BooleanGate) else ()
        return {*gate.dimensions(), *(marker for name in names for marker in asked(gates[name]))}

    return asked(route)


def _routes(panel: PanelModel) -> list[str]:
    gates = {gate.name: gate for gate in panel.gates}
    channels: dict[str, Channel] = {channel.marker: channel for channel in panel.channels}
    notes = []
    for name, markers in ROUTE_MARKERS.items():
        there = [marker for marker in markers if marker in channels]
        if name in gates and there and not markers_of_route(panel, gates[name]) & set(there):
            notes.append(f"{name} does not look at {' or '.join(there)}: look at the channels of its gates")
    window = gates.get(window_gate(set(gates)))
    if isinstance(window, BooleanGate):
        inside = {*window.all_of, *window.any_of}
        left_out = [gate.name for gate in panel.gates if gate.route and inside and gate.name not in inside]
        if left_out:
            notes.append(f"{window.name} does not take in {', '.join(left_out)}: their cells are not searched")
    return notes

"""Draft a panel from the channel labels of tubes: their markers, with the gates of the most similar shipped panel.

A draft is for a person to complete; it must not be used for patients as it is. It lists every gate that it lost, with
the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from flowmrd.errors import PanelError, counted
from flowmrd.panel.gates import ROOT, BooleanGate, Gate, SingletGate
from flowmrd.panel.graft import grafted, markers_of_gates
from flowmrd.panel.labels import LabelledChannel, read_label
from flowmrd.panel.lost_gates import lost_gates
from flowmrd.panel.model import Channel, ChannelKind, PanelModel

__all__ = ["DraftPanel", "draft_panel"]

Names = Sequence[tuple[str | None, str | None]]
Entry = dict[str, Any]

ESSENTIAL = ("singlets", "nucleated", "mononuclear", "b_lineage", "granulocytes", "t_nk")
"""Gates that a tree must keep to be the nearest: the required ones, and the two that others follow."""


@dataclass(frozen=True)
class DraftPanel:
    """A drafted panel file.

    Attributes
    ----------
    base
        Shipped panel whose gates it has.
    notes
        What a person must check, in the file's order.
    """

    text: str
    base: str
    notes: tuple[str, ...]


def draft_panel(name: str, tubes: Sequence[Names], shipped: Sequence[PanelModel]) -> DraftPanel:
    """Draft a panel.

    Parameters
    ----------
    tubes
        For each tube, ``($PnN, $PnS)`` of every channel.
    shipped
        Shipped panels, which provide the known markers and the gates to copy.

    Raises
    ------
    PanelError
        If no label of any tube names a marker.
    """
    known = list({channel.marker: channel for panel in shipped for channel in panel.channels}.values())
    read = [[read_label(i, pnn, pns, known) for i, (pnn, pns) in enumerate(names)] for names in tubes]
    found = _markers(read)
    colours = [m for m, one in found.items() if one.kind not in {ChannelKind.SCATTER, ChannelKind.TIME}]
    if not colours:
        raise PanelError(
            "the labels of these files",
            found="no channel that names a marker in $PnS or $PnN",
            expected="markers such as CD19 or 'CD19 PE-Cy7'",
            todo="label the channels on the instrument, or copy a shipped panel and give 'detectors'",
        )
    base = nearest(found, shipped)
    found = _as_base_calls_it(found, base)
    base, grafts = grafted(base, shipped, set(found))
    everywhere = {marker for marker in found if all(marker in _markers([tube]) or _dye(found[marker]) for tube in read)}
    entries, notes = _channels(found, base, everywhere, {one.marker: one for one in known})
    present = {entry["marker"] for entry in entries}
    gates, told = pruned(base, present)
    notes += grafts + told + _unlabelled(read, tubes)
    sections = _sections(base, present, {gate["name"] for gate in gates})
    return DraftPanel(_text(name, base, len(tubes), entries, gates, sections, notes), base.name, tuple(notes))


def _sections(base: PanelModel, present: set[str], gates: set[str]) -> Entry:
    """Landmark, plots and maturation of the base as far as channels and gates allow."""
    return {
        "landmark": {marker: place for marker, place in base.landmark.items() if marker in present},
        "plots": [
            plot.model_dump(exclude_defaults=True)
            for plot in base.standard_plots
            if {plot.x, plot.y} <= present and plot.parent in {ROOT, *gates}
        ],
        "maturation": [gate for gate in base.maturation_gates if gate in gates],
    }


def nearest(found: Iterable[str], shipped: Sequence[PanelModel]) -> PanelModel:
    """The shipped panel that keeps most of its essential gates with only the markers in ``found``.

    Of those that keep as many: one that uses the nucleic acid dye, then one whose gates look at most of the markers.
    """
    have = set(found)

    def closeness(panel: PanelModel) -> tuple[float, ...]:
        gone = _gone(panel, [channel.marker for channel in panel.channels if channel.marker not in have], have)
        lost = lost_gates(panel, gone, exclusions=False)
        kept = sum(gate not in lost for gate in ESSENTIAL)
        looked_at = markers_of_gates(panel, have | ({channel.marker for channel in panel.channels} - gone))
        dye = any(one.kind is ChannelKind.NUCLEIC_ACID and one.marker in looked_at for one in panel.channels)
        routes = sum(gate.route and gate.name not in lost for gate in panel.gates)
        shared = len(have & set(panel.features))
        return kept, dye, len(looked_at), routes, shared - 0.5 * len(set(panel.features) - have)

    return max(shipped, key=closeness)


def _gone(panel: PanelModel, absent: Sequence[str], have: set[str]) -> set[str]:
    """Absent markers of a panel; a nucleic acid dye of another name stands for the panel's own."""
    dyes = {channel.marker for channel in panel.channels if channel.kind is ChannelKind.NUCLEIC_ACID}
    stand_in = any(re.match(r"SYTO|DRAQ|HOECHST|VYBRANT", marker) for marker in have)
    return {marker for marker in absent if not (marker in dyes and stand_in)}


def _dye(one: LabelledChannel) -> bool:
    return one.kind is ChannelKind.NUCLEIC_ACID


def _markers(read: Sequence[Sequence[LabelledChannel]]) -> dict[str, LabelledChannel]:
    """Marker to the first channel that is it; order of the first tube that has it."""
    found: dict[str, LabelledChannel] = {}
    for tube in read:
        for one in tube:
            if one.marker is not None:
                found.setdefault(one.marker, one)
    return found


def _as_base_calls_it(found: Mapping[str, LabelledChannel], base: PanelModel) -> dict[str, LabelledChannel]:
    """The nucleic acid dye under the name that the gates of the base have for it."""
    own = next((channel.marker for channel in base.channels if channel.kind is ChannelKind.NUCLEIC_ACID), None)
    named = {}
    for marker, one in found.items():
        is_dye = one.kind is ChannelKind.NUCLEIC_ACID and own is not None and own not in found
        named[own if is_dye and own is not None else marker] = replace(one, marker=own) if is_dye else one
    return named


def _channels(
    found: Mapping[str, LabelledChannel], base: PanelModel, everywhere: set[str], shipped: Mapping[str, Channel]
) -> tuple[list[Entry], list[str]]:
    """Entries of the file, and notes.

    Parameters
    ----------
    shipped
        Markers of all shipped panels: of a marker that the base lacks, they know the therapies that may cover it.
    """
    known = {channel.marker: channel for channel in base.channels}
    looked_at = markers_of_gates(base, set(found))
    entries: list[Entry] = []
    notes: list[str] = []
    order = [*(m for m in known if m in found), *(m for m in found if m not in known)]
    for marker in order:
        one = found[marker]
        if marker in known:
            entry = _taken_over(known[marker], one)
        elif one.kind is ChannelKind.SCATTER:
            entry = {"marker": marker, "kind": "scatter", "transform": {"kind": "linear"}, "required": False}
        else:
            entry, told = _further(marker, one, shipped.get(marker), looked_at=marker in looked_at)
            notes += told
        if marker not in everywhere and one.kind is not ChannelKind.TIME:
            entry["required"] = False
            notes.append(f"{marker}: not in every tube, so it is optional")
        entries.append(entry)
    lost = [m for m, channel in known.items() if m not in found and (channel.required or channel.feature)]
    if lost:
        notes.insert(0, f"in no tube: {', '.join(lost)} of {base.name}")
    return entries, notes


def _further(marker: str, one: LabelledChannel, known: Channel | None, *, looked_at: bool) -> tuple[Entry, list[str]]:
    """The entry of a marker that the base lacks, and notes on it."""
    antibody = one.kind is ChannelKind.ANTIBODY
    entry: Entry = {"marker": marker, **({} if antibody else {"kind": one.kind.value})}
    if known is not None:
        entry |= {key: value for key, value in _taken_over(known, one).items() if key != "required"}
    entry |= _of_file(one) | {"feature": antibody}
    if not antibody:
        return entry, [f"{marker}: taken for {one.kind.value.replace('_', ' ')}; no gate looks at it"]
    if looked_at:
        return entry, []
    return entry, [f"{marker}: no gate looks at it; it is a feature of the classifier alone"]


def _taken_over(channel: Channel, one: LabelledChannel) -> Entry:
    """The base's entry with the dye and detector of the file."""
    entry = channel.model_dump(mode="json", exclude_defaults=True)
    for key in ("clone", "epitope"):  # of another laboratory's antibody
        entry.pop(key, None)
    entry |= _of_file(one)
    if channel.kind is ChannelKind.SCATTER:
        entry.pop("detectors", None)
    return entry


def _of_file(one: LabelledChannel) -> Entry:
    entry: Entry = {}
    if one.dye:
        entry["fluorochrome"] = one.dye
    if one.detector:
        entry["detectors"] = [f"^{re.escape(one.detector)}(-A)?$"]
    if one.kind is ChannelKind.NUCLEIC_ACID and one.label:
        entry["aliases"] = [one.label]
    return entry


def pruned(base: PanelModel, present: set[str]) -> tuple[list[Entry], list[str]]:
    """Gates of a panel as file entries, without those whose channels are missing; and notes on what was lost."""
    absent = [channel.marker for channel in base.channels if channel.marker not in present]
    lost = set(lost_gates(base, absent, exclusions=False))
    kept = [gate for gate in base.gates if gate.name not in lost]
    dropped = [
        f"{gate.name} no longer excludes {', '.join(excluded)}"
        for gate in kept
        if isinstance(gate, BooleanGate) and (excluded := [name for name in gate.none_of if name in lost])
    ]
    return [_gate_entry(gate, lost, present) for gate in kept], [*_lost_notes(base, lost), *dropped]


def _gate_entry(gate: Gate, lost: set[str], present: set[str]) -> Entry:
    entry = gate.model_dump(mode="json", exclude_defaults=True)
    entry = {"name": gate.name, "parent": gate.parent, "method": gate.method, **entry}
    for key in ("any_of", "none_of", "unless"):
        if key in entry:
            entry[key] = [name for name in entry[key] if name not in lost]
    if "anchors" in entry:
        entry["anchors"] = [channel for channel in entry["anchors"] if channel in present]
    if isinstance(gate, SingletGate):
        entry["partners"] = [name for name in gate.partners if name in present] or list(gate.partners)
    return {key: value for key, value in entry.items() if value != []}


def _lost_notes(base: PanelModel, lost: set[str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for gate in base.gates:
        if gate.name in lost:
            groups.setdefault(_group(gate), []).append(gate.name)
    return [f"{word} of {base.name} that these tubes cannot have: {', '.join(groups[word])}" for word in sorted(groups)]


def _group(gate: Gate) -> str:
    if gate.name in ESSENTIAL[:4]:
        return "required gates"
    return "routes into the B lineage" if gate.route else "populations" if gate.population else "other gates"


def _unlabelled(read: Sequence[Sequence[LabelledChannel]], tubes: Sequence[Names]) -> list[str]:
    """Colours of the first tube that no label names, by number: a label that is no marker may be a person's name.

    Neighbours of which the same is to be said are one note: a spectral file holds dozens of raw detectors.
    """
    nothing = [one for one in read[0] if one.marker is None and one.kind is not ChannelKind.SCATTER and one.detector]
    runs: list[list[LabelledChannel]] = []
    for one in nothing:
        last = runs[-1][-1] if runs else None
        if last is not None and one.index == last.index + 1 and (one.dye, one.why) == (None, last.why) and not last.dye:
            runs[-1].append(one)
        else:
            runs.append([one])
    of = len(tubes[0])
    return [
        f"channels {run[0].index + 1} to {run[-1].index + 1} of {of}: {run[0].why}; add by hand those that are stained"
        if len(run) > 1
        else f"channel {run[0].index + 1} of {of}{f' ({run[0].dye})' if run[0].dye else ''}: {run[0].why}; add it by "
        "hand if it is stained"
        for run in runs
    ]


def _text(
    name: str,
    base: PanelModel,
    n_tubes: int,
    channels: Sequence[Entry],
    gates: Sequence[Entry],
    sections: Entry,
    notes: Sequence[str],
) -> str:
    head = [
        f"# Drafted from the labels of {counted(n_tubes, 'tube')}, "
        f"with the gates of {base.name} version {base.version}."
    ]
    head += ["# Look at every gate with 'flowmrd panel show' before use.", *(f"# - {note}" for note in notes)]
    facts = {"name": name, "version": "1", "title": f"Draft after {base.name}"}
    facts["source"] = f"Drafted after {base.name} ({base.source})"
    lines = [*head, _yaml(facts).rstrip(), "channels:", *map(_item, channels)]
    if sections["landmark"]:
        lines.append(f"landmark: {_flow(sections['landmark'])}")
    lines += ["gates:", *map(_item, gates)]
    if sections["plots"]:
        lines += ["plots:", *map(_item, sections["plots"])]
    if sections["maturation"]:
        lines.append(f"maturation: {_flow(sections['maturation'])}")
    return "\n".join(lines) + "\n"


def _yaml(facts: Entry) -> str:
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=10_000)


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).strip()


def _item(entry: Entry) -> str:
    return f"  - {_flow(entry)}"

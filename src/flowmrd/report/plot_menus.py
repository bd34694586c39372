"""Menus of the plots: what can be back-gated, and what the free plot can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowmrd.mrd.result import MrdResult
from flowmrd.report import formatting, laip_view
from flowmrd.report.group_names import group_number
from flowmrd.report.page_tube import PageTube


@dataclass(frozen=True)
class MenuEntry:
    """One entry of a menu: what the page's script reads, and what the reader sees."""

    value: str
    text: str


def back_gating(tube: PageTube, result: MrdResult) -> list[tuple[str, list[MenuEntry]]]:
    """Choices for back-gating, in groups: MRD cells and their groups, populations, and the other gates."""
    population = {gate.name for gate in tube.panel.gates if gate.population}
    mrd = [MenuEntry("none", "nothing"), MenuEntry("mrd", f"MRD cells ({formatting.count(result.counts.mrd_events)})")]
    for cluster in result.laip.clusters if len(result.laip.clusters) > 1 else ():
        number = group_number(result.groups, cluster.id) or cluster.id + 1
        mrd.append(MenuEntry(f"cluster:{cluster.id}", f"MRD group {number} ({formatting.count(cluster.events)})"))
    named: list[MenuEntry] = []
    other: list[MenuEntry] = []
    for index, name in enumerate(tube.gate_names):
        inside, title = tube.gate(name), tube.titles.get(name, name)
        if name in population:
            # A population is shown without the MRD cells, which have an entry of their own.
            n = formatting.count(int((inside & ~tube.mrd).sum()))
            named.append(MenuEntry(f"population:{index}", f"{title} ({n} without MRD)"))
        else:
            other.append(MenuEntry(f"gate:{index}", f"{title} ({formatting.count(int(inside.sum()))})"))
    return [("MRD", mrd), ("Populations", named), ("Gates", other)]


def parents(tube: PageTube) -> list[MenuEntry]:
    """Gates whose events the free plot can show; -1 is every analysable event."""
    chosen = {"singlets", "nucleated", "mononuclear", "b_lineage"}
    chosen |= {gate.name for gate in tube.panel.gates if gate.population}
    return [MenuEntry("-1", "all analysable events")] + [
        MenuEntry(str(index), tube.titles.get(name, name))
        for index, name in enumerate(tube.gate_names)
        if name in chosen
    ]


def first_axes(tube: PageTube, markers: Sequence[laip_view.MarkerRow]) -> tuple[str, str]:
    """Channels that the free plot opens with: the two most distinctive markers."""
    ordered = [row.marker for row in laip_view.by_shift(markers) if row.marker in tube.channels]
    ordered += [channel for channel in ("CD45", "SSC-A", *tube.channels) if channel in tube.channels]
    distinct = list(dict.fromkeys(ordered))
    return (distinct[0], distinct[1]) if len(distinct) > 1 else (distinct[0], distinct[0])

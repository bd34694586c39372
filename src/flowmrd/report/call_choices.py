"""Calls that a signer may choose for the groups of a result."""

from __future__ import annotations

from collections.abc import Sequence

from flowmrd.classifier.carry_over import CARRY_OVER
from flowmrd.classifier.catalogue import load_catalogue, off_scale_call
from flowmrd.mrd.result import CellGroup
from flowmrd.panel.model import ChannelKind
from flowmrd.report import laip_view
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.page_tube import PageTube
from flowmrd.report.uncounted_groups import LetteredGroup


def opinions(inputs: PageInputs, tube: PageTube, uncounted: Sequence[LetteredGroup]) -> list[dict[str, object]]:
    """Groups of the result that a signer may call, what the classifier called them, and their letters in the plots."""
    letters = {group.number: group.letter for group in uncounted}
    words = {call: title for _, choices in call_choices(inputs) for call, title in choices} | {"counted": "leukaemia"}
    return [
        {
            "index": index,
            "letter": letters.get(index + 1, ""),
            "events": group.events,
            "phenotype": laip_view.phenotype([(one.marker, one.shift_decades, one.direction) for one in group.markers])
            or group.phenotype,
            "call": words.get(group.call, group.call.replace("_", " ")),
            "by": group.reviewer if group.called_by == "reviewer" else "",
            "proposal": _earlier(group),
            "nearest": laip_view.stage_name(group.nearest_normal, tube),
        }
        for index, group in enumerate(inputs.result.groups[:60])
        if group.cluster is not None and inputs.result.role != "control"
    ]


def _earlier(group: CellGroup) -> str:
    """The laboratory's earlier decisions on such cells, in words; empty where there are none."""
    said = group.proposal
    if said is None:
        return ""
    call = "leukaemia" if said.call == "counted" else said.call.replace(":", ", ").replace("_", " ")
    return f"earlier decisions of this laboratory on such cells: {call} ({said.agree} of {said.decisions})"


def call_choices(inputs: PageInputs) -> list[tuple[str, list[tuple[str, str]]]]:
    """Calls that a signer may choose for a group, as (title of the choices, [(call, words)])."""
    known = load_catalogue()
    detectors = [channel.marker for channel in inputs.panel.channels if channel.kind is ChannelKind.ANTIBODY]
    artefacts = [(f"artefact:{entry.name}", entry.title) for entry in known.artefacts]
    artefacts += [(CARRY_OVER, "Carry-over of the tube before")]
    artefacts += [(off_scale_call(marker), f"Off scale in {marker}") for marker in detectors]
    return [
        ("Normal population", [(f"normal:{entry.name}", entry.title) for entry in known.populations]),
        ("Artefact", artefacts),
    ]

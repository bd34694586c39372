"""Earlier decisions name cells in their place, in that place only, and whatever the staining of the tube."""

from __future__ import annotations

from flowmrd.classifier.laboratory_decisions import in_staining_of_reference, propose
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.records.decisions import LearnedDecision, Proposal
from flowmrd.units import LOGICLE_M

PLACE = {"CD10": 0.5, "CD19": 0.7, "CD34": 0.2, "CD38": 0.6, "CD45": 0.4}
SD = dict.fromkeys(PLACE, 0.04)


def decision(call: str, panel: str = "ino10", **moved: float) -> LearnedDecision:
    return LearnedDecision(panel=panel, call=call, events=40, levels={**PLACE, **moved}, sd=SD, result_sha256="a" * 64)


def said(levels: dict[str, float], *decisions: LearnedDecision, panel: str = "ino10") -> Proposal | None:
    return propose(levels, SD, decisions, panel=panel, parameters=ClassifierParameters())


def test_the_most_frequent_call_in_the_place_is_proposed_with_how_many_agree() -> None:
    known = (decision("normal:basophils"), decision("normal:basophils", CD10=0.52), decision("counted", CD45=0.41))
    assert said(PLACE, *known) == Proposal(call="normal:basophils", agree=2, decisions=3)


def test_cells_elsewhere_or_of_another_panel_get_no_proposal() -> None:
    assert said({**PLACE, "CD34": 0.5}, decision("normal:basophils")) is None
    assert said(PLACE, decision("normal:basophils"), panel="vienna_b8") is None
    assert said({"CD10": 0.5, "CD19": 0.7}, decision("normal:basophils")) is None, "two markers tell no place"


def test_the_staining_of_a_tube_is_subtracted_from_its_medians() -> None:
    shift = {"CD10": 0.3, "CD34": -0.2}
    stained = {name: level + shift.get(name, 0.0) / LOGICLE_M for name, level in PLACE.items()}
    back = in_staining_of_reference(stained, shift)
    assert all(abs(back[name] - PLACE[name]) < 1e-4 for name in PLACE)

"""``flowmrd panel check`` tells a panel designer what a run would otherwise fail on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmrd.cli.panel_check import advice, check_panel
from flowmrd.errors import PanelError
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.panel.lost import lost_gates
from flowmrd.panel.match import match_channels

Edit = Callable[[dict[str, Any]], None]


def edited(folder: Path, edit: Edit, base: str = "vienna_b8") -> Path:
    facts = yaml.safe_load((PANELS / f"{base}.yaml").read_text())
    facts["name"] = "mine"
    edit(facts)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(facts, sort_keys=False))
    return path


def without_gate(name: str) -> Edit:
    def edit(facts: dict[str, Any]) -> None:
        facts["gates"] = [gate for gate in facts["gates"] if gate["name"] != name]

    return edit


@pytest.mark.parametrize("name", ["ino10", "vienna_b8"])
def test_shipped_panels_have_no_error(name: str) -> None:
    errors, lines = check_panel(name, [])
    assert (errors, [line for line in lines if line.startswith("error")]) == (0, [])


def test_a_missing_required_gate_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    errors, lines = check_panel(str(edited(tmp_path, without_gate("mononuclear"))), [])
    assert errors == 1
    assert "no gate mononuclear" in lines[0]


def test_a_typo_in_a_detector_pattern_is_told_with_the_pattern(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(channel for channel in facts["channels"] if channel["marker"] == "CD19")["detectors"] = ["^APC-(A$"]

    errors, lines = check_panel(str(edited(tmp_path, edit)), [])
    assert errors == 1
    assert "'^APC-(A$' is no regular expression" in lines[0]
    with pytest.raises(PanelError, match="no regular expression"):
        load_panel(tmp_path / "mine.yaml")


def test_an_odd_pulse_name_is_repaired_by_a_detector_pattern(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        scatter = next(channel for channel in facts["channels"] if channel["marker"] == "FSC-H")
        scatter["detectors"] = ["^PULSE-H$"]

    panel = load_panel(edited(tmp_path, edit))
    names = [(channel.marker, channel.marker) for channel in panel.channels if channel.marker != "FSC-H"]
    found = match_channels(panel, [*names, ("PULSE-H", "")], "tube")
    assert [entry.marker for entry in found.channels][-1] == "FSC-H"


def test_a_scatter_signal_that_the_simulator_does_not_know_is_a_note(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        facts["channels"].append({"marker": "PULSE-H", "kind": "scatter", "required": False, "feature": True})

    errors, lines = check_panel(str(edited(tmp_path, edit)), [])
    assert errors == 0
    assert any("does not know PULSE-H" in line for line in lines)


def test_what_an_optional_marker_costs_is_told(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(channel for channel in facts["channels"] if channel["marker"] == "CD45")["required"] = False

    panel = load_panel(edited(tmp_path, edit))
    assert "erythroblasts" in lost_gates(panel, ["CD45"])
    assert any(note.startswith("without the optional CD45") for note in advice(panel)[1])
    assert "b_lineage" not in lost_gates(load_panel("ino10"), ["CD34"])


def test_a_file_that_is_no_tube_is_an_error_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "tube.fcs").write_bytes(b"nothing")
    errors, lines = check_panel("vienna_b8", [tmp_path / "tube.fcs"])
    assert errors == 1
    assert "tube.fcs" in lines[-2] or "tube.fcs" in lines[0]

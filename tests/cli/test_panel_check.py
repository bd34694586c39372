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
from flowmrd.panel.lost_gates import lost_gates
from flowmrd.panel.match import match_channels
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import TubeSpec, simulate_tube

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


def test_two_colours_with_one_detector_are_reported(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(channel for channel in facts["channels"] if channel["marker"] == "CD34")["detectors"] = ["^PE-A$"]

    _, lines = check_panel(str(edited(tmp_path, edit)), [])
    assert any("CD10 and CD34 have the same detector ^PE-A$" in line for line in lines)
    for name in ("ino10", "vienna_b8"):
        assert not any("the same detector" in line for line in check_panel(name, [])[1])


def test_a_typo_in_a_detector_pattern_is_reported_with_the_pattern(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(channel for channel in facts["channels"] if channel["marker"] == "CD19")["detectors"] = ["^APC-(A$"]

    errors, lines = check_panel(str(edited(tmp_path, edit)), [])
    assert errors == 1
    assert "'^APC-(A$' is not a regular expression" in lines[0]
    with pytest.raises(PanelError, match="not a regular expression"):
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


def of(facts: dict[str, Any], marker: str) -> dict[str, Any]:
    return next(channel for channel in facts["channels"] if channel["marker"] == marker)


def gate_of(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return next(gate for gate in facts["gates"] if gate["name"] == name)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda facts: of(facts, "CD45").update(transform={"kind": "asinh", "cofactor": 5}), "cofactor 5 spreads"),
        (lambda facts: of(facts, "CD19").update(transform={"W": 2.2}), "CD19: W = 2.2 puts dim cells"),
        (lambda facts: of(facts, "CD45").update(kind="nucleic_acid"), "CD45 has the kind nucleic_acid"),
        (lambda facts: of(facts, "CD19").update(feature=False), "CD19: gates look at it and the classifier does not"),
        (lambda facts: gate_of(facts, "cd19_pos").update(channel="CD10"), "route_cd19 does not look at CD19"),
        (
            lambda facts: gate_of(facts, "possible_b_lineage").update(any_of=["route_cd20"]),
            "possible_b_lineage does not take in route_cd19",
        ),
    ],
)
def test_entries_that_contradict_each_other_are_reported(tmp_path: Path, edit: Edit, told: str) -> None:
    lines = check_panel(str(edited(tmp_path, edit)), [])[1]
    assert any(told in line for line in lines)
    assert not any(told in line for line in check_panel("vienna_b8", [])[1])


@pytest.mark.parametrize(
    ("edit", "errors", "told"),
    [
        (lambda facts: of(facts, "CD19").update(detectors=["^PE-Cy77-A$"]), 0, "CD19 is found by its label alone"),
        (
            lambda facts: of(facts, "CD45").update(transform={"T": 1024}),
            1,
            "beyond the scale that the panel fixes",
        ),
        (lambda facts: gate_of(facts, "cd19_pos").update(side="below"), 0, "cells of route_cd19 have less CD19 than"),
    ],
)
def test_what_only_a_tube_shows_is_reported(tmp_path: Path, edit: Edit, errors: int, told: str) -> None:
    tube = tmp_path / "tube.fcs"
    write_tube(tube, simulate_tube(TubeSpec(8_000, person_seed=3), load_panel("ino10"), 3))
    found, lines = check_panel(str(edited(tmp_path, edit, "ino10")), [tube])
    assert found == errors
    assert any(told in line for line in lines)
    sound, lines = check_panel("ino10", [tube])
    assert sound == 0
    assert not any(told in line for line in lines)
    assert any("shares of all events: singlets" in line for line in lines)


def test_what_an_optional_marker_costs_is_reported(tmp_path: Path) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(channel for channel in facts["channels"] if channel["marker"] == "CD45")["required"] = False

    panel = load_panel(edited(tmp_path, edit))
    assert "erythroblasts" in lost_gates(panel, ["CD45"])
    assert any(note.startswith("without the optional CD45") for note in advice(panel, where="mine.yaml")[1])
    assert "b_lineage" not in lost_gates(load_panel("ino10"), ["CD34"])


def test_a_file_that_is_no_tube_is_an_error_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "tube.fcs").write_bytes(b"nothing")
    errors, lines = check_panel("vienna_b8", [tmp_path / "tube.fcs"])
    assert errors == 1
    assert "tube.fcs" in lines[-2] or "tube.fcs" in lines[0]


@pytest.mark.parametrize(
    ("gate", "change", "told"),
    [
        ("cd34_pos", {"bounds": [300.0, 3000.0], "fallback": 1000.0}, "for raw units write 'units: raw'"),
        ("low_side", {"bounds": [0.0, 1e300], "fallback": 1e299}, "the number 1e+300"),
        ("shrunken", {"vertices": [[-1e300, 0.0], [0.2, 0.3], [0.2, 1e300]]}, "the number -1e+300"),
        ("cd19_pos", {"tilt": {"SSC-A": 1e8}}, "the number 1e+08"),
        ("cd45_bright", {"offset_decades": -1e300}, "gate cd45_bright.offset_decades"),
        ("cd34_pos", {"n_sd": 1e300}, "gate cd34_pos.n_sd"),
        ("cd34_pos", {"units": "raw", "bounds": [0.0, 1e39], "fallback": 1.0}, "raw units beyond"),
    ],
)
def test_numbers_that_no_instrument_has_are_reported_and_reach_no_report(
    tmp_path: Path, gate: str, change: dict[str, Any], told: str
) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(entry for entry in facts["gates"] if entry["name"] == gate).update(change)

    errors, lines = check_panel(str(edited(tmp_path, edit)), [])
    assert errors == 1
    assert told in lines[0]


@pytest.mark.parametrize("change", [{"T": 1e300}, {"T": 1e-3}, {"M": 400.0}, {"W": 3.0}, {"cofactor": 1e-300}])
def test_a_scale_that_cannot_be_computed_is_reported(tmp_path: Path, change: dict[str, float]) -> None:
    def edit(facts: dict[str, Any]) -> None:
        next(entry for entry in facts["channels"] if entry["marker"] == "CD19")["transform"] = change

    errors, lines = check_panel(str(edited(tmp_path, edit)), [])
    assert errors == 1
    assert "channels.10.transform" in lines[0]


def test_markers_that_are_not_used_without_controls_are_told_before_the_run(tmp_path: Path) -> None:
    """The run said it afterwards, beside every answer (MARKERS_NOT_SIMULATED)."""
    from flowmrd.cli.check import check_run

    def edit(facts: dict[str, Any]) -> None:
        facts["channels"].append({"marker": "CD371", "fluorochrome": "BV421", "feature": True, "required": False})

    for name in ("config", "panels"):
        (tmp_path / name).mkdir()
    edited(tmp_path / "panels", edit)
    (tmp_path / "config/samples.tsv").write_text("sample\tpatient\trole\tfcs\nT1\tP1\tfollowup\tt.fcs\n")
    config = tmp_path / "config/config.yaml"
    config.write_text("panel: mine\nsamples: config/samples.tsv\n")
    found = [one.found for one in check_run(tmp_path)[0]]
    assert "0 control tubes for panel mine; simulated marrows replace them, without CD371" in found
    config.write_text("panel: vienna_b8\nsamples: config/samples.tsv\n")
    assert "0 control tubes for panel vienna_b8" in [one.found for one in check_run(tmp_path)[0]]


def test_tubes_are_checked_with_the_panel_that_an_unreadable_configuration_names(tmp_path: Path) -> None:
    """A key given twice made every tube of another panel an error: its channels were sought for ino10."""
    from flowmrd.cli.check import check_run

    (tmp_path / "config").mkdir()
    write_tube(tmp_path / "t.fcs", simulate_tube(TubeSpec(2_000, person_seed=3), load_panel("vienna_b8"), 3))
    (tmp_path / "config/samples.tsv").write_text("sample\tpatient\trole\tfcs\nT1\tP1\tfollowup\t../t.fcs\n")
    lines = "panel: vienna_b8  # ours\nsamples: config/samples.tsv\n"
    (tmp_path / "config/config.yaml").write_text(lines + "export: {values: true}\nexport: {values: true}\n")
    errors = [one for one in check_run(tmp_path)[0] if one.level == "error"]
    assert [one.where.split("/")[-1].split(",")[0] for one in errors] == ["config.yaml"]


def test_without_controls_a_scatter_signal_and_a_marker_that_are_not_simulated_are_left_out() -> None:
    from flowmrd.config import RunConfig
    from flowmrd.panel import Channel, ChannelKind
    from flowmrd.stages.provisional_controls import simulated_controls

    panel = load_panel("vienna_b8")
    more = (
        Channel(marker="PULSE-H", kind=ChannelKind.SCATTER, feature=True),
        Channel(marker="CD371", fluorochrome="BV421", feature=True),
    )
    odd = panel.model_copy(update={"channels": (*panel.channels, *more)})
    tubes = simulated_controls(odd, RunConfig(panel="x", samples=""), [])
    assert set(panel.features) - {"CD58"} == set(tubes[0].features)

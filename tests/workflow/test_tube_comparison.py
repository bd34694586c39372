"""Tubes of a run that contradict each other are told and refused before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowmrd.config import load_config, read_sheet
from flowmrd.config.sheet import Role, Sample
from flowmrd.engine.headers import HeaderPreview, RunRequest, check_header
from flowmrd.engine.tube_comparison import KnownLabels, compare_tubes
from flowmrd.fcs.reader import DataSet, read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.preprocess.staining_pattern import StainingPattern

USUAL = {"CD22": "PE", "CD24": "PE-CF594", "CD19": "PE-Cy7"}


def row(name: str, line: int, role: Role = Role.CONTROL, patient: str = "", **more: str) -> Sample:
    return Sample(name, patient or name, role, Path(f"{name}.fcs"), line=line, **more)  # type: ignore[arg-type]


def look(detectors: Mapping[str, str] = USUAL, *marks: str) -> HeaderPreview:
    return HeaderPreview(1.0, 1000, detectors, marks)


def compared(tubes: Mapping[Sample, HeaderPreview], **more: Any) -> dict[str, tuple[str, bool]]:
    faults = compare_tubes(
        list(tubes),
        {one.sample: seen for one, seen in tubes.items()},
        {one.sample: "p" for one in tubes},
        Path("s.tsv"),
        **more,
    )
    return {fault.sample: (fault.error.found, fault.refused) for fault in faults}


CONTROLS = {row(f"C{n}", n): look(USUAL, f"c{n}") for n in range(2, 5)}


def test_sound_tubes_have_no_fault() -> None:
    assert compared({**CONTROLS, row("FU", 9, Role.FOLLOWUP): look(USUAL, "fu")}) == {}


def test_exchanged_labels_are_told_by_the_detectors_of_the_other_tubes() -> None:
    swapped = {**USUAL, "CD22": "PE-CF594", "CD24": "PE"}
    found = compared({**CONTROLS, row("FU", 9, Role.FOLLOWUP): look(swapped, "fu")})
    assert list(found) == ["FU"]
    assert "look exchanged" in found["FU"][0]
    assert found["FU"][1]


def with_matrix(seen: HeaderPreview, coefficient: float) -> HeaderPreview:
    return replace(seen, spill={"CD22 into CD24": coefficient, "CD24 into CD22": 0.02})


@pytest.mark.parametrize(("own", "controls", "told"), [
    (0.4, (0.2, 0.21, 0.19), True),
    (0.25, (0.2, 0.21, 0.19), False),
    (0.4, (0.2, 0.35, 0.19), False),
])  # fmt: skip
def test_a_matrix_far_from_that_of_all_controls_is_told(own: float, controls: tuple[float, ...], told: bool) -> None:
    tubes = {one: with_matrix(seen, value) for (one, seen), value in zip(CONTROLS.items(), controls, strict=True)}
    tubes[row("FU", 9, Role.FOLLOWUP)] = with_matrix(look(USUAL, "fu"), own)
    found = compared(tubes)
    assert ("FU" in found) is told
    if told:
        assert found["FU"] == (
            "another spillover matrix than in the controls: CD22 into CD24 0.40, elsewhere 0.19",
            True,
        )
        assert not compared(tubes, confirmed={"FU": "another instrument"})["FU"][1]


MOVED = {row("FU", 9, Role.FOLLOWUP): look({**USUAL, "CD22": "BV421"}, "fu")}


def test_a_marker_on_a_detector_that_no_other_tube_uses_is_refused() -> None:
    found = compared({**CONTROLS, **MOVED})
    assert found["FU"][0].startswith("CD22 on BV421, elsewhere on PE")
    assert found["FU"][1]


def test_labels_that_somebody_has_confirmed_are_a_note() -> None:
    found = compared({**CONTROLS, **MOVED}, confirmed={"FU": "worklist of 3 March"})
    assert found["FU"][0].startswith("CD22 on BV421, elsewhere on PE")
    assert not found["FU"][1]


def test_a_stored_reference_vouches_for_detectors_where_the_run_has_no_controls() -> None:
    stored = [KnownLabels(USUAL, {}, None)] * 2
    assert compared(MOVED, stored={"p": stored})["FU"][1]
    assert compared({row("FU", 9, Role.FOLLOWUP): look(USUAL)}, stored={"p": stored}) == {}


def test_the_dye_that_a_file_states_is_compared_as_its_detector_is() -> None:
    usual = replace(look({}, "x"), tags={"CD22": "PE"})
    controls = {one: replace(usual, marks=(one.sample,)) for one in CONTROLS}
    follow_up = row("FU", 9, Role.FOLLOWUP)
    found = compared({**controls, follow_up: replace(usual, marks=(), tags={"CD22": "BV421"})})
    assert found["FU"] == (
        "CD22 on BV421, elsewhere on PE: another detector than in the other tubes of the run",
        True,
    )
    assert compared({**controls, follow_up: look({}, "fu")}) == {}, "a file that does not state it is no contradiction"


@pytest.mark.parametrize("spelling", ["PE-CY7", "PE_Cy7", "PE Cy7"])
def test_a_detector_may_be_spelt_in_several_ways(spelling: str) -> None:
    assert compared({**CONTROLS, row("FU", 9, Role.FOLLOWUP): look({**USUAL, "CD19": spelling}, "fu")}) == {}


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (row("A", 2, Role.FOLLOWUP, "P1"), row("B", 3, Role.FOLLOWUP, "P2"), "the patients P1 and P2"),
        (row("A", 2, Role.CONTROL), row("B", 3, Role.CONTROL), "one control counted twice"),
        (row("A", 2, Role.CONTROL, "P1"), row("B", 3, Role.FOLLOWUP, "P1"), "as control and as followup"),
        (row("A", 2, Role.DIAGNOSIS, "P1"), row("B", 3, Role.FOLLOWUP, "P1"), "as diagnosis and as followup"),
        (
            row("A", 2, Role.FOLLOWUP, "P1", timepoint="day21"),
            row("B", 3, Role.FOLLOWUP, "P1", timepoint="day42"),
            "timepoints",
        ),
        (row("A", 2, Role.FOLLOWUP, "P1"), row("B", 3, Role.FOLLOWUP, "P1"), "one tube counted twice"),
        (row("A", 2, Role.COMPENSATION, stain="CD10"), row("B", 3, Role.COMPENSATION, stain="CD19"), "two stains"),
    ],
)
def test_the_same_events_under_two_names_refuse_both(one: Sample, other: Sample, why: str) -> None:
    found = compared({one: look(USUAL, "x", "y"), other: look(USUAL, "y")})
    assert set(found) == {"A", "B"}
    assert all(why.split(maxsplit=1)[0] in text and refused for text, refused in found.values())
    assert why in found["A"][0]


def test_the_same_single_stain_tube_twice_is_a_note() -> None:
    stains = [row(name, line, Role.COMPENSATION, "C", stain="CD10") for line, name in enumerate("AB", start=2)]
    found = compared({one: look(USUAL, "x") for one in stains})
    assert [refused for _, refused in found.values()] == [False, False]


def rewritten(path: Path, data: DataSet, names: list[tuple[str, str]], *, first: int = 0) -> Path:
    """The events of a file under other labels."""
    values = [column[first:] for column in data.scaled()]
    write_fcs(path, values, [ChannelSpec(pnn, pns, 262144) for pnn, pns in names])
    return path


def test_events_are_known_again_under_another_name_path_label_or_header(simulated: Path, tmp_path: Path) -> None:
    fcs = simulated / "fcs/CTRL01.fcs"
    data = read_fcs(fcs)[0]
    names = [(str(channel.pnn), str(channel.pns or "")) for channel in data.channels]
    copied = Path(shutil.copy(fcs, tmp_path / "copy.fcs"))
    relabelled = rewritten(tmp_path / "a.fcs", data, [(pnn, f"x{n}") for n, (pnn, _) in enumerate(names)])
    cut = rewritten(tmp_path / "b.fcs", data, names, first=100)
    sample = row("X", 2)
    own = set(check_header(fcs, None, sample).marks)
    for other in (copied, simulated / "config/../fcs/CTRL01.fcs", relabelled, cut):
        assert own & set(check_header(other, None, sample).marks)
    assert not own & set(check_header(simulated / "fcs/CTRL02.fcs", None, sample).marks)


def exchange(tube: StainingPattern, first: str, second: str) -> StainingPattern:
    """The pattern of a tube whose two labels were exchanged."""
    names = {first: second, second: first}
    return replace(tube, markers=tuple(names.get(name, name) for name in tube.markers))


def test_labels_that_only_the_values_contradict_are_reported_and_refused(simulated: Path) -> None:
    panel = load_panel(PANELS / "ino10.yaml")
    config = load_config(simulated / "config/config.yaml")
    rows = read_sheet(simulated / config.samples)[0]
    asked = RunRequest(config, simulated / "config")
    seen = {one: replace(check_header(one.fcs, panel, one, asked), detectors={}) for one in rows}
    assert compared(seen) == {}
    follow_up = next(one for one in rows if one.role is Role.FOLLOWUP)
    stored = seen[follow_up].pattern
    assert stored is not None
    pattern = StainingPattern.from_record(stored)
    swapped = replace(seen[follow_up], pattern=exchange(pattern, "CD34", "CD66b").as_record())
    found = compared({**seen, follow_up: swapped})
    assert list(found) == [follow_up.sample]
    assert "CD34 and CD66b look exchanged" in found[follow_up.sample][0].replace("CD66b and CD34", "CD34 and CD66b")
    assert found[follow_up.sample][1]


def test_a_control_with_exchanged_labels_vouches_for_no_other_tube(simulated: Path) -> None:
    panel = load_panel(PANELS / "ino10.yaml")
    config = load_config(simulated / "config/config.yaml")
    rows = read_sheet(simulated / config.samples)[0]
    seen = {one: check_header(one.fcs, panel, one, RunRequest(config, simulated / "config")) for one in rows}
    control = next(one for one in rows if one.role is Role.CONTROL)
    stored = seen[control].pattern
    assert stored is not None
    pattern = StainingPattern.from_record(stored)
    odd = replace(seen[control], pattern=exchange(pattern, "CD34", "CD66b").as_record())
    assert set(compared({**seen, control: odd})) == {control.sample}

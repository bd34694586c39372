"""Tubes of a run that contradict each other are told and refused before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from flowmrd.config.sheet import Role, Sample
from flowmrd.engine.headers import Look, check_header
from flowmrd.engine.tube_comparison import compare_tubes
from flowmrd.fcs import ChannelSpec, read_fcs, write_fcs
from flowmrd.fcs.reader import DataSet

USUAL = {"CD22": "PE", "CD24": "PE-CF594", "CD19": "PE-Cy7"}


def row(name: str, line: int, role: Role = Role.CONTROL, patient: str = "", **more: str) -> Sample:
    return Sample(name, patient or name, role, Path(f"{name}.fcs"), line=line, **more)  # type: ignore[arg-type]


def look(detectors: Mapping[str, str] = USUAL, *marks: str) -> Look:
    return Look(1.0, 1000, detectors, marks)


def compared(tubes: Mapping[Sample, Look]) -> dict[str, tuple[str, bool]]:
    faults = compare_tubes(
        list(tubes),
        {one.sample: seen for one, seen in tubes.items()},
        {one.sample: "p" for one in tubes},
        Path("s.tsv"),
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


def test_a_marker_on_a_detector_that_no_other_tube_uses_is_a_note() -> None:
    found = compared({**CONTROLS, row("FU", 9, Role.FOLLOWUP): look({**USUAL, "CD22": "BV421"}, "fu")})
    assert found["FU"][0].startswith("CD22 on BV421, elsewhere on PE")
    assert not found["FU"][1]


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

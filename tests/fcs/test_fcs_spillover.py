"""Spillover matrices as files write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.fcs.reader import read_fcs
from flowmrd.fcs.spillover import FileSpillover, read_spillover
from flowmrd.fcs.writer import ChannelSpec, write_fcs

CHANNELS = [
    ChannelSpec("FSC-A"),
    ChannelSpec("FL1-A", "CD20"),
    ChannelSpec("FL2-A", "CD10"),
    ChannelSpec("FL3 A", "CD45"),
    ChannelSpec("Time"),
]
GOOD = "1,0.15,0.02,0.01,1,0.2,0,0.03,1"
MATRIX = [[1, 0.15, 0.02], [0.01, 1, 0.2], [0, 0.03, 1]]


def spillover(folder: Path, **keywords: str) -> FileSpillover | None:
    path = folder / "a.fcs"
    named = {key.replace("_", "$", 1) if key.startswith("_") else key: value for key, value in keywords.items()}
    write_fcs(path, [np.zeros(3)] * 5, CHANNELS, named)
    one = read_fcs(path)[0]
    return read_spillover(one.keywords, one.channels)


@pytest.mark.parametrize("key", ["_SPILLOVER", "SPILL", "SPILLOVER"])
@pytest.mark.parametrize(
    "names", ["FL1-A,FL2-A,FL3 A", "2,3,4", "P2,P3,P4", "fl1-a, FL2-A ,FL3A", "CD20,CD10,CD45", "$P2N,$P3N,$P4N"]
)
def test_channels_are_found_by_name_marker_or_number(tmp_path: Path, key: str, names: str) -> None:
    found = spillover(tmp_path, **{key: f"3,{names},{GOOD}"})
    assert found is not None
    assert found.malformed == ""
    assert found.channels == (1, 2, 3)
    assert found.matrix is not None
    assert found.matrix.tolist() == MATRIX


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3,FL1-A,FL2-A,FL3 A,1,0,0,0,1,0,0,0", "8 numbers instead of 9"),
        ("3,FL1-A,FL2-A,FL3 A", "0 numbers"),
        ("x,FL1-A", "number of channels"),
        ("999999999,FL1-A", "number of channels"),
        ("2,FL1-A,FL1-A,1,0,0,1", "named twice"),
        ("2,FL1-A,nobody,1,0.1,0,1", "not in the file"),
        ("2,FL1-A,FL2-A,1,zero,0,1", "not a number"),
        ("2,FL1-A,FL2-A,1,nan,0,1", "not a number"),
        ("2,FL1-A,FL2-A,0,0,0,1", "zero on the diagonal"),
        ("2,FL1-A,99,1,0.1,0,1", "not in the file"),
    ],
)
def test_a_bad_matrix_is_described_and_does_not_stop_the_reader(tmp_path: Path, text: str, reason: str) -> None:
    found = spillover(tmp_path, _SPILLOVER=text)
    assert found is not None
    assert found.matrix is None
    assert reason in found.malformed
    assert "nobody" not in found.malformed


def test_percent_scaling_is_recognised(tmp_path: Path) -> None:
    found = spillover(tmp_path, SPILL="2,FL1-A,FL2-A,100,15,1,100")
    assert found is not None
    assert found.percent_scaled


def test_a_channel_that_the_file_lacks_is_left_out_only_where_it_spills_nowhere(tmp_path: Path) -> None:
    found = spillover(tmp_path, SPILL="3,FL1-A,QD,FL2-A,1,0,0.2,0,1,0,0.1,0,1")
    assert found is not None
    assert found.channels == (1, 2)
    assert found.matrix is not None
    assert found.matrix.tolist() == [[1, 0.2], [0.1, 1]]


def test_a_well_formed_matrix_is_preferred_to_a_malformed_one(tmp_path: Path) -> None:
    found = spillover(tmp_path, _SPILLOVER="3,FL1-A,FL2-A,FL3 A", SPILL=f"3,2,3,4,{GOOD}")
    assert found is not None
    assert found.source == "SPILL"


def test_comp_without_names_means_the_fluorescences_in_order(tmp_path: Path) -> None:
    found = spillover(tmp_path, _COMP=f"3,{GOOD}")
    assert found is not None
    assert found.channels == (1, 2, 3)


def test_subtraction_percentages_count_fluorescences(tmp_path: Path) -> None:
    found = spillover(tmp_path, _DFC1TO2="28.4", _DFC2TO1="1", _DFC1TO4="0.00")
    assert found is not None
    assert found.channels == (1, 2)
    assert found.matrix is not None
    assert found.matrix.tolist() == [[1, 0.284], [0.01, 1]]


def test_a_file_without_any_matrix_gives_none(tmp_path: Path) -> None:
    assert spillover(tmp_path, _CYT="x") is None

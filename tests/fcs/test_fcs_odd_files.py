"""Odd files are read exactly, broken ones refused, through the reader and through the command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from odd_files import ALL, OddFile

from flowmrd.cli.app import call
from flowmrd.errors import FcsError
from flowmrd.fcs.reader import read_fcs


@pytest.mark.parametrize("odd", ALL, ids=[odd.name for odd in ALL])
def test_an_odd_file_is_read_exactly_or_refused(tmp_path: Path, odd: OddFile) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(odd.content)
    if odd.values is None:
        with pytest.raises(FcsError) as refused:
            [one.raw() for one in read_fcs(path)]
        error = refused.value
        assert error.where == str(path)
        assert all((error.found, error.expected, error.todo))
        return
    data_sets = read_fcs(path)
    assert len(data_sets) == len(odd.values)
    for one, values in zip(data_sets, odd.values, strict=True):
        assert (one.n_events, len(one.channels)) == values.shape
        for column, expected in zip(one.raw(), values.T, strict=True):
            assert np.array_equal(np.asarray(column, dtype=float), expected, equal_nan=True)
    if odd.finding:
        assert odd.finding in {finding.code for one in data_sets for finding in one.findings}


def test_the_command_gives_json_or_three_lines_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tube.fcs"
    for odd in ALL[::8]:
        path.write_bytes(odd.content)
        code = call(["inspect", str(path), "--json", "--sums"])
        shown = capsys.readouterr()
        if odd.values is None:
            assert (code, shown.out) == (2, ""), odd.name
            assert [line[:6] for line in shown.err.splitlines()] == ["error:", "   in:", "   do:"], odd.name
        else:
            assert (code, shown.err) == (0, ""), odd.name
            sets = json.loads(shown.out)["data_sets"]
            assert [one["events"] for one in sets] == [len(values) for values in odd.values], odd.name


def test_a_pipe_a_folder_or_a_broken_link_is_refused_without_waiting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.fcs")
    (tmp_path / "folder.fcs").mkdir()
    (tmp_path / "loop.fcs").symlink_to("loop.fcs")
    (tmp_path / "dangling.fcs").symlink_to("nowhere.fcs")
    names = ["pipe.fcs", "folder.fcs", "loop.fcs", "dangling.fcs", "absent.fcs", "a" * 300]
    for path in [*(tmp_path / name for name in names), Path("/dev/zero")]:
        assert call(["inspect", str(path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 3


def test_control_characters_of_a_name_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tube.fcs"
    content = next(odd.content for odd in ALL if odd.name == "delimiter '|'")
    path.write_bytes(content.replace(b"CD22", b"\x1b[2J"))
    assert call(["inspect", str(path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_the_data_set_that_is_analysed_is_stated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tube.lmd"
    for name, said in (
        ("2 data sets, mode L, 40 events", "data set 1 (the one that is analysed)"),
        ("2 data sets, mode L, 70 events", "different tubes"),
    ):
        path.write_bytes(next(odd.content for odd in ALL if odd.name.startswith(name)))
        assert call(["inspect", str(path)]) == 0
        assert said in capsys.readouterr().out

"""Paths that a user gave: what cannot be a file is told in words, and nothing waits for a pipe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmarks.fuzz_runs.folder_faults import circle

from flowmrd.config import load_config, read_sheet
from flowmrd.config.path_text import impossible_path, obstacle, plain_path
from flowmrd.engine.panel_file import digest_of
from flowmrd.errors import ConfigError, SheetError


@pytest.mark.parametrize("text", [" ", "a\0b", "a\nb", "x" * 300, "a/" * 3000])
def test_a_text_that_names_no_file_on_any_system_is_told(text: str) -> None:
    assert impossible_path(text)


def test_what_stands_in_the_place_of_a_file_is_called_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    circle(tmp_path / "round")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "file").touch()
    told = {name: obstacle(tmp_path / name) for name in ("pipe", "round", "broken", "absent", "file", "y" * 300)}
    assert told == {
        "pipe": "a pipe or device",
        "round": "a link that leads back to itself",
        "broken": "a link to a file that is not there",
        "absent": "no such file",
        "file": "",
        "y" * 300: "no such file",
    }


def test_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="pipe"):
        load_config(pipe)
    with pytest.raises(SheetError, match="pipe"):
        read_sheet(pipe)
    assert digest_of(pipe) == "absent"


def test_a_path_is_shown_without_going_up_and_down_unless_a_link_lies_between(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("elsewhere/deep")
    assert plain_path(tmp_path / "config/../fcs/x.fcs") == tmp_path / "fcs/x.fcs"
    through = tmp_path / "link/../x.fcs"
    assert plain_path(through) == through


def test_yes_is_no_number_and_a_decimal_comma_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    start = "panel: ino10\nsamples: s.tsv\n"
    for lines, words in (
        ("quality: {min_events: yes}\n", "true, which is not a number"),
        ("quality: {nonfinite_max: 0,05}\n", "written with a point"),
        ("trial: {cutoff: '2024-13-45'}\n", "no day of the calendar"),
        ("qu\u0430lity: {}\n", "Latin alphabet"),
    ):
        path.write_text(start + lines, encoding="utf-8")
        with pytest.raises(ConfigError, match=words):
            load_config(path)

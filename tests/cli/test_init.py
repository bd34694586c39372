"""From a folder of files to a run directory, and new files into it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz_runs.folder_faults import circle

from flowmrd.cli.app import call
from flowmrd.config import read_sheet
from flowmrd.config.sheet import Role
from flowmrd.engine.sheet_proposal import NamingRules, propose_rows, read_naming
from flowmrd.engine.watch import add_new_tubes
from flowmrd.errors import ConfigError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import PANELS
from flowmrd.panel import load_panel

INO10 = load_panel(PANELS / "ino10.yaml")


def tube(path: Path, *, whole: bool = True) -> Path:
    """A file of 100 events with the channels of ino10, or without most of them."""
    names = [channel.marker for channel in INO10.channels]
    names = names if whole else names[:3]
    path.parent.mkdir(parents=True, exist_ok=True)
    events = [np.full(100, 7.0, dtype=np.float32) for _ in names]
    channels = [ChannelSpec(pnn=name, pns=name, range=262144) for name in names]
    write_fcs(path, events, channels, keywords={"$DATE": "03-MAR-2026"})
    return path


@pytest.mark.parametrize(
    ("name", "role", "patient", "timepoint"),
    [
        ("P017_dx.fcs", Role.DIAGNOSIS, "P017", "diagnosis"),
        ("P017_d21.fcs", Role.FOLLOWUP, "P017", "d21"),
        ("2026-03-01_PT-4a_day_28_tube1.fcs", Role.FOLLOWUP, "4a", "day_28"),
        ("Control 12.fcs", Role.CONTROL, "12", ""),
        ("ctrl07.fcs", Role.CONTROL, "ctrl07", ""),
        ("compensation CD19.fcs", Role.COMPENSATION, "CD19", ""),
    ],
)
def test_role_patient_and_time_point_come_from_the_name(
    tmp_path: Path, name: str, role: Role, patient: str, timepoint: str
) -> None:
    (row,) = propose_rows([tube(tmp_path / name)], INO10)
    assert (row.role, row.timepoint) == (role, timepoint)
    if role in (Role.DIAGNOSIS, Role.FOLLOWUP):
        assert row.patient == patient


def test_a_persons_name_never_becomes_a_pseudonym_and_both_tubes_stay_together(tmp_path: Path) -> None:
    files = [tube(tmp_path / name) for name in ("Doe Jane 4711 dx.fcs", "Doe Jane 4711 d21.fcs", "Roe Richard d21.fcs")]
    rows = propose_rows(files, INO10)
    assert [row.patient for row in rows] == ["P001", "P001", "P002"]
    assert not any(word in f"{row.sample} {row.guesses}" for row in rows for word in ("Doe", "Jane", "4711", "Roe"))


def test_the_laboratorys_own_patterns_count_first(tmp_path: Path) -> None:
    rules = tmp_path / "naming.yaml"
    pattern = r"^(?P<patient>[A-Z]{2}\d+)\.(?P<role>[A-Z])(?P<timepoint>\d*)"
    rules.write_text(f"patterns: ['{pattern}']\nroles: {{K: control, V: followup}}\n")
    (row,) = propose_rows([tube(tmp_path / "AB12.V28.fcs")], INO10, naming=read_naming(rules))
    assert (row.patient, row.role, row.timepoint) == ("AB12", Role.FOLLOWUP, "28")


def test_a_naming_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    rules = tmp_path / "naming.yaml"
    rules.write_text("patterns: ['(']\n")
    with pytest.raises(ConfigError, match="not a regular expression"):
        read_naming(rules)


def test_init_writes_a_sheet_that_can_be_read_with_a_comment_for_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    for name in ("ctrl01.fcs", "P01_dx.fcs", "sub/P01_d21.fcs"):
        tube(data / name)
    tube(data / "P02_d21.fcs", whole=False)
    assert call(["init", str(run), "--from", str(data)]) == 0
    assert "3 tubes of panel ino10, 1 files not used" in capsys.readouterr().out
    rows, problems = read_sheet(run / "config/samples.tsv")
    assert problems == []
    assert {row.sample for row in rows} == {"ctrl01", "P01-dx", "P01-d21"}
    assert all(row.fcs.is_file() for row in rows)
    assert {row.batch for row in rows} == {"2026-03-03"}
    text = (run / "config/samples.tsv").read_text()
    assert all(f"# {row.sample}: " in text for row in rows)
    assert "NOT USED" in text


def test_init_does_not_overwrite_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tube(tmp_path / "data/ctrl01.fcs")
    arguments = ["init", str(tmp_path / "run"), "--from", str(tmp_path / "data"), "--panel", "ino10"]
    assert call(arguments) == 0
    assert call(arguments) == 2
    assert "there already" in capsys.readouterr().err


def test_files_that_no_shipped_panel_fits_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tube(tmp_path / "data/a.fcs", whole=False)
    assert call(["init", str(tmp_path / "run"), "--from", str(tmp_path / "data")]) == 2
    assert "none of the shipped panels" in capsys.readouterr().err


def test_new_tubes_are_added_once(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    tube(data / "ctrl01.fcs")
    assert call(["init", str(run), "--from", str(data), "--panel", "ino10"]) == 0
    new = [tube(data / "P01_d21.fcs"), data / "ctrl01.fcs"]
    assert add_new_tubes(run, new, naming=NamingRules()) == ["P01_d21.fcs: P01-d21, followup"]
    assert add_new_tubes(run, new, naming=NamingRules()) == []
    rows, problems = read_sheet(run / "config/samples.tsv")
    assert problems == []
    assert [row.sample for row in rows] == ["ctrl01", "P01-d21"]


def test_a_proposed_workbook_is_read_like_the_text_sheet_and_new_tubes_are_added_to_it(tmp_path: Path) -> None:
    tube(tmp_path / "data/P007_dx.fcs")
    tube(tmp_path / "data/P017_d21.fcs", whole=False)
    for name, options in (("text", []), ("book", ["--xlsx"])):
        assert call(["init", str(tmp_path / name), "--from", str(tmp_path / "data"), "--panel", "ino10", *options]) == 0
    (one, _), (two, problems) = (read_sheet(tmp_path / f"{name}/config/samples.{kind}") for name, kind in
                                 (("text", "tsv"), ("book", "xlsx")))  # fmt: skip
    assert [(row.sample, row.fcs.resolve()) for row in one] == [(row.sample, row.fcs.resolve()) for row in two]
    assert not problems
    new = tube(tmp_path / "data/P018_d21.fcs")
    assert len(add_new_tubes(tmp_path / "book", [new], naming=NamingRules())) == 1
    rows, problems = read_sheet(tmp_path / "book/config/samples.xlsx")
    assert [row.patient for row in rows] == ["P007", "P018"]
    assert not problems
    assert add_new_tubes(tmp_path / "book", [new], naming=NamingRules()) == []


@pytest.mark.parametrize("name", [b"P01 K\xfcller d21.fcs", b"P01\td21.fcs", b"P01\nd21.fcs"])
def test_a_file_name_that_no_sheet_can_hold_is_told_and_never_added_twice(tmp_path: Path, name: bytes) -> None:
    odd = tmp_path / "in" / os.fsdecode(name)
    tube(tmp_path / "in/control1.fcs").rename(odd)
    tube(tmp_path / "in/control1.fcs")
    assert call(["init", str(tmp_path / "run"), "--from", str(tmp_path / "in"), "--panel", "ino10"]) == 0
    sheet = tmp_path / "run/config/samples.tsv"
    rows, problems = read_sheet(sheet)
    assert ([row.role for row in rows], problems) == ([Role.CONTROL], [])
    assert "rename the file" in sheet.read_text(encoding="utf-8")
    assert add_new_tubes(tmp_path / "run", [odd], naming=NamingRules()) == []


@pytest.mark.parametrize("change", [lambda text: text.encode("utf-16"), lambda text: text.replace("\t", ";").encode()])
def test_a_sheet_to_which_no_row_can_be_added_is_refused_and_left_as_it_is(
    tmp_path: Path, change: Callable[[str], bytes]
) -> None:
    tube(tmp_path / "in/control1.fcs")
    assert call(["init", str(tmp_path / "run"), "--from", str(tmp_path / "in"), "--panel", "ino10"]) == 0
    sheet = tmp_path / "run/config/samples.tsv"
    sheet.write_bytes(change(sheet.read_text(encoding="utf-8")))
    before = sheet.read_bytes()
    with pytest.raises(ConfigError, match="save the sheet"):
        add_new_tubes(tmp_path / "run", [tube(tmp_path / "in/control2.fcs")], naming=NamingRules())
    assert sheet.read_bytes() == before


def test_a_row_with_a_link_in_a_circle_does_not_stop_the_watch(tmp_path: Path) -> None:
    tube(tmp_path / "in/control1.fcs")
    assert call(["init", str(tmp_path / "run"), "--from", str(tmp_path / "in"), "--panel", "ino10"]) == 0
    circle(tmp_path / "in/round.fcs")
    with (tmp_path / "run/config/samples.tsv").open("a", encoding="utf-8") as stream:
        stream.write("R\tR\tcontrol\t../../in/round.fcs\t\t\t\n")
    assert len(add_new_tubes(tmp_path / "run", [tube(tmp_path / "in/control2.fcs")], naming=NamingRules())) == 1

"""What names and keywords say was done to the values before the export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.fcs.exported import ExportState, export_state
from flowmrd.fcs.reader import read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.panel.names import says_compensated, without_compensation


def state(folder: Path, names: list[str], **keywords: str) -> ExportState:
    path = folder / "a.fcs"
    written = {key.replace("_", " "): value for key, value in keywords.items()}
    write_fcs(path, [np.ones(3)] * len(names), [ChannelSpec(name) for name in names], written)
    one = read_fcs(path)[0]
    return export_state(one.keywords, one.channels)


@pytest.mark.parametrize(
    "name",
    ["Comp-PE-A", "FJComp-PE-A", "<PE-A>", "PE-A_comp", "PE-A (compensated)", "Unmixed PE-A", "CompPE-A", "PE-Comp-A"],
)
def test_every_custom_of_naming_compensated_channels_is_known(tmp_path: Path, name: str) -> None:
    assert says_compensated(name)
    assert without_compensation(name) == "PE-A"
    assert state(tmp_path, ["FSC-A", name]).compensated == (1,)


@pytest.mark.parametrize("name", ["PE-A", "UNCOMP PE-A", "Complement", "Computer", "FL1-A", "B525-A"])
def test_names_without_a_mark_are_not_taken_for_compensated(tmp_path: Path, name: str) -> None:
    assert not says_compensated(name)
    assert state(tmp_path, ["FSC-A", name]) == ExportState()


def test_keywords_of_exporters_are_read_and_settings_of_the_screen_are_not(tmp_path: Path) -> None:
    assert state(tmp_path, ["PE-A"], COMPENSATION_APPLIED="TRUE").compensated == (0,)
    assert state(tmp_path, ["PE-A"], APPLY_COMPENSATION="TRUE") == ExportState()
    assert state(tmp_path, ["PE-A"], P1DISPLAY="LOG") == ExportState()
    assert state(tmp_path, ["PE-A"], transformation="custom").transform == "TRANSFORMATION"
    # flowCore writes this of linear values too
    assert state(tmp_path, ["PE-A"], transformation="applied").transform == ""


def test_unmixed_channels_are_known_by_type_and_by_the_spectral_instrument(tmp_path: Path) -> None:
    assert state(tmp_path, ["PE-A"], **{"$P1TYPE": "Unmixed_Fluorescence"}).compensated == (0,)
    assert state(tmp_path, ["PE-A"], **{"$CYT": "Aurora"}).compensated == (0,)
    assert state(tmp_path, ["B3-A", "V10-A"], **{"$CYT": "Aurora"}).compensated == ()


def test_a_dye_that_could_be_a_violet_detector_is_unmixed_beside_other_dyes_alone(tmp_path: Path) -> None:
    """V500 of an Aurora's export was called stored, so "only some" channels were compensated; a raw V450 is none."""
    assert state(tmp_path, ["PE-A", "V500-A", "V10-A"], **{"$CYT": "Aurora"}).compensated == (0, 1)
    assert state(tmp_path, ["V450-A", "B525-A"], **{"$CYT": "CytoFLEX mosaic"}).compensated == ()

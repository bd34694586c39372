"""The second reader agrees, cannot read, or stops the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flowmrd.errors import FcsError
from flowmrd.fcs.cross_check import second_reading
from flowmrd.fcs.reader import read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs


def tube(folder: Path, *, big_endian: bool = False, datatype: str = "F") -> Path:
    path = folder / "t.fcs"
    values = [np.arange(1, 101) * factor for factor in (1, 2)]
    write_fcs(path, values, [ChannelSpec("A-A"), ChannelSpec("Time")], datatype=datatype, big_endian=big_endian)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("datatype", ["F", "D", "I"])
def test_little_endian_files_agree(tmp_path: Path, datatype: str) -> None:
    assert second_reading(read_fcs(tube(tmp_path, datatype=datatype))[0]).status == "agree"


def test_big_endian_files_are_given_to_flowio_and_never_to_fcsparser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("fcsparser.api.FCSParser", never)
    outcome = second_reading(read_fcs(tube(tmp_path, big_endian=True))[0])
    assert (outcome.status, outcome.reason) == ("agree", "sums of 2 channels equal by FlowIO")
    integers = second_reading(read_fcs(tube(tmp_path, big_endian=True, datatype="I"))[0])
    assert integers.status == "cannot_read"
    assert "little-endian" in integers.reason


def test_a_file_that_flowio_cannot_read_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("Mustermann")

    monkeypatch.setattr("flowio.FlowData", fails)
    outcome = second_reading(read_fcs(tube(tmp_path, big_endian=True))[0])
    assert outcome.status == "cannot_read"
    assert outcome.reason.endswith("FlowIO stopped with ValueError")


def test_a_crash_of_the_second_reader_means_cannot_read_and_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        print("$SRC Mustermann")  # noqa: T201 - what is silenced
        raise KeyError("Mustermann")

    monkeypatch.setattr("fcsparser.api.FCSParser", fails)
    outcome = second_reading(read_fcs(tube(tmp_path))[0])
    assert outcome.reason.startswith("sums of 2 channels equal by FlowIO")
    integers = second_reading(read_fcs(tube(tmp_path, datatype="I"))[0])
    assert (integers.status, integers.reason) == ("cannot_read", "fcsparser stopped with KeyError")
    assert "Mustermann" not in "".join(capfd.readouterr())


def test_a_file_is_refused_if_the_second_reader_finds_other_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fcsparser.api import FCSParser

    whole = FCSParser.read_data

    def altered(self: FCSParser, handle: object) -> None:
        whole(self, handle)
        self._data[3, 0] += 1

    monkeypatch.setattr(FCSParser, "read_data", altered)
    with pytest.raises(FcsError, match="parameter 1"):
        second_reading(read_fcs(tube(tmp_path))[0])


def test_neither_the_second_reader_nor_a_table_of_events_imports_pandas(tmp_path: Path) -> None:
    """Its import takes longer than reading a tube."""
    script = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from flowmrd.fcs.reader import read_fcs\nfrom flowmrd.fcs.cross_check import second_reading\n"
        "from flowmrd.store import as_arrow\n"
        f"assert second_reading(read_fcs(Path({str(tube(tmp_path))!r}))[0]).reason.endswith('by fcsparser')\n"
        "for values, same in ((np.arange(3), [0, 1, 2]), (np.array([True, False]), [True, False]), "
        "(np.array(['a', 'é']), ['a', 'é'])):\n    assert as_arrow(values).to_pylist() == same\n"
        "assert 'pandas' not in sys.modules\n"
        "import fcsparser, pandas\n"
        "assert fcsparser.api.pd.DataFrame is pandas.DataFrame\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

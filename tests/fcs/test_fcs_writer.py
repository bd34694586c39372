"""Files written by flowmrd are what FlowKit, FlowIO and our own reader read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.errors import InternalError
from flowmrd.fcs.writer import ChannelSpec, write_fcs

CHANNELS = (
    ChannelSpec("FSC-A", range=262144, voltage=310.5),
    ChannelSpec("PE-Cy7-A", "CD19", gain=2.0),
    ChannelSpec("Time"),
)


def columns(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.normal(900, 500, n).astype(np.float32) for _ in CHANNELS]


def test_float_file_reads_back_with_flowio_and_flowkit(tmp_path: Path) -> None:
    import flowio
    import flowkit

    path = tmp_path / "a.fcs"
    data = columns(1000)
    write_fcs(path, data, CHANNELS, {"$TIMESTEP": "0.01", "$CYT": "test / instrument"})
    read = flowio.FlowData(path)
    assert read.pnn_labels == ["FSC-A", "PE-Cy7-A", "Time"]
    assert read.pns_labels == ["", "CD19", ""]
    assert np.array_equal(np.reshape(read.events, (-1, 3)), np.column_stack(data))
    sample = flowkit.Sample(path)
    assert np.allclose(sample.get_events("raw")[:, 1], data[1] / 2.0)


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("big_endian", [False, True])
def test_integer_file_reads_back_with_flowio(tmp_path: Path, bits: int, big_endian: bool) -> None:
    import flowio

    path = tmp_path / "i.fcs"
    rng = np.random.default_rng(1)
    data = [rng.integers(0, 1024, 500) for _ in range(2)]
    channels = [ChannelSpec("FL1-H", range=1024, log=(4, 1)), ChannelSpec("FL2-H", range=1000)]
    write_fcs(path, data, channels, datatype="I", bits=bits, big_endian=big_endian)
    read = flowio.FlowData(path)
    assert np.array_equal(np.reshape(read.events, (-1, 2)), np.column_stack(data))


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.fcs", "b.fcs"):
        write_fcs(tmp_path / name, columns(10), CHANNELS, {"$CYT": "x"})
    assert (tmp_path / "a.fcs").read_bytes() == (tmp_path / "b.fcs").read_bytes()


def test_structural_keywords_and_overflowing_integers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="TOT"):
        write_fcs(tmp_path / "a.fcs", columns(3), CHANNELS, {"$tot": "9"})
    with pytest.raises(InternalError, match="outside"):
        write_fcs(tmp_path / "a.fcs", [np.array([1024])], [ChannelSpec("A", range=1024)], datatype="I")

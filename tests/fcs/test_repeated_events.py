"""A file that holds events more than once, or two tubes, is refused; two data sets of one tube are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz_runs.folder_faults import joined

from flowmrd.errors import FcsError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.fcs.repeated_events import refuse_repeated, repeated_share
from flowmrd.fcs.writer import ChannelSpec, write_fcs

N = 1_200


def cells(seed: int, n: int = N) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.rint(rng.lognormal(7.0, 1.0, n)).astype(np.float32) for _ in range(8)]


def file_of(path: Path, columns: list[np.ndarray]) -> bytes:
    write_fcs(path, columns, [ChannelSpec(f"FL{i}-A", "", 262_144) for i in range(len(columns))], {})
    return path.read_bytes()


@pytest.mark.parametrize("rows", [np.tile(np.arange(N), 2), np.repeat(np.arange(N), 2), np.tile(np.arange(N), 3)])
def test_events_that_stand_twice_are_refused_in_any_order(rows: np.ndarray) -> None:
    columns = [values[np.random.default_rng(1).permutation(rows)] for values in cells(1)]
    with pytest.raises(FcsError, match="more than once"):
        refuse_repeated(Path("tube.fcs"), columns)


def test_cells_that_are_clipped_at_both_ends_are_not_called_repeated() -> None:
    columns = [np.where(np.arange(N) < 700, 0.0, values).astype(np.float32) for values in cells(2)]
    assert repeated_share(columns) < 0.01


def test_few_coarse_channels_say_nothing() -> None:
    assert repeated_share([values % 4 for values in cells(3)][:5]) == 0.0


def test_a_joined_file_is_found_by_the_starts_of_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "joined.fcs"
    for parts in (2, 3):
        file_of(path, [np.tile(values, parts) for values in cells(4, 4_000)])
        assert repeated_share(list(read_fcs(path)[0].starts(3, 512, range(8)))) > 0.2
    file_of(path, cells(5, 8_000))
    assert repeated_share(list(read_fcs(path)[0].starts(3, 512, range(8)))) == 0.0


def test_two_tubes_of_as_many_events_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.fcs"
    first, second = file_of(path, cells(6)), file_of(path, cells(7))
    path.write_bytes(joined(first, second))
    data_sets = read_fcs(path)
    assert len(data_sets) == 2
    with pytest.raises(FcsError, match="several tubes"):
        choose(data_sets)


def test_one_tube_stored_twice_with_other_scales_is_read(tmp_path: Path) -> None:
    path = tmp_path / "twice.fcs"
    first = file_of(path, cells(8))
    second = file_of(path, [np.log10(values + 1.0) for values in cells(8)])
    path.write_bytes(joined(first, second))
    assert choose(read_fcs(path)).index == 1

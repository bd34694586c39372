"""Tables of expert labels that would take more memory than the tube they are about."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowmrd.errors import ArtefactError
from flowmrd.stages.labels import read_labels

N = 1000


def test_parquet_that_promises_twenty_million_rows_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    group = pa.table({"event": np.zeros(1_000_000, dtype=np.int32), "blast": np.zeros(1_000_000, dtype=bool)})
    with pq.ParquetWriter(path, group.schema) as writer:
        for _ in range(20):
            writer.write_table(group)
    assert path.stat().st_size < 1_000_000
    del group
    before = pa.total_allocated_bytes()
    with pytest.raises(ArtefactError, match="more rows than the tube has events"):
        read_labels(path, N)
    assert pa.total_allocated_bytes() <= before


def test_parquet_whose_labels_are_long_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"event": list(range(N)), "blast": ["x" * 100_000] * N}), path)
    with pytest.raises(ArtefactError, match="a column blast of string"):
        read_labels(path, N)


def test_a_compressed_table_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv.gz"
    path.write_bytes(gzip.compress(b"event\tblast\n0\ttrue\n"))
    with pytest.raises(ArtefactError):
        read_labels(path, N)


def test_a_text_table_of_too_many_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("event\tblast\n" + "0\ttrue\n" * (N + 1))
    with pytest.raises(ArtefactError, match="more rows"):
        read_labels(path, N)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 500 + b"PAR1", b"event\tblast\n0\ttrue\n"])
def test_a_file_that_is_parquet_only_by_name_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.parquet"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="labels that cannot be read"):
        read_labels(path, N)

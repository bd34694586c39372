"""Column files of a sample: one Arrow IPC file per stage, one row per event in file order.

A stage never rewrites the columns of the stage before; it writes a file of its own with the columns it adds.
Files are uncompressed and hold one record batch, so that opening one maps it into memory without copying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

from flowmrd.errors import ArtefactError, InternalError
from flowmrd.store.atomic import atomic_path

Array = npt.NDArray[Any]


def write_columns(path: Path, columns: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write equally long 1-d arrays as the columns of one Arrow IPC file, atomically.

    Parameters
    ----------
    columns
        Arrays of shape (n_events,) by name. Booleans are stored as uint8, so that they can be mapped into memory
        without copying.
    metadata
        Short texts kept in the schema (units, code tables as JSON).

    Raises
    ------
    InternalError
        If the columns differ in length.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InternalError(f"columns of unequal length cannot share a store: {lengths}")
    arrays: list[pa.Array] = []
    fields: list[pa.Field] = []
    for name, values in columns.items():
        is_bool = values.dtype == np.bool_
        array = as_arrow(values.view(np.uint8) if is_bool else values)
        arrays.append(array)
        fields.append(pa.field(name, array.type, nullable=False, metadata={"bool": "1"} if is_bool else None))
    schema = pa.schema(fields, metadata=dict(metadata or {}))
    batch = pa.record_batch(arrays, schema=schema)
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        ipc.new_file(sink, schema) as writer,
    ):
        writer.write_batch(batch)


def as_arrow(values: Array) -> pa.Array:
    """Convert an array of numbers, booleans or text. ``pa.array`` does the same, but imports pandas."""
    values = np.ascontiguousarray(values)
    if values.dtype.kind in "iuf":
        return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])
    if values.dtype == np.bool_:
        bits = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])
    words = [str(word).encode("utf-8") for word in values]
    ends = np.cumsum([0, *(len(word) for word in words)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(b"".join(words)))


class ColumnStore:
    """Read-only view of a column file. Columns are memory-mapped: reading one does not load the others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._map = pa.memory_map(str(path), "r")
            reader = ipc.open_file(self._map)
            if reader.num_record_batches != 1:
                raise pa.ArrowInvalid(f"{reader.num_record_batches} record batches")
            self._batch = reader.get_batch(0)
        except (OSError, pa.ArrowException) as error:
            raise ArtefactError(
                str(path),
                found=f"not a readable column file ({type(error).__name__})",
                expected="an Arrow IPC file written by flowmrd",
                todo="delete it and rerun the stage that writes it",
            ) from error

    @property
    def n_events(self) -> int:
        """Number of rows; equal to the number of events in the FCS data set."""
        return int(self._batch.num_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in the order they were written."""
        return tuple(self._batch.schema.names)

    @property
    def metadata(self) -> dict[str, str]:
        """Texts written with the columns."""
        return {key.decode(): value.decode() for key, value in (self._batch.schema.metadata or {}).items()}

    def __contains__(self, name: str) -> bool:
        return name in self._batch.schema.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> Array:
        """Column as a read-only array of shape (n_events,), without copying."""
        if name not in self:
            raise ArtefactError(
                str(self.path),
                found=f"columns {', '.join(self.names)}",
                expected=f"a column {name}",
                todo="check that panel and file belong together, then rerun the stage that writes this file",
            )
        field = self._batch.schema.field(name)
        column = self._batch.column(name)
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            # The buffer itself rather than to_numpy(), which imports pandas (half a second).
            dtype = np.dtype(field.type.to_pandas_dtype())
            values: Array = np.frombuffer(column.buffers()[1], dtype=dtype, count=len(column))
        else:
            values = column.to_numpy(zero_copy_only=True)
        return values.view(np.bool_) if (field.metadata or {}).get(b"bool") == b"1" else values

    def close(self) -> None:
        """Release the memory map. Arrays taken from the store must not be used afterwards."""
        self._map.close()

    def __enter__(self) -> ColumnStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_columns(path: Path) -> ColumnStore:
    """Open a column file for reading.

    Raises
    ------
    ArtefactError
        If the file is missing, truncated or not a column file.
    """
    return ColumnStore(path)

"""Files on disk: columns by event in file order (Arrow IPC) and small JSON artefacts, both written atomically."""

from flowmrd.store.arrays import read_arrays
from flowmrd.store.artefact import digest_file, read_json, write_json, write_text
from flowmrd.store.atomic import atomic_path
from flowmrd.store.columns import ColumnStore, as_arrow, open_columns, write_columns

__all__ = [
    "ColumnStore",
    "as_arrow",
    "atomic_path",
    "digest_file",
    "open_columns",
    "read_arrays",
    "read_json",
    "write_columns",
    "write_json",
    "write_text",
]

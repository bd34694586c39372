"""Expert labels by event: which rows of a tube's file a haematologist called leukaemic.

A table (Parquet, TSV or CSV by its ending) with a column ``event``, the 0-based row in the FCS file, and a column
``blast`` or ``mrd``, true or false. Rows that are not listed are not labelled leukaemic.

Or the expert's gates themselves: a FlowJo workspace, Kaluza analysis, FACSDiva experiment or GatingML file in which one
gate has the name of leukaemic cells (:data:`flowmrd.gating.experts.expert_gates.LEUKAEMIC_NAMES`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flowmrd.errors import ArtefactError, ConfigError, InternalError
from flowmrd.gating.experts import SUFFIXES, read_expert_gates
from flowmrd.store import atomic_path, write_text

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["read_labels", "write_labels"]

COLUMNS = ("blast", "mrd")
TRUE, FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})


def read_labels(
    path: Path, n_events: int, *, fcs: Path | None = None, data_set: int | None = None
) -> npt.NDArray[np.bool_]:
    """Mask of the events that are labelled leukaemic, shape (n_events,).

    Parameters
    ----------
    fcs, data_set
        The tube's file and data set, on whose events gates are evaluated; not needed for a table.

    Raises
    ------
    ArtefactError
        If the file cannot be read, lacks a column, names an event that the tube does not have, or has more rows than
        the tube has events.
    GateError
        If gates cannot be evaluated or belong to another tube, or none of them has the name of leukaemic cells.
    """
    if path.suffix.lower() in SUFFIXES:
        if fcs is None:
            raise InternalError(f"gates in {path} without the tube they are about")
        return read_expert_gates(path, fcs, data_set=data_set).leukaemic()
    import pandas as pd

    where = str(path)
    try:
        table = _read_parquet(path, n_events) if path.suffix.lower() == ".parquet" else _read_text(path, n_events)
    except ArtefactError:
        raise
    except Exception as error:
        raise ArtefactError(
            where,
            found=f"labels that cannot be read ({type(error).__name__})",
            expected="a Parquet, TSV or CSV table",
            todo="correct the file, or take it out of the labels column",
        ) from error
    column = next((name for name in COLUMNS if name in table.columns), None)
    if column is None or "event" not in table.columns:
        raise ArtefactError(
            where,
            found=f"of these columns only {table.columns[0]}" if len(table.columns) else "none of these columns",
            expected=f"event and {' or '.join(COLUMNS)}",
            todo="give the columns of the table these names",
        )
    events = pd.to_numeric(table["event"], errors="coerce")
    if not bool(events.between(0, n_events - 1).all()) or bool((events % 1 != 0).any()):
        raise ArtefactError(
            where,
            found="an event number outside the tube",
            expected=f"whole numbers from 0 to {n_events - 1}, the rows of the FCS file",
            todo="export the labels of this very file",
        )
    words = table[column].astype(str).str.strip().str.lower()
    if not bool(words.isin(TRUE | FALSE).all()):
        raise ArtefactError(
            where, found=f"other words than true and false in {column}", expected="true or false", todo="correct them"
        )
    labelled = np.zeros(n_events, dtype=bool)
    labelled[events.to_numpy(dtype=np.intp)[words.isin(TRUE).to_numpy()]] = True
    return labelled


def _read_text(path: Path, n_events: int) -> DataFrame:
    """The needed columns as text; nothing is unpacked, so the content cannot be larger than the file."""
    import pandas as pd

    table = pd.read_csv(
        path,
        sep="," if path.suffix.lower() == ".csv" else "\t",
        dtype=str,
        usecols=lambda name: name in ("event", *COLUMNS),
        nrows=n_events + 1,
        compression=None,
    )
    _require_rows(path, len(table), n_events)
    return table


def _read_parquet(path: Path, n_events: int) -> DataFrame:
    """The needed columns. Kilobytes of Parquet can unpack to gigabytes, so the announced sizes are checked first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _require_rows(path, file.metadata.num_rows, n_events)
        wanted = [name for name in ("event", *COLUMNS) if name in file.schema_arrow.names]
        for name in wanted:
            kind = file.schema_arrow.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind)):
                raise ArtefactError(
                    str(path),
                    found=f"a column {name} of {kind}",
                    expected="whole numbers in event, true and false or 1 and 0 as labels",
                    todo="store the labels as booleans, or as a TSV table",
                )
        table: DataFrame = file.read(columns=wanted, use_threads=False).to_pandas()
        return table


def _require_rows(path: Path, rows: int, n_events: int) -> None:
    if rows > n_events:
        raise ArtefactError(
            str(path),
            found="more rows than the tube has events",
            expected=f"each of its {n_events} events once at most",
            todo="export the labels of this very file",
        )


def write_labels(path: Path, members: npt.NDArray[np.bool_]) -> None:
    """Write a table of labels that :func:`read_labels` reads: one row per event, ``event`` and ``blast``.

    Raises
    ------
    ConfigError
        If the name ends neither in .parquet nor in .tsv.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"event": np.arange(len(members), dtype=np.int64), "blast": members})
    if path.suffix.lower() == ".parquet":
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)
    elif path.suffix.lower() == ".tsv":
        rows = (f"{event}\t{str(bool(value)).lower()}" for event, value in enumerate(members))
        write_text(path, "\n".join(["event\tblast", *rows]) + "\n")
    else:
        raise ConfigError("--out", found=path.name, expected="a name that ends in .parquet or .tsv", todo="rename it")

"""Expert labels by event: which rows of a tube's file a haematologist called leukaemic.

A table (Parquet, TSV or CSV by its ending) with a column ``event``, the 0-based row in the FCS file, and a column
``blast`` or ``mrd``, true or false. Rows that are not listed are not labelled leukaemic.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.errors import ArtefactError

__all__ = ["read_labels"]

COLUMNS = ("blast", "mrd")
TRUE, FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})


def read_labels(path: Path, n_events: int) -> npt.NDArray[np.bool_]:
    """Which events are labelled leukaemic, shape (n_events,).

    Raises
    ------
    ArtefactError
        If the file cannot be read, lacks a column, or names an event that the tube does not have.
    """
    import pandas as pd

    where = str(path)
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, sep="," if path.suffix.lower() == ".csv" else "\t", dtype=str)
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
            found=f"columns {', '.join(map(str, table.columns[:10]))}",
            expected=f"event and {' or '.join(COLUMNS)}",
            todo="name the columns so",
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

"""Choosing the spillover matrix of a tube, and refusing a tube that must not be compensated.

Nothing is decided silently. Several matrices that differ, a matrix that lacks a dye of the panel, and values that were
compensated before the export are refused until the configuration states what is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from flowmrd.config.path_text import plain_path
from flowmrd.config.run import CompensationConfig, RunConfig
from flowmrd.errors import CompensationError, counted
from flowmrd.fcs.spillover import KEYWORDS
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.compensation.matrix import (
    Float64,
    Spillover,
    check_spillover,
    normal_name,
    read_spillover_csv,
)
from flowmrd.records.ingest import ChannelEntry, Facts, SpilloverEntry, matrices_of

__all__ = ["DYES", "SAME_MATRIX", "find_spillover", "refuse_compensated", "refuse_mixed_export"]

DYES: Final = frozenset({ChannelKind.ANTIBODY.value, ChannelKind.NUCLEIC_ACID.value, ChannelKind.VIABILITY.value})
"""Kinds of panel channel that need a coefficient."""

SAME_MATRIX: Final = 2e-3
"""Two matrices of one file are the same where no coefficient differs by more: some programs round to three digits."""


def find_spillover(
    record: Facts, config: RunConfig, *, where: str, batch: str | None, csv: Path | None, base: Path | None
) -> Spillover | None:
    """Return the spillover matrix that the configuration selects, with column names; None for ``none``.

    Parameters
    ----------
    record
        ``ingest.json``, or the part of it that a header gives.
    where
        Name of the tube for messages.
    batch
        Batch of the tube, which chooses the configuration's CSV; None where the sheet gives none.
    csv
        File made from the single-stain controls (``source: controls``), or a CSV that overrides the configuration's.
    base
        Folder that CSV paths of the configuration are relative to.

    Raises
    ------
    CompensationError
        If there is no usable matrix, if several differ, if a dye of the panel is missing in it, or if the values are
        already compensated.
    """
    settings = config.compensation
    if settings == "none" or (isinstance(settings, CompensationConfig) and settings.source == "none"):
        refuse_mixed_export(record, where)
        return None
    refuse_compensated(record, where)
    if csv is not None:
        return _complete(_on_columns(read_spillover_csv(csv), record, str(csv)), record, str(csv))
    if settings.source == "controls":
        raise CompensationError(
            where,
            found="no matrix made from single-stain controls",
            expected="the file that 'flowmrd spillover' writes",
            todo="add rows with role 'compensation' and a stain for every fluorochrome, or choose another source",
        )
    if settings.source != "csv":
        keyword = None if settings.source == "file" else settings.source
        return _complete(_from_record(record, where, keyword), record, where)
    chosen = settings.csv.get(batch or "default", settings.csv.get("default"))
    if chosen is None:
        raise CompensationError(
            where,
            found=f"no spillover CSV for batch {batch or 'default'}",
            expected="'compensation: csv:' with this batch or the key 'default'",
            todo="add it to config.yaml",
        )
    path = plain_path((base or Path()) / chosen)
    return _complete(_on_columns(read_spillover_csv(path), record, str(path)), record, f"{where}: {path}")


def _dyes(record: Facts) -> list[ChannelEntry]:
    """Channels of the panel that carry a dye."""
    return [channel for channel in record.channels if channel.marker and channel.kind in DYES]


def refuse_compensated(record: Facts, where: str) -> None:
    """Refuse to compensate values that the export program marked as compensated.

    Raises
    ------
    CompensationError
        If there are such channels; the message names them and the evidence.
    """
    marked = [str(channel.pnn) for channel in _dyes(record) if channel.compensated]
    if marked:
        by = record.export.by or "the channel names"
        raise CompensationError(
            where,
            found=f"channels compensated before the export ({', '.join(marked)[:200]}; evidence: {by}), and a matrix "
            "to apply",
            expected="stored values",
            todo="export without compensation, or say 'compensation: none' in config.yaml (one file: --compensated)",
        )


def refuse_mixed_export(record: Facts, where: str) -> None:
    """Refuse a tube in which only some dyes are compensated.

    Raises
    ------
    CompensationError
        If only some dyes are compensated; the message names the others.
    """
    stored = [str(channel.marker) for channel in _dyes(record) if not channel.compensated]
    if stored and len(stored) < len(_dyes(record)):
        raise CompensationError(
            where,
            found=f"channels of which only some are compensated; not {', '.join(stored)[:200]}",
            expected="all dyes of the panel compensated, or none",
            todo="export all channels in the same way",
        )


def _from_record(record: Facts, where: str, keyword: str | None) -> Spillover:
    """The file's own matrix: the one of ``keyword``, or the only one."""
    matrices = matrices_of(record)
    if keyword is not None:
        named = tuple(one for one in matrices if one.source == keyword)
        if not named:
            held = ", ".join(one.source for one in matrices) or "none"
            raise CompensationError(
                where,
                found=f"no spillover matrix in {keyword} (the file has: {held})",
                expected=f"{keyword}, as 'compensation: source:' says",
                todo="correct the source in config.yaml",
            )
        matrices = named
    if not matrices:
        raise CompensationError(
            where,
            found="no spillover matrix in the file",
            expected=f"one of {', '.join(KEYWORDS)}",
            todo="give a CSV or single-stain controls in config.yaml (one file: --spillover), or say "
            "'compensation: none' (--compensated) if the data are already compensated",
        )
    usable = [one for one in matrices if not one.malformed]
    if not usable:
        raise CompensationError(
            where,
            found=f"a spillover matrix in {matrices[0].source} that cannot be used: {matrices[0].malformed}",
            expected="n, n channel names and n x n numbers with a decimal point",
            todo="export the file again, or give the matrix as CSV ('compensation: csv:' in config.yaml; one file: "
            "--spillover)",
        )
    _refuse_differing(usable, where)
    chosen = usable[0]
    of = f"{where}: {chosen.source}"
    return _on_columns(check_spillover(of, chosen.detectors, chosen.matrix, source=f"file:{chosen.source}"), record, of)


def _refuse_differing(matrices: Sequence[SpilloverEntry], where: str) -> None:
    """Refuse several matrices of one file that are not the same."""
    first = matrices[0]
    for other in matrices[1:]:
        if not _same(first, other):
            choices = " or ".join(f"'compensation: {{source: {one.source}}}'" for one in matrices)
            raise CompensationError(
                where,
                found=f"spillover matrices in {first.source} and {other.source} that differ "
                f"({_kind(first)}; {_kind(other)})",
                expected="one matrix",
                todo=f"say in config.yaml which one holds: {choices}; or give it as CSV",
            )


def _same(one: SpilloverEntry, other: SpilloverEntry) -> bool:
    names = list(dict.fromkeys([*one.detectors, *other.detectors]))
    return bool(np.abs(_widened(one, names) - _widened(other, names)).max() <= SAME_MATRIX)


def _widened(stored: SpilloverEntry, names: Sequence[str]) -> Float64:
    """A stored matrix over more channels, rows divided by their diagonal."""
    values = np.asarray(stored.matrix, dtype=np.float64)
    wide: Float64 = np.eye(len(names))
    places = [names.index(name) for name in stored.detectors]
    wide[np.ix_(places, places)] = values / np.diag(values)[:, None]
    return wide


def _kind(stored: SpilloverEntry) -> str:
    values = np.asarray(stored.matrix, dtype=np.float64)
    n = len(stored.detectors)
    if np.count_nonzero(values - np.diag(np.diag(values))) == 0:
        return f"{stored.source}: the identity for {n} channels"
    return f"{stored.source}: {n} channels"


def _complete(spillover: Spillover, record: Facts, where: str) -> Spillover:
    """Refuse a matrix that lacks a dye of the panel."""
    dyes = _dyes(record)
    lacking = [channel for channel in dyes if channel.column not in spillover.names]
    if lacking:
        shown = ", ".join(f"{channel.marker} ({channel.pnn})" for channel in lacking)
        heights = [name for name in spillover.names if _pulse(record, name) not in {"A", ""}]
        hint = "; it names the pulse heights of this file" if heights and len(lacking) == len(dyes) else ""
        raise CompensationError(
            where,
            found=f"a spillover matrix without {len(lacking)} of the panel's {len(dyes)} dyes: {shown[:300]}{hint}",
            expected="a coefficient for every dye of the panel",
            todo="give the matrix of this panel ('compensation: csv:' in config.yaml; one file: --spillover)",
        )
    return spillover


def _pulse(record: Facts, column: str) -> str:
    from flowmrd.panel.names import pulse_feature

    return next((pulse_feature(str(one.pnn)) for one in record.channels if one.column == column), "")


def _on_columns(spillover: Spillover, record: Facts, where: str) -> Spillover:
    """Rename a matrix's detectors to columns; drop scatter and time where they carry nothing, refuse where they do."""
    lookup: dict[str, str] = {}
    for key in ("pns", "marker", "pnn", "column"):  # what stands later goes before
        lookup |= {normal_name(str(name)): one.column for one in record.channels if (name := getattr(one, key))}
    kinds = {channel.column: channel.kind for channel in record.channels}
    missing = [name for name in spillover.names if normal_name(name) not in lookup]
    if missing:
        raise CompensationError(
            where,
            found=f"{counted(len(missing), 'channel')} of the spillover matrix that the file lacks: "
            f"{', '.join(missing)[:200]}",
            expected="detector names of the file",
            todo="use the matrix that belongs to this acquisition",
        )
    columns = [lookup[normal_name(name)] for name in spillover.names]
    if len(set(columns)) != len(columns):
        raise CompensationError(
            where,
            found="two entries of the spillover matrix for one channel",
            expected="every channel once",
            todo="use the matrix that belongs to this acquisition",
        )
    keep = [i for i, column in enumerate(columns) if kinds[column] not in ("scatter", "time")]
    for i in sorted(set(range(len(columns))) - set(keep)):
        rest = np.delete(spillover.matrix[i], i), np.delete(spillover.matrix[:, i], i)
        if any(np.any(part != 0) for part in rest):
            raise CompensationError(
                where,
                found=f"spillover from or into {columns[i]}, which is scatter or time",
                expected="fluorescence channels only",
                todo="correct the matrix: scatter and time are never compensated",
            )
    return Spillover(
        tuple(columns[i] for i in keep),
        spillover.matrix[np.ix_(keep, keep)],
        spillover.source,
        spillover.condition,
        spillover.notes,
    )

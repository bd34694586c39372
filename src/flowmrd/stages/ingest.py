"""Stage ingest: one FCS file to raw columns named by marker, and what is known about them.

``ingest.json``::

    schema, sample, sha256, bytes, data_set, n_data_sets, fcs_version, n_events
    findings:      [{code, message}]
    second_reader: {status: agree | cannot_read, reason}
    channels:      [{column, marker, kind, matched_by, pnn, pns, range, voltage, gain, log, time}]
    spillover:     {source, detectors (column names), matrix, percent_scaled, malformed} or null
    nonfinite:     {column: events with NaN or infinity}, only where there are any
    missing:       optional markers of the panel that the file lacks
    timestep, instrument, acquisition, keywords

No value of a keyword is stored unless :mod:`flowmrd.fcs.scrub` allows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.errors import FcsError
from flowmrd.fcs.cross_check import second_reading
from flowmrd.fcs.findings import Finding
from flowmrd.fcs.reader import DataSet, choose, marker_names, read_fcs
from flowmrd.fcs.scrub import acquisition, instrument, kept_keywords
from flowmrd.fcs.spillover import FileSpillover, read_spillover
from flowmrd.panel.match import ChannelMatch, MatchResult, known_names, match_channels
from flowmrd.panel.model import PanelModel
from flowmrd.panel.names import printable_name
from flowmrd.store import digest_file, write_columns, write_json

__all__ = ["SCHEMA", "ingest", "read_columns"]

SCHEMA = "flowmrd-ingest/1"


def ingest(
    fcs: Path, *, panel: PanelModel, sample: str, events: Path, record: Path, dataset: int | None = None
) -> None:
    """Read a file and write ``events.arrow`` and ``ingest.json``.

    Parameters
    ----------
    fcs
        FCS or LMD file.
    panel
        Panel that its channels are matched to.
    sample
        Name of the sample, for the record.
    events
        Where to write the columns: float32, one row per event in file order, on the ``raw`` scale.
    record
        Where to write the facts.
    dataset
        0-based data set; chosen by the rule of :func:`flowmrd.fcs.reader.choose` where ``None``.

    Raises
    ------
    FcsError
        If the file cannot be read truthfully, a second reader disagrees, or the file changed while it was read.
    ChannelError
        If a required channel is missing or ambiguous.
    """
    data_sets = read_fcs(fcs)
    chosen = choose(data_sets, dataset)
    names, borrowed = marker_names(chosen, data_sets)
    matched = match_channels(panel, names, str(fcs))
    before = digest_file(fcs)
    findings = [*chosen.findings]
    if len(data_sets) > 1:
        findings.append(Finding("data_set_chosen", f"data set {chosen.index} of {len(data_sets)} was taken"))
    if borrowed:
        findings.append(Finding("names_from_twin", "marker names were taken from another data set of the file"))
    findings += [Finding("scatter_substitute", note) for note in matched.notes]
    second = second_reading(chosen, n_sets=len(data_sets))
    values = chosen.scaled()
    if digest_file(fcs) != before:
        raise FcsError(
            str(fcs),
            found="a file that changed while it was read",
            expected="a file at rest",
            todo="wait until the transfer from the instrument has ended, then rerun",
        )
    columns = _columns(values, matched)
    facts = {
        "schema": SCHEMA,
        "sample": sample,
        "sha256": before,
        "bytes": fcs.stat().st_size,
        "data_set": chosen.index,
        "n_data_sets": len(data_sets),
        "fcs_version": chosen.version,
        "n_events": chosen.n_events,
        "findings": [{"code": finding.code, "message": finding.message} for finding in findings],
        "second_reader": {"status": second.status, "reason": second.reason},
        "channels": _channels(chosen, matched, names, panel),
        "spillover": _spillover(chosen, data_sets, matched),
        "nonfinite": _nonfinite(columns),
        "missing": list(matched.missing),
        "timestep": chosen.timestep,
        "instrument": instrument(chosen.keywords),
        "acquisition": acquisition(chosen.keywords),
        "keywords": kept_keywords(chosen.keywords),
    }
    write_columns(events, columns, {"scale": "raw", "sample": sample})
    write_json(record, facts)


def read_columns(
    fcs: Path, *, panel: PanelModel, dataset: int | None = None, others: bool = True
) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Any]]:
    """Read a file into memory for work outside of a run, where nothing is kept to be checked later.

    Neither hash nor second reader, which cost more time than all the rest; ``ingest`` has both.

    Parameters
    ----------
    others
        Also give channels that neither the panel nor the file's spillover matrix names.

    Returns
    -------
    columns
        As ``events.arrow`` holds them; they may be overwritten.
    facts
        The parts of ``ingest.json`` that describe channels, spillover and instrument.
    """
    data_sets = read_fcs(fcs)
    chosen = choose(data_sets, dataset)
    names, _ = marker_names(chosen, data_sets)
    matched = match_channels(panel, names, str(fcs))
    stored = _spillover(chosen, data_sets, matched)
    facts = {
        "channels": _channels(chosen, matched, names, panel),
        "spillover": stored,
        "instrument": instrument(chosen.keywords),
        "acquisition": acquisition(chosen.keywords),
    }
    named = set() if stored is None else set(stored["detectors"])
    wanted = [one for one in matched.channels if others or one.marker is not None or one.column in named]
    values = chosen.scaled([channel.index for channel in wanted])
    return {channel.column: row for channel, row in zip(wanted, values, strict=True)}, facts


def _columns(values: npt.NDArray[np.float32], matched: MatchResult) -> dict[str, npt.NDArray[np.float32]]:
    return {channel.column: values[channel.index] for channel in matched.channels}


def _channels(
    chosen: DataSet, matched: MatchResult, names: list[tuple[str | None, str | None]], panel: PanelModel
) -> list[dict[str, Any]]:
    known = known_names(panel)

    def describe(match: ChannelMatch) -> dict[str, Any]:
        parameter = chosen.channels[match.index]
        pnn, pns = names[match.index]
        return {
            "column": match.column,
            "marker": match.marker,
            "kind": match.kind,
            "matched_by": match.by,
            "pnn": printable_name(pnn, known),
            "pns": printable_name(pns, known),
            "range": parameter.range,
            "voltage": parameter.voltage,
            "gain": parameter.gain,
            "log": None if parameter.log is None else list(parameter.log),
            "time": parameter.time,
        }

    return [describe(match) for match in matched.channels]


def _spillover(chosen: DataSet, data_sets: list[DataSet], matched: MatchResult) -> dict[str, Any] | None:
    """Matrix of the data set; of a twin with the same channels where only that has one."""
    found = read_spillover(chosen.keywords, chosen.channels)
    if found is None:
        for twin in data_sets:
            if twin is not chosen and twin.n_events == chosen.n_events and found is None:
                found = read_spillover(twin.keywords, chosen.channels)
    return None if found is None else _spillover_record(found, [match.column for match in matched.channels])


def _spillover_record(found: FileSpillover, columns: list[str]) -> dict[str, Any]:
    return {
        "source": found.source,
        "detectors": [columns[index] for index in found.channels],
        "matrix": None if found.matrix is None else found.matrix.tolist(),
        "percent_scaled": found.percent_scaled,
        "malformed": found.malformed,
    }


def _nonfinite(columns: dict[str, npt.NDArray[np.float32]]) -> dict[str, int]:
    counts = {name: int(np.count_nonzero(~np.isfinite(values))) for name, values in columns.items()}
    return {name: count for name, count in counts.items() if count}

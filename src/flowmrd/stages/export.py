"""Stage ``export``: one row per event for the laboratory's own tools, as Parquet and as FCS.

``events.parquet``
    ``event`` (0-based row of the FCS data set), ``population`` (string dictionary), ``mrd``, ``mrd_score``, ``group``
    (number of its group, ``cluster`` in ``mrd.json``, counted or not; -1 = none), ``excluded`` (events in the place
    of the phenotype that a gate or mask took away), one boolean column ``mask_<step>`` per quality mask (True =
    masked), ``routes`` (ways into the B lineage joined by ``+``, empty outside it). ``mrd`` follows the reviewers'
    calls of groups; the rest is the classifier's. With ``export.values`` also ``scale_<marker>``, every channel of the
    panel on the 0..1 scale.

``annotated.fcs``
    FCS 3.1, float32: the original parameters as ingest read them (after gain, logarithmic amplifier and time step, so
    none of these keywords is repeated), then ``population`` (code; keyword ``FLOWMRD POPULATIONS`` names them),
    ``mrd_score`` and ``mrd``. The spillover matrix is kept, no other keyword of the source is: nothing can identify a
    person.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.errors import ArtefactError, InternalError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.mrd.calls import ReviewerCalls, calls_in_result, mrd_with_calls
from flowmrd.mrd.result import MrdResult
from flowmrd.panel import ChannelKind, PanelModel
from flowmrd.records.ingest import ChannelEntry, IngestFile, SpilloverEntry
from flowmrd.records.read import read_record
from flowmrd.run_files import RunFiles
from flowmrd.store import as_arrow, atomic_path, digest_file, open_columns
from flowmrd.tube import Tube

__all__ = ["ExportedEvents", "events_of", "export", "in_run", "original_values", "write_annotated", "write_parquet"]


def in_run(run: RunFiles, *, sample: str) -> None:
    """Export a judged tube of a run."""
    export(
        run.sample(sample).fcs,
        run.work(sample, "ingest.json"),
        *(run.work(sample, f"{name}.arrow") for name in ("preprocessed", "gated", "classified")),
        result=run.result(sample, "mrd.json"),
        parquet=run.result(sample, "events.parquet"),
        fcs=run.result(sample, "annotated.fcs"),
        panel=run.panel_of(sample) if run.config.export.values else None,
    )


def export(
    source: Path,
    record: Path,
    preprocessed: Path,
    gated: Path,
    classified: Path,
    *,
    result: Path | None = None,
    parquet: Path,
    fcs: Path,
    panel: PanelModel | None = None,
) -> None:
    """Write ``events.parquet`` and ``annotated.fcs`` of one tube.

    Parameters
    ----------
    source
        The tube's FCS file, which is read once more, because its columns are not kept between stages.
    record
        ``ingest.json``.
    preprocessed, gated, classified
        Column files of the later stages.
    result
        ``mrd.json``, whose groups hold the reviewers' calls; without it ``mrd`` is the classifier's.
    panel
        Panel of the tube where ``events.parquet`` is to hold the values of its channels.

    Raises
    ------
    ArtefactError
        If the files do not belong to the same tube, or the FCS file has changed since it was ingested.
    """
    facts = read_record(record, IngestFile)
    called = ReviewerCalls() if result is None else calls_in_result(read_record(result, MrdResult))
    with open_columns(preprocessed) as masks, open_columns(gated) as gates, open_columns(classified) as calls:
        for path, store in ((preprocessed, masks), (gated, gates), (classified, calls)):
            if store.n_events != facts.n_events:
                raise ArtefactError(
                    str(path),
                    found=f"{store.n_events} events",
                    expected=f"{facts.n_events}, as in {record.name}",
                    todo="rerun the stages of this tube from ingest on",
                )
        events = ExportedEvents(
            {name.removeprefix("mask_"): masks[name] for name in masks.names if name.startswith("mask_")},
            json.loads(gates.metadata["populations"]),
            gates["population"],
            tuple(json.loads(gates.metadata["routes"])),
            gates["routes"],
            calls["mrd_score"],
            mrd_with_calls(calls["mrd"], calls["group"], called),
            calls["group"],
            calls["excluded"] if "excluded" in calls else np.zeros_like(calls["mrd"]),
            {} if panel is None else {name: masks[name] for name in _valued(panel) if name in masks.names},
        )
        write_parquet(parquet, events)
        write_annotated(fcs, facts, list(original_values(source, facts)), events)


@dataclass(frozen=True)
class ExportedEvents:
    """Exported facts about every event besides its original values; fields as in :class:`flowmrd.tube.Tube`.

    ``values`` are the channels that ``events.parquet`` holds on the 0..1 scale.
    """

    masks: Mapping[str, npt.NDArray[np.bool_]]
    populations: Mapping[str, int]
    population: npt.NDArray[np.int16]
    route_names: tuple[str, ...]
    routes: npt.NDArray[np.uint8]
    mrd_score: npt.NDArray[np.float32]
    mrd: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int32]
    excluded: npt.NDArray[np.bool_]
    values: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def _valued(panel: PanelModel) -> tuple[str, ...]:
    """Channels of a panel whose values may be exported."""
    return tuple(channel.marker for channel in panel.channels if channel.kind is not ChannelKind.TIME)


def events_of(tube: Tube, *, values: bool = False) -> ExportedEvents:
    """Exported facts about the events of a judged tube; with ``values`` also the channels on the 0..1 scale.

    Raises
    ------
    InternalError
        If the tube has not been gated and classified.
    """
    judged = (tube.mrd_score, tube.mrd, tube.group)
    if tube.population is None or tube.routes is None or any(column is None for column in judged):
        raise InternalError(f"tube {tube.name} is to be exported before it was judged")
    assert tube.mrd_score is not None and tube.mrd is not None and tube.group is not None  # noqa: S101
    return ExportedEvents(
        tube.masks,
        tube.populations,
        tube.population,
        tube.route_names,
        tube.routes,
        tube.mrd_score,
        tube.mrd,
        tube.group,
        np.zeros_like(tube.mrd) if tube.excluded is None else tube.excluded,
        tube.measured if values else {},
    )


def original_values(source: Path, facts: IngestFile) -> npt.NDArray[np.float32]:
    """Values of the data set that was ingested, float32 of shape (n_channels, n_events)."""
    if digest_file(source) != facts.sha256:
        raise ArtefactError(
            str(source),
            found="a file that has changed since it was ingested",
            expected=f"SHA-256 {facts.sha256}",
            todo="rerun this tube from ingest on",
        )
    chosen = choose(read_fcs(source), facts.data_set)
    if len(chosen.channels) != len(facts.channels):
        raise ArtefactError(
            str(source),
            found=f"{len(chosen.channels)} parameters",
            expected=f"{len(facts.channels)}, as ingest recorded",
            todo="rerun this tube from ingest on",
        )
    return chosen.scaled()


def write_parquet(path: Path, events: ExportedEvents) -> None:
    """Write ``events.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "event": as_arrow(np.arange(len(events.mrd), dtype=np.int64)),
        "population": _dictionary(events.population, {int(code): name for name, code in events.populations.items()}),
        "mrd": as_arrow(events.mrd),
        "mrd_score": as_arrow(events.mrd_score),
        "group": as_arrow(events.group),
        "excluded": as_arrow(events.excluded),
        **{f"mask_{step}": as_arrow(mask) for step, mask in events.masks.items()},
        "routes": _dictionary(events.routes, _route_words(events.route_names, events.routes)),
        **{f"scale_{marker}": as_arrow(values) for marker, values in events.values.items()},
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def _dictionary(codes: npt.NDArray[Any], names: Mapping[int, str]) -> Any:
    """String dictionary column; the dictionary is ordered by code."""
    import pyarrow as pa

    order = sorted(names)
    lookup = np.zeros(max(order, default=0) + 1, dtype=np.int32)
    lookup[order] = np.arange(len(order), dtype=np.int32)
    words = np.array([names[code] for code in order], dtype=np.str_)
    return pa.DictionaryArray.from_arrays(as_arrow(lookup[codes]), as_arrow(words))


def _route_words(routes: Sequence[str], bits: npt.NDArray[np.uint8]) -> dict[int, str]:
    seen = {0, *(int(value) for value in np.flatnonzero(np.bincount(bits, minlength=256)))}
    return {
        value: "+".join(name.removeprefix("route_") for i, name in enumerate(routes) if value >> i & 1)
        for value in seen
    }


def write_annotated(
    path: Path, facts: IngestFile, values: Sequence[npt.NDArray[np.float32]], events: ExportedEvents
) -> None:
    """Write ``annotated.fcs``; ``values`` are the original columns in the order of ``facts.channels``."""
    names = {entry.column: entry.pnn or "" for entry in facts.channels}
    table = events.populations
    channels = [_channel(entry, column) for entry, column in zip(facts.channels, values, strict=True)]
    top = max((int(code) for code in table.values()), default=1)
    channels += [
        ChannelSpec("population", "flowmrd population", range=_power(top + 1)),
        ChannelSpec("mrd_score", "flowmrd MRD score", range=1),
        ChannelSpec("mrd", "flowmrd MRD", range=2),
    ]
    columns: list[npt.NDArray[Any]] = list(values)
    columns += [
        events.population.astype(np.float32),
        events.mrd_score.astype(np.float32),
        events.mrd.astype(np.float32),
    ]
    keywords = {"FLOWMRD POPULATIONS": "; ".join(f"{code} {name}" for name, code in table.items())}
    matrix = "" if facts.spillover is None else _spillover(facts.spillover, names)
    if matrix:
        keywords["$SPILLOVER"] = matrix
    with atomic_path(path) as temporary:
        write_fcs(temporary, columns, channels, keywords)


def _channel(entry: ChannelEntry, values: npt.NDArray[Any]) -> ChannelSpec:
    top = entry.range
    if top is None or not math.isfinite(top) or not 0 < top < 2**31:
        finite = values[np.isfinite(values)]
        top = _power(float(finite.max(initial=1.0)))
    return ChannelSpec(
        str(entry.pnn),
        entry.pns or "",
        range=math.ceil(top),
        voltage=entry.voltage,
    )


def _power(value: float) -> int:
    """Smallest power of two that is not below ``value``."""
    return 1 << max(math.ceil(value) - 1, 1).bit_length()


def _spillover(stored: SpilloverEntry, names_of: Mapping[str, str]) -> str:
    """``$SPILLOVER`` in the file's own detector names, or empty where the source had no usable matrix."""
    if stored.malformed or stored.matrix is None:
        return ""
    names = [names_of.get(name, name) for name in stored.detectors]
    if any("," in name for name in names):
        return ""
    values = [f"{float(value):.9g}" for row in stored.matrix for value in row]
    return ",".join([str(len(names)), *names, *values])

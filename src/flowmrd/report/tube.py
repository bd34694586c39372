"""One sample's event columns as the report needs them: axes, gates as masks, MRD events, a thinned table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.errors import ArtefactError
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.report import formatting
from flowmrd.report.axes import Axis, make_axis
from flowmrd.report.density import Bins, bin_axis
from flowmrd.store import ColumnStore, open_columns

Mask = npt.NDArray[np.bool_]

MAX_MRD_ROWS = 20_000
"""MRD events kept in the thinned table. Above it the fraction is high and the thinning is stated on the page."""
UNIFORM_ROWS = 6_000
"""Evenly spaced events kept, so that the free plot shows true proportions."""
ROWS_PER_GATE = 250
"""Events kept of every gate besides, so that rare populations can be back-gated."""
_QUANTA = 65535
_QUANTUM_LOW, _QUANTUM_HIGH = -0.25, 1.25


class Tube:
    """Column files of one sample, opened together; they all have one row per event.

    Raises
    ------
    ArtefactError
        If the files disagree about the number of events.
    """

    def __init__(self, work: Path, panel: PanelModel, *, time_masked: bool) -> None:
        self.panel = panel
        self.events = open_columns(work / "preprocessed.arrow")
        self.gated = open_columns(work / "gated.arrow")
        self.classified: ColumnStore | None = (
            open_columns(work / "classified.arrow") if (work / "classified.arrow").is_file() else None
        )
        sizes = {store.path.name: store.n_events for store in (self.events, self.gated, self.classified) if store}
        if len(set(sizes.values())) > 1:
            raise ArtefactError(
                str(work),
                found=", ".join(f"{name} with {n} events" for name, n in sizes.items()),
                expected="one row per event in every file",
                todo="delete this sample's work files and rerun it",
            )
        self._time_masked = time_masked
        self._transforms: Mapping[str, Mapping[str, Any]] = json.loads(self.events.metadata.get("transforms", "{}"))
        self._bins: dict[str, Bins] = {}
        self._gates: dict[str, Mask] = {}

    def close(self) -> None:
        """Release the memory maps."""
        for store in (self.events, self.gated, self.classified):
            if store is not None:
                store.close()

    @property
    def n_events(self) -> int:
        """Events in the file."""
        return self.events.n_events

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Measured channels of the panel that the file has, in panel order, without Time."""
        time = {channel.marker for channel in self.panel.channels if channel.kind is ChannelKind.TIME}
        return tuple(marker for marker in self.panel.markers if marker in self.events and marker not in time)

    @cached_property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gates, in the order of their bits."""
        names = json.loads(self.gated.metadata.get("gates", "[]"))
        if isinstance(names, dict):
            names = [name for name, _ in sorted(names.items(), key=lambda item: int(item[1]))]
        return tuple(str(name) for name in names)

    @cached_property
    def masks(self) -> tuple[str, ...]:
        """Names of the quality masks without their prefix."""
        return tuple(name.removeprefix("mask_") for name in self.events if name.startswith("mask_"))

    @cached_property
    def analysable(self) -> Mask:
        """Events that quality control left in (``docs/architecture.md``)."""
        kept = np.ones(self.n_events, dtype=np.bool_)
        for name in ("nonfinite", "margin", "dead", *(("time",) if self._time_masked else ())):
            if f"mask_{name}" in self.events:
                kept &= ~self.events[f"mask_{name}"].astype(np.bool_)
        return kept

    @cached_property
    def mrd(self) -> Mask:
        """Analysable events called MRD; none where the tube was not classified."""
        if self.classified is None:
            return np.zeros(self.n_events, dtype=np.bool_)
        return self.classified["mrd"].astype(np.bool_) & self.analysable

    def gate(self, name: str) -> Mask:
        """Analysable events inside a gate and its ancestors; ``root`` are all analysable ones."""
        if name == "root":
            return self.analysable
        if name not in self._gates:
            bit = np.uint64(self.gate_names.index(name))
            self._gates[name] = ((self.gated["gates"] >> bit) & np.uint64(1)).astype(np.bool_) & self.analysable
        return self._gates[name]

    def bins(self, channel: str) -> Bins:
        """Grid bin of every event on one channel; kept, because several plots share an axis."""
        if channel not in self._bins:
            self._bins[channel] = bin_axis(self.events[channel])
        return self._bins[channel]

    def axis(self, channel: str) -> Axis:
        """Axis with ticks in raw units."""
        known = self.panel.channel(channel)
        dye = f" {known.fluorochrome}" if known.fluorochrome else ""
        return make_axis(channel, formatting.clip(f"{channel}{dye}", 60), self._transforms.get(channel, {}))

    def raw(self, channel: str, value: float) -> float | None:
        """A value of the 0..1 scale in compensated raw units, or ``None`` where the transform was not recorded."""
        record = self._transforms.get(channel)
        return None if record is None else float(ChannelScale.from_record(dict(record)).inverse(np.array([value]))[0])

    def thinned(self) -> Thinned:
        """Table for back-gating: every MRD event, an even sample of all, and some of every gate."""
        analysable = np.flatnonzero(self.analysable)
        uniform = _even(analysable, UNIFORM_ROWS)
        mrd = np.flatnonzero(self.mrd)
        kept_mrd = _even(mrd, MAX_MRD_ROWS)
        parts = [kept_mrd] + [_even(np.flatnonzero(self.gate(name)), ROWS_PER_GATE) for name in self.gate_names]
        extra = np.setdiff1d(np.unique(np.concatenate(parts)), uniform)
        return Thinned(self, np.concatenate([uniform, extra]), len(uniform), len(kept_mrd), len(mrd))


class Thinned:
    """Rows chosen for the page; the first ``n_uniform`` are an even sample of the analysable events."""

    def __init__(self, tube: Tube, rows: npt.NDArray[np.intp], n_uniform: int, n_mrd: int, all_mrd: int) -> None:
        self.rows = rows
        self.n_uniform = n_uniform
        self.n_mrd = n_mrd
        self.all_mrd = all_mrd
        self.channels = tube.channels
        self._tube = tube

    def describe(self) -> dict[str, object]:
        """What the page's script needs to read :meth:`pack`."""
        tube = self._tube
        return {
            "rows": len(self.rows),
            "uniform": self.n_uniform,
            "channels": list(self.channels),
            "low": _QUANTUM_LOW,
            "high": _QUANTUM_HIGH,
            "gates": list(tube.gate_names),
            "mrd_shown": self.n_mrd,
            "mrd_all": self.all_mrd,
        }

    def pack(self) -> bytes:
        """Little-endian columns in a row: every channel uint16, gates 2 x uint32, mrd uint8, cluster int8."""
        tube, rows = self._tube, self.rows
        parts: list[bytes] = []
        for channel in self.channels:
            values = tube.events[channel][rows].astype(np.float64)
            unit = (np.nan_to_num(values, nan=0.0) - _QUANTUM_LOW) / (_QUANTUM_HIGH - _QUANTUM_LOW)
            parts.append(np.rint(np.clip(unit, 0, 1) * _QUANTA).astype("<u2").tobytes())
        gates = tube.gated["gates"][rows]
        parts.append((gates & np.uint64(0xFFFFFFFF)).astype("<u4").tobytes())
        parts.append((gates >> np.uint64(32)).astype("<u4").tobytes())
        parts.append(tube.mrd[rows].astype(np.uint8).tobytes())
        cluster = (
            tube.classified["cluster"][rows]
            if tube.classified is not None and "cluster" in tube.classified
            else np.full(len(rows), -1)
        )
        parts.append(np.clip(cluster, -1, 126).astype(np.int8).tobytes())
        return b"".join(_pad4(part) for part in parts)


def _pad4(part: bytes) -> bytes:
    """Columns start at multiples of four, as JavaScript's typed arrays need."""
    return part + b"\0" * (-len(part) % 4)


def _even(rows: npt.NDArray[np.intp], limit: int) -> npt.NDArray[np.intp]:
    """At most ``limit`` rows, evenly spaced in file order: no random numbers, and no stretch of time preferred."""
    if len(rows) <= limit:
        return rows
    return rows[(np.arange(limit) * len(rows)) // limit]

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
from flowmrd.report.axes import ACROSS, UP, Axis, make_axis
from flowmrd.report.density import Bins, bin_axis
from flowmrd.store import ColumnStore, open_columns

Mask = npt.NDArray[np.bool_]


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
        self._axes: dict[tuple[str, bool], Axis] = {}
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
    def time_channel(self) -> str | None:
        """The channel of time, where the file has it."""
        time = [channel.marker for channel in self.panel.channels if channel.kind is ChannelKind.TIME]
        return next((marker for marker in time if marker in self.events), None)

    def column(self, channel: str) -> npt.NDArray[Any]:
        """Values on the 0..1 scale; time as a share of the run, so that tubes of different length share an axis."""
        values = self.events[channel]
        if channel != self.time_channel:
            return values
        # As preprocessing does, a step backwards is left as it stands.
        length = float(np.nanmax(values)) if len(values) else 0.0
        return values / np.float32(length) if length > 0 else values

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
            self._bins[channel] = bin_axis(self.column(channel))
        return self._bins[channel]

    def axis(self, channel: str, *, upright: bool = False) -> Axis:
        """Axis with ticks in raw units; an upright one has room for more of them."""
        if (channel, upright) not in self._axes:
            self._axes[channel, upright] = self._axis(channel, upright)
        return self._axes[channel, upright]

    def _axis(self, channel: str, upright: bool) -> Axis:
        if channel == self.time_channel:
            return Axis(channel, f"{channel} (share of the run)", tuple((n / 4, f"{n * 25} %") for n in range(5)))
        known = self.panel.channel(channel)
        dye = f" {known.fluorochrome}" if known.fluorochrome else ""
        label = formatting.clip(f"{channel}{dye}", 60)
        return make_axis(channel, label, self._transforms.get(channel, {}), room=UP if upright else ACROSS)

    def raw(self, channel: str, value: float) -> float | None:
        """A value of the 0..1 scale in compensated raw units, or ``None`` where the transform was not recorded."""
        record = self._transforms.get(channel)
        return None if record is None else float(ChannelScale.from_record(dict(record)).inverse(np.array([value]))[0])


def even(rows: npt.NDArray[np.intp], limit: int) -> npt.NDArray[np.intp]:
    """At most ``limit`` rows, evenly spaced in file order: no random numbers, and no stretch of time preferred."""
    if len(rows) <= limit:
        return rows
    return rows[(np.arange(limit) * len(rows)) // limit]

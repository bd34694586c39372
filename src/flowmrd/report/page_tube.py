"""One sample's event columns as the report needs them: axes, gates as masks, MRD events, a thinned table."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import QualityConfig, RunConfig
from flowmrd.panel.gates import ROOT
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.panel.names import dye_of_file
from flowmrd.report import formatting
from flowmrd.report.axes import ACROSS, UP, Axis, make_axis
from flowmrd.report.density import Bins, bin_axis
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files

Mask = npt.NDArray[np.bool_]


class PageTube:
    """A tube as its page shows it: analysable events, gates, axes. All arrays have one row per event of the file.

    Attributes
    ----------
    events
        Channel to its column on the 0..1 scale.
    gated
        ``gates``: one bit per gate and event.
    classified
        ``mrd`` of every event and, where known, ``cluster`` and ``excluded``; None where the tube was not classified.
    """

    def __init__(self, tube: Tube) -> None:
        self.panel = tube.panel
        self.events = tube.columns
        self.gated = {"gates": tube.gate_result.bits}
        self.classified: dict[str, npt.NDArray[Any]] | None = None
        if tube.mrd is not None:
            known = {"cluster": tube.cluster, "excluded": tube.excluded}
            self.classified = {"mrd": tube.mrd} | {name: column for name, column in known.items() if column is not None}
        self._tube = tube
        self._bins: dict[str, Bins] = {}
        self._axes: dict[tuple[str, bool], Axis] = {}
        self._gates: dict[str, Mask] = {}

    @classmethod
    def open(cls, work: Path, panel: PanelModel, *, time_masked: bool) -> PageTube:
        """A tube from the column files in its work folder.

        Raises
        ------
        ArtefactError
            If a file is missing, or the files disagree about the number of events.
        """
        classified = work / "classified.arrow"
        files = TubeFiles(
            work.name,
            work / "preprocessed.arrow",
            work / "gated.arrow",
            classified if classified.is_file() else None,
        )
        config = RunConfig(panel=panel.name, samples="", quality=QualityConfig(time_mask=time_masked))
        return cls(tube_from_files(files, panel, config))

    @property
    def n_events(self) -> int:
        """Events in the file."""
        return self._tube.n_events

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Measured channels of the panel that the file has, in panel order, without Time."""
        return tuple(self._tube.measured)

    @cached_property
    def time_channel(self) -> str | None:
        """The channel of time, where the file has it."""
        time = [channel.marker for channel in self.panel.channels if channel.kind is ChannelKind.TIME]
        return next((marker for marker in time if marker in self.events), None)

    def column(self, channel: str) -> npt.NDArray[Any]:
        """Values on the 0..1 scale; time is a share of the run, so tubes of different length have the same axis."""
        values = self.events[channel]
        if channel != self.time_channel:
            return values
        # As in preprocessing, a step back in time is left as it is.
        length = float(np.nanmax(values)) if len(values) else 0.0
        return values / np.float32(length) if length > 0 else values

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gates, in the order of their bits."""
        return self._tube.gate_names

    @cached_property
    def titles(self) -> dict[str, str]:
        """Gate to its title, or to its name in words where the panel gives none."""
        return {gate.name: gate.title or gate.name.replace("_", " ") for gate in self.panel.gates}

    @property
    def masks(self) -> tuple[str, ...]:
        """Names of the quality masks without their prefix."""
        return tuple(self._tube.masks)

    @cached_property
    def analysable(self) -> Mask:
        """Events that quality control did not mask (``docs/architecture.md``)."""
        return self._tube.analysable()

    @cached_property
    def mrd(self) -> Mask:
        """Analysable events called MRD; none where the tube was not classified."""
        if self._tube.mrd is None:
            return np.zeros(self.n_events, dtype=np.bool_)
        return self._tube.mrd & self.analysable

    def gate(self, name: str) -> Mask:
        """Analysable events inside a gate and its ancestors; ``root`` stands for all analysable events."""
        if name == ROOT:
            return self.analysable
        if name not in self._gates:
            # A gate that is not available holds no event; the page gives the reason beside it.
            self._gates[name] = self._tube.gate_result.inside(name) & self.analysable
        return self._gates[name]

    def bins(self, channel: str) -> Bins:
        """Grid bin of every event on one channel; cached, because several plots share an axis."""
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
        stored = next((one for one in self._tube.facts.channels if one.marker == channel), None)
        pnn, tag = (None, None) if stored is None else (stored.pnn, stored.tag)
        dye, _ = dye_of_file(pnn, known.fluorochrome, tag)
        label = formatting.clip(f"{channel} {dye}" if dye else channel, 60)
        scale = self._tube.scales.get(channel)
        return make_axis(channel, label, scale, room=UP if upright else ACROSS)

    def raw(self, channel: str, value: float) -> float | None:
        """A value of the 0..1 scale in compensated raw units, or ``None`` where the transform was not recorded."""
        scale = self._tube.scales.get(channel)
        return None if scale is None else float(scale.inverse(np.array([value]))[0])


def even(rows: npt.NDArray[np.intp], limit: int) -> npt.NDArray[np.intp]:
    """At most ``limit`` rows, evenly spaced in file order, so that no part of the run is preferred."""
    if len(rows) <= limit:
        return rows
    return rows[(np.arange(limit) * len(rows)) // limit]

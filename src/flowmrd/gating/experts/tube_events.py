"""The events of a tube as other software uses them: values after gain, log amplification and time scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.fcs.layout import Parameter
from flowmrd.fcs.reader import DataSet, choose, marker_names, read_fcs
from flowmrd.fcs.spillover import FileSpillover, read_spillover

__all__ = ["TubeEvents", "read_tube_events"]

SCATTER = ("FSC", "SSC", "FS", "SS")


@dataclass(frozen=True)
class TubeEvents:
    """A tube for whose events gates are evaluated.

    Attributes
    ----------
    path
        The FCS file.
    recorded_name
        ``$FIL``: used for comparison only, never shown.
    names, markers
        ``$PnN`` and ``$PnS`` of the channels in file order; empty where absent.
    data_set
        The data set; its events are read when the first gate needs them.
    gained
        Positions of channels whose ``$PnG`` is not 1.
    times
        Positions of the clock.
    spillover
        The file's own matrix.
    """

    path: Path
    recorded_name: str = field(repr=False)
    names: tuple[str, ...]
    markers: tuple[str, ...]
    data_set: DataSet = field(repr=False)
    gained: frozenset[int] = frozenset()
    times: frozenset[int] = frozenset()
    spillover: FileSpillover | None = None

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """Every event, shape (n_channels, n_events)."""
        return self.data_set.scaled()

    @property
    def n_events(self) -> int:
        """Number of events."""
        return self.data_set.n_events

    def position(self, name: str) -> int | None:
        """The channel of this ``$PnN``, else the only one of this ``$PnS``; None where there is none."""
        for names in (self.names, self.markers):
            found = [index for index, own in enumerate(names) if own.casefold() == name.strip().casefold()]
            if len(found) == 1:
                return found[0]
        return None

    def is_scatter(self, position: int) -> bool:
        """Whether a channel is light scatter by its name."""
        return self.names[position].upper().startswith(SCATTER)

    def called(self, names: Sequence[str]) -> bool:
        """Whether one of these names is this file's present name or the name under which it was recorded."""
        own = {self.path.name.casefold(), self.path.stem.casefold()}
        if self.recorded_name:
            own |= {self.recorded_name.casefold(), Path(self.recorded_name.replace("\\", "/")).stem.casefold()}
        return any(name and name.casefold() in own for name in names)

    @property
    def spills(self) -> bool:
        """Whether the file holds a matrix that is not the identity."""
        matrix = None if self.spillover is None else self.spillover.matrix
        return matrix is not None and not np.allclose(matrix, np.diag(np.diag(matrix)))


def read_tube_events(path: Path, data_set: int | None = None) -> TubeEvents:
    """Open a tube: HEADER and TEXT are read at once, the events when they are needed.

    Raises
    ------
    FcsError
        If the file cannot be read.
    """
    sets = read_fcs(path)
    chosen = choose(sets, data_set)
    names, _ = marker_names(chosen, sets)
    return TubeEvents(
        path=path,
        recorded_name=chosen.keywords.get("$FIL", "").strip(),
        names=tuple(pnn or "" for pnn, _ in names),
        markers=tuple(pns or "" for _, pns in names),
        data_set=chosen,
        gained=frozenset(i for i, channel in enumerate(chosen.channels) if _gained(channel)),
        times=frozenset(i for i, channel in enumerate(chosen.channels) if channel.time),
        spillover=read_spillover(chosen.keywords, chosen.channels),
    )


def _gained(channel: Parameter) -> bool:
    return channel.gain not in (None, 0.0, 1.0)

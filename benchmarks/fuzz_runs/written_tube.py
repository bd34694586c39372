"""One FCS file as its parts, to be written again with a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.fcs.reader import read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs

Rng = np.random.Generator
Values = list[npt.NDArray[Any]]


@dataclass
class Tube:
    """One FCS file as its parts, to be written again with a fault.

    Attributes
    ----------
    columns
        One array per channel.
    after
        What is done to the bytes of the written file.
    """

    columns: Values
    channels: list[ChannelSpec]
    keywords: dict[str, str]
    datatype: Literal["F", "D", "I"] = "F"
    big_endian: bool = False
    after: list[Callable[[bytes], bytes]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Tube:
        """Take a sound file apart."""
        data = read_fcs(path)[0]
        kept = ("$SPILLOVER", "$CYT", "$TIMESTEP", "$DATE", "$BTIM", "$ETIM")
        keywords = {key: data.keywords[key] for key in kept if key in data.keywords}
        specs = [ChannelSpec(str(one.pnn), str(one.pns or ""), 262_144) for one in data.channels]
        return cls([np.array(column, dtype=np.float64) for column in data.scaled()], specs, keywords)

    def write(self, path: Path) -> None:
        """Write the file with its fault."""
        kind = {"F": np.float32, "D": np.float64, "I": np.uint32}[self.datatype]
        columns = [column.astype(kind) for column in self.columns]
        write_fcs(path, columns, self.channels, self.keywords, datatype=self.datatype, big_endian=self.big_endian)
        data = path.read_bytes()
        for change in self.after:
            data = change(data)
        path.write_bytes(data)

    @property
    def n(self) -> int:
        """Number of events."""
        return len(self.columns[0])

    def place(self, name: str) -> int:
        """Index of a channel by detector or marker."""
        return next(i for i, one in enumerate(self.channels) if name in (one.pnn, one.pns))

    def stained(self) -> list[int]:
        """Indices of the channels that have a marker."""
        return [i for i, one in enumerate(self.channels) if one.pns]

    def keep(self, rows: Any) -> None:
        """Keep these events alone."""
        self.columns = [column[rows] for column in self.columns]

    def rename(self, index: int, **facts: Any) -> None:
        """Describe a channel otherwise; the matrix keeps naming what it named."""
        self.channels[index] = replace(self.channels[index], **facts)

    def matrix(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Names and coefficients of the spillover keyword."""
        parts = self.keywords["$SPILLOVER"].split(",")
        n = int(parts[0])
        return parts[1 : n + 1], np.array(parts[n + 1 :], dtype=float).reshape(n, n)

    def set_matrix(self, names: Sequence[str], matrix: npt.NDArray[np.float64]) -> None:
        """State another matrix."""
        numbers = [format(value, ".6g") for value in matrix.ravel()]
        self.keywords["$SPILLOVER"] = ",".join([str(len(names)), *names, *numbers])

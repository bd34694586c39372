"""Small simulated tubes and the ways in which a file of theirs can be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.panel.model import ChannelKind
from flowmrd.simulate.populations import ADULT, AFTER_ANTI_B, Code
from flowmrd.simulate.tube import TubeSpec, detectors_of, simulate_tube

Values = npt.NDArray[np.float64]
GONE = (Code.NEUTROPHIL, Code.IMMATURE_GRANULOCYTE, Code.MONOCYTE, Code.MIXED_MYELOID, Code.ERYTHROBLAST)
"""Cells that an aplastic marrow lacks."""


@dataclass(frozen=True)
class Written:
    """A file to write: names, values, keywords. Changed with :func:`dataclasses.replace` and the functions below.

    Attributes
    ----------
    names
        ``($PnN, $PnS)`` of every channel.
    values
        Shape (n_channels, n_events).
    dyes
        Rows of the fluorescence channels, in the order of ``matrix``.
    matrix
        Spillover, row = dye, column = detector.
    """

    names: tuple[tuple[str, str], ...]
    values: Values
    dyes: tuple[int, ...]
    matrix: Values
    keywords: Mapping[str, str] = field(default_factory=dict)
    log: tuple[float, float] = (0.0, 0.0)
    range: int = 262_144

    @property
    def detectors(self) -> list[str]:
        """``$PnN`` of the dyes."""
        return [self.names[row][0] for row in self.dyes]

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        specs = [ChannelSpec(pnn, pns, self.range) for pnn, pns in self.names]
        write_fcs(path, list(self.values.astype(np.float32)), specs, {"$TIMESTEP": "0.01", **self.keywords})
        return path

    def with_dyes(self, values: Values) -> Written:
        """With other values of the dyes, shape (n_dyes, n_events)."""
        changed = self.values.copy()
        changed[list(self.dyes)] = values
        return replace(self, values=changed)

    def compensated(self) -> Written:
        """With the values compensated."""
        return self.with_dyes(np.linalg.inv(self.matrix).T @ self.values[list(self.dyes)])

    def with_matrix(self, matrix: Values | None, key: str = "$SPILLOVER", names: list[str] | None = None) -> Written:
        """With a matrix in a keyword; None takes it out."""
        rest = {name: text for name, text in self.keywords.items() if name != key}
        return replace(
            self, keywords=rest if matrix is None else rest | {key: text_of(names or self.detectors, matrix)}
        )

    def renamed(self, change: Mapping[int, tuple[str, str]]) -> Written:
        """With other names of some channels."""
        return replace(self, names=tuple(change.get(row, pair) for row, pair in enumerate(self.names)))

    def row_of(self, marker: str) -> int:
        """Row of a marker."""
        return next(row for row, (_, pns) in enumerate(self.names) if pns == marker)


def text_of(names: list[str], matrix: Values) -> str:
    """Text of a spillover keyword."""
    return ",".join([str(len(names)), *names, *(f"{value:.6g}" for value in matrix.ravel())])


@lru_cache
def panel_of(name: str) -> PanelModel:
    """A shipped panel."""
    return load_panel(PANELS / f"{name}.yaml")


@lru_cache(maxsize=64)
def tube(seed: int, panel: str = "ino10", nucleated: int = 8000, *, aplastic: bool = False) -> Written:
    """A clean marrow, with its matrix in ``$SPILLOVER``; where aplastic, of little but T cells."""
    composition = AFTER_ANTI_B.scaled(dict.fromkeys(GONE, 0.002)) if aplastic else ADULT
    spec = TubeSpec(nucleated=nucleated, composition=composition, person_seed=seed if aplastic else 0)
    made = simulate_tube(spec, panel_of(panel), seed=seed)
    detectors = detectors_of(made)
    names = tuple(
        (d.pnn if d.kind is not ChannelKind.TIME else "Time", d.marker if d.dye is not None else "") for d in detectors
    )
    values = np.array([made.columns[d.pnn] for d in detectors], dtype=np.float64)
    dyes = tuple(row for row, d in enumerate(detectors) if d.dye is not None)
    return Written(names, values, dyes, np.asarray(made.cytometer.spill)).with_matrix(np.asarray(made.cytometer.spill))

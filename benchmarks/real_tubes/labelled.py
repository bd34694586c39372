"""Tubes whose cells are known: the light of every dye, scatter, the expert's gates, and the kind of every event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.acquire import DETECTORS, NORMAL, Spillover, measure
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw
from flowmrd.errors import InternalError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.fcs.spillover import read_spillover
from flowmrd.preprocess.transform import inverse_logicle
from flowmrd.units import LOGICLE_M, LOGICLE_T

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Kind(IntEnum):
    """What an event is, as far as markers that were not measured depend on it."""

    T_NK = 0
    GRANULOCYTE = 1
    MONOCYTE = 2
    ERYTHROBLAST = 3
    PRECURSOR = 4
    MATURE_B = 5
    PLASMA_CELL = 6
    BLAST = 7


@dataclass(frozen=True)
class LabelledTube:
    """One tube without its instrument.

    Attributes
    ----------
    scatter
        ``FSC-A``, ``FSC-W``, ``SSC-A`` as an 18-bit instrument stores them, and ``Time`` in seconds; shape (n,).
    light
        Marker to the light of its own dye, compensated, units of an 18-bit instrument, shape (n,).
    labels
        Name of an expert's gate to its events; empty for controls.
    kinds
        Code of :class:`Kind` for every event.
    """

    scatter: dict[str, Values]
    light: dict[str, Values]
    labels: dict[str, Mask]
    kinds: npt.NDArray[np.int8]

    @property
    def n(self) -> int:
        """Number of events."""
        return len(self.kinds)

    def thinned(self, events: int) -> LabelledTube:
        """Evenly spaced events, this many; the whole tube where 0."""
        if not events or events >= self.n:
            return self
        rows = np.linspace(0, self.n - 1, events).astype(np.intp)

        def some(table: Mapping[str, Any]) -> dict[str, Any]:
            return {name: values[rows] for name, values in table.items()}

        return LabelledTube(some(self.scatter), some(self.light), some(self.labels), self.kinds[rows])

    def with_markers(self, markers: tuple[str, ...], rng: np.random.Generator) -> LabelledTube:
        """The tube with the light of markers that were not in it, drawn by kind of cell."""
        light = dict(self.light)
        for marker in markers:
            if marker not in light:
                light[marker] = drawn_light(marker, self.kinds, rng)
        return replace(self, light=light)


def expert_tube(folder: Path, name: str) -> LabelledTube:
    """A real tube with the expert's gates (optional shared data)."""
    import pandas as pd

    data = choose(read_fcs(folder / f"ball_d15_{name}.fcs"))
    names = [channel.pnn or "" for channel in data.channels]
    raw = dict(zip(names, data.scaled().astype(np.float64), strict=True))
    spill = read_spillover(data.keywords, data.channels)
    if spill is None or spill.matrix is None:
        raise InternalError(f"tube {name} without a matrix")
    detectors = [names[channel] for channel in spill.channels]
    own = np.linalg.solve(spill.matrix.T, np.stack([raw[detector] for detector in detectors]))
    seen = dict(zip(detectors, own, strict=True))
    light = {marker: seen[detector] for marker, detector in DETECTORS.items()}
    table = pd.read_parquet(folder / f"ball_d15_{name}.labels.parquet")
    labels = {str(column): table[column].to_numpy(dtype=bool) for column in table.columns if column != "event"}
    scatter = {key: raw[key] for key in ("FSC-A", "FSC-W", "SSC-A", "Time")}
    return LabelledTube(scatter, light, labels, _kinds(scatter, light, labels))


def control_tube(person: Patient, cells: int, spill: Spillover, rng: np.random.Generator) -> LabelledTube:
    """A marrow without leukaemia of another person, drawn from its mixture (optional shared data)."""
    drawn = draw(person.normal_mixture(), cells, rng)
    raw, _ = measure(drawn, np.full(cells, NORMAL, dtype=np.int8), spill, rng)
    markers = FEATURES[2:]
    own = np.linalg.solve(spill.matrix.T, np.stack([raw[DETECTORS[m]] for m in markers]).astype(np.float64))
    light = dict(zip(markers, own, strict=True))
    scatter = {key: raw[key].astype(np.float64) for key in ("FSC-A", "FSC-W", "SSC-A", "Time")}
    return LabelledTube(scatter, light, {}, _kinds(scatter, light, {}))


def _kinds(scatter: Mapping[str, Values], light: Mapping[str, Values], labels: Mapping[str, Mask]) -> Any:
    """Kind of every event: by the expert where a gate says so, else by side scatter, CD45 and CD19."""
    side = scatter["SSC-A"] / LOGICLE_T
    kinds = np.full(len(side), Kind.T_NK, dtype=np.int8)
    kinds[side > 0.13] = Kind.MONOCYTE
    kinds[(light["CD45"] < 2_000.0) & (side < 0.3)] = Kind.ERYTHROBLAST
    b_cell = (light["CD19"] > 1_500.0) & (side < 0.3)
    kinds[b_cell] = Kind.MATURE_B
    kinds[b_cell & (light["CD10"] > 2_000.0)] = Kind.PRECURSOR
    kinds[side > 0.3] = Kind.GRANULOCYTE
    for label, kind in (
        ("erythroid", Kind.ERYTHROBLAST),
        ("mature_b", Kind.MATURE_B),
        ("plasma", Kind.PLASMA_CELL),
        ("blast", Kind.BLAST),
    ):
        if label in labels:
            kinds[labels[label]] = kind
    return kinds


NEGATIVE: Final = 1.02
SPREAD: Final = 0.27
"""Level of cells without an antigen, and spread within a kind of cell, decades."""

LEVELS: Final[Mapping[str, Mapping[Kind, float]]] = {
    "CD58": {Kind.T_NK: 1.35, Kind.GRANULOCYTE: 2.0, Kind.MONOCYTE: 2.3, Kind.ERYTHROBLAST: 1.4, Kind.PRECURSOR: 1.9,
             Kind.MATURE_B: 1.6, Kind.PLASMA_CELL: 2.6, Kind.BLAST: 2.8},
    "CD22": {Kind.GRANULOCYTE: 1.2, Kind.PRECURSOR: 2.2, Kind.MATURE_B: 2.9, Kind.BLAST: 2.5},
    "CD24": {Kind.GRANULOCYTE: 3.35, Kind.PRECURSOR: 3.3, Kind.MATURE_B: 2.3, Kind.BLAST: 3.1},
    "CD66b": {Kind.GRANULOCYTE: 3.4},
    "CD3": {Kind.T_NK: 3.3},
    "CD33": {Kind.GRANULOCYTE: 2.4, Kind.MONOCYTE: 3.3},
    "CD13": {Kind.GRANULOCYTE: 2.7, Kind.MONOCYTE: 3.0, Kind.BLAST: 1.2},
    "CD14": {Kind.GRANULOCYTE: 1.3, Kind.MONOCYTE: 3.3},
    "CD56": {Kind.T_NK: 1.3, Kind.MONOCYTE: 1.3},
    "CD123": {Kind.MONOCYTE: 1.8, Kind.PRECURSOR: 1.2, Kind.BLAST: 2.0, Kind.GRANULOCYTE: 1.2},
}  # fmt: skip
"""Levels of markers that the real tubes lack, decades; negative where none is given. General knowledge: they make a
plausible tube and measure nothing."""


def drawn_light(marker: str, kinds: npt.NDArray[np.int8], rng: np.random.Generator) -> Values:
    """Light of a marker that was not measured."""
    level = np.array([LEVELS[marker].get(kind, NEGATIVE) for kind in Kind])
    decades = rng.normal(level[kinds], SPREAD)
    if marker in {"CD3", "CD56"}:  # a fifth of T and NK cells are NK cells
        natural = (kinds == Kind.T_NK) & (rng.random(len(kinds)) < 0.2)
        decades[natural] = rng.normal(2.9 if marker == "CD56" else NEGATIVE, SPREAD, int(natural.sum()))
    return np.asarray(inverse_logicle(np.clip(decades, 0.0, 4.45) / LOGICLE_M, LOGICLE_T, LOGICLE_M, 0.75, 0.0))

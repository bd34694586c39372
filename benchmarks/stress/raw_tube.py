"""One tube as the instrument stores it, with the truth of every event: what a row of the table changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.acquire import DETECTORS, DOUBLET, JUNK, NORMAL, Codes, Spillover, measure, write
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.panel import PanelModel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import TubePlan, tube_seed
from flowmrd.simulate.populations import Code
from flowmrd.simulate.tube import SimulatedTube, simulate_tube

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

TOP: Final = 262143.0
"""Largest value that the instruments of this table store, but for those with a wider range."""

NORMAL_B: Final = -4
"""Code of a normal B-lineage cell of a mixture; :data:`~benchmarks.accuracy.acquire.NORMAL` is every other cell."""

SCATTER_OF_TWO: Final = {"FSC-A": 0.97, "SSC-A": 0.97}
"""Scatter of a doublet against the sum of its cells, as :func:`benchmarks.accuracy.acquire.measure` makes it."""
B_LINEAGE: Final = (Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B, Code.PLASMA_CELL)


@dataclass
class RawTube:
    """What the detectors of a tube see; functions of the registry change it in place.

    Nothing is clipped before the file is written: a fault that makes light weaker must not move events that were cut
    off at the ceiling to a place where no event would lie. Simulated tubes (ten colours) come clipped.

    Attributes
    ----------
    panel
        Name of the panel.
    columns
        Detector to values, shape (n,), in file order; spillover is in them.
    detectors
        Marker to detector, fluorescence alone, in the order of ``matrix``.
    matrix
        Spillover as the file states it: row = dye, column = detector.
    leukaemic, nucleated, b_lineage
        Shape (n,): single leukaemic cells; single nucleated cells, leukaemic ones included; single normal cells of the
        B lineage. Truth, which the pipeline never sees; a row that changes what a cell is changes them too.
    doublet
        Shape (n,): events of two cells.
    source
        What the tube was made of, for writing it.
    range
        Range of the channels, raw units.
    other_instrument
        True where detectors or range are not those of the source any more.
    """

    panel: str
    columns: dict[str, Floats32]
    detectors: dict[str, str]
    matrix: Floats
    leukaemic: Bools
    nucleated: Bools
    b_lineage: Bools
    doublet: Bools
    source: Spillover | SimulatedTube
    range: float = TOP + 1.0
    other_instrument: bool = False

    @property
    def n(self) -> int:
        """Number of events."""
        return len(self.leukaemic)

    def light(self) -> dict[str, Floats]:
        """Marker to the light of its own dye: what detectors see, compensated, raw units, shape (n,)."""
        stored = np.stack([self.columns[name] for name in self.detectors.values()]).astype(np.float64)
        own = np.linalg.inv(self.matrix).T @ stored
        return dict(zip(self.detectors, own, strict=True))

    def store(self, light: dict[str, Floats]) -> None:
        """Give the detectors light as they see it, spilled over."""
        seen = self.matrix.T @ np.stack([light[marker] for marker in self.detectors])
        for name, values in zip(self.detectors.values(), seen, strict=True):
            self.columns[name] = values.astype(np.float32)

    def pick(self, among: Bools, count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """At most ``count`` rows drawn from those where ``among`` holds."""
        rows = np.flatnonzero(among)
        return rng.choice(rows, size=min(count, len(rows)), replace=False)

    def pair_again(self, rng: np.random.Generator) -> None:
        """Make the doublets of two single cells of the tube as it is now; their pulse width stays."""
        rows, cells = np.flatnonzero(self.doublet), np.flatnonzero(self.nucleated)
        first, second = rng.choice(cells, size=(2, len(rows)))
        for name, column in self.columns.items():
            if name != "Time" and not name.endswith(("-H", "-W")):
                column[rows] = (column[first] + column[second]) * np.float32(SCATTER_OF_TWO.get(name, 1.0))
        for detector in ("FSC", "SSC"):
            if f"{detector}-H" in self.columns:
                area, width = self.columns[f"{detector}-A"][rows], self.columns[f"{detector}-W"][rows]
                self.columns[f"{detector}-H"][rows] = np.minimum(area / width * np.float32(65536), np.float32(TOP))

    def remove(self, marker: str) -> None:
        """Take a dye out of the tube: its light, its detector and its row of the matrix."""
        light = self.light()
        light[marker] = np.zeros(self.n)
        self.store(light)
        place = list(self.detectors).index(marker)
        del self.columns[self.detectors.pop(marker)]
        self.matrix = np.delete(np.delete(self.matrix, place, axis=0), place, axis=1)
        self.other_instrument = True

    def widen(self, factor: float) -> None:
        """Store everything but time on a range that is this many times as large."""
        for name in self.columns:
            if name != "Time" and not name.endswith("-W"):
                self.columns[name] = self.columns[name] * np.float32(factor)
        self.range *= factor
        self.other_instrument = True

    def write(self, path: Path) -> None:
        """Write the tube as an FCS file: every detector but the clock stores at most the top of its range."""
        path.parent.mkdir(parents=True, exist_ok=True)
        top = np.float32(self.range - 1.0)
        stored = {name: column if name == "Time" else np.minimum(column, top) for name, column in self.columns.items()}
        if self.other_instrument:
            markers = {detector: marker for marker, detector in self.detectors.items()}
            channels = [ChannelSpec(name, markers.get(name, ""), int(self.range)) for name in self.columns]
            numbers = [format(value, ".6g") for value in self.matrix.ravel()]
            spillover = ",".join([str(len(self.detectors)), *self.detectors.values(), *numbers])
            keywords = {"$CYT": "stress", "$TIMESTEP": "0.01", "$SPILLOVER": spillover}
            write_fcs(path, list(stored.values()), channels, keywords)
        elif isinstance(self.source, Spillover):
            write(path, stored, self.source)
        else:
            write_tube(path, SimulatedTube(stored, self.source.cytometer, self.source.truth))


def from_mixtures(
    marrow: Patient, blasts: Patient | None, cells: int, leukaemic: int, spill: Spillover, rng: np.random.Generator
) -> RawTube:
    """A tube of measured mixtures: normal cells of one person and blasts of another, eight colours."""
    total = sum(marrow.events[name] for name in ("other", "CD19") if name in marrow.groups)
    parts, codes = [], []
    for name, code in (("other", NORMAL), ("CD19", NORMAL_B)):
        if name in marrow.groups:
            n = round((cells - leukaemic) * marrow.events[name] / total)
            parts.append(draw(marrow.groups[name], n, rng))
            codes.append(np.full(n, code))
    if blasts is not None:
        parts.append(draw(blasts.groups["blast"], leukaemic, rng))
        codes.append(np.zeros(leukaemic))
    columns, truth = measure(np.concatenate(parts), np.concatenate(codes).astype(np.int8), spill, rng, top=np.inf)
    return RawTube(
        panel="vienna_b8",
        columns=columns,
        detectors={marker: DETECTORS[marker] for marker in FEATURES[2:]},
        matrix=spill.matrix,
        leukaemic=truth >= 0,
        nucleated=_single(truth),
        b_lineage=truth == NORMAL_B,
        doublet=truth == DOUBLET,
        source=spill,
    )


def _single(truth: Codes) -> Bools:
    found: Bools = ((truth >= 0) | (truth == NORMAL) | (truth == NORMAL_B)) & (truth != JUNK)
    return found


def from_plan(plan: TubePlan, panel: PanelModel, seed: int) -> RawTube:
    """A simulated tube, ten colours."""
    tube = simulate_tube(plan.spec, panel, tube_seed(seed, plan.sample))
    truth = tube.truth
    single = truth["nucleated"] & ~truth["doublet"]
    return RawTube(
        panel=panel.name,
        columns=tube.columns,
        detectors={detector.marker: detector.pnn for detector in tube.cytometer.fluorescence},
        matrix=tube.cytometer.spill,
        leukaemic=truth["mrd"].copy(),
        nucleated=single.copy(),
        b_lineage=single & np.isin(truth["population"], B_LINEAGE),
        doublet=truth["doublet"].copy(),
        source=tube,
    )

"""The tubes beside which a tube is shown: its patient's diagnosis tube and the control marrows, from their event files.

Controls and diagnosis tubes keep their columns (docs/architecture.md), so the page can show all three on one scale. A
tube whose columns are missing is left out, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.panel.model import PanelModel
from flowmrd.report.charts.description import Mark, Outline
from flowmrd.report.contours import free_place, region
from flowmrd.report.density import BINS, Counts, bin_axis, count_grid
from flowmrd.report.page_tube import PageTube, even

EVENTS_PER_CONTROL: Final = 40_000
"""Most events of one gate that the pooled density takes from one control, evenly chosen."""
CELLS_PER_STAGE: Final = 3_000
"""Most cells of one normal stage that an outline takes from one control."""
SHORT_NAMES: Final = {"haematogones_1": "I", "haematogones_2": "II", "haematogones_3": "III", "mature_b": "B"}


class Neighbours:
    """Diagnosis and control tubes, opened together."""

    def __init__(
        self,
        panel: PanelModel,
        *,
        diagnosis: Path | None,
        controls: Sequence[Path],
        time_masked: bool,
    ) -> None:
        self.panel = panel
        self.diagnosis = _open(diagnosis, panel, time_masked)
        self.controls = [tube for folder in controls if (tube := _open(folder, panel, time_masked)) is not None]
        self._rows: dict[tuple[int, str], npt.NDArray[np.intp]] = {}
        self._stages: dict[tuple[str, str], npt.NDArray[np.float32]] = {}
        self._outlines: dict[tuple[str, str], list[Outline]] = {}

    def pooled(self, x: str, y: str, parent: str) -> tuple[Counts, int]:
        """Counts over the controls that have both channels and the gate, and the number of these controls."""
        counts = np.zeros((BINS, BINS), dtype=np.uint32)
        n = 0
        for index, tube in enumerate(self.controls):
            if not _has(tube, x, y) or parent not in {"root", *tube.gate_names}:
                continue
            rows = self._chosen(index, parent, EVENTS_PER_CONTROL)
            counts += count_grid(bin_axis(tube.column(x)[rows]), bin_axis(tube.column(y)[rows]))
            n += 1
        return counts, n

    def maturation(self, x: str, y: str) -> list[Outline]:
        """Outlines of the stages of normal B-cell maturation over all controls, each with its number."""
        if (x, y) not in self._outlines:
            found: list[Outline] = []
            taken: list[tuple[float, float]] = []
            for stage in self.panel.maturation_gates:
                tubes = [tube for tube in self.controls if stage in tube.gate_names and _has(tube, x, y)]
                if not tubes:
                    continue
                counts = count_grid(bin_axis(self.stage(stage, x)), bin_axis(self.stage(stage, y)))
                title = next(gate.title or gate.name for gate in self.panel.gates if gate.name == stage)
                for index, points in enumerate(region(counts)):
                    mark = None
                    if index == 0:
                        at = free_place(points, taken)
                        taken.append(at)
                        mark = Mark(SHORT_NAMES.get(stage, title), at, "middle")
                    found.append(Outline(points, True, f"{title} of the controls", mark=mark, role="normal"))
            self._outlines[x, y] = found
        return self._outlines[x, y]

    def stage(self, stage: str, channel: str) -> npt.NDArray[np.float32]:
        """Values of a normal stage's cells over the controls that have channel and gate, 0..1 scale."""
        if (stage, channel) not in self._stages:
            parts = [
                tube.column(channel)[self._chosen(index, stage, CELLS_PER_STAGE)]
                for index, tube in enumerate(self.controls)
                if stage in tube.gate_names and channel in tube.events
            ]
            self._stages[stage, channel] = np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
        return self._stages[stage, channel]

    def stage_table(self, features: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Stage to its cells' values over the controls, shape (n, d); stages of fewer than two cells are left out."""
        table = {}
        for stage in self.panel.maturation_gates:
            columns = [self.stage(stage, name) for name in features]
            if columns and len({len(column) for column in columns}) == 1 and len(columns[0]) > 1:
                table[stage] = np.stack(columns, axis=1).astype(np.float64)
        return table

    def _chosen(self, index: int, gate: str, limit: int) -> npt.NDArray[np.intp]:
        if (index, gate) not in self._rows:
            self._rows[index, gate] = even(np.flatnonzero(self.controls[index].gate(gate)), limit)
        return self._rows[index, gate]


def _open(folder: Path | None, panel: PanelModel, time_masked: bool) -> PageTube | None:
    """The tube, or ``None`` where its columns are missing."""
    if folder is None or not all((folder / f"{name}.arrow").is_file() for name in ("preprocessed", "gated")):
        return None
    return PageTube.open(folder, panel, time_masked=time_masked)


def _has(tube: PageTube, x: str, y: str) -> bool:
    return x in tube.events and y in tube.events

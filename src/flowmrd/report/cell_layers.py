"""The single cells that a page contains, and the layers in which they are shown.

The densities hold every event as counts. The table holds the cells that a reviewer may want to select and export: every
MRD cell, the cells of each group, the B lineage, cells of every gate, an even sample of all events, and the spiked
cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.report import formatting
from flowmrd.report.charts.description import CellMarks, Role
from flowmrd.report.group_names import group_number
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.page_tube import PageTube, even
from flowmrd.report.uncounted_groups import LetteredGroup

MAX_MRD_ROWS: Final = 20_000
"""Most MRD cells in the table. With more, the fraction is high, and the page says that they were thinned."""
MAX_LINEAGE_ROWS: Final = 12_000
"""Most cells of the B lineage in the table: enough for a lasso to count every one of them in most follow-up tubes."""
UNIFORM_ROWS: Final = 6_000
"""Number of evenly spaced events in the table, so that the free plot shows true proportions."""
ROWS_PER_GATE: Final = 150
"""Further events of every gate in the table, so that rare populations can be back-gated."""
ROWS_PER_STAGE: Final = 400
STILL_POINTS: Final = 250
"""Cells of a layer in the still picture of a plot; the figure draws up to ``report.max_plot_events``."""
MAX_LAYERS: Final = 30
"""Layers are bits of a uint32."""
_QUANTA: Final = 65534
_MISSING: Final = 65535
LOW, HIGH = -0.25, 1.25
"""Range of values that the table can hold; a value beyond it is stored as its end."""
NOT_IN_FILE: Final = 0xFFFFFFFF

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class CellLayer:
    """Cells shown or hidden together.

    Attributes
    ----------
    id
        ``mrd``, ``cluster:<id>``, ``group:<letter>``, ``stage:<gate>``, ``excluded``, ``spiked``.
    shown
        Whether the layer is visible when the page opens.
    rows
        Rows of the events in the file; empty for spiked cells, which are not in the file.
    total
        Cells of the layer, kept or not.
    """

    id: str
    name: str
    role: Role
    shown: bool
    rows: Rows
    total: int


class CellTable:
    """Cells of one tube for its page. The first ``n_uniform`` rows are an even sample of the analysable events."""

    def __init__(self, tube: PageTube, inputs: PageInputs, groups: Sequence[LetteredGroup]) -> None:
        self.tube = tube
        time = tube.time_channel
        self.channels = (*tube.channels, time) if time is not None else tube.channels
        uniform = even(np.flatnonzero(tube.analysable), UNIFORM_ROWS)
        lineage = np.flatnonzero(tube.gate("b_lineage")) if "b_lineage" in tube.gate_names else np.empty(0, np.intp)
        kept_lineage = even(lineage, MAX_LINEAGE_ROWS)
        self.spiked = _spiked(inputs)
        self.layers = _layers(tube, inputs, groups, self.n_spiked)
        gates = [even(np.flatnonzero(tube.gate(name)), ROWS_PER_GATE) for name in tube.gate_names]
        extra = np.unique(np.concatenate([kept_lineage, *(layer.rows for layer in self.layers), *gates]))
        self.rows = np.concatenate([uniform, np.setdiff1d(extra, uniform)])
        self.n_uniform = len(uniform)
        self.lineage_complete = len(kept_lineage) == len(lineage)
        mrd = self.layers[0]
        self.n_mrd, self.all_mrd = len(mrd.rows), mrd.total

    @property
    def n_spiked(self) -> int:
        """Spiked cells, at the end of the table."""
        return len(next(iter(self.spiked.values()))) if self.spiked else 0

    def cells(self, x: str, y: str) -> list[CellMarks]:
        """Layers of a chart on two channels, in the order in which they are drawn.

        The marks of a selection lie below the cells that are looked for, because a dense selection would hide them.
        """
        ordered = sorted(self.layers, key=lambda layer: _ORDER.index(layer.id.split(":")[0]))
        drawn = [CellMarks("back", "back-gated cell", "back"), CellMarks("selected", "selected cell", "selected")]
        for layer in ordered:
            still: tuple[tuple[float, float], ...] = ()
            if layer.shown and layer.id == "spiked":
                values = (self.spiked.get(x), self.spiked.get(y))
                if values[0] is not None and values[1] is not None:
                    still = tuple(zip(values[0].tolist(), values[1].tolist(), strict=True))[:STILL_POINTS]
            elif layer.shown:
                rows = even(layer.rows, STILL_POINTS)
                still = tuple(zip(self.tube.column(x)[rows].tolist(), self.tube.column(y)[rows].tolist(), strict=True))
            drawn.append(CellMarks(layer.id, layer.name, layer.role, still))
        return drawn

    def describe(self, language: Language = ENGLISH) -> dict[str, object]:
        """What the page's script needs to read the bytes of :meth:`pack`; layers are named in this language."""
        return {
            "rows": len(self.rows) + self.n_spiked,
            "uniform": self.n_uniform,
            "spiked": self.n_spiked,
            "channels": list(self.channels),
            "low": LOW,
            "high": HIGH,
            "gates": list(self.tube.gate_names),
            "lineage_complete": self.lineage_complete,
            "layers": [
                {
                    "id": layer.id, "name": language.text(layer.name), "role": layer.role, "shown": layer.shown,
                    "kept": self.n_spiked if layer.id == "spiked" else len(layer.rows), "total": layer.total,
                }
                for layer in self.layers
            ],
        }  # fmt: skip

    def pack(self) -> bytes:
        """Little-endian columns in a row: every channel uint16, gates 2 x uint32, layers uint32, event uint32.

        A channel's 65535 means not measured; event 4294967295 means a cell that is not in the file.
        """
        tube, rows, n_spiked = self.tube, self.rows, self.n_spiked
        parts: list[bytes] = []
        for channel in self.channels:
            spiked = self.spiked.get(channel, np.full(n_spiked, np.nan, dtype=np.float32))
            values = np.concatenate([tube.column(channel)[rows], spiked]).astype(np.float64)
            unit = np.clip((np.nan_to_num(values, nan=0.0) - LOW) / (HIGH - LOW), 0, 1) * _QUANTA
            parts.append(np.where(np.isnan(values), _MISSING, np.rint(unit)).astype("<u2").tobytes())
        none = np.zeros(n_spiked, dtype=np.uint64)
        gates = np.concatenate([tube.gated["gates"][rows].astype(np.uint64), none])
        parts.append((gates & np.uint64(0xFFFFFFFF)).astype("<u4").tobytes())
        parts.append((gates >> np.uint64(32)).astype("<u4").tobytes())
        bits = np.zeros(len(rows) + n_spiked, dtype=np.uint32)
        for number, layer in enumerate(self.layers):
            bits[: len(rows)][np.isin(rows, layer.rows)] |= np.uint32(1 << number)
            if layer.id == "spiked":
                bits[len(rows) :] |= np.uint32(1 << number)
        parts.append(bits.astype("<u4").tobytes())
        parts.append(np.concatenate([rows, np.full(n_spiked, NOT_IN_FILE)]).astype("<u4").tobytes())
        return b"".join(part + b"\0" * (-len(part) % 4) for part in parts)


_ORDER: Final = ("stage", "spiked", "excluded", "group", "cluster", "mrd")


def _layers(tube: PageTube, inputs: PageInputs, groups: Sequence[LetteredGroup], n_spiked: int) -> list[CellLayer]:
    mrd, followup = np.flatnonzero(tube.mrd), inputs.result.role == "followup"
    name = "leukaemic cell" if inputs.result.role == "diagnosis" else "MRD cell"
    layers = [CellLayer("mrd", name, "mrd", True, even(mrd, MAX_MRD_ROWS), len(mrd))]
    clusters = inputs.result.laip.clusters
    if len(clusters) > 1 and tube.classified is not None and "cluster" in tube.classified:
        cluster_of = tube.classified["cluster"]
        for cluster in clusters[:8]:
            rows = np.flatnonzero((cluster_of == cluster.id) & tube.mrd)
            number = group_number(inputs.result.groups, cluster.id) or cluster.id + 1
            layers.append(
                CellLayer(f"cluster:{cluster.id}", f"MRD group {number}", "mrd", False, even(rows, 5000), len(rows))
            )
    for group in groups[:8]:
        rows = group_cells(tube, group)
        layers.append(
            CellLayer(f"group:{group.letter}", f"group {group.letter}", "group", True, even(rows, 2000), len(rows))
        )
    titles = tube.titles
    for gate in tube.panel.maturation_gates:
        if gate in tube.gate_names:
            rows = np.flatnonzero(tube.gate(gate) & ~tube.mrd)
            title = formatting.within(titles[gate])
            layers.append(
                CellLayer(f"stage:{gate}", f"{title}, not MRD", "normal", False, even(rows, ROWS_PER_STAGE), len(rows))
            )
    if tube.classified is not None and "excluded" in tube.classified:
        rows = np.flatnonzero(tube.classified["excluded"])
    else:
        rows = np.empty(0, np.intp)
    if len(rows):
        layers.append(
            CellLayer("excluded", "excluded cell of the phenotype", "excluded", followup, even(rows, 2000), len(rows))
        )
    if n_spiked:
        words = f"spiked cell ({formatting.percent(inputs.result.sensitivity.target, 1)})"
        layers.append(CellLayer("spiked", words, "spiked", followup and not len(mrd), np.empty(0, np.intp), n_spiked))
    return layers[:MAX_LAYERS]


def group_cells(tube: PageTube, group: LetteredGroup) -> Rows:
    """The analysable events nearest to a group's centre, as many as the group has, in file order.

    The squared distance is in SD of the group, summed over its channels. Events beyond the distance that holds 97.5 %
    of a normal population are left out (limit by Wilson and Hilferty, PNAS 1931;17:684-688).
    """
    channels = [name for name in group.medians if name in tube.events and float(group.sd.get(name) or 0) > 0]
    rows = np.flatnonzero(tube.analysable)
    d = len(channels)
    if not d:
        return np.empty(0, np.intp)
    limit = d * (1 - 2 / (9 * d) + 1.96 * math.sqrt(2 / (9 * d))) ** 3
    distance = np.zeros(len(rows))
    for name in channels:
        z = (tube.events[name][rows].astype(np.float64) - group.medians[name]) / group.sd[name]
        distance = distance + z * z
        near = distance <= limit
        rows, distance = rows[near], distance[near]
    nearest: Rows = np.sort(rows[np.argsort(distance, kind="stable")[: group.events]])
    return nearest


def _spiked(inputs: PageInputs) -> Mapping[str, npt.NDArray[np.float32]]:
    """Cells of the diagnosis tube at the target level, in the staining of this tube; none without a diagnosis tube."""
    result = inputs.result
    if inputs.leukaemia is None or result.role != "followup":
        return {}
    count = round(result.sensitivity.target * (result.denominator_count or 0))
    staining = {} if inputs.classification is None else inputs.classification.staining_shift
    return inputs.leukaemia.spiked(min(count, 2000), staining)

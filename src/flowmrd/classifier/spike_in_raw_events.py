"""Leukaemic cells as raw events of a tube, taken through every step that the tube's own events went through.

The sensitivity of a tube is a statement about its file. Cells that are lost in compensation, in a mask, at a gate or at
the window are as lost as those that the classifier overlooks. The cells to add are given as scaled, compensated values.
Here they are turned back into the light of their dyes, with the spillover and the clipping of this tube's detectors.
Then they pass the matrix, the scales, the masks and the gates, with the thresholds that were placed in this tube. Only
the added cells are computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.added_cells import PassedCells
from flowmrd.classifier.candidate_cells import Bools, Floats32
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.panel.gates import window_gate
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.scaling import FLUORESCENT
from flowmrd.records.classification import SPIKE_IN_STEPS
from flowmrd.records.ingest import HeaderFacts
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.units import LOGICLE_M

__all__ = ["STEPS", "RawChain", "as_raw_tube"]

STEPS: Final = tuple(SPIKE_IN_STEPS)
"""Steps from the raw file to the count, in their order."""


@dataclass(frozen=True)
class RawChain:
    """The chain of one gated tube.

    Attributes
    ----------
    parameters
        Their seed decides where in the acquisition the added cells are placed and whose pulse shape they take over.
    """

    tube: Tube
    parameters: ClassifierParameters

    def __call__(
        self,
        cells: Floats32,
        features: tuple[str, ...],
        others: Mapping[str, Floats32],
        unstained: Collection[str] = (),
    ) -> PassedCells:
        """Take cells through the steps; see :class:`flowmrd.classifier.added_cells.StepsToClassifier`."""
        tube = self.tube
        added = preprocess(as_raw_tube(tube, cells, features, others, self.parameters, unstained), placed=tube.placed)
        added = gate(added, placed=tube.placed)
        left = np.ones(len(cells), dtype=np.bool_)
        kept: dict[str, Bools] = {}
        finite = np.logical_and.reduce([np.isfinite(values) for values in added.measured.values()])
        for step, inside in (
            ("scale", finite),
            ("masks", added.analysable()),
            ("singlets", added.gate_or_none("singlets")),
            ("nucleated", added.gate_or_none("nucleated")),
        ):
            left = left if inside is None else left & inside
            kept[step] = left
        found = candidates(added)
        offscale = np.zeros(len(cells), dtype=np.bool_)
        offscale[found.offscale_rows] = True
        window = added.gate_or_none(window_gate(added.gate_names))
        # Off-scale cells are judged wherever they lie.
        kept["window"] = left & (offscale if window is None else window | offscale)
        values = np.stack([added.columns[name] * np.float32(LOGICLE_M) for name in features], axis=1)
        return PassedCells(kept, values, found.cells.select(features).offscale, found.offscale_rows)


def as_raw_tube(
    tube: Tube,
    cells: Floats32,
    features: tuple[str, ...],
    others: Mapping[str, Floats32],
    parameters: ClassifierParameters,
    unstained: Collection[str] = (),
) -> Tube:
    """A tube of these cells alone, as raw events measured like those of the given tube.

    Parameters
    ----------
    tube
        Gated tube whose matrix, scales and detectors apply to the cells.
    cells, features
        Values, shape (n, d), decades, and the names of their channels.
    others
        Further channels of the same cells on the 0..1 scale, shape (n,): pulse height and width.
    parameters
        Their seed decides where in the acquisition the cells are placed and which donors they have. A donor is a single
        cell of this tube; an added cell takes over its pulse shape and its values in channels that are not given.
    unstained
        Markers whose antibody the tube lacks. There the cells show the noise of this tube and not the dye of the tube
        that they come from.
    """
    rng = np.random.default_rng([parameters.seed, 8])
    n = len(cells)
    donors = _donors(tube, rng, n, parameters.place_cells_least)
    scaled = {name: cells[:, place] / np.float32(LOGICLE_M) for place, name in enumerate(features)}
    scaled |= {name: values for name, values in others.items() if name in tube.columns and name not in scaled}
    for name, values in tube.measured.items():
        if name in scaled:
            continue
        area = f"{name.removesuffix('-H')}-A"
        if name.endswith("-H") and area in scaled and area in tube.columns:
            scaled[name] = scaled[area] * values[donors] / np.maximum(tube.columns[area][donors], np.float32(1e-6))
        else:
            scaled[name] = values[donors]
    for name in unstained:
        if name in scaled and name in tube.measured:
            scaled[name] = tube.measured[name][donors]
    raw = _stored(tube, scaled)
    positions = np.sort(rng.integers(tube.n_events, size=n))
    for channel in tube.panel.channels:
        if channel.kind is ChannelKind.TIME and channel.marker in tube.columns:
            raw[channel.marker] = np.asarray(tube.columns[channel.marker][positions], dtype=np.float32)
    facts = HeaderFacts(channels=() if tube.qc is None else tube.qc.channels)
    return Tube(tube.name, tube.panel, where=tube.where, facts=facts, raw=raw, positions=positions)


def _stored(tube: Tube, scaled: Mapping[str, Floats32]) -> dict[str, Floats32]:
    """Stored values of cells in this tube's detectors: their light after spillover, clipped at the top of the range."""
    light = {name: np.asarray(tube.scales[name].inverse(values), np.float64) for name, values in scaled.items()}
    raw = {name: np.minimum(values, tube.scales[name].T).astype(np.float32) for name, values in light.items()}
    matrix = tube.placed.spillover
    if matrix is None:
        return raw
    fluorescent = {channel.marker for channel in tube.panel.channels if channel.kind in FLUORESCENT}
    dark = np.zeros(len(next(iter(scaled.values()))))
    dyes = np.stack([light[name] if name in light and name in fluorescent else dark for name in matrix.names], axis=1)
    for name, values in zip(matrix.names, (dyes @ matrix.matrix).T, strict=True):
        top = tube.scales[name].T if name in tube.scales else np.inf
        raw[name] = np.minimum(values, top).astype(np.float32)
    return raw


def _donors(tube: Tube, rng: np.random.Generator, n: int, least: int) -> npt.NDArray[np.intp]:
    """Rows of single cells of the tube, of the B lineage where there are enough."""
    usable = tube.analysable()
    for name in ("singlets", "nucleated", window_gate(tube.gate_names)):
        inside = tube.gate_or_none(name)
        if inside is not None and np.count_nonzero(usable & inside) >= least:
            usable = usable & inside
    rows = np.flatnonzero(usable)
    if len(rows) == 0:
        rows = np.arange(max(tube.n_events, 1))
    return rows[rng.integers(len(rows), size=n)]

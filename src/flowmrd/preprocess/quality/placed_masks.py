"""Applying the masks of one tube to other events: all thresholds are given, none is estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.quality.clipped_singles import clipped_margin
from flowmrd.preprocess.quality.debris import DebrisCut
from flowmrd.preprocess.quality.doublets import DoubletBand
from flowmrd.preprocess.quality.dyes import DyeCut
from flowmrd.preprocess.quality.masks import STEPS
from flowmrd.records.quality import QualityFile

__all__ = ["PlacedMasks"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PlacedMasks:
    """Every threshold of the quality masks of one tube.

    Attributes
    ----------
    margins
        Forward scatter channel to the value from which events are clipped, 0..1 scale.
    margin_singles
        Bands of the pulse by which a clipped event is one cell.
    time_edges, time_bad
        First row of each stretch of the acquisition and the number of events, shape (n_bins + 1,); masked stretches,
        shape (n_bins,).
    dyes, doublets, debris
        Cuts on the 0..1 scale.
    """

    margins: Mapping[str, float]
    margin_singles: tuple[DoubletBand, ...]
    time_edges: npt.NDArray[np.intp]
    time_bad: Mask
    dyes: tuple[DyeCut, ...]
    doublets: DoubletBand
    debris: DebrisCut

    @classmethod
    def from_record(cls, qc: QualityFile) -> PlacedMasks:
        """Thresholds from ``qc.json``."""
        bins = qc.time.bins
        edges = [*(entry.first for entry in bins), *(entry.last + 1 for entry in bins[-1:])]
        return cls(
            margins=dict(qc.margins),
            margin_singles=tuple(map(DoubletBand.from_record, qc.margin_singles)),
            time_edges=np.array(edges, dtype=np.intp),
            time_bad=np.array([entry.bad for entry in bins], dtype=np.bool_),
            dyes=tuple(map(DyeCut.from_record, qc.dyes)),
            doublets=DoubletBand.from_record(qc.doublets),
            debris=DebrisCut.from_record(qc.debris),
        )

    def apply(
        self,
        columns: Mapping[str, Values],
        nonfinite: Mask,
        positions: npt.NDArray[np.intp] | None = None,
    ) -> dict[str, Mask]:
        """Masks by step (True = masked), shape (n_events,) each.

        Parameters
        ----------
        columns
            Columns on the 0..1 scale, with the scales of the tube that the thresholds were placed in.
        nonfinite
            True for events with a NaN or infinity.
        positions
            For the mask of unstable stretches: the row of the tube that each event is assigned to; 0, 1, 2 ... where
            absent.
        """
        n = len(nonfinite)
        rows = np.arange(n) if positions is None else positions
        masks = {
            "nonfinite": nonfinite,
            "margin": clipped_margin(columns, self.margins, self.margin_singles) & ~nonfinite,
            "time": np.zeros(n, dtype=np.bool_),
            "dead": np.zeros(n, dtype=np.bool_),
            "doublet": ~self.doublets.inside(columns) if n else np.zeros(0, dtype=np.bool_),
            "debris": self.debris.inside(columns) if "FSC-A" in columns else np.zeros(n, dtype=np.bool_),
        }
        if len(self.time_bad):
            stretch = np.searchsorted(self.time_edges[1:-1], rows, side="right")
            masks["time"] = self.time_bad[stretch]
        for cut in self.dyes:
            if cut.channel in columns:
                masks["dead"] |= cut.masked(columns[cut.channel])
        return {step: masks[step] for step in STEPS}

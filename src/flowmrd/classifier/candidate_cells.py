"""Input of the classifier: candidate cells of one tube in decades, and which of them lie in the B-lineage window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import InternalError
from flowmrd.flags import Flag

Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OffscaleCells:
    """Candidate cells that are off scale in a detector (:mod:`flowmrd.preprocess.quality.offscale`).

    Attributes
    ----------
    values
        Shape (m, d), float32, decades; finite.
    measured
        Shape (m, d): False where a value is not measured.
    detectors, off
        Names of the panel's detectors, and shape (m, number of detectors): True where a cell is off scale in a
        detector.
    """

    values: Floats32
    measured: Bools
    detectors: tuple[str, ...]
    off: Bools

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.values)

    def only(self, keep: Bools) -> OffscaleCells:
        """Some of the cells."""
        return replace(self, values=self.values[keep], measured=self.measured[keep], off=self.off[keep])

    def joined(self, others: OffscaleCells) -> OffscaleCells:
        """These cells and others of the same channels and detectors, these first."""
        return replace(
            self,
            values=np.concatenate([self.values, others.values]),
            measured=np.concatenate([self.measured, others.measured]),
            off=np.concatenate([self.off, others.off]),
        )

    def select(self, columns: list[int]) -> OffscaleCells:
        """The same cells with some of their channels."""
        return replace(
            self,
            values=np.ascontiguousarray(self.values[:, columns]),
            measured=np.ascontiguousarray(self.measured[:, columns]),
        )


@dataclass(frozen=True)
class CandidateCells:
    """Candidate cells (nucleated singlets) of one tube.

    Attributes
    ----------
    name
        Sample id; decides the fold of a control, so it must be unique in a run.
    features
        Marker names of the columns.
    values
        Shape (n, d), float32, decades (0..1 scale x 4.5); finite.
    window
        Shape (n,), True for cells of the B-lineage gate.
    denominator
        Nucleated cells of the tube, at least ``n``; rates are given per this number.
    population
        Shape (n,), index into ``populations``; -1 where unknown. Used only for names shown to people.
    populations
        Names behind ``population``.
    doublets
        Shape (m, d), decades: simulated doublets of two cells of this tube; None where not known.
    offscale
        Candidate cells that are off scale in a detector. ``values`` does not hold them. None where not known.
    events
        Events of the file; 0 where not known.
    doubts
        What was found before the gates and lets nobody trust the values: a matrix of another acquisition.
    """

    name: str
    features: tuple[str, ...]
    values: Floats32
    window: Bools
    denominator: int
    population: npt.NDArray[np.int16] | None = None
    populations: tuple[str, ...] = ()
    doublets: Floats32 | None = None
    offscale: OffscaleCells | None = None
    events: int = 0
    doubts: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.window), len(self.features)):
            raise InternalError(
                f"tube {self.name}: values {self.values.shape} do not fit {len(self.window)} events and "
                f"{len(self.features)} features"
            )

    @property
    def n(self) -> int:
        """Number of candidate cells."""
        return len(self.window)

    def select(self, features: tuple[str, ...]) -> CandidateCells:
        """The same cells with these features, in this order."""
        if features == self.features:
            return self
        index = [self.features.index(name) for name in features]
        return replace(
            self,
            features=features,
            values=np.ascontiguousarray(self.values[:, index]),
            doublets=None if self.doublets is None else np.ascontiguousarray(self.doublets[:, index]),
            offscale=None if self.offscale is None else self.offscale.select(index),
        )


def thin(flags: Bools, wanted: int) -> npt.NDArray[np.intp]:
    """At most ``wanted`` evenly spaced indices of the True entries: deterministic and blind to the values."""
    index = np.flatnonzero(flags)
    if len(index) <= wanted:
        return index
    picks = (np.arange(wanted) * (len(index) / wanted)).astype(np.intp)
    return index[picks]


def training_sample(
    tube: CandidateCells, wanted: int, window_share: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Training cells with importance weights: a share from the window, the rest from outside.

    Returns
    -------
    x, weight
        Shapes (m, d) and (m,); weights sum to 1 and restore the tube's own proportions.
    """
    of_window = int(wanted * window_share + 1e-9)
    inside = thin(tube.window, of_window)
    outside = thin(~tube.window, wanted - min(len(inside), of_window))
    n_inside = int(tube.window.sum())
    index = np.concatenate([inside, outside])
    weight = np.concatenate(
        [
            np.full(len(inside), n_inside / max(len(inside), 1)),
            np.full(len(outside), (tube.n - n_inside) / max(len(outside), 1)),
        ]
    )
    return tube.values[index].astype(np.float64), weight / max(weight.sum(), 1e-12)


NUCLEIC_ACID_DYES: Final = ("SYTO", "DAPI", "DRAQ", "HOECHST", "VYBRANT")
"""First letters of the names of dyes that stain the nucleic acids of every nucleated cell."""


def is_nucleic_acid_dye(name: str) -> bool:
    """Whether a channel is named after a nucleic acid dye; its brightness differs more between tubes than an
    antibody's.
    """
    return name.upper().startswith(NUCLEIC_ACID_DYES)

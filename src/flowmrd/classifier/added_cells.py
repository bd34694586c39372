"""Cells added to a tube after the steps before the classifier, and the way that takes them there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Bools, Floats32, OffscaleCells

__all__ = ["Chain", "PassedCells"]


@dataclass(frozen=True)
class PassedCells:
    """Added cells after the steps before the classifier.

    Attributes
    ----------
    kept
        Step to the cells that are left after it, shape (n,), in the order of the steps.
    values
        Shape (n, d): decades as measured, in the order of the classifier's channels.
    offscale, offscale_rows
        Those of the cells that are off scale in a detector, and which they are.
    """

    kept: Mapping[str, Bools]
    values: Floats32
    offscale: OffscaleCells | None = None
    offscale_rows: npt.NDArray[np.intp] | None = None


class Chain(Protocol):
    """The way of added cells from the raw file to the classifier."""

    def __call__(
        self,
        cells: Floats32,
        features: tuple[str, ...],
        others: Mapping[str, Floats32],
        unstained: Collection[str] = (),
    ) -> PassedCells:
        """Take cells (n, d) in decades, and further channels on the 0..1 scale, through the steps.

        Markers in ``unstained`` are those whose antibody the tube lacks: the cells carry none of its dye.
        """

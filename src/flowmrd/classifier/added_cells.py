"""Cells that are added to a tube: what the steps before the classifier make of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Bools, Floats32, OffscaleCells

__all__ = ["PassedCells", "StepsToClassifier"]


@dataclass(frozen=True)
class PassedCells:
    """Added cells that have passed the steps before the classifier.

    Attributes
    ----------
    kept
        Name of a step to a mask of the cells that it and all steps before it kept, shape (n,); in the order of the
        steps.
    values
        Shape (n, d): decades as measured, in the order of the classifier's channels.
    offscale, offscale_rows
        The added cells that are off scale in a detector, and their rows among all added cells.
    """

    kept: Mapping[str, Bools]
    values: Floats32
    offscale: OffscaleCells | None = None
    offscale_rows: npt.NDArray[np.intp] | None = None


class StepsToClassifier(Protocol):
    """A function that takes added cells from the raw file to the classifier."""

    def __call__(
        self,
        cells: Floats32,
        features: tuple[str, ...],
        others: Mapping[str, Floats32],
        unstained: Collection[str] = (),
    ) -> PassedCells:
        """Take cells (n, d) in decades, and further channels on the 0..1 scale, through the steps.

        ``unstained`` names the markers whose antibody the tube lacks: the added cells carry none of its dye.
        """

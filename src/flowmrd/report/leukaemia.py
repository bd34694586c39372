"""The patient's leukaemia at diagnosis as the report draws it: outlines of its components, and some of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.records.read import read_if_there
from flowmrd.records.references import LaipFile
from flowmrd.report.charts.description import Outline
from flowmrd.report.contours import ellipse
from flowmrd.store import digest_file, read_arrays
from flowmrd.units import LOGICLE_M

LEAST_SHARE: Final = 0.05
"""A component with a smaller share of the leukaemia has no outline."""
MAX_COMPONENTS: Final = 4

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DiagnosisModel:
    """Mixture and cells of ``laip.npz``, on the 0..1 scale.

    Attributes
    ----------
    weight, mean, covariance
        Shapes (k,), (k, d), (k, d, d) over ``features``.
    staining
        Shape (d,): shift of the diagnosis tube's staining against the reference, 0..1 scale.
    cells
        Shape (n, d): cells of the diagnosis.
    """

    diagnosis: str
    features: tuple[str, ...]
    weight: Array
    mean: Array
    covariance: Array
    staining: Array
    cells: Array

    def outlines(self, x: str, y: str) -> list[Outline]:
        """2-SD outlines of the larger components on two channels, largest first."""
        if x not in self.features or y not in self.features:
            return []
        at = [self.features.index(x), self.features.index(y)]
        order = [int(k) for k in np.argsort(-self.weight)[:MAX_COMPONENTS] if self.weight[k] >= LEAST_SHARE]
        return [
            Outline(
                ellipse(self.mean[k][at], self.covariance[k][np.ix_(at, at)]),
                True,
                "leukaemia at diagnosis, 2 SD",
                role="diagnosis",
            )
            for k in order
        ]

    def spiked(self, count: int, staining: dict[str, float]) -> dict[str, npt.NDArray[np.float32]]:
        """``count`` evenly chosen cells by channel, in the staining of this tube; no random numbers.

        Parameters
        ----------
        staining
            Marker to the shift of this tube's staining against the reference, decades (``staining_shift`` of
            classification.json).
        """
        n = len(self.cells)
        if n == 0 or count <= 0:
            return {}
        chosen = self.cells[(np.arange(count) * n // count) % n] if count < n else self.cells[np.arange(count) % n]
        shift = np.array([staining.get(name, 0.0) / LOGICLE_M for name in self.features]) - self.staining
        moved = (chosen + shift).astype(np.float32)
        return {name: moved[:, index] for index, name in enumerate(self.features)}


def read_leukaemia(laip_json: Path | None) -> DiagnosisModel | None:
    """The leukaemia of a ``laip.json`` and the arrays beside it; ``None`` where there is none, or where they do not
    match.

    The classifier refuses a pair that does not match; the page merely draws nothing.
    """
    found = read_if_there(laip_json, LaipFile)
    if laip_json is None or found is None:
        return None
    path = laip_json.with_suffix(".npz")
    if not found.found or not path.is_file() or digest_file(path) != found.arrays_sha256:
        return None
    arrays = read_arrays(path)
    if not {"weight", "mean", "covariance", "staining", "cells"} <= set(arrays):
        return None
    return DiagnosisModel(
        diagnosis=found.diagnosis or "",
        features=found.features or (),
        weight=arrays["weight"],
        mean=arrays["mean"] / LOGICLE_M,
        covariance=arrays["covariance"] / LOGICLE_M**2,
        staining=arrays["staining"] / LOGICLE_M,
        cells=arrays["cells"].astype(np.float64) / LOGICLE_M,
    )

"""Cells of a searched phenotype among excluded events: masked, outside the gates of cells, or outside the window.

The classifier does not see events that a mask or a gate excludes. Every excluded event is therefore compared with the
phenotypes that are searched in this tube. Enough events of one phenotype rule out a negative answer, and the reviewer
sees them with the reason for their exclusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from flowmrd.classifier.candidate_cells import Bools, Floats32
from flowmrd.classifier.mixture import Mixture, chi2_quantile, mahalanobis_squared
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype_score import score_cells
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.panel.gates import window_gate
from flowmrd.tube import Tube
from flowmrd.units import LOGICLE_M

__all__ = ["REASONS", "ExcludedCells", "find_excluded", "reasons_of"]

REASONS: Final = (
    "in an unstable stretch of the run",
    "at the end of the range of forward scatter",
    "dead",
    "doublets",
    "debris or anucleate",
    "outside the B-lineage window",
)
"""Why an event was excluded. Where there are several reasons, the first one is given."""


@dataclass(frozen=True)
class ExcludedCells:
    """Excluded events of a searched phenotype: their number by reason for exclusion, and their rows."""

    events: Mapping[str, int]
    rows: npt.NDArray[np.intp]

    @property
    def total(self) -> int:
        """Number of these events."""
        return len(self.rows)


def reasons_of(tube: Tube) -> npt.NDArray[np.int8]:
    """Every event's reason as an index into :data:`REASONS`, shape (n_events,); -1 for events that are not excluded."""
    reason = np.full(tube.n_events, -1, dtype=np.int8)
    nothing = np.zeros(tube.n_events, dtype=np.bool_)

    def outside(name: str) -> Bools:
        inside = tube.gate_or_none(name)
        return nothing if inside is None else ~inside

    time = tube.masks.get("time", nothing) & ~tube.analysable()
    masked = (time, tube.masks.get("margin", nothing), tube.masks.get("dead", nothing))
    for place, mask in enumerate(
        (*masked, outside("singlets"), outside("nucleated"), outside(window_gate(tube.gate_names)))
    ):
        reason[(reason < 0) & mask] = place
    reason[tube.masks.get("nonfinite", nothing)] = -1
    # The classifier judges off-scale cells wherever they lie, by their measured channels, so none of them is excluded.
    reason[tube.masks.get("offscale", nothing)] = -1
    return reason


def find_excluded(
    tube: Tube,
    features: tuple[str, ...],
    places: Sequence[Mixture],
    model: TubeModel,
    cut: float,
    parameters: ClassifierParameters,
    *,
    counted: int = 0,
) -> ExcludedCells:
    """Excluded events that have a searched phenotype and are unlike the tube's normal cells.

    Cells of a sample come evenly. Where an unstable stretch holds more of them than the rest of the run allows, its
    signal was moved onto the phenotype, and none of the stretch is named.

    Parameters
    ----------
    features, places
        Names of the channels, and the phenotypes as they may lie in this tube, decades.
    model
        Normal cells of the tube.
    cut
        Natural log score from which a cell counts.
    counted
        Analysable cells of these phenotypes that are counted.
    """
    reason = reasons_of(tube)
    limit = chi2_quantile(parameters.excluded_place_share, len(features))
    found = np.zeros(tube.n_events, dtype=np.bool_)
    for mixture in places:
        for k in range(mixture.k):
            one = Mixture(np.ones(1), mixture.mean[k : k + 1], mixture.covariance[k : k + 1])
            rows = np.flatnonzero(_in_box(tube, features, one, limit, reason >= 0))
            values = _values(tube, features, rows)
            inside = mahalanobis_squared(one, values)[:, 0] < limit if len(rows) else np.zeros(0, dtype=np.bool_)
            rows, values = rows[inside], values[inside]
            if len(rows):
                normal = model.log_density(values, parameters)
                found[rows[score_cells(one, values, normal, parameters.blast_tail_degrees) >= cut]] = True
    unstable = reason == 0
    elsewhere = counted + int(np.count_nonzero(found & ~unstable))
    if _is_moved_signal(int(np.count_nonzero(found & unstable)), elsewhere, float(unstable.mean()), parameters):
        found &= ~unstable
    rows = np.flatnonzero(found)
    counts = np.bincount(reason[rows].astype(np.intp), minlength=len(REASONS))
    return ExcludedCells({name: int(n) for name, n in zip(REASONS, counts, strict=True) if n}, rows)


def _is_moved_signal(events: int, elsewhere: int, share: float, parameters: ClassifierParameters) -> bool:
    """Whether a stretch with this share of the run holds more events than even cells would (``excluded_uneven``), of
    which ``elsewhere`` came in the rest.
    """
    if events == 0 or share >= 1.0:
        return False
    most = float(gammaincinv(elsewhere + 1.0, parameters.even_upper)) * share / (1.0 - share)
    return float(gammainc(events, most)) < parameters.excluded_uneven


def _in_box(tube: Tube, features: tuple[str, ...], one: Mixture, limit: float, eligible: Bools) -> Bools:
    """Eligible events within the box around an ellipsoid; only these are looked at more closely."""
    inside = eligible.copy()
    half = np.sqrt(limit * np.diagonal(one.covariance[0]))
    for place, name in enumerate(features):
        low, high = ((one.mean[0, place] + side * half[place]) / LOGICLE_M for side in (-1, 1))
        values = tube.columns[name]
        inside &= (values >= np.float32(low)) & (values <= np.float32(high))
    return inside


def _values(tube: Tube, features: tuple[str, ...], rows: npt.NDArray[np.intp]) -> Floats32:
    return np.stack([tube.columns[name][rows] * np.float32(LOGICLE_M) for name in features], axis=1)

"""More off-scale cells in the place of blasts than a fault of the detector explains.

If a dye spills into most detectors, a cell beyond the range of its detector is measured in scatter and nucleic acid dye
alone. A leukaemia of which nearly all cells are such cells forms no group. It can still be noticed by its number. A
fault of the instrument hits any cell of the tube. Of the cells that it drove off scale, as many look like blasts in the
measured channels as of all cells of this tube. The controls show how many of their own normal cells are off scale
beyond that. What exceeds both is a question; no cell of it can be told from the others, so none is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import Bools, CandidateCells, Floats32, OffscaleCells, thin
from flowmrd.classifier.mixture import Floats, Mixture, draw, log_density, membership
from flowmrd.classifier.normal_reference import ControlRecord
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_model import TubeModel

__all__ = ["OffscaleExcess", "find_excess"]

ON_BLASTS: Final = ("CD10", "CD19", "CD20", "CD22", "CD24", "CD34", "CD38", "CD58")
"""Antibodies that blasts may carry so brightly that they are off scale."""
SMALLEST: Final = 1e-9
"""Replaces a standard deviation of 0."""


@dataclass(frozen=True)
class OffscaleExcess:
    """Off-scale cells of a detector among which too many look like blasts.

    Attributes
    ----------
    detector, events
        Name of the detector and number of its off-scale cells that were compared.
    excess
        Cells like blasts beyond the expected number; a lower bound, because blasts look like blasts only in part.
    standardised
        The same in standard deviations of what faults and normal cells give.
    """

    detector: str
    events: int
    excess: float
    standardised: float


@dataclass(frozen=True)
class _Sum:
    """Cells like blasts beyond the number that a fault gives: the excess of one tube in one detector.

    Attributes
    ----------
    events
        Off-scale cells.
    excess, variance, skewness
        Their weights as blasts, less what as many cells of the tube have on average; variance and skewness of that sum
        where a fault hit these cells.
    """

    events: int = 0
    excess: float = 0.0
    variance: float = 0.0
    skewness: float = 0.0


def find_excess(
    tube: CandidateCells,
    claimed: Bools | None,
    model: TubeModel,
    normal_b: Floats,
    controls: Sequence[ControlRecord],
    columns: list[int],
    parameters: ClassifierParameters,
) -> tuple[OffscaleExcess, ...]:
    """Detectors in which a leukaemia may be hidden, the most striking first; none where no control can tell.

    Parameters
    ----------
    claimed
        Shape (m,): off-scale cells that belong to a counted group; None where none do.
    model, normal_b
        Normal model of the tube, and centre (d,) of its normal B cells, decades.
    columns
        The tube's channels among those of the reference.
    """
    if tube.offscale is None or not controls:
        return ()
    free = tube.offscale if claimed is None else tube.offscale.only(~claimed)
    prior = blast_prior(tube.features, normal_b, parameters)
    rows = thin(np.ones(tube.n, dtype=np.bool_), parameters.compared_cells)
    found = []
    for detector in ON_BLASTS:
        mine = _off_in(free, detector)
        if mine.n < parameters.detect_events:
            continue
        measured = np.flatnonzero(mine.measured.mean(axis=0) >= parameters.offscale_measured_share).tolist()
        # With more channels such cells are searched for groups.
        if not 0 < len(measured) < parameters.offscale_channels_least:
            continue
        own = _excess(mine, tube.values[rows], prior, model.mixture, measured, parameters)
        others = [_of_control(record, detector, prior, model, columns, measured, parameters) for record in controls]
        one = _beyond(detector, own, others, tube.denominator, parameters)
        found += [] if one is None else [one]
    return tuple(sorted(found, key=lambda one: -one.standardised))


def _off_in(cells: OffscaleCells, detector: str) -> OffscaleCells:
    """The cells that are off scale in a detector; none where the tube lacks it."""
    if detector not in cells.detectors:
        return cells.only(np.zeros(cells.n, dtype=np.bool_))
    return cells.only(cells.off[:, cells.detectors.index(detector)])


def _excess(
    off: OffscaleCells,
    usual: Floats32 | Floats,
    prior: Mixture,
    normal: Mixture,
    measured: list[int],
    parameters: ClassifierParameters,
) -> _Sum:
    """Excess of off-scale cells over cells (n, d) of the same tube, by the channels that are measured."""
    cells: Floats32 = np.ascontiguousarray(off.values[off.measured[:, measured].all(axis=1)][:, measured])
    if len(cells) == 0:
        return _Sum()
    blasts, others = prior.marginal(measured), normal.marginal(measured)
    share = parameters.excess_share
    odds = float(np.log(share) - np.log1p(-share))
    degrees = parameters.tail_degrees

    def weight(x: Floats32 | Floats) -> Floats:
        return membership(odds + log_density(blasts, x) - log_density(others, x, degrees=degrees))

    expected = weight(usual[:, measured])
    n, mean, sd = len(cells), float(expected.mean()), float(expected.std())
    skewness = float(((expected - mean) ** 3).mean()) / max(sd, SMALLEST) ** 3
    return _Sum(n, float(weight(cells).sum()) - n * mean, n * sd**2, skewness / np.sqrt(n))


def _of_control(
    record: ControlRecord,
    detector: str,
    prior: Mixture,
    model: TubeModel,
    columns: list[int],
    measured: list[int],
    parameters: ClassifierParameters,
) -> tuple[int, _Sum]:
    """Nucleated cells of a control, and its excess in the same channels."""
    if record.offscale is None:
        return record.denominator, _Sum()
    own = record.model.select(columns)
    usual = draw(own.mixture, parameters.compared_cells, np.random.default_rng([parameters.seed, 32]))
    off = _off_in(record.offscale.select(columns), detector)
    moved = prior.shifted(own.shift - model.shift)
    return record.denominator, _excess(off, usual, moved, own.mixture, measured, parameters)


def _beyond(
    detector: str,
    own: _Sum,
    controls: Sequence[tuple[int, _Sum]],
    denominator: int,
    parameters: ClassifierParameters,
) -> OffscaleExcess | None:
    """What exceeds a fault and the controls' own excess; None within their spread.

    The controls' rate has an error of its own, and varies between them beyond the error (method of moments; DerSimonian
    and Laird 1986).
    """
    rates = np.array([one.excess / max(cells, 1) for cells, one in controls])
    errors = np.array([one.variance / max(cells, 1) ** 2 for cells, one in controls])
    k = len(rates)
    between = max(float(rates.var(ddof=1) - errors.mean()), 0.0) if k > 1 else 0.0
    expected = max(float(rates.mean()), 0.0)
    variance = own.variance + denominator**2 * (between * (1.0 + 1.0 / k) + float(errors.mean()) / k)
    sd = float(np.sqrt(max(variance, 1.0)))
    # The sum of few weights is skewed: first term of Cornish and Fisher's expansion.
    limit = parameters.excess_sd + own.skewness * (parameters.excess_sd**2 - 1.0) / 6.0
    excess = own.excess - denominator * expected
    if excess < max(limit * sd, parameters.excess_least):
        return None
    return OffscaleExcess(detector, own.events, excess, excess / sd)

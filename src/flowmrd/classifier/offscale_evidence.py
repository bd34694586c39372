"""Off-scale signals as evidence: how often a leukaemia is off scale in a detector, compared with other cells.

If a dye spills into most detectors, a cell beyond the range of its detector is measured in few channels, and these
alone cannot separate leukaemia from normal cells. The diagnosis tube shows how often cells of the leukaemia are off
scale in every detector. The controls show how often normal cells of each population are. All other off-scale cells of a
tube come from a fault that hits any cell, whose frequency is estimated in the tube. An off-scale cell is leukaemic if
that is more probable than all other explanations together. Without a diagnosis tube the rate of the leukaemia is
unknown, and being off scale is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Bools, OffscaleCells
from flowmrd.classifier.mixture import Floats, Mixture, component_log_density, log_sum, membership
from flowmrd.classifier.normal_reference import ControlRecord
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_model import TubeModel

__all__ = ["OffscaleRates", "claim_offscale", "learn_offscale", "patterns", "rates_of_controls"]

SMALLEST = 1e-12
"""Rate that replaces 0 in logarithms."""


@dataclass(frozen=True)
class OffscaleRates:
    """How often cells are off scale in each detector of one tube.

    Attributes
    ----------
    detectors
        Names of the panel's detectors.
    leukaemia
        Shape (number of detectors,): share of the leukaemic cells that were off scale at diagnosis.
    controls
        Shape (k, number of detectors): off-scale cells of every normal component per nucleated cell of the controls.
    """

    detectors: tuple[str, ...]
    leukaemia: Floats
    controls: Floats

    @classmethod
    def of(cls, found: Mapping[str, float], cells: OffscaleCells, controls: Floats) -> OffscaleRates:
        """Rates in the detectors of a tube; a detector that the diagnosis tube lacked has a rate of 0 there."""
        return cls(cells.detectors, np.array([found.get(name, 0.0) for name in cells.detectors]), controls)


def patterns(measured: Bools) -> Iterator[tuple[npt.NDArray[np.intp], list[int]]]:
    """Rows that are measured in the same channels, and these channels."""
    if len(measured) == 0:
        return
    kinds, member = np.unique(measured, axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        yield np.flatnonzero(member.ravel() == number), np.flatnonzero(kind).tolist()


def rates_of_controls(
    cells: OffscaleCells,
    records: Sequence[ControlRecord],
    columns: Sequence[int],
    model: TubeModel,
    parameters: ClassifierParameters,
) -> Floats:
    """Off-scale cells of the controls by component of a tube's normal model, per nucleated cell, shape (k, detectors).

    Half a cell is added to every count, as with Jeffreys' prior of a Poisson rate, because a component without an
    off-scale cell in the controls may have some. All rates are 0 without controls.

    Parameters
    ----------
    cells
        The tube's off-scale cells, which name the detectors.
    columns
        The tube's channels among those of the reference.
    """
    counts = np.zeros((model.mixture.k, len(cells.detectors)))
    total = sum(record.denominator for record in records)
    for record in records:
        if record.offscale is None or record.offscale.n == 0:
            continue
        own = record.offscale.select(list(columns))
        moved = (own.values + (model.shift - record.model.shift[list(columns)])).astype(np.float32)
        logs = _component_logs(replace(own, values=moved), model.mixture, parameters.tail_degrees)
        belongs = np.exp(logs - log_sum(logs)[:, None])
        for place, name in enumerate(cells.detectors):
            if name in own.detectors:
                counts[:, place] += belongs[own.off[:, own.detectors.index(name)]].sum(axis=0)
    return (counts + 0.5) / total if total else counts


def claim_offscale(
    cells: OffscaleCells,
    mixtures: Sequence[Mixture],
    shares: Sequence[float],
    model: TubeModel,
    denominator: int,
    rates: OffscaleRates,
    parameters: ClassifierParameters,
) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Assign off-scale cells to the counted groups of a patient's phenotype.

    Parameters
    ----------
    mixtures, shares
        Groups of cells on scale, decades, and their shares of the tube's nucleated cells.
    denominator
        Nucleated cells of the tube.

    Returns
    -------
    log_odds, label
        Shape (m,): natural log of the odds that a cell is leukaemic, and the group to which it would belong.
    """
    problem = _Problem.of(cells, mixtures, model, rates.controls, parameters)
    leukaemia = np.maximum(rates.leukaemia, problem.seen(denominator))
    fault = problem.seen(denominator)
    for _ in range(parameters.phenotype_steps):
        log_odds, fault_part = problem.weigh(shares, leukaemia, fault)
        updated = problem.rate(fault_part, denominator)
        done = bool(np.allclose(updated, fault, rtol=parameters.share_tolerance, atol=SMALLEST))
        fault = updated
        if done:
            break
    log_odds, _ = problem.weigh(shares, leukaemia, fault)
    return log_odds, problem.likeliest(shares)


def learn_offscale(
    cells: OffscaleCells,
    mixture: Mixture,
    on_scale: float,
    model: TubeModel,
    denominator: int,
    controls: Floats,
    parameters: ClassifierParameters,
) -> tuple[dict[str, float], float]:
    """How often the leukaemia of a diagnosis tube is off scale in every detector, and the number of such cells.

    The rates are found by expectation-maximisation. At the start being off scale is no evidence, so that the measured
    channels decide first. One pseudo-cell is added that is off scale as often as all cells of the tube are.

    Parameters
    ----------
    mixture
        The phenotype of the cells on scale, decades.
    on_scale
        Number of these cells.
    denominator
        Nucleated cells of the tube.
    """
    problem = _Problem.of(cells, [mixture], model, controls, parameters)
    seen = problem.seen(denominator)
    leukaemia, fault, expected = seen, seen, 0.0
    for _ in range(parameters.phenotype_steps):
        log_odds, fault_part = problem.weigh([on_scale / max(denominator, 1)], leukaemia, fault)
        leukaemic = membership(log_odds)
        expected = float(leukaemic.sum())
        fault = problem.rate(fault_part, denominator)
        leukaemia = ((leukaemic[:, None] * cells.off).sum(axis=0) + seen) / (on_scale + expected + 1.0)
    return {name: float(rate) for name, rate in zip(cells.detectors, leukaemia, strict=True)}, expected


@dataclass(frozen=True)
class _Problem:
    """Densities of off-scale cells that do not change while rates are estimated.

    Attributes
    ----------
    off
        Shape (m, detectors).
    log_phenotype
        Shape (m, groups): log density under every group in the measured channels.
    log_normal, log_usual
        Shape (m,): log density of normal cells in the measured channels, and the same times the rate at which the
        controls' cells of that kind are off scale in these detectors.
    """

    off: Bools
    log_phenotype: Floats
    log_normal: Floats
    log_usual: Floats

    @classmethod
    def of(
        cls,
        cells: OffscaleCells,
        mixtures: Sequence[Mixture],
        model: TubeModel,
        controls: Floats,
        parameters: ClassifierParameters,
    ) -> _Problem:
        normal = _component_logs(cells, model.mixture, parameters.tail_degrees)
        # Of two detectors at once the rarer one is an upper bound: normal cells off scale in both are mostly the same.
        kinds, member = np.unique(cells.off, axis=0, return_inverse=True)
        both = np.where(kinds[:, None, :], controls[None], 1.0).min(axis=2, initial=1.0)
        usual = np.log(np.maximum(both, SMALLEST))[member.ravel()]
        weights = np.log(np.maximum(model.mixture.weight, SMALLEST))
        phenotype = [log_sum(_component_logs(cells, one, parameters.blast_tail_degrees)) for one in mixtures]
        return cls(cells.off, np.stack(phenotype, axis=1), log_sum(normal), log_sum(normal - weights + usual))

    def seen(self, denominator: int) -> Floats:
        """Off-scale cells of the tube by detector, per nucleated cell."""
        return self.rate(np.ones(len(self.off)), denominator)

    def rate(self, part: Floats, denominator: int) -> Floats:
        """Weighted number of off-scale cells by detector, per nucleated cell."""
        out: Floats = (part[:, None] * self.off).sum(axis=0) / max(denominator, 1)
        return out

    def weigh(self, shares: Sequence[float], leukaemia: Floats, fault: Floats) -> tuple[Floats, Floats]:
        """Log odds that a cell is leukaemic, and the probability that it is normal and off scale by a fault, (m,)."""
        share = np.log(np.maximum(shares, SMALLEST))
        rate = np.clip(leukaemia, SMALLEST, 1.0 - SMALLEST)
        # The groups' shares are those of cells on scale: of cells off scale there are so many more.
        odds = (self.off * (np.log(rate) - np.log1p(-rate))).sum(axis=1)
        leukaemic = log_sum(self.log_phenotype + share) + odds
        chance = np.where(self.off, fault, 1.0).min(axis=1, initial=1.0)
        by_fault = self.log_normal + np.log(np.maximum(chance, SMALLEST))
        log_odds = leukaemic - np.logaddexp(self.log_usual, by_fault)
        other = by_fault - np.logaddexp(np.logaddexp(self.log_usual, by_fault), leukaemic)
        return log_odds, np.exp(other)

    def likeliest(self, shares: Sequence[float]) -> npt.NDArray[np.int32]:
        """The group to which a cell would belong, shape (m,)."""
        share = np.log(np.maximum(shares, SMALLEST))
        out: npt.NDArray[np.int32] = (self.log_phenotype + share).argmax(axis=1).astype(np.int32)
        return out


def _component_logs(cells: OffscaleCells, mixture: Mixture, degrees: float) -> Floats:
    """Log of weight times density of every component in the measured channels, shape (m, k)."""
    out = np.tile(np.log(np.maximum(mixture.weight, SMALLEST)), (cells.n, 1))
    for rows, columns in patterns(cells.measured):
        if columns:
            values = np.ascontiguousarray(cells.values[rows][:, columns])
            out[rows] = component_log_density(mixture.marginal(columns), values, degrees=degrees)
    return out

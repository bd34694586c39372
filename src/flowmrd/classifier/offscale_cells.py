"""Cells that are off scale in a detector are judged only by the channels in which they are measured.

Such cells do not start a group and set no limit, in tubes and controls alike, because compensation turns them into
phenotypes that no cell has. They join a group of other cells where their measured channels agree with it. A leukaemia
whose cells are all off scale in one detector is searched for in the other channels. It is reported and not counted,
because the missing marker may be the one that tells it from normal cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.atypical_groups import like_normal
from flowmrd.classifier.candidate_cells import Bools, Floats32, OffscaleCells
from flowmrd.classifier.classification import CountedGroup, OffscaleDetector, UncountedGroup
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.group_evidence import weigh_mixture
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.offscale_evidence import OffscaleRates, claim_offscale, patterns
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype_score import NO_SCORE, score_cells
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.classifier.window_cells import WindowCells

__all__ = ["JudgedOffscale", "join_offscale", "judge_offscale", "offscale_groups", "score_offscale"]


@dataclass(frozen=True)
class JudgedOffscale:
    """A tube's off-scale cells.

    Attributes
    ----------
    score, cluster
        Shape (m,): log10 score, and number of the group that the cell belongs to, -1 for none; None where no cell is
        off scale.
    detectors
        Number of off-scale cells by detector.
    uncounted
        Groups among them that are unlike normal cells.
    """

    score: Floats32 | None = None
    cluster: npt.NDArray[np.int32] | None = None
    detectors: tuple[OffscaleDetector, ...] = ()
    uncounted: tuple[UncountedGroup, ...] = ()


def judge_offscale(
    offscale: OffscaleCells | None,
    counted: Sequence[CountedGroup],
    shares: Sequence[float],
    cells: WindowCells,
    cut: float,
    rates: OffscaleRates | None = None,
) -> JudgedOffscale:
    """Let off-scale cells join the counted groups, and search for groups among the rest.

    Parameters
    ----------
    shares
        Share of the tube's nucleated cells that every group has among the cells on scale.
    cells
        The cells of the tube's window: its normal model, denominator and staining.
    cut
        Natural log score from which a cell counts.
    rates
        How often cells are off scale, where the phenotype is a patient's; None where nothing is known of it.
    """
    if offscale is None or offscale.n == 0:
        return JudgedOffscale()
    score, cluster = join_offscale(offscale, [group.mixture for group in counted], shares, cells, cut, rates)
    return JudgedOffscale(
        np.maximum(score / np.log(10.0), NO_SCORE).astype(np.float32),
        cluster,
        _describe_detectors(offscale, cluster >= 0),
        offscale_groups(offscale, cluster >= 0, cells),
    )


def join_offscale(
    offscale: OffscaleCells,
    mixtures: Sequence[Mixture],
    shares: Sequence[float],
    cells: WindowCells,
    cut: float,
    rates: OffscaleRates | None = None,
) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Score of every off-scale cell, natural log, and the group that it joins; -1 for none.

    With ``rates`` a cell joins where it is leukaemic more probably than not; without, where its measured channels alone
    score above the cut. Parameters as of :func:`judge_offscale`.
    """
    if rates is None or not mixtures:
        score, label = score_offscale(offscale, mixtures, cells.model, cells.parameters)
        label[score < cut] = -1
        return score, label
    log_odds, label = claim_offscale(
        offscale, mixtures, shares, cells.model, cells.denominator, rates, cells.parameters
    )
    score = log_odds - np.log(np.maximum(np.asarray(shares)[label], 1e-9))
    label[log_odds <= 0.0] = -1
    return score, label


def score_offscale(
    cells: OffscaleCells, mixtures: Sequence[Mixture], model: TubeModel, parameters: ClassifierParameters
) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Best score of every off-scale cell over the groups, by its measured channels, and the group that gives it.

    Parameters
    ----------
    mixtures
        Groups of other cells, decades.
    model
        The tube's normal model.

    Returns
    -------
    score, label
        Shape (m,) each: natural log score; number of the group, -1 where no group claims the cell.
    """
    score = np.full(cells.n, NO_SCORE)
    label = np.full(cells.n, -1, dtype=np.int32)
    if not mixtures:
        return score, label
    for rows, columns in patterns(cells.measured):
        if len(columns) < parameters.offscale_channels_least:
            continue
        values = np.ascontiguousarray(cells.values[rows][:, columns])
        normal = model.select(columns).log_density(values, parameters)
        for number, mixture in enumerate(mixtures):
            own = score_cells(mixture.marginal(columns), values, normal, parameters.blast_tail_degrees)
            better = own > score[rows]
            score[rows[better]], label[rows[better]] = own[better], number
    return score, label


def offscale_groups(cells: OffscaleCells, claimed: Bools, beside: WindowCells) -> tuple[UncountedGroup, ...]:
    """Compact groups, unlike normal cells, among those that are off scale in one detector; by the other channels.

    Parameters
    ----------
    claimed
        Shape (m,): off-scale cells that belong to a counted group.
    beside
        The cells of the tube's window: its normal model, denominator and staining.
    """
    parameters = beside.parameters
    found: list[UncountedGroup] = []
    for place, detector in enumerate(cells.detectors):
        rows = np.flatnonzero(cells.off[:, place] & ~claimed)
        if len(rows) < parameters.detect_events:
            continue
        columns = np.flatnonzero(cells.measured[rows].mean(axis=0) >= parameters.offscale_measured_share).tolist()
        rows = rows[cells.measured[rows][:, columns].all(axis=1)]
        if len(rows) < parameters.detect_events or len(columns) < parameters.offscale_channels_least:
            continue
        part = _in_channels(beside, cells.values[rows][:, columns], columns)
        for group in part.compact_groups():
            enough = group.events >= parameters.detect_events
            gain = group.log_likelihood_gain >= parameters.group_gain_least
            if enough and gain and group.is_distinct(parameters) and not like_normal(group.mixture, part):
                whole = _in_all_channels(group, columns, np.median(cells.values[rows], axis=0))
                evidence = weigh_mixture(group.mixture, group.share, part)
                found.append(UncountedGroup(whole, group.events, "offscale", evidence, detector))
    return tuple(found)


def _in_channels(cells: WindowCells, values: Floats32, columns: list[int]) -> WindowCells:
    """Other cells of the same tube, in some of the channels."""
    features = tuple(cells.features[column] for column in columns)
    model = cells.model.select(columns)
    values = np.ascontiguousarray(values)
    return replace(
        cells,
        features=features,
        values=values,
        log_normal=model.log_density(values, cells.parameters).astype(np.float32),
        shift=cells.shift[columns],
        normal=cells.normal.select(features),
        model=model,
        groups=None,
        stages=None if cells.stages is None else cells.stages[:, columns],
        anchors={name: level[columns] for name, level in cells.anchors.items()},
        log_normal_shrunken=None,
    )


def _in_all_channels(group: CompactGroup, columns: list[int], centre: Floats32) -> Mixture:
    """Extend a group from some channels to all; the added ones get the cells' median and a spread of a decade."""
    d = len(centre)
    mean = centre.astype(np.float64)
    mean[columns] = group.mixture.mean[0]
    covariance = np.eye(d)
    covariance[np.array(columns)[:, None], columns] = group.mixture.covariance[0]
    return Mixture(np.ones(1), mean[None], covariance[None])


def _describe_detectors(cells: OffscaleCells, claimed: Bools) -> tuple[OffscaleDetector, ...]:
    """Off-scale cells of every detector that has any, and how many of them belong to counted groups."""
    return tuple(
        OffscaleDetector(name, int(cells.off[:, place].sum()), int((cells.off[:, place] & claimed).sum()))
        for place, name in enumerate(cells.detectors)
        if cells.off[:, place].any()
    )

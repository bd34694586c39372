"""The canonical view: the plane that best separates normal B-cell stages and the leukaemia at diagnosis.

Linear discriminant analysis (Fisher, Ann Eugen 1936;7:179-188; several classes after Rao 1948): the two directions with
the largest ratio of the spread between the classes to the spread within them. The classes are the normal stages, from
the controls, and the leukaemia at diagnosis where there is one. The tube itself is not used, so the plane is the same
for every follow-up of a patient, and an abnormal population appears outside the normal stages. Similar views: APS of
Infinicyt (Costa et al., Leukemia 2010;24:1927-1933).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.panel.model import PanelModel
from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import Mark, Outline
from flowmrd.report.contours import ellipse, region
from flowmrd.report.density import HIGH, LOW, bin_axis, count_grid
from flowmrd.report.leukaemia import DiagnosisModel
from flowmrd.report.neighbours import SHORT_NAMES, Neighbours

RIDGE: Final = 0.02**2
"""Variance added within the classes (0.09 decades, squared), so that a very narrow channel does not dominate."""
MIN_CELLS: Final = 30
"""A stage with fewer cells over all controls is not used as a class."""
MARGIN: Final = 0.18
CHANNELS: Final = ("canonical 1", "canonical 2")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Canonical:
    """The plane.

    Attributes
    ----------
    features
        Channels, antibodies and scatter.
    weights, offset
        Shapes (d, 2) and (2,): a cell's place is ``values @ weights + offset``, on axes that run from 0 to 1.
    loadings
        Shape (d, 2): change of the place by one decade of the channel, on the same axes.
    outlines
        Stages of the controls, and the leukaemia at diagnosis.
    """

    features: tuple[str, ...]
    weights: Array
    offset: Array
    loadings: Array
    outlines: tuple[Outline, ...]
    classes: tuple[str, ...]

    def place(self, values: Array) -> Array:
        """Places of cells, shape (n, 2), from their values on the 0..1 scale, shape (n, d)."""
        placed: Array = values @ self.weights + self.offset
        return placed

    def axes(self) -> tuple[Axis, Axis]:
        """Axes without units."""
        ticks = tuple((value / 4, "") for value in range(5))
        return (Axis(CHANNELS[0], "canonical axis 1", ticks), Axis(CHANNELS[1], "canonical axis 2", ticks))


def canonical(panel: PanelModel, neighbours: Neighbours, leukaemia: DiagnosisModel | None) -> Canonical | None:
    """The plane of a panel and a patient; ``None`` where there are fewer than three classes."""
    features = _features(panel, neighbours, leukaemia)
    stages = {name: cells for name, cells in neighbours.stage_table(features).items() if len(cells) >= MIN_CELLS}
    classes = [(cells.mean(axis=0), np.cov(cells.T)) for cells in stages.values()]
    blasts = _blasts(leukaemia, features)
    if blasts is not None:
        classes.append(blasts)
    if len(classes) < 3 or len(features) < 3:
        return None
    means = np.stack([mean for mean, _ in classes])
    within = np.mean([covariance for _, covariance in classes], axis=0) + RIDGE * np.eye(len(features))
    between = np.cov(means.T)
    # Whitening by the spread within the classes turns the ratio into an ordinary eigenproblem.
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)
    _, directions = np.linalg.eigh(whiten.T @ between @ whiten)
    weights = whiten @ directions[:, ::-1][:, :2]
    weights *= _signs(weights, means)
    everything = [cells @ weights for cells in stages.values()]
    if blasts is not None:
        spread = 2 * np.sqrt(np.diagonal(weights.T @ blasts[1] @ weights))
        everything += [(blasts[0] @ weights + side * spread)[None] for side in (-1, 1)]
    placed = np.concatenate(everything)
    low, high = np.quantile(placed, 0.005, axis=0), np.quantile(placed, 0.995, axis=0)
    if blasts is not None:
        low, high = np.minimum(low, placed[-2:].min(axis=0)), np.maximum(high, placed[-2:].max(axis=0))
    room = MARGIN * (high - low)
    low, high = low - room, high + room
    weights = weights / (high - low)
    offset = -low / (high - low)
    found = Canonical(features, weights, offset, weights / 4.5, (), tuple(stages))
    outlines = _outlines(found, panel, stages, leukaemia)
    names = (*stages, *(("leukaemia at diagnosis",) if blasts is not None else ()))
    return Canonical(features, weights, offset, weights / 4.5, outlines, names)


def _features(panel: PanelModel, neighbours: Neighbours, leukaemia: DiagnosisModel | None) -> tuple[str, ...]:
    known = [name for name in panel.features if all(name in tube.events for tube in neighbours.controls)]
    return tuple(name for name in known if leukaemia is None or name in leukaemia.features)


def _blasts(leukaemia: DiagnosisModel | None, features: Sequence[str]) -> tuple[Array, Array] | None:
    """Mean and covariance of the whole leukaemia."""
    if leukaemia is None or not features:
        return None
    at = [leukaemia.features.index(name) for name in features]
    share = leukaemia.weight / leukaemia.weight.sum()
    means = leukaemia.mean[:, at]
    mean = share @ means
    inner = np.einsum("k,kij->ij", share, leukaemia.covariance[:, at][:, :, at])
    off = means - mean
    return mean, inner + np.einsum("k,ki,kj->ij", share, off, off)


def _signs(weights: Array, means: Array) -> Array:
    """Signs of the axes for which the last class (the leukaemia, or else the most mature stage) lies to the upper
    right.
    """
    placed = means @ weights
    signs: Array = np.sign(placed[-1] - placed[:-1].mean(axis=0))
    signs[signs == 0] = 1.0
    return signs


def _outlines(
    view: Canonical, panel: PanelModel, stages: Mapping[str, Array], leukaemia: DiagnosisModel | None
) -> tuple[Outline, ...]:
    titles = {gate.name: gate.title or gate.name for gate in panel.gates}
    found = []
    for stage, cells in stages.items():
        placed = view.place(cells)
        counts = count_grid(bin_axis(placed[:, 0]), bin_axis(placed[:, 1]))
        for index, points in enumerate(region(counts)):
            top = max(points, key=lambda point: point[1])
            mark = Mark(SHORT_NAMES.get(stage, titles[stage]), top, "middle") if index == 0 else None
            found.append(Outline(points, True, f"{titles[stage]} of the controls", mark=mark, role="normal"))
    if leukaemia is not None:
        at = [leukaemia.features.index(name) for name in view.features]
        for k in np.argsort(-leukaemia.weight)[:4]:
            if leukaemia.weight[k] < 0.05:
                continue
            mean = view.place(leukaemia.mean[k][at][None])[0]
            covariance = view.weights.T @ leukaemia.covariance[k][np.ix_(at, at)] @ view.weights
            points = tuple((min(max(x, LOW), HIGH), min(max(y, LOW), HIGH)) for x, y in ellipse(mean, covariance))
            found.append(Outline(points, True, "leukaemia at diagnosis, 2 SD", role="diagnosis"))
    return tuple(found)

"""Candidate cells of a tube or control, with their density under a normal model that was not fitted to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells, Floats32
from flowmrd.classifier.compact_groups import CompactGroup, blast_like_groups
from flowmrd.classifier.mixture import Floats, log_density
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ControlRecord, ReferenceModel, rescore
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_model import TubeModel


@dataclass(frozen=True)
class WindowCells:
    """Cells of the B-lineage window.

    Attributes
    ----------
    values, log_normal
        Shape (n, d), decades, and (n,): log density under the tube's own normal model.
    denominator
        Nucleated cells of the tube.
    shift
        Shape (d,): staining of the tube against the reference.
    normal, model
        Model of the controls, and its fit to this tube.
    sampling
        Share of the window's cells that is kept here; counts are divided by it.
    groups
        Compact groups unlike normal cells; None where they have not been searched for yet.
    stages
        Shape (s, d): centres of the populations that the panel names, in the staining of the reference.
    unreliable
        Markers that therapy may have removed or masked in this tube, on normal cells too.
    log_normal_shrunken
        Shape (n,): ``log_normal`` under the model whose displaced populations are shrunken towards their places; None
        where no population is displaced.
    anchors
        Levels (d,) of the catalogue's anchor cells in this tube, decades; empty where not known.
    """

    features: tuple[str, ...]
    values: Floats32
    log_normal: Floats32 | Floats
    denominator: int
    shift: Floats
    normal: NormalModel
    model: TubeModel
    parameters: ClassifierParameters
    sampling: float = 1.0
    groups: tuple[CompactGroup, ...] | None = None
    stages: Floats | None = None
    unreliable: frozenset[str] = frozenset()
    log_normal_shrunken: Floats32 | None = None
    anchors: Mapping[str, Floats] = field(default_factory=dict)

    def per_million(self, events: float) -> float:
        """Events as a rate per million nucleated cells."""
        return 1e6 * events / self.sampling / max(self.denominator, 1)

    def compact_groups(self) -> tuple[CompactGroup, ...]:
        """Compact groups whose cells are unlike normal ones, by decreasing gain."""
        if self.groups is not None:
            return self.groups
        return blast_like_groups(
            self.features,
            self.values,
            self.log_normal,
            self.denominator,
            self.normal.normal_b + self.shift,
            self.parameters,
        )

    def only(self, keep: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> WindowCells:
        """Some of the cells; groups are searched for again among them."""
        shrunken = None if self.log_normal_shrunken is None else self.log_normal_shrunken[keep]
        return replace(
            self,
            values=self.values[keep],
            log_normal=self.log_normal[keep],
            log_normal_shrunken=shrunken,
            groups=None,
        )

    @property
    def shrunken(self) -> WindowCells | None:
        """The same cells under the shrunken populations; None where no population lies too far from its place."""
        if self.log_normal_shrunken is None:
            return None
        return replace(self, log_normal=self.log_normal_shrunken, log_normal_shrunken=None, groups=None)

    def joined(self, values: Floats32) -> WindowCells:
        """These cells together with cells added to the same tube; groups are searched for again."""
        own = np.asarray(self.log_normal, dtype=np.float32)
        added = self.model.log_density(values, self.parameters).astype(np.float32)
        shrunken = None
        if self.log_normal_shrunken is not None and self.model.shrunken is not None:
            beside = log_density(self.model.shrunken, values, degrees=self.parameters.tail_degrees)
            shrunken = np.concatenate([self.log_normal_shrunken, beside.astype(np.float32)])
        return replace(
            self,
            values=np.concatenate([self.values, values]),
            log_normal=np.concatenate([own, added]),
            denominator=self.denominator + len(values),
            groups=None,
            log_normal_shrunken=shrunken,
        )


def tube_cells(
    tube: CandidateCells,
    window: npt.NDArray[np.intp],
    model: TubeModel,
    normal: NormalModel,
    parameters: ClassifierParameters,
    stages: Floats | None = None,
    unreliable: frozenset[str] = frozenset(),
    anchors: Mapping[str, Floats] | None = None,
) -> WindowCells:
    """The chosen cells of a tube with their density under the tube's normal model."""
    values = np.ascontiguousarray(tube.values[window])
    shrunken = None
    if model.shrunken is not None:
        shrunken = log_density(model.shrunken, values, degrees=parameters.tail_degrees).astype(np.float32)
    return WindowCells(
        tube.features,
        values,
        model.log_density(values, parameters).astype(np.float32),
        tube.denominator,
        model.shift,
        normal,
        model,
        parameters,
        stages=stages,
        unreliable=unreliable,
        log_normal_shrunken=shrunken,
        anchors=anchors or {},
    )


def control_cells(
    reference: ReferenceModel, record: ControlRecord, features: tuple[str, ...], parameters: ClassifierParameters
) -> WindowCells:
    """The kept cells of a control with their density under the fold that was built without it."""
    index = [reference.features.index(name) for name in features]
    same = features == reference.features
    return WindowCells(
        features,
        record.values if same else np.ascontiguousarray(record.values[:, index]),
        record.log_normal if same else rescore(record, index, parameters),
        record.denominator,
        record.model.shift[index],
        reference.folds[record.fold].select(features),
        record.model.select(index),
        parameters,
        record.sampling,
        record.groups if same else None,
        reference.stage_centres[:, index],
        anchors=reference.anchors_at(features, record.model.shift[index]),
    )

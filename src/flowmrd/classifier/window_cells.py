"""Candidate cells of a tube or control beside a normal model that did not learn from them."""

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
        Share of such cells that is here; counts are divided by it.
    groups
        Compact groups unlike normal, where they were searched for already; None where not.
    stages
        Shape (s, d): centres of the populations that the panel names, in the staining of the reference.
    unreliable
        Markers that therapy may have taken away or masked in this tube, on normal cells too.
    log_normal_shrunken
        Shape (n,): ``log_normal`` with populations too far from their place shrunken towards it; None where there are
        none.
    anchors
        Levels (d,) of the cells that places of the catalogue are given by, in this tube, decades; empty where not
        known.
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
        """Compact groups whose cells are unlike normal ones, by falling gain."""
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
        """Some of the cells; their groups are searched for anew."""
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
        """The same cells beside populations shrunken towards their places; None where no population was too far."""
        if self.log_normal_shrunken is None:
            return None
        return replace(self, log_normal=self.log_normal_shrunken, log_normal_shrunken=None, groups=None)

    def joined(self, values: Floats32) -> WindowCells:
        """These cells and others put into the same tube, which is searched anew."""
        own = np.asarray(self.log_normal, dtype=np.float32)
        added = self.model.log_density(values, self.parameters).astype(np.float32)
        return replace(
            self,
            values=np.concatenate([self.values, values]),
            log_normal=np.concatenate([own, added]),
            denominator=self.denominator + len(values),
            groups=None,
            log_normal_shrunken=None,
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
    """The chosen cells of a tube with their normal density."""
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
    """The kept cells of a control with their density under the fold that did not see it."""
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

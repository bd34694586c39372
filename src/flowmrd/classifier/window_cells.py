"""Candidate cells of a tube or control beside a normal model that did not learn from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells, Floats32
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.mixture import Floats, log_density
from flowmrd.classifier.normal_model import DEGREES, NormalModel, TubeModel
from flowmrd.classifier.normal_reference import ControlRecord, NormalReference, rescore


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
    sampling
        Share of such cells that is here; counts are divided by it.
    spots
        Compact strange groups, where they were searched for already; None where not.
    stages
        Shape (s, d): centres of the populations that the panel names, in the staining of the reference.
    unreliable
        Markers that therapy may have hidden in this tube, on normal cells too.
    log_held
        Shape (n,): ``log_normal`` with populations too far from their place drawn back; None where there are none.
    """

    features: tuple[str, ...]
    values: Floats32
    log_normal: Floats32 | Floats
    denominator: int
    shift: Floats
    normal: NormalModel
    model: TubeModel
    sampling: float = 1.0
    spots: tuple[CompactGroup, ...] | None = None
    stages: Floats | None = None
    unreliable: frozenset[str] = frozenset()
    log_held: Floats32 | None = None

    def per_million(self, events: float) -> float:
        """Events as a rate per million nucleated cells."""
        return 1e6 * events / self.sampling / max(self.denominator, 1)

    def only(self, keep: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> WindowCells:
        """Some of the cells."""
        held = None if self.log_held is None else self.log_held[keep]
        return replace(self, values=self.values[keep], log_normal=self.log_normal[keep], log_held=held)

    @property
    def held(self) -> WindowCells | None:
        """The same cells beside populations drawn back to their places; None where no population was too far."""
        return None if self.log_held is None else replace(self, log_normal=self.log_held, log_held=None, spots=None)

    def joined(self, values: Floats32) -> WindowCells:
        """These cells and others put into the same tube, which is searched anew."""
        own = np.asarray(self.log_normal, dtype=np.float32)
        return replace(
            self,
            values=np.concatenate([self.values, values]),
            log_normal=np.concatenate([own, self.model.log_density(values).astype(np.float32)]),
            denominator=self.denominator + len(values),
            spots=None,
            log_held=None,
        )


def tube_cells(
    tube: CandidateCells,
    window: npt.NDArray[np.intp],
    model: TubeModel,
    normal: NormalModel,
    stages: Floats | None = None,
    unreliable: frozenset[str] = frozenset(),
) -> WindowCells:
    """The chosen cells of a tube with their normal density."""
    values = np.ascontiguousarray(tube.values[window])
    held = None if model.held is None else log_density(model.held, values, degrees=DEGREES).astype(np.float32)
    return WindowCells(
        tube.features,
        values,
        model.log_density(values).astype(np.float32),
        tube.denominator,
        model.shift,
        normal,
        model,
        stages=stages,
        unreliable=unreliable,
        log_held=held,
    )


def control_cells(reference: NormalReference, record: ControlRecord, features: tuple[str, ...]) -> WindowCells:
    """The kept cells of a control with their density under the fold that did not see it."""
    index = [reference.features.index(name) for name in features]
    same = features == reference.features
    return WindowCells(
        features,
        record.values if same else np.ascontiguousarray(record.values[:, index]),
        record.log_normal if same else rescore(record, index),
        record.denominator,
        record.model.shift[index],
        reference.folds[record.fold].select(features),
        record.model.select(index),
        record.sampling,
        record.spots if same else None,
        reference.stage_centres[:, index],
    )

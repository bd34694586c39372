"""Candidate cells of a tube or control beside a normal model that did not learn from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.laip.gaussian import Floats
from flowmrd.laip.normal import NormalModel, TubeModel
from flowmrd.laip.reference import ControlRecord, NormalReference, rescore
from flowmrd.laip.scan import Spot
from flowmrd.laip.tube import Floats32, Tube


@dataclass(frozen=True)
class Cells:
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
    """

    features: tuple[str, ...]
    values: Floats32
    log_normal: Floats32 | Floats
    denominator: int
    shift: Floats
    normal: NormalModel
    model: TubeModel
    sampling: float = 1.0
    spots: tuple[Spot, ...] | None = None
    stages: Floats | None = None
    unreliable: frozenset[str] = frozenset()

    def per_million(self, events: float) -> float:
        """Events as a rate per million nucleated cells."""
        return 1e6 * events / self.sampling / max(self.denominator, 1)

    def only(self, keep: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Cells:
        """Some of the cells."""
        return replace(self, values=self.values[keep], log_normal=self.log_normal[keep])

    def joined(self, values: Floats32) -> Cells:
        """These cells and others put into the same tube, which is searched anew."""
        own = np.asarray(self.log_normal, dtype=np.float32)
        return replace(
            self,
            values=np.concatenate([self.values, values]),
            log_normal=np.concatenate([own, self.model.log_density(values).astype(np.float32)]),
            denominator=self.denominator + len(values),
            spots=None,
        )


def tube_cells(
    tube: Tube,
    window: npt.NDArray[np.intp],
    model: TubeModel,
    normal: NormalModel,
    stages: Floats | None = None,
    unreliable: frozenset[str] = frozenset(),
) -> Cells:
    """The chosen cells of a tube with their normal density."""
    values = np.ascontiguousarray(tube.values[window])
    log_normal = model.log_density(values).astype(np.float32)
    return Cells(
        tube.features,
        values,
        log_normal,
        tube.denominator,
        model.shift,
        normal,
        model,
        stages=stages,
        unreliable=unreliable,
    )


def control_cells(reference: NormalReference, record: ControlRecord, features: tuple[str, ...]) -> Cells:
    """The kept cells of a control with their density under the fold that did not see it."""
    index = [reference.features.index(name) for name in features]
    same = features == reference.features
    return Cells(
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

"""The normal reference: the model of all controls, and every control as judged without itself.

A control is never judged by a reference that it is part of. Controls are divided into folds, and each fold is judged by
a reference that is built from the other folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells, Floats32, OffscaleCells
from flowmrd.classifier.catalogue import anchor_levels
from flowmrd.classifier.compact_groups import CompactGroup, blast_like_groups
from flowmrd.classifier.marker_staining import MarkerStaining, measure_staining
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.normal_model import NormalModel, fit_normal
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_model import TubeModel, fit_tube
from flowmrd.records.references import JudgedControl
from flowmrd.threads import one_thread


@dataclass(frozen=True)
class ControlRecord:
    """What is stored of a control: the cells of its window and their density under an independent reference.

    Attributes
    ----------
    values, log_normal
        Candidate cells (n, d) that a phenotype may claim, decades, and their log density (n,) under the fold's model of
        this tube.
    sampling
        Share of these cells that was kept; counts are divided by it.
    groups
        Compact groups of any size among them that are unlike normal cells.
    staining
        For every antibody, how it stained the cells that carry its antigen.
    """

    name: str
    fold: int
    denominator: int
    values: Floats32
    log_normal: Floats32
    sampling: float
    model: TubeModel
    groups: tuple[CompactGroup, ...]
    staining: tuple[MarkerStaining, ...] = ()
    offscale: OffscaleCells | None = None


@dataclass(frozen=True)
class ReferenceModel:
    """The frozen normal reference: full model, fold models and the controls as judged by them.

    ``provisional`` is true for a reference without real controls, whose background rates must not be used.
    ``stage_names`` and ``stage_centres`` (s, d) are the normal populations of the window and their centres. ``anchors``
    are the levels (d,) of the catalogue's anchor cells, averaged over the controls. Both are in decades and in the
    staining of the reference. ``judgements`` holds the judgement of every control, as ``control_judgements`` does in
    ``reference.json``; it is empty where no control was judged.
    """

    panel: str
    model: NormalModel
    folds: tuple[NormalModel, ...]
    controls: tuple[ControlRecord, ...]
    stage_names: tuple[str, ...]
    stage_centres: Floats
    provisional: bool = False
    anchors: Mapping[str, Floats] = field(default_factory=dict)
    judgements: tuple[JudgedControl, ...] = ()

    def anchors_at(self, features: tuple[str, ...], shift: Floats) -> dict[str, Floats]:
        """Levels of the anchor cells in some of the markers, in the staining of a tube."""
        index = [self.features.index(name) for name in features]
        return {name: level[index] + shift for name, level in self.anchors.items()}

    @property
    def features(self) -> tuple[str, ...]:
        """Marker names of the model."""
        return self.model.features


def fold_of(names: list[str], folds: int) -> dict[str, int]:
    """Deal controls into folds by their names alone."""
    return {name: i % folds for i, name in enumerate(sorted(names))}


@one_thread()
def build_reference(
    panel: str,
    controls: list[CandidateCells],
    *,
    parameters: ClassifierParameters,
    max_cells: int = 200_000,
    provisional: bool = False,
) -> ReferenceModel:
    """Fit the reference and judge every control by the fold that it did not help to build.

    Parameters
    ----------
    controls
        At least one. A single control has no fold without itself, so no control is judged.
    max_cells
        Candidate cells kept per control.
    """
    controls = sorted(controls, key=lambda tube: tube.name)
    features = controls[0].features
    for tube in controls[1:]:
        features = tuple(name for name in features if name in tube.features)
    model = fit_normal(controls, features, parameters.seed, parameters)
    records: list[ControlRecord] = []
    folds: list[NormalModel] = []
    if len(controls) > 1:
        n_folds = min(len(controls), parameters.reference_folds)
        member = fold_of([tube.name for tube in controls], n_folds)
        for fold in range(n_folds):
            rest = [tube for tube in controls if member[tube.name] != fold]
            folds.append(fit_normal(rest, features, parameters.seed, parameters))
        records = [judge(folds[member[tube.name]], tube, member[tube.name], max_cells, parameters) for tube in controls]
    names, centres = stages_of(controls, model, parameters)
    shifts = {record.name: record.model.shift for record in records}
    return ReferenceModel(
        panel,
        model,
        tuple(folds),
        tuple(records),
        names,
        centres,
        provisional=provisional,
        anchors=_anchors([tube.select(features) for tube in controls], shifts, parameters),
    )


def _anchors(
    tubes: list[CandidateCells], shifts: Mapping[str, Floats], parameters: ClassifierParameters
) -> dict[str, Floats]:
    """Mean levels of the anchor cells over the controls, each moved to the staining of the reference."""
    found: dict[str, list[Floats]] = {}
    for tube in tubes:
        for name, level in anchor_levels(tube, parameters).items():
            found.setdefault(name, []).append(level - shifts.get(tube.name, np.zeros(len(tube.features))))
    return {name: np.mean(levels, axis=0) for name, levels in sorted(found.items())}


def stages_of(
    tubes: list[CandidateCells], model: NormalModel, parameters: ClassifierParameters
) -> tuple[tuple[str, ...], Floats]:
    """Centres of the named normal populations of the window, averaged over the controls that hold them.

    Where the tubes name no population, the model's components in the window are used instead.
    """
    found: dict[str, list[Floats]] = {}
    for given in tubes:
        tube = given.select(model.features)
        if tube.population is None:
            continue
        for code, name in enumerate(tube.populations):
            chosen = tube.window & (tube.population == code)
            if name and chosen.sum() >= parameters.stage_events:
                found.setdefault(name, []).append(np.median(tube.values[chosen], axis=0).astype(np.float64))
    if found:
        names = tuple(sorted(found))
        return names, np.array([np.mean(found[name], axis=0) for name in names])
    inside = np.flatnonzero(model.in_window)
    if len(inside) == 0:
        inside = np.arange(model.mixture.k)
    return tuple(f"component_{k}" for k in inside), model.mixture.mean[inside]


def judge(
    model: NormalModel, tube: CandidateCells, fold: int, max_cells: int, parameters: ClassifierParameters
) -> ControlRecord:
    """Fit a model to a control that did not help to build it, and keep the control's candidate cells."""
    tube = tube.select(model.features)
    fitted = fit_tube(model, tube, parameters)
    inside = np.flatnonzero(tube.window)
    step = max(1, -(-len(inside) // max_cells))
    kept = inside[::step]
    values = np.ascontiguousarray(tube.values[kept])
    log_normal = fitted.log_density(values, parameters).astype(np.float32)
    return ControlRecord(
        name=tube.name,
        fold=fold,
        denominator=tube.denominator,
        values=values,
        log_normal=log_normal,
        sampling=1.0 / step,
        model=fitted,
        groups=blast_like_groups(
            model.features, values, log_normal, tube.denominator, model.normal_b + fitted.shift, parameters
        ),
        staining=measure_staining(tube, model, fitted.shift, parameters),
        offscale=tube.offscale,
    )


def rescore(control: ControlRecord, index: list[int], parameters: ClassifierParameters) -> Floats32:
    """Log normal density of a control's cells in some of the features."""
    return control.model.select(index).log_density(control.values[:, index], parameters).astype(np.float32)


class FittedReference(Protocol):
    """An object that holds a fitted reference, such as ``flowmrd.NormalReference``."""

    model_: ReferenceModel


def model_of(reference: ReferenceModel | FittedReference) -> ReferenceModel:
    """The reference's model, from a fitted estimator or as it is.

    Raises
    ------
    NotFittedError
        If an estimator is given that has not been fitted.
    TypeError
        If a path is given.
    """
    if isinstance(reference, ReferenceModel):
        return reference
    if isinstance(reference, (str, Path)):
        raise TypeError("a path is no reference: read the one that a run stored with NormalReference.load")
    if not hasattr(reference, "model_"):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError("the reference has not been fitted: call its fit with the control tubes first")
    return reference.model_

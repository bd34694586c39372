"""A patient's phenotype from the diagnosis tubes, with expert labels or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.normal_reference import FittedReference, ReferenceModel, model_of
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.patient_laip import find_laip as find_in_cells
from flowmrd.classifier.phenotype import marker_levels, nearest_stage
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.config import RunConfig
from flowmrd.flags import Effect, Flag, flag, kind_of
from flowmrd.records.base import FlagEntry, MarkerShift
from flowmrd.records.references import LaipComponent
from flowmrd.threads import one_thread
from flowmrd.tube import Tube
from flowmrd.units import LOGICLE_M

__all__ = ["LEFT_OUT", "FoundLaip", "find_laip", "seen_without"]

NOT_EVALUABLE, ONE_LEFT_OUT = "DIAGNOSIS_NOT_EVALUABLE", "DIAGNOSIS_TUBE_LEFT_OUT"
LEFT_OUT = frozenset({NOT_EVALUABLE, ONE_LEFT_OUT})
"""Flags of diagnosis tubes that were not learned from; every tube of the patient says them."""


@dataclass(frozen=True)
class FoundLaip:
    """Result of the search in a patient's diagnosis tubes.

    Attributes
    ----------
    laip
        The phenotype, or None where none was found.
    diagnosis
        Name of the tube that it was learned from, or of the last one that was searched.
    seen_without_cd19
        Share of its cells that the gates would have let into the B lineage without CD19; None where unknown.
    components
        Each component of the phenotype against the nearest normal population.
    flags
        What the verdict of the diagnosis tube must say about it.
    """

    laip: PatientLaip | None
    diagnosis: str = ""
    seen_without_cd19: float | None = None
    components: tuple[LaipComponent, ...] = ()
    flags: tuple[FlagEntry, ...] = ()


@one_thread()
def find_laip(
    patient: str,
    tubes: Sequence[Tube],
    reference: ReferenceModel | FittedReference,
    *,
    config: RunConfig | None = None,
    labels: Mapping[str, npt.NDArray[np.bool_]] | None = None,
) -> FoundLaip:
    """Find a patient's phenotype in gated diagnosis tubes.

    Parameters
    ----------
    patient
        Identifier of the patient; it is stored with the phenotype.
    tubes
        Diagnosis tubes in the order of acquisition, which is that of the sheet. The last one that holds aberrant cells
        gives the phenotype, since a leukaemia changes and the last tube is nearest to the follow-ups. A tube whose
        quality allows no answer (its numbers are those of another instrument, for example) gives none: follow-ups
        would be searched for cells that look like none of theirs.
    reference
        Normal marrow: a fitted ``NormalReference``, or its ``model_``.
    config
        Gives the fewest aberrant cells and the seed (section ``laip``); the defaults where absent.
    labels
        Tube name to a mask of the events that an expert called leukaemic, shape (n_events,). In a tube that has a mask,
        these events are the leukaemic cells.

    Returns
    -------
    FoundLaip
        Its ``laip`` is None where no tube holds enough aberrant cells. :func:`flowmrd.classify_tube` and
        ``MrdClassifier.fit`` take either and say in the verdict which it was.

    Raises
    ------
    GateError
        If a tube lacks the gates that every panel must define.
    NotFittedError
        If the reference has not been fitted.
    """
    reference = model_of(reference)
    laip: PatientLaip | None = None
    used, seen = "", None
    settings = config or RunConfig(panel=reference.panel, samples="")
    unfit = {tube.name: codes for tube in tubes if (codes := _failures(tube))}
    for tube in reversed(tubes):
        if tube.name in unfit:
            continue
        used = tube.name
        found = candidates(tube)
        labelled = (labels or {}).get(tube.name)
        laip = find_in_cells(
            patient,
            found.cells,
            reference,
            min_cells=settings.laip.min_diagnosis_cells,
            parameters=ClassifierParameters(seed=settings.laip.seed),
            labelled=None if labelled is None else labelled[found.rows],
        )
        if laip is not None:
            rows = found.rows[list(laip.rows)]
            seen = seen_without(tube, rows)
            others = tuple(name for name in tube.measured if name not in laip.features)
            beside = [tube.columns[name][rows] for name in others]
            laip = replace(laip, others=others, other_values=np.stack(beside, axis=1) if beside else laip.other_values)
            break
    some_fit = not unfit or len(unfit) < len(tubes)
    flags = _left_out(unfit, others=some_fit)
    if laip is None and some_fit:
        flags.append(flag("NO_LAIP", least=settings.laip.min_diagnosis_cells))
    elif laip is not None and laip.indistinct:
        flags.append(flag("DIAGNOSIS_LIKE_NORMAL"))
    components = _components(laip, reference) if laip is not None else ()
    return FoundLaip(laip, used, seen, components, tuple(map(FlagEntry.of, flags)))


def _failures(tube: Tube) -> tuple[str, ...]:
    """Codes of the quality findings that keep a tube from having an answer; empty for a sound tube."""
    found = () if tube.qc is None else tube.qc.flags
    return tuple(entry.code for entry in found if kind_of(entry.code).effect is Effect.FAILURE)


def _left_out(unfit: Mapping[str, tuple[str, ...]], *, others: bool) -> list[Flag]:
    """A flag for every tube that was not learned from; a remark where there are other tubes."""
    code = ONE_LEFT_OUT if others else NOT_EVALUABLE
    return [flag(code, tube=name, codes=", ".join(codes)) for name, codes in unfit.items()]


def seen_without(tube: Tube, rows: npt.NDArray[np.intp], marker: str = "CD19") -> float | None:
    """Share of the events that enter the B-lineage gate by a route that does not use the marker."""
    seen = np.zeros(len(rows), dtype=bool)
    for name in tube.panel.routes_without(marker):
        inside = tube.gate_or_none(name)
        if inside is not None:
            seen |= inside[rows]
    return round(float(seen.mean()), 4) if len(rows) else None


def _components(laip: PatientLaip, reference: ReferenceModel) -> tuple[LaipComponent, ...]:
    out: list[LaipComponent] = []
    for weight, mean in zip(laip.mixture.weight, laip.mixture.mean, strict=True):
        name, centre = nearest_stage(mean - laip.staining, laip.features, reference)
        levels = marker_levels(mean - laip.staining, centre, laip.features)
        out.append(
            LaipComponent(
                share=float(weight),
                nearest_normal=name,
                markers=tuple(
                    MarkerShift(marker=s.marker, shift_decades=round(s.shift_decades, 4), direction=s.direction)
                    for s in levels
                ),
                medians={
                    marker: round(float(value) / LOGICLE_M, 5)
                    for marker, value in zip(laip.features, mean, strict=True)
                },
            )
        )
    return tuple(out)

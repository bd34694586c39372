"""In-silico dilution of every known leukaemia into every control tube, judged by the code that judges patients.

Nothing is refitted. The controls come with the fold models that were built without them, the leukaemias with some of
their cells. A control is never judged by itself, and every dilution moves the cells by its own drift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flowmrd.classifier.calibration import calibrate
from flowmrd.classifier.leukaemia_kinds import kinds_of_leukaemia
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, keep_candidates
from flowmrd.classifier.spike_in import spike_once
from flowmrd.classifier.window_cells import WindowCells, control_cells

LEVELS = (1e-2, 1e-3, 1e-4, 3e-5, 1e-5, 1e-6, 0.0)
SHARES = (1.0, 0.5)
"""Parts of a control that are used, to show the effect of fewer acquired events."""


@dataclass(frozen=True)
class Dilution:
    """One diluted tube.

    Attributes
    ----------
    true, measured, recovered
        Number of cells added, of cells called MRD, and of added cells called MRD.
    denominator
        Nucleated cells of the tube, including the added ones.
    """

    patient: str
    control: str
    level: float
    replicate: int
    denominator: int
    true: int
    measured: int
    recovered: int
    indistinct: bool


def dilute(
    reference: ReferenceModel,
    laips: list[PatientLaip],
    parameters: ClassifierParameters,
    *,
    levels: tuple[float, ...] = LEVELS,
    shares: tuple[float, ...] = SHARES,
    replicates: int = 2,
) -> list[Dilution]:
    """Dilute every leukaemia into every control at every level, with all of the control's cells and
    with part of them.
    """
    out: list[Dilution] = []
    for number, laip in enumerate(laips):
        features = tuple(name for name in reference.features if name in laip.features)
        search = SearchedPhenotypes(laip.select(features), Library(()), parameters)
        whole = [control_cells(reference, record, features, parameters) for record in reference.controls]
        kept = [keep_candidates(search, cells)[0] for cells in whole]
        for i, record in enumerate(reference.controls):
            calibration = calibrate(search, whole[:i] + whole[i + 1 :])
            for share in shares:
                cells = _part(kept[i], share)
                kinds = kinds_of_leukaemia(search, cells)
                for position, level in enumerate(levels):
                    for replicate in range(replicates):
                        rng = np.random.default_rng(
                            [parameters.seed, number, i, position, replicate, round(share * 100)]
                        )
                        count = int(rng.poisson(level * cells.denominator))
                        kind = kinds[replicate % len(kinds)]
                        extra = kind.draw(count, rng, parameters.spike_drift_sd)
                        outcome = spike_once(search, cells, calibration, extra)
                        out.append(
                            Dilution(
                                patient=laip.patient,
                                control=record.name,
                                level=level,
                                replicate=replicate,
                                denominator=cells.denominator + count,
                                true=count,
                                measured=outcome.recovered + outcome.others,
                                recovered=outcome.recovered,
                                indistinct=laip.indistinct,
                            )
                        )
    return out


def _part(cells: WindowCells, share: float) -> WindowCells:
    """An evenly spaced part of a control."""
    if share >= 1.0:
        return cells
    step = round(1.0 / share)
    return replace(
        cells,
        values=cells.values[::step],
        log_normal=cells.log_normal[::step],
        denominator=cells.denominator // step,
        groups=None,
    )

"""The normal model of a tube that may hold much leukaemia, fitted beside it.

Leukaemia that makes up much of a tube would pass for one of its normal populations. It is found first and has a
component of its own in the fit.
"""

from __future__ import annotations

from dataclasses import replace

from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import CandidateCells, thin
from flowmrd.classifier.mixture import Mixture, combine, log_density
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, drift_covariance, find_laip, widened_by_spread
from flowmrd.classifier.phenotype_match import match_laip
from flowmrd.classifier.phenotype_score import score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.tube_model import TubeModel, fit_input, fit_tube
from flowmrd.classifier.window_cells import tube_cells

__all__ = ["fit_beside_leukaemia"]


def fit_beside_leukaemia(
    tube: CandidateCells, model: NormalModel, reference: ReferenceModel, search: SearchedPhenotypes
) -> tuple[TubeModel, PatientLaip | None]:
    """The tube's normal model, and leukaemia so abundant that it would pass for a normal population of this tube.

    Such leukaemia is found first and fitted beside the normal populations; None where there is none, or where the
    patient's own phenotype is searched for.
    """
    parameters = search.parameters
    unreliable = parameters.unreliable
    start = fit_input(model, tube, parameters)
    anchored = fit_tube(model, tube, parameters, outside_window_only=True, start=start)
    widened = widened_by_spread(model, anchored)
    sample = thin(tube.window, parameters.burden_cells)
    cells = tube.values[sample]
    known = blast_prior(tube.features, model.normal_b + anchored.shift, parameters)
    if search.laip is not None:
        # The patient's own phenotype says what to look for; other cells of the tube are not taken for a burden.
        drift = drift_covariance(tube.features, parameters, unreliable, parameters.shifted)
        known = search.laip.mixture.broadened(drift)
    log_normal = log_density(widened, cells, degrees=parameters.tail_degrees)
    leukaemic = score_cells(known, cells, log_normal, parameters.blast_tail_degrees) > 0.0
    share = float(leukaemic.mean()) * float(tube.window.sum()) / max(tube.n, 1) if len(sample) else 0.0
    if search.laip is not None:
        heavy = _heavy_phenotype(tube, search.laip, model, anchored, widened, parameters)
        if heavy is not None:
            known, share = heavy
        share = min(max(share, parameters.rare_share_start), parameters.laip_share_most)
        fitted = fit_tube(
            model, tube, parameters, leukaemia=known, leukaemia_share=share, unreliable=unreliable, start=start
        )
        return fitted, None
    if share < parameters.burden_share:
        return fit_tube(model, tube, parameters, unreliable=unreliable, start=start), None
    confirmed = round(parameters.burden_share * tube.n * parameters.burden_confirmed)
    found = find_laip(
        tube.name,
        tube,
        reference,
        min_cells=max(parameters.burden_events_least, confirmed),
        parameters=parameters,
        model=model,
    )
    if found is None or found.indistinct:
        return fit_tube(model, tube, parameters, unreliable=unreliable, start=start), None
    share = min(found.share, parameters.laip_share_most)
    fitted = fit_tube(
        model, tube, parameters, leukaemia=found.mixture, leukaemia_share=share, unreliable=unreliable, start=start
    )
    return fitted, found


def _heavy_phenotype(
    tube: CandidateCells,
    laip: PatientLaip,
    model: NormalModel,
    anchored: TubeModel,
    widened: Mixture,
    parameters: ClassifierParameters,
) -> tuple[Mixture, float] | None:
    """The phenotype as it lies in a tube with much of it, and its share; None where the tube has little.

    A phenotype that may lie anywhere within the drift is very broad. A normal population that was moved onto its cells
    explains them better, and the leukaemia would pass for normal.
    """
    rows = thin(tube.window, parameters.burden_cells)
    if len(rows) == 0:
        return None
    cells = tube_cells(tube, rows, anchored, model, parameters, unreliable=parameters.unreliable)
    log_normal = log_density(widened, cells.values, degrees=parameters.tail_degrees)
    part = len(rows) / max(int(tube.window.sum()), 1)
    cells = replace(
        cells,
        log_normal=log_normal,
        log_normal_shrunken=None,
        denominator=max(round(tube.denominator * part), 1),
    )
    fits = match_laip(laip, parameters, cells)
    share = sum(fit.share for fit in fits)
    if share < parameters.burden_share:
        return None
    return combine([fit.mixture for fit in fits], [fit.share / share for fit in fits]), share

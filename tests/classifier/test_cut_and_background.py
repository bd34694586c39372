"""The cut of a phenotype and the background of controls."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from group_cells import PARAMETERS, cells_of, controls_of

from flowmrd.classifier import calibration, match_judgement
from flowmrd.classifier.calibration import calibrate, cut_beside, stands_alone
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_score import PhenotypeFit, fit_phenotype, score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.window_cells import WindowCells


def test_cells_of_controls_elsewhere_within_the_drift_do_not_raise_the_cut(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, truth = cells_of(reference, 70, 30)
    blasts = Mixture(np.ones(1), cells.values[truth].mean(axis=0, dtype=np.float64)[None], 0.2**2 * np.eye(5)[None])
    fit = fit_phenotype(blasts, 0.22**2 * np.eye(5), cells.values, cells.log_normal, cells.denominator, PARAMETERS)

    def cut_with(offset: float) -> float:
        """The cut where every control holds twenty cells, hardly like its normal ones, this far from the leukaemia."""
        rng = np.random.default_rng(3)
        controls = []
        for control in controls_of(reference):
            place = blasts.mean[0] - cells.shift + control.shift + np.array([0.0, offset, 0.0, 0.0, 0.0])
            extra = rng.normal(place, 0.1, (20, 5)).astype(np.float32)
            controls.append(
                replace(
                    control,
                    values=np.concatenate([control.values, extra]),
                    log_normal=np.r_[control.log_normal, np.full(20, -6.0)].astype(np.float32),
                )
            )
        return cut_beside([fit], cells, controls, replace(PARAMETERS, cut_most=30.0))

    monkeypatch.setattr(calibration, "_drawn_scores", lambda *_: np.full(10, -99.0))
    assert cut_with(1.0) == PARAMETERS.cut_least
    assert cut_with(0.0) > PARAMETERS.cut_least


def test_the_cut_leaves_out_a_hundredth_of_leukaemia_far_from_normal_cells_and_no_lower_one_is_used(
    reference: ReferenceModel,
) -> None:
    """``cut_leukaemia_lost``."""
    cells, truth = cells_of(reference, 70, 300)
    blasts = Mixture(np.ones(1), cells.values[truth].mean(axis=0, dtype=np.float64)[None], 0.2**2 * np.eye(5)[None])
    fit = fit_phenotype(blasts, 0.22**2 * np.eye(5), cells.values, cells.log_normal, cells.denominator, PARAMETERS)
    cut = cut_beside([fit], cells, [], replace(PARAMETERS, cut_without_controls=0.0))
    assert cut > PARAMETERS.cut_least
    assert (fit.score[truth] >= cut).mean() > 0.95


def test_a_control_that_stands_alone_is_no_background_and_common_cells_are() -> None:
    many = [300_000] * 7
    assert stands_alone([0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 49.0], many, PARAMETERS) == 6
    assert stands_alone([30.0, 41.0, 12.0, 25.0, 33.0, 18.0, 49.0], many, PARAMETERS) is None
    assert stands_alone([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0], many, PARAMETERS) is None, "too few to be its own"
    assert stands_alone([0.0, 0.0, 0.0, 49.0], many[:4], PARAMETERS) is None, "too few controls to tell which is odd"


@pytest.mark.parametrize("question", [False, True])
def test_the_background_counts_only_what_the_search_would_count_in_a_control(
    reference: ReferenceModel, question: bool
) -> None:
    """A group of a control that would be a question in a tube raises no limit; one that would count raises it."""
    parameters = replace(PARAMETERS, gain_per_event_clear=1e9) if question else PARAMETERS
    cells, _ = cells_of(reference, 70, 60)
    odd = replace(cells, parameters=parameters, sampling=1.0)
    others = [replace(one, parameters=parameters) for one in controls_of(reference)]
    found = calibrate(SearchedPhenotypes(None, Library(()), parameters), [odd, *others])
    assert found.background is not None
    assert (found.background.worst_per_million == 0.0) is question


@pytest.mark.parametrize("known", [True, False])
def test_the_background_of_a_phenotype_counts_only_what_a_tube_would_count(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Cells onto which the phenotype moved far are a question where no leukaemia lies: no background there either."""
    search, controls = _matched_in(reference, monkeypatch, [60], strain=40.0)
    monkeypatch.setattr(match_judgement, "lies_without_leukaemia", lambda *_: known)
    found = calibrate(search, controls)
    assert found.background is not None
    assert (found.background.worst_per_million == 0.0) is known


@pytest.mark.parametrize("alike", [True, False])
def test_cells_like_those_of_a_control_that_stands_alone_are_no_background_of_another_control(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, alike: bool
) -> None:
    search, controls = _matched_in(reference, monkeypatch, [60, 12], strain=5.0)
    monkeypatch.setattr(match_judgement, "nearer_to", lambda *_: alike)
    found = calibrate(search, controls)
    assert found.alone == 0 and found.background is not None
    assert (found.background.per_million == 0.0) is alike


def _matched_in(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, cells: list[int], strain: float
) -> tuple[SearchedPhenotypes, list[WindowCells]]:
    """Seven controls, of which the first have so many cells that match a phenotype and are unlike normal ones."""
    rng = np.random.default_rng(6)
    place = Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None])
    one = replace(controls_of(reference)[0], sampling=1.0, denominator=200_000, groups=())
    controls = []
    for number in range(7):
        n = cells[number] if number < len(cells) else 0
        values = rng.normal(2.0, 0.2, (n, 5)).astype(np.float32)
        controls.append(replace(one, values=values, log_normal=np.full(n, -25.0)))

    def match(_laip: object, _parameters: object, control: WindowCells) -> list[PhenotypeFit]:
        score = score_cells(place, control.values, control.log_normal, PARAMETERS.blast_tail_degrees)
        return [PhenotypeFit(place, np.zeros(5), 1e-3, 300.0, score, strain=strain)]

    monkeypatch.setattr(calibration, "match_laip", match)
    monkeypatch.setattr(calibration, "keep_candidates", lambda _search, control: (control, None))
    monkeypatch.setattr(calibration, "cut_beside", lambda *_: 6.0)
    return SearchedPhenotypes(cast(PatientLaip, SimpleNamespace()), Library(()), PARAMETERS), controls

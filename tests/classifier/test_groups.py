"""Compact groups of atypical cells, and what tells them from normal cells that the model describes badly."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier import calibration, found_groups, group_judgement, match_judgement
from flowmrd.classifier.abundance_outliers import abundance_outliers
from flowmrd.classifier.atypical_groups import is_uncommon, is_unlike_leukaemia, like_early_progenitors
from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.calibration import Calibration, calibrate, cut_beside, stands_alone
from flowmrd.classifier.classification import CountedGroup, UncountedGroup, Why
from flowmrd.classifier.compact_groups import CompactGroup, compact, even_score, search_groups
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.found_groups import (
    FoundGroups,
    _matched,
    find_groups,
    find_other_groups,
    is_looked_at_twice,
    stands_beside,
)
from flowmrd.classifier.group_evidence import EvidenceOnGroup, beside_controls
from flowmrd.classifier.group_judgement import (
    GroupVerdict,
    cut_of_groups,
    is_abundant,
    is_artefact,
    is_clear,
    judge_groups,
    stands_out,
)
from flowmrd.classifier.group_members import find_members
from flowmrd.classifier.library import Library
from flowmrd.classifier.marker_staining import negative_level
from flowmrd.classifier.mixture import Mixture, log_density
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import forms_group, stretched_match
from flowmrd.classifier.phenotype_score import PhenotypeFit, fit_phenotype, score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.tube_model import bounded, drug_masked_normals, fit_tube
from flowmrd.classifier.window_cells import WindowCells, control_cells, tube_cells
from flowmrd.units import LOGICLE_M

PARAMETERS = ClassifierParameters()
CLEAN = Calibration(PARAMETERS.group_cut, ControlGroups(), None)


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(4)], parameters=ClassifierParameters(seed=1))


def cells_of(reference: ReferenceModel, seed: int, blasts: int) -> tuple[WindowCells, np.ndarray]:
    tube, truth = marrow("tube", seed, blasts=blasts)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    window = np.flatnonzero(tube.window)
    return tube_cells(tube, window, fitted, reference.model, PARAMETERS), truth[window]


def controls_of(reference: ReferenceModel) -> list[WindowCells]:
    return [control_cells(reference, record, reference.features, PARAMETERS) for record in reference.controls]


def test_thirty_blasts_in_thirty_thousand_cells_form_the_best_group(reference: ReferenceModel) -> None:
    cells, truth = cells_of(reference, 70, 30)
    best = max(cells.compact_groups(), key=lambda found: found.log_likelihood_gain)
    assert best.events == pytest.approx(truth.sum(), rel=0.2)
    assert np.abs(best.mixture.mean[0] - cells.values[truth].mean(axis=0)).max() < 0.2


def test_a_group_where_controls_hold_many_cells_is_not_atypical(reference: ReferenceModel) -> None:
    """Every control holds 0.14 of its cells in the place of the mature B cells and none in that of the blasts."""
    cells, controls = cells_of(reference, 71, 0)[0], controls_of(reference)
    mature = Mixture(np.ones(1), np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]) + cells.shift, 0.22**2 * np.eye(5)[None])
    blasts = Mixture(np.ones(1), np.array([[0.8, 3.1, 3.3, 2.6, 1.6]]) + cells.shift, 0.22**2 * np.eye(5)[None])
    assert not is_uncommon(CompactGroup(mature, 0.001, 500.0, 30.0), cells, controls)
    assert is_uncommon(CompactGroup(mature, 0.02, 500.0, 600.0), cells, controls)
    assert is_uncommon(CompactGroup(blasts, 0.0001, 500.0, 3.0), cells, controls)


def test_a_group_that_is_common_in_clean_marrow_is_a_question_only_where_controls_hold_fewer_of_its_cells(
    reference: ReferenceModel,
) -> None:
    """``question_abundance_ratio``: every control holds 0.14 of its cells in the place of the mature B cells."""
    cells, controls = cells_of(reference, 71, 0)[0], controls_of(reference)
    mature = Mixture(np.ones(1), np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]) + cells.shift, 0.22**2 * np.eye(5)[None])
    common, rare = (EvidenceOnGroup(0.5, None, rate, 500.0) for rate in (0.05, 0.5 * PARAMETERS.false_groups_counted))
    for share, asked in ((0.02, False), (0.1, False), (0.2, True)):
        group = CompactGroup(mature, share, 500.0, 600.0)
        assert is_abundant(group, common, cells, controls) is asked
        assert is_abundant(group, rare, cells, controls), "a group that counts needs a thirtieth of them"


def test_the_share_in_a_place_is_that_of_the_cells_drawn_there(reference: ReferenceModel) -> None:
    """0.14 of every made-up marrow is one Gaussian population."""
    place = Mixture(np.ones(1), np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]), 0.22**2 * np.eye(5)[None])
    moved = place.shifted(reference.controls[0].model.shift)
    share = shares_in_place(moved, reference.controls[0].model.shift, controls_of(reference)[:1], PARAMETERS)[0]
    assert share == pytest.approx(PARAMETERS.place_share * 0.14, rel=0.15)


def test_a_group_stays_as_compact_as_leukaemias_are() -> None:
    shape = cluster_shape(FEATURES)
    typical = np.sqrt(np.diagonal(shape))
    held = compact(np.diag(np.array([9.0, 4.0, 1.0, 1.0, 1.0]) * typical**2), shape, PARAMETERS)
    ratio = np.sqrt(np.diagonal(held)) / typical
    assert ratio.max() <= PARAMETERS.group_width_most + 1e-9
    assert np.exp(np.log(ratio).mean()) <= PARAMETERS.group_size_most + 1e-9
    assert compact(shape, shape, PARAMETERS) == pytest.approx(shape)


def test_a_group_claims_no_cells_that_normal_ones_explain_nearly_as_well() -> None:
    """``group_margin``: every cell is e^1.5 as likely in the group as in normal marrow, so part of them stays normal.

    Of the cells that such a group could hold it keeps 1 - exp(-(1.5 - margin)): the share at which EM stands still.
    """
    shape, number, cells = cluster_shape(FEATURES), 400, 100_000
    x = np.random.default_rng(8).multivariate_normal(np.zeros(len(FEATURES)), shape, number).astype(np.float32)
    own = Mixture(np.ones(1), np.zeros((1, len(FEATURES))), shape[None])
    log_normal = log_density(own, x, degrees=PARAMETERS.blast_tail_degrees) + np.log(number / cells) - 1.5
    (best, *_) = search_groups(x, log_normal, cells, own, shape, PARAMETERS)
    assert 0.25 < best.events / number < 0.55


def test_leukaemia_odd_in_one_marker_is_plausible_and_in_two_is_less() -> None:
    prior = blast_prior(FEATURES, np.array([0.6, 2.9, 0.8, 0.7, 3.3]), PARAMETERS)
    sd = np.sqrt(np.diagonal(prior.covariance[0]))
    one, two = prior.mean[0].copy(), prior.mean[0].copy()
    one[1] -= 6 * sd[1]
    two[[1, 2]] -= 6 * sd[[1, 2]]
    centre, odd, odder = log_density(prior, np.array([prior.mean[0], one, two]))
    assert centre - odd < 8.0
    assert odd - odder > 8.0


def test_cells_put_into_a_tube_are_seen_beside_its_populations_in_their_usual_place_too(
    reference: ReferenceModel,
) -> None:
    cells, truth = cells_of(reference, 70, 30)
    usual = cells.model.mixture.shifted(np.full(len(FEATURES), 0.1))
    moved = replace(cells.model, shrunken=usual)
    beside = log_density(usual, cells.values, degrees=PARAMETERS.tail_degrees).astype(np.float32)
    strained = replace(cells, model=moved, log_normal_shrunken=beside)
    spiked = strained.joined(cells.values[truth]).shrunken
    assert spiked is not None
    np.testing.assert_allclose(spiked.log_normal, np.concatenate([beside, beside[truth]]), rtol=1e-5)
    assert cells.joined(cells.values[truth]).shrunken is None


def test_a_population_cannot_widen_onto_leukaemia() -> None:
    base = np.diag([0.04, 0.09])[None]
    wide = np.array([[[1.0, 0.2], [0.2, 0.09]]])
    held = bounded(wide, base, PARAMETERS)
    assert np.sqrt(held[0, 0, 0]) == pytest.approx(PARAMETERS.widest_population * 0.2)
    assert held[0, 1, 1] == pytest.approx(0.09)
    assert np.linalg.det(held[0]) > 0


def test_a_third_of_the_marrow_where_controls_hold_little_is_abundance_outliers(reference: ReferenceModel) -> None:
    tube, truth = marrow("dx", 72, blasts=15_000)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    inside = np.flatnonzero(tube.window)
    x = tube.values[inside].astype(np.float64)
    found = abundance_outliers(x, 1 / tube.n, fitted.shift, reference, reference.features, PARAMETERS)
    assert found[truth[inside]].mean() > 0.95
    assert found[~truth[inside]].mean() < 0.05
    clean, _ = marrow("clean", 73)
    inside = np.flatnonzero(clean.window)
    x = clean.values[inside].astype(np.float64)
    shift = fit_tube(reference.model, clean, PARAMETERS).shift
    assert not abundance_outliers(x, 1 / clean.n, shift, reference, reference.features, PARAMETERS).any()


def test_the_tubes_own_mature_b_cells_are_no_outliers_beside_leukaemia_where_its_staining_is_known_badly(
    reference: ReferenceModel,
) -> None:
    """A seventh of the marrow are mature B cells; the controls' lie 1.2 decades from where this tube has them."""
    tube, truth = marrow("dx", 72, blasts=15_000)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    inside = np.flatnonzero(tube.window)
    x, blasts = tube.values[inside].astype(np.float64), truth[inside]
    wrong = fitted.shift + np.array([0.0, 0.0, 0.0, 0.0, 1.2])
    named = replace(reference, stage_names=("mature_b",), stage_centres=np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]))
    alone = abundance_outliers(x, 1 / tube.n, wrong, named, named.features, PARAMETERS)
    mature = ~blasts & (np.abs(x - [0.6, 2.9, 0.8, 0.7, 3.3]).max(axis=1) < 0.8)
    assert alone[mature].mean() > 0.9, "the case this is about"
    beside = abundance_outliers(x, 1 / tube.n, wrong, named, named.features, PARAMETERS, blasts)
    assert beside[mature].mean() < 0.05
    assert beside[blasts].mean() > 0.95
    by_number = abundance_outliers(x, 1 / tube.n, wrong, named, named.features, PARAMETERS, np.zeros_like(blasts))
    assert by_number[mature].mean() < 0.05, "no value is odd: leukaemia without CD19, or twice as large"
    assert by_number[blasts].mean() > 0.95


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


def test_cells_two_decades_off_are_not_the_patients_phenotype() -> None:
    rng = np.random.default_rng(5)
    phenotype = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    drift = 0.22**2 * np.eye(2)
    for offset, found in ((0.5, True), (2.0, False)):
        cells = rng.normal([2.0, 3.0 - offset], 0.2, (400, 2)).astype(np.float32)
        fit = fit_phenotype(phenotype, drift, cells, np.full(400, -40.0), 400_000, PARAMETERS)
        assert (fit.log_likelihood_gain > 100) is found
        assert (fit.score > 4).any() == found


@pytest.mark.parametrize(("decades", "others"), [(1.3, 200), (1.3, 1000), (1.5, 400)])
def test_more_cells_of_another_kind_than_of_the_patients_do_not_draw_the_phenotype_away(
    decades: float, others: int
) -> None:
    rng = np.random.default_rng(5)
    phenotype = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    own, other = rng.normal([2.0, 3.0], 0.2, (40, 2)), rng.normal([2.0, 3.0 - decades], 0.2, (others, 2))
    cells = np.concatenate([own, other]).astype(np.float32)
    fit = fit_phenotype(phenotype, 0.22**2 * np.eye(2), cells, np.full(len(cells), -25.0), 400_000, PARAMETERS)
    assert (fit.score[:40] > 8.0).sum() >= 36
    assert np.abs(fit.shift).max() < 0.3


def test_a_fit_to_thinned_cells_is_that_to_all_and_of_a_rare_group_no_cell_is_left_out() -> None:
    rng = np.random.default_rng(8)
    phenotype = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    drift = 0.22**2 * np.eye(2)
    leukaemia, normal = rng.normal([2.1, 2.8], 0.2, (60_000, 2)), rng.normal([2.0, 3.9], 0.2, (60_000, 2))
    for n, exact in ((60_000, False), (30, True)):
        cells = np.concatenate([normal, leukaemia[:n]]).astype(np.float32)
        log_normal = np.concatenate([np.full(60_000, -1.0), np.full(n, -12.0)])
        fits = []
        for most in (20_000, 1_000_000):
            parameters = replace(PARAMETERS, match_cells=most)
            fits.append(fit_phenotype(phenotype, drift, cells, log_normal, 400_000, parameters))
        some, every = fits
        assert every.log_likelihood_gain > PARAMETERS.match_gain
        assert some.shift == pytest.approx(every.shift, abs=0.0 if exact else 0.01)
        assert some.share == pytest.approx(every.share, rel=0.0 if exact else 0.01)
        assert some.log_likelihood_gain == pytest.approx(every.log_likelihood_gain, rel=0.0 if exact else 0.01)


def test_a_diffuse_group_that_the_phenotype_overlaps_is_no_cluster(reference: ReferenceModel) -> None:
    rng = np.random.default_rng(6)
    cells, _ = cells_of(reference, 74, 0)
    phenotype = Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None])
    drift = 0.22**2 * np.eye(5)
    for sd, expected in ((0.2, True), (0.5, False)):
        group = rng.normal(2.0, sd, (200, 5)).astype(np.float32)
        alone = replace(cells, values=group, log_normal=np.full(200, -25.0))
        fit = fit_phenotype(phenotype, drift, alone.values, alone.log_normal, alone.denominator, PARAMETERS)
        assert forms_group(fit, alone, 4.0) is expected


def test_a_match_beyond_the_drift_of_one_patient_must_stand_out_and_is_else_a_doubt(reference: ReferenceModel) -> None:
    rng = np.random.default_rng(6)
    cells, _ = cells_of(reference, 74, 0)
    group = rng.normal(2.0, 0.2, (200, 5)).astype(np.float32)
    score = np.full(200, 9.3)
    near = PhenotypeFit(
        Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None]), np.zeros(5), 1e-3, 300.0, score
    )
    cells = replace(cells, values=group, log_normal=np.full(200, -25.0), denominator=200_000)
    assert forms_group(near, cells, 4.0) and not stretched_match(near, cells, 4.0)
    far = replace(near, strain=40.0)
    assert not forms_group(far, cells, 4.0) and stretched_match(far, cells, 4.0)
    distinct = replace(far, score=np.full(200, 14.0))
    assert forms_group(distinct, cells, 4.0) and not stretched_match(distinct, cells, 4.0)


@pytest.mark.parametrize(("strain", "known", "counted"), [(40.0, True, 0), (40.0, False, 1), (5.0, True, 1)])
def test_a_phenotype_that_moved_far_onto_a_normal_population_is_a_question(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, strain: float, known: bool, counted: int
) -> None:
    group = np.random.default_rng(6).normal(2.0, 0.2, (200, 5)).astype(np.float32)
    cells = replace(
        cells_of(reference, 74, 0)[0], values=group, log_normal=np.full(200, -25.0), denominator=200_000, anchors={}
    )
    place = Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None])
    fit = PhenotypeFit(place, np.zeros(5), 1e-3, 300.0, np.full(200, 14.0), strain=strain)
    calibration = cast(Calibration, SimpleNamespace(nearby=[], alone_shifts=[]))
    monkeypatch.setattr("flowmrd.classifier.match_judgement.lies_without_leukaemia", lambda *_: known)
    found = _matched([fit], cells, calibration)
    assert len(found.counted) == counted
    assert [group.why for group in found.uncounted] == ["stretched"] * (1 - counted)


def test_a_control_that_stands_alone_is_no_background_and_common_cells_are() -> None:
    many = [300_000] * 7
    assert stands_alone([0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 49.0], many, PARAMETERS) == 6
    assert stands_alone([30.0, 41.0, 12.0, 25.0, 33.0, 18.0, 49.0], many, PARAMETERS) is None
    assert stands_alone([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0], many, PARAMETERS) is None, "too few to be its own"
    assert stands_alone([0.0, 0.0, 0.0, 49.0], many[:4], PARAMETERS) is None, "too few controls to tell which is odd"


def group(at: float, gain: float) -> CompactGroup:
    return CompactGroup(Mixture(np.ones(1), np.full((1, 5), at), 0.09 * np.eye(5)[None]), 1e-3, gain, 100.0)


def test_what_controls_show_in_one_place_raises_the_error_rate_there_only(reference: ReferenceModel) -> None:
    controls = [replace(cells, shift=np.zeros(5), denominator=100_000) for cells in controls_of(reference)]
    found = [[group(1.0, 500.0)], [group(1.1, 600.0)], [], []]
    groups = ControlGroups.of(found, controls, PARAMETERS)
    here = groups.expected(group(1.05, 500.0), 100_000, 0.0, PARAMETERS)
    elsewhere = groups.expected(group(3.0, 500.0), 100_000, 0.0, PARAMETERS)
    assert here == pytest.approx(elsewhere + 2 / (4 + 10))
    larger = groups.expected(group(1.05, 6000.0), 100_000, 0.0, PARAMETERS)
    assert larger < elsewhere + 0.01
    assert groups.without(0).expected(group(1.05, 500.0), 100_000, 0.0, PARAMETERS) < here


def test_one_odd_control_changes_the_error_rate_elsewhere_by_little(reference: ReferenceModel) -> None:
    """It is one tube in so many; the limit for everybody used to follow its group."""
    controls = [replace(cells, shift=np.zeros(5), denominator=100_000) for cells in controls_of(reference)]
    leukaemia = CompactGroup(group(3.0, 0.0).mixture, 1e-4, 200.0, 40.0)
    clean = ControlGroups.of([[], [], [], []], controls, PARAMETERS).expected(leukaemia, 450_000, 0.0, PARAMETERS)
    odd = [[CompactGroup(group(1.0, 0.0).mixture, 1e-3, 250.0, 91.0)], [], [], []]
    beside = ControlGroups.of(odd, controls, PARAMETERS).expected(leukaemia, 450_000, 0.0, PARAMETERS)
    assert clean < beside < PARAMETERS.false_groups_counted


def test_normal_cells_with_a_hidden_marker_are_expected_after_the_therapy_that_hides_it(
    reference: ReferenceModel,
) -> None:
    """A precursor's CD10 anywhere between its own level, 2.6, and that of cells without it."""
    model = reference.model
    masked = drug_masked_normals(model, np.zeros(5), frozenset({"CD10"}), PARAMETERS)
    assert masked is not None
    assert drug_masked_normals(model, np.zeros(5), frozenset(), PARAMETERS) is None
    hidden = np.array([[0.6, 2.7, at, 0.8, 2.5] for at in (1.8, 1.5, 1.0)])
    assert (log_density(masked, hidden) > log_density(model.mixture, hidden) + 3.0).all()
    leukaemic = np.array([[0.8, 3.1, 1.6, 2.6, 1.6]])
    assert log_density(masked, leukaemic)[0] < log_density(masked, hidden).min() - 20.0
    tube, _ = marrow("tube", 76)
    plain, aware = (fit_tube(model, tube, PARAMETERS, unreliable=u) for u in (frozenset[str](), frozenset({"CD10"})))
    assert aware.mixture.k == plain.mixture.k + masked.k
    assert (aware.log_density(hidden, PARAMETERS) > plain.log_density(hidden, PARAMETERS)).all()


@pytest.mark.parametrize(
    ("cd19", "cd34", "unreliable", "doubt"),
    [
        (0.8, 2.6, frozenset({"CD19"}), True),
        (2.9, 2.6, frozenset({"CD19"}), False),
        (0.8, 0.7, frozenset({"CD19"}), False),
        (0.8, 2.6, frozenset[str](), False),
    ],
)
def test_cd34_without_cd19_is_a_doubt_after_therapy_against_cd19_only(
    reference: ReferenceModel, cd19: float, cd34: float, unreliable: frozenset[str], doubt: bool
) -> None:
    cells = replace(cells_of(reference, 77, 0)[0], unreliable=unreliable, shift=np.zeros(5))
    group = Mixture(np.ones(1), np.array([[0.8, cd19, 2.0, cd34, 2.2]]), 0.09 * np.eye(5)[None])
    assert like_early_progenitors(group, cells) is doubt


def test_a_leukaemia_a_decade_from_where_leukaemias_lie_in_one_marker_is_a_group() -> None:
    rng = np.random.default_rng(9)
    features = ("CD20", "CD10", "CD45", "CD34", "SYTO41", "CD19", "CD38")
    normal_b, shape = np.full(7, 3.0), cluster_shape(features)
    prior = blast_prior(features, normal_b, PARAMETERS)
    centre = prior.mean[0] + np.array([0.9, -0.9, 0.5, -0.9, -1.6, 0.0, 0.0])
    cells = rng.multivariate_normal(centre, shape, 240).astype(np.float32)
    log_normal = np.full(240, -11.0)
    found = search_groups(cells, log_normal, 300_000, prior, shape, PARAMETERS)
    assert found and found[0].events > 120
    assert np.abs(found[0].mixture.mean[0] - centre).max() < 0.15
    by_prior = search_groups(cells, log_normal, 300_000, prior, shape, replace(PARAMETERS, seeds_odd=0))
    assert not by_prior or by_prior[0].events < 100, "where the prior alone says which cells are looked at"


@pytest.mark.parametrize(
    ("why", "rate", "again"),
    [
        ("like_controls", 0.05, True),
        ("displaced", 0.0003, True),
        ("displaced", 0.01, False),
        ("displaced", None, False),
        ("named", 0.0003, False),
    ],
)
def test_a_group_beside_a_displaced_population_is_looked_at_again_only_if_it_is_rare(
    why: Why, rate: float | None, again: bool
) -> None:
    mixture = Mixture(np.ones(1), np.zeros((1, 5)), np.eye(5)[None])
    group = UncountedGroup(mixture, 300.0, why, EvidenceOnGroup(0.5, None, rate, 500.0))
    assert is_looked_at_twice(group, PARAMETERS) is again


@pytest.mark.parametrize(
    ("rate", "in_controls", "expected"), [(0.007, False, True), (0.007, True, False), (0.0003, True, True)]
)
def test_a_group_as_common_in_controls_counts_only_by_a_stricter_error_rate(
    reference: ReferenceModel, rate: float, in_controls: bool, expected: bool
) -> None:
    cells, _ = cells_of(reference, 74, 0)
    cells = replace(cells, parameters=replace(PARAMETERS, question_abundance_ratio=1e9 if in_controls else 0.0))
    controls = [control_cells(reference, one, reference.features, PARAMETERS) for one in reference.controls]
    centre = cells.normal.normal_b + cells.shift
    group = CompactGroup(Mixture(np.ones(1), centre[None], 0.04 * np.eye(5)[None]), 1e-4, 300.0, 40.0)
    assert stands_out(group, EvidenceOnGroup(0.5, None, rate, 500.0), cells, controls) is expected


@pytest.mark.parametrize(
    ("gain", "in_controls", "expected"), [(5.0, False, True), (5.0, True, False), (2.4, False, False)]
)
def test_a_group_counts_without_a_question_only_if_controls_hold_fewer_cells_there_and_each_cell_is_unlike_normal(
    reference: ReferenceModel, gain: float, in_controls: bool, expected: bool
) -> None:
    cells, _ = cells_of(reference, 74, 0)
    cells = replace(cells, parameters=replace(PARAMETERS, question_abundance_ratio=1e9 if in_controls else 0.0))
    controls = [control_cells(reference, one, reference.features, PARAMETERS) for one in reference.controls]
    centre = cells.normal.normal_b + cells.shift
    group = CompactGroup(Mixture(np.ones(1), centre[None], 0.04 * np.eye(5)[None]), 1e-4, 300.0 * gain, 300.0)
    assert is_clear(group, cells, controls) is expected


def test_beside_a_known_phenotype_a_group_is_a_question_only_where_controls_hold_fewer_of_its_cells(
    reference: ReferenceModel,
) -> None:
    """Sixty cells that the phenotype does not claim; the controls hold none there, or three times as many."""
    cells, truth = cells_of(reference, 70, 60)
    clean = controls_of(reference)
    searched = calibrate(SearchedPhenotypes(None, Library(()), PARAMETERS), clean)
    full = [
        control.joined(np.repeat(cells.values[truth] - cells.shift + control.shift, 3, axis=0).astype(np.float32))
        for control in clean
    ]

    def asked(controls: list[WindowCells], beside: float) -> list[str]:
        parameters = replace(PARAMETERS, false_groups_counted=1.0, false_groups_beside=beside)
        found = find_other_groups(
            replace(cells, parameters=parameters),
            replace(searched, controls=tuple(controls)),
            np.full(len(cells.values), -1.0),
        )
        return [group.why for group in found if group.why != "named"]

    assert asked(clean, 0.0) == ["not_the_phenotype"]
    assert asked(full, 0.0) == []
    assert asked(full, 1.0) == ["not_the_phenotype"], "so rare a group is a question wherever it lies"


def test_a_group_fitted_beside_counts_by_a_stricter_error_rate() -> None:
    mixture = Mixture(np.ones(1), np.zeros((1, 5)), np.eye(5)[None])

    def counted(rate: float | None) -> CountedGroup:
        return CountedGroup(mixture, "different_from_normal", EvidenceOnGroup(0.5, None, rate, 500.0))

    assert stands_beside(FoundGroups((counted(0.0003),), (), 5.0), PARAMETERS)
    assert not stands_beside(FoundGroups((counted(0.0003), counted(0.005)), (), 5.0), PARAMETERS), (
        "none of them may be false"
    )
    assert not stands_beside(FoundGroups((counted(None),), (), 5.0), PARAMETERS)
    assert not stands_beside(FoundGroups((), (), 5.0), PARAMETERS)


def test_a_group_too_bright_for_a_detector_is_an_artefact(reference: ReferenceModel) -> None:
    cells, _ = cells_of(reference, 74, 0)
    for name, level, expected in (
        ("SYTO41", LOGICLE_M - 0.07, True),
        ("SYTO41", LOGICLE_M - 0.15, False),
        ("CD38", LOGICLE_M - 0.07, True),
        ("CD38", -0.15, True),
        ("CD38", 2.5, False),
    ):
        assert is_artefact(_group_at(cells, level), replace(cells, features=(*cells.features[:4], name))) is expected


def test_a_group_brighter_than_leukaemia_or_dimmer_than_cells_without_the_antigen_is_an_artefact(
    reference: ReferenceModel,
) -> None:
    """Of 332 leukaemias none is more than 0.1 decades brighter in CD45 than the normal B cells of its marrow."""
    cells, _ = cells_of(reference, 74, 0)
    normal_b = float(cells.normal.normal_b[4])
    without = negative_level(cells.normal.mixture.mean[:, 4], PARAMETERS)
    same, brighter, dimmer = (
        replace(cells, shift=np.array([0.0, 0.0, 0.0, 0.0, decades])) for decades in (0.0, 0.5, -0.5)
    )
    bright, dim = (_group_at(cells, level).mixture for level in (normal_b + 0.8, without - 0.9))
    assert not is_unlike_leukaemia(_group_at(cells, normal_b + 0.4).mixture, same)
    assert is_unlike_leukaemia(bright, same) and is_unlike_leukaemia(bright, dimmer)
    assert not is_unlike_leukaemia(bright, brighter), "bright cells are brighter in this tube"
    mature = replace(same, anchors={"mature_b": np.r_[np.zeros(4), normal_b + 0.5]})
    assert not is_unlike_leukaemia(bright, mature), "mature B cells are nearly as bright"
    assert not is_unlike_leukaemia(_group_at(cells, without - 0.4).mixture, same)
    assert is_unlike_leukaemia(dim, same) and is_unlike_leukaemia(dim, brighter)
    assert not is_unlike_leukaemia(dim, dimmer), "cells without the antigen may be dimmer in this tube"


@pytest.mark.parametrize(("beyond", "why"), [(False, None), (True, "beyond_leukaemia")])
def test_a_group_that_would_count_but_for_its_place_beyond_leukaemia_is_not_called_like_controls(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, beyond: bool, why: Why | None
) -> None:
    cells, _ = cells_of(reference, 70, 60)
    group = max(cells.compact_groups(), key=lambda found: found.log_likelihood_gain)
    monkeypatch.setattr(group_judgement, "is_artefact", lambda *_: beyond)
    (judged,) = judge_groups([group], cells, CLEAN.groups, controls_of(reference))
    assert judged.why == why
    if beyond:
        assert not is_looked_at_twice(judged.uncounted, PARAMETERS), "its place does not change"


def _group_at(cells: WindowCells, level: float) -> CompactGroup:
    """A group in the place of normal B cells but for its level in the last marker, decades."""
    centre = cells.normal.normal_b.copy()
    centre[4] = level
    return CompactGroup(Mixture(np.ones(1), centre[None], 0.04 * np.eye(5)[None]), 1e-4, 300.0, 40.0)


def test_a_small_group_takes_only_cells_that_are_more_probably_its_own_than_normal(reference: ReferenceModel) -> None:
    """A cell counts from the score at which its group, at its share of the tube, is as likely as a normal cell."""
    place = Mixture(np.ones(1), np.zeros((1, 5)), np.eye(5)[None])
    few, many = (CompactGroup(place, events / 450_000, 200.0, events) for events in (10.0, 450.0))
    lowest = PARAMETERS.group_cut
    assert cut_of_groups([], lowest) == lowest
    assert cut_of_groups([few], lowest) == pytest.approx(np.log(45_000))
    assert cut_of_groups([few, many], lowest) == pytest.approx(np.log(1_000)), "the largest decides"
    assert cut_of_groups([CompactGroup(place, 0.1, 9e4, 45_000.0)], lowest) == lowest


@pytest.mark.parametrize(("beside", "own", "asked"), [(30, 10, True), (30, 40, False), (5, 10, False)])
def test_a_group_that_is_a_detection_only_with_cells_more_probably_normal_is_a_question(
    reference: ReferenceModel, monkeypatch: pytest.MonkeyPatch, beside: int, own: int, asked: bool
) -> None:
    cells, _ = cells_of(reference, 74, 0)
    score = np.r_[np.full(own, 12.0), np.full(beside, 6.0), np.full(500, 1.0)]
    monkeypatch.setattr(group_judgement, "score_mixtures", lambda *_: (score, np.zeros(len(score), dtype=np.int32)))
    group = CompactGroup(Mixture(np.ones(1), np.zeros((1, 5)), np.eye(5)[None]), own / 450_000, 200.0, float(own))
    judged = GroupVerdict(group, EvidenceOnGroup(0.5, None, 0.001, 200.0), None)
    monkeypatch.setattr(found_groups, "judge_groups", lambda *_: [judged])
    search = SearchedPhenotypes(None, Library(()), PARAMETERS)
    found = find_groups(search, replace(cells, log_normal_shrunken=None), CLEAN)
    assert [one.why for one in found.uncounted] == (["few_cells"] if asked else [])
    assert len(found.counted) == (not asked)


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


def test_cells_of_a_group_that_is_a_question_are_those_more_probably_its_own(reference: ReferenceModel) -> None:
    """What would count if a reviewer called it leukaemia: the same cells as of a group that counts."""
    cells, truth = cells_of(reference, 70, 30)
    group = max(cells.compact_groups(), key=lambda found: found.log_likelihood_gain)
    none = np.full(len(cells.values), -1, dtype=np.int32)
    asked = UncountedGroup(group.mixture, group.events, "like_controls", EvidenceOnGroup(0.5, None, 0.05, 500.0))
    members = find_members(cells, none, None, None, [asked], 0).window == 0
    score = score_cells(group.mixture, cells.values, cells.log_normal, PARAMETERS.blast_tail_degrees)
    least = max(PARAMETERS.group_cut, even_score(group.events / cells.denominator))
    np.testing.assert_array_equal(members, score >= least)
    assert members[truth].mean() > 0.8


def test_the_evidence_says_how_many_cells_controls_hold_in_the_place_of_a_group(reference: ReferenceModel) -> None:
    """Every control holds 0.14 of its cells in the place of the mature B cells."""
    cells, controls = cells_of(reference, 71, 0)[0], controls_of(reference)
    mature = Mixture(np.ones(1), np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]) + cells.shift, 0.22**2 * np.eye(5)[None])
    evidence = beside_controls(EvidenceOnGroup(0.5), mature, cells, controls)
    assert evidence.share_of_controls == pytest.approx(PARAMETERS.place_share * 0.14, rel=0.15)
    assert "of the controls' cells lie there" in evidence.said
    assert beside_controls(EvidenceOnGroup(0.5), mature, cells, []).share_of_controls is None
    twice = Mixture(np.array([0.5, 0.5]), np.repeat(mature.mean, 2, axis=0), np.repeat(mature.covariance, 2, axis=0))
    same = beside_controls(EvidenceOnGroup(0.5), twice, cells, controls)
    assert same.share_of_controls == evidence.share_of_controls, "a cell in two components is one cell"

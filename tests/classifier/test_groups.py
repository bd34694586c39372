"""Compact groups of strange cells, and what tells them from normal cells that the model describes badly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier import build_reference
from flowmrd.classifier.abundance_outliers import excessive
from flowmrd.classifier.atypical_groups import is_uncommon, like_early_progenitors, strange_spots
from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.compact_groups import LARGEST, WIDEST, CompactGroup, compact
from flowmrd.classifier.control_abundance import PLACE, shares_in_place
from flowmrd.classifier.control_groups import GAIN_FLOOR, GAIN_MARGIN, ControlGroups
from flowmrd.classifier.mixture import Mixture, log_density
from flowmrd.classifier.normal_model import MOST_SPREAD, bounded, fit_tube, veiled_normals
from flowmrd.classifier.normal_reference import NormalReference
from flowmrd.classifier.phenotype_match import FIT_GAIN, is_cluster
from flowmrd.classifier.phenotype_score import fit_template
from flowmrd.classifier.probability import cluster_probabilities
from flowmrd.classifier.window_cells import WindowCells, control_cells, tube_cells


@pytest.fixture(scope="module")
def reference() -> NormalReference:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(4)], seed=1)


def cells_of(reference: NormalReference, seed: int, blasts: int) -> tuple[WindowCells, np.ndarray]:
    tube, truth = marrow("tube", seed, blasts=blasts)
    fitted = fit_tube(reference.model, tube)
    window = np.flatnonzero(tube.window)
    return tube_cells(tube, window, fitted, reference.model), truth[window]


def controls_of(reference: NormalReference) -> list[WindowCells]:
    return [control_cells(reference, record, reference.features) for record in reference.controls]


def test_thirty_blasts_in_thirty_thousand_cells_form_the_best_group(reference: NormalReference) -> None:
    cells, truth = cells_of(reference, 70, 30)
    spots = strange_spots(cells, controls_of(reference))
    best = max(spots, key=lambda spot: spot.gain)
    assert best.events == pytest.approx(truth.sum(), rel=0.2)
    assert np.abs(best.mixture.mean[0] - cells.values[truth].mean(axis=0)).max() < 0.2


def test_a_group_where_controls_hold_many_cells_is_no_stranger(reference: NormalReference) -> None:
    """Every control holds 0.14 of its cells in the place of the mature B cells and none in that of the blasts."""
    cells, controls = cells_of(reference, 71, 0)[0], controls_of(reference)
    mature = Mixture(np.ones(1), np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]) + cells.shift, 0.22**2 * np.eye(5)[None])
    blasts = Mixture(np.ones(1), np.array([[0.8, 3.1, 3.3, 2.6, 1.6]]) + cells.shift, 0.22**2 * np.eye(5)[None])
    assert not is_uncommon(CompactGroup(mature, 0.001, 500.0, 30.0), cells, controls)
    assert is_uncommon(CompactGroup(mature, 0.02, 500.0, 600.0), cells, controls)
    assert is_uncommon(CompactGroup(blasts, 0.0001, 500.0, 3.0), cells, controls)


def test_the_share_in_a_place_is_that_of_the_cells_drawn_there(reference: NormalReference) -> None:
    """0.14 of every made-up marrow is one Gaussian population."""
    place = Mixture(np.ones(1), np.array([[0.6, 2.9, 0.8, 0.7, 3.3]]), 0.22**2 * np.eye(5)[None])
    moved = place.shifted(reference.controls[0].model.shift)
    share = shares_in_place(moved, reference.controls[0].model.shift, controls_of(reference)[:1])[0]
    assert share == pytest.approx(PLACE * 0.14, rel=0.15)


def test_a_group_stays_as_compact_as_leukaemias_are() -> None:
    shape = cluster_shape(FEATURES)
    typical = np.sqrt(np.diagonal(shape))
    held = compact(np.diag(np.array([9.0, 4.0, 1.0, 1.0, 1.0]) * typical**2), shape)
    ratio = np.sqrt(np.diagonal(held)) / typical
    assert ratio.max() <= WIDEST + 1e-9
    assert np.exp(np.log(ratio).mean()) <= LARGEST + 1e-9
    assert compact(shape, shape) == pytest.approx(shape)


def test_leukaemia_odd_in_one_marker_is_plausible_and_in_two_is_less() -> None:
    prior = blast_prior(FEATURES, np.array([0.6, 2.9, 0.8, 0.7, 3.3]))
    sd = np.sqrt(np.diagonal(prior.covariance[0]))
    one, two = prior.mean[0].copy(), prior.mean[0].copy()
    one[1] -= 6 * sd[1]
    two[[1, 2]] -= 6 * sd[[1, 2]]
    centre, odd, odder = log_density(prior, np.array([prior.mean[0], one, two]))
    assert centre - odd < 8.0
    assert odd - odder > 8.0


def test_a_population_cannot_widen_onto_leukaemia() -> None:
    base = np.diag([0.04, 0.09])[None]
    wide = np.array([[[1.0, 0.2], [0.2, 0.09]]])
    held = bounded(wide, base)
    assert np.sqrt(held[0, 0, 0]) == pytest.approx(MOST_SPREAD * 0.2)
    assert held[0, 1, 1] == pytest.approx(0.09)
    assert np.linalg.det(held[0]) > 0


def test_a_third_of_the_marrow_where_controls_hold_little_is_excessive(reference: NormalReference) -> None:
    tube, truth = marrow("dx", 72, blasts=15_000)
    fitted = fit_tube(reference.model, tube)
    inside = np.flatnonzero(tube.window)
    x = tube.values[inside].astype(np.float64)
    found = excessive(x, 1 / tube.n, fitted.shift, reference, reference.features)
    assert found[truth[inside]].mean() > 0.95
    assert found[~truth[inside]].mean() < 0.05
    clean, _ = marrow("clean", 73)
    inside = np.flatnonzero(clean.window)
    x = clean.values[inside].astype(np.float64)
    shift = fit_tube(reference.model, clean).shift
    assert not excessive(x, 1 / clean.n, shift, reference, reference.features).any()


def test_more_gain_is_more_probable_and_gains_of_controls_are_not() -> None:
    false, true = [0.0, 0.0, 8.0, 20.0], [150.0, 200.0, 260.0, 120.0]
    low, middle, high = cluster_probabilities([10.0, 60.0, 250.0], false=false, true=true, limit=45.0)
    assert low < 0.2 < middle < high
    assert high > 0.8
    assert cluster_probabilities([100.0], false=[], true=[], limit=45.0) == (0.5,)
    assert cluster_probabilities([], false=false, true=true, limit=45.0) == ()


def test_cells_two_decades_off_are_not_the_patients_phenotype() -> None:
    rng = np.random.default_rng(5)
    template = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    drift = 0.22**2 * np.eye(2)
    for offset, found in ((0.5, True), (2.0, False)):
        cells = rng.normal([2.0, 3.0 - offset], 0.2, (400, 2)).astype(np.float32)
        fit = fit_template(template, drift, cells, np.full(400, -40.0), 400_000)
        assert (fit.gain > 100) is found
        assert (fit.score > 4).any() == found


def test_a_fit_to_thinned_cells_is_that_to_all_and_of_a_rare_group_no_cell_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(8)
    template = Mixture(np.ones(1), np.array([[2.0, 3.0]]), 0.04 * np.eye(2)[None])
    drift = 0.22**2 * np.eye(2)
    leukaemia, normal = rng.normal([2.1, 2.8], 0.2, (60_000, 2)), rng.normal([2.0, 3.9], 0.2, (60_000, 2))
    for n, exact in ((60_000, False), (30, True)):
        cells = np.concatenate([normal, leukaemia[:n]]).astype(np.float32)
        log_normal = np.concatenate([np.full(60_000, -1.0), np.full(n, -12.0)])
        fits = []
        for most in (20_000, 1_000_000):
            monkeypatch.setattr("flowmrd.classifier.phenotype_score.FIT_CELLS", most)
            fits.append(fit_template(template, drift, cells, log_normal, 400_000))
        some, every = fits
        assert every.gain > FIT_GAIN
        assert some.shift == pytest.approx(every.shift, abs=0.0 if exact else 0.01)
        assert some.share == pytest.approx(every.share, rel=0.0 if exact else 0.01)
        assert some.gain == pytest.approx(every.gain, rel=0.0 if exact else 0.01)


def test_a_diffuse_group_that_the_phenotype_overlaps_is_no_cluster(reference: NormalReference) -> None:
    rng = np.random.default_rng(6)
    cells, _ = cells_of(reference, 74, 0)
    template = Mixture(np.ones(1), np.full((1, 5), 2.0), 0.04 * np.eye(5)[None])
    drift = 0.22**2 * np.eye(5)
    for sd, expected in ((0.2, True), (0.5, False)):
        group = rng.normal(2.0, sd, (200, 5)).astype(np.float32)
        alone = replace(cells, values=group, log_normal=np.full(200, -25.0))
        fit = fit_template(template, drift, alone.values, alone.log_normal, alone.denominator)
        assert is_cluster(fit, alone, 4.0) is expected


def group(at: float, gain: float) -> CompactGroup:
    return CompactGroup(Mixture(np.ones(1), np.full((1, 5), at), 0.09 * np.eye(5)[None]), 1e-3, gain, 100.0)


def test_a_group_that_two_controls_share_limits_its_own_place_only(reference: NormalReference) -> None:
    controls = [replace(cells, shift=np.zeros(5), denominator=100_000) for cells in controls_of(reference)]
    groups = ControlGroups.of([[group(1.0, 500.0)], [group(1.1, 600.0)], [], []], controls)
    assert groups.limit(100_000) == GAIN_FLOOR
    assert groups.limit(100_000, group(1.05, 0.0).mixture, np.zeros(5)) == pytest.approx(GAIN_MARGIN * 600.0)
    assert groups.limit(200_000, group(1.05, 0.0).mixture, np.zeros(5)) == pytest.approx(GAIN_MARGIN * 1200.0)
    assert groups.limit(100_000, group(3.0, 0.0).mixture, np.zeros(5)) == GAIN_FLOOR
    # What one control alone shows may be anywhere in the next tube.
    alone = groups.without(0)
    assert alone.limit(100_000, group(3.0, 0.0).mixture) == pytest.approx(GAIN_MARGIN * 600.0)
    assert alone.limit(100_000, group(3.0, 0.0).mixture, single=False) == GAIN_FLOOR


def test_normal_cells_with_a_hidden_marker_are_expected_after_the_therapy_that_hides_it(
    reference: NormalReference,
) -> None:
    """A precursor's CD10 anywhere between its own level, 2.6, and that of cells without it."""
    model = reference.model
    veiled = veiled_normals(model, np.zeros(5), frozenset({"CD10"}))
    assert veiled is not None
    assert veiled_normals(model, np.zeros(5), frozenset()) is None
    hidden = np.array([[0.6, 2.7, at, 0.8, 2.5] for at in (1.8, 1.5, 1.0)])
    assert (log_density(veiled, hidden) > log_density(model.mixture, hidden) + 3.0).all()
    leukaemic = np.array([[0.8, 3.1, 1.6, 2.6, 1.6]])
    assert log_density(veiled, leukaemic)[0] < log_density(veiled, hidden).min() - 20.0
    tube, _ = marrow("tube", 76)
    plain, aware = (fit_tube(model, tube, unreliable=u) for u in (frozenset[str](), frozenset({"CD10"})))
    assert aware.mixture.k == plain.mixture.k + veiled.k
    assert (aware.log_density(hidden) > plain.log_density(hidden)).all()


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
    reference: NormalReference, cd19: float, cd34: float, unreliable: frozenset[str], doubt: bool
) -> None:
    cells = replace(cells_of(reference, 77, 0)[0], unreliable=unreliable, shift=np.zeros(5))
    group = Mixture(np.ones(1), np.array([[0.8, cd19, 2.0, cd34, 2.2]]), 0.09 * np.eye(5)[None])
    assert like_early_progenitors(group, cells) is doubt

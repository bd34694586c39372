"""The classifier on small made-up marrows: what it promises whatever the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laip_marrow import BLASTS, FEATURES, POPULATIONS, marrow

from flowmrd.classifier import spike_in
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Mixture, fit_mixture, log_density, mahalanobis_squared
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, _spread, find_laip
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, keep_candidates
from flowmrd.classifier.storage import load_laip, load_reference, save_laip, save_reference
from flowmrd.classifier.window_cells import WindowCells, control_cells
from flowmrd.errors import ArtefactError
from flowmrd.store import read_json, write_json

SEED = ClassifierParameters(seed=1)
PARAMETERS = ClassifierParameters(replicates=2, target=2e-3)


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(5)], parameters=SEED)


@pytest.fixture(scope="module")
def laip(reference: ReferenceModel) -> PatientLaip:
    found = find_laip("p", marrow("dx", 50, blasts=12_000)[0], reference, min_cells=200, parameters=SEED)
    assert found is not None
    return found


def test_densities_agree_with_scipy() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    covariance = np.array([[0.3, 0.1], [0.1, 0.2]])
    mixture = Mixture(np.array([0.3, 0.7]), np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([covariance, 2 * covariance]))
    x = rng.normal(size=(200, 2))
    expected = np.log(
        0.3 * multivariate_normal.pdf(x, [0, 1], covariance) + 0.7 * multivariate_normal.pdf(x, [2, 2], 2 * covariance)
    )
    np.testing.assert_allclose(log_density(mixture, x), expected, rtol=1e-9)
    assert (mahalanobis_squared(mixture, mixture.mean).diagonal() < 1e-9).all()


def test_a_fitted_mixture_finds_two_separate_populations() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.2, (3000, 3)), rng.normal(2, 0.3, (1000, 3))])
    mixture = fit_mixture(x, 2, rng, ClassifierParameters())
    order = np.argsort(mixture.mean[:, 0])
    np.testing.assert_allclose(mixture.mean[order, 0], [0, 2], atol=0.05)
    np.testing.assert_allclose(mixture.weight[order], [0.75, 0.25], atol=0.02)


def test_a_controls_score_does_not_depend_on_its_own_cells_in_the_reference() -> None:
    tubes = [marrow(f"c{i}", i)[0] for i in range(5)]
    poisoned = replace(tubes[2], values=tubes[2].values + np.float32(0.7))
    first = build_reference("toy", tubes, parameters=SEED)
    second = build_reference("toy", [*tubes[:2], poisoned, *tubes[3:]], parameters=SEED)
    assert first.model.mixture.mean.tobytes() != second.model.mixture.mean.tobytes()
    fold = first.controls[2].fold
    np.testing.assert_array_equal(first.folds[fold].mixture.mean, second.folds[fold].mixture.mean)
    a = classify_tube(tubes[2], first, laip=None, library=None, parameters=PARAMETERS)
    b = classify_tube(tubes[2], second, laip=None, library=None, parameters=PARAMETERS)
    np.testing.assert_array_equal(a.score, b.score)


def test_the_diagnosis_tube_gives_the_phenotype_without_labels(laip: PatientLaip) -> None:
    assert not laip.indistinct
    assert laip.share == pytest.approx(12_000 / 42_000, rel=0.1)
    centre = laip.mixture.weight @ laip.mixture.mean - laip.staining
    np.testing.assert_allclose(centre, BLASTS, atol=0.3)


def test_a_marrow_without_leukaemia_gives_no_phenotype_or_an_indistinct_one(reference: ReferenceModel) -> None:
    found = find_laip("p", marrow("dx", 51)[0], reference, min_cells=200, parameters=SEED)
    assert found is None or found.indistinct or found.share < 0.02


def test_residual_cells_are_found_and_counted(reference: ReferenceModel, laip: PatientLaip) -> None:
    tube, truth = marrow("fu", 60, blasts=60)
    result = classify_tube(tube, reference, laip=laip, library=None, parameters=PARAMETERS)
    assert result.mode == "patient"
    assert (result.mrd & truth).sum() >= 57
    assert (result.mrd & ~truth).sum() <= 2
    assert set(np.unique(result.cluster[result.mrd])) == {0}
    assert (result.cluster[~result.mrd] == -1).all()


def test_a_clean_tube_has_no_mrd_and_its_spike_in_is_detected(reference: ReferenceModel, laip: PatientLaip) -> None:
    result = classify_tube(marrow("fu", 61)[0], reference, laip=laip, library=None, parameters=PARAMETERS)
    assert result.mrd.sum() == 0
    assert result.spike_in is not None
    assert result.spike_in.detected
    assert result.spike_in.source == "patient"
    assert result.spike_in.recovered_total >= 0.9 * result.spike_in.spiked_total


def test_cells_of_the_tube_that_are_counted_do_not_help_to_find_the_spiked_ones(
    reference: ReferenceModel, laip: PatientLaip, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched, whole = [], spike_in._searched

    def watched(search: SearchedPhenotypes, cells: WindowCells, *rest: Any) -> Any:
        searched.append(cells)
        return whole(search, cells, *rest)

    monkeypatch.setattr(spike_in, "_searched", watched)
    tube, truth = marrow("fu", 60, blasts=60)
    result = classify_tube(tube, reference, laip=laip, library=None, parameters=PARAMETERS)
    counted = tube.values[result.mrd & truth]
    assert len(counted) >= 57
    assert len(searched) == PARAMETERS.replicates
    for cells in searched:
        assert not (cells.values[:, None] == counted).all(axis=2).any()


def test_cells_to_spike_stand_for_the_whole_leukaemia_with_those_that_are_hard_to_tell() -> None:
    """Half of the cells are leukaemic beyond doubt, the others as likely as not."""
    rows = _spread(np.r_[np.ones(100), np.full(100, 0.5)], 60)
    assert (int((rows < 100).sum()), int((rows >= 100).sum())) == (40, 20)


def test_leukaemia_that_is_not_that_of_the_diagnosis_is_reported_with_what_it_may_mean_and_both_levels(
    reference: ReferenceModel, laip: PatientLaip
) -> None:
    tube, _ = marrow("fu", 62, blasts=60)
    other = np.where(np.array(FEATURES) == "CD10", -2.0, 0.0)
    of_another = replace(laip, mixture=laip.mixture.shifted(other))
    result = classify_tube(tube, reference, laip=of_another, library=None, parameters=PARAMETERS)
    (told,) = [flag.message for flag in result.flags if flag.code == "UNRESOLVED_CLUSTER"]
    assert "may have changed" in told
    assert "another person's" in told
    assert "labels of one of them may be exchanged" in told
    assert "decades here and at diagnosis: CD10" in told


def test_leukaemia_that_would_be_detected_without_the_diagnosis_tube_is_no_negative_with_that_of_another_person(
    reference: ReferenceModel, laip: PatientLaip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the phenotype of another person its cells can pass for a displaced population, and are no group then."""
    monkeypatch.setattr("flowmrd.classifier.classifier.find_other_groups", lambda *_: ())
    other = np.where(np.array(FEATURES) == "CD10", -2.0, 0.0)
    of_another = replace(laip, mixture=laip.mixture.shifted(other))
    for blasts, groups in ((60, 1), (0, 0)):
        tube, truth = marrow("fu", 62, blasts=blasts)
        result = classify_tube(tube, reference, laip=of_another, library=None, parameters=PARAMETERS)
        assert not result.mrd.any()
        assert [group.why for group in result.uncounted] == ["not_the_phenotype"] * groups
        assert result.group is not None
        assert int(((result.group == 0) & truth).sum()) >= 0.9 * blasts, "a reviewer can call its cells"
        assert ("UNRESOLVED_CLUSTER" in {flag.code for flag in result.flags}) is (groups > 0)


def test_cells_that_a_heavy_burden_explains_are_candidates_where_the_average_leukaemia_is_unlike_them(
    reference: ReferenceModel,
) -> None:
    search = SearchedPhenotypes(None, Library(()), SEED)
    cells = control_cells(reference, reference.controls[0], reference.features, SEED)
    place = np.median(cells.values[cells.values[:, FEATURES.index("CD10")] < 1.5], axis=0)
    burden = Mixture(np.ones(1), place[None].astype(np.float64), 0.1**2 * np.eye(len(FEATURES))[None])
    near = np.flatnonzero((np.abs(cells.values - place) < 0.1).all(axis=1))
    without, kept = keep_candidates(search, cells)[1], keep_candidates(search, cells, burden)[1]
    assert len(near) > 5
    assert not set(near.tolist()) & set(without.tolist())
    assert set(near.tolist()) | set(without.tolist()) <= set(kept.tolist())


def test_without_a_diagnosis_tube_a_compact_atypical_group_is_found(reference: ReferenceModel) -> None:
    tube, truth = marrow("fu", 62, blasts=60)
    result = classify_tube(tube, reference, laip=None, library=None, parameters=PARAMETERS)
    assert result.mode == "different_from_normal"
    assert (result.mrd & truth).sum() >= 54
    clean = classify_tube(marrow("fu", 63)[0], reference, laip=None, library=None, parameters=PARAMETERS)
    assert clean.mrd.sum() == 0


@pytest.mark.parametrize(
    ("offset", "counted"), [((0.0, 0.4, 0.5, 0.5, -0.5), True), ((0.0, 0.3, 0.5, 0.3, -0.4), False)]
)
def test_leukaemia_near_the_place_of_precursors_that_are_gone_does_not_pass_for_them(
    reference: ReferenceModel, offset: tuple[float, ...], counted: bool
) -> None:
    """Treatment left ten haematogones; what has taken their place forbids a negative, and counts if it is far off."""
    rng = np.random.default_rng(70)
    bare, _ = marrow("fu", 70)
    haematogone = np.array(POPULATIONS[3][1])
    shift = np.median(bare.values[bare.window], axis=0) - POPULATIONS[2][1]
    precursors = bare.window & (np.abs(bare.values - haematogone - shift)[:, FEATURES.index("CD10")] < 1.0)
    kept = ~precursors | (np.cumsum(precursors) <= 10)
    blasts = rng.normal(haematogone + np.array(offset) + shift, 0.15, (150, len(FEATURES))).astype(np.float32)
    values = np.concatenate([bare.values[kept], blasts])
    window = np.r_[bare.window[kept], np.ones(len(blasts), dtype=bool)]
    result = classify_tube(
        CandidateCells("fu", FEATURES, values, window, len(values)),
        reference,
        laip=None,
        library=None,
        parameters=PARAMETERS,
    )
    if counted:
        assert result.mrd[-len(blasts) :].sum() == result.mrd.sum() == pytest.approx(len(blasts), rel=0.1)
        (mixture,) = (group.mixture for group in result.counted)
    else:
        told = {flag.code: flag.message for flag in result.flags}
        assert "further from its place than in the controls" in told["UNRESOLVED_CLUSTER"]
        (group,) = result.uncounted
        assert group.why == "displaced"
        # Cells that a normal population explains nearly as well are left out of a group.
        assert group.events == pytest.approx(len(blasts), rel=0.15)
        mixture = group.mixture
    np.testing.assert_allclose(mixture.mean[0], np.median(blasts, axis=0), atol=0.1)
    clean = CandidateCells("fu", FEATURES, bare.values[kept], bare.window[kept], int(kept.sum()))
    result = classify_tube(clean, reference, laip=None, library=None, parameters=PARAMETERS)
    assert result.mrd.sum() == 0
    # With the haematogones the only cells with CD10 are gone: one of the four antibodies of this panel, too many for a
    # negative answer, but no group of cells is in doubt.
    assert {flag.code for flag in result.flags} <= {
        "ANTIBODY_WITHOUT_CELLS",
        "ANTIBODY_NOT_SHOWN",
        "ANTIBODY_NOT_VERIFIED",
    }


def test_a_known_leukaemia_near_the_place_of_precursors_that_are_gone_is_counted_or_a_doubt(
    reference: ReferenceModel,
) -> None:
    """It has moved since diagnosis. Its cells pull the precursors' component onto themselves, and match beside one that
    stays."""
    rng = np.random.default_rng(71)
    place = np.array(POPULATIONS[3][1]) + np.array((0.0, 0.3, 0.5, 0.3, -0.4))

    def tube(
        name: str, seed: int, blasts: int, precursors_most: int, moved: float = 0.0
    ) -> tuple[CandidateCells, np.ndarray]:
        bare, _ = marrow(name, seed)
        shift = np.median(bare.values[bare.window], axis=0) - POPULATIONS[2][1]
        away = np.abs(bare.values - np.array(POPULATIONS[3][1]) - shift)[:, FEATURES.index("CD10")]
        precursors = bare.window & (away < 1.0)
        kept = ~precursors | (np.cumsum(precursors) <= precursors_most)
        here = place + shift + moved * np.array((0.0, 0.0, -1.0, 1.0, 0.0))
        leukaemia = rng.normal(here, 0.15, (blasts, len(FEATURES))).astype(np.float32)
        values = np.concatenate([bare.values[kept], leukaemia])
        window = np.r_[bare.window[kept], np.ones(blasts, dtype=bool)]
        truth = np.r_[np.zeros(int(kept.sum()), dtype=bool), np.ones(blasts, dtype=bool)]
        return CandidateCells(name, FEATURES, values, window, len(values)), truth

    known = find_laip("p", tube("dx", 50, 12_000, 30_000)[0], reference, min_cells=200, parameters=SEED)
    assert known is not None
    followup, truth = tube("fu", 70, 150, 10, moved=0.25)
    result = classify_tube(followup, reference, laip=known, library=None, parameters=PARAMETERS)
    counted = int((result.mrd & truth).sum())
    doubted = sum(group.events for group in result.uncounted if group.why == "displaced")
    assert max(counted, doubted) >= 0.8 * truth.sum()
    clean, _ = tube("fu", 70, 0, 10)
    result = classify_tube(clean, reference, laip=known, library=None, parameters=PARAMETERS)
    assert result.mrd.sum() == 0
    assert not result.uncounted


def test_a_relapse_is_counted_not_only_detected(reference: ReferenceModel, laip: PatientLaip) -> None:
    tube, truth = marrow("fu", 64, blasts=15_000)
    for known in (laip, None):
        result = classify_tube(tube, reference, laip=known, library=None, parameters=PARAMETERS)
        assert (result.mrd & truth).sum() >= 0.97 * truth.sum()
        assert (result.mrd & ~truth).sum() <= 0.02 * truth.sum()


def test_the_same_input_gives_the_same_bytes(reference: ReferenceModel, laip: PatientLaip, tmp_path: Path) -> None:
    again = build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(5)], parameters=SEED)
    save_reference(reference, tmp_path / "a.json", tmp_path / "a.npz")
    save_reference(again, tmp_path / "b.json", tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    tube = marrow("fu", 60, blasts=60)[0]
    a = classify_tube(tube, reference, laip=laip, library=None, parameters=PARAMETERS)
    b = classify_tube(tube, again, laip=laip, library=None, parameters=PARAMETERS)
    assert a.score.tobytes() == b.score.tobytes()


def test_a_stored_model_judges_exactly_as_the_one_in_memory(
    reference: ReferenceModel, laip: PatientLaip, tmp_path: Path
) -> None:
    save_reference(reference, tmp_path / "reference.json", tmp_path / "reference.npz")
    save_laip(FoundLaip(laip), "p", tmp_path / "laip.json", tmp_path / "laip.npz")
    tube = marrow("fu", 60, blasts=60)[0]
    stored = load_laip(tmp_path / "laip.json").laip
    a = classify_tube(tube, reference, laip=laip, library=None, parameters=PARAMETERS)
    b = classify_tube(
        tube, load_reference(tmp_path / "reference.json"), laip=stored, library=None, parameters=PARAMETERS
    )
    assert a.score.tobytes() == b.score.tobytes()
    assert a.mrd.tobytes() == b.mrd.tobytes()


def test_an_altered_model_is_refused(reference: ReferenceModel, tmp_path: Path) -> None:
    save_reference(reference, tmp_path / "reference.json", tmp_path / "reference.npz")
    data = bytearray((tmp_path / "reference.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "reference.npz").write_bytes(bytes(data))
    with pytest.raises(ArtefactError):
        load_reference(tmp_path / "reference.json")


def stored(reference: ReferenceModel, folder: Path) -> Path:
    """``reference.json`` of a reference that was stored in a folder."""
    folder.mkdir(exist_ok=True)
    save_reference(reference, folder / "reference.json", folder / "reference.npz")
    return folder / "reference.json"


def other_references(reference: ReferenceModel) -> dict[str, ReferenceModel]:
    """The reference with one part that is a little different."""
    fold, control = reference.folds[0], reference.controls[0]
    other_fold = replace(fold, mixture=replace(fold.mixture, mean=fold.mixture.mean + 0.01))
    model = replace(control.model, shift=control.model.shift + 0.01)
    changed = {
        "cells": replace(control, values=control.values[:-1], log_normal=control.log_normal[:-1]),
        "density": replace(control, log_normal=control.log_normal + np.float32(0.1)),
        "staining": replace(control, model=model),
        "denominator": replace(control, denominator=control.denominator + 1),
    }
    return {
        "fold": replace(reference, folds=(other_fold, *reference.folds[1:])),
        "anchors": replace(reference, anchors={"t_nk": np.zeros(len(reference.features))}),
        "stages": replace(reference, stage_centres=reference.stage_centres + 0.01),
        "provisional": replace(reference, provisional=True),
        **{name: replace(reference, controls=(one, *reference.controls[1:])) for name, one in changed.items()},
    }


def test_the_digest_of_a_reference_changes_with_everything_that_tubes_are_judged_by(
    reference: ReferenceModel, tmp_path: Path
) -> None:
    first = read_json(stored(reference, tmp_path / "first"))["digest"]
    again = read_json(stored(load_reference(tmp_path / "first/reference.json"), tmp_path / "again"))["digest"]
    assert again == first
    others = {
        name: read_json(stored(other, tmp_path / name))["digest"] for name, other in other_references(reference).items()
    }
    assert len({first, *others.values()}) == 1 + len(others)


def test_a_number_of_a_reference_that_was_altered_is_refused(reference: ReferenceModel, tmp_path: Path) -> None:
    path = stored(reference, tmp_path)
    facts = read_json(path)
    facts["controls"][0]["nucleated"] += 1
    write_json(path, facts)
    with pytest.raises(ArtefactError, match="with which it was written"):
        load_reference(path)


def test_a_reference_of_an_earlier_format_is_refused_with_the_next_step(
    reference: ReferenceModel, tmp_path: Path
) -> None:
    path = stored(reference, tmp_path)
    write_json(path, {**read_json(path), "format": "flowmrd-reference/5"})
    with pytest.raises(ArtefactError, match="make it again from its tubes with 'flowmrd run'"):
        load_reference(path)


def test_no_phenotype_is_stored_as_such(tmp_path: Path) -> None:
    save_laip(FoundLaip(None), "p", tmp_path / "laip.json", tmp_path / "laip.npz")
    assert load_laip(tmp_path / "laip.json") == FoundLaip(None)


@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_tiny_tubes_are_judged_without_a_crash(reference: ReferenceModel, laip: PatientLaip, n: int) -> None:
    tube, _ = marrow("fu", 70, n=400)
    tiny = replace(tube, values=tube.values[:n], window=tube.window[:n], denominator=n)
    for known in (laip, None):
        result = classify_tube(tiny, reference, laip=known, library=None, parameters=PARAMETERS)
        assert len(result.score) == n
        assert np.isfinite(result.score).all()


def test_an_empty_window_is_stated_and_gives_no_mrd(reference: ReferenceModel, laip: PatientLaip) -> None:
    tube, _ = marrow("fu", 71)
    none = replace(tube, window=np.zeros(tube.n, dtype=bool))
    result = classify_tube(none, reference, laip=laip, library=None, parameters=PARAMETERS)
    assert result.mrd.sum() == 0
    assert "EMPTY_WINDOW" in {flag.code for flag in result.flags}


def test_a_tube_without_an_optional_marker_is_judged_by_the_others(
    reference: ReferenceModel, laip: PatientLaip
) -> None:
    tube, truth = marrow("fu", 72, blasts=80)
    fewer = tube.select(tuple(name for name in FEATURES if name != "CD19"))
    result = classify_tube(fewer, reference, laip=laip, library=None, parameters=PARAMETERS)
    assert "CD19" not in result.features
    assert (result.mrd & truth).sum() >= 70


def test_a_tube_unlike_all_controls_is_flagged(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 73)
    moved = replace(tube, values=tube.values + np.array([0, 1.5, -0.6, 1.2, -1.4], dtype=np.float32))
    result = classify_tube(moved, reference, laip=None, library=None, parameters=PARAMETERS)
    assert result.novel
    assert "TUBE_UNLIKE_CONTROLS" in {flag.code for flag in result.flags}


def test_one_control_or_a_simulated_reference_claims_no_background(laip: PatientLaip) -> None:
    alone = build_reference("toy", [marrow("c0", 0)[0]], parameters=SEED, provisional=True)
    result = classify_tube(marrow("fu", 74)[0], alone, laip=laip, library=None, parameters=PARAMETERS)
    assert result.background is None
    assert "NO_CONTROLS" in {flag.code for flag in result.flags}


def test_a_single_control_is_not_taken_for_simulated_marrow(laip: PatientLaip) -> None:
    alone = build_reference("toy", [marrow("c0", 0)[0]], parameters=SEED)
    result = classify_tube(marrow("fu", 74)[0], alone, laip=laip, library=None, parameters=PARAMETERS)
    codes = {flag.code for flag in result.flags}
    assert result.background is None
    assert "ONE_CONTROL" in codes
    assert "NO_CONTROLS" not in codes


def test_a_lost_marker_does_not_hide_the_leukaemia(reference: ReferenceModel, laip: PatientLaip) -> None:
    tube, truth = marrow("fu", 75, blasts=80)
    values = tube.values.copy()
    values[truth, FEATURES.index("CD19")] = np.random.default_rng(0).normal(0.8, 0.2, 80)
    lost = CandidateCells("fu", FEATURES, values, tube.window, tube.denominator)
    parameters = replace(PARAMETERS, unreliable=frozenset({"CD19"}))
    result = classify_tube(lost, reference, laip=laip, library=None, parameters=parameters)
    assert (result.mrd & truth).sum() >= 70


def test_a_tube_unlike_in_one_marker_is_called_where_the_phenotype_is_found_without_it(
    reference: ReferenceModel, laip: PatientLaip
) -> None:
    def flags_and_called(seed: int, blasts: int, moved: tuple[float, ...]) -> tuple[set[str], int, int]:
        tube, truth = marrow("fu", seed, blasts=blasts)
        tube = replace(tube, values=tube.values + np.array(moved, dtype=np.float32))
        result = classify_tube(tube, reference, laip=laip, library=None, parameters=PARAMETERS)
        assert result.novel
        return {flag.code for flag in result.flags}, int((result.mrd & truth).sum()), int(result.mrd.sum())

    codes, hit, called = flags_and_called(76, 80, (0, 0, 0, 0, 1.4))
    assert hit >= 70
    assert called <= 100
    assert "TUBE_UNLIKE_IN_ONE_MARKER" in codes
    assert "TUBE_UNLIKE_CONTROLS" not in codes
    clean, _, called = flags_and_called(77, 0, (0, 0, 0, 0, 1.4))
    assert called < PARAMETERS.detect_events
    assert "TUBE_UNLIKE_CONTROLS" in clean
    several, _, _ = flags_and_called(78, 80, (0, 1.5, -0.6, 1.2, -1.4))
    assert "TUBE_UNLIKE_IN_ONE_MARKER" not in several

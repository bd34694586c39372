"""Off-scale cells join what others founded, found nothing, and are not lost where a whole leukaemia is off scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier.added_cells import PassedCells
from flowmrd.classifier.candidate_cells import Bools, CandidateCells, Floats32, OffscaleCells
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.leukaemia_kinds import DrawnCells
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.spike_in import _bright
from flowmrd.classifier.storage import load_laip, load_reference, save_laip, save_reference

PARAMETERS = ClassifierParameters(replicates=1, target=2e-3, offscale_channels_least=3)
TOP = 4.5


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(5)], parameters=PARAMETERS)


def off_scale(
    tube: CandidateCells, rows: Bools, detector: str = "CD10", spoilt: Sequence[str] = ("CD45",)
) -> CandidateCells:
    """The tube with some cells driven off scale in a detector that spills into other channels."""
    values = tube.values[rows].copy()
    measured = np.ones(values.shape, dtype=bool)
    values[:, FEATURES.index(detector)] = TOP
    measured[:, FEATURES.index(detector)] = False
    for name in spoilt:
        values[:, FEATURES.index(name)] = -0.9
        measured[:, FEATURES.index(name)] = False
    cells = OffscaleCells(values, measured, (detector,), np.ones((len(values), 1), dtype=bool))
    return replace(tube, values=tube.values[~rows], window=tube.window[~rows], offscale=cells)


def some(where: Bools, share: float) -> Bools:
    chosen: Bools = where & (np.random.default_rng(5).random(len(where)) < share)
    return chosen


def test_off_scale_cells_of_clean_marrow_are_never_counted_and_forbid_nothing(reference: ReferenceModel) -> None:
    tube, truth = marrow("clean", 70, n=60_000)
    found = classify_tube(
        off_scale(tube, some(~truth, 0.005)), reference, laip=None, library=None, parameters=PARAMETERS
    )
    assert not found.mrd.any()
    assert found.offscale[0].joined == 0
    assert found.uncounted == ()


@pytest.mark.parametrize("known", [True, False])
def test_half_of_the_blasts_off_scale_are_counted_with_the_others(reference: ReferenceModel, known: bool) -> None:
    laip = find_laip("p", marrow("dx", 50, blasts=12_000)[0], reference, min_cells=200, parameters=PARAMETERS)
    tube, truth = marrow("half", 71, n=60_000, blasts=300)
    bright = some(truth, 0.5)
    normal = some(~truth, 0.003)
    found = classify_tube(
        off_scale(tube, bright | normal), reference, laip=laip if known else None, library=None, parameters=PARAMETERS
    )
    assert found.offscale_cluster is not None
    joined = found.offscale_cluster >= 0
    assert joined[bright[bright | normal]].mean() > 0.8
    assert joined[normal[bright | normal]].sum() <= 2


def test_leukaemia_that_is_off_scale_altogether_is_reported_and_not_lost(reference: ReferenceModel) -> None:
    tube, truth = marrow("all", 72, n=60_000, blasts=300)
    found = classify_tube(off_scale(tube, truth), reference, laip=None, library=None, parameters=PARAMETERS)
    assert [group.why for group in found.uncounted] == ["offscale"]
    assert found.uncounted[0].detector == "CD10"
    assert found.offscale_group is not None
    assert (found.offscale_group == 0).mean() > 0.8, "a reviewer who calls the group leukaemia has its cells counted"
    assert any(flag.code == "UNRESOLVED_CLUSTER" for flag in found.flags)


def test_a_diagnosis_tube_with_half_its_blasts_off_scale_has_their_whole_share(reference: ReferenceModel) -> None:
    tube, truth = marrow("dx", 50, blasts=12_000)
    laip = find_laip("p", off_scale(tube, some(truth, 0.5)), reference, min_cells=200, parameters=PARAMETERS)
    assert laip is not None
    assert laip.share == pytest.approx(truth.mean(), rel=0.1)


def test_off_scale_cells_of_controls_set_no_limit() -> None:
    tubes = [marrow(f"c{i}", i)[0] for i in range(4)]
    odd = [off_scale(tube, some(np.ones(tube.n, dtype=bool), 0.01)) for tube in tubes]
    without = [replace(tube, offscale=None) for tube in odd]
    first, second = (build_reference("toy", one, parameters=PARAMETERS) for one in (odd, without))
    assert all(
        np.array_equal(a.values, b.values) and len(a.groups) == len(b.groups)
        for a, b in zip(first.controls, second.controls, strict=True)
    )


ALMOST_ALL = ("CD19", "CD34")
"""What CD10 spills into here: scatter and CD45 are left, which alone do not tell blasts from lymphoid precursors."""


@pytest.fixture(scope="module")
def spilled() -> ReferenceModel:
    """Controls with a few off-scale cells, as every instrument has."""
    tubes = [marrow(f"c{i}", i) for i in range(5)]
    tubes = [(off_scale(tube, some(~truth, 0.0005), spoilt=ALMOST_ALL), truth) for tube, truth in tubes]
    return build_reference("toy", [tube for tube, _ in tubes], parameters=PARAMETERS)


def diagnosis(spilled: ReferenceModel, share: float) -> PatientLaip:
    tube, truth = marrow("dx", 50, blasts=12_000)
    tube = off_scale(tube, some(truth, share) | some(~truth, 0.0005), spoilt=ALMOST_ALL)
    laip = find_laip("p", tube, spilled, min_cells=200, parameters=PARAMETERS)
    assert laip is not None
    return laip


def test_a_diagnosis_tube_tells_how_often_its_leukaemia_is_off_scale_in_a_detector(spilled: ReferenceModel) -> None:
    often = diagnosis(spilled, 0.5)
    assert often.offscale["CD10"] == pytest.approx(0.5, abs=0.02)
    assert often.share == pytest.approx(12_000 / 42_000, rel=0.05)
    assert diagnosis(spilled, 0.0).offscale["CD10"] < 0.01


@pytest.mark.parametrize(("at_diagnosis", "joined"), [(0.5, True), (0.0, False)])
def test_off_scale_cells_with_few_measured_channels_join_a_leukaemia_that_was_off_scale_at_diagnosis(
    spilled: ReferenceModel, at_diagnosis: float, joined: bool
) -> None:
    tube, truth = marrow("half", 71, n=60_000, blasts=200)
    bright, normal = some(truth, 0.5), some(~truth, 0.0005)
    tube = off_scale(tube, bright | normal, spoilt=ALMOST_ALL)
    laip = diagnosis(spilled, at_diagnosis)
    found = classify_tube(tube, spilled, laip=laip, library=None, parameters=PARAMETERS)
    assert found.offscale_cluster is not None
    called, leukaemic = found.offscale_cluster >= 0, bright[bright | normal]
    assert bool(called[leukaemic].mean() > 0.9) is joined
    assert called[~leukaemic].sum() <= 2


def test_cells_off_scale_by_a_fault_of_the_tube_do_not_join_a_leukaemia_that_often_is(spilled: ReferenceModel) -> None:
    """Two per cent of all normal cells are off scale in the detector that half of the blasts saturated at diagnosis."""
    tube, truth = marrow("fault", 73, n=60_000, blasts=200)
    fault = some(~truth, 0.02)
    tube = off_scale(tube, fault, spoilt=ALMOST_ALL)
    found = classify_tube(tube, spilled, laip=diagnosis(spilled, 0.5), library=None, parameters=PARAMETERS)
    assert found.offscale_cluster is not None
    assert int(found.mrd.sum()) == pytest.approx(200, rel=0.1)
    assert (found.offscale_cluster >= 0).sum() <= 10


def test_a_patients_cells_are_spiked_off_scale_as_often_as_they_were_at_diagnosis(spilled: ReferenceModel) -> None:
    search = SearchedPhenotypes(diagnosis(spilled, 0.5), Library(()), PARAMETERS)
    drawn = [DrawnCells(np.ones((4_000, len(FEATURES)), dtype=np.float32), {})]
    chain: Any = object()
    beyond = _bright(drawn, search, FEATURES, chain)[0].values > TOP
    assert beyond.mean(axis=0)[FEATURES.index("CD10")] == pytest.approx(0.5, abs=0.03)
    assert beyond.sum() == beyond[:, FEATURES.index("CD10")].sum()
    assert not (_bright(drawn, search, FEATURES, None)[0].values > TOP).any(), "no detector, nothing off scale"


def test_a_spiked_leukaemia_beyond_the_range_is_noticed_where_the_tube_would_ask_about_it(
    reference: ReferenceModel,
) -> None:
    """The spike-in once missed cells that the same search puts before the reviewer in a tube."""

    def beyond(cells: Floats32, features: tuple[str, ...], others: object, unstained: object = ()) -> PassedCells:
        window = np.ones(len(cells), dtype=bool)
        tube = CandidateCells("spiked", features, cells, window, len(cells))
        return PassedCells({"window": window}, cells, off_scale(tube, window).offscale, np.arange(len(cells)))

    tube, truth = marrow("clean", 76, n=60_000)
    own = off_scale(tube, some(~truth, 0.001))
    found = classify_tube(own, reference, laip=None, library=None, parameters=PARAMETERS, chain=beyond)
    assert found.spike_in is not None
    kinds = found.spike_in.kinds
    assert not any(kind.recovered for kind in kinds)
    noticed = [kind.noticed >= PARAMETERS.detect_events for kind in kinds]
    assert 0.25 < np.mean(noticed) < 1.0, "those that are unlike normal cells in the three channels that are left"


def test_how_often_cells_are_off_scale_is_stored_with_phenotype_and_reference(
    spilled: ReferenceModel, tmp_path: Path
) -> None:
    laip = diagnosis(spilled, 0.5)
    save_laip(FoundLaip(laip), "p", tmp_path / "laip.json", tmp_path / "laip.npz")
    again = load_laip(tmp_path / "laip.json").laip
    assert again is not None
    assert again.offscale == laip.offscale
    save_reference(spilled, tmp_path / "reference.json", tmp_path / "reference.npz")
    for one, other in zip(spilled.controls, load_reference(tmp_path / "reference.json").controls, strict=True):
        assert one.offscale is not None
        assert other.offscale is not None
        assert one.offscale.detectors == other.offscale.detectors
        assert np.array_equal(one.offscale.off, other.offscale.off)


SCATTER_ALONE = tuple(name for name in FEATURES if not name.startswith(("FSC", "SSC")))
"""What CD10 spills into here: nothing but scatter is left, in which no group can be told."""


@pytest.fixture(scope="module")
def faulty() -> ReferenceModel:
    """Controls in which a fault drove cells of any kind beyond the range of CD10."""
    tubes = [marrow(f"c{i}", i) for i in range(5)]
    return build_reference(
        "toy", [off_scale(tube, some(~truth, 0.001), spoilt=SCATTER_ALONE) for tube, truth in tubes], parameters=NARROW
    )


NARROW = replace(PARAMETERS, offscale_channels_least=4)


@pytest.mark.parametrize(("blasts", "asked"), [(300, True), (0, False)])
def test_more_off_scale_cells_like_blasts_than_a_fault_gives_are_a_question(
    faulty: ReferenceModel, blasts: int, asked: bool
) -> None:
    """No cell of them can be told from others, so none is counted."""
    tube, truth = marrow("all", 74, n=60_000, blasts=blasts)
    found = classify_tube(
        off_scale(tube, truth | some(~truth, 0.002), spoilt=SCATTER_ALONE),
        faulty,
        laip=None,
        library=None,
        parameters=NARROW,
    )
    assert not found.mrd.any()
    assert ("OFFSCALE_LIKE_BLASTS" in {flag.code for flag in found.flags}) is asked


@pytest.mark.parametrize("share", [0.005, 0.03])
def test_a_fault_of_one_detector_alone_is_no_question_however_often_it_strikes(
    faulty: ReferenceModel, share: float
) -> None:
    tube, truth = marrow("fault", 75, n=60_000)
    found = classify_tube(
        off_scale(tube, some(~truth, share), spoilt=SCATTER_ALONE), faulty, laip=None, library=None, parameters=NARROW
    )
    assert "OFFSCALE_LIKE_BLASTS" not in {flag.code for flag in found.flags}

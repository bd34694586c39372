"""Off-scale cells join what others founded, found nothing, and are not lost where a whole leukaemia is off scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier import CandidateCells, ClassifierParameters, ReferenceModel, build_reference, classify_tube
from flowmrd.classifier.candidate_cells import Bools, OffscaleCells
from flowmrd.classifier.patient_laip import find_laip

PARAMETERS = ClassifierParameters(replicates=1, target=2e-3, offscale_channels_least=3)
TOP = 4.5


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(5)], parameters=PARAMETERS)


def off_scale(tube: CandidateCells, rows: Bools, detector: str = "CD10", spoilt: str = "CD45") -> CandidateCells:
    """The tube with some cells driven off scale in a detector that spills into another channel."""
    values = tube.values[rows].copy()
    measured = np.ones(values.shape, dtype=bool)
    values[:, FEATURES.index(detector)] = TOP
    values[:, FEATURES.index(spoilt)] = -0.9
    measured[:, [FEATURES.index(detector), FEATURES.index(spoilt)]] = False
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


def test_leukaemia_that_is_off_scale_altogether_is_told_and_not_lost(reference: ReferenceModel) -> None:
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

"""Many haematogones of a regenerating marrow are no heavy burden of leukaemia, in a tube and in a control."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.found_groups import find_groups
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.regeneration import has_all_stages, is_regeneration
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.simulate.populations import MATURATION, NORMAL, SIGNALS, Code

PARAMETERS = ClassifierParameters()
FEATURES = tuple(name for name in SIGNALS if name != "SYTO41")
INDEX = [SIGNALS.index(name) for name in FEATURES]
CELLS = cast(
    WindowCells,
    SimpleNamespace(
        features=FEATURES,
        anchors={
            "t_nk": NORMAL[Code.T_NK].mean[INDEX],
            "mature_b": NORMAL[Code.MATURE_B].mean[INDEX],
            "granulocytes": NORMAL[Code.NEUTROPHIL].mean[INDEX],
        },
        parameters=PARAMETERS,
        unreliable=frozenset(),
    ),
)
SPECTRUM, HALTED = (900, 1500, 800), (3, 3000, 20)


def tube(counts: tuple[int, int, int]) -> CandidateCells:
    names = ("haematogones_1", "haematogones_2", "haematogones_3", "t_nk")
    population = np.repeat(np.arange(4), [*counts, 60_000 - sum(counts)])
    return cast(CandidateCells, SimpleNamespace(populations=names, population=population, denominator=60_000))


def stage(knot: int) -> Mixture:
    mean = np.array([MATURATION[marker][knot] for marker in FEATURES])
    return Mixture(np.ones(1), mean[None], np.eye(len(FEATURES))[None])


ELSEWHERE = Mixture(np.ones(1), (NORMAL[Code.T_NK].mean[INDEX] + 1.5)[None], np.eye(len(FEATURES))[None])


@pytest.mark.parametrize("counts", [SPECTRUM, HALTED, (0, 0, 0)])
def test_only_the_whole_spectrum_is_regeneration(counts: tuple[int, int, int]) -> None:
    assert has_all_stages(tube(counts)) is (counts == SPECTRUM)
    assert is_regeneration(stage(2), 0.05, CELLS, tube(counts)) is (counts == SPECTRUM)


def test_more_cells_than_regenerating_marrow_ever_has_or_cells_that_lie_elsewhere_are_no_regeneration() -> None:
    assert not is_regeneration(stage(2), 0.5, CELLS, tube(SPECTRUM))
    assert not is_regeneration(ELSEWHERE, 0.05, CELLS, tube(SPECTRUM))


@pytest.mark.parametrize("regenerating", [True, False])
def test_a_burden_that_can_be_regeneration_is_a_question_and_never_counted(
    monkeypatch: pytest.MonkeyPatch, regenerating: bool
) -> None:
    module = "flowmrd.classifier.found_groups"
    monkeypatch.setattr(f"{module}.like_normal", lambda *_: False)
    monkeypatch.setattr(f"{module}.weigh_mixture", lambda *_: EvidenceOnGroup(0.5))
    found = find_groups(
        SearchedPhenotypes(None, Library(()), PARAMETERS),
        CELLS,
        cast(Calibration, SimpleNamespace(cut=2.0)),
        burden=cast(PatientLaip, SimpleNamespace(mixture=stage(2), share=0.05, n_cells=3000)),
        regenerating=regenerating,
    )
    assert [group.why for group in found.uncounted] == (["like_precursors"] if regenerating else [])
    assert len(found.counted) == (0 if regenerating else 1)

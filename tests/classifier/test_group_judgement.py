"""When a group of cells counts, is a question, or is an artefact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_cells import CLEAN, PARAMETERS, cells_of, controls_of

from flowmrd.classifier import group_judgement
from flowmrd.classifier.atypical_groups import is_unlike_leukaemia, like_early_progenitors
from flowmrd.classifier.calibration import calibrate
from flowmrd.classifier.classification import CountedGroup, UncountedGroup, Why
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.found_groups import (
    FoundGroups,
    find_other_groups,
    is_looked_at_twice,
    stands_beside,
)
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.group_judgement import (
    is_artefact,
    is_clear,
    judge_groups,
    stands_out,
)
from flowmrd.classifier.library import Library
from flowmrd.classifier.marker_staining import negative_level
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.phenotype_score import fit_phenotype
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.window_cells import WindowCells, control_cells
from flowmrd.units import LOGICLE_M


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

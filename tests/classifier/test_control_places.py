"""What controls hold in the place of a group, and what that says of the group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_cells import PARAMETERS, cells_of, controls_of, group

from flowmrd.classifier.atypical_groups import is_uncommon
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.group_evidence import EvidenceOnGroup, beside_controls
from flowmrd.classifier.group_judgement import (
    is_abundant,
)
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel


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

"""Numbers of the classifier that no development tube reads: each decides what ``docs/thresholds.md`` says of it.

Every value here is written out and lies between the number and its half or double, so that a changed number fails.
"""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from laip_marrow import BLASTS, FEATURES, marrow

from flowmrd.classifier import calibration, candidate_cells, control_judgement, phenotype_score
from flowmrd.classifier.calibration import choose_cut, stands_alone
from flowmrd.classifier.carry_over import early_events
from flowmrd.classifier.classification import CountedGroup, SpikedKind
from flowmrd.classifier.control_judgement import ControlJudgement, build_judged_reference, judge_control
from flowmrd.classifier.doublet_model import doublet_mixture
from flowmrd.classifier.found_groups import FoundGroups, stands_beside
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.judge_tube import _disagreement, lossy_steps
from flowmrd.classifier.laboratory_decisions import propose
from flowmrd.classifier.marker_staining import MarkerStaining
from flowmrd.classifier.mixture import Mixture, log_density
from flowmrd.classifier.normal_reference import build_reference
from flowmrd.classifier.odd_markers import compare_without
from flowmrd.classifier.offscale_excess import _beyond, _excess, _Sum
from flowmrd.classifier.parameters import HAND, ClassifierParameters
from flowmrd.classifier.phenotype import marker_levels
from flowmrd.classifier.spike_in import _least_part
from flowmrd.classifier.staining_control import judge_staining
from flowmrd.classifier.tube_flags import missing_markers_flags
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.classifier.unknown_population import UnknownPopulation, in_words
from flowmrd.flags import flag
from flowmrd.records.decisions import LearnedDecision
from flowmrd.units import LOGICLE_M

PARAMETERS = ClassifierParameters()


def test_a_number_that_was_set_by_hand_says_why() -> None:
    assert [one.name for one in fields(ClassifierParameters) if one.metadata["source"].strip() == HAND] == []


def gaussian(*centres: tuple[float, ...], sd: float = 0.2) -> Mixture:
    mean = np.array(centres, dtype=np.float64)
    return Mixture(
        np.full(len(mean), 1 / len(mean)), mean, np.repeat(sd**2 * np.eye(mean.shape[1])[None], len(mean), 0)
    )


# doublets


def test_doublets_with_every_kind_of_normal_cell_have_a_place_of_their_own() -> None:
    """``doublet_components``: eight kinds of partners lie far apart, and no doublet lies between them."""
    rng = np.random.default_rng(4)
    kinds = np.array([(x, y, z) for x in (0.5, 3.5) for y in (0.5, 3.5) for z in (0.5, 3.5)])
    made = np.concatenate([rng.normal(kind, 0.15, (300, 3)) for kind in kinds]).astype(np.float32)
    mixture = doublet_mixture(made, PARAMETERS)
    assert mixture is not None
    between = [(a + b) / 2 for i, a in enumerate(kinds) for b in kinds[:i] if np.abs(a - b).sum() == 3.0]
    assert log_density(mixture, kinds).min() - log_density(mixture, np.array(between)).max() > 10.0


def test_a_density_of_doublets_is_no_sharper_than_two_stainings_added() -> None:
    """``doublet_sd_least``: pairs of one cell with one other are all alike, and real ones are not."""
    made = np.random.default_rng(4).normal(2.0, 0.001, (300, 2)).astype(np.float32)
    mixture = doublet_mixture(made, PARAMETERS)
    assert mixture is not None
    assert 0.06 < float(np.sqrt(mixture.covariance[:, 0, 0]).min()) < 0.12


def test_cells_in_the_place_of_doublets_are_doublets_only_as_often_as_these_are_made() -> None:
    """``doublet_share_most``: a leukaemia of 5 % that looks like a doublet does not become normal."""
    parameters = ClassifierParameters(components=8, training_cells=6_000, start_cells=4_000, model_steps=6)
    model = build_reference("toy", [marrow(f"c{i}", i, 4_000)[0] for i in range(2)], parameters=parameters).model
    rng = np.random.default_rng(1)
    made = rng.normal(BLASTS, 0.25, (1_000, len(FEATURES))).astype(np.float32)
    tube = replace(marrow("fu", 9, 4_000, blasts=210)[0], doublets=made)
    beside = fit_tube(model, tube, parameters).mixture.weight[model.mixture.k :]
    assert len(beside)
    assert 0.012 < beside.sum() < 0.03


# staining


def stained(marker: str, **more: Any) -> MarkerStaining:
    known = {"carriers": 0, "stained": None, "middle": None, "upper": None, "without": 0.0, "bright": 9_000}
    return MarkerStaining(marker=marker, **(known | {"cells": 10_000} | more))


def test_the_uptake_of_a_dye_differs_more_between_tubes_than_an_antibody() -> None:
    """``expected_dye_sd``."""

    def state(marker: str, shift: float) -> str:
        controls = [[stained(marker)] for _ in range(4)]
        return judge_staining([stained(marker, without=shift)], controls, PARAMETERS)[0].state

    assert state("CD34", 0.9) == "shifted"
    assert state("SYTO41", 0.9) == "ok"
    assert state("SYTO41", 2.2) == "shifted"


@pytest.mark.parametrize(("bright", "state"), [(30, "absent"), (80, "ok")])
def test_an_antibody_is_absent_only_where_bright_cells_are_absent_too(bright: int, state: str) -> None:
    """``absent_bright``: every control has 1,000 bright cells; a tube with 30 has none to speak of, one with 80 has."""
    controls = [[stained("CD34", carriers=500, stained=0.9, middle=0.0, upper=0.0, bright=1_000)] for _ in range(4)]
    own = stained("CD34", carriers=500, stained=0.0, middle=0.0, upper=0.0, bright=bright)
    assert judge_staining([own], controls, PARAMETERS)[0].state == state


@pytest.mark.parametrize(
    ("missing", "code"),
    [({"CD10"}, "MARKER_MISSING"), ({"CD10", "CD34"}, "PANEL_TOO_WEAK"), ({"CD45"}, "MARKER_MISSING")],
)
def test_a_tube_that_lacks_two_markers_of_blasts_is_trusted_in_neither_direction(missing: set[str], code: str) -> None:
    """``blast_markers_missing``."""
    features = ("CD19", "CD10", "CD20", "CD34", "CD22", "CD24", "CD45")
    reference: Any = SimpleNamespace(features=features)
    measured = tuple(name for name in features if name not in missing)
    assert [one.code for one in missing_markers_flags(measured, reference, PARAMETERS)] == [code]


# phenotypes in words


@pytest.mark.parametrize(
    ("level", "said"), [(1.35, "CD10-"), (1.65, "CD10 dim"), (2.05, "CD10 dim"), (2.4, "CD10+"), (3.0, "CD10+")]
)
def test_a_marker_is_bright_dim_or_absent_beside_the_levels_of_normal_cells(level: float, said: str) -> None:
    """``unknown_dim_from``, ``unknown_bright_from``, ``negative_quantile``: normal cells lie at 1 and at 3."""
    normal = gaussian(*[(1.0,)] * 5, (3.0,))
    population = UnknownPopulation(0.1, 0.0, np.array([level]))
    assert in_words(population, ("CD10",), normal, np.zeros(1), PARAMETERS) == said


@pytest.mark.parametrize(("level", "said"), [(1.1, "CD10-"), (1.2, "CD10 dim"), (1.45, "CD10+")])
def test_a_marker_that_no_normal_cell_has_is_called_by_its_own_level(level: float, said: str) -> None:
    """``unknown_span_least``: all normal cells lie at 1.0; half a decade above that is bright."""
    population = UnknownPopulation(0.1, 0.0, np.array([level]))
    assert in_words(population, ("CD10",), gaussian((1.0,), (1.0,)), np.zeros(1), PARAMETERS) == said


def test_a_shift_below_a_factor_of_two_is_no_aberration() -> None:
    """``marker_shift_least``."""
    levels = marker_levels(np.array([0.2, 0.4, -0.4]), np.zeros(3), ("CD10", "CD19", "CD34"), PARAMETERS)
    assert [one.direction for one in levels] == ["same", "over", "under"]


# groups


@pytest.mark.parametrize(("cells", "fits"), [(7_000, {500, 7_000}), (14_000, {500})])
def test_a_rare_phenotype_is_fitted_to_all_its_cells(
    monkeypatch: pytest.MonkeyPatch, cells: int, fits: set[int]
) -> None:
    """``match_all_below``: of 7,000 cells none is left out; 14,000 are told by a sample of them."""
    used: set[int] = set()

    def noted(mask: Any, most: int) -> Any:
        chosen = candidate_cells.thin(mask, most)
        used.add(len(chosen))
        return chosen

    monkeypatch.setattr(phenotype_score, "thin", noted)
    x = np.random.default_rng(2).normal(2.0, 0.1, (cells, 2)).astype(np.float32)
    phenotype, parameters = gaussian((2.0, 2.0), sd=0.3), ClassifierParameters(match_cells=500)
    phenotype_score.fit_phenotype(phenotype, 0.01 * np.eye(2), x, np.full(cells, -30.0), 2 * cells, parameters)
    assert used == fits


@pytest.mark.parametrize(("shared", "known"), [(4, True), (3, False)])
def test_three_markers_are_too_few_to_name_a_place(shared: int, known: bool) -> None:
    """``offscale_channels_least``."""
    levels = dict.fromkeys(("CD10", "CD19", "CD34", "CD38", "CD45")[:shared], 0.5)
    assert proposed(levels, levels, sd=0.05) is known


@pytest.mark.parametrize(("distance", "known"), [(2.0, True), (4.0, False)])
def test_groups_are_in_one_place_within_three_standard_deviations(distance: float, known: bool) -> None:
    """``same_place``."""
    levels = dict.fromkeys(("CD10", "CD19", "CD34", "CD45"), 0.5)
    assert proposed(levels, {**levels, "CD10": 0.5 + 0.05 * distance}, sd=0.05) is known


@pytest.mark.parametrize(("decades", "known"), [(0.4, True), (0.8, False)])
def test_a_group_of_which_only_medians_are_known_spreads_as_populations_do(decades: float, known: bool) -> None:
    """``group_sd_unknown``: three standard deviations of 0.2 decades."""
    levels = dict.fromkeys(("CD10", "CD19", "CD34", "CD45"), 0.5)
    assert proposed(levels, {**levels, "CD10": 0.5 + decades / LOGICLE_M}, sd=None) is known


def proposed(levels: dict[str, float], earlier: dict[str, float], *, sd: float | None) -> bool:
    """Whether an earlier decision is proposed for a group."""
    spread = {} if sd is None else dict.fromkeys(levels, sd)
    known = LearnedDecision(panel="p", call="counted", events=40, levels=earlier, sd=spread, result_sha256="a" * 64)
    return propose(levels, spread, [known], panel="p", parameters=PARAMETERS) is not None


@pytest.mark.parametrize(("rates", "counts"), [((7e-4,), True), ((1.5e-3,), False), ((7e-4, None), False), ((), False)])
def test_a_group_that_the_normal_cells_were_fitted_beside_needs_a_stricter_error_rate(
    rates: tuple[float | None, ...], counts: bool
) -> None:
    """``false_groups_beside``."""
    groups = [CountedGroup(gaussian((1.0,)), "burden", EvidenceOnGroup(0.5, false_groups=rate)) for rate in rates]
    assert stands_beside(FoundGroups(tuple(groups), (), 5.0), PARAMETERS) is counts


def test_cells_of_the_tube_before_come_in_the_first_twentieth_of_a_run() -> None:
    """``carry_over_start``."""
    early = early_events(np.linspace(0.0, 60.0, 100_000), PARAMETERS)
    assert early is not None
    assert early[4_000]
    assert not early[7_000]


# controls


@pytest.mark.parametrize(("rate", "verdict"), [(0.015, "CONTROL_ODD"), (0.03, "CONTROL_CLEAN")])
def test_a_control_with_a_group_that_few_clean_tubes_show_is_odd(
    monkeypatch: pytest.MonkeyPatch, rate: float, verdict: str
) -> None:
    """``false_groups_odd``."""
    evidence = SimpleNamespace(false_groups=rate)
    group = SimpleNamespace(why="like_controls", evidence=evidence, events=50.0, call="atypical")
    found = SimpleNamespace(counted=(), uncounted=(group,), novel=False, flags=())
    monkeypatch.setattr(control_judgement, "classify_tube", lambda *_, **__: found)
    tube = marrow("c", 1, 500)[0]
    reference: Any = SimpleNamespace(controls=())
    assert judge_control(tube, reference, [tube], PARAMETERS).verdict == verdict


def test_at_most_a_third_of_the_controls_is_left_out_as_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """``odd_controls_most``: where all nine are odd, three are left out and six stay."""
    odd = (flag("CONTROL_STAINING", why="it is odd"),)
    monkeypatch.setattr(
        control_judgement, "judge_control", lambda tube, *_: ControlJudgement(tube.name, "CONTROL_ODD", odd, oddity=1.0)
    )
    small = ClassifierParameters(components=4, training_cells=1_000, start_cells=500, model_steps=2, reference_folds=2)
    controls = [marrow(f"c{i}", i, 600)[0] for i in range(9)]
    judged = build_judged_reference("toy", controls, parameters=small)[1]
    assert [one.used for one in judged].count(False) == 3


# cut and background


def test_without_controls_the_cut_lies_well_above_the_lowest() -> None:
    """``cut_without_controls``."""
    assert [choose_cut([], [], lambda _: 5.0, PARAMETERS, lowest=lowest) for lowest in (4.0, 0.0)] == [8.0, 4.0]


@pytest.mark.parametrize(("count", "alone"), [(7, None), (9, 5)])
def test_fewer_cells_than_the_smallest_group_are_no_controls_own(count: int, alone: int | None) -> None:
    """``group_events_least``."""
    assert stands_alone([0.0] * 5 + [float(count)], [1_000_000] * 6, PARAMETERS) == alone


@pytest.mark.parametrize(("others", "alone"), [(10, 5), (11, None)])
def test_a_control_stands_alone_where_the_others_make_its_cells_next_to_impossible(
    others: int, alone: int | None
) -> None:
    """``background_alone``: eleven cells beside ten in five others are that, beside eleven they are not."""
    counts = [2.0 + others - 10, 2.0, 2.0, 2.0, 2.0, 11.0]
    assert stands_alone(counts, [1_000_000] * 6, PARAMETERS) == alone


@pytest.mark.parametrize(("per_million", "cut"), [(50, 4.0), (100, 5.25)])
def test_beside_a_known_leukaemia_as_many_normal_cells_are_accepted_as_the_cut_leaves_leukaemic_ones_out(
    monkeypatch: pytest.MonkeyPatch, per_million: int, cut: float
) -> None:
    """A thousand leukaemic cells per million, spread over the scores 0 to 20; controls hold normal cells at score 5.

    Six more at score 11.9 make the first cut 12, above which only 400 leukaemic cells lie: too few to accept 50 normal
    cells at once. A cut of 5.25 shows 737 of them, of which a quarter lies below 5.
    """
    scores = np.concatenate([np.full(6, 11.9), np.full(per_million, 5.0), np.full(1_000, -9.0)])
    leukaemia = np.linspace(0.0, 20.0, 1_000)
    monkeypatch.setattr(calibration, "score_each", lambda *_: scores[:, None])
    monkeypatch.setattr(calibration, "forms_group", lambda *_: True)
    monkeypatch.setattr(calibration, "_drawn_scores", lambda *_: leukaemia)
    place = SimpleNamespace(shifted=lambda _: None)
    fit: Any = SimpleNamespace(mixture=place, score=leukaemia)
    facts: dict[str, Any] = {"per_million": lambda count: count, "shift": 0.0, "values": None, "log_normal": None}
    cells: Any = SimpleNamespace(**facts)
    controls: Any = [SimpleNamespace(**facts)] * 3
    assert calibration.cut_beside([fit], cells, controls, replace(PARAMETERS, cut_leukaemia_lost=0.0)) == cut


@pytest.mark.parametrize(("precursors", "cut"), [(100, 5.25), (800, 4.0), (950, 12.0)])
def test_normal_cells_of_a_tube_that_no_control_has_do_not_lower_the_cut_for_more_of_them(
    monkeypatch: pytest.MonkeyPatch, precursors: int, cut: float
) -> None:
    """``cut_added_ratio``: the marrow of the test above with precursors at score 5.5.

    The leukaemia has 600 cells below the first cut, so a cut of 5.25 may add 1,220 cells, of which 337 are leukaemic.
    Eight hundred more cells that are counted allow a cut of 4.
    """
    scores = np.concatenate([np.full(6, 11.9), np.full(100, 5.0), np.full(1_000, -9.0)])
    leukaemia = np.linspace(0.0, 20.0, 1_000)
    monkeypatch.setattr(calibration, "score_each", lambda *_: scores[:, None])
    monkeypatch.setattr(calibration, "forms_group", lambda *_: True)
    monkeypatch.setattr(calibration, "_drawn_scores", lambda *_: leukaemia)
    tube = np.concatenate([leukaemia, np.full(precursors, 5.5)])
    fit: Any = SimpleNamespace(mixture=SimpleNamespace(shifted=lambda _: None), score=tube)
    facts: dict[str, Any] = {"per_million": lambda count: count, "shift": 0.0, "values": None, "log_normal": None}
    cells: Any = SimpleNamespace(**facts)
    controls: Any = [SimpleNamespace(**facts)] * 3
    assert calibration.cut_beside([fit], cells, controls, replace(PARAMETERS, cut_leukaemia_lost=0.0)) == cut


# spike-in


def test_the_sensitivity_for_a_patient_rests_on_the_replicates_that_did_not_drift_where_they_are_missed() -> None:
    """``spike_drift_sd``: the average over drifts is no promise for a leukaemia that has not moved."""
    place = gaussian((0.0,))
    tried = [SpikedKind(place, 30, recovered, recovered, 1.0) for recovered in (20, 22, 30, 30, 29)]
    assert _least_part(tried, [True, True, False, False, False]) == (60, 42)
    assert _least_part(tried[::-1], [True, True, False, False, False]) == (150, 131)


@pytest.mark.parametrize(("kept", "named"), [(93, False), (85, True)])
def test_a_step_that_loses_more_than_a_tenth_of_spiked_cells_is_named(kept: int, named: bool) -> None:
    """``spike_step_loss``."""
    step = SimpleNamespace(step="window", spiked=100, kept=kept)
    found: Any = SimpleNamespace(steps=(step,), kinds=())
    assert bool(lossy_steps(found, PARAMETERS)) is named


# off-scale cells

CONTROLS = [(100_000, _Sum(200, 0.0, 0.0))] * 3


@pytest.mark.parametrize(("excess", "asked"), [(9.5, False), (10.5, True)])
def test_an_excess_of_half_a_detection_is_a_question(excess: float, asked: bool) -> None:
    """``excess_least``: nine and a half standard deviations are no question where they are so few cells."""
    found = _beyond("CD22", _Sum(200, excess, 1.0), CONTROLS, 100_000, PARAMETERS)
    assert (found is not None) is asked


@pytest.mark.parametrize(("excess", "asked"), [(29.0, False), (33.0, True)])
def test_an_excess_that_one_clean_tube_in_a_thousand_shows_is_a_question(excess: float, asked: bool) -> None:
    """``excess_sd``: 31 cells where chance has a standard deviation of 10."""
    found = _beyond("CD22", _Sum(200, excess, 100.0), CONTROLS, 100_000, PARAMETERS)
    assert (found is not None) is asked


def test_an_off_scale_cell_that_may_be_either_counts_by_the_assumed_share_of_blasts() -> None:
    """``excess_share``: half of the normal cells lie in the place of blasts, the usual cells of this tube elsewhere."""
    off: Any = SimpleNamespace(values=np.zeros((100, 1), dtype=np.float32), measured=np.ones((100, 1), dtype=bool))
    found = _excess(off, np.full((50, 1), 3.0), gaussian((0.0,)), gaussian((0.0,), (3.0,)), [0], PARAMETERS)
    assert 20 < found.excess < 33


# diagnosis


@pytest.mark.parametrize(("counted", "remark"), [(93, False), (85, True)])
def test_a_count_at_diagnosis_that_differs_by_a_tenth_from_what_was_learned_is_remarked(
    counted: int, remark: bool
) -> None:
    """``diagnosis_disagreement``."""
    mrd = np.arange(200) < counted
    tube: Any = SimpleNamespace(name="dx", mrd=mrd, gate_or_none=lambda _: None, analysable=lambda: np.ones(200, bool))
    learned: Any = SimpleNamespace(laip=SimpleNamespace(share=0.5), diagnosis="dx")
    assert [one.code for one in _disagreement(tube, learned, PARAMETERS)] == ["DIAGNOSIS_DISAGREES"] * remark


# novelty


@pytest.mark.parametrize(("same", "kept"), [(85, 85), (70, 0)])
def test_a_count_in_a_tube_with_one_odd_marker_stands_if_four_fifths_of_its_cells_are_called_without_it(
    same: int, kept: int
) -> None:
    """``odd_marker_same_cells``."""
    without: Any = SimpleNamespace(mrd=np.arange(200) < same, counted=(), novel=False, shift=0.0)
    assert compare_without(("CD10",), 0.5, np.arange(200) < 100, without, None, PARAMETERS).same == kept

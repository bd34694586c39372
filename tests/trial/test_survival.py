"""Kaplan-Meier and Aalen-Johansen against published tables, hand computation and two libraries."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.errors import InternalError
from flowmrd.trial.survival import (
    aalen_johansen,
    kaplan_meier,
    median_time,
    numbers_at_risk,
    reverse_kaplan_meier,
)

# Remission times in weeks under 6-mercaptopurine, Freireich et al., Blood 1963;21:699; the curve and its Greenwood
# standard errors are tabulated in survival textbooks (Kleinbaum & Klein; Collett).
SIX_MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
SIX_MP_RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
SIX_MP_CURVE = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
SIX_MP_ERROR = {6: 0.0764, 7: 0.0869, 10: 0.0963, 13: 0.1068, 16: 0.1141, 22: 0.1282, 23: 0.1346}
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]

data = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=1, max_size=40)


def test_published_six_mercaptopurine_curve_and_errors_are_reproduced() -> None:
    curve = kaplan_meier(SIX_MP, [bool(code) for code in SIX_MP_RELAPSED])
    found = {step.time: step for step in curve.steps if step.events}
    assert {time: round(step.value, 3) for time, step in found.items()} == SIX_MP_CURVE
    for time, step in found.items():
        assert step.ci95 is not None
        # The log-log interval gives the standard error back: log(-log) limits are symmetric about log(-log S).
        spread = math.log(math.log(step.ci95[0]) / math.log(step.ci95[1])) / 2
        error = spread / 1.959963984540054 * step.value * abs(math.log(step.value))
        assert error == pytest.approx(SIX_MP_ERROR[time], abs=6e-5)


# Log-log limits of the same curve as survfit(conf.type = "log-log") and PROC LIFETEST print them.
SIX_MP_LIMITS = {
    6: (0.620, 0.952), 7: (0.563, 0.923), 10: (0.503, 0.889), 13: (0.432, 0.849), 16: (0.368, 0.805),
    22: (0.268, 0.747), 23: (0.188, 0.680),
}  # fmt: skip


def test_published_log_log_limits_are_reproduced() -> None:
    curve = kaplan_meier(SIX_MP, [bool(code) for code in SIX_MP_RELAPSED])
    found = {step.time: step.ci95 for step in curve.steps if step.events}
    assert {time: tuple(round(limit, 3) for limit in limits or ()) for time, limits in found.items()} == SIX_MP_LIMITS


def test_medians_of_the_published_arms_are_23_and_8_weeks() -> None:
    treated = median_time(kaplan_meier(SIX_MP, [bool(code) for code in SIX_MP_RELAPSED]))
    assert treated.days == 23
    assert treated.ci95_days == (13, None)
    placebo = median_time(kaplan_meier(PLACEBO, [True] * len(PLACEBO)))
    assert placebo.days == 8
    assert placebo.ci95_days == (4, 11)


def test_numbers_at_risk_are_those_of_the_published_arm() -> None:
    assert numbers_at_risk(SIX_MP, [0, 6, 7, 10, 23, 35, 36]) == [21, 21, 17, 15, 6, 1, 0]


def test_curve_at_exactly_one_half_has_its_median_there_despite_rounding() -> None:
    # 6/7 * 5/6 * ... products miss 1/2 by rounding: of 14 patients the 7th death takes S to exactly 7/14.
    for n in (2, 6, 10, 14, 22, 38):
        assert median_time(kaplan_meier(list(range(1, n + 1)), [True] * n)).days == n // 2


def test_median_is_not_reached_while_the_curve_stays_above_one_half() -> None:
    found = median_time(kaplan_meier([10, 20, 240, 250], [True, False, False, False]))
    assert found.days is None
    assert found.ci95_days[1] is None


def test_event_tied_with_a_censoring_comes_first() -> None:
    curve = kaplan_meier([5, 5], [True, False])
    assert (curve.steps[0].at_risk, curve.steps[0].value) == (2, 0.5)


def test_death_on_day_zero_lowers_the_curve_at_zero() -> None:
    assert kaplan_meier([0, 10], [True, False]).value_at(0, 1.0)[0] == 0.5


def test_interval_is_undefined_where_the_curve_is_one_or_zero() -> None:
    steps = kaplan_meier([1, 2, 3], [False, True, True]).steps
    assert [step.ci95 is None for step in steps] == [True, False, True]


@settings(deadline=None, max_examples=60)
@given(data)
def test_kaplan_meier_agrees_with_scikit_survival_and_lifelines(rows: list[tuple[int, int]]) -> None:
    import numpy as np
    from lifelines import KaplanMeierFitter
    from sksurv.nonparametric import kaplan_meier_estimator

    times = [time for time, _ in rows]
    events = [code == 1 for _, code in rows]
    curve = kaplan_meier(times, events)
    theirs = KaplanMeierFitter().fit(times, events)
    for step in curve.steps:
        assert step.value == pytest.approx(float(theirs.predict(step.time)), abs=1e-9)
    limits = theirs.confidence_interval_
    for step in curve.steps:
        if step.ci95 is not None:
            assert step.ci95 == pytest.approx(tuple(limits.loc[float(step.time)]), abs=1e-6)
    grid, values = kaplan_meier_estimator(np.array(events), np.array(times))
    assert [step.time for step in curve.steps] == list(grid)
    assert [step.value for step in curve.steps] == pytest.approx(list(values), abs=1e-9)


def test_competing_risk_fixture_of_the_lifelines_defect_gives_the_true_incidence() -> None:
    times, causes = [1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 2, 0]
    assert aalen_johansen(times, causes, 2).steps[-1].value == pytest.approx(0.4, abs=1e-12)
    assert aalen_johansen(times, causes, 1).steps[-1].value == pytest.approx(0.4, abs=1e-12)


def test_cause_without_any_event_has_incidence_zero_not_an_error() -> None:
    curve = aalen_johansen([5, 9, 12], [2, 0, 0], 1)
    assert curve.events == 0
    assert [step.value for step in curve.steps] == [0.0, 0.0, 0.0]
    assert all(step.ci95 is None for step in curve.steps)


def test_event_at_the_first_time_is_counted() -> None:
    assert aalen_johansen([1, 2, 3, 4], [2, 0, 1, 0], 2).steps[0].value == 0.25


def test_competing_incidence_is_below_one_minus_kaplan_meier() -> None:
    times, causes = [1, 2, 3, 4, 5, 6], [1, 2, 1, 2, 1, 0]
    naive = 1 - kaplan_meier(times, [code == 1 for code in causes]).steps[-1].value
    assert aalen_johansen(times, causes, 1).steps[-1].value < naive - 0.1


@settings(deadline=None, max_examples=60)
@given(data)
def test_incidences_and_survival_add_to_one_at_every_time(rows: list[tuple[int, int]]) -> None:
    times, causes = [time for time, _ in rows], [code for _, code in rows]
    free = kaplan_meier(times, [code != 0 for code in causes]).steps
    first, second = aalen_johansen(times, causes, 1).steps, aalen_johansen(times, causes, 2).steps
    for survival, one, two in zip(free, first, second, strict=True):
        assert survival.value + one.value + two.value == pytest.approx(1.0, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=30).filter(lambda codes: {1, 2} <= set(codes)))
def test_aalen_johansen_agrees_with_both_libraries_on_data_without_ties(codes: list[int]) -> None:
    import numpy as np
    from lifelines import AalenJohansenFitter
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    # The last patient is censored: where everybody at risk has the event the library's variance is 0/0.
    codes = [*codes, 0]
    times = [3 * i + 2 for i in range(len(codes))]
    for cause in (1, 2):
        ours = aalen_johansen(times, codes, cause)
        theirs = AalenJohansenFitter(calculate_variance=False).fit(times, codes, event_of_interest=cause)
        for step in ours.steps:
            assert step.value == pytest.approx(float(theirs.predict(step.time)), abs=1e-9)
        grid, incidence, limits = cumulative_incidence_competing_risks(
            np.array(codes), np.array(times), conf_type="log-log", var_type="Dinse_Approx"
        )
        assert [step.value for step in ours.steps] == pytest.approx(list(incidence[cause]), abs=1e-9)
        for step, low, high in zip(ours.steps, limits[cause][0], limits[cause][1], strict=True):
            if step.ci95 is not None and np.isfinite(low):
                assert step.ci95 == pytest.approx((low, high), abs=1e-6)
        assert list(grid) == times


def test_incidence_without_censoring_has_the_binomial_standard_error() -> None:
    step = aalen_johansen(list(range(1, 21)), [1, 2] * 10, 1).steps[9]
    assert step.value == pytest.approx(5 / 20)
    assert step.ci95 is not None
    spread = math.log(math.log(step.ci95[0]) / math.log(step.ci95[1])) / 2
    error = spread / 1.959963984540054 * step.value * abs(math.log(step.value))
    assert error == pytest.approx(math.sqrt(0.25 * 0.75 / 20), rel=1e-9)


def test_same_patients_in_another_order_give_the_same_curves() -> None:
    rows = [(time % 7, time % 3) for time in range(30)]
    shuffled = rows[:]
    random.Random(5).shuffle(shuffled)

    def both(ordered: list[tuple[int, int]]) -> list[object]:
        times, causes = [time for time, _ in ordered], [code for _, code in ordered]
        return [aalen_johansen(times, causes, cause) for cause in (1, 2)]

    assert both(rows) == both(shuffled)


def test_reverse_kaplan_meier_gives_the_hand_computed_median() -> None:
    # Deaths at 2 and 5 leave the risk set; censorings at 4, 8, 10: 3/4 at 4... (4 at risk), 1/2 of that at 8.
    found = reverse_kaplan_meier([2, 4, 5, 8, 10], [True, False, True, False, False])
    assert found.days == 8


def test_reverse_kaplan_meier_takes_deaths_out_before_tied_censorings() -> None:
    # At day 5 one dies and one is censored; of the two left, both are followed to day 9.
    found = reverse_kaplan_meier([5, 5, 9, 9], [True, False, False, False])
    # Risk set of the censoring at 5 is 3 (the death has left): 2/3, then 0 at 9.
    assert found.days == 9


@pytest.mark.parametrize(("times", "events"), [([1, 2], [True]), ([-1], [True])])
def test_impossible_times_are_refused(times: list[int], events: list[bool]) -> None:
    with pytest.raises(InternalError):
        kaplan_meier(times, events)

"""Curves, swimmer and waterfall are charts like every other, with the numbers of the re-enacted trial."""

from __future__ import annotations

from itertools import pairwise

import pytest
from test_endpoints import call_at, tables

from chart_checks import assert_same_in_both
from flowmrd.config.run import TrialConfig
from flowmrd.report.charts.description import Bar, Interval, Label, Outline, Points
from flowmrd.trial.charts import blast_change, curve_chart, swimmer_chart, waterfall_chart
from flowmrd.trial.endpoints import analyse
from flowmrd.trial.reenactment import read_tubes
from flowmrd.trial.result import DAYS_PER_MONTH, TrialResult


@pytest.fixture(scope="module")
def trial() -> TrialResult:
    patients, events = tables()
    levels = {row.patient: row.level for row in read_tubes()}
    return analyse(
        patients, events, {p.patient: call_at(p.patient, levels.get(p.patient)) for p in patients}, TrialConfig()
    )


def test_every_curve_is_one_chart_that_ends_at_its_last_estimate(trial: TrialResult) -> None:
    for name, endpoint in trial.endpoints.items():
        chart = curve_chart(endpoint, rising=name in ("cir", "nrm"))
        assert_same_in_both(chart)
        curve = next(layer for layer in chart.layers if isinstance(layer, Outline) and layer.role == "curve")
        last = endpoint.curve.steps[-1]
        assert curve.points[0] == (0.0, 0.0 if name in ("cir", "nrm") else 1.0)
        assert curve.points[-1] == (last.time / DAYS_PER_MONTH, last.value)
        censored = next(layer for layer in chart.layers if isinstance(layer, Points))
        assert len(censored.at) == sum(step.censored for step in endpoint.curve.steps)
        written = [layer.text for layer in chart.layers if isinstance(layer, Label)]
        assert written[1 : 1 + len(endpoint.risk_patients)] == [str(number) for number in endpoint.risk_patients]


def test_the_swimmer_has_a_bar_to_the_last_contact_and_a_word_at_its_end_for_every_patient(trial: TrialResult) -> None:
    chart = swimmer_chart(trial.patients)
    assert_same_in_both(chart)
    bars = [layer.x[1] for layer in chart.layers if isinstance(layer, Bar) and layer.role == "within"]
    assert bars == sorted((line.last_contact_day / DAYS_PER_MONTH for line in trial.patients), reverse=True)
    ends = [layer.text for layer in chart.layers if isinstance(layer, Label) and layer.text in ("† died", "→")]
    assert ends.count("† died") == sum(line.death_day is not None for line in trial.patients)
    assert len(ends) == len(trial.patients)


def test_no_line_of_the_swimmer_crosses_a_word(trial: TrialResult) -> None:
    """The progression of T12, three weeks after its response, was drawn through "NR MRD+"."""
    line = next(line for line in trial.patients if line.response_day is not None)
    day = line.response_day or 0
    for later in ((1,), (20,), (8, 16), (3, 9, 15), (90,), (-5,)):
        days = [day + more for more in later] + [None] * (3 - len(later))
        odd = line.model_copy(
            update={
                "progression_day": days[2],
                "relapse_day": days[0],
                "transplant_day": days[1],
                "last_contact_day": 400,
            }
        )
        chart = swimmer_chart([odd])
        pixels = chart.size[0] / (400 / DAYS_PER_MONTH)
        lines = [layer.x * pixels for layer in chart.layers if isinstance(layer, Interval)]
        words = [layer for layer in chart.layers if isinstance(layer, Label) and 0 < layer.at[0] < 400 / DAYS_PER_MONTH]
        spans = [(one.at[0] * pixels + one.shift[0], 7.2 * len(one.text)) for one in words if "months" not in one.text]
        assert len(lines) == len(later)
        assert not [(x, span) for x in lines for span in spans if span[0] <= x < sum(span)], later
        order = sorted(spans)
        assert all(sum(one) <= other[0] + 1 for one, other in pairwise(order)), later


def test_the_waterfall_falls_from_the_worst_and_hatches_what_is_no_remission(trial: TrialResult) -> None:
    chart = waterfall_chart(trial.patients)
    assert_same_in_both(chart)
    bars = [layer for layer in chart.layers if isinstance(layer, Bar)]
    known = [line for line in trial.patients if blast_change(line) is not None]
    assert len(bars) == len(known)
    heights = [sum(bar.y) for bar in bars]
    assert heights == sorted(heights, reverse=True)
    assert sum(bar.hatched for bar in bars) == sum(line.response not in ("CR", "CRi") for line in known)


def test_a_trial_without_patients_has_charts() -> None:
    assert_same_in_both(swimmer_chart([]))
    assert_same_in_both(waterfall_chart([]))

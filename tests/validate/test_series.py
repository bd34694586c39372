"""Measured validation series: figures by hand and against simulated truth, and the laboratory's limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowmrd.errors import ConfigError, SheetError
from flowmrd.home import REPOSITORY
from flowmrd.validate.series import (
    AcceptanceRules,
    Measured,
    Series,
    judge_series,
    linearity,
    measured_limits,
    read_rules,
    read_series,
    variance_components,
)


def tube(
    series: Series,
    fraction: float,
    *,
    name: str = "T",
    material: str = "M",
    level: float | None = None,
    hours: float | None = None,
    order: int = 0,
    **factors: str,
) -> Measured:
    return Measured(name, series, fraction, material, level, hours, factors, order)


def test_an_exact_dilution_series_has_slope_one_and_no_deviation() -> None:
    levels = [1e-2, 1e-3, 1e-4, 1e-5]
    found = linearity([tube(Series.LINEARITY, 0.5 * level, level=level) for level in levels])
    assert found is not None
    assert found.slope == pytest.approx(1.0)
    assert found.intercept == pytest.approx(np.log10(0.5))
    assert found.r_squared == pytest.approx(1.0)
    assert found.largest_deviation == pytest.approx(0.0, abs=1e-9)


def test_a_level_in_which_nothing_was_called_is_counted_beside_the_line() -> None:
    tubes = [tube(Series.LINEARITY, level, level=level) for level in (1e-2, 1e-3, 1e-4)]
    found = linearity([*tubes, tube(Series.LINEARITY, 0.0, level=1e-6)])
    assert found is not None
    assert (found.tubes, found.not_measured) == (3, 1)
    assert linearity(tubes[:2]) is None


def test_variance_components_are_those_that_the_values_were_made_with() -> None:
    rng = np.random.default_rng(3)
    groups = [str(group) for group in range(200) for _ in range(5)]
    values = np.repeat(rng.normal(0, 2.0, 200), 5) + rng.normal(0, 1.0, 1000)
    within, between = variance_components(values, groups)
    assert within == pytest.approx(1.0, rel=0.15)
    assert between == pytest.approx(4.0, rel=0.25)


def test_variance_components_equal_those_computed_by_hand() -> None:
    within, between = variance_components(np.array([1.0, 3.0, 5.0, 7.0]), ["a", "a", "b", "b"])
    assert within == pytest.approx(2.0)  # squares 2 + 2 over 4 - 2
    assert between == pytest.approx((16.0 - 2.0) / 2)  # MSB 16, two tubes a group


def test_reproducibility_is_no_smaller_than_repeatability_and_names_the_factor() -> None:
    rng = np.random.default_rng(5)
    shift = {"one": 0.8, "two": 1.2}
    tubes = [
        tube(Series.PRECISION, 1e-3 * shift[who] * rng.normal(1.0, 0.02), operator=who)
        for who in shift
        for _ in range(8)
    ]
    (found,) = judge_series(tubes, None).precision
    assert found.repeatability_cv is not None
    assert found.repeatability_cv < 0.05 < found.reproducibility_cv
    by_source = {part.source: part.cv for part in found.components}
    assert by_source["operator"] > by_source["repeat"]


def test_limits_equal_ep17_computed_by_hand() -> None:
    blanks = [tube(Series.BLANK, value) for value in (0.0, 0.0, 2e-6, 4e-6)]
    low = [tube(Series.LOW, value, material="L") for value in (1e-4, 1.2e-4, 0.8e-4)]
    found = measured_limits([*blanks, *low], loq_cv=0.3)
    assert found.lob_method == "normal"
    assert found.lob == pytest.approx(1.5e-6 + 1.6449 * np.std([0, 0, 2e-6, 4e-6], ddof=1), rel=1e-4)
    assert found.lob is not None
    assert found.lod == pytest.approx(found.lob + 1.6449 / (1 - 1 / 8) * 0.2e-4, rel=1e-4)
    assert found.loq == pytest.approx(1e-4)
    many = measured_limits([tube(Series.BLANK, k * 1e-6) for k in range(1, 21)], loq_cv=0.3)
    assert many.lob_method == "percentile"
    assert many.lob == pytest.approx(19.5e-6)


def test_carry_over_is_the_blank_just_after_a_high_tube_less_the_other_blanks() -> None:
    tubes = [
        tube(Series.CARRY_OVER, 1e-6, name="B0", order=0),
        tube(Series.CARRY_OVER, 0.5, name="H1", level=0.5, order=1),
        tube(Series.CARRY_OVER, 6e-6, name="B1", order=2),
        tube(Series.CARRY_OVER, 1e-6, name="B2", order=3),
    ]
    (found,) = judge_series(tubes, None).carry_over
    assert (found.high, found.blank) == ("H1", "B1")
    assert found.share == pytest.approx(1e-5)


def test_stability_is_the_change_since_the_youngest_tube_of_the_same_material() -> None:
    tubes = [
        tube(Series.STABILITY, 1e-3, material="A", hours=2), tube(Series.STABILITY, 5e-4, material="A", hours=72),
        tube(Series.STABILITY, 1e-2, material="B", hours=2), tube(Series.STABILITY, 5e-3, material="B", hours=72),
    ]  # fmt: skip
    found = judge_series(tubes, None).stability
    assert [(one.hours, one.tubes) for one in found] == [(2, 2), (72, 2)]
    assert found[1].change_log10 == pytest.approx(np.log10(0.5))


def test_every_limit_of_the_rule_set_is_judged_and_an_absent_figure_is_not() -> None:
    rules = AcceptanceRules(name="lab 1", slope=(0.9, 1.1), r_squared=0.9, lod=1e-4)
    tubes = [tube(Series.LINEARITY, level**0.8, level=level) for level in (1e-2, 1e-3, 1e-4)]
    found = {one.figure: one.met for one in judge_series(tubes, rules).judgements}
    assert found["slope of the dilution series"] is False
    assert found["R² of the dilution series"] is True
    assert found["limit of detection"] is None
    assert found["largest carry-over"] is None


def test_the_shipped_example_can_be_read_and_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    assert read_rules(REPOSITORY / "config/validation_rules.yaml").name.startswith("example")
    wrong = tmp_path / "rules.yaml"
    wrong.write_text("name: x\nslop: [0.9, 1.1]\n")
    with pytest.raises(ConfigError, match="slop"):
        read_rules(wrong)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sample\tseries\nA\tlinear\n", "the series 'linear'"),
        ("sample\tseries\nZ\tblank\n", "has no result"),
        ("sample\tseries\tlevel\nA\tlow\tmuch\n", "level 'much'"),
        ("sample\tserie\nA\tblank\n", "no column series"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(tmp_path: Path, text: str, problem: str) -> None:
    table = tmp_path / "validation.tsv"
    table.write_text(text)
    with pytest.raises(SheetError, match=problem):
        read_series(table, {"A": 1e-4})

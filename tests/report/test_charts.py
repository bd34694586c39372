"""Grids, borders, ticks and control charts."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.control_limits import ChannelLimits, ControlLimitsFile, PanelLimits
from flowmrd.records.gates import HalfPlaneShape, RectangleShape
from flowmrd.report import formatting
from flowmrd.report.axes import make_axis
from flowmrd.report.batch import BatchTube, channel_charts
from flowmrd.report.charts.description import Outline
from flowmrd.report.density import BINS, HIGH, LOW, bin_axis, count_grid, picture
from flowmrd.report.gate_labels import HEIGHT, WIDTH, with_marks
from flowmrd.report.levey_jennings import broken_rules, control_limits, judged, left_out
from flowmrd.report.views import clip_to_plot, outlines
from report_factory import quality


def test_no_event_is_lost_from_a_density_plot() -> None:
    values = np.array([-9.0, -0.06, 0.0, 0.5, 1.0, 1.2, np.inf, -np.inf, np.nan], dtype=np.float32)
    bins = bin_axis(values)
    grid = count_grid(bins, bins)
    assert grid.sum() == len(values)
    assert grid[0, 0] == 4, "below the plot, and not a number"
    assert grid[BINS - 1, BINS - 1] == 2


def test_the_picture_is_a_png_with_the_highest_row_first() -> None:
    grid = np.zeros((BINS, BINS), dtype=np.uint32)
    grid[BINS - 1, 3] = 7
    data = picture(grid)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), dtype=np.uint8).reshape(BINS, BINS + 1)
    assert rows[0, 4] > 0
    assert (rows > 0).sum() == 1
    assert picture(grid) == data


def test_ticks_stand_where_the_transform_puts_them() -> None:
    axis = make_axis("CD19", "CD19", ChannelScale("logicle", 262144.0, 4.5, 0.5))
    ticks = {text: at for at, text in axis.ticks if text}
    assert ticks["0"] == pytest.approx(0.5 / 4.5, abs=1e-5)
    assert ticks["10⁵"] == pytest.approx(0.907, abs=0.002)
    assert list(ticks.values()) == sorted(ticks.values())


def test_an_axis_without_a_recorded_transform_says_so() -> None:
    assert "0..1 scale" in make_axis("CD19", "CD19", None).label


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=8))
def test_a_border_cut_to_the_plot_stays_in_the_plot(corners: list[tuple[float, float]]) -> None:
    for x, y in clip_to_plot(corners):
        assert LOW - 1e-9 <= x <= HIGH + 1e-9
        assert LOW - 1e-9 <= y <= HIGH + 1e-9


def test_a_border_inside_the_plot_is_left_as_it_is() -> None:
    square = [(0.2, 0.2), (0.4, 0.2), (0.4, 0.4), (0.2, 0.4)]
    assert sorted(clip_to_plot(square)) == sorted(square)


def test_a_leaning_cut_is_drawn_as_a_leaning_line_on_either_axis_order() -> None:
    shape = HalfPlaneShape(type="halfplane", x="CD19", y="SSC-A", slope=0.2, threshold=0.4, side="above")
    (line,) = outlines(shape, "CD19", "SSC-A", label="g")
    for x, y in line.points:
        assert x - 0.2 * y == pytest.approx(0.4)
    (turned,) = outlines(shape, "SSC-A", "CD19", label="g")
    assert turned.points == tuple((b, a) for a, b in line.points)


@pytest.mark.parametrize(
    ("z", "rules"),
    [
        ([0.1, 3.1], ["1-3s"]),
        ([2.1, 2.2], ["2-2s"]),
        ([2.1, -2.2], ["R-4s"]),
        ([1.1, 1.2, 1.3, 1.4], ["4-1s"]),
        ([-0.1] * 10, ["10x"]),
        ([0.1] * 9, []),
        ([1.1, -1.2, 1.3, 1.4], []),
        ([2.9], []),
    ],
)
def test_every_broken_westgard_rule_is_named_and_no_other(z: list[float], rules: list[str]) -> None:
    assert list(broken_rules(z)) == rules


def test_limits_need_five_controls_and_give_the_sample_standard_deviation() -> None:
    assert control_limits([1.0, 2.0, 3.0, 4.0]) is None
    limits = control_limits([1.0, 2.0, 3.0, 4.0, 5.0])
    assert limits is not None
    assert limits.mean == 3.0
    assert limits.sd == pytest.approx(2.5**0.5)


def test_a_chart_of_seven_controls_can_fail_and_says_when_there_are_too_few_to_judge_runs() -> None:
    seven = [0.50, 0.51, 0.49, 0.50, 0.51, 0.49, 0.60]
    distances = left_out(seven)
    assert abs(distances[-1]) > 3, "with its own value in the limits it could lie 2.27 SD out at most"
    assert judged(distances)[-1] == ("1-3s",)
    drifting = [0.5 + 0.001 * (index % 2) for index in range(10)] + [0.51] * 4
    assert all(not set(rules) - {"1-3s"} for rules in judged(left_out(drifting))), "fewer than 20: no rules of runs"
    long = [0.5 + 0.004 * (index % 3 - 1) for index in range(20)] + [0.506] * 4
    assert any("4-1s" in rules for rules in judged(left_out(long)))
    assert left_out([0.5] * 5) == []
    assert left_out([0.5] * 6) == [0.0] * 6


def test_a_cut_is_marked_on_its_inner_side_with_its_number() -> None:
    box = RectangleShape(type="rectangle", ranges={"CD19": (0.4, None), "SSC-A": (None, None)})
    (line,) = with_marks(outlines(box, "CD19", "SSC-A", label="g"), ["1"])
    assert line.mark is not None
    assert (line.mark.text, line.mark.anchor) == ("1→", "start")
    assert line.mark.at[0] > 0.4
    shape = HalfPlaneShape(type="halfplane", x="CD19", y="SSC-A", slope=0.2, threshold=0.4, side="below")
    (leaning,) = with_marks(outlines(shape, "CD19", "SSC-A", label="g"), [""])
    assert leaning.mark is not None
    assert (leaning.mark.text, leaning.mark.anchor) == ("←", "end")


def test_numbers_of_cuts_close_to_each_other_do_not_cover_each_other() -> None:
    bounds = (0.40, 0.41, 0.42, 0.43)
    lines = [
        outlines(RectangleShape(type="rectangle", ranges={"CD45": (at, None)}), "SSC-A", "CD45", label="g")
        for at in bounds
    ]
    placed = with_marks([line for (line,) in lines], ["1", "2", "3", "4"])
    places = [outline.mark.at for outline in placed if outline.mark is not None]
    assert len(places) == 4
    for index, (x, y) in enumerate(places):
        for other_x, other_y in places[:index]:
            assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=2, max_size=6), st.booleans())
def test_the_number_of_a_border_stands_in_the_plot(points: list[tuple[float, float]], closed: bool) -> None:
    (placed,) = with_marks([Outline(tuple(points), closed, "g", (1.0, 0.0))], ["12"])
    if placed.mark is not None:
        assert all(LOW <= value <= HIGH for value in placed.mark.at)


def test_this_tube_is_left_out_of_the_limits_it_is_compared_with() -> None:
    def tube(index: int, value: float) -> BatchTube:
        facts = quality(f"C{index}", medians={"CD45": value}, instrument={})
        return BatchTube(f"C{index}", f"C{index}", "control", "ino10", None, facts)

    tubes = [tube(index, 0.5 + 0.01 * (index % 3)) for index in range(6)] + [tube(6, 0.9)]
    (with_it,) = channel_charts(tubes)
    (without,) = channel_charts(tubes, this="C6")
    assert (with_it.controls, without.controls) == (7, 6)
    assert without.this == pytest.approx((0.9 - without.mean) / without.sd, abs=0.01)
    assert "1-3s" in dict(without.broken)["C6"]


def test_locked_limits_find_a_drift_that_all_controls_share() -> None:
    def tube(index: int, value: float) -> BatchTube:
        facts = quality(f"C{index}", medians={"CD45": value}, instrument={"serial_digest": "a"})
        return BatchTube(f"C{index}", f"C{index}", "control", "ino10", None, facts)

    tubes = [tube(index, 0.6 + 0.01 * (index % 3)) for index in range(8)]
    (own,) = channel_charts(tubes)
    assert own.broken == ()
    channels = {"CD45": ChannelLimits(mean=0.5, sd=0.01, n=24)}
    locked = ControlLimitsFile(
        limits=(PanelLimits(panel="ino10", instrument="a", controls=("x",) * 24, channels=channels),)
    )
    (by_locked,) = channel_charts(tubes, locked=locked)
    assert len(by_locked.broken) == 8
    assert "2-2s" in dict(by_locked.broken)["C3"], "24 controls are enough for the rules of runs"
    assert (by_locked.locked, by_locked.few) == (True, False)
    (one,) = channel_charts(tubes[:1], locked=locked)
    assert [name for name, _ in one.broken] == ["C0"], "a single control is judged too"
    elsewhere = ControlLimitsFile(limits=(locked.limits[0].model_copy(update={"instrument": "b"}),))
    assert not channel_charts(tubes, locked=elsewhere)[0].locked, "limits of another cytometer judge nothing here"


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("a limit of 6.2e-05, above 1e-04", "a limit of 6.2 × 10⁻⁵, above 10⁻⁴"),
        ("contains the threshold 1e-04.", "contains the threshold 10⁻⁴."),
        ("1,234,567 events", "1\u202f234\u202f567 events"),
        ("CD19e-5 and 3e", "CD19e-5 and 3e"),
        ("1,5 and 12,34", "1,5 and 12,34"),
        ("<b>2e+06</b>", "<b>2 × 10⁶</b>"),
        ("-2.25 decades, in 2-4 weeks", "−2.25 decades, in 2-4 weeks"),
        ("SSC-A 22.3%, a 95 %-power limit", "SSC-A 22.3 %, a 95 %-power limit"),
    ],
)
def test_numbers_inside_messages_are_written_for_people(given_text: str, shown: str) -> None:
    assert formatting.readable(given_text) == shown


@pytest.mark.parametrize(
    ("iso", "shown"),
    [
        ("2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04:05.678Z", "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04-05:00", "2026-01-02 03:04 UTC−05:00"),
        ("<b>yesterday</b>", "<b>yesterday</b>"),
    ],
)
def test_a_time_is_shown_with_its_zone(iso: str, shown: str) -> None:
    assert formatting.moment(iso) == shown


def test_a_text_is_cut_where_a_part_of_it_ends() -> None:
    told = "CD24 bright (+1.6 log), CD22 dim (−0.8 log), CD19 dim (−0.4 log)"
    assert formatting.clip(told, 60) == "CD24 bright (+1.6 log), CD22 dim (−0.8 log)…"
    assert formatting.clip("one two three four five", 17) == "one two three…"
    assert formatting.clip("x" * 20, 10) == "x" * 9 + "…"
    assert formatting.clip(told, 200) == told


def test_a_title_inside_a_sentence_keeps_the_capitals_of_its_markers() -> None:
    titles = ("Mature B cells", "B cells of two routes", "CD19+", "T and NK cells", "")
    assert [formatting.within(title) for title in titles] == ["mature B cells", *titles[1:]]


@given(st.text(max_size=80))
def test_a_message_without_numbers_stays_as_it_is(text: str) -> None:
    without = "".join(character for character in text if not character.isdigit())
    assert formatting.readable(without) == without


def test_numbers_are_rounded_for_readers_and_unknown_ones_are_not_available() -> None:
    assert formatting.scientific(1e-4) == "10⁻⁴"
    assert formatting.scientific(2.34e-5) == "2.3 × 10⁻⁵"
    assert formatting.scientific(6e-5) == "6 × 10⁻⁵"
    assert formatting.percent(0.00012) == "0.012 %"
    assert formatting.percent(None) == "not available"
    assert formatting.count(278793) == "278\u202f793"
    assert formatting.number(float("nan")) == "not available"


@pytest.mark.parametrize(
    ("fraction", "digits", "shown"),
    [
        (6e-5, 2, "0.0060 % (6.0 × 10⁻⁵)"),
        (8.34e-5, 2, "0.0083 % (8.3 × 10⁻⁵)"),
        (1e-4, 2, "0.010 % (1.0 × 10⁻⁴)"),
        (1e-4, 1, "0.01 % (10⁻⁴)"),
        (3e-6, 1, "0.0003 % (3 × 10⁻⁶)"),
        (2e-3, 2, "0.20 %"),
        (0.0, 2, "0 %"),
    ],
)
def test_a_level_has_the_same_digits_as_a_percentage_and_as_a_power_of_ten(
    fraction: float, digits: int, shown: str
) -> None:
    assert formatting.level(fraction, digits) == shown


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.000998, "0.10 %"), (0.00099499, "0.099 %"), (0.0009951, "0.10 %"), (0.0998, "10 %"), (0.9996, "100 %")],
)
def test_a_percentage_has_as_many_digits_just_below_a_power_of_ten_as_above_it(fraction: float, shown: str) -> None:
    assert formatting.percent(fraction) == shown
    assert formatting.number(9.996, 3) == formatting.number(10.0, 3) == "10"

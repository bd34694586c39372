"""Agreement of two methods: against independent implementations, published figures, and through the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from flowmrd.cli.app import call
from flowmrd.compare.agreement import calls_at, cohens_kappa, total_deviation_index
from flowmrd.compare.comparison import compare_methods
from flowmrd.compare.measurement import MeasuredPair, Measurement, parse_measurement
from flowmrd.compare.regression import deming, passing_bablok
from flowmrd.errors import SheetError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import REPOSITORY

AGREEMENT = REPOSITORY.parent / "shared" / "data" / "agreement"
needs_shared = pytest.mark.skipif(not AGREEMENT.is_dir(), reason="the optional shared data are not here")


@pytest.mark.parametrize(
    ("cell", "percent", "fraction", "limit"),
    [
        ("0.02 %", False, 2e-4, None),
        ("0,02", True, 2e-4, None),
        ("1e-4", False, 1e-4, None),
        ("< 0.01 %", False, 0.0, 1e-4),
        ("neg", False, 0.0, None),
        ("0", True, 0.0, None),
    ],
)
def test_levels_are_read_as_people_write_them(cell: str, percent: bool, fraction: float, limit: float | None) -> None:
    found = parse_measurement(cell, percent=percent, where="here")
    assert found is not None
    assert found.fraction == pytest.approx(fraction)
    assert (found.limit is None) == (limit is None)
    assert found.limit is None or found.limit == pytest.approx(limit)


@pytest.mark.parametrize("cell", ["12", "a little", "-1", "1e-4 %%"])
def test_a_level_that_is_none_is_refused_with_its_line(cell: str) -> None:
    with pytest.raises(SheetError, match="line 7"):
        parse_measurement(cell, percent=False, where="table, line 7")


def test_not_detected_with_a_limit_above_the_threshold_is_no_negative() -> None:
    pairs = [
        MeasuredPair("a", Measurement(2e-4), Measurement(0.0, limit=1e-3)),
        MeasuredPair("b", Measurement(2e-4), Measurement(0.0, 1e-5)),
    ]
    found = calls_at(pairs, 1e-4)
    assert found.not_comparable == 1
    assert (found.positive_agreement.hits, found.positive_agreement.of) == (0, 1)
    assert found.discordant == ("b",)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_kappa_is_that_of_scikit_learn(calls: list[tuple[bool, bool]]) -> None:
    table = np.zeros((2, 2), dtype=np.int64)
    for one, two in calls:
        table[int(one), int(two)] += 1
    kappa, interval = cohens_kappa(table)
    if len({one for one, _ in calls} | {two for _, two in calls}) < 2:
        assert kappa is None
        return
    assert kappa is not None
    assert kappa == pytest.approx(cohen_kappa_score(*zip(*calls, strict=True)))
    assert interval is not None
    assert interval[0] <= kappa <= interval[1]


def test_kappa_interval_is_the_published_one() -> None:
    """Formula of Fleiss, Cohen and Everitt (1969), by hand for 20 5 / 10 15."""
    kappa, interval = cohens_kappa(np.array([[20, 5], [10, 15]]))
    assert kappa == pytest.approx(0.4)
    assert interval is not None
    assert interval == pytest.approx((0.4 - 1.96 * 0.12689, 0.4 + 1.96 * 0.12689), abs=1e-3)


@pytest.fixture(scope="module")
def levels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    true = rng.uniform(-5, -1, 60)
    return true + rng.normal(0, 0.2, 60), 0.1 + 0.95 * true + rng.normal(0, 0.2, 60)


def test_deming_is_the_first_principal_axis(levels: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = levels
    line = deming(x, y)
    axis = np.linalg.svd(np.column_stack([x - x.mean(), y - y.mean()]))[2][0]
    assert line is not None
    assert line.slope == pytest.approx(axis[1] / axis[0])
    assert line.intercept == pytest.approx(y.mean() - axis[1] / axis[0] * x.mean())


def test_passing_bablok_is_theil_sen_where_all_slopes_are_positive_and_treats_both_methods_alike(
    levels: tuple[np.ndarray, np.ndarray],
) -> None:
    x = np.linspace(-5, -1, 12)
    y = x + np.sin(np.arange(12)) * 0.05
    line = passing_bablok(x, y)
    assert line is not None
    assert line.slope == pytest.approx(stats.theilslopes(y, x).slope)
    x, y = levels
    one, other = passing_bablok(x, y), passing_bablok(y, x)
    assert one is not None
    assert other is not None
    assert one.slope == pytest.approx(1 / other.slope, rel=1e-2)
    assert one.slope_ci95[0] < one.slope < one.slope_ci95[1]


def test_intervals_hold_the_true_line_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    held = {"deming": 0, "passing_bablok": 0}
    for _ in range(200):
        true = rng.uniform(-5, -1, 25)
        x, y = true + rng.normal(0, 0.2, 25), true + rng.normal(0, 0.2, 25)
        for name, fit in (("deming", deming), ("passing_bablok", passing_bablok)):
            line = fit(x, y)
            assert line is not None
            held[name] += line.slope_ci95[0] <= 1.0 <= line.slope_ci95[1]
    assert all(180 <= count <= 199 for count in held.values()), held


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.3), (0.4, 0.1), (-0.2, 0.5)])
def test_total_deviation_index_covers_nine_tenths(mean: float, sd: float) -> None:
    width = total_deviation_index(mean, sd)
    assert stats.norm.cdf(width, mean, sd) - stats.norm.cdf(-width, mean, sd) == pytest.approx(0.9)


def test_levels_below_a_limit_are_counted_and_left_out_of_the_differences() -> None:
    pairs = [MeasuredPair(str(k), Measurement(10.0**-k), Measurement(2 * 10.0**-k)) for k in range(1, 7)]
    pairs += [
        MeasuredPair("x", Measurement(0.0), Measurement(5e-6)),
        MeasuredPair("y", Measurement(0.0, 1e-5), Measurement(0.0)),
    ]
    found = compare_methods(pairs, first="a", second="b")
    assert found.levels.pairs == 6
    assert found.levels.mean_difference == pytest.approx(math.log10(2))
    assert (found.below_limits.only_second_detected, found.below_limits.both_not_detected) == (1, 1)
    assert "2 of 8 pairs" in found.below_limits.statement


@needs_shared
def test_figures_of_the_flowsom_table_are_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = AGREEMENT / "cll_flowsom_vs_human_30.tsv"
    arguments = ["compare", str(table), "--first-level", "cll_human", "--second-level", "cll_flowsom"]
    assert call([*arguments, "--events", "wbc_events", "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for known in (
        "positive 17/19, negative 11/11",
        "23/23 within half a log",
        "R2 of log10 0.993",
        "14.9 events per million (2.7 to 52.1) in 7",
    ):
        assert known in printed


@needs_shared
def test_figures_of_the_flow_and_pcr_table_are_the_known_ones(tmp_path: Path) -> None:
    table = AGREEMENT / "amlad_tdiagree.tsv"
    arguments = ["compare", str(table), "--method", "met", "--key", "id", "--key", "rep", "--unit", "percent"]
    assert call([*arguments, "-o", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "agreement.json").read_text())
    close = found["levels"]["within_half_log"]
    assert (found["pairs"], close["of"], round(100 * close["hits"] / close["of"])) == (232, 78, 33)


def run_with_results(folder: Path) -> Path:
    """What a finished run leaves, as far as a comparison reads it."""
    (folder / "results/cohort").mkdir(parents=True)
    header = "sample\trole\tverdict\tdenominator\tnucleated\tfraction\tlod95"
    rows = [
        "C1\tcontrol\tCONTROL_CLEAN\tnucleated\t400000\t0.0\t7e-05",
        "A\tfollowup\tPOSITIVE\tnucleated\t400000\t0.001\t7e-05",
        "B\tfollowup\tNEGATIVE\tnucleated\t400000\t0.0\t7e-05",
        "D\tfollowup\tNOT_EVALUABLE\tnucleated\t0\t\t",
    ]
    (folder / "results/cohort/mrd.tsv").write_text("\n".join([header, *rows]) + "\n")
    page = folder / "results/samples/B/report.html"
    page.parent.mkdir(parents=True)
    page.write_text("a page")
    return folder


def test_a_run_is_compared_with_a_table_and_discordant_tubes_link_to_their_pages(tmp_path: Path) -> None:
    run = run_with_results(tmp_path / "run")
    table = tmp_path / "pcr.csv"
    table.write_text("sample;mrd\nA;0,12 %\nB;0,05 %\nZ;0,1 %\n")
    assert call(["compare", str(run), "--with", str(table)]) == 0
    found = json.loads((run / "results/compare/agreement.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["A", "B"]
    assert found["rows"][1]["first_limit"] == pytest.approx(7e-5)
    assert found["without_partner"] == ["Z"]
    page = (run / "results/compare/index.html").read_text()
    assert 'href="../samples/B/report.html"' in page
    assert "http" not in page.split("<body", 1)[1].replace("http-equiv", "")


def test_a_specimen_that_stands_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with_results(tmp_path / "run")
    table = tmp_path / "pcr.tsv"
    table.write_text("sample\tmrd\nA\t0.001\nA\t0.002\n")
    assert call(["compare", str(run), "--with", str(table)]) == 2
    assert "a second time" in capsys.readouterr().err


def gates_xml(low: float) -> str:
    return (
        '<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
        'xmlns:data-type="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" '
        'xmlns:transforms="http://www.isac-net.org/std/Gating-ML/v2.0/transformations">'
        '<gating:RectangleGate gating:id="Cells"><gating:dimension gating:compensation-ref="uncompensated" '
        'gating:min="10"><data-type:fcs-dimension data-type:name="FSC-A"/></gating:dimension></gating:RectangleGate>'
        '<gating:RectangleGate gating:id="Blasts" gating:parent_id="Cells"><gating:dimension '
        f'gating:compensation-ref="uncompensated" gating:min="{low}">'
        '<data-type:fcs-dimension data-type:name="PE-A"/></gating:dimension></gating:RectangleGate></gating:Gating-ML>'
    )


def test_a_run_is_compared_with_an_experts_gates_counted_in_its_tubes(tmp_path: Path) -> None:
    run = run_with_results(tmp_path / "run")
    (run / "config").mkdir()
    (run / "config/config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\n")
    scatter = np.r_[np.zeros(100), np.full(400, 50)].astype(np.float32)
    for name, blasts in (("A", 12), ("B", 0)):
        pe = np.r_[np.full(100, 99), np.full(blasts, 99), np.zeros(400 - blasts)].astype(np.float32)
        write_fcs(run / f"config/{name}-file.fcs", [scatter, pe], [ChannelSpec("FSC-A"), ChannelSpec("PE-A")])
    rows = [f"{name}\tP{name}\tfollowup\t{name}-file.fcs" for name in "AB"]
    (run / "config/samples.tsv").write_text("\n".join(["sample\tpatient\trole\tfcs", *rows]) + "\n")
    folder = tmp_path / "gates"
    folder.mkdir()
    for name in ("A", "B"):
        (folder / f"{name}-file.xml").write_text(gates_xml(50))
    assert call(["compare", str(run), "--with", str(folder), "--gate", "Blasts", "--of", "Cells"]) == 0
    found = json.loads((run / "results/compare/agreement.json").read_text())
    assert [(row["name"], row["second"]) for row in found["rows"]] == [("A", 12 / 400), ("B", 0.0)]


def test_gates_of_none_of_the_tubes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with_results(tmp_path / "run")
    (run / "config").mkdir()
    (run / "config/config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\n")
    (run / "config/samples.tsv").write_text("sample\tpatient\trole\tfcs\nA\tP\tfollowup\tA.fcs\n")
    write_fcs(run / "config/A.fcs", [np.ones(9, dtype=np.float32)], [ChannelSpec("FSC-A")])
    (tmp_path / "a.wsp").write_text('<Workspace flowJoVersion="10.8"><SampleList/></Workspace>')
    assert call(["compare", str(run), "--with", str(tmp_path / "a.wsp")]) == 2
    assert "gates of none of the tubes" in capsys.readouterr().err


def test_a_run_without_results_is_told_to_run_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "pcr.tsv").write_text("sample\tmrd\nA\t0.001\n")
    assert call(["compare", str(tmp_path / "run"), "--with", str(tmp_path / "pcr.tsv")]) == 2
    told = capsys.readouterr().err
    assert "found a folder" in told
    assert "'flowmrd run' first" in told

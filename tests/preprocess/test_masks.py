"""Masks on simulated disturbances and on tubes that an expert gated."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.config.run import QualityConfig
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.quality import (
    check_time,
    find_debris_cut,
    find_doublet_band,
    find_dye_cut,
    saturated_share,
    scatter_margin,
)
from flowmrd.preprocess.quality.clipped_singles import clipped_margin, find_single_bands
from flowmrd.preprocess.quality.margins import margin_edges
from flowmrd.preprocess.quality.masks import STEPS, attrition, build_masks

Float32 = npt.NDArray[np.float32]

N = 40_000


def run(seed: int = 1, n: int = N) -> tuple[dict[str, Float32], Float32]:
    """A steady run: two markers with two populations each, side scatter, and a clock."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.4
    columns = {
        "CD19": np.where(kind, 0.65, 0.2) + rng.normal(0, 0.05, n),
        "CD45": np.where(kind, 0.6, 0.75) + rng.normal(0, 0.04, n),
        "SSC-A": np.exp(rng.normal(np.where(kind, -2.6, -1.6), 0.25)),
    }
    time = np.cumsum(rng.exponential(1 / 1000, n))
    return {name: values.astype(np.float32) for name, values in columns.items()}, time.astype(np.float32)


def test_a_steady_acquisition_loses_no_event() -> None:
    for seed in range(5):
        columns, time = run(seed)
        check = check_time(columns, time, scatter=["SSC-A"])
        assert check.checked
        assert not check.mask.any()
        assert not check.drift


def test_a_stretch_of_lost_signal_is_masked_and_little_else() -> None:
    columns, time = run()
    columns["CD19"][10_000:14_000] -= 0.15
    check = check_time(columns, time, scatter=["SSC-A"])
    assert check.mask[10_200:13_800].all()
    assert check.mask[:9_600].sum() + check.mask[14_400:].sum() == 0
    assert "CD19" in check.worst


def test_a_slow_stretch_with_sound_signal_keeps_its_events() -> None:
    columns, time = run()
    slow = np.diff(time, prepend=0.0)
    slow[:4000] *= 20
    check = check_time(columns, np.cumsum(slow).astype(np.float32), scatter=["SSC-A"])
    assert not check.mask.any()
    assert check.rate[:5].max() < np.median(check.rate) / 5


def test_a_clog_shows_in_rate_and_signal_together() -> None:
    columns, time = run()
    columns["CD45"][16_000:19_000] -= 0.03
    step = np.diff(time, prepend=0.0)
    step[16_000:19_000] *= 4
    check = check_time(columns, np.cumsum(step).astype(np.float32), scatter=["SSC-A"])
    assert check.mask[16_400:18_600].all()
    assert check.mask.mean() < 0.1
    assert not check_time(columns, time, scatter=["SSC-A"]).mask.any()


def test_a_change_of_composition_is_not_a_disturbance() -> None:
    columns, time = run()
    rng = np.random.default_rng(9)
    positive = np.flatnonzero(columns["CD19"] > 0.4)
    # From 40 % to 70 % positive cells for an eighth of the run.
    replaced = 20_000 + np.flatnonzero(rng.random(5000) < 0.5)
    taken = rng.choice(positive, len(replaced))
    for values in columns.values():
        values[replaced] = values[taken]
    assert check_time(columns, time, scatter=["SSC-A"]).mask.mean() < 0.02


def test_a_small_shift_is_flagged_but_not_masked() -> None:
    columns, time = run()
    columns["CD45"][5_000:9_000] += 0.03
    check = check_time(columns, time, scatter=["SSC-A"])
    assert not check.mask.any()
    assert check.shifted[26:44].mean() > 0.8


def test_slow_drift_is_measured_and_not_masked() -> None:
    columns, time = run()
    columns["CD45"] += np.linspace(0, 0.08, N, dtype=np.float32)
    check = check_time(columns, time, scatter=["SSC-A"])
    assert check.drift["CD45"][0] > 0.9
    assert check.mask.mean() < 0.05


def test_time_that_steps_back_is_counted() -> None:
    columns, time = run()
    time[20_000:] -= time[20_000]
    assert check_time(columns, time).time_steps_back == 1


def test_a_clock_that_was_full_and_began_again_is_one_run() -> None:
    columns, time = run()
    limit = float(time[-1]) / 2.5
    assert check_time(columns, (time % limit).astype(np.float32)).time_steps_back == 0


def test_short_runs_and_runs_without_a_clock_are_said_to_be_so() -> None:
    columns, time = run(n=1000)
    check = check_time(columns, time)
    assert not check.checked
    assert check.reason.startswith("1000 events")
    columns, _ = run()
    check = check_time(columns, None)
    assert check.checked
    assert len(check.rate) == 0


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "scale", "published"),
    # Percentages removed by PeacoQC itself: vignettes/PeacoQC_results/PeacoQC_report.txt of saeyslab/PeacoQC
    # (6.05 % with its present IT limit of 0.6 on the compensated and transformed file; 0 % on the raw one).
    [("111_Comp_Trans.fcs", 1 / 4.5, 6.05), ("111.fcs", None, 0.0)],
)
def test_time_check_finds_what_peacoqc_finds(
    shared_data: Path, name: str, scale: float | None, published: float
) -> None:
    from flowmrd.fcs.reader import choose, read_fcs
    from flowmrd.preprocess.transform import logicle

    data = choose(read_fcs(shared_data / "fcs_corpus" / "PeacoQC" / name))
    values = data.scaled()
    columns: dict[str, Any] = {}
    scatter = []
    time = None
    for parameter, row in zip(data.channels, values, strict=True):
        label = str(parameter.pnn)
        if parameter.time:
            time = row
        elif label == "FSC-A" or (label == "SSC-A" and scale is None):
            columns[label] = row / 262144
            scatter.append(label)
        elif label.endswith("-A"):
            # Detectors that the authors left untransformed are on a raw scale in the transformed file.
            raw = scale is None or np.median(row) > 5
            columns[label] = logicle(row) if raw else (row * np.float32(scale or 1)).astype(np.float32)
    check = check_time(columns, time, scatter=scatter)
    share = 100 * check.mask.mean()
    # The start of this run is disturbed by up to 1.8 decades in G780: all of it must go, and no more than twice.
    assert check.mask[:500].all()
    assert max(published - 1.5, 5) < share < 13
    assert not check.mask[len(check.mask) // 5 :].any()


def scatter(n: int = 20_000, doublets: float = 0.05, seed: int = 2) -> tuple[dict[str, Float32], npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    pair = rng.random(n) < doublets
    height = np.clip(rng.normal(0.3, 0.08, n), 0.05, 0.9)
    ratio = np.exp(rng.normal(0, 0.035, n)) * np.where(pair, rng.uniform(1.5, 1.95, n), 1.0)
    columns = {"FSC-A": height * ratio, "FSC-H": height, "FSC-W": 0.24 * ratio, "SSC-A": rng.uniform(0.02, 0.6, n)}
    return {name: values.astype(np.float32) for name, values in columns.items()}, pair


@pytest.mark.parametrize("partners", [("FSC-H", "FSC-W"), ("FSC-W",), ("SSC-H", "FSC-W")])
def test_doublets_are_found_by_whichever_signal_exists(partners: tuple[str, ...]) -> None:
    columns, pair = scatter()
    band = find_doublet_band(columns, partners=partners)
    inside = band.inside(columns)
    assert band.kind == ("ratio" if partners[0] == "FSC-H" else "width")
    assert inside[~pair].mean() > 0.995
    assert inside[pair].mean() < 0.02


def test_the_band_as_polygon_selects_the_same_events() -> None:
    from flowkit import gates

    columns, _ = scatter(3000)
    band = find_doublet_band(columns, partners=("FSC-H",))
    polygon = np.array(band.vertices(), dtype=np.float64)
    points = np.column_stack([columns[band.x], columns[band.y]]).astype(np.float64)
    inside = np.ones(len(points), dtype=bool)
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        edge, offset = end - start, points - start
        inside &= edge[0] * offset[:, 1] - edge[1] * offset[:, 0] <= 1e-9
    assert gates is not None
    assert (inside == band.inside(columns)).mean() > 0.9995


def test_without_height_and_width_nothing_is_excluded_and_the_reason_is_given() -> None:
    columns, _ = scatter()
    band = find_doublet_band({"FSC-A": columns["FSC-A"]})
    assert band.kind == "none"
    assert "FSC-H" in band.reason
    assert band.inside({"FSC-A": columns["FSC-A"]}).all()


@pytest.mark.parametrize("n", [0, 50])
def test_few_events_give_no_band(n: int) -> None:
    columns, _ = scatter(n)
    assert find_doublet_band(columns).kind == "none"


def test_constant_width_gives_no_band() -> None:
    columns, _ = scatter(1000)
    columns["FSC-W"][:] = 0.25
    assert find_doublet_band(columns, partners=("FSC-W",)).kind == "none"


def real(shared_data: Path, name: str) -> tuple[dict[str, Any], Any]:
    import pandas as pd

    from flowmrd.fcs.reader import choose, read_fcs

    folder = shared_data / "ball" / "real"
    data = choose(read_fcs(folder / f"{name}.fcs"))
    values = data.scaled()
    columns = {str(p.pnn): values[i] / np.float32(262144) for i, p in enumerate(data.channels)}
    return columns, pd.read_parquet(folder / f"{name}.labels.parquet")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["ball_d15_A", "ball_d15_B"])
def test_singlets_agree_with_the_expert(shared_data: Path, name: str) -> None:
    columns, labels = real(shared_data, name)
    inside = find_doublet_band(columns).inside(columns)
    expert = labels["singlets"].to_numpy()
    everything = 2 * (inside & expert).sum() / (inside.sum() + expert.sum())
    among = inside & labels["nucleated"].to_numpy()
    nucleated = 2 * (among & expert).sum() / (among.sum() + expert.sum())
    assert everything >= 0.97
    assert nucleated >= 0.995


@pytest.mark.shared
@pytest.mark.parametrize("name", ["ball_d15_A", "ball_d15_B"])
def test_debris_cut_spares_intact_cells_and_erythroblasts(shared_data: Path, name: str) -> None:
    columns, labels = real(shared_data, name)
    debris = find_debris_cut(columns, usable=~scatter_margin(columns)).inside(columns)
    assert debris[labels["intact"].to_numpy()].mean() < 0.001
    assert debris[labels["erythroid"].to_numpy()].mean() < 0.01


def test_saturated_side_scatter_is_counted_and_not_masked() -> None:
    columns, _ = scatter(1000)
    columns["SSC-A"][:300] = 262143 / 262144
    columns["FSC-A"][990:] = 262143 / 262144
    columns["FSC-A"][980:985] = -0.001
    margin = scatter_margin(columns)
    assert margin.sum() == 15
    assert not margin[:300].any()
    assert saturated_share(columns["SSC-A"], 1.0) == pytest.approx(0.3)


def clipped_run(*, computed_width: bool) -> tuple[dict[str, Float32], npt.NDArray[np.bool_]]:
    """A tube whose forward scatter clips half of its single cells and every doublet; True for doublets."""
    rng = np.random.default_rng(31)
    n = 20_000
    area = np.exp(rng.normal(-0.1, 0.25, n))
    ratio = 0.85 * np.exp(rng.normal(0.0, 0.03, n))
    double = np.arange(n) >= 19_000
    area[double] *= 1.9
    ratio[double] *= 1.7
    top = 262143 / 262144
    stored_area, stored_height = np.minimum(area, top), np.minimum(area / ratio, top)
    width = (stored_area / stored_height if computed_width else ratio) * 0.25
    columns = {"FSC-A": stored_area, "FSC-H": stored_height, "FSC-W": width, "SSC-A": rng.uniform(0.1, 0.4, n)}
    return {name: values.astype(np.float32) for name, values in columns.items()}, double


def masked_margin(columns: dict[str, Float32]) -> npt.NDArray[np.bool_]:
    """Margin events of a tube, by bands that its other events place."""
    edges = margin_edges(columns)
    usable = ~scatter_margin(columns, edges)
    return clipped_margin(columns, edges, find_single_bands(columns, edges, usable, find_doublet_band(columns)))


def test_a_single_cell_with_clipped_forward_scatter_stays_a_cell_and_an_aggregate_does_not() -> None:
    columns, double = clipped_run(computed_width=False)
    margin = masked_margin(columns)
    clipped = scatter_margin(columns)
    assert clipped[~double].mean() > 0.5
    assert margin[~double].mean() < 0.01
    assert margin[double & clipped].mean() > 0.98
    columns["FSC-A"][:10] = 0.0
    assert masked_margin(columns)[:10].all()


def test_a_width_that_was_computed_from_clipped_values_keeps_no_event_whose_area_is_clipped() -> None:
    columns, double = clipped_run(computed_width=True)
    margin = masked_margin(columns)
    area = columns["FSC-A"] >= 0.9999
    assert margin[area].all()
    only_height = ~area & (columns["FSC-H"] >= 0.9999)
    assert only_height.sum() > 1000
    assert margin[only_height & ~double].mean() < 0.2  # the true ratio of the others may be that of a doublet
    without = {name: values for name, values in columns.items() if name != "FSC-W"}
    assert np.array_equal(masked_margin(without), margin)
    del columns["FSC-H"]
    assert masked_margin(columns)[area].all(), "as in real tubes, which have area and width alone"


def test_a_pulse_width_alone_tells_clipped_cells_from_aggregates() -> None:
    columns, double = clipped_run(computed_width=False)
    del columns["FSC-H"]
    clipped = scatter_margin(columns)
    margin = masked_margin(columns)
    assert margin[~double].mean() < 0.01
    assert margin[double & clipped].mean() > 0.98


def test_dead_cells_are_cut_at_the_valley_and_one_population_is_left_alone() -> None:
    rng = np.random.default_rng(8)
    alive, dead = rng.normal(0.3, 0.06, 20_000), rng.normal(0.75, 0.05, 400)
    usable = np.ones(20_400, dtype=bool)
    cut = find_dye_cut("dye", np.concatenate([alive, dead]), masked_side="above", usable=usable)
    assert cut.value is not None
    assert 0.45 < cut.value < 0.68
    only = find_dye_cut("dye", rng.normal(0.3, 0.06, 20_400), masked_side="above", usable=usable)
    assert only.value is None
    assert not only.masked(alive).any()
    assert only.reason


KINDS = {
    "FSC-A": ChannelKind.SCATTER,
    "FSC-H": ChannelKind.SCATTER,
    "FSC-W": ChannelKind.SCATTER,
    "SSC-A": ChannelKind.SCATTER,
    "CD19": ChannelKind.ANTIBODY,
    "CD45": ChannelKind.ANTIBODY,
    "Time": ChannelKind.TIME,
}


def tube(n: int) -> dict[str, Float32]:
    columns, time = run(n=n)
    return {**columns, **scatter(n)[0], "Time": time}


@pytest.mark.parametrize("n", [0, 1, 150, 5000])
def test_masks_have_one_value_an_event_at_any_size(n: int) -> None:
    masks = build_masks(tube(n), KINDS, np.zeros(n, dtype=bool), QualityConfig())
    assert tuple(masks.masks) == STEPS
    assert all(len(mask) == n and mask.dtype == np.bool_ for mask in masks.masks.values())


def test_a_tube_in_which_every_event_is_saturated_says_what_could_not_be_judged() -> None:
    columns = {name: np.full(5000, 262143 / 262144, dtype=np.float32) for name in KINDS}
    masks = build_masks(columns, KINDS, np.zeros(5000, dtype=bool), QualityConfig())
    assert masks.masks["margin"].all()
    assert {flag.code for flag in masks.flags} >= {"TIME_NOT_CHECKED", "DOUBLETS_NOT_CHECKED", "SCATTER_SATURATED"}
    assert attrition(masks)[-1].remaining == 0


def test_attrition_adds_up_and_ends_with_what_no_mask_took() -> None:
    columns = tube(20_000)
    columns["FSC-A"][:100] = 1.0
    nonfinite = np.zeros(20_000, dtype=bool)
    nonfinite[50:60] = True
    columns["CD19"][50:60] = np.nan
    masks = build_masks(columns, KINDS, nonfinite, QualityConfig())
    rows = attrition(masks)
    assert [row.step for row in rows] == ["acquired", *STEPS]
    for before, row in pairwise(rows):
        assert row.remaining == before.remaining - row.removed
        assert row.removed <= row.masked
    left = ~np.logical_or.reduce(list(masks.masks.values()))
    assert rows[-1].remaining == int(left.sum())
    assert rows[1].as_json() == {"step": "nonfinite", "masked": 10, "removed": 10, "remaining": 19_990}


def test_an_acquisition_disturbed_for_too_long_fails_the_tube() -> None:
    columns = tube(20_000)
    columns["CD19"][:8_000] += 0.2
    flags = build_masks(columns, KINDS, np.zeros(20_000, dtype=bool), QualityConfig()).flags
    assert "TIME_UNSTABLE" in [flag.code for flag in flags]

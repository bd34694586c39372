"""The preprocess stage and the transform reference, on small simulated tubes and on real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowmrd.config import Role, RunConfig, Sample
from flowmrd.config.run import CompensationConfig, QualityConfig, TransformConfig
from flowmrd.errors import CompensationError, TransformError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess, preprocess_file
from flowmrd.stages.spillover_reference import spillover_reference
from flowmrd.stages.transform_reference import transform_reference
from flowmrd.store import open_columns, read_json

DYES = ("CD66b", "CD22", "CD24", "CD34", "CD19", "CD10", "CD38", "CD20", "CD58", "CD45")
SPILL = np.eye(10) + 0.1 * np.eye(10, k=1) + 0.03 * np.eye(10, k=-1)


@pytest.fixture(scope="module")
def panel() -> PanelModel:
    return load_panel(PANELS / "ino10.yaml")


def config(**sections: Any) -> RunConfig:
    return RunConfig(panel="ino10", samples="samples.tsv", **sections)


def write_tube(
    path: Path,
    *,
    n: int = 4000,
    seed: int = 1,
    spill: np.ndarray | None = SPILL,
    top: int = 262144,
    size: int | None = None,
    stain: str | None = None,
    broken: int = 0,
    height: bool = True,
    prefix: str = "",
) -> np.ndarray:
    """Write a simulated tube; returns the dyes' true values, shape (10, n)."""
    rng = np.random.default_rng(seed)
    true = rng.normal(50, 60, (10, n))
    for row, marker in enumerate(DYES):
        if stain in (None, marker):
            bright = rng.random(n) < 0.4
            true[row, bright] += np.exp(rng.normal(9, 0.5, int(bright.sum())))
    measured = (SPILL.T @ true).astype(np.float32)
    measured[3, :broken] = np.nan
    fsc = np.clip(rng.normal(0.3, 0.08, n), 0.05, 0.9).astype(np.float32) * (size or top)
    ssc = np.clip(rng.normal(0.2, 0.08, n), 0.01, 0.9).astype(np.float32) * (size or top)
    columns = [fsc, fsc * 0.96, ssc, *measured, np.arange(n, dtype=np.float32)]
    specs = [ChannelSpec("FSC-A", range=top), ChannelSpec("FSC-H", range=top), ChannelSpec("SSC-A", range=top)]
    specs += [ChannelSpec(f"{prefix}FL{i}-A", pns=marker, range=top) for i, marker in enumerate(DYES, 1)]
    specs.append(ChannelSpec("Time", range=top))
    if not height:
        del columns[1], specs[1]
    keywords = {"$TIMESTEP": "0.01"}
    if spill is not None:
        names = ",".join(f"{prefix}FL{i}-A" for i in range(1, 11))
        keywords["$SPILLOVER"] = f"10,{names}," + ",".join(f"{value:g}" for value in spill.ravel())
    write_fcs(path, columns, specs, keywords)
    return true


def ingested(folder: Path, panel: PanelModel, name: str = "tube", **how: Any) -> tuple[Path, Path, np.ndarray]:
    true = write_tube(folder / f"{name}.fcs", **how)
    events, record = folder / f"{name}.events.arrow", folder / f"{name}.ingest.json"
    ingest(folder / f"{name}.fcs", panel=panel, sample=name, events=events, record=record)
    return events, record, true


def run(
    folder: Path, panel: PanelModel, settings: RunConfig | None = None, **how: Any
) -> tuple[Any, dict[str, Any], np.ndarray]:
    stage = {key: how.pop(key) for key in ("transforms", "sample", "spillover", "base") if key in how}
    events, record, true = ingested(folder, panel, **how)
    out, qc = folder / "out.arrow", folder / "qc.json"
    stage.setdefault("transforms", None)
    preprocess(events, record, panel=panel, config=settings or config(), out=out, qc=qc, **stage)
    return open_columns(out), read_json(qc), true


def codes(qc: dict[str, Any]) -> dict[str, str]:
    return {flag["code"]: flag["level"] for flag in qc["flags"]}


def test_columns_hold_the_compensated_value_on_the_recorded_scale(tmp_path: Path, panel: PanelModel) -> None:
    store, qc, true = run(tmp_path, panel)
    scales = json.loads(store.metadata["transforms"])
    assert scales == qc["transforms"]
    assert store.n_events == 4000
    for row, marker in enumerate(DYES):
        scale = ChannelScale(**scales[marker])
        assert scale.T == 262144
        assert np.abs(store[marker] - scale.apply(true[row].astype(np.float32))).max() < 2e-5


def test_time_is_in_seconds_and_scatter_is_a_share_of_its_range(tmp_path: Path, panel: PanelModel) -> None:
    store, qc, _ = run(tmp_path, panel)
    assert store["Time"][100] == pytest.approx(1.0)
    assert qc["transforms"]["FSC-A"]["kind"] == "linear"
    raw = open_columns(tmp_path / "tube.events.arrow")
    assert np.allclose(store["FSC-A"] * 262144, raw["FSC-A"], rtol=1e-6)
    assert "Time" not in qc["transforms"]


def test_events_keep_their_number_and_order_and_masks_are_columns(tmp_path: Path, panel: PanelModel) -> None:
    store, qc, _ = run(tmp_path, panel)
    masks = [name for name in store if name.startswith("mask_") and "offscale" not in name]
    assert masks == [f"mask_{row['step']}" for row in qc["attrition"][1:]]
    assert all(store[name].dtype == np.bool_ for name in masks)
    assert qc["attrition"][0]["remaining"] == qc["events"] == store.n_events


def test_stored_events_are_not_changed(tmp_path: Path, panel: PanelModel) -> None:
    events, record, _ = ingested(tmp_path, panel)
    before = events.read_bytes()
    preprocess(
        events, record, panel=panel, config=config(), transforms=None, out=tmp_path / "o.arrow", qc=tmp_path / "q.json"
    )
    assert events.read_bytes() == before


def test_same_input_gives_the_same_bytes(tmp_path: Path, panel: PanelModel) -> None:
    run(tmp_path, panel)
    first = (tmp_path / "out.arrow").read_bytes(), (tmp_path / "qc.json").read_bytes()
    run(tmp_path, panel)
    assert ((tmp_path / "out.arrow").read_bytes(), (tmp_path / "qc.json").read_bytes()) == first


def test_single_file_command_gives_the_columns_of_the_stages(tmp_path: Path, panel: PanelModel) -> None:
    store, _, _ = run(tmp_path, panel, config(transform=TransformConfig(width="sample")))
    preprocess_file(tmp_path / "tube.fcs", panel=panel, config=config(), out=tmp_path / "single.arrow")
    single = open_columns(tmp_path / "single.arrow")
    assert single.names == store.names
    assert all(np.array_equal(single[name], store[name]) for name in store)
    assert sorted(path.suffix for path in tmp_path.iterdir()).count(".arrow") == 3


def test_no_matrix_is_refused_unless_the_configuration_says_none(tmp_path: Path, panel: PanelModel) -> None:
    with pytest.raises(CompensationError, match="compensation: none"):
        run(tmp_path, panel, spill=None)
    _, qc, _ = run(tmp_path, panel, config(compensation="none"), spill=None)
    assert qc["compensation"]["source"] == "none"
    assert codes(qc)["NOT_COMPENSATED"] == "info"


@pytest.mark.parametrize("spill", [np.ones((10, 10)), SPILL[:9]])
def test_singular_and_malformed_matrices_are_refused(tmp_path: Path, panel: PanelModel, spill: np.ndarray) -> None:
    with pytest.raises(CompensationError):
        run(tmp_path, panel, spill=spill)
    assert not (tmp_path / "out.arrow").exists()


def test_an_ill_conditioned_matrix_is_flagged(tmp_path: Path, panel: PanelModel) -> None:
    steep = np.eye(10)
    steep[0, 1], steep[1, 0] = 0.99, 0.99
    _, qc, _ = run(tmp_path, panel, spill=steep, n=500)  # too few events to tell that it is not theirs
    assert codes(qc)["SPILLOVER_ILL_CONDITIONED"] == "warn"
    assert qc["compensation"]["condition"] > 50


def test_a_percent_matrix_gives_the_values_of_the_fraction_matrix(tmp_path: Path, panel: PanelModel) -> None:
    store, _, _ = run(tmp_path, panel)
    plain = {name: store[name].copy() for name in DYES}
    store, qc, _ = run(tmp_path, panel, spill=100 * SPILL)
    assert "percent" in qc["compensation"]["notes"][0]
    assert all(np.allclose(store[name], plain[name], atol=1e-6) for name in DYES)


def test_the_batchs_csv_is_used(tmp_path: Path, panel: PanelModel) -> None:
    wrong = np.eye(10)
    for name, matrix in (("b1", SPILL), ("default", wrong)):
        lines = [",".join(f"FL{i}-A" for i in range(1, 11))]
        lines += [",".join(f"{value:g}" for value in row) for row in matrix]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    settings = config(compensation=CompensationConfig(source="csv", csv={"b1": "b1.csv", "default": "default.csv"}))
    tube = Sample("tube", "P", Role.FOLLOWUP, tmp_path / "tube.fcs", batch="b1")
    _, qc, _ = run(tmp_path, panel, settings, spill=None, sample=tube, base=tmp_path)
    assert qc["compensation"]["source"] == "csv:b1.csv"
    assert np.allclose(qc["compensation"]["matrix"], SPILL)
    tube = Sample("tube", "P", Role.FOLLOWUP, tmp_path / "tube.fcs", batch="b2")
    _, qc, _ = run(tmp_path, panel, settings, spill=None, sample=tube, base=tmp_path)
    assert "SPILLOVER_IDENTITY" in codes(qc)


def test_a_matrix_from_single_stains_is_computed_and_used(tmp_path: Path, panel: PanelModel) -> None:
    tubes = {}
    for row, marker in enumerate(DYES):
        events, record, _ = ingested(tmp_path, panel, f"s{row}", stain=marker, spill=None, seed=row, n=6000)
        tubes[f"s{row}"] = (events, record, marker if row else "FITC")
    out = tmp_path / "spillover.csv"
    spillover_reference(tubes, panel=panel, out=out)
    settings = config(compensation=CompensationConfig(source="controls"))
    _, qc, _ = run(tmp_path, panel, settings, spill=None, spillover=out)
    assert np.abs(np.array(qc["compensation"]["matrix"]) - SPILL).max() < 0.005
    with pytest.raises(CompensationError, match="single-stain"):
        run(tmp_path, panel, settings, spill=None)


def test_a_few_non_finite_events_are_masked_and_many_fail_the_tube(tmp_path: Path, panel: PanelModel) -> None:
    store, qc, _ = run(tmp_path, panel, broken=3)
    assert store["mask_nonfinite"].sum() == 3
    assert store["mask_nonfinite"][:3].all()
    assert codes(qc)["NONFINITE_EVENTS"] == "info"
    assert qc["attrition"][1]["removed"] == 3
    with pytest.raises(TransformError, match="10 of 4000"):
        run(tmp_path, panel, broken=10)
    _, qc, _ = run(tmp_path, panel, config(quality=QualityConfig(nonfinite_max=0.01)), broken=10)
    assert qc["attrition"][1]["removed"] == 10


@pytest.mark.parametrize("n", [0, 1, 60])
def test_tiny_tubes_give_whole_files_and_fail_by_flag(tmp_path: Path, panel: PanelModel, n: int) -> None:
    store, qc, _ = run(tmp_path, panel, n=n)
    assert store.n_events == n
    assert codes(qc)["TOO_FEW_EVENTS_ACQUIRED"] == "fail"


def test_without_height_and_width_doublets_are_said_to_be_unchecked(tmp_path: Path, panel: PanelModel) -> None:
    store, qc, _ = run(tmp_path, panel, height=False)
    assert not store["mask_doublet"].any()
    assert codes(qc)["DOUBLETS_NOT_CHECKED"] == "warn"


@pytest.mark.parametrize(("top", "expected", "source"), [(1048576, 1048576.0, "file"), (1024, 262144.0, "ladder")])
def test_top_of_scale_follows_the_instrument(
    tmp_path: Path, panel: PanelModel, top: int, expected: float, source: str
) -> None:
    _, qc, _ = run(tmp_path, panel, top=top)
    assert qc["transforms"]["CD19"]["T"] == expected
    assert qc["transforms"]["CD19"]["T_source"] == source


def test_controls_freeze_the_scale_of_every_other_tube(tmp_path: Path, panel: PanelModel) -> None:
    controls = {name: ingested(tmp_path, panel, name, seed=seed)[:2] for name, seed in (("c1", 11), ("c2", 12))}
    frozen = tmp_path / "transform.json"
    transform_reference(controls, panel=panel, config=config(), out=frozen)
    learned = read_json(frozen)
    assert learned["controls"] == ["c1", "c2"]
    entry = learned["channels"]["CD19"]
    assert entry["W_source"] == "controls"
    widths = [entry["per_control"][name]["W"] for name in controls]
    assert entry["W"] == pytest.approx(sum(widths) / 2)
    for seed in (1, 2):
        _, qc, _ = run(tmp_path, panel, transforms=frozen, seed=seed)
        assert qc["transforms"]["CD19"]["W"] == entry["W"]
        assert "LOGICLE_WIDTH_DEFAULT" not in codes(qc)
    _, qc, _ = run(tmp_path, panel, config(transform=TransformConfig(width="sample")), transforms=frozen)
    assert qc["transforms"]["CD19"]["W_source"] == "sample"


@pytest.mark.parametrize(
    ("size", "code", "level"),
    [(262144, "RANGE_DIFFERS_FROM_CONTROLS", "warn"), (1048576, "SCALE_OF_ANOTHER_INSTRUMENT", "fail")],
)
def test_a_tube_of_another_range_than_its_controls_is_flagged_and_one_with_other_numbers_is_not_evaluable(
    tmp_path: Path, panel: PanelModel, size: int, code: str, level: str
) -> None:
    controls = {"c1": ingested(tmp_path, panel, "c1", seed=11)[:2]}
    transform_reference(controls, panel=panel, config=config(), out=tmp_path / "transform.json")
    _, qc, _ = run(tmp_path, panel, transforms=tmp_path / "transform.json", top=1048576, size=size)
    assert codes(qc)[code] == level
    assert len(codes(qc).keys() & {"RANGE_DIFFERS_FROM_CONTROLS", "SCALE_OF_ANOTHER_INSTRUMENT"}) == 1
    assert qc["transforms"]["CD19"]["T"] == 262144


def test_without_controls_the_default_width_is_used_and_said(tmp_path: Path, panel: PanelModel) -> None:
    _, qc, _ = run(tmp_path, panel)
    assert qc["transforms"]["CD19"]["W"] == 0.75
    assert codes(qc)["LOGICLE_WIDTH_DEFAULT"] == "info"


def test_qc_json_stays_small_however_many_events_there_are(tmp_path: Path, panel: PanelModel) -> None:
    _, qc, _ = run(tmp_path, panel, n=120_000)
    assert len(qc["time"]["bins"]) <= 200
    assert (tmp_path / "qc.json").stat().st_size < 250_000
    assert len(qc["time"]["bins"][0]["medians"]) == len(qc["time"]["channels"])


@pytest.mark.shared
def test_a_real_tube_gives_the_laboratorys_logicle_values(tmp_path: Path, shared_data: Path) -> None:
    import pandas as pd

    folder = shared_data / "ball" / "real"
    axes = json.loads((folder / "ball_d15_A.gates.json").read_text())["axes"]
    vienna = load_panel(PANELS / "vienna_b8.yaml")
    channels = []
    for channel in vienna.channels:
        known = axes.get(channel.marker, {}).get("transform")
        settings = known and known["type"] == "logicle" and {key: known[key] for key in ("T", "M", "W", "A")}
        changed = channel.transform.model_copy(update=settings) if settings else channel.transform
        channels.append(channel.model_copy(update={"transform": changed}))
    laboratory = vienna.model_copy(update={"channels": tuple(channels)})
    preprocess_file(
        folder / "ball_d15_A.fcs", panel=laboratory, config=config(), out=tmp_path / "a.arrow", qc=tmp_path / "qc.json"
    )
    store = open_columns(tmp_path / "a.arrow")
    labels = pd.read_parquet(folder / "ball_d15_A.labels.parquet")
    for gate in json.loads((folder / "ball_d15_A.gates.json").read_text())["gates"]:
        parent = labels[gate["parent"]].to_numpy() if gate["parent"] else np.ones(store.n_events, dtype=bool)
        inside = parent & in_polygon(store[gate["x"]], store[gate["y"]], np.array(gate["vertices"]))
        expert = labels[gate["name"]].to_numpy()
        # Event 0 is damaged in the public copy; float32 may move an event that lies on an edge.
        assert (inside[1:] != expert[1:]).sum() <= 2, gate["name"]


def in_polygon(x: Any, y: Any, vertices: np.ndarray) -> np.ndarray:
    """Even-odd rule."""
    inside = np.zeros(len(x), dtype=bool)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


@pytest.mark.parametrize("prefix", ["Comp-", "FJComp-", "comp_"])
def test_a_matrix_is_not_applied_to_what_an_export_has_compensated(
    tmp_path: Path, panel: PanelModel, prefix: str
) -> None:
    with pytest.raises(CompensationError, match="compensated before the export"):
        run(tmp_path, panel, prefix=prefix)
    _, qc, _ = run(tmp_path, panel, config(compensation="none"), prefix=prefix)
    assert qc["compensation"]["source"] == "none"


def test_a_matrix_with_percent_beside_ones_is_refused(tmp_path: Path, panel: PanelModel) -> None:
    with pytest.raises(CompensationError, match="coefficients in percent"):
        run(tmp_path, panel, spill=np.eye(10) + (SPILL - np.eye(10)) * 100)

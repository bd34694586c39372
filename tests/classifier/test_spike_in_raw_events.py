"""Cells that are added to a tube as raw events: what happens to them is what happens to events of the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flowmrd.classifier.excluded_cells import find_excluded
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.spike_in_raw_events import RawChain, as_raw_tube
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import leukaemia_of, tube_seed
from flowmrd.simulate.populations import DISEASED
from flowmrd.simulate.tube import TubeSpec, simulate_tube
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from flowmrd.units import LOGICLE_M

CELLS = 200


@pytest.fixture(scope="module")
def panel() -> PanelModel:
    return load_panel(PANELS / "ino10.yaml")


@pytest.fixture(scope="module")
def raw(panel: PanelModel, tmp_path_factory: pytest.TempPathFactory) -> Tube:
    path = tmp_path_factory.mktemp("chain") / "tube.fcs"
    spec = TubeSpec(20_000, DISEASED, leukaemia_of(3, "P1"), 0.05, person_seed=3)
    write_tube(path, simulate_tube(spec, panel, tube_seed(3, "tube")))
    return read_tube(path, panel)


@pytest.fixture(scope="module")
def tube(raw: Tube) -> Tube:
    return gate(preprocess(raw))


@pytest.fixture(scope="module")
def blasts(tube: Tube) -> tuple[np.ndarray, tuple[str, ...]]:
    features = tuple(name for name in tube.panel.features if name in tube.columns)
    rows = np.flatnonzero(tube.gate("route_precursor"))[:CELLS]
    return np.stack([tube.columns[name][rows] * np.float32(LOGICLE_M) for name in features], axis=1), features


def with_cells_in_the_file(raw: Tube, added: Tube) -> Tube:
    assert added.positions is not None
    joined = {name: np.concatenate([raw.raw[name], added.raw[name]]) for name in added.raw}
    return replace(raw, raw=joined, positions=np.concatenate([np.arange(raw.n_events), added.positions]))


def test_computing_only_the_added_cells_equals_a_run_with_the_cells_in_the_file(
    raw: Tube, tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    cells, features = blasts
    added = as_raw_tube(tube, cells, features, {}, ClassifierParameters(seed=1))
    alone = gate(preprocess(added, placed=tube.placed), placed=tube.placed)
    whole = gate(preprocess(with_cells_in_the_file(raw, added), placed=tube.placed), placed=tube.placed)
    for name in features:
        assert np.array_equal(whole.columns[name][-CELLS:], alone.columns[name])
        assert np.array_equal(whole.columns[name][:-CELLS], tube.columns[name])
    for name in tube.gate_names:
        assert np.array_equal(whole.gate(name)[-CELLS:], alone.gate(name)), name
    for step, mask in alone.masks.items():
        assert np.array_equal(whole.masks[step][-CELLS:], mask), step


def test_a_run_that_places_every_threshold_anew_keeps_the_same_cells(
    raw: Tube, tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    cells, features = blasts
    passed = RawChain(tube, ClassifierParameters(seed=1))(cells, features, {})
    added = as_raw_tube(tube, cells, features, {}, ClassifierParameters(seed=1))
    file = with_cells_in_the_file(raw, added)
    assert file.positions is not None
    order = np.argsort(file.positions, kind="stable")  # in the file, every cell stands where it was acquired
    there = np.flatnonzero(order >= raw.n_events)
    anew = gate(preprocess(replace(file, raw={name: one[order] for name, one in file.raw.items()}, positions=None)))
    for step, name in (("singlets", "singlets"), ("nucleated", "nucleated"), ("window", "possible_b_lineage")):
        kept = (anew.analysable() & anew.gate(name))[there]
        assert abs(int(kept.sum()) - int(passed.kept[step].sum())) <= 0.02 * CELLS


def test_added_cells_come_back_with_the_values_they_were_given(
    tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    cells, features = blasts
    passed = RawChain(tube, ClassifierParameters(seed=1))(cells, features, {})
    on_scale = (cells < 0.97 * LOGICLE_M).all(axis=1)
    np.testing.assert_allclose(passed.values[on_scale], cells[on_scale], atol=2e-3)


def test_the_spike_in_loses_the_cells_that_a_gate_loses(tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]]) -> None:
    cells, features = blasts
    passed = RawChain(tube, ClassifierParameters(seed=1))(
        cells,
        features,
        {"FSC-W": np.full(CELLS, 0.9, dtype=np.float32), "FSC-H": np.full(CELLS, 0.05, dtype=np.float32)},
    )
    assert passed.kept["masks"].mean() > 0.9
    assert passed.kept["singlets"].mean() < 0.05


def test_cells_of_a_phenotype_that_a_gate_took_away_are_found_with_the_reason(
    raw: Tube, tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    cells, features = blasts
    rng = np.random.default_rng(4)
    centre = np.median(cells, axis=0)
    lost = (centre + rng.normal(0.0, 0.1, (60, len(features)))).astype(np.float32)
    wide = {"FSC-W": np.full(60, 0.9, np.float32), "FSC-H": np.full(60, 0.05, np.float32)}
    added = as_raw_tube(tube, lost, features, wide, ClassifierParameters(seed=1))
    whole = gate(preprocess(with_cells_in_the_file(raw, added), placed=tube.placed), placed=tube.placed)
    place = Mixture(np.ones(1), centre[None].astype(float), 0.15**2 * np.eye(len(features))[None])
    normal = Mixture(np.ones(1), centre[None] - 1.0, 0.2**2 * np.eye(len(features))[None])
    model = TubeModel(normal, np.zeros(len(features)), 0.0, 0.0)
    before = find_excluded(tube, features, [place], model, 4.0, ClassifierParameters())
    found = find_excluded(whole, features, [place], model, 4.0, ClassifierParameters())
    assert found.events["doublets"] - before.events.get("doublets", 0) >= 50
    assert set(found.rows) - set(before.rows) <= set(range(raw.n_events, raw.n_events + 60))


@pytest.mark.parametrize(("counted", "named"), [(0, False), (3, False), (1200, True)])
def test_cells_of_an_unstable_stretch_are_named_where_the_rest_of_the_run_holds_as_many(
    tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]], counted: int, named: bool
) -> None:
    cells, features = blasts
    centre = np.median(cells, axis=0)
    stretch = np.zeros(tube.n_events, dtype=np.bool_)
    stretch[: tube.n_events // 20] = True
    rows = np.flatnonzero(stretch & ~tube.masks["offscale"] & ~tube.masks["nonfinite"])[:60]
    columns = {name: np.array(values) for name, values in tube.columns.items()}
    for place, name in enumerate(features):
        columns[name][rows] = centre[place] / LOGICLE_M
    moved = replace(tube, columns=columns, masks={**tube.masks, "time": stretch})
    at = Mixture(np.ones(1), centre[None].astype(float), 0.02**2 * np.eye(len(features))[None])
    normal = Mixture(np.ones(1), centre[None] - 1.0, 0.2**2 * np.eye(len(features))[None])
    model = TubeModel(normal, np.zeros(len(features)), 0.0, 0.0)
    found = find_excluded(moved, features, [at], model, 4.0, ClassifierParameters(), counted=counted)
    assert found.events.get("in an unstable stretch of the run", 0) == (60 if named else 0)


def test_cells_put_into_a_tube_that_lacks_an_antibody_lack_it_too(
    tube: Tube, blasts: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    values, features = blasts
    column = features.index("CD19")
    chain = RawChain(tube, ClassifierParameters())
    stained, bare = chain(values, features, {}), chain(values, features, {}, ["CD45"])
    place = features.index("CD45")
    assert np.median(np.abs(stained.values[:, column] - bare.values[:, column])) < 0.1
    assert np.abs(stained.values[:, place] - values[:, place]).max() < 0.1
    assert np.median(np.abs(bare.values[:, place] - values[:, place])) > 0.1

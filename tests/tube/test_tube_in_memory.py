"""One tube in memory: what it promises to a notebook, to the stages and to the spike-in."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from flowmrd.classifier.judge_tube import classify
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.config.run import QualityConfig, RunConfig
from flowmrd.errors import ArtefactError, GateError, PanelError, UnavailableGateError
from flowmrd.gating.shapes import Polygon, Rectangle
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import TubeSpec, simulate_tube
from flowmrd.stages.gate import write_gated
from flowmrd.stages.preprocess import write_preprocessed
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from flowmrd.tube.thresholds import TubeThresholds
from flowmrd.tube.transforms import transforms_of_controls


@pytest.fixture(scope="module")
def panel() -> PanelModel:
    return load_panel(PANELS / "ino10.yaml")


@pytest.fixture(scope="module")
def fcs(tmp_path_factory: pytest.TempPathFactory, panel: PanelModel) -> Path:
    path = tmp_path_factory.mktemp("tube") / "P01.fcs"
    write_tube(path, simulate_tube(TubeSpec(nucleated=12_000, person_seed=5), panel, 5))
    return path


@pytest.fixture(scope="module")
def tube(fcs: Path, panel: PanelModel) -> Tube:
    return gate(preprocess(read_tube(fcs, panel)))


def without(tube: Tube, marker: str) -> Tube:
    """The tube as if a channel had not been measured."""
    return gate(replace(tube, columns={name: values for name, values in tube.columns.items() if name != marker}))


def test_importing_the_package_imports_no_library() -> None:
    heavy = ("numpy", "pandas", "pydantic", "pyarrow", "scipy", "sklearn")
    code = f"import flowmrd, sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_can_be_used_and_is_described() -> None:
    import flowmrd

    for name in flowmrd.__all__:
        value = getattr(flowmrd, name)
        assert name in dir(flowmrd)
        assert name == "__version__" or value.__doc__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = flowmrd.no_such_name


def test_every_parameter_and_result_of_a_public_function_is_described() -> None:
    """As ``docs/api.md`` shows it; what is passed on from scikit-learn or describes itself is left out."""
    import flowmrd

    functions: dict[str, Any] = {}
    for name in flowmrd.__all__:
        value = getattr(flowmrd, name)
        if inspect.isfunction(value):
            functions[name] = value
        elif name in {"MrdClassifier", "NormalReference"}:
            functions |= {
                f"{name}.{own}": part for own, part in vars(value).items() if inspect.isfunction(part) and own[0] != "_"
            }
    missing = {}
    for name, function in functions.items():
        described = inspect.getdoc(function) or ""
        names = [one for one in inspect.signature(function).parameters if one != "self"]
        lacks = [one for one in names if not re.search(rf"^(\w+, )*{one}(, \w+)*$", described, re.MULTILINE)]
        returns = inspect.signature(function).return_annotation not in {"None", "Self", "float"}
        if returns and "." not in name and "Returns\n-" not in described:
            lacks.append("what it returns")
        if lacks:
            missing[name] = lacks
    assert missing == {}


def test_what_was_fitted_is_taken_where_its_model_is_and_what_was_not_is_refused(tube: Tube) -> None:
    import flowmrd

    with pytest.raises(NotFittedError, match="call its fit"):
        flowmrd.classify_tube(tube, flowmrd.NormalReference())
    with pytest.raises(NotFittedError, match="call its fit"):
        flowmrd.find_laip("P01", [tube], flowmrd.NormalReference())
    with pytest.raises(flowmrd.InputError, match="did you mean CD19"):
        tube.panel.channel("CD91")


def test_in_a_notebook_too_the_library_computes_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from threadpoolctl import threadpool_info

    from flowmrd.threads import THREAD_VARIABLES, one_thread

    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    @one_thread()
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info()}

    assert threads() == threads() == {1}


@pytest.mark.parametrize("function", ["preprocess_tube", "gate_tube", "classify_tube", "find_laip"])
def test_every_step_that_computes_limits_its_threads(function: str) -> None:
    import flowmrd

    step = getattr(flowmrd, function)
    assert inspect.unwrap(step) is not step
    assert "one_thread" in inspect.getsource(step).splitlines()[0]


def test_every_array_has_one_row_per_event_of_the_file(tube: Tube) -> None:
    n = tube.ingest.n_events
    arrays: list[Any] = [*tube.raw.values(), *tube.columns.values(), *tube.masks.values(), tube.population, tube.routes]
    assert {len(values) for values in arrays} == {n}
    assert len(tube.analysable()) == len(tube.gate("nucleated")) == n == tube.n_events


def test_preprocessing_leaves_the_raw_columns_as_they_were_read(fcs: Path, panel: PanelModel) -> None:
    read = read_tube(fcs, panel)
    before = {name: values.copy() for name, values in read.raw.items()}
    preprocess(read)
    assert all(np.array_equal(read.raw[name], before[name]) for name in before)


def test_arrays_of_a_tube_are_read_only(tube: Tube, fcs: Path, panel: PanelModel) -> None:
    assert tube.population is not None
    for values in (tube.columns["CD19"], tube.raw["CD19"], tube.masks["margin"], tube.population):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0
    in_place = preprocess(read_tube(fcs, panel), overwrite=True)
    assert np.array_equal(in_place.columns["CD19"], tube.columns["CD19"])


def test_a_tube_that_was_pickled_or_copied_is_read_only_too(tube: Tube) -> None:
    for again in (pickle.loads(pickle.dumps(tube)), copy.deepcopy(tube)):
        assert again.n_events == tube.n_events
        for values in again._arrays():
            with pytest.raises(ValueError, match="read-only"):
                values[:1] = 0


def test_a_tube_and_its_panel_show_themselves_in_one_line(tube: Tube) -> None:
    assert repr(tube) == f"Tube('P01', panel ino10, {tube.n_events:,} events: read, preprocessed, gated)"
    assert repr(Tube("empty", tube.panel)) == "Tube('empty', panel ino10, 0 events: empty)"
    assert len(repr(tube.panel)) < 80


def test_a_therapy_that_is_none_of_the_sheet_is_refused_by_every_step(tube: Tube) -> None:
    import flowmrd

    for step in (
        lambda: gate(tube, prior_therapy="CD20"),
        lambda: flowmrd.MrdClassifier(prior_therapy="CD20").fit([candidates(tube).cells]).predict(tube),
    ):
        with pytest.raises(ValueError, match=r"none, cd19, cd22, cd19\+cd22"):
            step()


def test_doublets_of_a_tube_are_simulated_by_the_numbers_that_are_given(tube: Tube) -> None:
    from flowmrd.classifier.parameters import ClassifierParameters

    few, usual = (candidates(tube, ClassifierParameters(sample_cells=cells)).cells.doublets for cells in (150, 3_000))
    assert few is not None and usual is not None
    assert len(few) <= 150 < len(usual)


def test_an_unknown_gate_is_an_error_and_no_gate_without_events(tube: Tube) -> None:
    with pytest.raises(GateError, match="nucleatd") as told:
        tube.gate("nucleatd")
    assert not isinstance(told.value, UnavailableGateError)
    assert not tube.available("nucleatd")
    assert tube.gate_or_none("nucleatd") is None
    with pytest.raises(GateError, match="no such gate"):
        tube.gate_result.inside("nucleatd")


def test_a_gate_that_the_tube_cannot_have_is_told_from_an_unknown_one(tube: Tube) -> None:
    poor = without(tube, "CD20")
    lost = [name for name in poor.gate_names if not poor.available(name)]
    assert lost
    with pytest.raises(UnavailableGateError, match=r"CD20|unavailable"):
        poor.gate(lost[0])
    assert poor.gate_or_none(lost[0]) is None


def test_before_gating_every_gate_is_an_error_that_says_so(fcs: Path, panel: PanelModel) -> None:
    with pytest.raises(GateError, match="has not been gated"):
        read_tube(fcs, panel).gate("nucleated")
    with pytest.raises(ArtefactError, match="preprocess"):
        _ = read_tube(fcs, panel).placed


def test_what_is_tried_first_in_a_notebook_works_or_says_what_to_give_instead(
    fcs: Path, panel: PanelModel, tube: Tube
) -> None:
    """A step left out was "operands could not be broadcast together", a panel's name "no attribute 'channels'"."""
    read = read_tube(fcs, panel.name)
    assert read.panel == panel
    for wrong, call in (
        ("call it for each file", lambda: read_tube([fcs], panel)),  # type: ignore[arg-type]
        ("preprocess_tube takes a Tube, not str: read the file first", lambda: preprocess(str(fcs))),  # type: ignore[arg-type]
        ("gate_tube takes a Tube, not list: call it for each", lambda: gate([tube])),  # type: ignore[arg-type]
        ("transforms_of_controls takes a Tube, not str", lambda: transforms_of_controls([str(fcs)])),  # type: ignore[list-item]
        ("NormalReference.load", lambda: classify(tube, "results/reference/ino10")),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=wrong):
            call()
    with pytest.raises(PanelError, match="did you mean ino10"):
        read_tube(fcs, "ino1O")
    with pytest.raises(GateError, match="has not been preprocessed"):
        gate(read)
    with pytest.raises(GateError, match="has not been gated"):
        candidates(read)
    with pytest.raises(GateError, match="did you mean b_lineage"):
        tube.gate("b_lineag")
    named, listed = (gates_of_controls(given) for given in ({tube.name: tube}, [tube]))
    assert named.as_record() == listed.as_record()


def test_the_time_mask_is_obeyed_by_every_count(tube: Tube) -> None:
    masks = dict(tube.masks)
    masks["time"] = np.arange(tube.n_events) < tube.n_events // 3
    disturbed = replace(tube, masks=masks)
    free = replace(disturbed, quality=QualityConfig(time_mask=False))
    assert free.analysable().sum() > disturbed.analysable().sum()
    nucleated = disturbed.gate("nucleated")
    assert candidates(disturbed).cells.denominator == (nucleated & disturbed.analysable()).sum()
    assert candidates(free).cells.denominator == (nucleated & free.analysable()).sum()
    assert np.array_equal(disturbed.analysable(QualityConfig(time_mask=False)), free.analysable())


def part(tube: Tube, rows: Any) -> Tube:
    """Some events of a tube as raw events that were added to it."""
    raw = {name: np.ascontiguousarray(values[rows]) for name, values in tube.raw.items()}
    return Tube("added", tube.panel, facts=tube.facts, raw=raw, positions=rows)


def same_events(added: Tube, tube: Tube, rows: Any) -> None:
    for name, values in tube.columns.items():
        assert np.array_equal(added.columns[name], values[rows], equal_nan=True), name
    for step, mask in tube.masks.items():
        assert np.array_equal(added.masks[step], mask[rows]), step
    for name in tube.gate_names:
        if tube.available(name):
            assert np.array_equal(added.gate(name), tube.gate(name)[rows]), name
    assert added.population is not None
    assert tube.population is not None
    assert np.array_equal(added.population, tube.population[rows])


def test_added_events_meet_the_very_thresholds_of_the_tube(tube: Tube) -> None:
    rows = np.sort(np.random.default_rng(1).choice(tube.n_events, 500, replace=False))
    added = part(tube, rows)
    same_events(gate(preprocess(added, placed=tube.placed), placed=tube.placed), tube, rows)


def test_a_disturbed_stretch_masks_the_events_that_were_added_to_it(tube: Tube) -> None:
    assert tube.qc is not None
    bins = list(tube.qc.time.bins)
    middle = bins[len(bins) // 2]
    first, last = middle.first, middle.last
    bins[len(bins) // 2] = middle.model_copy(update={"bad": True})
    time = tube.qc.time.model_copy(update={"bins": tuple(bins)})
    qc = tube.qc.model_copy(update={"time": time})
    rows = np.array([first - 1, first, last, last + 1])
    added = preprocess(part(tube, rows), placed=replace(tube, qc=qc).placed)
    assert added.masks["time"].tolist() == [False, True, True, False]


def test_thresholds_and_events_come_back_from_the_files_as_they_were(tube: Tube, tmp_path: Path) -> None:
    files = TubeFiles(
        tube.name, tmp_path / "p.arrow", tmp_path / "g.arrow", qc=tmp_path / "qc.json", gates=tmp_path / "gates.json"
    )
    assert files.gated is not None
    assert files.gates is not None
    write_preprocessed(tube, files.preprocessed, files.qc)
    write_gated(tube, files.gated, populations=tmp_path / "p.tsv", gatingml=tmp_path / "g.xml", record=files.gates)
    back = tube_from_files(files, tube.panel, RunConfig(panel="ino10", samples=""))
    same_events(back, tube, np.arange(tube.n_events))
    rows = np.arange(0, tube.n_events, 7)
    placed: TubeThresholds = back.placed
    same_events(gate(preprocess(part(tube, rows), placed=placed), placed=placed), tube, rows)


def test_the_table_holds_every_column_mask_and_gate(tube: Tube) -> None:
    table = tube.to_pandas()
    assert len(table) == tube.n_events
    assert np.array_equal(table["gate_nucleated"], tube.gate("nucleated"))
    assert np.array_equal(table["mask_margin"], tube.masks["margin"])
    counts = table["population"].value_counts()
    for name, code in tube.populations.items():
        assert counts.get(name, 0) == np.count_nonzero(tube.population == code)


def test_anndata_holds_the_channels_and_says_what_they_measure(tube: Tube) -> None:
    pytest.importorskip("anndata")
    data = tube.to_anndata()
    assert data.shape == (tube.n_events, len(tube.measured))
    assert np.array_equal(data[:, "CD19"].X.ravel(), tube.columns["CD19"])
    assert data.var.loc["CD19", "fluorochrome"] == "PE-Cy7"
    assert np.array_equal(data.obs["gate_b_lineage"], tube.gate("b_lineage"))


def test_flowkit_counts_the_same_events_in_every_gate(tube: Tube) -> None:
    pytest.importorskip("flowkit")
    session = tube.to_flowkit()
    plain = [name for name, shape in tube.shapes.items() if isinstance(shape, Rectangle | Polygon)]
    assert plain
    for name in tube.gate_names:
        if tube.available(name):
            assert np.array_equal(session.get_gate_membership(tube.name, name), tube.gate(name)), name

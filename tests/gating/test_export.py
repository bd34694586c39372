from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowmrd.errors import ArtefactError
from flowmrd.simulate.cohort import write_tube
from flowmrd.stages.export import export
from flowmrd.stages.gate import gate
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess
from flowmrd.store import open_columns, read_json, write_columns


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any, tube: Any, ino10: Any, config: Any) -> Any:
    folder = tmp_path_factory.mktemp("export")
    made = tube(5, nucleated=4000)
    source = folder / "tube.fcs"
    write_tube(source, made.raw)
    paths = {name: folder / f"{name}.arrow" for name in ("events", "preprocessed", "gated", "classified")}
    ingest(source, panel=ino10, sample="T", events=paths["events"], record=folder / "ingest.json")
    preprocess(
        paths["events"], folder / "ingest.json", panel=ino10, config=config, transforms=None,
        out=paths["preprocessed"], qc=folder / "qc.json",
    )  # fmt: skip
    gate(
        paths["preprocessed"], panel=ino10, config=config, reference=None, out=paths["gated"], qc=folder / "qc.json",
        populations=folder / "populations.tsv", gatingml=folder / "gates.xml", record=folder / "gates.json",
    )  # fmt: skip
    n = made.raw.n_events
    rng = np.random.default_rng(0)
    score = rng.random(n, dtype=np.float32)
    write_columns(
        paths["classified"],
        {
            "mrd_score": score,
            "mrd": score > 0.999,
            "cluster": np.full(n, -1, dtype=np.int32),
            "group": np.full(n, 2, dtype=np.int32),
        },
    )
    outputs = {"parquet": folder / "events.parquet", "fcs": folder / "annotated.fcs"}
    inputs = (source, folder / "ingest.json", paths["preprocessed"], paths["gated"], paths["classified"])
    export(*inputs, **outputs)
    return folder, inputs, outputs


def test_the_table_has_one_row_per_event_in_file_order_with_the_contracts_columns(files: Any) -> None:
    _, inputs, outputs = files
    table = pd.read_parquet(outputs["parquet"])
    with open_columns(inputs[3]) as gated, open_columns(inputs[2]) as masks, open_columns(inputs[4]) as calls:
        assert table["event"].tolist() == list(range(gated.n_events))
        names = {code: name for name, code in json.loads(gated.metadata["populations"]).items()}
        assert table["population"].astype(str).tolist() == [names[code] for code in gated["population"]]
        assert np.array_equal(table["mrd"], calls["mrd"])
        assert np.array_equal(table["mrd_score"], calls["mrd_score"])
        expected = [name for name in masks.names if name.startswith("mask_")]
        assert [str(name) for name in table if str(name).startswith("mask_")] == expected
        for name in expected:
            assert table[name].dtype == bool
            assert np.array_equal(table[name], masks[name])
        assert np.array_equal(table["routes"].astype(str) != "", gated["routes"] > 0)
    assert isinstance(table["population"].dtype, pd.CategoricalDtype)


def test_flowkit_and_flowio_read_the_annotated_file_and_find_the_same_gates(files: Any) -> None:
    flowkit, flowio = pytest.importorskip("flowkit"), pytest.importorskip("flowio")
    folder, inputs, outputs = files
    table = pd.read_parquet(outputs["parquet"])
    data = flowio.FlowData(str(outputs["fcs"]))
    assert data.pnn_labels[-3:] == ["population", "mrd_score", "mrd"]
    values = np.reshape(data.events, (-1, data.channel_count))
    with open_columns(inputs[3]) as gated:
        assert np.array_equal(values[:, -3], gated["population"])
    assert np.allclose(values[:, -2], table["mrd_score"], atol=1e-6)
    assert np.array_equal(values[:, -1] > 0, table["mrd"])
    counts = {entry["name"]: entry["count"] for entry in read_json(folder / "gates.json")["gates"]}
    strategy = flowkit.parse_gating_xml(str(folder / "gates.xml"))
    for path in (outputs["fcs"], inputs[0]):
        theirs = strategy.gate_sample(flowkit.Sample(str(path)))
        assert {name: int(theirs.get_gate_count(name)) for name in counts} == counts


def test_original_values_are_unchanged_and_no_keyword_of_the_source_is_carried_over(files: Any) -> None:
    flowio = pytest.importorskip("flowio")
    _, inputs, outputs = files
    data, source = flowio.FlowData(str(outputs["fcs"])), flowio.FlowData(str(inputs[0]))
    ours = np.reshape(data.events, (-1, data.channel_count))
    theirs = np.reshape(source.events, (-1, source.channel_count))
    for i, name in enumerate(source.pnn_labels):
        if name != "Time":
            assert np.array_equal(ours[:, i], theirs[:, i]), name
    for key in ("$date", "date", "$fil", "fil", "$src", "src", "$op", "op"):
        assert key not in data.text


def test_the_same_input_gives_the_same_bytes(files: Any, tmp_path: Any) -> None:
    _, inputs, outputs = files
    again = {"parquet": tmp_path / "events.parquet", "fcs": tmp_path / "annotated.fcs"}
    export(*inputs, **again)
    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in outputs.items()
    }


def test_files_of_different_tubes_are_refused(files: Any, tmp_path: Any) -> None:
    _, inputs, _ = files
    write_columns(tmp_path / "gated.arrow", {"gates": np.zeros(3, dtype=np.uint64)})
    wrong = (*inputs[:3], tmp_path / "gated.arrow", inputs[4])
    with pytest.raises(ArtefactError, match="3 events"):
        export(*wrong, parquet=tmp_path / "a.parquet", fcs=tmp_path / "a.fcs")
    assert not (tmp_path / "a.parquet").exists()


def test_a_file_changed_since_it_was_ingested_is_refused(files: Any, tmp_path: Any) -> None:
    _, inputs, _ = files
    changed = tmp_path / "tube.fcs"
    content = bytearray(inputs[0].read_bytes())
    content[-20] ^= 1
    changed.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match="changed since"):
        export(changed, *inputs[1:], parquet=tmp_path / "a.parquet", fcs=tmp_path / "a.fcs")
    assert not (tmp_path / "a.fcs").exists()

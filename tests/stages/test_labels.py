"""An expert's labels of a tube."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flowmrd.cli.app import call
from flowmrd.errors import ArtefactError, GateError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.stages.labels import read_labels


def test_labels_are_read_alike_from_every_kind_of_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"event": [0, 3, 4], "blast": [True, False, True]})
    table.to_parquet(tmp_path / "a.parquet")
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    table.rename(columns={"blast": "mrd"}).to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.parquet", "a.tsv", "a.csv"):
        assert np.flatnonzero(read_labels(tmp_path / name, 6)).tolist() == [0, 4], name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row\tblast\n1\ttrue\n", "event and blast or mrd"),
        ("event\tblast\n9\ttrue\n", "from 0 to 5"),
        ("event\tblast\n-1\ttrue\n", "from 0 to 5"),
        ("event\tblast\n1.5\ttrue\n", "from 0 to 5"),
        ("event\tblast\n1\tmaybe\n", "other words than true and false"),
        ("", "cannot be read"),
    ],
)
def test_labels_of_another_tube_or_another_kind_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(text)
    with pytest.raises(ArtefactError, match=words):
        read_labels(path, 6)


def test_an_experts_gates_serve_as_labels_and_can_be_made_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fcs = tmp_path / "dx.fcs"
    pe = np.array([1, 90, 2, 95, 3], dtype=np.float32)
    write_fcs(fcs, [pe], [ChannelSpec("PE-A")])
    gates = tmp_path / "gates.xml"
    gate = (
        '<gating:RectangleGate gating:id="{}">'
        '<gating:dimension gating:compensation-ref="uncompensated" gating:min="50">'
        '<data-type:fcs-dimension data-type:name="PE-A"/></gating:dimension></gating:RectangleGate></gating:Gating-ML>'
    )
    head = (
        '<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
        'xmlns:data-type="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" '
        'xmlns:transforms="http://www.isac-net.org/std/Gating-ML/v2.0/transformations">'
    )
    gates.write_text(head + gate.format("Blasts"))
    assert np.flatnonzero(read_labels(gates, 5, fcs=fcs)).tolist() == [1, 3]
    gates.write_text(head + gate.format("P7"))
    with pytest.raises(GateError, match="flowmrd labels"):
        read_labels(gates, 5, fcs=fcs)
    for name in ("labels.parquet", "labels.tsv"):
        out = tmp_path / name
        assert call(["labels", str(fcs), str(gates), "--gate", "P7", "-o", str(out)]) == 0
        assert np.flatnonzero(read_labels(out, 5)).tolist() == [1, 3]
    assert call(["labels", str(fcs), str(gates)]) == 0
    assert "P7: 2" in capsys.readouterr().out

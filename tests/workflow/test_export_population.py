"""Events of one population for other software: the same cells as in the results."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flowmrd.cli.app import call
from flowmrd.fcs.reader import read_fcs
from workflow.runs import flowmrd

pytestmark = pytest.mark.workflow
TUBE = "P02-day21"


def export(run: Path, out: Path, *options: str) -> int:
    return call(["export", "--run", str(run), "--sample", TUBE, "-o", str(out), *options])


def result(run: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads((run / "results/samples" / TUBE / "mrd.json").read_text())
    return found


def test_csv_of_mrd_holds_the_counted_cells_by_their_rows_in_the_file(finished: Path, tmp_path: Path) -> None:
    assert export(finished, tmp_path / "mrd.csv", "--format", "csv") == 0
    with (tmp_path / "mrd.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == result(finished)["counts"]["mrd_events"] > 0
    assert {row["mrd"] for row in rows} == {"True"}
    assert len({row["event"] for row in rows}) == len(rows)


def test_anndata_of_a_gate_holds_as_many_cells_as_the_table_of_populations(finished: Path, tmp_path: Path) -> None:
    import anndata

    assert export(finished, tmp_path / "b.h5ad", "--format", "h5ad", "--population", "b_lineage") == 0
    data = anndata.read_h5ad(tmp_path / "b.h5ad")
    counted = int((data.obs["gate_b_lineage"] & ~data.obs["mask_margin"] & ~data.obs["mask_time"]).sum())
    assert data.obs["gate_b_lineage"].all()
    assert counted >= result(finished)["counts"]["b_lineage"] > 0
    assert "CD19" in data.var_names
    assert np.isfinite(data.X).all()


def test_fcs_of_everything_is_the_annotated_file(finished: Path, tmp_path: Path) -> None:
    assert export(finished, tmp_path / "all.fcs", "--format", "fcs", "--population", "all") == 0
    assert (tmp_path / "all.fcs").read_bytes() == (finished / "results/samples" / TUBE / "annotated.fcs").read_bytes()
    assert export(finished, tmp_path / "mrd.fcs", "--format", "fcs") == 0
    assert read_fcs(tmp_path / "mrd.fcs")[0].n_events == result(finished)["counts"]["mrd_events"]


def test_a_population_that_is_not_there_is_reported_with_those_that_are(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(finished, tmp_path / "x.csv", "--format", "csv", "--population", "blasts") == 2
    assert "b_lineage" in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()


def test_an_experts_gate_becomes_a_finished_tubes_own_gate_and_check_accepts_it(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))
    gates = tmp_path / "gates.xml"
    gates.write_text(
        '<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
        'xmlns:data-type="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" '
        'xmlns:transforms="http://www.isac-net.org/std/Gating-ML/v2.0/transformations">'
        '<gating:RectangleGate gating:id="singlets"><gating:dimension gating:compensation-ref="uncompensated" '
        'gating:min="30000" gating:max="200000"><data-type:fcs-dimension data-type:name="FSC-A"/></gating:dimension>'
        '</gating:RectangleGate><gating:RectangleGate gating:id="cd34_pos" gating:parent_id="singlets">'
        '<gating:dimension gating:compensation-ref="uncompensated" gating:min="1500">'
        '<data-type:fcs-dimension data-type:name="CD34"/></gating:dimension></gating:RectangleGate></gating:Gating-ML>'
    )
    done = flowmrd("override", run, gates, "--sample", "P02-dx")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 gates taken (singlets)" in done.stdout
    assert "compensated in another way" in done.stdout
    assert "FSC-A: [0.1144" in (run / "config/overrides/P02-dx.yaml").read_text()
    again = flowmrd("override", run, gates, "--sample", "P02-dx")
    assert again.returncode == 2
    assert "an override of this tube that is there already" in again.stderr
    assert flowmrd("check", run).returncode == 0

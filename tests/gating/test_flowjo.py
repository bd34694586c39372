from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowmrd.errors import ArtefactError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.gating.populations import CODES
from flowmrd.stages.flowjo import flowjo

warnings.filterwarnings("ignore")


@pytest.fixture
def annotated(tmp_path: Path) -> tuple[Path, Any]:
    rng = np.random.default_rng(0)
    codes = rng.choice([0, CODES["t_nk"], CODES["mature_b"], CODES["plasma_cells"]], 500).astype(np.float32)
    columns = [rng.random(500, dtype=np.float32) * 1000, codes, (rng.random(500) < 0.1).astype(np.float32)]
    path = tmp_path / "annotated.fcs"
    write_fcs(path, columns, [ChannelSpec("FSC-A"), ChannelSpec("population", range=16), ChannelSpec("mrd", range=2)])
    return path, columns


def test_flowkit_reads_the_workspace_back_with_every_population(tmp_path: Path, annotated: Any, ino10: Any) -> None:
    flowkit = pytest.importorskip("flowkit")
    path, (_, codes, mrd) = annotated
    (out,) = flowjo({"T1": (ino10, path)}, main_panel="ino10", folder=tmp_path / "cohort")
    assert 'name="$TOT" value="500"' in out.read_text(encoding="utf-8")
    assert out.name == "flowjo.wsp"
    workspace = flowkit.Workspace(str(out), find_fcs_files_from_wsp=True)
    workspace.analyze_samples(use_mp=False)
    counts = {
        row.gate_name: int(row["count"])
        for _, row in workspace.get_gating_results("T1_annotated.fcs").report.iterrows()
    }
    assert counts["t_nk"] == np.count_nonzero(codes == CODES["t_nk"])
    assert counts["mature_b"] == np.count_nonzero(codes == CODES["mature_b"])
    assert counts["granulocytes"] == 0
    assert counts["mrd"] == np.count_nonzero(mrd)


def test_a_workspace_has_no_time_of_writing_and_no_folder_names(tmp_path: Path, annotated: Any, ino10: Any) -> None:
    pytest.importorskip("flowkit")
    made = [flowjo({"T1": (ino10, annotated[0])}, main_panel="ino10", folder=tmp_path / name)[0] for name in "ab"]
    first, second = (path.read_bytes() for path in made)
    assert first == second
    assert str(tmp_path).encode() not in first


def test_an_unfinished_run_has_no_workspace(tmp_path: Path, ino10: Any) -> None:
    with pytest.raises(ArtefactError, match=r"no annotated\.fcs"):
        flowjo({"T1": (ino10, tmp_path / "missing.fcs")}, main_panel="ino10", folder=tmp_path)

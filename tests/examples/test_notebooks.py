"""The notebooks of ``examples`` run from the first cell to the last with the packages that are installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowmrd.home import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))


def test_there_is_a_notebook_for_every_purpose() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["anndata_and_flowkit", "one_tube", "reference_and_search"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end_and_is_kept_without_output(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("anndata")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    notebook = nbformat.read(path, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    nbclient.NotebookClient(notebook, timeout=550, kernel_name="python3").execute(cwd=str(tmp_path))

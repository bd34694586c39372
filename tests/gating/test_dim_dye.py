"""Nucleic acid dye so weak that cells and debris overlap: debris does not pass for cells of the usual dye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.gating.tree import evaluate_tree
from flowmrd.panel import load_panel

CELLS, DEBRIS = 20_000, 14_000


def tube(dye: float, n_debris: int) -> dict[str, npt.NDArray[np.float32]]:
    """Cells first, then debris."""
    rng = np.random.default_rng(3)

    def both(cells: npt.NDArray[np.float64], debris: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        return np.concatenate([cells, debris]).astype(np.float32)

    columns = {
        "FSC-A": both(0.28 * np.exp(rng.normal(0.15, 0.3, CELLS)), 0.07 * np.exp(rng.normal(0.0, 0.3, n_debris))),
        "SSC-A": both(0.09 * np.exp(rng.normal(0.0, 0.3, CELLS)), 0.05 * np.exp(rng.normal(0.0, 0.4, n_debris))),
        "FSC-W": rng.normal(0.23, 0.008, CELLS + n_debris).astype(np.float32),
        "SYTO41": both(rng.normal(dye, 0.1, CELLS), rng.normal(0.16, 0.04, n_debris)),
        "CD45": both(rng.normal(0.75, 0.05, CELLS), rng.normal(0.15, 0.03, n_debris)),
    }
    for marker in ("CD19", "CD10", "CD20", "CD34", "CD38"):
        columns[marker] = rng.normal(0.2, 0.03, CELLS + n_debris).astype(np.float32)
    return columns


@pytest.mark.parametrize(("dye", "least"), [(0.32, 0.94), (0.28, 0.88)])
def test_debris_is_not_counted_where_the_dye_of_the_cells_is_hardly_brighter(dye: float, least: float) -> None:
    nucleated = evaluate_tree(tube(dye, DEBRIS), load_panel("vienna_b8").gates).inside("nucleated")
    assert nucleated[:CELLS].mean() > least
    assert nucleated[CELLS:].mean() < 0.05


def test_a_tube_without_debris_loses_no_cell_to_its_dye_and_needs_no_stand_in_for_it() -> None:
    result = evaluate_tree(tube(0.5, 0), load_panel("vienna_b8").gates)
    assert not result.inside("debris_dye").any()
    assert result.placement("debris_dye").state == "ok"
    assert result.inside("nucleated").mean() > 0.98

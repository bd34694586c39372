"""Spillover from simulated single-stain controls with known spillover; residuals of wrong matrices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.errors import CompensationError
from flowmrd.preprocess.compensation.controls import StainControl, spillover_from_controls
from flowmrd.preprocess.compensation.residuals import measure_residuals

NAMES = ["A", "B", "C", "D"]
TRUE = np.array([[1, 0.15, 0.02, 0.001], [0.03, 1, 0.3, 0.0], [0.0, 0.01, 1, 0.08], [0.002, 0.0, 0.4, 1]])
TOPS = dict.fromkeys(NAMES, 262144.0)

Values = npt.NDArray[np.float64]


def measured(true: Values, rng: np.random.Generator) -> dict[str, Values]:
    """Detector values: spillover, photon noise at about 1 unit^0.5, electronic noise."""
    mixed = TRUE.T @ true
    mixed = mixed + rng.normal(0, 1, mixed.shape) * np.sqrt(np.abs(mixed) + 30.0**2)
    return dict(zip(NAMES, mixed, strict=True))


def control(stain: str, rng: np.random.Generator, *, n: int = 8000, positive: float = 0.5) -> StainControl:
    true = rng.normal(80, 20, (4, n))
    bright = rng.random(n) < positive
    true[NAMES.index(stain), bright] += np.exp(rng.normal(9.5, 0.4, int(bright.sum())))
    return StainControl(f"tube {stain}", stain, measured(true, rng))


def test_known_spillover_is_recovered_within_a_quarter_of_a_percent() -> None:
    rng = np.random.default_rng(1)
    found = spillover_from_controls([control(name, rng) for name in NAMES], NAMES)
    assert np.abs(found.matrix - TRUE).max() < 0.0025


def test_negative_cells_of_another_kind_do_not_bend_the_coefficients() -> None:
    rng = np.random.default_rng(12)
    n = 12_000
    kind = rng.random(n) < 0.6  # granulocytes: never stained, high side scatter, 400 units of autofluorescence
    true = rng.normal(80, 20, (4, n)) + np.where(kind, 400.0, 0.0)
    bright = ~kind & (rng.random(n) < 0.5)
    true[0, bright] += np.exp(rng.normal(8.3, 0.3, int(bright.sum())))
    side = np.where(kind, 0.6, 0.1) + rng.normal(0, 0.03, n)
    mixed = StainControl("tube A", "A", measured(true, rng), {"SSC-A": side})
    others = [control(name, rng) for name in NAMES[1:]]
    found = spillover_from_controls([mixed, *others], NAMES)
    assert np.abs(found.matrix - TRUE).max() < 0.006
    with pytest.raises(CompensationError, match="coefficient of -0"):
        spillover_from_controls([StainControl("tube A", "A", mixed.columns), *others], NAMES)


def test_all_stained_cells_use_the_unstained_tube() -> None:
    rng = np.random.default_rng(2)
    unstained = measured(rng.normal(80, 20, (4, 5000)), rng)
    controls = [control(name, rng, positive=1.0) for name in NAMES]
    found = spillover_from_controls(controls, NAMES, unstained=unstained)
    assert np.abs(found.matrix - TRUE).max() < 0.005
    with pytest.raises(CompensationError, match="no unstained control"):
        spillover_from_controls(controls, NAMES)


def test_a_missing_control_is_named() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(CompensationError, match="no control for D"):
        spillover_from_controls([control(name, rng) for name in NAMES[:3]], NAMES)


def test_two_controls_of_one_stain_are_refused() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(CompensationError, match="second control for A"):
        spillover_from_controls([control("A", rng), control("A", rng)], NAMES)


def test_an_unstained_tube_sold_as_a_control_is_refused() -> None:
    rng = np.random.default_rng(4)
    weak = StainControl("weak", "A", measured(rng.normal(80, 20, (4, 5000)), rng))
    with pytest.raises(CompensationError, match="weak"):
        spillover_from_controls([weak, *(control(name, rng) for name in NAMES[1:])], NAMES)


def test_a_rare_antigen_serves_as_well_as_a_common_one() -> None:
    rng = np.random.default_rng(5)
    rare = control("A", rng, n=20_000, positive=0.015)
    found = spillover_from_controls([rare, *(control(name, rng) for name in NAMES[1:])], NAMES)
    assert np.abs(found.matrix - TRUE).max() < 0.006


def test_too_few_stained_cells_are_refused() -> None:
    rng = np.random.default_rng(5)
    few = control("A", rng, n=2000, positive=0.02)
    with pytest.raises(CompensationError, match="tube A"):
        spillover_from_controls([few, *(control(name, rng) for name in NAMES[1:])], NAMES)


def tube(matrix: Values) -> dict[str, Values]:
    """A mixture of single-positive and negative cells, compensated with ``matrix``."""
    rng = np.random.default_rng(6)
    n = 20_000
    true = rng.normal(60, 40, (4, n))
    which = rng.integers(0, 6, n)
    for row in range(4):
        true[row, which == row] += np.exp(rng.normal(10.2, 0.4, int((which == row).sum())))
    raw = np.array(list(measured(true, rng).values()))
    return dict(zip(NAMES, np.linalg.inv(matrix).T @ raw, strict=True))


def test_the_right_matrix_leaves_no_residual() -> None:
    found = measure_residuals(tube(TRUE), TOPS)
    assert len(found) == 12
    assert {item.state for item in found} == {"ok"}


@pytest.mark.parametrize(("error", "state"), [(0.04, "over"), (-0.04, "under")])
def test_a_wrong_coefficient_is_found_with_its_sign_and_size(error: float, state: str) -> None:
    wrong = TRUE.copy()
    wrong[0, 1] += error
    found = {(item.source, item.target): item for item in measure_residuals(tube(wrong), TOPS)}
    item = found["A", "B"]
    assert item.state == state
    assert item.ratio == pytest.approx(-error, abs=0.012)
    assert sum(one.state in ("over", "under") for one in found.values()) <= 2


def test_antigens_on_the_same_cells_are_not_called_overcompensated() -> None:
    columns = tube(TRUE)
    columns["B"] = columns["B"] + 0.8 * np.maximum(columns["A"], 0)
    found = {(item.source, item.target): item.state for item in measure_residuals(columns, TOPS)}
    assert found["A", "B"] in ("undecided", "coexpressed")


def test_the_tail_of_cells_that_all_carry_an_antigen_is_not_called_overcompensated() -> None:
    """A few cells of a lower level than the negative ones, whatever their signal in the source."""
    rng = np.random.default_rng(8)
    columns = {name: rng.normal(60, 40, 20_000) for name in NAMES}
    columns["A"][:2_000] = np.exp(rng.normal(10.2, 0.4, 2_000))
    columns["B"][:1_800] = rng.normal(40_000, 4_000, 1_800)
    columns["B"][1_800:2_000] = rng.normal(-1_500, 150, 200)
    found = {(item.source, item.target): item.state for item in measure_residuals(columns, TOPS)}
    assert found["A", "B"] == "undecided"


def test_tiny_tubes_are_not_judged() -> None:
    columns = {name: np.zeros(50) for name in NAMES}
    assert measure_residuals(columns, TOPS) == []
    assert measure_residuals({name: np.empty(0) for name in NAMES}, TOPS) == []


@pytest.mark.parametrize("values", [[], [5.0], [7.0] * 500, [0.0] * 500])
@pytest.mark.parametrize("background", [None, [], [50.0] * 20])
def test_a_control_without_usable_cells_is_an_error_that_names_it(
    values: list[float], background: list[float] | None
) -> None:
    rng = np.random.default_rng(3)
    empty = StainControl("tube A", "A", {name: np.array(values) for name in NAMES})
    unstained = None if background is None else {name: np.array(background) for name in NAMES}
    with pytest.raises(CompensationError, match=r"tube A \(A\)"):
        spillover_from_controls([empty, *(control(name, rng) for name in NAMES[1:])], NAMES, unstained=unstained)


def test_an_unstained_tube_without_cells_is_an_error() -> None:
    rng = np.random.default_rng(4)
    all_stained = control("A", rng, positive=1.1)
    others = [control(name, rng) for name in NAMES[1:]]
    with pytest.raises(CompensationError, match="0 usable events in the unstained"):
        spillover_from_controls([all_stained, *others], NAMES, unstained={name: np.empty(0) for name in NAMES})

"""Compensated already, another file's matrix, not linear: told from the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from channels import channel
from flowmrd.config.run import RunConfig
from flowmrd.errors import CompensationError, InputError, TransformError
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.preprocess.compensation import check_spillover
from flowmrd.preprocess.compensation.evidence import judge_values, refuse_transformed, residual_pairs
from flowmrd.preprocess.compensation.source import find_spillover
from flowmrd.preprocess.transform.logicle import logicle
from flowmrd.records.ingest import ChannelEntry, HeaderFacts, SpilloverEntry
from flowmrd.simulate.populations import AFTER_ANTI_B, Code
from flowmrd.simulate.tube import TubeSpec, simulate_tube

Values = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def tube() -> tuple[list[str], Values, Values, HeaderFacts]:
    """Columns, raw values (n, 10) of a clean marrow, its matrix, and what a header would say."""
    panel = load_panel(PANELS / "ino10.yaml")
    made = simulate_tube(TubeSpec(nucleated=12_000), panel, seed=3)
    dyes = made.cytometer.fluorescence
    names = [detector.marker for detector in dyes]
    raw = np.column_stack([made.columns[detector.pnn] for detector in dyes]).astype(np.float64)
    channels = [channel(name, d.pnn, pns=name, range=262144) for name, d in zip(names, dyes, strict=True)]
    return names, raw, np.asarray(made.cytometer.spill), HeaderFacts(channels=tuple(channels))


def judged(tube: Any, raw: Values, matrix: Values | None) -> list[Any]:
    names, _, _, record = tube
    spillover = None if matrix is None else check_spillover("tube", names, matrix, source="test")
    return judge_values(dict(zip(names, raw.T, strict=True)), record, spillover, where="tube")


def test_the_right_matrix_is_not_objected_to(tube: Any) -> None:
    _, raw, spill, _ = tube
    assert judged(tube, raw, spill) == []
    assert judged(tube, raw @ np.linalg.inv(spill), None) == []


def test_values_compensated_before_are_reported_and_named(tube: Any) -> None:
    _, raw, spill, _ = tube
    with pytest.raises(CompensationError, match="below zero after compensation"):
        judged(tube, raw @ np.linalg.inv(spill), spill)


def test_a_transposed_matrix_is_reported_and_named(tube: Any) -> None:
    _, raw, spill, _ = tube
    with pytest.raises(CompensationError, match="rows and columns look exchanged"):
        judged(tube, raw, spill.T)


def test_doubled_coefficients_are_reported(tube: Any) -> None:
    _, raw, spill, _ = tube
    with pytest.raises(CompensationError, match="below zero"):
        judged(tube, raw, 2 * spill - np.eye(10))


def test_uncompensated_values_are_told_whether_there_is_no_matrix_or_the_identity(tube: Any) -> None:
    _, raw, _, _ = tube
    for matrix in (None, np.eye(10)):
        with pytest.raises(CompensationError, match="hold spillover"):
            judged(tube, raw, matrix)


def test_a_residue_of_half_the_spillover_is_found(tube: Any) -> None:
    _, raw, spill, _ = tube
    assert judged(tube, raw, (spill + np.eye(10)) / 2)


def test_two_antigens_that_go_together_are_no_spillover_that_is_left() -> None:
    """Granulocytes among T cells: all cells bright in CD24 carry CD66b, each cell in another proportion."""
    rng = np.random.default_rng(4)

    def proportion(width: float) -> list[Any]:
        columns = {"CD24": rng.normal(60, 40, 12_000), "CD66b": rng.normal(60, 40, 12_000)}
        bright = 20_000 * np.exp(rng.normal(0.0, 0.35, 400))
        columns["CD24"][:400] = bright
        columns["CD66b"][:400] = 0.7 * bright * np.exp(rng.normal(0.0, width, 400))
        return residual_pairs(columns, 262_144.0)

    assert proportion(0.03)
    assert not any(proportion(0.35) for _ in range(20))


@pytest.mark.parametrize("matrix", ["inverse", "percent", "negative"])
def test_numbers_that_are_no_spillover_matrix_are_refused(tube: Any, matrix: str) -> None:
    names, _, spill, _ = tube
    tables = {
        "inverse": (np.linalg.inv(spill), "looks like the inverse"),
        "percent": (np.eye(10) + 100 * (spill - np.eye(10)), "in percent"),
        "negative": (2 * np.eye(10) - spill, "coefficient of -"),
    }
    table, message = tables[matrix]
    with pytest.raises(CompensationError, match=message):
        check_spillover("tube", names, table, source="test")


TRANSFORMS: dict[str, Callable[[Values], Values]] = {
    "asinh": lambda x: np.arcsinh(x / 150),
    "log": lambda x: np.log10(np.maximum(x, 1)),
    "logicle": lambda x: np.asarray(logicle(x, 262144, 4.5, 0.75, 0), dtype=np.float64),
    "channels": lambda x: np.clip(np.round(np.log10(np.maximum(x / 26, 1)) / 4 * 1023), 0, 1023),
    "wide": lambda x: np.asarray(logicle(x, 262144, 4.5, 0.75, 0), dtype=np.float64) * 262144,
}


@pytest.mark.parametrize("how", TRANSFORMS)
def test_transformed_values_are_told_by_their_shape(tube: Any, how: str) -> None:
    _, raw, _, _ = tube
    with pytest.raises(TransformError, match="transformed before the export"):
        judged(tube, TRANSFORMS[how](raw), None)


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("nucleated", [3000, 20_000])
def test_a_marrow_of_mostly_t_cells_is_not_called_transformed(seed: int, nucleated: int) -> None:
    """Most of its channels hold no bright cell, so that noise fills their range."""
    panel = load_panel(PANELS / "vienna_b8.yaml")
    gone = (Code.NEUTROPHIL, Code.IMMATURE_GRANULOCYTE, Code.MONOCYTE, Code.MIXED_MYELOID, Code.ERYTHROBLAST)
    aplastic = AFTER_ANTI_B.scaled(dict.fromkeys(gone, 0.002))
    spec = TubeSpec(nucleated=nucleated, composition=aplastic, person_seed=seed)
    made = simulate_tube(spec, panel, seed=seed)
    raw = {d.marker: made.columns[d.pnn] for d in made.cytometer.fluorescence if d.dye is not None}
    refuse_transformed(raw, where="tube", keyword="")
    for how in ("log", "channels", "wide"):
        with pytest.raises(TransformError):
            refuse_transformed(
                {k: TRANSFORMS[how](v.astype(np.float64)) for k, v in raw.items()}, where="t", keyword=""
            )


def record_of(names: list[str], *matrices: tuple[str, Values]) -> HeaderFacts:
    stored = [
        {"source": source, "detectors": names, "matrix": values.tolist(), "percent_scaled": False, "malformed": ""}
        for source, values in matrices
    ]
    spillover = SpilloverEntry.model_validate({**stored[0], "others": stored[1:]})
    return HeaderFacts(channels=tuple(channel(name, name, pns="", range=1) for name in names), spillover=spillover)


def with_channels(record: HeaderFacts, *channels: ChannelEntry) -> HeaderFacts:
    return record.model_copy(update={"channels": channels})


def found(record: HeaderFacts, source: str = "file") -> Any:
    config = RunConfig.model_validate({"panel": "p", "samples": "s", "compensation": {"source": source}})
    return find_spillover(record, config, where="tube", batch=None, csv=None, base=None)


def test_two_matrices_that_differ_are_refused_until_the_configuration_says_which() -> None:
    right = np.array([[1.0, 0.2], [0.01, 1.0]])
    record = record_of(["A", "B"], ("$SPILLOVER", np.eye(2)), ("SPILL", right))
    with pytest.raises(CompensationError, match="that differ"):
        found(record)
    assert found(record, "SPILL").matrix[0, 1] == 0.2
    assert found(record, "$SPILLOVER").matrix[0, 1] == 0.0
    with pytest.raises(CompensationError, match=r"no spillover matrix in \$COMP"):
        found(record, "$COMP")


def test_the_same_matrix_twice_is_one_matrix_even_in_percent() -> None:
    right = np.array([[1.0, 0.2], [0.01, 1.0]])
    assert found(record_of(["A", "B"], ("$SPILLOVER", right), ("SPILL", 100 * right))).matrix[0, 1] == 0.2


def test_a_matrix_without_a_dye_of_the_panel_is_refused() -> None:
    record = record_of(["A", "B"], ("SPILL", np.eye(2)))
    record = with_channels(record, *record.channels, channel("C", "C-A", pns="", range=1))
    with pytest.raises(CompensationError, match="without 1 of the panel's 3 dyes"):
        found(record)


def test_channels_of_which_only_some_are_compensated_are_refused_even_without_a_matrix() -> None:
    record = record_of(["A", "B"], ("SPILL", np.eye(2)))
    first, second = record.channels
    record = with_channels(record, first.model_copy(update={"compensated": True}), second)
    with pytest.raises(InputError, match="only some"):
        found(record, "none")
    record = with_channels(record, record.channels[0], second.model_copy(update={"compensated": True}))
    assert found(record, "none") is None
    with pytest.raises(CompensationError, match="compensated before the export"):
        found(record)


@pytest.mark.parametrize("marker", ["CD10", "CD38", "CD34", "CD24", "CD20"])
def test_leukaemia_that_fills_a_detector_is_no_evidence_against_the_matrix(tube: Any, marker: str) -> None:
    """What a full detector should have shown is missing, so spill is left in its neighbours."""
    names, raw, spill, _ = tube
    true = raw @ np.linalg.inv(spill)
    blasts = np.arange(len(raw)) % 2 == 0
    true[blasts, names.index(marker)] = np.geomspace(1e5, 5e6, int(blasts.sum()))
    assert judged(tube, np.minimum(true @ spill, 262143.0), spill) == []

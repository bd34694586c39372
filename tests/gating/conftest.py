"""Simulated tubes and the shipped panels, built once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.config.run import GatingConfig, RunConfig
from flowmrd.gating.gated_columns import gate_control
from flowmrd.gating.reference import GateReference
from flowmrd.panel import PanelModel, load_panel
from flowmrd.preprocess.quality import scatter_margin
from flowmrd.preprocess.transform import logicle
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, simulate_tube
from flowmrd.store import write_columns

Columns = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Tube:
    """A simulated tube on the 0..1 scale."""

    columns: Columns
    truth: dict[str, npt.NDArray[Any]]
    raw: SimulatedTube

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        return ~scatter_margin(self.columns)

    def write(self, path: Path) -> Path:
        write_columns(path, {**self.columns, "mask_nonfinite": ~self.usable & False, "mask_margin": ~self.usable})
        return path


def make_tube(panel: PanelModel, seed: int, **spec: Any) -> Tube:
    made = simulate_tube(TubeSpec(**({"nucleated": 20_000, "person_seed": seed} | spec)), panel, seed)
    dyes = made.cytometer.fluorescence
    linear = np.linalg.inv(made.cytometer.spill).T @ np.stack([made.columns[d.pnn] for d in dyes]).astype(np.float64)
    scatter = [m for m in ("FSC-A", "FSC-H", "FSC-W", "SSC-A") if m in made.columns]
    columns: Columns = {m: (made.columns[m] / 262144).astype(np.float32) for m in scatter}
    for dye, values in zip(dyes, linear, strict=True):
        scaled = logicle(values.astype(np.float32), 262144.0, 4.5, dye.width, 0.0)
        columns[dye.marker] = np.asarray(scaled, dtype=np.float32)
    return Tube(columns, made.truth, made)


@pytest.fixture(scope="session")
def ino10(repository: Path) -> PanelModel:
    return load_panel(repository / "panels" / "ino10.yaml")


@pytest.fixture(scope="session")
def vienna_b8(repository: Path) -> PanelModel:
    return load_panel(repository / "panels" / "vienna_b8.yaml")


@pytest.fixture(scope="session")
def config() -> RunConfig:
    return RunConfig(panel="ino10", samples="samples.tsv")


@pytest.fixture(scope="session")
def tube(ino10: PanelModel) -> Callable[..., Tube]:
    return lambda seed, **spec: make_tube(ino10, seed, **spec)


@pytest.fixture(scope="session")
def marrow(ino10: PanelModel) -> Tube:
    return make_tube(ino10, 1)


@pytest.fixture(scope="session")
def reference(ino10: PanelModel) -> GateReference:
    controls = []
    for seed in (11, 12, 13):
        made = make_tube(ino10, seed)
        controls.append(gate_control(f"C{seed}", made.columns, ino10, made.usable, GatingConfig()))
    return GateReference(ino10.name, ino10.version, tuple(controls))

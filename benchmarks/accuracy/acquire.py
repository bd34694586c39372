"""What the cytometer adds to drawn cells: doublets, debris, imperfect compensation; and the gates of the panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.mixtures import FEATURES
from flowmrd.config import RunConfig
from flowmrd.gating.reference import GateReference
from flowmrd.gating.sample import gate_control, gate_sample
from flowmrd.laip.tube import Tube
from flowmrd.panel import PanelModel
from flowmrd.transform import inverse_logicle, logicle
from flowmrd.units import LOGICLE_M, LOGICLE_T

Floats32 = npt.NDArray[np.float32]
WIDTH = 0.75
"""Logicle W used to go to linear and back; the laboratories' own are not known (0.5 to 1.5)."""
DOUBLETS, DEBRIS = 0.03, 0.03
"""Shares of the singlets, as in two real marrows (2.5-3.5 % and 2.4-3.9 %)."""
COMPENSATION_ERROR = 0.004
"""Standard deviation of the residual spillover coefficients after compensation."""
CONFIG = RunConfig(panel="vienna_b8", samples="samples.tsv")


@dataclass(frozen=True)
class Events:
    """Events of a tube: cells (n, 9) in decades, pulse width, the level a blast belongs to (-1 = no blast)."""

    values: Floats32
    width: Floats32
    level: npt.NDArray[np.int8]


def _linear(values: Floats32) -> Floats32:
    out = np.empty_like(values)
    out[:, :2] = values[:, :2] / LOGICLE_M * LOGICLE_T
    out[:, 2:] = inverse_logicle(values[:, 2:] / np.float32(LOGICLE_M), LOGICLE_T, LOGICLE_M, WIDTH, 0.0)
    return out


def _decades(linear: Floats32) -> Floats32:
    out = np.empty_like(linear)
    out[:, :2] = np.clip(linear[:, :2] / LOGICLE_T, 0, 1) * LOGICLE_M
    out[:, 2:] = logicle(linear[:, 2:], LOGICLE_T, LOGICLE_M, WIDTH, 0.0) * np.float32(LOGICLE_M)
    return out


def acquire(cells: Floats32, level: npt.NDArray[np.int8], rng: np.random.Generator) -> Events:
    """Add doublets of any two cells, debris and residual spillover."""
    n, d = cells.shape
    n_doublets, n_debris = round(DOUBLETS * n), round(DEBRIS * n)
    linear = _linear(cells)
    first, second = rng.integers(n, size=n_doublets), rng.integers(n, size=n_doublets)
    pairs = linear[first] + linear[second]
    pairs[:, :2] *= 0.97
    debris = rng.normal(0.0, 60.0, (n_debris, d)).astype(np.float32)
    debris[:, 0] = np.exp(rng.normal(np.log(17_000), 0.3, n_debris))
    debris[:, 1] = np.exp(rng.normal(np.log(14_000), 0.6, n_debris))
    everything = np.concatenate([linear, pairs, debris]).astype(np.float32)
    residual = np.eye(d - 2) + rng.normal(0.0, COMPENSATION_ERROR, (d - 2, d - 2)) * (1 - np.eye(d - 2))
    everything[:, 2:] = everything[:, 2:] @ residual.astype(np.float32)
    width = 1.0 + 0.035 * rng.standard_normal(len(everything))
    # Doublet over singlet pulse width in two real marrows: median about 1.5.
    width[n : n + n_doublets] *= rng.normal(1.5, 0.18, n_doublets)
    codes = np.full(len(everything), -1, dtype=np.int8)
    codes[:n] = level
    order = rng.permutation(len(everything))
    return Events(_decades(everything)[order], (60_000 * width[order]).astype(np.float32), codes[order])


def _columns(events: Events) -> dict[str, Floats32]:
    columns = {name: events.values[:, j] / np.float32(LOGICLE_M) for j, name in enumerate(FEATURES)}
    columns["FSC-W"] = events.width / np.float32(LOGICLE_T)
    return columns


def learn_gates(controls: dict[str, Events], panel: PanelModel) -> GateReference:
    """The gate stage's reference of control tubes."""
    learned = [
        gate_control(name, _columns(events), panel, np.ones(len(events.width), dtype=bool), CONFIG.gating)
        for name, events in sorted(controls.items())
    ]
    return GateReference(panel.name, panel.version, tuple(learned))


@dataclass(frozen=True)
class Gated:
    """A tube for the classifier, and which of its cells are blasts of which level."""

    tube: Tube
    level: npt.NDArray[np.int8]


def gate(name: str, events: Events, panel: PanelModel, reference: GateReference) -> Gated:
    """Gate as the pipeline does and keep nucleated singlets."""
    result = gate_sample(
        _columns(events), panel, np.ones(len(events.width), dtype=bool), CONFIG.gating, reference=reference
    ).result
    nucleated = result.inside("nucleated")
    kept = nucleated & result.inside("singlets")
    features = tuple(marker for marker in panel.features if marker in FEATURES)
    index = [FEATURES.index(marker) for marker in features]
    tube = Tube(
        name=name,
        features=features,
        values=np.ascontiguousarray(events.values[kept][:, index]),
        window=result.inside("b_lineage")[kept],
        denominator=int(nucleated.sum()),
    )
    return Gated(tube, events.level[kept])

"""Simulated marrows replace missing controls where a run has too few: every result is then provisional."""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.config import RunConfig
from flowmrd.panel import PanelModel
from flowmrd.units import LOGICLE_M

TUBES = 6
NUCLEATED = 40_000


def simulated_controls(panel: PanelModel, config: RunConfig, real: list[CandidateCells]) -> list[CandidateCells]:
    """Simulated control tubes with the features of the real ones, or of the panel as far as the simulator knows it.

    Channels that it does not know are left out; the result of a tube that has them says so (MARKERS_NOT_SIMULATED).
    """
    from flowmrd.simulate.cytometer import is_simulated
    from flowmrd.simulate.populations import NORMAL, Code
    from flowmrd.simulate.tube import TubeSpec, simulate_tube

    known = tuple(channel for channel in panel.channels if is_simulated(channel))
    # The gate tree may name markers that the simulator lacks; it is not used here, so it is not checked again.
    simulated = panel.model_copy(update={"channels": known, "gates": ()})
    features = [channel.marker for channel in known if channel.feature]
    for tube in real:
        features = [name for name in features if name in tube.features]
    lineage = [
        int(code)
        for code in (Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B, Code.PLASMA_CELL)
    ]
    stages = (*NORMAL, Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3)
    names = {int(code): code.name.lower() for code in stages}
    table = tuple(names.get(code, "") for code in range(max(names) + 1))
    tubes = []
    for number in range(TUBES):
        spec = TubeSpec(nucleated=NUCLEATED, person_seed=1000 + number, staining_sd=0.2)
        made = simulate_tube(spec, simulated, config.laip.seed + number)
        cytometer = made.cytometer
        dyes = cytometer.fluorescence
        raw = np.stack([made.columns[detector.pnn].astype(np.float64) for detector in dyes], axis=1)
        compensated = raw @ np.linalg.inv(cytometer.spill)
        columns: dict[str, np.ndarray] = {
            detector.marker: np.asarray(cytometer.to_decades(compensated[:, k], detector))
            for k, detector in enumerate(dyes)
        }
        # An optional marker may be without a detector in the simulated panel.
        features = [name for name in features if name in columns or name in made.columns]
        for name in features:
            if name not in columns:
                columns[name] = made.columns[name].astype(np.float64) / 262144.0 * LOGICLE_M
        kept = made.truth["nucleated"] & ~made.truth["doublet"]
        population = made.truth["population"][kept].astype(np.int16)
        tubes.append(
            CandidateCells(
                name=f"simulated-{number}",
                features=tuple(features),
                values=np.stack([columns[name][kept] for name in features], axis=1).astype(np.float32),
                window=np.isin(population, lineage),
                denominator=int(kept.sum()),
                population=np.where(population < len(table), population, -1).astype(np.int16),
                populations=table,
            )
        )
    return tubes

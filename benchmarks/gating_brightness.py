"""How many cuts end at a bound on instruments whose colours are brighter or dimmer than the panel's.

Run ``python -m benchmarks.gating_brightness``. Simulated tubes are written as a file of such an instrument would hold
them, read, preprocessed and gated without controls. Printed: cuts at a bound, the factor that gating found, and the
share of T and NK cells and of B-lineage cells that their gates hold.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from flowmrd.config.run import GatingConfig
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.gating.brightness import cuts_at_bounds
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.panel import load_panel
from flowmrd.panel.model import ChannelKind
from flowmrd.simulate.cohort import spillover_keyword
from flowmrd.simulate.populations import Code
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, detectors_of, simulate_tube
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

BITS_18, BITS_20 = 262144, 1048576
INSTRUMENTS = (
    (BITS_18, 1.0), (BITS_20, 4.0), (BITS_20, 1.0), (BITS_20, 0.5), (BITS_20, 8.0), (BITS_18, 3.0), (BITS_18, 1 / 3),
)  # fmt: skip
"""Top of the range, and raw units for one of the simulated 18-bit instrument."""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def write_scaled(path: Path, tube: SimulatedTube, top: int, factor: float) -> None:
    """Write a simulated tube as an instrument of another range and brightness stores it."""
    channels: list[ChannelSpec] = []
    columns: list[Any] = []
    for detector in detectors_of(tube):
        values = tube.columns[detector.pnn]
        if detector.kind is ChannelKind.TIME:
            channels.append(ChannelSpec("Time", "", BITS_18))
        elif detector.dye is None:
            channels.append(ChannelSpec(detector.pnn, "", BITS_18, 1.0, detector.voltage))
        else:
            channels.append(ChannelSpec(detector.pnn, detector.marker, top, 1.0, detector.voltage))
            full = values >= BITS_18 - 1
            values = np.where(full, top - 1, np.minimum(values * factor, top - 1)).astype(np.float32)
        columns.append(values)
    write_fcs(path, columns, channels, {"$SPILLOVER": spillover_keyword(tube.cytometer), "$TIMESTEP": "0.01"})


def main() -> None:
    """Print one line for every panel, instrument and tube."""
    say(f"{'panel':<12}{'top':>9}{'x':>6}{'tube':>5}{'at bound':>10}{'found':>8}{'T/NK':>7}{'B':>7}")
    for name in ("ino10", "vienna_b8"):
        panel = load_panel(name)
        for top, factor in INSTRUMENTS:
            for seed in (1, 2):
                simulated = simulate_tube(TubeSpec(20_000, person_seed=seed), panel, seed)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "tube.fcs"
                    write_scaled(path, simulated, top, factor)
                    tube = preprocess(read_tube(path, panel))
                made = gate_columns(tube.measured, panel, tube.analysable(), GatingConfig(), scales=tube.scales)
                held, estimated = cuts_at_bounds(made.gates, made.result.placements)
                population, single = simulated.truth["population"], ~simulated.truth["doublet"]
                shares = []
                for codes, gate in (((Code.T_NK,), "t_nk"), (range(Code.HAEMATOGONE_1, Code.PLASMA_CELL), "b_lineage")):
                    cells = np.isin(population, list(codes)) & single
                    shares.append(float(np.mean(made.result.inside(gate)[cells])))
                say(
                    f"{name:<12}{top:>9}{factor:>6.2g}{seed:>5}{f'{len(held)} of {estimated}':>10}"
                    f"{made.brightness:>8g}{shares[0]:>7.2f}{shares[1]:>7.2f}"
                )


if __name__ == "__main__":
    main()

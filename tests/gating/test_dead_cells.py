"""Dead cells in the denominator: a tube with many of them counts its living cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flowmrd.config.run import RunConfig
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.gating.reference import GateReference
from flowmrd.panel import PanelModel
from flowmrd.simulate.tube import Acquisition


def test_one_dead_cell_in_twenty_moves_the_nucleated_count_by_two_per_cent_in_most_tubes_and_never_by_three(
    tube: Callable[..., Any], ino10: PanelModel, reference: GateReference, config: RunConfig
) -> None:
    errors = []
    for seed in (31, 32, 33):
        made = tube(seed, nucleated=30_000, acquisition=Acquisition(dead=0.05))
        result = gate_columns(made.columns, ino10, made.usable, config.gating, reference=reference).result
        counted = np.count_nonzero(result.inside("nucleated") & made.usable)
        true = np.count_nonzero(made.truth["nucleated"] & ~made.truth["doublet"])
        errors.append(abs(counted / true - 1))
    assert np.median(errors) <= 0.02
    assert max(errors) <= 0.03

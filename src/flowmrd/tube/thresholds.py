"""All thresholds of one tube, for applying the same masks and gates to other events.

The end-to-end sensitivity check adds raw events to a tube. The matrix, scales, masks and gates must be those of the
tube's own events. Estimating them again would take as long as the whole chain and could move a gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flowmrd.errors import ArtefactError
from flowmrd.gating.placement import Placement
from flowmrd.gating.stored_gates import placements_from_record
from flowmrd.preprocess.compensation import Spillover
from flowmrd.preprocess.quality.placed_masks import PlacedMasks
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.gates import GatesFile
from flowmrd.records.quality import OffScaleEntry, QualityFile

__all__ = ["TubeThresholds", "placed_from_records"]


@dataclass(frozen=True)
class TubeThresholds:
    """Thresholds of one tube.

    Attributes
    ----------
    spillover
        The matrix that was applied, by column; None where none was.
    scales
        Channel to its scale.
    masks
        Thresholds of the quality masks.
    offscale
        Value at which each detector is off scale, as in ``qc.json``.
    gates
        Placement of every gate in the order of the tree; empty for a tube that has not been gated.
    """

    spillover: Spillover | None
    scales: Mapping[str, ChannelScale]
    masks: PlacedMasks
    offscale: Mapping[str, OffScaleEntry]
    gates: tuple[Placement, ...] = ()


def placed_from_records(name: str, qc: QualityFile | None, gates: GatesFile | None) -> TubeThresholds:
    """Thresholds from the contents of ``qc.json`` and ``gates.json``, which hold every number unrounded.

    Raises
    ------
    ArtefactError
        If there is no ``qc``.
    """
    if qc is None:
        raise ArtefactError(
            f"tube {name}",
            found="no record of the thresholds of its masks",
            expected="a tube that was preprocessed",
            todo="preprocess it first ('flowmrd.preprocess_tube')",
        )
    facts = qc.compensation
    matrix = None
    if facts.condition is not None:
        values = np.array(facts.matrix, dtype=np.float64)
        matrix = Spillover(facts.channels, values, facts.source, facts.condition, facts.notes)
    return TubeThresholds(
        spillover=matrix,
        scales={channel: ChannelScale.from_record(entry) for channel, entry in qc.transforms.items()},
        masks=PlacedMasks.from_record(qc),
        offscale=qc.offscale,
        gates=placements_from_record(gates.gates) if gates is not None else (),
    )

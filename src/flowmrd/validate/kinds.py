"""Kinds of aberrancy of a leukaemia, in the words of the validation page.

They are read from the ``components`` of ``laip.json``: shifts in decades against the nearest normal stage. A kind
applies if it holds for at least half of the leukaemia's cells, so several kinds apply to most leukaemias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flowmrd.records.references import LaipComponent

LOST: Final = -1.0
"""A marker this many decades below the nearest normal stage is called lost, since a tenth of the molecules is left."""
HALF: Final = 0.5


def kinds_of(components: Sequence[LaipComponent], *, indistinct: bool) -> tuple[str, ...]:
    """Kinds of one leukaemia: aberrant markers, nearest normal stage, and whether it differs from normal cells.

    Parameters
    ----------
    indistinct
        True where controls hold cells that look like it.
    """
    total = sum(component.share for component in components) or 1.0
    shares: dict[tuple[str, str], float] = {}
    stages: dict[str, float] = {}
    for component in components:
        share = component.share / total
        stage = component.nearest_normal
        stages[stage] = stages.get(stage, 0.0) + share
        for entry in component.markers:
            if entry.direction == "same":
                continue
            names = ("lost", "under") if entry.shift_decades <= LOST else (entry.direction,)
            for name in names:
                key = (entry.marker, name)
                shares[key] = shares.get(key, 0.0) + share
    kinds = []
    for marker in sorted({marker for marker, _ in shares}):
        held = [name for name in ("lost", "under", "over") if shares.get((marker, name), 0.0) >= HALF]
        kinds += [f"{marker} {name}" for name in held[:1]]
    kinds += [f"nearest to {stage.replace('_', ' ')}" for stage, share in sorted(stages.items()) if share >= HALF]
    kinds.append("of several phenotypes" if len(components) > 1 else "of one phenotype")
    if indistinct:
        kinds.append("like normal precursors")
    return tuple(kinds)

"""What the caller decides about a classification."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassifierParameters:
    """Choices of a run, from its configuration.

    Attributes
    ----------
    background_per_million
        Background that the cut is set to keep in controls.
    target
        Level of the spike-in experiment, as a fraction of the nucleated cells.
    detect_events
        Fewest events that count as detected.
    replicates
        Spike-ins per tube.
    unreliable
        Markers that the targeted therapy given may have taken away.
    shifted
        Markers that steroids move.
    seed
        Seed of every random draw.
    """

    background_per_million: float = 5.0
    target: float = 1e-4
    detect_events: int = 20
    replicates: int = 5
    unreliable: frozenset[str] = frozenset()
    shifted: frozenset[str] = frozenset()
    seed: int = 0

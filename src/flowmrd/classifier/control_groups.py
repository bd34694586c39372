"""Groups of strange cells in controls, and how much a group of a tube must gain beside them.

A group that several controls show in the same place is a normal population too rare for the normal model (such as the
earliest CD34+ CD22+ CD19- progenitors, which some marrows hold and others do not). It says how large such a group may
be there, and nothing about other places. A group that one control alone shows may be anywhere in the next tube.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.window_cells import WindowCells

GAIN_FLOOR = 45.0
"""Least gain of a group, whatever few controls say."""
GAIN_MARGIN = 1.5
"""A group must gain this much more than groups of controls do."""
SAME_PLACE = 3.0
"""Mahalanobis distance of two centres, by the mean of both covariances, below which groups are the same population."""


@dataclass(frozen=True)
class ControlGroup:
    """A strange group of one control: place in the staining of the reference, gain per nucleated cell."""

    control: int
    place: Mixture
    gain: float


@dataclass(frozen=True)
class ControlGroups:
    """All strange groups of the controls."""

    groups: tuple[ControlGroup, ...]

    @classmethod
    def of(cls, spots: Iterable[Sequence[CompactGroup]], controls: Iterable[WindowCells]) -> ControlGroups:
        """Groups found in every control."""
        return cls(
            tuple(
                ControlGroup(number, spot.mixture.shifted(-control.shift), spot.gain / max(control.denominator, 1))
                for number, (found, control) in enumerate(zip(spots, controls, strict=True))
                for spot in found
            )
        )

    def without(self, control: int) -> ControlGroups:
        """The groups of the other controls."""
        return ControlGroups(tuple(group for group in self.groups if group.control != control))

    @property
    def single(self) -> list[ControlGroup]:
        """Those that no other control shows."""
        return [
            group
            for group in self.groups
            if not any(other.control != group.control and is_same(other.place, group.place) for other in self.groups)
        ]

    def limit(
        self, denominator: int, place: Mixture | None = None, shift: Floats | float = 0.0, *, single: bool = True
    ) -> float:
        """Gain from which a group counts in a tube; gains of chance grow with the number of cells.

        Parameters
        ----------
        denominator
            Nucleated cells of the tube.
        place, shift
            The group, and the staining of its tube against the reference; without them, of a group anywhere.
        single
            False to leave aside what one control alone shows, unless it is in this place.
        """
        gains = [group.gain for group in self.single] if single else []
        if place is not None:
            here = place.shifted(-np.broadcast_to(shift, place.d))
            gains += [group.gain for group in self.groups if is_same(group.place, here)]
        return max(GAIN_FLOOR, GAIN_MARGIN * max(gains, default=0.0) * denominator)


def is_same(first: Mixture, second: Mixture) -> bool:
    """Whether two single Gaussians are one population."""
    offset = first.mean[0] - second.mean[0]
    pooled = 0.5 * (first.covariance[0] + second.covariance[0])
    return float(offset @ np.linalg.solve(pooled, offset)) < SAME_PLACE**2

"""Atypical groups that recur in controls, and the log-likelihood gain that a group of a tube needs beside them.

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
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class ControlGroup:
    """An atypical group of one control: place in the staining of the reference, gain per nucleated cell."""

    control: int
    place: Mixture
    gain_per_cell: float


@dataclass(frozen=True)
class ControlGroups:
    """All atypical groups of the controls."""

    groups: tuple[ControlGroup, ...]

    @classmethod
    def of(cls, found: Iterable[Sequence[CompactGroup]], controls: Iterable[WindowCells]) -> ControlGroups:
        """Groups found in every control."""
        return cls(
            tuple(
                ControlGroup(
                    number,
                    group.mixture.shifted(-control.shift),
                    group.log_likelihood_gain / max(control.denominator, 1),
                )
                for number, (groups, control) in enumerate(zip(found, controls, strict=True))
                for group in groups
            )
        )

    def without(self, control: int) -> ControlGroups:
        """The groups of the other controls."""
        return ControlGroups(tuple(group for group in self.groups if group.control != control))

    def of_one_control(self, parameters: ClassifierParameters) -> list[ControlGroup]:
        """Those that no other control shows."""
        return [
            group
            for group in self.groups
            if not any(
                other.control != group.control and same_population(other.place, group.place, parameters)
                for other in self.groups
            )
        ]

    def gain_limit(
        self,
        denominator: int,
        parameters: ClassifierParameters,
        place: Mixture | None = None,
        shift: Floats | float = 0.0,
        *,
        one_control: bool = True,
    ) -> float:
        """Gain from which a group counts in a tube; gains of chance grow with the number of cells.

        Parameters
        ----------
        denominator
            Nucleated cells of the tube.
        place, shift
            The group, and the staining of its tube against the reference; without them, of a group anywhere.
        one_control
            False to leave aside what one control alone shows, unless it is in this place.
        """
        gains = [group.gain_per_cell for group in self.of_one_control(parameters)] if one_control else []
        if place is not None:
            here = place.shifted(-np.broadcast_to(shift, place.d))
            gains += [group.gain_per_cell for group in self.groups if same_population(group.place, here, parameters)]
        largest = max(gains, default=0.0)
        return max(parameters.group_gain_least, parameters.group_gain_margin * largest * denominator)


def same_population(first: Mixture, second: Mixture, parameters: ClassifierParameters) -> bool:
    """Whether two single Gaussians are one population."""
    offset = first.mean[0] - second.mean[0]
    pooled = 0.5 * (first.covariance[0] + second.covariance[0])
    return float(offset @ np.linalg.solve(pooled, offset)) < parameters.same_place**2

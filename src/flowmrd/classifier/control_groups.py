"""Groups of the controls that are unlike normal cells: their rate, and those that several controls have in common.

A group that several controls show in the same place is a normal population that is too rare for the normal model. An
example is the earliest CD34+ CD22+ CD19- progenitors, which some marrows hold and others do not. Such a group
determines how large a group of the same phenotype may be, and says nothing about other phenotypes. A group that only
one control shows is one false group among the controls. It adds to the error rate of all groups
(:mod:`flowmrd.classifier.false_groups`) and sets no limit of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.false_groups import FalseGroups
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class ControlGroup:
    """A group of one control: its place in the staining of the reference, and its gain per nucleated cell."""

    control: int
    place: Mixture
    gain_per_cell: float


@dataclass(frozen=True)
class ControlGroups:
    """Groups of the controls.

    Attributes
    ----------
    groups
        All of them.
    statistics
        Statistics of each control for the error rate, by the control's number.
    """

    groups: tuple[ControlGroup, ...] = ()
    statistics: tuple[FalseGroups, ...] = ()

    @classmethod
    def of(
        cls,
        found: Iterable[Sequence[CompactGroup]],
        controls: Iterable[WindowCells],
        parameters: ClassifierParameters,
    ) -> ControlGroups:
        """Collect the groups of every control that no normal population or artefact of the catalogue explains."""
        groups: list[ControlGroup] = []
        statistics: list[FalseGroups] = []
        for number, (own, control) in enumerate(zip(found, controls, strict=True)):
            statistics.append(FalseGroups.of_tube(own, control.denominator, parameters))
            groups += [
                ControlGroup(
                    number,
                    group.mixture.shifted(-control.shift),
                    group.log_likelihood_gain / max(control.denominator, 1),
                )
                for group in own
            ]
        return cls(tuple(groups), tuple(statistics))

    def without(self, control: int) -> ControlGroups:
        """Groups of the other controls."""
        return ControlGroups(
            tuple(group for group in self.groups if group.control != control),
            tuple(one for number, one in enumerate(self.statistics) if number != control),
        )

    def rate(self, parameters: ClassifierParameters) -> float:
        """False groups per tube, of any size above ``false_gain_least``."""
        total = sum(self.statistics, FalseGroups.of_development(parameters))
        return total.groups / total.tubes

    def expected(
        self, group: CompactGroup, denominator: int, shift: Floats | float, parameters: ClassifierParameters
    ) -> float:
        """Expected number, per tube without leukaemia, of groups at least as unusual: anywhere plus in the same place.

        Parameters
        ----------
        denominator
            Nucleated cells of the group's tube; gains grow with it.
        shift
            Staining of that tube against the reference.
        """
        total = sum(self.statistics, FalseGroups.of_development(parameters))
        anywhere = total.expected(group.log_likelihood_gain, group.gain_per_event, denominator, parameters)
        here = group.mixture.shifted(-np.broadcast_to(shift, group.mixture.d))
        gains: dict[int, float] = {}
        for other in self.groups:
            if same_population(other.place, here, parameters):
                gains[other.control] = max(gains.get(other.control, 0.0), other.gain_per_cell)
        if not gains:
            return anywhere
        # A population of this place: the share of controls that hold it, and less where the gain exceeds that of all of
        # them.
        gain = group.log_likelihood_gain / max(denominator, 1)
        beyond = min(1.0, max(gains.values()) / max(gain, 1e-12)) ** 2
        return anywhere + len(gains) / (len(self.statistics) + parameters.same_place_tubes) * beyond


def same_population(first: Mixture, second: Mixture, parameters: ClassifierParameters) -> bool:
    """Whether two single Gaussians are one population."""
    offset = first.mean[0] - second.mean[0]
    pooled = 0.5 * (first.covariance[0] + second.covariance[0])
    return float(offset @ np.linalg.solve(pooled, offset)) < parameters.same_place**2

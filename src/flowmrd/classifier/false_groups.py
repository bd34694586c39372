"""How often marrow without leukaemia shows such a group: an error rate for every group, from few controls.

A group is described by two numbers: its gain in log likelihood over the normal model, brought to a tube of
:data:`STANDARD_CELLS`, and its gain per cell. In marrow without leukaemia the number of groups per tube is Poisson with
a rate that the controls tell; of a group's log gain and of its gain per cell the excess over a threshold is exponential
(peaks over threshold: a Pareto tail in the gain). Rates and both means are learned from the laboratory's controls, each
judged without itself, together with what development marrows showed, which count as so many tubes more. The tails
are the predictive ones (Lomax), which are the heavier the fewer groups stand behind them.

Large groups of an ill-described population have a large gain and gain little per cell; scattered cells that happen to
lie together gain much per cell and little in all. A false group must be as odd in both, so the smaller of the two tails
counts: an upper bound whatever the dependence between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.parameters import ClassifierParameters

LEAST_GAIN_PER_EVENT = ClassifierParameters().gain_per_event_atypical
STANDARD_CELLS = 450_000
"""Nucleated cells that gains are brought to: the gain of a population grows with the number of its cells."""
LEAST_GAIN = 20.0
"""Groups below this gain are chance; only the excess of larger ones is modelled."""
COUNTED = 0.01
"""A group counts where fewer false ones than this are expected in a tube without leukaemia."""
ATYPICAL = 0.1
"""Where more are expected, a group is no doubt; between the two it forbids a negative answer."""


@dataclass(frozen=True)
class FalseGroups:
    """Sufficient statistics of false groups.

    Attributes
    ----------
    tubes, groups
        Tubes that were searched, and groups above :data:`LEAST_GAIN` in them.
    log_gain
        Sum of the excess of their natural log gain over that of :data:`LEAST_GAIN`.
    gain_per_event
        Sum of the excess of their gain per cell over ``LEAST_GAIN_PER_EVENT``.
    """

    tubes: float
    groups: float
    log_gain: float
    gain_per_event: float

    @classmethod
    def of(cls, tubes: Iterable[tuple[int, Iterable[CompactGroup]]]) -> FalseGroups:
        """Statistics of tubes without leukaemia.

        Parameters
        ----------
        tubes
            Nucleated cells of each and the groups found in it that no accepted population of the catalogue explains.
        """
        number, groups, log_gain, gain_per_event = 0, 0, 0.0, 0.0
        for cells, found in tubes:
            number += 1
            for group in found:
                gain = standard_gain(group.log_likelihood_gain, cells)
                if gain > LEAST_GAIN and group.gain_per_event >= LEAST_GAIN_PER_EVENT:
                    groups += 1
                    log_gain += float(np.log(gain / LEAST_GAIN))
                    gain_per_event += group.gain_per_event - LEAST_GAIN_PER_EVENT
        return cls(number, groups, log_gain, gain_per_event)

    def __add__(self, other: FalseGroups) -> FalseGroups:
        return FalseGroups(
            self.tubes + other.tubes,
            self.groups + other.groups,
            self.log_gain + other.log_gain,
            self.gain_per_event + other.gain_per_event,
        )

    def expected(self, gain: float, gain_per_event: float, cells: int) -> float:
        """Expected number, per tube without leukaemia, of groups at least as odd.

        Parameters
        ----------
        gain, gain_per_event
            Of the group; natural log units, and natural log units per cell.
        cells
            Nucleated cells of its tube.
        """
        rate = self.groups / self.tubes
        own = standard_gain(gain, cells)
        if own <= LEAST_GAIN:
            return rate
        by_gain = (1.0 + np.log(own / LEAST_GAIN) / self.log_gain) ** -self.groups
        by_gain_per_event = (
            1.0 + max(gain_per_event - LEAST_GAIN_PER_EVENT, 0.0) / self.gain_per_event
        ) ** -self.groups
        return float(rate * min(by_gain, by_gain_per_event))


def standard_gain(gain: float, cells: int) -> float:
    """Gain brought to a tube of :data:`STANDARD_CELLS` nucleated cells."""
    return gain * STANDARD_CELLS / max(cells, 1)

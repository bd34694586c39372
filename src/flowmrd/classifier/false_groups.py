"""How often marrow without leukaemia shows a group like this one: an error rate for every group, from few controls.

A group is described by two numbers: its gain in log likelihood over the normal model, brought to a tube of
``standard_cells``, and its gain per event. In marrow without leukaemia the number of groups per tube is Poisson, with a
rate estimated from the controls. Above a threshold, the logarithm of the gain has an exponential tail, which is a
Pareto tail in the gain (peaks over threshold). So has the gain per event. The rate and both means are learned from the
laboratory's controls, each judged without itself. The groups of development marrows are added to them with the weight
of ``prior_tubes`` tubes. The tails are predictive ones (Lomax): the fewer groups they rest on, the heavier they are.

A large group of cells that the normal model describes badly has a large gain but gains little per cell. Scattered cells
that happen to lie together gain much per cell but little in all. Leukaemia gains much in both. So the two tails are
combined as Fisher combines p values (Statistical Methods for Research Workers, 1932): their product P is as small by
chance with probability P (1 - ln P). The smaller of the two tails alone is no error rate. A group is a question if
either tail is small, so clean tubes showed twice as many questions as the smaller tail says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.parameters import ClassifierParameters


@dataclass(frozen=True)
class FalseGroups:
    """Sufficient statistics of false groups.

    Attributes
    ----------
    tubes, groups
        Tubes that were searched, and groups above ``false_gain_least`` in them.
    log_gain
        Sum of the excess of their natural log gain over that of ``false_gain_least``.
    gain_per_event
        Sum of the excess of their gain per event over ``gain_per_event_atypical``.
    """

    tubes: float = 0.0
    groups: float = 0.0
    log_gain: float = 0.0
    gain_per_event: float = 0.0

    @classmethod
    def of_development(cls, parameters: ClassifierParameters) -> FalseGroups:
        """Statistics of the development marrows, with the weight that they have beside a laboratory's controls."""
        groups = parameters.prior_tubes * parameters.prior_groups_per_tube
        return cls(
            parameters.prior_tubes,
            groups,
            groups * parameters.prior_log_gain,
            groups * parameters.prior_gain_per_event,
        )

    @classmethod
    def of_tube(cls, groups: Iterable[CompactGroup], cells: int, parameters: ClassifierParameters) -> FalseGroups:
        """Statistics of one tube without leukaemia.

        Parameters
        ----------
        groups
            Groups of the tube that no accepted population of the catalogue explains.
        cells
            Nucleated cells of the tube.
        """
        number, log_gain, gain_per_event = 0, 0.0, 0.0
        for group in groups:
            gain = standard_gain(group.log_likelihood_gain, cells, parameters)
            if gain > parameters.false_gain_least and group.gain_per_event >= parameters.gain_per_event_atypical:
                number += 1
                log_gain += float(np.log(gain / parameters.false_gain_least))
                gain_per_event += group.gain_per_event - parameters.gain_per_event_atypical
        return cls(1.0, number, log_gain, gain_per_event)

    def __add__(self, other: FalseGroups) -> FalseGroups:
        return FalseGroups(
            self.tubes + other.tubes,
            self.groups + other.groups,
            self.log_gain + other.log_gain,
            self.gain_per_event + other.gain_per_event,
        )

    def expected(self, gain: float, gain_per_event: float, cells: int, parameters: ClassifierParameters) -> float:
        """Expected number, per tube without leukaemia, of groups that are at least as unusual.

        Parameters
        ----------
        gain, gain_per_event
            The group's gain, natural log units, and its gain per event, natural log units per event.
        cells
            Nucleated cells of its tube.
        """
        rate = self.groups / self.tubes
        beyond = np.log(max(standard_gain(gain, cells, parameters) / parameters.false_gain_least, 1.0))
        purer = max(gain_per_event - parameters.gain_per_event_atypical, 0.0)
        # Negative logarithms of the two tails; each is exponential, so their sum has a gamma distribution.
        unusual = self.groups * (np.log1p(beyond / self.log_gain) + np.log1p(purer / self.gain_per_event))
        return float(rate * np.exp(-unusual) * (1.0 + unusual))


def standard_gain(gain: float, cells: int, parameters: ClassifierParameters) -> float:
    """Gain brought to a tube of ``standard_cells`` nucleated cells."""
    return gain * parameters.standard_cells / max(cells, 1)

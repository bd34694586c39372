"""Evidence for and against leukaemia in one compact group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import gammaincc

from flowmrd.classifier.atypical_groups import is_uncommon, like_normal
from flowmrd.classifier.blast_prior import blast_spread
from flowmrd.classifier.catalogue import CatalogueMatch, match_catalogue
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.units import level


@dataclass(frozen=True)
class EvidenceOnGroup:
    """Evidence on one group.

    Attributes
    ----------
    fit
        How well its centre fits leukaemias of other patients, 0 to 1 (:func:`fit_to_leukaemia`).
    place
        Population or artefact of the catalogue in whose place the group lies; None where there is none.
    false_groups
        Expected number of groups at least as unusual in a tube without leukaemia; None where it was not measured.
    gain
        Log likelihood gained over the normal model; None where it was not measured.
    accepted
        Whether place, number of cells and error rate say that the group is what the catalogue names.
    share_of_controls
        Share of their nucleated cells that the controls hold in the group's place, on average; None where it was not
        measured.
    """

    fit: float
    place: CatalogueMatch | None = None
    false_groups: float | None = None
    gain: float | None = None
    accepted: bool = False
    share_of_controls: float | None = None

    @property
    def said(self) -> str:
        """The evidence in one sentence."""
        parts = []
        if self.place is not None:
            parts.append(f"it lies in the place of: {self.place.title}")
        if self.false_groups is not None:
            tubes = 1.0 / max(self.false_groups, 1e-4)
            often = f"{tubes:,.0f} tubes" if tubes < 1e4 else "more than 10,000 tubes"
            parts.append(f"marrow without leukaemia shows a group as odd once in {often}")
        if self.share_of_controls is not None:
            parts.append(f"on average {level(self.share_of_controls)} of the controls' cells lie there")
        parts.append(f"{self.fit:.0%} of other patients' leukaemias lie further from the average leukaemia")
        text = "; ".join(parts)
        return text[0].upper() + text[1:] + "."


def weigh_group(group: CompactGroup, cells: WindowCells, groups: ControlGroups) -> EvidenceOnGroup:
    """Evidence on a group that is unlike normal."""
    parameters = cells.parameters
    false_groups = groups.expected(group, cells.denominator, cells.shift, parameters)
    place = place_of(group.mixture, group.share, cells)
    accepted = place is not None and place.accepted and (place.firm or false_groups >= parameters.false_groups_counted)
    return EvidenceOnGroup(
        fit_to_leukaemia(group.mixture, cells), place, false_groups, group.log_likelihood_gain, accepted
    )


def weigh_mixture(mixture: Mixture, share: float, cells: WindowCells) -> EvidenceOnGroup:
    """Evidence on cells that were found by a known phenotype or as a heavy burden."""
    return EvidenceOnGroup(fit_to_leukaemia(mixture, cells), place_of(mixture, share, cells))


def beside_controls(
    evidence: EvidenceOnGroup, mixture: Mixture, cells: WindowCells, controls: Sequence[WindowCells]
) -> EvidenceOnGroup:
    """The evidence with the share of their cells that the controls hold in the group's place."""
    if not controls:
        return evidence
    shares = shares_in_place(mixture, cells.shift, controls, cells.parameters)
    return replace(evidence, share_of_controls=float(shares.mean()))


def is_normal_population(mixture: Mixture, share: float, cells: WindowCells, controls: Sequence[WindowCells]) -> bool:
    """Whether much of a tube is one of its normal populations, and not a heavy burden of leukaemia.

    Every component must lie in the place of a population of the catalogue where no leukaemia lies, together they must
    be no more than that population ever is, and controls must have such cells: either B-lineage cells within the spread
    between controls, or one control as many cells in that very place. A marrow with a fifth of mature B cells is like
    that, or one with 4 % of CD34+ myeloid progenitors: the average leukaemia explains the rim of so many cells better
    than the reference does.
    """
    if not lies_without_leukaemia(mixture, share, cells):
        return False
    return like_normal(mixture, cells) or is_held_by_a_control(mixture, share, cells, controls)


def is_held_by_a_control(mixture: Mixture, share: float, cells: WindowCells, controls: Sequence[WindowCells]) -> bool:
    """Whether one control has as many cells in the place of a population as the tube does."""
    shares = shares_in_place(mixture, cells.shift, controls, cells.parameters)
    return len(shares) > 0 and float(shares.max()) >= cells.parameters.place_share * share


def lies_without_leukaemia(mixture: Mixture, share: float, cells: WindowCells) -> bool:
    """Whether every component lies in the place of a population of the catalogue where no leukaemia lies, and together
    they are no more than that population ever is.
    """
    places = [
        match_catalogue(
            centre, cells.features, cells.anchors, cells.parameters, share=share, unreliable=cells.unreliable
        )
        for centre in (mixture.mean if cells.anchors else ())
    ]
    return bool(places) and all(place is not None and place.accepted and place.firm for place in places)


def place_of(mixture: Mixture, share: float, cells: WindowCells) -> CatalogueMatch | None:
    """Population or artefact of the catalogue in whose place a group lies; None where there is none."""
    if not cells.anchors:
        return None
    centre = mixture.mean[int(mixture.weight.argmax())]
    return match_catalogue(
        centre, cells.features, cells.anchors, cells.parameters, share=share, unreliable=cells.unreliable
    )


def fit_to_leukaemia(mixture: Mixture, cells: WindowCells) -> float:
    """Share of leukaemias that lie further from the average one than this group, by all markers but its most unusual
    one.

    The most unusual marker is left out because a leukaemia may be aberrant in any one marker. Means and spreads are
    those of :mod:`flowmrd.classifier.blast_prior`; markers are treated as Gaussian and independent.
    """
    mean, sd = blast_spread(cells.features)
    centre: Floats = mixture.mean[int(mixture.weight.argmax())]
    squares = ((centre - cells.normal.normal_b - cells.shift - mean) / sd) ** 2
    degrees = max(len(squares) - 1, 1)
    return float(gammaincc(degrees / 2.0, float(squares.sum() - squares.max()) / 2.0))


def unexplained_groups(cells: WindowCells, controls: Sequence[WindowCells]) -> tuple[CompactGroup, ...]:
    """Groups of a control that count towards the error rate.

    They are unlike normal cells, the other controls have few cells where they lie, and the catalogue has no name for
    them that answers the question.
    """
    found = []
    for group in cells.compact_groups():
        place = place_of(group.mixture, group.share, cells)
        if (place is None or not place.accepted) and is_uncommon(group, cells, controls):
            found.append(group)
    return tuple(found)


def counts(group: CompactGroup, evidence: EvidenceOnGroup, cells: WindowCells) -> bool:
    """Whether a group stands out enough to be counted, wherever it lies."""
    parameters = cells.parameters
    return (
        not evidence.accepted
        and group.log_likelihood_gain >= parameters.group_gain_least
        and group.is_distinct(parameters)
        and evidence.false_groups is not None
        and evidence.false_groups < parameters.false_groups_counted
    )


def is_doubt(group: CompactGroup, evidence: EvidenceOnGroup, cells: WindowCells) -> bool:
    """Whether a group rules out a negative answer, wherever it lies."""
    parameters = cells.parameters
    return (
        not evidence.accepted
        and group.log_likelihood_gain >= parameters.group_gain_least
        and evidence.false_groups is not None
        and evidence.false_groups < parameters.false_groups_atypical
    )

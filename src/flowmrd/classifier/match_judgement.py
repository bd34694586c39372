"""Whether a match of the patient's phenotype counts, is a question or neither.

The same rules judge a tube beside its controls and a control beside the other ones. So the background is what a tube
without leukaemia would count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowmrd.classifier.classification import UncountedGroup, Why
from flowmrd.classifier.group_evidence import EvidenceOnGroup, lies_without_leukaemia, weigh_mixture
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.phenotype_match import forms_group, is_unusual_shift, nearer_to, stretched_match
from flowmrd.classifier.phenotype_score import PhenotypeFit
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class MatchVerdict:
    """A match whose cells form a group, and why it is not counted; ``why`` is None where it is counted.

    Attributes
    ----------
    events
        Number of its cells above the cut.
    """

    fit: PhenotypeFit
    events: float
    evidence: EvidenceOnGroup
    why: Why | None

    @property
    def uncounted(self) -> UncountedGroup:
        """The match in the result of a search; only for one that is not counted."""
        assert self.why is not None  # noqa: S101
        return UncountedGroup(self.fit.mixture, self.events, self.why, self.evidence)


def judge_matches(
    fits: Iterable[PhenotypeFit], cells: WindowCells, cut: float, alone_shifts: Sequence[Floats] = ()
) -> list[MatchVerdict]:
    """Matches that count or are a question; those whose cells form no group are left out.

    A phenotype that moved further than it usually does, into places where no leukaemia lies, was moved onto the normal
    cells of those places: the tube's own normal model need not explain cells that a phenotype claims.

    Parameters
    ----------
    fits
        Matches of the phenotype in the tube.
    cut
        Natural log score from which a cell counts.
    alone_shifts
        Places of the phenotype in a control that stands alone
        (:attr:`flowmrd.classifier.calibration.Calibration.alone_shifts`).
    """
    judged: list[MatchVerdict] = []
    for fit in fits:
        why: Why | None = None
        if forms_group(fit, cells, cut):
            if any(nearer_to(fit, shift, cells) for shift in alone_shifts):
                why = "like_one_control"
            elif is_unusual_shift(fit, cells.parameters) and lies_without_leukaemia(fit.mixture, fit.share, cells):
                # a fifth of mature B cells was called where the phenotype had moved 0.8 decades in CD10 onto them
                why = "stretched"
        elif stretched_match(fit, cells, cut):
            why = "stretched"
        else:
            continue
        evidence = weigh_mixture(fit.mixture, fit.share, cells)
        judged.append(MatchVerdict(fit, float((fit.score >= cut).sum()), evidence, why))
    return judged

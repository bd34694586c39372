"""Groups with the phenotype of groups that reviewers of this laboratory called before.

Nothing here changes a call or a count. The reviewer is shown the earlier decisions and decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.records.decisions import LearnedDecision, Proposal
from flowmrd.units import LOGICLE_M

__all__ = ["in_staining_of_reference", "propose"]


def in_staining_of_reference(medians: Mapping[str, float], staining_shift: Mapping[str, float]) -> dict[str, float]:
    """Medians of a group, moved from the staining of its tube to that of the reference; 0..1 scale.

    Parameters
    ----------
    staining_shift
        Marker to decades, this tube against the reference.
    """
    return {name: level - staining_shift.get(name, 0.0) / LOGICLE_M for name, level in medians.items()}


def propose(
    levels: Mapping[str, float],
    sd: Mapping[str, float],
    decisions: Sequence[LearnedDecision],
    *,
    panel: str,
    parameters: ClassifierParameters,
) -> Proposal | None:
    """The most frequent call of earlier groups in the same place; None where there was none.

    Two groups are in the same place if their centres are nearer than :attr:`ClassifierParameters.same_place`, measured
    by the mean of their variances in the markers that both have. Groups of several controls are compared in the same
    way.

    Parameters
    ----------
    levels, sd
        Marker to median and standard deviation, 0..1 scale, in the staining of the reference.
    """
    near = [one.call for one in decisions if one.panel == panel and _same_place(levels, sd, one, parameters)]
    if not near:
        return None
    counts = Counter(near)
    call = min(counts, key=lambda name: (-counts[name], name))
    return Proposal(call=call, agree=counts[call], decisions=len(near))


def _same_place(
    levels: Mapping[str, float], sd: Mapping[str, float], other: LearnedDecision, parameters: ClassifierParameters
) -> bool:
    shared = levels.keys() & other.levels.keys()
    if len(shared) < parameters.offscale_channels_least:
        return False
    distance = 0.0
    unknown = parameters.group_sd_unknown / LOGICLE_M
    for marker in shared:
        own, theirs = sd.get(marker, unknown), other.sd.get(marker, unknown)
        distance += (levels[marker] - other.levels[marker]) ** 2 / max(0.5 * (own**2 + theirs**2), 1e-9)
    return distance < parameters.same_place**2

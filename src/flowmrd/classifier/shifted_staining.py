"""Whether counted cells differ from normal cells by a marker alone whose staining is unlike that of the controls.

A detector at another voltage moves bright cells and not dim ones, and leaves a wrong compensation. The normal
populations of the tube model follow only in part, and normal cells can form a group that is unlike normal. What
differs from normal cells by the other markers as well is leukaemia in any staining.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import Bools, CandidateCells
from flowmrd.classifier.classification import CountedGroup
from flowmrd.classifier.mixture import log_density
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype_score import score_cells
from flowmrd.classifier.staining_control import StainingFinding
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.flags import Flag, flag

__all__ = ["shifted_staining_flags"]


def shifted_staining_flags(
    tube: CandidateCells,
    counted: Sequence[CountedGroup],
    cluster: npt.NDArray[np.int32],
    fitted: TubeModel,
    findings: Sequence[StainingFinding],
    parameters: ClassifierParameters,
) -> list[Flag]:
    """A flag if too few counted cells are left for a detection without the groups that rest on shifted markers.

    Groups that were found by a patient's phenotype are left out: they lie where the leukaemia of the patient does.

    Parameters
    ----------
    cluster
        Shape (n,): number of the counted group of every cell of the tube, -1 for none.
    """
    shifted = [one.marker for one in findings if one.state == "shifted" and one.marker not in parameters.unreliable]
    if not shifted:
        return []
    rests = [
        group.source != "patient" and rests_on(group, tube, cluster == number, fitted, shifted, parameters)
        for number, group in enumerate(counted)
    ]
    events = [int(np.count_nonzero(cluster == number)) for number in range(len(counted))]
    doubtful = sum(count for count, doubt in zip(events, rests, strict=True) if doubt)
    if doubtful == 0 or sum(events) - doubtful >= parameters.detect_events:
        return []
    return [flag("COUNTED_BY_SHIFTED_STAINING", events=doubtful, markers=", ".join(shifted))]


def rests_on(
    group: CountedGroup,
    tube: CandidateCells,
    members: Bools,
    fitted: TubeModel,
    markers: Collection[str],
    parameters: ClassifierParameters,
) -> bool:
    """Whether the cells of a group gain too little over normal cells to count without some markers.

    Parameters
    ----------
    members
        Shape (n,): cells of the group.
    """
    rest = [place for place, name in enumerate(tube.features) if name not in markers]
    cells = tube.values[members][:, rest]
    if len(cells) == 0 or not rest:
        return True
    normal = log_density(fitted.mixture.marginal(rest), cells, degrees=parameters.tail_degrees)
    score = score_cells(group.mixture.marginal(rest), cells, normal, parameters.blast_tail_degrees)
    odds = np.log(len(cells) / max(tube.denominator, 1)) + score
    gain = float(np.logaddexp(0.0, odds).sum()) - len(cells)
    return gain < max(parameters.group_gain_least, parameters.gain_per_event_counted * len(cells))

"""Assigning cells to every group, counted or not, so that a reviewer's call can be counted.

Groups are numbered as in ``classification.json``: counted groups first, then those that are reported and not counted. A
cell belongs to at most one group; counted groups choose first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import OffscaleCells
from flowmrd.classifier.classification import UncountedGroup
from flowmrd.classifier.compact_groups import even_score
from flowmrd.classifier.offscale_cells import score_offscale
from flowmrd.classifier.phenotype_score import MOSTLY, NO_SCORE, score_cells
from flowmrd.classifier.window_cells import WindowCells

__all__ = ["GroupMembers", "find_members"]

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class GroupMembers:
    """Number of the group of every window cell, shape (n,), and of every off-scale cell, shape (m,); -1 for none."""

    window: Numbers
    offscale: Numbers | None


def find_members(
    cells: WindowCells,
    counted: Numbers,
    offscale: OffscaleCells | None,
    counted_offscale: Numbers | None,
    uncounted: Sequence[UncountedGroup],
    first: int,
) -> GroupMembers:
    """Assign the cells that no counted group has to the groups that are not counted.

    A cell belongs to such a group if it scores above ``group_cut`` and is more probably the group's than a normal cell,
    as in a counted group (:func:`flowmrd.classifier.group_judgement.cut_of_groups`). Of a group that was fitted as a
    population of the tube, the cells are those of which it explains more than the other populations do.

    Parameters
    ----------
    cells
        Window cells, in which the groups were found.
    counted, counted_offscale
        Number of the counted group of every window cell and of every off-scale cell; -1 for none.
    uncounted
        Groups in the order of their numbers.
    first
        Number of the first of them.
    """
    cut = cells.parameters.group_cut
    window = counted.copy()
    best = np.where(counted >= 0, np.inf, NO_SCORE)
    beside = cells.shrunken
    for number, group in enumerate(uncounted, start=first):
        if group.detector:
            continue
        if group.is_fitted:
            part = score_cells(group.mixture, cells.values, cells.log_normal, cells.parameters.blast_tail_degrees)
            window[(part >= MOSTLY) & (window < 0)] = number
            continue
        # Such a group stands out only from populations that are shrunken towards their places.
        out_of_place = beside is not None and group.why in {"displaced", "named"}
        seen = beside if out_of_place and beside is not None else cells
        score = score_cells(group.mixture, seen.values, seen.log_normal, cells.parameters.blast_tail_degrees)
        least = max(cut, even_score(group.events / max(cells.denominator, 1)))
        better = (score >= least) & (score > best)
        window[better], best[better] = number, score[better]
    if offscale is None or counted_offscale is None:
        return GroupMembers(window, None)
    members = counted_offscale.copy()
    found = np.where(members >= 0, np.inf, NO_SCORE)
    for number, group in enumerate(uncounted, start=first):
        if not group.detector:
            continue
        score, _ = score_offscale(offscale, [group.mixture], cells.model, cells.parameters)
        off = offscale.off[:, offscale.detectors.index(group.detector)]
        better = off & (score >= cut) & (score > found)
        members[better], found[better] = number, score[better]
    return GroupMembers(window, members)

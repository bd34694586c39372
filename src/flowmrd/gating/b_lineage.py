"""Whether the B lineage of a tube can be assessed at all.

The gate ``b_lineage`` lets in every cell that one marker allows, so that leukaemia that lost the others is seen. After
anti-B-cell therapy nearly all of these are other cells. Cells that entered by two markers are mostly of the B lineage
in normal marrow; how many are not is known from the controls (:func:`flowmrd.gating.targets.expected_others`). Unless a
tube holds more than that, its B cells and their stages say nothing.
"""

from __future__ import annotations

from typing import Final

from flowmrd.records.gates import BLineageEntry

__all__ = ["assess_b_lineage"]

MIN_NUCLEATED: Final = 10_000
"""Fewer nucleated cells give no share of a lineage that makes up a hundredth of them."""


def assess_b_lineage(agreed: int, nucleated: int, others: float) -> BLineageEntry:
    """Verdict ``assessed``, ``too_few`` or ``not_evaluable`` with the numbers it rests on.

    Parameters
    ----------
    agreed
        Analysable cells that entered the B lineage by two markers, leukaemic ones included.
    nucleated
        Analysable nucleated cells.
    others
        How many of ``agreed`` can be cells of other lineages.
    """
    if nucleated < MIN_NUCLEATED:
        statement = f"The B lineage cannot be assessed: {nucleated} nucleated cells."
        return BLineageEntry(verdict="not_evaluable", agreed=agreed, others=round(others, 1), statement=statement)
    told = (
        f"{agreed} of {nucleated} nucleated cells enter the B lineage by two markers, and {others:.0f} of them can be "
        "other cells"
    )
    if agreed <= others:
        statement = (
            f"B-cell aplasia, or too few B cells to assess: {told}. Counts of normal B stages are not reliable in this "
            "tube."
        )
        return BLineageEntry(verdict="too_few", agreed=agreed, others=round(others, 1), statement=statement)
    statement = f"B lineage, leukaemia included: {told}."
    return BLineageEntry(verdict="assessed", agreed=agreed, others=round(others, 1), statement=statement)

"""Whether the B lineage of a tube is told from other cells."""

from __future__ import annotations

import pytest

from flowmrd.gating.b_lineage import assess_b_lineage


@pytest.mark.parametrize(
    ("agreed", "nucleated", "verdict"),
    [
        (1_500, 300_000, "too_few"),
        (3_000, 300_000, "too_few"),
        (3_001, 300_000, "assessed"),
        (500, 9_999, "not_evaluable"),
    ],
)
def test_b_cells_are_assessed_only_where_they_are_more_than_other_cells_can_be(
    agreed: int, nucleated: int, verdict: str
) -> None:
    assert assess_b_lineage(agreed, nucleated, others=3_000.0).verdict == verdict


def test_a_tube_without_enough_b_cells_says_so_with_both_numbers() -> None:
    said = assess_b_lineage(1_234, 300_000, others=2_910.4).statement
    assert said.startswith("B-cell aplasia, or too few B cells to assess: 1234 of 300000 nucleated cells")
    assert "2910 of them can be other cells" in said

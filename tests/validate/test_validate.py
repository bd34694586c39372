"""Figures of merit from diluted tubes."""

from __future__ import annotations

import pytest

from flowmrd.records.base import MarkerShift
from flowmrd.records.references import LaipComponent
from flowmrd.validate.dilution import Dilution
from flowmrd.validate.figures import figures
from flowmrd.validate.kinds import kinds_of


def test_limits_are_the_lowest_levels_that_hold() -> None:
    made = [
        Dilution("p", f"c{i}", level, 0, 500_000, true, measured, measured, False)
        for i in range(20)
        for level, true, measured in ((1e-3, 500, 480 + i), (1e-4, 50, 48), (1e-5, 5, 4), (0.0, 0, i % 2))
    ]
    found = figures(made, detect_events=20)
    assert found.lod == pytest.approx(1e-4)
    assert found.loq == pytest.approx(1e-4)
    assert found.blank.worst_per_million == pytest.approx(2.0)
    assert found.linearity is not None
    assert found.linearity.r_squared > 0.99


def component(share: float, **shifts: float) -> LaipComponent:
    """One population of a leukaemia, as ``laip.json`` has it."""
    return LaipComponent(
        share=share,
        nearest_normal="haematogones_1",
        markers=tuple(
            MarkerShift(
                marker=marker,
                shift_decades=value,
                direction="same" if abs(value) < 0.3 else "over" if value > 0 else "under",
            )
            for marker, value in shifts.items()
        ),
        medians={},
    )


def test_a_leukaemia_is_of_the_kinds_that_hold_for_half_of_its_cells() -> None:
    made = [component(0.7, CD19=-1.4, CD10=-0.6, CD34=0.1), component(0.3, CD19=-0.2, CD10=-1.2, CD58=0.8)]
    assert kinds_of(made, indistinct=False) == (
        "CD10 under", "CD19 lost", "nearest to haematogones 1", "of several phenotypes",
    )  # fmt: skip


def test_a_leukaemia_like_normal_precursors_is_listed_as_such() -> None:
    assert kinds_of([component(1.0, CD34=0.1)], indistinct=True) == (
        "nearest to haematogones 1", "of one phenotype", "like normal precursors",
    )  # fmt: skip


def test_detection_by_kind_counts_the_tubes_of_every_leukaemia_of_that_kind() -> None:
    made = [
        Dilution(patient, f"c{i}", level, 0, 500_000, true, true if patient == "p" else 0, 0, False)
        for patient in ("p", "q", "r")
        for i in range(4)
        for level, true in ((1e-3, 500), (1e-4, 50), (0.0, 0))
    ]
    found = figures(made, detect_events=20, kinds={"p": ("CD10 lost",), "q": ("CD10 lost", "CD58 over")})
    rows = {row.kind: row for row in found.by_kind}
    assert sorted(rows) == ["CD10 lost", "CD58 over"]
    assert rows["CD10 lost"].patients == ("p", "q")
    assert (rows["CD10 lost"].ppa_at_1e_4.hits, rows["CD10 lost"].ppa_at_1e_4.of) == (4, 8)
    assert (rows["CD58 over"].ppa_at_1e_3.hits, rows["CD58 over"].ppa_at_1e_3.of) == (0, 4)

"""What flags do to the verdict."""

from __future__ import annotations

import pytest

from flowmrd.flags import flag
from flowmrd.home import PANELS
from flowmrd.mrd.reasons import covered_blind_spots, sort_flags
from flowmrd.panel import load_panel

LOSS = flag("CD19_LOSS_UNSEEN")


def test_unseen_loss_of_cd19_is_a_blind_spot_unless_the_patients_blasts_come_by_other_routes() -> None:
    assert [reason.code for reason in sort_flags([LOSS]).blind_spots] == ["CD19_LOSS_UNSEEN"]
    excused = sort_flags([LOSS], excused=covered_blind_spots(0.97))
    assert excused.blind_spots == []
    assert [reason.code for reason in excused.remarks] == ["CD19_LOSS_UNSEEN"]
    assert covered_blind_spots(0.94) == frozenset()
    assert covered_blind_spots(None) == frozenset()


@pytest.mark.parametrize(
    ("panel", "without_cd19", "without_cd10"),
    [
        ("vienna_b8", {"route_precursor", "route_cd20", "route_weak"}, {"route_cd19", "route_cd19_dim", "route_cd20"}),
        (
            "ino10",
            {"route_cd22", "route_cd24", "route_precursor", "route_cd20", "route_weak"},
            {"route_cd19", "route_cd22", "route_cd24", "route_cd20"},
        ),
    ],
)
def test_routes_without_a_marker_are_those_that_do_not_ask_for_it(
    panel: str, without_cd19: set[str], without_cd10: set[str]
) -> None:
    model = load_panel(PANELS / f"{panel}.yaml")
    assert set(model.routes_without("CD19")) == without_cd19
    assert without_cd10 <= set(model.routes_without("CD10"))
    assert "route_precursor" not in model.routes_without("CD10")

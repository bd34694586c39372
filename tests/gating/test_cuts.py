"""Where cuts are put: one population beside another, a window measured from a third, clipped events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from flowmrd.gating.tree import FrozenGate, evaluate_tree
from flowmrd.panel.gates import Gate

CUT = {"method": "cut", "parent": "root", "channel": "x", "side": "above", "bounds": [0.0, 1.0], "fallback": 0.5}


def gates(*items: Any) -> Any:
    return tuple(TypeAdapter(Gate).validate_python(item) for item in items)


def three_populations(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    sizes = ((0.2, 3000), (0.5, 2000), (0.8, 4000))
    x = np.concatenate([rng.normal(mean, 0.04, n) for mean, n in sizes]).astype(np.float32)
    kind = np.repeat([0, 1, 2], [n for _, n in sizes])
    return {"x": x, "kind": kind.astype(np.float32)}


def test_between_cuts_at_its_share_of_the_way_between_two_centres() -> None:
    columns = {"x": three_populations()["x"][:5000]}
    for share in (0.3, 0.4, 0.45):
        tree = gates(
            {"name": "a", **CUT, "bounds": [0.25, 0.45], "fallback": 0.3, "estimator": "between", "share": share}
        )
        placement = evaluate_tree(columns, tree).placements[0]
        assert placement.how == "between"
        assert placement.parameters["threshold"] == pytest.approx(0.2 + share * 0.3, abs=0.01)


def test_between_never_goes_beyond_the_valley_itself() -> None:
    rng = np.random.default_rng(1)
    columns = {
        "x": np.concatenate([rng.normal(0.2, 0.03, 3000), rng.normal(0.4, 0.03, 900), rng.normal(0.8, 0.03, 4000)])
    }
    upper = {"name": "upper", "parent": "root", "method": "rectangle", "ranges": {"x": [0.7, None]}}
    cut = {"name": "a", **CUT, "bounds": [0.2, 0.8], "estimator": "between", "share": 0.5, "relative_to": "upper",
           "window_decades": [-2.6, -2.0]}  # fmt: skip
    placement = evaluate_tree(columns, gates(upper, cut)).placement("a")
    assert placement.parameters["threshold"] == pytest.approx(0.3, abs=0.03)
    assert "not beyond the valley" in placement.why


@pytest.mark.parametrize(("window", "expected"), [([-1.2, -0.3], 0.65), ([-2.6, -1.5], 0.35)])
def test_a_window_is_measured_from_the_mode_of_the_named_gate(window: Any, expected: Any) -> None:
    columns = three_populations()
    top = {"name": "top", "parent": "root", "method": "rectangle", "ranges": {"kind": [1.5, None]}}
    cut = {"name": "a", **CUT, "estimator": "valley", "relative_to": "top", "window_decades": window}
    placement = evaluate_tree(columns, gates(top, cut)).placement("a")
    assert placement.how == "valley"
    assert placement.parameters["threshold"] == pytest.approx(expected, abs=0.03)


def test_without_a_valley_in_the_window_the_cut_lies_at_its_distance_from_the_named_gate() -> None:
    columns = {"x": np.random.default_rng(0).normal(0.8, 0.04, 3000).astype(np.float32)}
    top = {"name": "top", "parent": "root", "method": "rectangle", "ranges": {"x": [0.0, None]}}
    cut = {"name": "a", **CUT, "estimator": "valley", "relative_to": "top", "window_decades": [-2.0, -0.8],
           "offset_decades": -1.35}  # fmt: skip
    placement = evaluate_tree(columns, gates(top, cut)).placement("a")
    assert placement.parameters["threshold"] == pytest.approx(0.5, abs=0.02)
    assert "-1.35 decades from the mode of top" in placement.why


@pytest.mark.parametrize("top", [1.0, 1023 / 1024], ids=["exact", "ten-bits"])
def test_a_top_cut_holds_clipped_events_alone(top: Any) -> None:
    rng = np.random.default_rng(0)
    x = np.floor(rng.uniform(0, 0.98, 5000) * 1024) / 1024
    x[:200] = top
    result = evaluate_tree({"x": x.astype(np.float32)}, gates({"name": "a", **CUT, "estimator": "top"}))
    assert np.array_equal(np.flatnonzero(result.inside("a")), np.arange(200))


def test_at_least_two_holds_the_events_of_two_or_more_gates() -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.random(2000).astype(np.float32) for name in "abc"}
    single = [{"name": n, "parent": "root", "method": "rectangle", "ranges": {n: [0.5, None]}} for n in "abc"]
    both = {"name": "two", "parent": "root", "method": "boolean", "any_of": ["a", "b", "c"], "at_least": 2}
    result = evaluate_tree(columns, gates(*single, both))
    held = sum((values >= 0.5).astype(int) for values in columns.values())
    assert np.array_equal(result.inside("two"), held >= 2)


def test_at_least_two_is_unavailable_where_only_one_of_them_is() -> None:
    single = [{"name": n, "parent": "root", "method": "rectangle", "ranges": {n: [0.5, None]}} for n in "ab"]
    both = {"name": "two", "parent": "root", "method": "boolean", "any_of": ["a", "b"], "at_least": 2}
    result = evaluate_tree({"a": np.ones(5, dtype=np.float32)}, gates(*single, both))
    assert result.placement("two").state == "unavailable"
    assert "only a" in result.placement("two").why


def test_the_explaining_curve_carries_the_threshold_and_its_bounds() -> None:
    cut = {"name": "a", **CUT, "bounds": [0.3, 0.7], "estimator": "valley"}
    placement = evaluate_tree({"x": three_populations()["x"]}, gates(cut)).placements[0]
    assert placement.curve is not None
    assert placement.curve.bounds == (0.3, 0.7)
    assert placement.curve.threshold == pytest.approx(placement.parameters["threshold"], abs=1e-3)
    assert min(placement.curve.x) < 0.2 < 0.8 < max(placement.curve.x)


def dye(cells_at: float, *, bare: int = 4000, seed: int = 2) -> Any:
    """A nucleic acid dye: bare particles at 0.15, cells of two kinds around ``cells_at``."""
    rng = np.random.default_rng(seed)
    parts = (rng.normal(0.15, 0.03, bare), rng.normal(cells_at, 0.025, 9000), rng.normal(cells_at + 0.12, 0.02, 3000))
    return {"x": np.concatenate(parts).astype(np.float32)}


OWN = {"name": "dye", **CUT, "bounds": [0.15, 0.65], "estimator": "valley", "own_tube": True, "peak": "positive"}


@pytest.mark.parametrize("shift", [-0.12, 0.0, 0.1])
@pytest.mark.parametrize("bare", [4000, 0])
def test_a_cut_of_the_own_tube_follows_its_stain_where_controls_are_stained_otherwise(shift: float, bare: int) -> None:
    (gate,) = gates(OWN)
    control = evaluate_tree(dye(0.5), (gate,)).placements[0]
    frozen = {"dye": FrozenGate(dict(control.nominal), 0.0, False, "controls")}
    columns = dye(0.5 + shift, bare=bare, seed=3)
    result = evaluate_tree(columns, (gate,), frozen=frozen)
    cells = columns["x"] > 0.5 + shift - 0.1
    assert result.inside("dye")[cells].mean() > 0.999
    assert result.inside("dye")[columns["x"] < 0.22].mean() < 0.01 if bare else True
    assert result.placements[0].source == ("sample" if bare else "sample-shift")


@pytest.mark.parametrize(("dim", "bare"), [(0, 3_000), (2_000, 0)])
def test_a_valley_is_one_below_the_cells_only_where_no_dim_kind_of_cells_could_lie_below_it(
    dim: int, bare: int
) -> None:
    """``BELOW_CELLS``: the tube has half the stain of the controls; bare particles are as dark as ever.

    A leukaemia with a tenth of the stain stays on the side of the cells.
    """
    (gate,) = gates(OWN)
    frozen = {"dye": FrozenGate({"threshold": 0.308, "peak": 0.756}, 0.0, False, "controls")}
    rng = np.random.default_rng(5)
    parts = (
        rng.normal(0.12, 0.05, bare),
        rng.uniform(0.27, 0.55, 800),
        rng.normal(0.386, 0.03, dim),
        rng.normal(0.608, 0.04, 20_000),
    )
    inside = evaluate_tree({"x": np.concatenate(parts).astype(np.float32)}, (gate,), frozen=frozen).inside("dye")
    assert inside[bare:].mean() > 0.99
    assert not bare or inside[:bare].mean() < 0.03

"""Off-scale events: which they are, and which channels they leave unmeasured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.preprocess.quality.offscale import OFFSCALE_WARN, censored_channels, find_offscale
from flowmrd.preprocess.transform import ChannelScale

TOP = 262143.0
SCALE = ChannelScale("logicle", 262144.0, W=0.75)


def cells(n: int = 20_000, seed: int = 1) -> npt.NDArray[np.float32]:
    """Two populations of one dye, raw units."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(n) < 0.7, rng.normal(50, 80, n), 10 ** rng.normal(4.0, 0.2, n))
    out: npt.NDArray[np.float32] = np.asarray(values, dtype=np.float32)
    return out


def clipped(events: int, at: float = TOP) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = np.minimum(cells(), np.float32(0.9 * at))
    values[:events] = at
    return values


@pytest.mark.parametrize("events", [1, 40])
def test_an_event_at_the_top_of_a_sound_range_is_off_scale(events: int) -> None:
    found = find_offscale({"CD10": clipped(events), "CD19": cells(seed=2)}, {"CD10": 262144.0, "CD19": 262144.0})
    assert int(found.masks["CD10"].sum()) == events
    assert found.tops["CD10"].how == "range"
    assert not found.masks["CD19"].any()
    assert np.flatnonzero(found.any).tolist() == list(range(events))


@pytest.mark.parametrize("stated", [262144.0, 4194304.0, 2.0**31 - 1, None])
def test_a_clip_far_below_the_stated_range_is_seen_by_its_pile(stated: float | None) -> None:
    found = find_offscale({"CD10": clipped(40, 150_000.0)}, {"CD10": stated})
    assert int(found.masks["CD10"].sum()) == 40


def test_values_beyond_a_stated_range_that_does_not_clip_are_on_scale() -> None:
    values = cells()
    values[:5] = [270_000, 300_000, 420_000, 500_000, 700_000]
    assert not find_offscale({"CD10": values}, {"CD10": 262144.0}).any.any()


def test_an_empty_channel_and_coarse_values_without_a_clip_are_on_scale() -> None:
    rng = np.random.default_rng(3)
    channels = np.round(rng.normal(600, 90, 50_000)).astype(np.float32)
    found = find_offscale({"none": np.zeros(50_000, np.float32), "old": channels}, {"none": 1024.0, "old": 1024.0})
    assert not found.any.any()


def test_a_detector_off_scale_censors_what_it_spills_into_and_nothing_else() -> None:
    names = ("CD34", "CD19", "CD45")
    matrix = np.array([[1.0, 0.03, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    n = 5
    stored = {name: np.full(n, 2000.0, dtype=np.float32) for name in names}
    stored["CD34"][0] = TOP
    stored["CD19"][1] = TOP
    stored["CD34"][2], stored["CD19"][2] = TOP, 240_000.0
    found = find_offscale(stored, dict.fromkeys(names, 262144.0))
    inverse = np.linalg.inv(matrix)
    light = np.stack([stored[name] for name in names], axis=1).astype(np.float64) @ inverse
    compensated = {name: light[:, i].astype(np.float32) for i, name in enumerate(names)}
    bits, channels = censored_channels(found, compensated, dict.fromkeys(names, SCALE), names, inverse)
    said = [{name for i, name in enumerate(channels) if bit >> i & 1} for bit in bits.tolist()]
    # The third event's own CD19 is so bright that 3 % of the unknown light cannot move it.
    assert said == [{"CD34", "CD19"}, {"CD19"}, {"CD34"} | ({"CD19"} & said[2]), set(), set()]
    assert "CD45" not in said[2]


def test_a_bright_neighbour_stays_measured_where_the_unknown_light_cannot_move_it() -> None:
    names = ("CD34", "CD19")
    inverse = np.linalg.inv(np.array([[1.0, 0.002], [0.0, 1.0]]))
    stored = {"CD34": np.full(2, TOP, np.float32), "CD19": np.array([100.0, 50_000.0], np.float32)}
    found = find_offscale(stored, dict.fromkeys(names, 262144.0))
    bits, channels = censored_channels(found, stored, dict.fromkeys(names, SCALE), names, inverse)
    assert channels == names
    assert bits.tolist() == [3, 1]


def test_without_a_matrix_only_the_detector_itself_is_censored() -> None:
    stored = {"CD34": clipped(4), "CD19": cells(seed=4)}
    found = find_offscale(stored, dict.fromkeys(stored, 262144.0))
    bits, _ = censored_channels(found, stored, dict.fromkeys(stored, SCALE), (), None)
    assert set(bits[:4].tolist()) == {1}
    assert not bits[4:].any()


def test_a_share_that_real_tubes_have_is_not_called_a_wrong_voltage() -> None:
    found = find_offscale({"CD10": clipped(round(0.0045 * 20_000))}, {"CD10": 262144.0})
    assert found.tops["CD10"].share < OFFSCALE_WARN

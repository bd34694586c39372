"""Height and width of a pulse are told apart by their values, whatever the file calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.preprocess.quality.pulses import check_pulses, exchange_names
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import tube_seed
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, simulate_tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

Values = npt.NDArray[np.float64]


def pulses(seed: int = 1, n: int = 5000) -> dict[str, Values]:
    rng = np.random.default_rng(seed)
    height = np.exp(rng.normal(11.0, 0.5, n))
    width = 60_000 * np.exp(rng.normal(0.0, 0.05, n))
    width[: n // 20] *= 1.6
    return {"FSC-A": height * width / 65_536, "FSC-H": height, "FSC-W": width}


def test_channels_under_their_own_names_are_left_alone() -> None:
    checks = check_pulses(pulses())
    assert not checks["FSC"].exchanged
    assert exchange_names(checks) == {}


def test_exchanged_names_are_seen() -> None:
    own = pulses()
    checks = check_pulses({"FSC-A": own["FSC-A"], "FSC-H": own["FSC-W"], "FSC-W": own["FSC-H"]})
    assert checks["FSC"].exchanged
    assert exchange_names(checks) == {"FSC-H": "FSC-W", "FSC-W": "FSC-H"}


@pytest.mark.parametrize("missing", ["FSC-A", "FSC-H", "FSC-W"])
def test_without_area_height_or_width_pulses_are_not_judged(missing: str) -> None:
    own = pulses()
    del own[missing]
    assert check_pulses(own) == {}


def test_a_width_that_is_constant_or_no_width_at_all_changes_nothing() -> None:
    own = pulses()
    assert not check_pulses({**own, "FSC-W": np.full(5000, 60_000.0)}).get("FSC", check_pulses(own)["FSC"]).exchanged
    rng = np.random.default_rng(2)
    assert not check_pulses({**own, "FSC-W": rng.uniform(1, 1000, 5000)})["FSC"].exchanged


def test_a_tube_with_exchanged_names_gives_the_same_gates(tmp_path: Path) -> None:
    panel = load_panel(PANELS / "ino10.yaml")
    made = simulate_tube(TubeSpec(8_000, person_seed=2), panel, tube_seed(2, "tube"))
    other = dict(made.columns)
    other["FSC-H"], other["FSC-W"] = made.columns["FSC-W"], made.columns["FSC-H"]
    tubes = []
    for name, columns in (("own", made.columns), ("other", other)):
        path = tmp_path / f"{name}.fcs"
        write_tube(path, SimulatedTube(columns, made.cytometer, made.truth))
        tubes.append(gate(preprocess(read_tube(path, panel))))
    own, exchanged = tubes
    assert exchanged.qc is not None
    assert exchanged.qc.pulses["FSC"]["exchanged"]
    assert [flag.code for flag in exchanged.qc.flags].count("HEIGHT_WIDTH_EXCHANGED") == 1
    for name in own.gate_names:
        assert np.array_equal(own.gate(name), exchanged.gate(name)), name

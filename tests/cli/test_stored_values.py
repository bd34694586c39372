"""Files whose values no detector in use gives: ``check`` and ``panel check`` tell what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from flowmrd.cli.check import check_run
from flowmrd.cli.panel_check import check_panel
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.simulate.tube import TubeSpec, simulate_tube

Values = dict[str, Any]
Spoil = Callable[[Values], Values]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a simulated tube of ten colours with values and names changed."""
    tube = simulate_tube(TubeSpec(5_000, person_seed=3), load_panel("ino10"), 3)
    markers = {detector.pnn: detector.marker for detector in tube.cytometer.fluorescence}
    dyes = list(markers)
    numbers = [format(value, ".6g") for value in tube.cytometer.spill.ravel()]
    spillover = ",".join([str(len(dyes)), *dyes, *numbers])

    def written(spoil: Spoil, *, top: int = 262144, exchanged: tuple[str, str] | None = None) -> Path:
        columns = {markers.get(name, name): values.copy() for name, values in tube.columns.items()}
        columns = spoil(columns)
        detector = {marker: pnn for pnn, marker in markers.items()}
        named = dict.fromkeys(columns, "") | {marker: marker for marker in detector}
        if exchanged is not None:
            named |= dict(zip(exchanged, reversed(exchanged), strict=True))
        path = tmp_path_factory.mktemp("tube") / "T1.fcs"
        channels = [ChannelSpec(detector.get(name, name), named[name], top) for name in columns]
        write_fcs(path, list(columns.values()), channels, {"$TIMESTEP": "0.01", "$SPILLOVER": spillover})
        return path

    return written


def first(n: int) -> Spoil:
    return lambda columns: {name: values[:n] for name, values in columns.items()}


def constant(*names: str) -> Spoil:
    return lambda columns: columns | {name: np.full_like(columns[name], 7.0) for name in names or columns}


def not_finite(n: int) -> Spoil:
    def spoil(columns: Values) -> Values:
        columns["CD10"][:n] = np.nan
        return columns

    return spoil


def as_it_is(columns: Values) -> Values:
    return columns


@pytest.mark.parametrize(
    ("spoil", "top", "told", "level"),
    [
        (first(0), 262144, "0 events in the file", "error"),
        (first(1), 262144, "1 event in the file", "error"),
        (constant(), 262144, "one value for all events in FSC-A", "error"),
        (constant("CD10"), 262144, "one value for all events in CD10", "error"),
        (not_finite(4), 262144, "4 of ", "note"),
        (not_finite(900), 262144, "900 of ", "error"),
        (as_it_is, 0, "$PnR missing, not plausible or below the stored values in FSC-A", "note"),
        (as_it_is, 512, "$PnR missing, not plausible or below the stored values in FSC-A", "note"),
    ],
    ids=["no event", "one event", "identical events", "dead detector", "NaN", "much NaN", "range 0", "range 512"],
)
def test_values_that_no_detector_gives_are_reported_before_a_run(
    write: Callable[..., Path], tmp_path: Path, spoil: Spoil, top: int, told: str, level: str
) -> None:
    path = write(spoil, top=top)
    errors, lines = check_panel("ino10", [path])
    assert errors == (level == "error")
    mine = [place for place, line in enumerate(lines) if told in line]
    assert mine
    assert str(path) in lines[mine[0]]
    if level == "error":
        assert [line.strip().split(":")[0] for line in lines[mine[0] + 1 :][:2]] == ["expected", "do"]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\n")
    (tmp_path / "config" / "samples.tsv").write_text(f"sample\tpatient\trole\tfcs\nT1\tT1\tcontrol\t{path}\n")
    found = [problem for problem in check_run(tmp_path)[0] if told in problem.found]
    assert [problem.level for problem in found] == [level]


def test_a_sound_tube_has_no_fault_of_its_values(write: Callable[..., Path]) -> None:
    errors, lines = check_panel("ino10", [write(as_it_is)])
    assert errors == 0
    assert not any("$PnR" in line or "one value" in line or "NaN" in line for line in lines)


def test_names_that_contradict_the_detectors_of_the_panel_are_reported(write: Callable[..., Path]) -> None:
    path = write(as_it_is, exchanged=("CD10", "CD19"))
    _, lines = check_panel("ino10", [path])
    told = [line for line in lines if "is named" in line]
    assert len(told) == 2
    assert any("APC-A is named CD19, and the panel has it as the detector of CD10" in line for line in told)
    assert not any("is named" in line for line in check_panel("ino10", [write(as_it_is)])[1])


def test_a_linear_scale_of_a_colour_is_reported(tmp_path: Path) -> None:
    facts = yaml.safe_load((PANELS / "ino10.yaml").read_text())
    facts["name"] = "mine"
    next(one for one in facts["channels"] if one["marker"] == "CD19")["transform"] = {"kind": "linear"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    errors, lines = check_panel(str(tmp_path / "mine.yaml"), [])
    assert errors == 1
    assert "a linear scale for CD19" in lines[0]

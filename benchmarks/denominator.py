"""How far the count of nucleated cells is from the truth, in tubes as acquired and in tubes with dead cells.

Run ``python -m benchmarks.denominator [words]``; words choose rows of the stress table by name (default ``nothing`` and
``5 % dead cells``). Tubes of both panels are changed as the row says, written as FCS and taken through reading,
preprocessing and gating with gates of unchanged controls; nothing is classified, so that this takes a minute where the
stress table takes an hour. The eight-colour rows need the optional shared data beside the repository. Printed: error of
the analysable nucleated cells against the nucleated single cells of the truth, median of its size and the worst.
Everything is seeded.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.accuracy.acquire import measured_spillover
from benchmarks.accuracy.cast import Condition, cast
from benchmarks.accuracy.mixtures import load
from benchmarks.gating import SHARED, say
from benchmarks.stress.raw_tube import RawTube, from_mixtures, from_plan
from benchmarks.stress.rows import ROWS, Row
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.design import FollowUp, controls, patients
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

SEED: Final = 31
CELLS: Final = 100_000
CONTROLS: Final = 4
PERSONS: Final = 8


def read(tube: RawTube, panel: PanelModel, folder: Path, name: str) -> Tube:
    """Write a tube and preprocess what is read back."""
    path = folder / f"{name}.fcs"
    tube.write(path)
    found = preprocess(read_tube(path, panel), overwrite=True)
    path.unlink()
    return found


def simulated(panel: PanelModel) -> Iterator[tuple[str, RawTube]]:
    """Ten colours: simulated controls (``C``) and follow-up tubes after anti-CD22 therapy (``P``)."""
    for number, plan in enumerate(controls(CONTROLS, CELLS, SEED, every=3)):
        yield f"C{number}", from_plan(plan, panel, SEED)
    for number in range(PERSONS):
        row = FollowUp(f"P{number}", 1e-3, nucleated=CELLS, diagnosis_nucleated=0)
        yield f"P{number}", from_plan(patients([row], SEED)[0], panel, SEED)


def measured(data: Path) -> Iterator[tuple[str, RawTube]]:
    """Eight colours: measured mixtures of the cells of controls (``C``) and of other persons with blasts (``P``)."""
    spill = measured_spillover(data / "population_statistics.json")
    found = cast(load(data), Condition("denominator", pairs=PERSONS, controls=CONTROLS, odd_control=False, seed=SEED))
    for number, person in enumerate(found.controls):
        rng = np.random.default_rng([SEED, 1, number])
        yield f"C{number}", from_mixtures(person, None, CELLS, 0, spill, rng)
    for number, (person, blasts) in enumerate(zip(found.backgrounds, found.blasts, strict=True)):
        rng = np.random.default_rng([SEED, 2, number])
        yield f"P{number}", from_mixtures(person, blasts, CELLS, CELLS // 1000, spill, rng)


def table(rows: list[Row]) -> None:
    """Print one line for every row and panel."""
    say(f"Error of the nucleated count, {PERSONS} tubes of {CELLS:,} nucleated cells, gates from {CONTROLS} controls\n")
    say(f"{'change':<44}{'panel':<12}{'median':>8}{'worst':>9}")
    data = SHARED / "mixtures"
    for name in ("ino10", "vienna_b8"):
        if name == "vienna_b8" and not data.is_dir():
            say("vienna_b8: the optional shared data is not here")
            continue
        panel = load_panel(name)
        tubes = dict(simulated(panel) if name == "ino10" else measured(data))
        with tempfile.TemporaryDirectory() as folder:
            of_controls = {key: read(tube, panel, Path(folder), key) for key, tube in tubes.items() if key[0] == "C"}
            reference = gates_of_controls(of_controls)
            for row in rows:
                errors = []
                for key in (key for key in tubes if key[0] == "P" and name in row.panels):
                    tube = _copy(tubes[key])
                    if row.change is not None:
                        row.change(tube, np.random.default_rng([SEED, 5, zlib.crc32(key.encode())]))
                    gated = gate(read(tube, panel, Path(folder), key), reference=reference)
                    counted = np.count_nonzero(gated.gate("nucleated") & gated.analysable())
                    errors.append(float(counted) / float(np.count_nonzero(tube.nucleated)) - 1)
                if errors:
                    worst = max(errors, key=abs)
                    middle = float(np.median(np.abs(errors)))
                    say(f"{row.name:<44}{name:<12}{100 * middle:>7.1f}%{100 * worst:>+8.1f}%")
    say()


def _copy(tube: RawTube) -> RawTube:
    """The tube with arrays of its own, which a row may change."""
    return RawTube(
        tube.panel,
        {name: values.copy() for name, values in tube.columns.items()},
        dict(tube.detectors),
        tube.matrix.copy(),
        tube.leukaemic.copy(),
        tube.nucleated.copy(),
        tube.b_lineage.copy(),
        tube.doublet.copy(),
        tube.source,
    )


def main(words: list[str]) -> None:
    """Print the rows that were asked for."""
    wanted = words or ["nothing", "5 % dead cells"]
    table([one for one in ROWS.values() if any(word in one.name for word in wanted)])


if __name__ == "__main__":
    main(sys.argv[1:])

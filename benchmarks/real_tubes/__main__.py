"""Run the rows and print or write the table: ``python -m benchmarks.real_tubes [--rows WORD ...] [--docs]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.acquire import measured_spillover
from benchmarks.accuracy.cast import Condition, cast
from benchmarks.accuracy.mixtures import load
from benchmarks.real_tubes.instruments import FAULTS, INSTRUMENTS
from benchmarks.real_tubes.judged import Scene, judge
from benchmarks.real_tubes.labelled import LabelledTube, control_tube, expert_tube
from flowmrd.home import REPOSITORY

DATA = REPOSITORY.parent / "shared" / "data" / "ball"
BUILD = REPOSITORY / "build" / "real-tubes"
SEED = 31
CONTROL_CELLS = 40_000


def main() -> int:
    """Run what is asked for and print a line a row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_tubes")
    parser.add_argument("--rows", nargs="*", default=[], help="instruments whose name contains one of these words")
    parser.add_argument("--tubes", nargs="*", default=["A", "B"], choices=("A", "B"), help="real tubes")
    parser.add_argument("--controls", nargs="*", type=int, default=[0], help="numbers of controls")
    parser.add_argument("--faults", action="store_true", help="wrong matrices and exchanged labels, instead")
    parser.add_argument("--work", type=Path, default=BUILD, help="folder for runs and records")
    parser.add_argument("--whole", action="store_true", help="by 'flowmrd run', minutes a row")
    parser.add_argument("--gates", action="store_true", help="stop after gating, seconds a row")
    parser.add_argument("--events", type=int, default=0, help="keep this many events of a tube; all where 0")
    parser.add_argument("--keep", action="store_true", help="keep the files of every run")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.stderr.write(f"no optional shared data in {DATA}: nothing to run\n")
        return 2
    arguments.work.mkdir(parents=True, exist_ok=True)
    tubes = {name: expert_tube(DATA / "real", name).thinned(arguments.events) for name in arguments.tubes}
    marrows = controls(max(arguments.controls))
    sys.stdout.write(HEAD)
    for instrument in FAULTS if arguments.faults else INSTRUMENTS:
        if arguments.rows and not any(word in instrument.name for word in arguments.rows):
            continue
        for name, tube in tubes.items():
            for count in arguments.controls:
                sound = next(one for one in INSTRUMENTS if one.colours == instrument.colours)
                scene = Scene(tube, instrument, marrows[:count], sound if arguments.faults else None)
                slug = "".join(c if c.isalnum() else "-" for c in f"{instrument.name} {name} {count}")
                found = {"row": instrument.name, "tube": name, "controls": count}
                found |= judge(
                    scene,
                    arguments.work / slug,
                    whole=arguments.whole,
                    gates_only=arguments.gates,
                    keep=arguments.keep,
                )
                with (arguments.work / "records.jsonl").open("a", encoding="utf-8") as out:
                    out.write(json.dumps(found) + "\n")
                sys.stdout.write(line(found))
                sys.stdout.flush()
    return 0


def controls(count: int) -> tuple[LabelledTube, ...]:
    """Marrows without leukaemia of other persons."""
    if not count:
        return ()
    folder = DATA / "mixtures"
    spill = measured_spillover(folder / "population_statistics.json")
    people = cast(load(folder), Condition("real tubes", pairs=1, controls=count, odd_control=False, seed=SEED)).controls
    return tuple(
        control_tube(person, CONTROL_CELLS, spill, np.random.default_rng([SEED, 1, number]))
        for number, person in enumerate(people)
    )


HEAD = (
    f"{'recorded as':<46}{'tube':>5}{'ctrl':>5}{'base':>13}{'prec.':>7}{'recall':>7}{'F1':>7}{'CD19':>7}{'mature':>7}"
    f"{'plasma':>7}{'nucl.':>8}{'singl.':>8}  answer\n"
)


def line(found: dict[str, Any]) -> str:
    """One row of the table."""

    def number(key: str, form: str, width: int) -> str:
        return format("-" if found.get(key) is None else format(found[key], form), f">{width}")

    codes = "".join(f" ({text})" for text in found.get("errors", [])[:1])
    return (
        f"{found['row']:<46}{found['tube']:>5}{found['controls']:>5}{found.get('base', ''):>13}"
        f"{number('blast_precision', '.3f', 7)}{number('blast_recall', '.3f', 7)}{number('blast_f1', '.3f', 7)}"
        f"{number('cd19_f1', '.3f', 7)}{number('mature_f1', '.3f', 7)}{number('plasma', 'd', 7)}"
        f"{number('nucleated', '+.1%', 8)}{number('singlets', '+.1%', 8)}  {found['class']} "
        f"{' '.join(found.get('reasons', []))}{codes}\n"
    )


if __name__ == "__main__":
    sys.exit(main())

"""A follow-up tube judged with the diagnosis of another patient: ``python -m benchmarks.stress.exchanged_patients``.

Two patients of the tables in ``docs/stress.md``, with the hard and with the ordinary leukaemia, exchange their
diagnosis tubes. What is asked: is a tube with leukaemia ever negative, and is a clean one called?
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.stress.__main__ import BUILD, DATA, world_of
from benchmarks.stress.leukaemias import KINDS
from benchmarks.stress.rows import BOTH, ROWS
from benchmarks.stress.scene import Sizes, exchanged

HEAD = f"{'panel':<10}{'leukaemia':>10}{'true':>6}{'called':>8}{'hit':>6}  answer\n"


def main() -> int:
    """Run both directions in each panel and print a line per tube."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stress.exchanged_patients")
    parser.add_argument("--panels", nargs="*", default=list(BOTH), choices=BOTH)
    parser.add_argument("--cells", type=int, default=300_000, help="nucleated cells of a follow-up tube")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with mixtures_*.npz")
    parser.add_argument("--work", type=Path, default=BUILD, help="folder for runs")
    arguments = parser.parse_args()
    sizes = Sizes(KINDS, cells=arguments.cells, seed=arguments.seed)
    sys.stdout.write(HEAD)
    for panel in arguments.panels:
        world = world_of(panel, sizes, arguments.data)
        if world is None:
            sys.stderr.write(f"no mixtures in {arguments.data}: {panel} is left out\n")
            continue
        for found in exchanged(world, ROWS["nothing"], arguments.work):
            sys.stdout.write(
                f"{panel:<10}{found['leukaemia']:>10}{found['true']:>6}{found['called']:>8}{found['hit']:>6}  "
                f"{found['class']} {' '.join(found['reasons'])}\n"
            )
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

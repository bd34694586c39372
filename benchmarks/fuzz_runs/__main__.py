"""Put one fault at random into small run directories, and see what ``check`` and the run make of it.

    python -m benchmarks.fuzz_runs [--runs 200] [--seed 1] [--faults WORD ...] [--panel ino10] [--work FOLDER]

Every run directory holds four controls, a patient with leukaemia (diagnosis and follow-up tube; one in fifty cells of
the follow-up tube is leukaemic) and two patients whose follow-up tubes hold none, one with a diagnosis tube. The target
is set so high that a negative is possible. The fault goes into the sheet, the configuration, a file or folder, or the
FCS file of one tube. Then ``check`` looks at the directory, and the stages of a run do, in this process and by the same
commands. Promises; each of these words in the table breaks one:

crash
    Whatever is wrong, no exception but a refusal with a reason.
disagree
    What the run refuses ``check`` refuses, and the reverse.
missed
    No negative for a follow-up tube that holds at least 20 leukaemic cells.
false alarm
    No leukaemia is detected in a tube that holds no leukaemic cell.
unclear
    Every message names tube, file or key, what was found, what was expected, and what to do, in a reader's words.
stopped others
    What is refused for one tube does not stop the others.
other bytes
    The same input gives the same bytes (``--twice``).

Faults are in ``sheet_faults``, ``spreadsheet_faults``, ``key_faults``, ``folder_faults``, ``tube_faults`` and
``export_faults``; ``--list`` names them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.fuzz_runs.faults import FAULTS, Fault
from benchmarks.fuzz_runs.judgement import ROLES, judge
from benchmarks.fuzz_runs.small_run import everything, make_base
from flowmrd.engine.plan import plan_run


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0, help="faults drawn at random; 0 tries every fault once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", nargs="*", default=[], help="faults whose name contains one of these words")
    parser.add_argument("--roles", nargs="*", default=list(ROLES), choices=ROLES, help="tubes that get a fault")
    parser.add_argument("--panel", default="ino10")
    parser.add_argument("--cells", type=int, default=6_000, help="nucleated cells of a tube")
    parser.add_argument("--controls", type=int, default=4)
    parser.add_argument("--work", type=Path, help="folder for the sound run, kept for the next campaign")
    parser.add_argument("--check", action="store_true", help="look at check and the plan alone, not at the stages")
    parser.add_argument("--twice", action="store_true", help="judge each tube twice and compare the bytes")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    arguments = parser.parse_args()
    chosen = [one for one in FAULTS.values() if not arguments.faults or any(w in one.name for w in arguments.faults)]
    if arguments.list:
        sys.stdout.writelines(f"{one.name}\n" for one in chosen)
        return 0
    with tempfile.TemporaryDirectory(prefix="fuzz-runs-") as name:
        return campaign(arguments, chosen, Path(name))


def campaign(arguments: argparse.Namespace, chosen: list[Fault], folder: Path) -> int:
    """Try the faults and print a table and every broken promise; the exit code."""
    made = partial(
        make_base,
        panel=arguments.panel,
        cells=arguments.cells,
        n_controls=arguments.controls,
        seed=arguments.seed,
    )
    base = arguments.work or folder / "base"
    made(base)
    if not (base / "results").is_dir():
        everything(base, plan_run(base), "")
    rng = np.random.default_rng(arguments.seed)
    wanted = [(one, role) for one in chosen for role in one.roles if role in arguments.roles]
    if arguments.runs:
        wanted = [wanted[int(i)] for i in rng.integers(len(wanted), size=arguments.runs)]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    bad = 0
    for number, (fault, role) in enumerate(wanted):
        seed = arguments.seed + number * bool(arguments.runs)
        outcome = judge(base, fault, role, seed, folder, stages=not arguments.check, twice=arguments.twice)
        counts[fault.kind][outcome.word] += 1
        bad += outcome.bad
        of = f" of the {role} tube" if fault.of_tube else ""
        sys.stdout.write(f"{'!! ' if outcome.bad else ''}{fault.name}{of}: {outcome.word}: {outcome.detail}\n")
        sys.stdout.flush()
    for kind, words in counts.items():
        sys.stdout.write(f"{kind}: {', '.join(f'{n} {word}' for word, n in words.most_common())}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

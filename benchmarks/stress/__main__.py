"""Run the rows and write the table: ``python -m benchmarks.stress [--rows NAME ...] [--panels NAME ...]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import benchmarks.stress.antibody_rows  # noqa: F401 - registers its rows
from benchmarks.accuracy.acquire import measured_spillover
from benchmarks.accuracy.mixtures import load
from benchmarks.stress.leukaemias import KINDS
from benchmarks.stress.rows import BOTH, INO, ROWS, VIENNA
from benchmarks.stress.scene import Mixtures, Simulated, Sizes, World, code_digest, run
from benchmarks.stress.tables import (
    DIAGNOSIS_WIDTH,
    WIDTH,
    diagnosis_lines,
    diagnosis_table,
    goals,
    merged,
    stress_lines,
    stress_table,
)
from flowmrd.home import REPOSITORY

BUILD = REPOSITORY / "build" / "stress"
PAGE = REPOSITORY / "docs" / "stress.md"
DATA = REPOSITORY.parent / "shared" / "data" / "ball" / "mixtures"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"


def main() -> int:
    """Run what is missing and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stress")
    parser.add_argument("--rows", nargs="*", default=[], help="rows whose name contains one of these words")
    parser.add_argument("--panels", nargs="*", default=list(BOTH), choices=BOTH, help="panels to run")
    parser.add_argument("--leukaemias", nargs="*", default=list(KINDS), choices=KINDS, help="kinds of leukaemia")
    parser.add_argument("--cells", type=int, default=300_000, help="nucleated cells of a follow-up tube")
    parser.add_argument("--seed", type=int, default=31, help="another number draws other persons and leukaemias")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with mixtures_*.npz")
    parser.add_argument("--work", type=Path, default=BUILD, help="folder for runs and records")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose marked part holds the tables")
    arguments = parser.parse_args()
    if arguments.list:
        sys.stdout.writelines(f"{row.name}  ({', '.join(row.panels)})\n" for row in ROWS.values())
        return 0
    sizes = Sizes(
        tuple(kind for kind in KINDS if kind in arguments.leukaemias), cells=arguments.cells, seed=arguments.seed
    )
    arguments.work.mkdir(parents=True, exist_ok=True)
    records = arguments.work / "records.jsonl"
    done = {(r["row"], r["panel"]) for r in _read(records) if r["stamp"] == _stamp(sizes)}
    for panel in arguments.panels:
        world = world_of(panel, sizes, arguments.data)
        if world is None:
            sys.stderr.write(f"no mixtures in {arguments.data}: the rows of {panel} are left out\n")
            continue
        for row in ROWS.values():
            wanted = not arguments.rows or any(word in row.name for word in arguments.rows)
            if not wanted or panel not in row.panels or (row.name, panel) in done:
                continue
            made = [{**record, "stamp": _stamp(sizes)} for record in run(world, row, arguments.work)]
            with records.open("a", encoding="utf-8") as out:
                out.writelines(json.dumps(record) + "\n" for record in made)
            sys.stdout.write(f"{panel}: {row.name}\n")
            sys.stdout.flush()
    write_tables(records, arguments.page)
    return 0


def _stamp(sizes: Sizes) -> str:
    return f"{code_digest()} {sizes!r}"


def world_of(panel: str, sizes: Sizes, data: Path) -> World | None:
    """The world of a panel; None where its data are not there."""
    if panel == INO:
        return Simulated(sizes)
    assert panel == VIENNA  # noqa: S101 - the parser allows these two alone
    if not data.is_dir():
        return None
    return Mixtures(sizes, load(data), measured_spillover(data / "population_statistics.json"))


def _read(path: Path) -> list[dict[str, object]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_tables(path: Path, page: Path) -> None:
    """Put the latest records of every row between the marks of the page; lines of rows that have none stay."""
    latest: dict[object, dict[str, object]] = {}
    for record in _read(path):
        latest[tuple(record[key] for key in ("row", "panel", "patient", "level", "setting"))] = record
    records = [record for record in latest.values() if record["row"] in ROWS]
    text = page.read_text(encoding="utf-8") if page.is_file() else f"{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    old, after = rest.split(END, 1)
    lines = merged(old, stress_lines(records), WIDTH)
    diagnosis = merged(old, diagnosis_lines(records), DIAGNOSIS_WIDTH)
    if not lines:
        return
    tables = "\n\n".join((goals(lines, diagnosis), stress_table(lines), diagnosis_table(diagnosis)))
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

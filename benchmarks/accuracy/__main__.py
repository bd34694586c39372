"""Run the experiment: ``python -m benchmarks.accuracy --records FILE [--quick] [--only NAME ...] [--tables FILE]``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.accuracy.acquire import measured_spillover
from benchmarks.accuracy.cast import Condition
from benchmarks.accuracy.experiment import run
from benchmarks.accuracy.mixtures import load
from benchmarks.accuracy.real import NAME, run_real
from benchmarks.accuracy.simulated import CONDITIONS, run_simulated
from benchmarks.accuracy.tables import answers, failures, linearity, real_tubes, summary
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel

RECORDS = REPOSITORY / "build" / "accuracy.jsonl"
PAGE = REPOSITORY / "docs" / "accuracy.md"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
DATA = REPOSITORY.parent / "shared" / "data" / "ball" / "mixtures"
STANDARD_LEVELS = (1e-3, 1e-4, 0.0)
STANDARD = (
    Condition("VIE, persons kept aside", half=1, controls=7, levels=STANDARD_LEVELS, without_diagnosis=True, seed=7103),
    Condition(
        "VIE14KM",
        backgrounds="VIE14KM",
        controls_from="VIE14KM",
        pairs=14,
        controls=7,
        levels=STANDARD_LEVELS,
        without_diagnosis=True,
        seed=7105,
    ),
)
"""What docs/accuracy.md shows: another seed draws other persons."""
FULL = (
    *STANDARD,
    Condition("patient, drift 0.15", pairs=60, baselines=True),
    Condition("patient, drift 0.3", pairs=40, drift=0.3, seed=2),
    Condition("patient, own marrow at diagnosis", pairs=40, diagnosis_marrow="own", seed=3),
    Condition("patient, CD19 lost", pairs=40, therapy="cd19 lost", seed=4),
    Condition("patient, 5 controls", pairs=40, controls=5, seed=5),
    Condition("patient, 30 controls", pairs=40, controls=30, seed=6),
    Condition("patient, controls of another period", pairs=40, controls_from="VIE14KM", seed=7),
    Condition("patient, VIE14KM held out", pairs=30, backgrounds="VIE14KM", controls_from="VIE14KM", seed=8),
    Condition("patient, 1 M events", pairs=30, events=1_000_000, seed=9),
    Condition("patient, 4 M events", pairs=2, events=4_000_000, levels=(1e-5, 0.0), seed=10),
    Condition("library", mode="library", pairs=40, seed=11),
    Condition("different from normal", mode="different_from_normal", pairs=40, seed=12),
)
QUICK = (
    Condition("patient, drift 0.15", pairs=4, levels=STANDARD_LEVELS, baselines=True),
    Condition("different from normal", mode="different_from_normal", pairs=4, levels=STANDARD_LEVELS, seed=12),
)


def main() -> int:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    parser.add_argument("--quick", action="store_true", help="two conditions, four pairs each")
    parser.add_argument("--only", nargs="*", default=[], help="names of conditions to run")
    parser.add_argument("--pairs", type=int, default=0, help="pairs of patients per condition instead of the default")
    parser.add_argument("--seed", type=int, default=0, help="draw other persons and cells than the condition's seed")
    parser.add_argument("--levels", type=float, nargs="*", default=[], help="levels instead of the default")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with mixtures_*.npz")
    parser.add_argument("--records", type=Path, default=RECORDS, help="JSON lines, appended to")
    parser.add_argument("--tables", type=Path, default=PAGE, help="page whose marked part holds the tables")
    parser.add_argument("--work", type=Path, default=RECORDS.parent / "accuracy", help="folder for the runs")
    parser.add_argument("--jobs", type=int, default=1, help="pairs of patients at a time")
    parser.add_argument("--keep", action="store_true", help="keep files and intermediate results of every tube")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.stderr.write(f"no mixtures in {arguments.data}: accuracy cannot be measured here\n")
        return 2
    patients = load(arguments.data)
    arguments.records.parent.mkdir(parents=True, exist_ok=True)
    panel = load_panel(PANELS / "vienna_b8.yaml")
    spill = measured_spillover(arguments.data / "population_statistics.json")
    for condition in QUICK if arguments.quick else FULL:
        if arguments.only and condition.name not in arguments.only:
            continue
        chosen = replace(condition, pairs=arguments.pairs) if arguments.pairs else condition
        if arguments.seed:
            chosen = replace(chosen, seed=arguments.seed)
        if arguments.levels:
            chosen = replace(chosen, levels=tuple(arguments.levels))
        with arguments.records.open("a", encoding="utf-8") as out:
            tubes = run(patients, panel, spill, chosen, arguments.work, jobs=arguments.jobs, keep=arguments.keep)
            for record in tubes:
                out.write(json.dumps(record) + "\n")
                out.flush()
    ten_colours = load_panel(PANELS / "ino10.yaml")
    for simulated in () if arguments.quick else CONDITIONS:
        if arguments.only and simulated.name not in arguments.only:
            continue
        chosen_patients = replace(simulated, patients=arguments.pairs) if arguments.pairs else simulated
        if arguments.seed:
            chosen_patients = replace(chosen_patients, seed=arguments.seed)
        with arguments.records.open("a", encoding="utf-8") as out:
            for record in run_simulated(ten_colours, chosen_patients, arguments.work):
                out.write(json.dumps(record) + "\n")
                out.flush()
    tubes = arguments.data.parent / "real"
    if tubes.is_dir() and not arguments.quick and (not arguments.only or NAME in arguments.only):
        with arguments.records.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(record) + "\n" for record in run_real(patients, spill, tubes, arguments.work))
    write_tables(arguments.records, arguments.tables)
    return 0


def write_tables(records_path: Path, page: Path) -> None:
    """Put the tables of all records between the marks of the page, which is made where it is missing."""
    lines = records_path.read_text(encoding="utf-8").splitlines()
    everything = [json.loads(line) for line in lines]
    records = [record for record in everything if "level" in record]
    conditions = list(dict.fromkeys(record["condition"] for record in records))
    records.sort(key=lambda record: (conditions.index(record["condition"]), -record["level"]))
    references = [record for record in everything if record.get("method") == "reference"]
    tables = "\n\n".join(
        (
            answers(records, references),
            summary(records, references),
            linearity(records),
            real_tubes(everything),
            failures(records),
        )
    )
    text = page.read_text(encoding="utf-8") if page.is_file() else f"{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

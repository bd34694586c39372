"""What the staining control says of sound and spoilt tubes: ``python -m benchmarks.accuracy.staining FOLDER ...``.

The tubes are those of ``python -m benchmarks.accuracy.cells``, without leukaemia. For every marker the spread between
persons is told: of the carriers' level (median and upper quantile) and of the cells without the marker, each measured
with the full reference of its folder. ``--faults N`` spoils N tubes a folder: an antibody forgotten, and its light
three times as strong or a third, on all cells, gates left as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.accuracy.acquire import DEFAULT_WIDTH, WIDTHS
from benchmarks.accuracy.cells import read
from benchmarks.accuracy.levels import at_level, on_scale, reference_of
from benchmarks.stress.antibody_rows import WITHOUT, WITHOUT_SD
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.marker_staining import SCATTER, MarkerStaining, measure_staining
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.staining_control import judge_staining, staining_flags
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.preprocess.transform import inverse_logicle, logicle
from flowmrd.units import LOGICLE_M, LOGICLE_T

FAULTS: Final = {"not stained": 0.0, "x 3": 3.0, "/ 3": 1.0 / 3.0}
NUMBERS: Final = ("middle", "upper", "without")
Measured = tuple[MarkerStaining, ...]


def spoilt(tube: CandidateCells, marker: str, factor: float) -> CandidateCells:
    """A tube in which a dye gives this many times its light, or none at all (0)."""
    values, j = tube.values.copy(), tube.features.index(marker)
    width = WIDTHS.get(marker, DEFAULT_WIDTH)
    if factor:
        light = factor * inverse_logicle(values[:, j].astype(np.float64) / LOGICLE_M, W=width)
    else:
        light = np.random.default_rng(5).normal(WITHOUT, WITHOUT_SD, tube.n)
    values[:, j] = LOGICLE_M * logicle(np.minimum(light, LOGICLE_T), W=width)
    return replace(tube, values=values)


def judged(tube: CandidateCells, reference: ReferenceModel, parameters: ClassifierParameters) -> tuple[Measured, str]:
    """Staining of a tube, and the flags that it raises."""
    fitted = fit_tube(reference.model, tube, parameters)
    measured = measure_staining(tube, reference.model, fitted.shift, parameters)
    findings = judge_staining(measured, [record.staining for record in reference.controls], parameters)
    flags = staining_flags(findings, frozenset(), parameters)
    return measured, ", ".join(f"{flag.code} {flag.message.split()[0]}" for flag in flags)


def clean_tubes(folder: Path, reference: ReferenceModel) -> Iterator[CandidateCells]:
    """Tubes of a folder without their leukaemia."""
    for path in sorted(folder.glob("P??.npz")):
        yield at_level(on_scale(read(path)), 0.0)[0].select(reference.features)


def spread(folders: list[list[Measured]], parameters: ClassifierParameters) -> str:
    """Standard deviation between persons, by marker, about the mean of their folder, decades."""
    squares: defaultdict[tuple[str, str], float] = defaultdict(float)
    number: Counter[tuple[str, str]] = Counter()
    for tubes in folders:
        values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for one in (one for tube in tubes for one in tube):
            for name in NUMBERS:
                value = getattr(one, name)
                if value is not None and (name == "without" or one.carriers >= parameters.carriers_least):
                    values[one.marker, name].append(value)
        for key, found in values.items():
            squares[key] += float(((np.array(found) - np.mean(found)) ** 2).sum())
            number[key] += len(found) - 1
    lines = ["| marker | carriers, median | carriers, upper quantile | without |", "|---|---|---|---|"]
    for marker in dict.fromkeys(marker for marker, _ in squares):
        told = [(squares[marker, name], number[marker, name]) for name in NUMBERS]
        row = [f"{np.sqrt(total / n):.2f}" if n > 0 else "none" for total, n in told]
        lines.append(f"| {marker} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.staining")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--faults", type=int, default=0, help="so many tubes a folder are spoilt in every way")
    arguments = parser.parse_args()
    parameters = ClassifierParameters()
    every: list[list[Measured]] = []
    tubes: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for folder in arguments.folders:
        reference, _ = reference_of(folder, parameters)
        every.append([])
        for number, tube in enumerate(clean_tubes(folder, reference)):
            measured, said = judged(tube, reference, parameters)
            every[-1].append(measured)
            if said:
                sys.stdout.write(f"{folder.name} {tube.name}: {said}\n")
            if number >= arguments.faults:
                continue
            for marker in (name for name in reference.features if not name.startswith(SCATTER)):
                for fault, factor in FAULTS.items():
                    tubes[f"{marker} {fault}"] += 1
                    caught[f"{marker} {fault}"] += bool(judged(spoilt(tube, marker, factor), reference, parameters)[1])
    sys.stdout.write(f"{sum(map(len, every))} tubes\n" + spread(every, parameters))
    sys.stdout.writelines(f"{fault}: {caught[fault]} of {number}\n" for fault, number in tubes.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())

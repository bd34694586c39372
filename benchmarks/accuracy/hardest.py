"""The leukaemias that are most like regular precursors, in tubes gated once, without a diagnosis tube.

``python -m benchmarks.accuracy.hardest FOLDER [--half 1] [--tubes N]``; the tubes are those of
``python -m benchmarks.accuracy.cells``. Leukaemias are ranked by :func:`benchmarks.accuracy.oracle.oracle_recalls`
in three marrows, each hardest one is put into every tube without leukaemia at the target level, and the tube's own
spike-in says which kinds of leukaemia it would have found. The last lines tell what it costs clean tubes to
ask for more kinds, and whether the kinds missed foretell the leukaemias missed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.__main__ import DATA
from benchmarks.accuracy.cells import read
from benchmarks.accuracy.levels import at_level, on_scale, reference_of
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw, half_of, load
from benchmarks.accuracy.oracle import oracle_recalls
from flowmrd.classifier.calibration import Calibration, calibrate
from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.classification import UncountedGroup
from flowmrd.classifier.found_groups import find_groups
from flowmrd.classifier.leukaemia_kinds import kinds_of_leukaemia
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, keep_candidates
from flowmrd.classifier.spike_in import share_found, spike_once
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.classifier.window_cells import WindowCells, control_cells, tube_cells

HARDEST = 10
MARROWS = 3


@dataclass(frozen=True)
class Seen:
    """What a tube without leukaemia says.

    Attributes
    ----------
    doubts
        Groups that forbid a negative answer, or count.
    kinds
        Cells noticed of every kind of the spike-in, and the share of the patients that the kinds found stand for.
    leukaemias
        Leukaemia to its cells noticed.
    """

    name: str
    doubts: int
    kinds: list[int]
    share: float
    leukaemias: dict[str, tuple[int, int]]


def hardest(people: list[Patient], number: int) -> list[tuple[float, Patient]]:
    """Leukaemias of the lowest oracle recall, averaged over a few marrows of other persons."""
    marrows = [one for one in people if not one.has_blasts and one.b_group_ok][:MARROWS]
    leukaemias = [one for one in people if one.has_blasts and one.b_group_ok]
    rng = np.random.default_rng(5)
    recall = np.mean([oracle_recalls(marrow, leukaemias, rng) for marrow in marrows], axis=0)
    return sorted(zip(map(float, recall), leukaemias, strict=True), key=lambda pair: (pair[0], pair[1].name))[:number]


def look(
    path: Path,
    reference: ReferenceModel,
    calibration: Calibration,
    search: SearchedPhenotypes,
    leukaemias: list[Patient],
) -> Seen:
    """Spike kinds and leukaemias into one tube without leukaemia."""
    tube, _ = at_level(on_scale(read(path)), 0.0)
    tube = tube.select(reference.features)
    parameters = search.parameters
    fitted = fit_tube(reference.model, tube, parameters)
    everything = tube_cells(
        tube,
        np.flatnonzero(tube.window),
        fitted,
        reference.model,
        parameters,
        reference.stage_centres,
        anchors=reference.anchors_at(tube.features, fitted.shift),
    )
    cells, _ = keep_candidates(search, everything)
    clean = find_groups(search, cells, calibration)

    def noticed(extra: Floats32) -> int:
        return spike_once(search, cells, calibration, extra).noticed

    rng = np.random.default_rng([parameters.seed, 7])
    expected = parameters.target * tube.denominator
    kinds = kinds_of_leukaemia(search, cells)
    seen = [noticed(kind.draw(int(rng.poisson(expected)), rng, parameters.spike_drift_sd)) for kind in kinds]
    found: dict[str, tuple[int, int]] = {}
    columns = [FEATURES.index(name) for name in tube.features]
    for number, one in enumerate(leukaemias):
        own = np.random.default_rng([5, int(path.stem[1:]), number])
        count = int(own.poisson(expected))
        found[one.name] = (noticed(draw(one.groups["blast"], count, own)[:, columns]), count)
    hits = [value >= parameters.detect_events for value in seen]
    doubts = len(clean.counted) + sum(is_doubt(group) for group in clean.uncounted)
    return Seen(path.stem, doubts, seen, share_found([kind.share for kind in kinds], hits), found)


def is_doubt(group: UncountedGroup) -> bool:
    """Whether a group forbids a negative answer."""
    return group.call == "atypical"


def summary(tubes: list[Seen], parameters: ClassifierParameters) -> str:
    """Clean tubes that would be negative by three rules, and what the near kinds foretell."""
    least = parameters.detect_events
    clean = [tube for tube in tubes if not tube.doubts]
    ours = [tube for tube in clean if tube.share >= parameters.spike_kinds_found_share]
    every = [tube for tube in clean if min(tube.kinds) >= least]
    all_but = [tube for tube in clean if min(tube.kinds[:-1]) >= least]
    lines = [
        f"{len(tubes)} clean tubes, {len(clean)} without a doubt",
        f"negative where the kinds found stand for {parameters.spike_kinds_found_share:.0%} of patients: {len(ours)}",
        f"negative where every kind is found: {len(every)}; every kind but the nearest of stage III: {len(all_but)}",
    ]
    said = "hardest leukaemias that leave no group where the negative answer"
    for name, group in (("names missed kinds", [t for t in ours if min(t.kinds) < least]), ("names none", every)):
        pairs = [pair for tube in group for pair in tube.leukaemias.values() if pair[1] >= least]
        missed = sum(not seen for seen, _ in pairs)
        lines.append(f"{said} {name}: {missed} of {len(pairs)}")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print a line per tube and the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.hardest")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", type=int, default=0, choices=(0, 1), help="whose leukaemias, as in the cells")
    parser.add_argument("--tubes", type=int, default=100, help="at most so many tubes")
    parser.add_argument("--hardest", type=int, default=HARDEST, help="how many leukaemias")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.stderr.write(f"no mixtures in {DATA}\n")
        return 2
    people = [one for one in load(DATA) if half_of(one.person) == arguments.half and one.cohort == "VIE"]
    ranked = hardest(people, arguments.hardest)
    sys.stdout.write("oracle recall: " + ", ".join(f"{one.name} {recall:.2f}" for recall, one in ranked) + "\n")
    parameters = ClassifierParameters()
    reference, _ = reference_of(arguments.folder, replace(parameters, replicates=0))
    search = SearchedPhenotypes(None, Library(()), parameters)
    controls: list[WindowCells] = [
        control_cells(reference, record, reference.features, parameters) for record in reference.controls
    ]
    calibration = calibrate(search, controls)
    tubes: list[Seen] = []
    for path in sorted(arguments.folder.glob("P??.npz"))[: arguments.tubes]:
        tubes.append(look(path, reference, calibration, search, [one for _, one in ranked]))
        sys.stdout.write(f"{tubes[-1]}\n")
        sys.stdout.flush()
    sys.stdout.write(summary(tubes, parameters))
    return 0


if __name__ == "__main__":
    sys.exit(main())

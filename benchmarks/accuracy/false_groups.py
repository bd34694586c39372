"""How often marrow without leukaemia shows a group, and whether the error rate says so: its prior and its reliability.

``python -m benchmarks.accuracy.false_groups FOLDER ...`` reads folders of ``benchmarks.accuracy.cells``. Controls are
judged by the fold that they did not help to build, tubes at level 0 by the whole reference. The first line is the prior
of ``classifier.parameters`` (taken from development persons); the table compares, for every error rate, how many groups
tubes without leukaemia were expected to show with how many they did.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.cells import read
from benchmarks.accuracy.levels import at_level, on_scale, reference_of
from flowmrd.classifier import ClassifierParameters
from flowmrd.classifier.catalogue import anchor_levels
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.false_groups import FalseGroups
from flowmrd.classifier.group_evidence import unexplained_groups
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.classifier.window_cells import WindowCells, control_cells, tube_cells

RATES = (0.01, 0.03, 0.1, 0.3)
"""Error rates whose reliability is told."""


def clean_cells(folder: Path, parameters: ClassifierParameters) -> Iterator[tuple[WindowCells, list[WindowCells]]]:
    """Every tube without leukaemia of a folder, and the controls that it is compared with."""
    reference, _ = reference_of(folder, parameters)
    controls = [control_cells(reference, record, reference.features, parameters) for record in reference.controls]
    for number, control in enumerate(controls):
        yield control, controls[:number] + controls[number + 1 :]
    for path in sorted(folder.glob("P??.npz")):
        tube = at_level(on_scale(read(path)), 0.0)[0].select(reference.features)
        model = fit_tube(reference.model, tube, parameters, unreliable=parameters.unreliable)
        anchors = anchor_levels(
            tube, ClassifierParameters(), expected=reference.anchors_at(reference.features, model.shift)
        )
        window = np.flatnonzero(tube.window)
        yield (
            tube_cells(
                tube,
                window,
                model,
                reference.model,
                parameters,
                reference.stage_centres,
                parameters.unreliable,
                anchors,
            ),
            controls,
        )


def main() -> int:
    """Print prior and reliability."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.false_groups")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--simulated", action="store_true", help="ten colours after anti-CD22")
    arguments = parser.parse_args()
    parameters = ClassifierParameters()
    if arguments.simulated:
        parameters = replace(parameters, unreliable=frozenset({"CD22"}))
    total, tubes = FalseGroups(), 0
    seen = dict.fromkeys(RATES, 0)
    for folder in arguments.folders:
        for cells, controls in clean_cells(folder, parameters):
            tubes += 1
            own = unexplained_groups(cells, controls)
            total += FalseGroups.of_tube(own, cells.denominator, parameters)
            found = [unexplained_groups(one, [other for other in controls if other is not one]) for one in controls]
            groups = ControlGroups.of(found, controls, parameters)
            for group in own:
                rate = groups.expected(group, cells.denominator, cells.shift, parameters)
                for limit in RATES:
                    seen[limit] += rate < limit
    sys.stdout.write(
        f"{tubes} tubes without leukaemia, {total.groups:.0f} groups; mean excess of the log gain "
        f"{total.log_gain / max(total.groups, 1):.2f}, of the gain per event "
        f"{total.gain_per_event / max(total.groups, 1):.2f}\n"
    )
    sys.stdout.write("| error rate below | groups expected | groups seen | tubes |\n|---|---|---|---|\n")
    for limit in RATES:
        sys.stdout.write(f"| {limit:g} | {limit * tubes:.1f} at most | {seen[limit]} | {tubes} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

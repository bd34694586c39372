"""How many real leukaemias lie in the places of the catalogue: ``python -m benchmarks.accuracy.places``.

A place whose name ends the doubt must hold none. Anchors are read from the components of the same marrow (shared
data): T and NK cells are the CD45 brightest one of low side scatter, granulocytes the most granular, mature B cells the
CD20 brightest.
Markers that the collection lacks (CD22, CD24, CD66b) cannot keep a leukaemia out: places that need them are not judged.

``--shifts`` prints where leukaemias in the places of haematogones lie against the normal B cells of their own marrow,
for development persons: the numbers of :func:`flowmrd.classifier.blast_prior.precursor_like`. ``--brightest`` prints
where the dimmest and the brightest leukaemia lie in every marker against normal B cells, for development persons and
for the others, and how far the dimmest one lies below cells without the antigen.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import numpy as np

from benchmarks.accuracy.__main__ import DATA
from benchmarks.accuracy.mixtures import FEATURES, Patient, half_of, load
from flowmrd.classifier.catalogue import load_catalogue, match_catalogue
from flowmrd.classifier.marker_staining import negative_level
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.parameters import ClassifierParameters

SHARE = 1e-3
"""Share of the nucleated cells at which leukaemias are judged."""
RARE = 1e-4
"""Components of a marrow with a smaller share tell no level."""


def anchors_of(patient: Patient) -> dict[str, Floats]:
    """Levels of the anchors in a marrow of the collection; without those that it does not hold."""
    column = {name: i for i, name in enumerate(FEATURES)}
    out: dict[str, Floats] = {}
    other = patient.groups["other"].mean
    smooth = other[other[:, column["SSC-A"]] < 1.0]
    if len(smooth):
        out["t_nk"] = smooth[smooth[:, column["CD45"]].argmax()]
    out["granulocytes"] = other[other[:, column["SSC-A"]].argmax()]
    if "CD19" in patient.groups:
        b_cells = patient.groups["CD19"].mean
        out["mature_b"] = b_cells[b_cells[:, column["CD20"]].argmax()]
    return out


def levels_without(patient: Patient) -> Floats:
    """Level of the cells without each marker in a marrow of the collection, shape (d,), decades."""
    normal = patient.normal_mixture()
    levels = normal.mean[normal.weight > RARE]
    return np.array([negative_level(levels[:, j], ClassifierParameters()) for j in range(len(FEATURES))])


def table_of(shifts: list[Floats]) -> str:
    """Lines with the mean and the standard deviation of every marker, decades."""
    values = np.array(shifts)
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    rows = zip(FEATURES, values.mean(axis=0), spread, strict=True)
    return "".join(f"  {name}: {mean:+.2f}, SD {sd:.2f}\n" for name, mean, sd in rows)


def main() -> int:
    """Print the number of leukaemias in every place."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.places")
    parser.add_argument("--shifts", action="store_true", help="where those in the places of haematogones lie")
    parser.add_argument("--brightest", action="store_true", help="how bright the brightest leukaemia is in a marker")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.stderr.write(f"no mixtures in {DATA}\n")
        return 2
    inside: Counter[str] = Counter()
    shifts: dict[str, list[Floats]] = {}
    above: tuple[list[Floats], list[Floats]] = ([], [])
    below: list[Floats] = []
    judged = 0
    for patient in load(DATA):
        if not patient.has_blasts or not patient.b_group_ok:
            continue
        anchors = anchors_of(patient)
        if "t_nk" not in anchors or "mature_b" not in anchors:
            continue
        judged += 1
        blasts = patient.groups["blast"]
        heaviest = blasts.mean[int(np.argmax(blasts.weight))]
        b_cells = patient.groups["CD19"]
        centre = b_cells.weight @ b_cells.mean / b_cells.weight.sum()
        above[half_of(patient.person)].append(heaviest - centre)
        below.append(levels_without(patient) - heaviest)
        place = match_catalogue(heaviest, FEATURES, anchors, ClassifierParameters(), share=SHARE)
        inside[place.call if place else "no place of the catalogue"] += 1
        if place is not None and "haematogones" in place.call and half_of(patient.person) == 0:
            shifts.setdefault(place.call, []).append(heaviest - centre)
    known = load_catalogue()
    sys.stdout.write(f"{judged} leukaemias, by their largest component\n")
    for call, number in inside.most_common():
        entry = known.entry(call)
        sys.stdout.write(f"{call}: {number}{'' if entry is None else f' (accepted: {entry.accepted})'}\n")
    ends = [end(values, axis=0) for end in (np.min, np.max) for values in above]
    columns = zip(FEATURES, *ends, np.max(below, axis=0), strict=True)
    for name, lowest, other_lowest, developed, others, dimmest in columns if arguments.brightest else ():
        sys.stdout.write(
            f"{name}: dimmest {lowest:+.2f} and brightest {developed:+.2f} decades against normal B cells (others "
            f"{other_lowest:+.2f} and {others:+.2f}), dimmest {dimmest:.2f} below cells without the antigen\n"
        )
    for call, found in sorted(shifts.items()) if arguments.shifts else ():
        sys.stdout.write(f"{call}, {len(found)} development persons, against normal B cells in decades:\n")
        sys.stdout.write(table_of(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

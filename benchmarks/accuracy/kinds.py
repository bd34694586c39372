"""How well the spike-in knows the share of leukaemias that would be missed:
``python -m benchmarks.accuracy.kinds FOLDER ... [--tubes N]``.

Without a diagnosis tube, a negative answer requires that kinds which stand for 90 % of the patients are found in the
tube. This share is estimated from kinds that are drawn from the prior. Clean tubes of
``python -m benchmarks.accuracy.cells`` are searched for all of 160 kinds of another draw, whose share takes the place
of the true one, and for those of the product. Random parts of the 160 show how far a share of a few kinds, without
regard to their place, lies from it by chance, and how often the tube is then on the other side of the limit. Records go
to ``kinds.jsonl`` in the folder; a run that was stopped goes on with the first tube that is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.cells import read
from benchmarks.accuracy.groups import searched_cells
from benchmarks.accuracy.levels import at_level, missed_kinds, on_scale, reference_of
from benchmarks.stress.scene import code_digest
from flowmrd.classifier.calibration import Calibration, calibrate
from flowmrd.classifier.library import Library
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.spike_in import share_found, spike_in
from flowmrd.classifier.window_cells import WindowCells, control_cells

TRUE_KINDS = 160
"""Kinds whose share takes the place of the true one."""
TRUE_SEED = 1
"""Seed of their draw, another one than the product's."""
COUNTS = (10, 20, 40)
"""Kinds in such a part."""
PARTS = 4_000
"""Random parts of these kinds."""
Record = dict[str, Any]


def share_of(cells: WindowCells, calibration: Calibration, who: str, parameters: ClassifierParameters) -> Record:
    """The share that kinds give in one tube, in the order of their distance, and the processor seconds that it took."""
    started = time.process_time()
    spike = spike_in(SearchedPhenotypes(None, Library(()), parameters), cells, calibration)
    seconds = round(time.process_time() - started, 2)
    assert spike is not None  # noqa: S101 - the tube has cells
    missed = set(missed_kinds(spike))
    found = [number not in missed for number in range(len(spike.kinds))]
    shares = [round(kind.share, 6) for kind in spike.kinds]
    return {"who": who, "share": share_found(shares, found), "shares": shares, "found": found, "seconds": seconds}


def run(folder: Path, most: int) -> list[Record]:
    """Records of every clean tube of a folder; those that are not stored yet are made."""
    path, code = folder / "kinds.jsonl", {"code": code_digest()}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    if code not in records:
        records = [code]
        path.write_text(json.dumps(code) + "\n", encoding="utf-8")
    done = {(one["tube"], one["who"]) for one in records if "tube" in one}
    parameters = ClassifierParameters()
    reference, _ = reference_of(folder, parameters)
    controls = [control_cells(reference, one, reference.features, parameters) for one in reference.controls]
    calibration = calibrate(SearchedPhenotypes(None, Library(()), parameters), controls)
    every = replace(
        parameters, spike_kinds_drawn=TRUE_KINDS, spike_kinds_nearest=TRUE_KINDS, spike_kinds_seed=TRUE_SEED
    )
    wanted = {"all": every, "product": parameters}
    with path.open("a", encoding="utf-8") as stream:
        for tube_path in sorted(folder.glob("P??.npz"))[:most]:
            left = [who for who in wanted if (tube_path.stem, who) not in done]
            if not left:
                continue
            tube = at_level(on_scale(read(tube_path)), 0.0)[0].select(reference.features)
            cells = searched_cells(tube, reference.model, reference, parameters)[0]
            own = [{"tube": tube_path.stem, **share_of(cells, calibration, who, wanted[who])} for who in left]
            stream.writelines(json.dumps(record) + "\n" for record in own)
            stream.flush()
            records += own
    return [{**one, "tube": f"{folder.name} {one['tube']}"} for one in records if "tube" in one]


def shares_of_parts(record: Record, count: int, rng: np.random.Generator) -> np.ndarray:
    """Shares that random parts of a tube's many kinds give, shape (PARTS,); the kinds like precursors stay."""
    found, shares = np.array(record["found"], dtype=float), np.array(record["shares"])
    anywhere, like_precursors = slice(0, TRUE_KINDS), slice(TRUE_KINDS, None)
    picked = rng.permuted(np.tile(found[anywhere], (PARTS, 1)), axis=1)[:, :count].mean(axis=1)
    near = float((found[like_precursors] * shares[like_precursors]).sum())
    out: np.ndarray = np.round(picked * shares[anywhere].sum() + near, 6)
    return out


def table(records: list[Record], limit: float) -> str:
    """The shares of the product, and those of a few kinds without regard to their place, beside the true ones."""
    product = {one["tube"]: one for one in records if one["who"] == "product"}
    many = [one for one in records if one["who"] == "all" and one["tube"] in product]
    true = np.array([one["share"] for one in many])
    own = np.array([product[one["tube"]]["share"] for one in many])
    above = true >= limit
    missed = np.array([one["found"][:TRUE_KINDS] for one in many]) == 0
    ranks = 1 + np.flatnonzero(missed.any(axis=0))
    lines = [
        f"{len(many)} clean tubes; share by {TRUE_KINDS} kinds {np.median(true):.3f} in the median "
        f"({true.min():.3f} to {true.max():.3f}), {above.sum()} at or above {limit:g}; {len(ranks)} kinds are missed "
        f"in some tube, the last of them is number {ranks.max(initial=0)} by its distance from normal cells",
        "| kinds | mean difference | its SD | above the limit, told below | below the limit, told above | seconds |",
        "|---|---|---|---|---|---|",
    ]
    rng = np.random.default_rng(1)
    for count in COUNTS:
        drawn = np.stack([shares_of_parts(one, count, rng) for one in many])
        spread, seconds = float(drawn.std(axis=1).mean()), np.mean([one["seconds"] / len(one["found"]) for one in many])
        told = (drawn[above] < limit).mean() if above.any() else float("nan")
        falsely = (drawn[~above] >= limit).mean() if (~above).any() else float("nan")
        cost = (count + len(many[0]["found"]) - TRUE_KINDS) * seconds
        lines.append(f"| any {count} | 0 | {spread:.3f} | {told:.1%} | {falsely:.1%} | {cost:.1f} |")
    apart, cost = own - true, np.mean([one["seconds"] for one in product.values()])
    lines.append(
        f"| the product's {len(next(iter(product.values()))['found']) - 4} | {apart.mean():+.3f} | {apart.std():.3f} "
        f"| {(own[above] < limit).sum()} of {above.sum()} | {(own[~above] >= limit).sum()} of {(~above).sum()} "
        f"| {cost:.1f} |"
    )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Search, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.kinds")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--tubes", type=int, default=100, help="at most so many tubes a folder")
    arguments = parser.parse_args()
    records = [one for folder in arguments.folders for one in run(folder, arguments.tubes)]
    sys.stdout.write(table(records, ClassifierParameters().spike_kinds_found_share))
    return 0


if __name__ == "__main__":
    sys.exit(main())

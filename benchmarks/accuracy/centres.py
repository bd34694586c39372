"""Whole centres that differ from ours, made from our persons: ``python -m benchmarks.accuracy.centres --help``.

Of every centre all tubes are acquired its way (:mod:`benchmarks.accuracy.other_instrument`): controls, diagnosis tubes
and follow-ups at three levels, taken from the FCS file to the verdict with and without the diagnosis tube.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.acquire import NORMAL, Codes, Spillover, linear, measured_spillover
from benchmarks.accuracy.cast import Cast, Condition, cast
from benchmarks.accuracy.experiment import TOP, WITHOUT, controls_told, groups_told, outcome
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw, load
from benchmarks.accuracy.other_instrument import Centre, Faults, Instrument, acquire_elsewhere, draw_instrument
from benchmarks.accuracy.pipeline import Pipeline, RefusedError
from benchmarks.accuracy.tables import is_detected, is_negative, is_right
from flowmrd.config import RunConfig
from flowmrd.errors import FlowmrdError
from flowmrd.home import REPOSITORY
from flowmrd.panel import find_panel, load_panel
from flowmrd.tube.files import TubeFiles, tube_from_files

Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Record = dict[str, Any]
Marrow = Literal["usual", "aplastic", "regenerating", "blood"]
DATA = REPOSITORY.parent / "shared" / "data" / "ball" / "mixtures"
WORK = REPOSITORY / "build" / "centres"
LEVELS = (1e-3, 1e-4, 0.0)
DIAGNOSIS_CELLS = 100_000
CARRIED_CELLS = 200
PRECURSORS = 0.05
"""Share of haematogones that is added to a regenerating marrow."""
STAGE_SHARES = (0.2, 0.5, 0.3)
MATURATION = {
    "CD10": (2.4, 1.9, 1.4, 0.0),
    "CD19": (-0.3, -0.1, 0.0, 0.0),
    "CD20": (-1.6, -1.2, -0.2, 0.0),
    "CD34": (1.4, 0.1, 0.0, 0.0),
    "CD38": (1.3, 1.2, 1.0, 0.0),
    "CD45": (-1.0, -0.6, -0.3, 0.0),
}
"""Marker to the shift of haematogones I, II and III against mature B cells, decades: middle of their places in
``panels/catalogue/populations.yaml``."""
DENOMINATOR_OFF = 0.05


@dataclass(frozen=True)
class Elsewhere:
    """A centre and what its tubes hold.

    Attributes
    ----------
    controls
        Kind of marrow of every control.
    control_cells
        Range of their cells.
    followups
        Kinds of marrow of the follow-ups, one pair after the other, from the start again where pairs are more.
    cells
        Cells of the follow-ups in the same way.
    diagnosis, diagnosis_share, drift
        Marrow or blood of the diagnosis tube, share of blasts, and by how much it is stained otherwise (SD, decades).
    """

    name: str
    centre: Centre
    controls: tuple[Marrow, ...] = ("usual",) * 7
    control_cells: tuple[int, int] = (150_000, 300_000)
    followups: tuple[Marrow, ...] = ("usual",)
    cells: tuple[int, ...] = (450_000,)
    diagnosis: Marrow = "usual"
    diagnosis_share: float = 0.4
    drift: float = 0.15
    pairs: int = 3
    seed: int = 4401


STAINED = Centre(offset_sd=0.3, staining_sd=0.1, background=60.0)
MATRIX = Centre(largest_spill=0.4, spill_error=0.02, in_percents=True)
DIRTY = Centre(doublets=0.08, debris=(0.15, 0.3), dead=(0.05, 0.1), dim_dye=0.4, run_faults=True)
FEW: tuple[Marrow, ...] = ("usual", "regenerating", "usual", "blood", "usual")
SMALL = ("usual", "aplastic", "regenerating")
CENTRES = (
    Elsewhere("another staining", STAINED),
    Elsewhere("another matrix", replace(MATRIX, staining_sd=0.1), seed=4402),
    Elsewhere("dirty tubes", replace(DIRTY, staining_sd=0.1), seed=4403),
    Elsewhere(
        "five mixed controls",
        Centre(staining_sd=0.1),
        controls=FEW,
        followups=("aplastic", "regenerating", "usual"),
        cells=(200_000, 450_000, 1_000_000),
        seed=4404,
    ),
    Elsewhere(
        "20 bits, blood at diagnosis",
        Centre(staining_sd=0.1, range=1 << 20, gain=4.0, integers=True, forward=0.5, side=2.0),
        diagnosis="blood",
        diagnosis_share=0.9,
        drift=0.3,
        seed=4405,
    ),
    Elsewhere(
        "everything at once",
        replace(
            STAINED,
            largest_spill=0.3,
            spill_error=0.02,
            in_percents=True,
            doublets=0.08,
            debris=(0.15, 0.3),
            dead=(0.05, 0.1),
            run_faults=True,
            forward=0.5,
            side=1.5,
        ),
        controls=("usual", "regenerating", "usual", "blood", "usual", "usual", "usual"),
        followups=("usual", "aplastic", "regenerating"),
        cells=(450_000, 300_000, 450_000),
        drift=0.2,
        seed=4406,
    ),
)


@dataclass
class Stage:
    """One centre with its actors and where its run lies."""

    condition: Elsewhere
    pipeline: Pipeline
    instrument: Instrument
    actors: Cast
    truths: dict[str, Codes] = field(default_factory=dict)


def haematogones(person: Patient, n: int, rng: np.random.Generator) -> Floats32:
    """Draw (n, 9) precursors of a marrow, decades: its mature B cells moved along the way from stage I to maturity."""
    b_cells = person.groups["CD19"]
    one = int(np.argmax(b_cells.weight))
    mature = replace(b_cells, weight=np.ones(1), mean=b_cells.mean[[one]], covariance=b_cells.covariance[[one]])
    place = np.searchsorted(np.cumsum(STAGE_SHARES), rng.random(n)) + rng.random(n)
    out = draw(mature, n, rng)
    for marker, shifts in MATURATION.items():
        out[:, FEATURES.index(marker)] += np.interp(place, np.arange(len(shifts)) + 0.5, shifts).astype(np.float32)
    return np.clip(out + rng.normal(0.0, 0.1, out.shape), 0, TOP).astype(np.float32)


def marrow_cells(person: Patient, kind: Marrow, n: int, rng: np.random.Generator) -> Floats32:
    """Draw (n, 9) normal cells of a person, decades."""
    if kind == "usual":
        return draw(person.normal_mixture(), n, rng)
    if kind == "regenerating":
        young = round(PRECURSORS * n)
        return np.concatenate([draw(person.normal_mixture(), n - young, rng), haematogones(person, young, rng)])
    if kind == "aplastic":
        b_cells = draw(person.groups["CD19"], round(2e-4 * n), rng)
        return np.concatenate([_kept(person, n - len(b_cells), _after_therapy, rng), b_cells])
    return _kept(person, n, _in_blood, rng, all_cells=True)


def _after_therapy(cells: Floats32) -> npt.NDArray[np.float64]:
    """How often a cell is kept at day 15: granulocytes and erythroblasts are few."""
    few = (cells[:, FEATURES.index("SSC-A")] > 1.5) | (cells[:, FEATURES.index("CD45")] < 2.0)
    return np.where(few, 0.1, 1.0)


def _in_blood(cells: Floats32) -> npt.NDArray[np.float64]:
    """How often a cell of marrow is in blood: erythroblasts and precursors are rare."""

    def level(name: str) -> Floats32:
        return cells[:, FEATURES.index(name)]

    young = (level("CD45") < 2.2) | (level("CD34") > 2.2) | ((level("CD19") > 2.2) & (level("CD10") > 2.2))
    return np.where(young, 0.02, 1.0)


def _kept(
    person: Patient,
    n: int,
    share: Callable[[Floats32], npt.NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    all_cells: bool = False,
) -> Floats32:
    out: list[Floats32] = []
    while sum(map(len, out)) < n:
        cells = draw(person.normal_mixture() if all_cells else person.groups["other"], n, rng)
        out.append(cells[rng.random(n) < share(cells)])
    return np.concatenate(out)[:n]


def prepare(condition: Elsewhere, patients: list[Patient], spill: Spillover, folder: Path) -> Stage:
    """Deal persons of half 0 and draw the instrument."""
    actors = cast(
        patients,
        Condition(
            condition.name,
            pairs=condition.pairs,
            controls=len(condition.controls),
            odd_control=True,
            half=0,
            seed=condition.seed,
        ),
    )
    rng = np.random.default_rng([condition.seed, 1])
    bright = np.max(
        [np.quantile(linear(draw(one.normal_mixture(), 5000, rng))[:, 2:], 0.999, axis=0) for one in actors.controls],
        axis=0,
    )
    names = tuple(f"C{i:02d}" for i in range(len(condition.controls)))
    slug = "".join(c if c.isalnum() else "-" for c in condition.name)
    return Stage(
        condition,
        Pipeline(folder / slug, "vienna_b8", names),
        draw_instrument(condition.centre, spill, bright, rng),
        actors,
    )


def write_tubes(stage: Stage) -> None:
    """Write every FCS file of the run, with the truth of every event."""
    condition, pipeline, actors = stage.condition, stage.pipeline, stage.actors
    rows = [("sample", "patient", "role", "fcs", "prior_therapy")]
    rows += [(name, name, "control", f"../fcs/{name}.fcs", "none") for name in pipeline.controls]
    for i in range(condition.pairs):
        rows.append((f"P{i:02d}_dx", f"P{i:02d}", "diagnosis", f"../fcs/P{i:02d}_dx.fcs", "none"))
        rows += [
            (f"P{i:02d}_{j}", f"P{i:02d}", "followup", f"../fcs/P{i:02d}_{j}.fcs", "none") for j in range(len(LEVELS))
        ]
    pipeline.prepare(rows)
    (pipeline.run / "truth").mkdir()
    for number, (person, kind) in enumerate(zip(actors.controls, condition.controls, strict=True)):
        rng = np.random.default_rng([condition.seed, 2, number])
        n = int(rng.integers(*condition.control_cells))
        cells = marrow_cells(person, kind, n, rng)
        _acquire(stage, pipeline.controls[number], cells, np.full(n, NORMAL, dtype=np.int8), Faults(), rng)
    for number in range(condition.pairs):
        _write_pair(stage, number)


def _write_pair(stage: Stage, number: int) -> None:
    condition, actors = stage.condition, stage.actors
    marrow, blasts = actors.backgrounds[number], actors.blasts[number]
    rng = np.random.default_rng([condition.seed, 3, number])
    n_blasts = round(condition.diagnosis_share * DIAGNOSIS_CELLS)
    normal = marrow_cells(marrow, condition.diagnosis, DIAGNOSIS_CELLS - n_blasts, rng)
    cells = np.concatenate([normal, draw(blasts.groups["blast"], n_blasts, rng)])
    codes = np.r_[np.full(len(normal), NORMAL), np.zeros(n_blasts)].astype(np.int8)
    _acquire(stage, f"P{number:02d}_dx", cells, codes, Faults(drift=condition.drift), rng)
    n = condition.cells[number % len(condition.cells)]
    kind = condition.followups[number % len(condition.followups)]
    normal = marrow_cells(marrow, kind, n, rng)
    faulty = condition.centre.run_faults
    faults = Faults(
        dye=condition.centre.dim_dye if number % 3 == 1 else 0.0, clog=faulty, bubble=faulty and number % 2 == 0
    )
    for index, level in enumerate(LEVELS):
        count = int(rng.poisson(level * n))
        leukaemia = draw(blasts.groups["blast"], count, rng)
        codes = np.r_[np.full(n, NORMAL), np.zeros(count)].astype(np.int8)
        carried = draw(actors.odd[0].groups["blast"], CARRIED_CELLS, rng) if faulty and number % 2 else None
        _acquire(
            stage,
            f"P{number:02d}_{index}",
            np.concatenate([normal, leukaemia]),
            codes,
            replace(faults, carried=carried),
            rng,
        )


def _acquire(
    stage: Stage, sample: str, cells: Floats32, codes: Codes, faults: Faults, rng: np.random.Generator
) -> None:
    run = stage.pipeline.run
    truth = acquire_elsewhere(run / "fcs" / f"{sample}.fcs", cells, codes, stage.instrument, faults, rng)
    np.save(run / "truth" / f"{sample}.npy", truth)


def truth_of(stage: Stage, sample: str) -> Codes:
    """Code of every event of a tube, in file order."""
    stored: Codes = np.load(stage.pipeline.run / "truth" / f"{sample}.npy", allow_pickle=False)
    return stored


def chain(stage: Stage, sample: str) -> Record:
    """What is left of a tube's cells behind quality control and gates."""
    pipeline, truth = stage.pipeline, truth_of(stage, sample)
    files = TubeFiles(sample, *(pipeline.work(sample, f"{name}.arrow") for name in ("preprocessed", "gated")))
    panel = load_panel(find_panel(pipeline.panel, run_directory=pipeline.run))
    tube = tube_from_files(files, panel, RunConfig(panel="", samples=""))
    usable = tube.analysable()
    counted, window = tube.gate("nucleated") & usable, tube.gate("possible_b_lineage") & usable
    real, single = truth >= 0, (truth >= 0) | (truth == NORMAL)
    return {
        "tube": sample,
        "analysable": float(usable.mean()),
        "nucleated": int(counted.sum()),
        "true_nucleated": int((single & usable).sum()),
        "true": int(real.sum()),
        "in_denominator": int((real & counted).sum()),
        "in_window": int((real & window & counted).sum()),
        "window": float(window.sum() / max(counted.sum(), 1)),
    }


def run(stage: Stage, *, gates_only: bool, tubes: Sequence[str]) -> Iterator[Record]:
    """Take the tubes through the stages; a record per tube and question."""
    pipeline, condition = stage.pipeline, stage.condition
    name = condition.name
    pipeline.gate_controls()
    for control in pipeline.controls:
        yield {"condition": name, "method": "chain", **chain(stage, control)}
    if not gates_only:
        learned = {"method": "reference", "seconds": pipeline.learn(), **controls_told(pipeline)}
        for one in (name, name + WITHOUT):
            yield {"condition": one, **learned}
    for number in range(condition.pairs):
        patient = f"P{number:02d}"
        if tubes and patient not in tubes:
            continue
        yield from _patient(stage, patient, number, gates_only=gates_only)


def _patient(stage: Stage, patient: str, number: int, *, gates_only: bool) -> Iterator[Record]:
    pipeline, name = stage.pipeline, stage.condition.name
    laip: Path | None = None
    for sample in (f"{patient}_dx", *(f"{patient}_{index}" for index in range(len(LEVELS)))):
        level = None if sample.endswith("_dx") else LEVELS[int(sample[-1])]
        base = {
            "tube": sample,
            "level": level,
            "marrow": stage.actors.backgrounds[number].name,
            "blasts": stage.actors.blasts[number].name,
        }
        try:
            pipeline.gate(sample)
            found = chain(stage, sample)
            yield {"condition": name, "method": "chain", **base, **found}
            if gates_only:
                continue
            if level is None:
                pipeline.learn_laip(patient, sample)
                laip = pipeline.laip(patient)
                continue
            for words, phenotype in ((WITHOUT, None), ("", laip)):
                if phenotype is None and not words:
                    continue
                seconds = pipeline.judge(sample, phenotype)
                truth = truth_of(stage, sample)
                told = outcome(pipeline, sample, truth >= 0) | groups_told(pipeline, sample, truth)
                whole = base | found | {"method": "flowmrd", "seconds": seconds} | told
                yield {"condition": name + words, **whole}
        except (RefusedError, FlowmrdError) as error:
            yield {"condition": name, "method": "refused", **base, "error": str(error)}


def say(record: Record) -> str:
    """One line about a record."""
    if record["method"] == "chain":
        off = record["nucleated"] / max(record["true_nucleated"], 1) - 1
        mark = " <-- denominator" if abs(off) > DENOMINATOR_OFF else ""
        lost = record["true"] - record["in_window"]
        mark += " <-- leukaemia lost" if record["true"] and lost > 0.1 * record["true"] else ""
        return (
            f"{record['tube']:8} analysable {record['analysable']:.3f} denominator {100 * off:+.1f} % window "
            f"{100 * record['window']:.2f} % leukaemia {record['true']} counted {record['in_denominator']} in window "
            f"{record['in_window']}{mark}"
        )
    if record["method"] == "reference":
        return f"controls clean {record['controls_clean']} of {record['controls']}: " + "; ".join(
            f"{control} {'; '.join(why)}" for control, (verdict, why) in record["judgements"].items() if why
        )
    if record["method"] == "refused":
        return f"{record['tube']} REFUSED {record['error']}"
    right = is_right(record) if record["level"] else is_negative(record)
    return (
        f"{record['tube']:8} {record['level']:g} {'dx' if not record['condition'].endswith(WITHOUT) else 'no'} "
        f"{'right' if right else 'WRONG'} {record['class']} true {record['true']} called {record['called']} hit "
        f"{record['hit']} {','.join(record['reasons'])}"
    )


def table(records: Sequence[Record]) -> str:
    """One row per centre and question."""
    rows = [
        "| centre | right at 1e-3 (detected) | right at 1e-4 (detected) | clean NEGATIVE (called) | controls clean "
        "| denominator, worst | leukaemia that reaches the classifier, worst tube |",
        "|---" * 7 + "|",
    ]
    for name in dict.fromkeys(r["condition"] for r in records if r["method"] == "flowmrd"):
        own = [r for r in records if r["condition"] == name and r["method"] == "flowmrd"]
        at = {level: [r for r in own if r["level"] == level] for level in LEVELS}
        cells = [f"{sum(map(is_right, at[x]))} of {len(at[x])} ({sum(map(is_detected, at[x]))})" for x in LEVELS[:2]]
        cells.append(f"{sum(map(is_negative, at[0.0]))} of {len(at[0.0])} ({sum(map(is_detected, at[0.0]))})")
        clean = [r for r in records if r["condition"] == name and r["method"] == "reference"]
        cells.append(f"{clean[-1]['controls_clean']} of {clean[-1]['controls']}" if clean else "-")
        worst = max((r["nucleated"] / r["true_nucleated"] - 1 for r in own), key=abs)
        reached = min((r["in_window"] / r["true"] for r in own if r["true"]), default=1.0)
        rows.append(f"| {name} | {' | '.join(cells)} | {100 * worst:+.1f} % | {100 * reached:.0f} % |")
    return "\n".join(rows)


def main() -> int:
    """Run centres, print a line per tube and the table of all records."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.centres")
    parser.add_argument("--only", nargs="*", default=[], help="names of centres")
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--records", type=Path, default=WORK.with_suffix(".jsonl"))
    parser.add_argument("--gates-only", action="store_true", help="stop before the classifier")
    parser.add_argument("--keep", action="store_true", help="keep files, and use those that are there")
    parser.add_argument("--patients", nargs="*", default=[], help="P00 and so on, instead of all")
    parser.add_argument("--table", action="store_true", help="only print the table of the records")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.stderr.write(f"no mixtures in {DATA}: accuracy cannot be measured here\n")
        return 2
    if not arguments.table:
        arguments.records.parent.mkdir(parents=True, exist_ok=True)
        _run_all(arguments)
    lines = arguments.records.read_text(encoding="utf-8").splitlines()
    sys.stdout.write(table([json.loads(line) for line in lines]) + "\n")
    return 0


def _run_all(arguments: argparse.Namespace) -> None:
    patients, spill = load(DATA), measured_spillover(DATA / "population_statistics.json")
    for condition in CENTRES:
        if arguments.only and condition.name not in arguments.only:
            continue
        chosen = replace(condition, pairs=arguments.pairs or condition.pairs, seed=arguments.seed or condition.seed)
        stage = prepare(chosen, patients, spill, arguments.work)
        if not (arguments.keep and (stage.pipeline.run / "truth").is_dir()):
            shutil.rmtree(stage.pipeline.run, ignore_errors=True)
            write_tubes(stage)
        with arguments.records.open("a", encoding="utf-8") as out:
            for record in run(stage, gates_only=arguments.gates_only, tubes=arguments.patients):
                out.write(json.dumps(record) + "\n")
                out.flush()
                sys.stdout.write(f"{condition.name}: {say(record)}\n")
                sys.stdout.flush()
        if not arguments.keep:
            shutil.rmtree(stage.pipeline.run)


if __name__ == "__main__":
    sys.exit(main())

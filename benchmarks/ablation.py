"""What every number of the classifier does: each is halved and doubled on fixed development tubes.

python -m benchmarks.ablation [--only NAME ...] [--section NAME ...] [--minutes M] [--again] [--measured FOLDER]
python -m benchmarks.ablation --guarded

The tubes are simulated (ten colours, 8,000 nucleated cells): three controls, a follow-up with a diagnosis tube, one
without, a clean regenerating marrow, and a heavy burden. ``--measured`` adds the tubes of a folder that
``python -m benchmarks.accuracy.cells`` made from the optional shared mixtures. Every step notes which numbers it reads,
so that a number changes only the steps that read it; the others are kept.

What changes is stored in ``docs/ablation.json`` after every number; ``docs/thresholds.md`` shows it. A number that is
there already is left out unless ``--again``. "Nothing" means that no count, no group that is reported, no flag and no
spike-in of the development tubes changed. ``--guarded`` takes the numbers that no development tube reads, and those of
``--only`` that change nothing there: it runs the tests of their section with half and with twice the number and stores
which of them fail.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classification import Classification
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.design import FollowUp, TubePlan, controls, patients, tube_seed
from flowmrd.simulate.populations import NORMAL, REGENERATING, Code
from flowmrd.simulate.tube import simulate_tube
from flowmrd.store import read_json, write_json
from flowmrd.units import LOGICLE_M

RESULTS = REPOSITORY / "docs" / "ablation.json"
SEED = 3
CELLS = 8_000
"""Nucleated cells of a tube, small enough to try 200 numbers twice."""
NOT_READ = "not read on the development tubes"
NOT_HELD = "no test fails with half or twice of it"
UNCHANGED = "nothing"
B_LINEAGE = (Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B, Code.PLASMA_CELL)
MARKERS_OF_STEROIDS = frozenset({"CD10", "CD20", "CD34"})
T = TypeVar("T")


READ: set[str] = set()
"""Names of the parameters that were read since it was emptied last."""


class Watched(ClassifierParameters):
    """Parameters that note which of them are read."""

    def __getattribute__(self, name: str) -> Any:
        READ.add(name)
        return super().__getattribute__(name)


@dataclass(frozen=True)
class Judged:
    """A tube to judge, with the leukaemic ones of its cells."""

    tube: CandidateCells
    leukaemic: npt.NDArray[np.bool_]
    diagnosis: CandidateCells | None = None
    unreliable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DevelopmentSet:
    """Controls and tubes to judge."""

    controls: tuple[CandidateCells, ...]
    tubes: tuple[Judged, ...]


@dataclass
class Step(Generic[T]):
    """What a step gave with the defaults, and which numbers it read."""

    value: T
    reads: frozenset[str]


def cells_of(plan: TubePlan, panel: PanelModel) -> tuple[CandidateCells, npt.NDArray[np.bool_]]:
    """A simulated tube, gated by its truth; single nucleated cells only."""
    made = simulate_tube(plan.spec, panel, tube_seed(SEED, plan.sample))
    dyes = made.cytometer.fluorescence
    raw = np.stack([made.columns[dye.pnn].astype(np.float64) for dye in dyes], axis=1)
    unmixed = raw @ np.linalg.inv(made.cytometer.spill)
    columns = {dye.marker: made.cytometer.to_decades(unmixed[:, k], dye) for k, dye in enumerate(dyes)}
    features = tuple(channel.marker for channel in panel.channels if channel.feature)
    for name in features:
        if name not in columns:
            columns[name] = made.columns[name].astype(np.float64) / 262_144.0 * LOGICLE_M
    kept = made.truth["nucleated"] & ~made.truth["doublet"]
    population = made.truth["population"][kept].astype(np.int16)
    leukaemic = made.truth["mrd"][kept]
    names = {int(code): code.name.lower() for code in (*NORMAL, *B_LINEAGE)}
    table = tuple(names.get(code, "") for code in range(max(names) + 1))
    cells = CandidateCells(
        name=plan.sample,
        features=features,
        values=np.stack([np.asarray(columns[name])[kept] for name in features], axis=1).astype(np.float32),
        window=np.isin(population, [int(code) for code in B_LINEAGE]) | leukaemic,
        denominator=int(kept.sum()),
        population=np.where(population < len(table), population, -1).astype(np.int16),
        populations=table,
    )
    return cells, leukaemic


def simulated() -> DevelopmentSet:
    """The fixed tubes."""
    panel = load_panel(PANELS / "ino10.yaml")
    rows = [
        FollowUp("P1", 4e-3, nucleated=CELLS, diagnosis_nucleated=CELLS),
        FollowUp("P2", 4e-3, nucleated=CELLS, diagnosis_nucleated=0),
        FollowUp("P3", 0.0, nucleated=CELLS, diagnosis_nucleated=0, composition=REGENERATING),
        FollowUp("P4", 0.1, nucleated=CELLS // 2, diagnosis_nucleated=0),
    ]
    made = {plan.sample: (plan, *cells_of(plan, panel)) for plan in patients(rows, SEED)}
    tubes = []
    for sample, (plan, cells, leukaemic) in made.items():
        if not sample.endswith("-dx"):
            diagnosis = made.get(f"{plan.patient}-dx")
            lost = frozenset({"CD22"}) if "cd22" in plan.prior_therapy.value else frozenset[str]()
            tubes.append(Judged(cells, leukaemic, None if diagnosis is None else diagnosis[1], lost))
    marrows = tuple(cells_of(plan, panel)[0] for plan in controls(3, CELLS, SEED, every=3))
    return DevelopmentSet(marrows, tuple(tubes))


def measured(folder: Path) -> DevelopmentSet:
    """Tubes made from measured mixtures by ``benchmarks.accuracy.cells``: controls ``C*``, pairs ``P*`` at 1e-3."""
    from benchmarks.accuracy.cells import read

    marrows = tuple(read(path).tube for path in sorted(folder.glob("C*.npz")))
    tubes = []
    for path in sorted(folder.glob("P*_0.npz"))[:3]:
        kept, diagnosis = read(path), path.with_name(path.name.replace("_0.npz", "_dx.npz"))
        tubes.append(Judged(kept.tube, kept.codes >= 0, read(diagnosis).tube if diagnosis.is_file() else None))
    return DevelopmentSet(marrows, tuple(tubes))


class Bench:
    """The classifier on a development set; steps that do not read a changed number are kept."""

    def __init__(self, tubes: DevelopmentSet) -> None:
        self.tubes = tubes
        self.defaults = Watched(
            target=4e-3, replicates=1, spike_kinds=1, spike_kinds_nearest=2, shifted=MARKERS_OF_STEROIDS
        )
        self.reference = self._watch(lambda: self._reference(self.defaults))
        self.laips = [self._watch(partial(self._laip, one, self.reference.value, self.defaults)) for one in tubes.tubes]
        self.results = [
            self._watch(partial(self._judge, one, self.reference.value, laip.value, own))
            for one, laip, own in zip(tubes.tubes, self.laips, self._therapies(self.defaults), strict=True)
        ]

    def _watch(self, work: Callable[[], T]) -> Step[T]:
        READ.clear()
        value = work()
        return Step(value, frozenset(READ))

    def _reference(self, parameters: ClassifierParameters) -> ReferenceModel:
        return build_reference("development", list(self.tubes.controls), parameters=parameters)

    def _laip(self, one: Judged, reference: ReferenceModel, parameters: ClassifierParameters) -> PatientLaip | None:
        if one.diagnosis is None:
            return None
        return find_laip(one.tube.name, one.diagnosis, reference, min_cells=200, parameters=parameters)

    def _judge(
        self, one: Judged, reference: ReferenceModel, laip: PatientLaip | None, parameters: ClassifierParameters
    ) -> Classification:
        return classify_tube(one.tube, reference, laip=laip, library=None, parameters=parameters)

    def _therapies(self, parameters: ClassifierParameters) -> list[ClassifierParameters]:
        """Parameters of every tube: replacing reads them all, so it is done before reading is watched."""
        return [replace(parameters, unreliable=one.unreliable) for one in self.tubes.tubes]

    @property
    def reads(self) -> frozenset[str]:
        """Numbers that some step reads."""
        found = self.reference.reads
        return found.union(*(step.reads for step in self.laips), *(step.reads for step in self.results))

    def changed(self, name: str, value: object) -> list[str]:
        """What changes with another value, one line a tube."""
        number: dict[str, Any] = {name: value}
        parameters = replace(self.defaults, **number)
        redo = name in self.reference.reads
        reference = self._reference(parameters) if redo else self.reference.value
        lines = []
        own_parameters = self._therapies(parameters)
        for one, laip, result, given in zip(self.tubes.tubes, self.laips, self.results, own_parameters, strict=True):
            learn = redo or name in laip.reads
            own = self._laip(one, reference, parameters) if learn else laip.value
            if not learn and name not in result.reads:
                continue
            new = self._judge(one, reference, own, given)
            lines += difference(one, result.value, new)
        return lines


def difference(one: Judged, old: Classification, new: Classification) -> list[str]:
    """How two results of a tube differ, in words; nothing where only scores do."""
    out = []
    true = int(one.leukaemic.sum())
    hits = [int((result.mrd & one.leukaemic).sum()) for result in (old, new)]
    false = [int((result.mrd & ~one.leukaemic).sum()) for result in (old, new)]
    if abs(hits[1] - hits[0]) > max(1, 0.02 * hits[0]):
        out.append(f"{hits[0]} to {hits[1]} of {true} found")
    if abs(false[1] - false[0]) > 1:
        out.append(f"{false[0]} to {false[1]} false")
    why = [sorted(group.why for group in result.uncounted) for result in (old, new)]
    if why[0] != why[1]:
        out.append(f"groups not counted {len(why[0])} to {len(why[1])}")
    codes = [{flag.code for flag in result.flags} for result in (old, new)]
    out += [f"{code} {'gone' if code in codes[0] else 'raised'}" for code in sorted(codes[0] ^ codes[1])]
    seen = [None if result.spike_in is None else result.spike_in.recovered_total for result in (old, new)]
    if seen[0] is not None and seen[1] is not None and abs(seen[1] - seen[0]) > max(2, 0.1 * seen[0]):
        out.append(f"spiked cells found {seen[0]} to {seen[1]}")
    return [f"{one.tube.name}: {', '.join(out)}"] if out else []


def variants(field: Field[Any]) -> Iterator[tuple[str, object]]:
    """Half and twice a number, within what it may be."""
    value: Any = field.default
    unit = field.metadata["unit"]
    for word, factor in (("half", 0.5), ("twice", 2.0)):
        if isinstance(value, tuple):
            yield word, tuple(item * factor for item in value)
        elif isinstance(value, int):
            yield word, max(1, round(value * factor))
        elif unit == "fraction" and value > 0.5 and factor > 1.0:
            yield "the rest halved", 1.0 - (1.0 - value) / 2.0
        else:
            yield word, value * factor


def is_number(field: Field[Any]) -> bool:
    """Whether a parameter can be halved; seeds and sets of markers cannot."""
    seed = field.name == "seed" or field.name.endswith("_seed")
    return isinstance(field.default, int | float | tuple) and not seed and field.default != 0


@cache
def benches(folder: Path | None) -> tuple[Bench, ...]:
    """The development sets with the defaults."""
    sets = [simulated()]
    if folder is not None and folder.is_dir():
        sets.append(measured(folder))
    return tuple(Bench(tubes) for tubes in sets)


def effect_of(field: Field[Any], on: Sequence[Bench]) -> str:
    """What halving and doubling a number changes, in words."""
    if not any(field.name in bench.reads for bench in on):
        return NOT_READ
    parts = []
    for word, value in variants(field):
        try:
            lines = [line for bench in on for line in bench.changed(field.name, value)]
        except Exception as error:  # a number may be impossible; that is its effect
            lines = [f"cannot be computed ({type(error).__name__})"]
        parts.append(f"{word}: {'; '.join(lines) or 'nothing'}")
    return UNCHANGED if all(part.endswith(": nothing") for part in parts) else ". ".join(parts)


GUARDS: dict[str, tuple[str, ...]] = {
    "carry-over": ("carry_over",),
    "comparison with controls": ("group_judgement", "control_places", "false_groups", "laboratory_decisions"),
    "cut": ("cut_and_background", "laip", "kinds"),
    "doublets": ("doublets",),
    "error rate of a group": ("false_groups", "control_places", "group_judgement"),
    "judgement of controls": ("control_judgement",),
    "markers masked by a drug": ("laip",),
    "novelty of a tube": ("laip",),
    "off-scale cells": ("offscale_cells", "spike_in_raw_events"),
    "phenotype match": ("phenotype_match", "laip"),
    "spike-in": ("spike_in_raw_events",),
    "staining control": ("staining_control",),
    "unknown population": ("unknown_population",),
}
"""Section to the modules of ``tests/classifier`` that hold its rare cases, beside ``test_numbers``."""


def failing(field: Field[Any], value: object) -> list[str]:
    """Tests of a number's section that fail with another value."""
    found = _failing(field, value, ["numbers"])
    return found or _failing(
        field,
        value,
        GUARDS.get(
            field.metadata["section"],
            ("compact_groups", "group_judgement", "group_members", "tube_model", "abundance_outliers"),
        ),
    )


def _failing(field: Field[Any], value: object, modules: Sequence[str]) -> list[str]:
    files = [f"tests/classifier/test_{module}.py" for module in modules]
    command = [sys.executable, "-m", "pytest", "-p", "benchmarks.changed_number", "-q", "-rfE", "--tb=no", *files]
    done = subprocess.run(  # noqa: S603 - our own tests
        command,
        cwd=REPOSITORY,
        env={**os.environ, "CHANGED_NUMBER": f"{field.name}={value!r}"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(?:FAILED|ERROR) \S*?::(\w+)", done.stdout, re.M)
    return list(dict.fromkeys(found))


def guards_of(field: Field[Any], tubes: str) -> str:
    """The tests that fail with half and with twice a number, in words after what the development tubes say of it."""
    parts = []
    for word, value in variants(field):
        tests = failing(field, value)
        if tests:
            parts.append(f"{word}: {', '.join(tests[:2])}{' and others' if len(tests) > 2 else ''} fails")
    return f"{tubes}; {'. '.join(parts) or NOT_HELD}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="names of numbers")
    parser.add_argument("--section", nargs="+", default=[], help="sections of docs/thresholds.md")
    parser.add_argument("--minutes", type=float, default=10.0, help="processor minutes after which no number is begun")
    parser.add_argument("--again", action="store_true", help="measure what has been measured as well")
    parser.add_argument("--measured", type=Path, help="folder of benchmarks.accuracy.cells")
    parser.add_argument("--guarded", action="store_true", help="numbers that no tube reads: which tests fail")
    chosen = parser.parse_args(arguments)
    names = {field.name for field in fields(ClassifierParameters)}
    stored: dict[str, str] = read_json(RESULTS) if RESULTS.is_file() else {}
    known = {name: effect for name, effect in stored.items() if name in names}
    todo = [
        field
        for field in fields(ClassifierParameters)
        if is_number(field)
        and (
            known.get(field.name, "").startswith((NOT_READ, UNCHANGED) if chosen.only else NOT_READ)
            if chosen.guarded
            else chosen.again or field.name not in known
        )
        and (not chosen.only or field.name in chosen.only)
        and (not chosen.section or field.metadata["section"] in chosen.section)
    ]
    unknown = sorted(set(chosen.only) - names)
    if unknown:
        parser.error(f"no such number: {', '.join(unknown)}; docs/thresholds.md lists all")
    started = time.process_time()
    for field in todo:
        if time.process_time() - started > 60.0 * chosen.minutes:
            sys.stdout.write("time is up; the same command goes on from here\n")
            break
        if chosen.guarded:
            known[field.name] = guards_of(field, known[field.name].partition(";")[0])
        else:
            known[field.name] = effect_of(field, benches(chosen.measured))
        sys.stdout.write(f"{field.name}: {known[field.name]}\n")
        sys.stdout.flush()
        write_json(RESULTS, dict(sorted(known.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

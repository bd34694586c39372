"""Tubes of one row, taken through every stage of the product and compared with their truth."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.accuracy.acquire import Spillover
from benchmarks.accuracy.cast import Cast, Condition, cast
from benchmarks.accuracy.experiment import outcome
from benchmarks.accuracy.mixtures import Patient
from benchmarks.accuracy.oracle import oracles
from benchmarks.accuracy.pipeline import Pipeline, RefusedError
from benchmarks.accuracy.simulated import sheet_of
from benchmarks.stress.leukaemias import CANDIDATES, KINDS, of_kind, simulated_leukaemia, simulated_marrow
from benchmarks.stress.raw_tube import RawTube, from_mixtures, from_plan
from benchmarks.stress.rows import Row
from flowmrd.config.sheet import PriorTherapy, Role
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.cytometer import build_cytometer
from flowmrd.simulate.design import FollowUp, TubePlan, controls, patients
from flowmrd.store import read_json, write_json, write_text

Record = dict[str, Any]
LEVELS = (1e-3, 1e-4, 0.0)
DETECTED = ("DETECTED_NOT_QUANTIFIABLE", "POSITIVE_BELOW_THRESHOLD", "POSITIVE")


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes
    ----------
    leukaemias
        Kinds of leukaemia (:mod:`benchmarks.stress.leukaemias`), each in a marrow of its own.
    cells, diagnosis_cells, control_cells
        Nucleated cells of a follow-up, diagnosis and control tube.
    diagnosis_share
        Leukaemic share of a diagnosis tube.
    seed
        Another number draws other persons, leukaemias and events.
    """

    leukaemias: tuple[str, ...] = KINDS
    cells: int = 300_000
    diagnosis_cells: int = 60_000
    control_cells: int = 150_000
    controls: int = 7
    diagnosis_share: float = 0.5
    levels: tuple[float, ...] = LEVELS
    seed: int = 31


class World(ABC):
    """Where tubes of one panel come from: every call with the same arguments gives the same tube."""

    def __init__(self, panel: str, sizes: Sizes) -> None:
        self.panel, self.sizes = panel, sizes
        self.model: PanelModel = load_panel(PANELS / f"{panel}.yaml")

    @abstractmethod
    def control(self, number: int) -> RawTube:
        """A control marrow."""

    @abstractmethod
    def tube(self, patient: int, level: float | None) -> RawTube:
        """A follow-up tube of a patient, or the diagnosis tube where the level is None."""


class Mixtures(World):
    """Eight colours: measured mixtures of persons (optional shared data)."""

    def __init__(self, sizes: Sizes, people: list[Patient], spill: Spillover) -> None:
        super().__init__("vienna_b8", sizes)
        self.spill = spill
        condition = Condition("stress", pairs=CANDIDATES, controls=sizes.controls, seed=self.sizes.seed)
        self.cast: Cast = cast(people, condition)
        self.blasts = {number: self._blasts(number) for number in map(KINDS.index, sizes.leukaemias)}

    def _blasts(self, number: int) -> Patient:
        """Of all candidates the one that is hard or ordinary to tell from this very marrow."""
        marrow = self.cast.backgrounds[number].normal_mixture()
        blasts = [one.groups["blast"] for one in self.cast.blasts]
        found = oracles(marrow, blasts, np.random.default_rng([self.sizes.seed, 6]))
        return self.cast.blasts[of_kind(KINDS[number], found)]

    def control(self, number: int) -> RawTube:
        """A control marrow."""
        rng = np.random.default_rng([self.sizes.seed, 1, number])
        return from_mixtures(self.cast.controls[number], None, self.sizes.control_cells, 0, self.spill, rng)

    def tube(self, patient: int, level: float | None) -> RawTube:
        """A tube of a patient."""
        sizes, marrow, blasts = self.sizes, self.cast.backgrounds[patient], self.blasts[patient]
        if level is None:
            rng = np.random.default_rng([self.sizes.seed, 2, patient])
            count = round(sizes.diagnosis_cells * sizes.diagnosis_share)
            return from_mixtures(marrow, blasts, sizes.diagnosis_cells, count, self.spill, rng)
        rng = np.random.default_rng([self.sizes.seed, 3, patient, round(1e6 * level)])
        count = int(rng.poisson(level * sizes.cells))
        return from_mixtures(marrow, blasts, sizes.cells, count, self.spill, rng)


class Simulated(World):
    """Ten colours: simulated marrow after anti-CD22 therapy."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__("ino10", sizes)
        self._controls = controls(sizes.controls, sizes.control_cells, self.sizes.seed, every=3)
        features = [detector.marker for detector in build_cytometer(self.model).fluorescence]
        marrow = simulated_marrow(features)
        names = [f"P{number:02d}" for number in range(CANDIDATES)]
        blasts = [simulated_leukaemia(self.sizes.seed, name, features) for name in names]
        found = oracles(marrow, blasts, np.random.default_rng([self.sizes.seed, 6]))
        self._persons = [names[of_kind(kind, found)] for kind in KINDS]

    def control(self, number: int) -> RawTube:
        """A control marrow."""
        return from_plan(self._controls[number], self.model, self.sizes.seed)

    def tube(self, patient: int, level: float | None) -> RawTube:
        """A tube of a patient."""
        sizes = self.sizes
        row = FollowUp(
            self._persons[patient],
            level or 0.0,
            nucleated=sizes.cells,
            diagnosis_nucleated=sizes.diagnosis_cells if level is None else 0,
            blasts=sizes.diagnosis_share,
            timepoint=f"l{round(1e6 * (level or 0.0))}",
        )
        return from_plan(patients([row], self.sizes.seed)[0], self.model, self.sizes.seed)


def run(world: World, row: Row, folder: Path) -> Iterator[Record]:
    """Yield a record per patient for the diagnosis tube, and one per level with and without it.

    A diagnosis tube that the row does not change is judged once for all rows that share its controls.
    """
    pipeline = _prepared(world, row, folder)
    for number, kind in enumerate(KINDS):
        if kind not in world.sizes.leukaemias:
            continue
        facts: Record = {"row": row.name, "panel": world.panel, "patient": number, "leukaemia": kind}
        name = f"P{number:02d}"
        yield {**facts, "level": None, "setting": "diagnosis", **_diagnosis(world, row, pipeline, number)}
        for index, level in enumerate(world.sizes.levels):
            sample = f"{name}-{index}"
            raw = world.tube(number, level)
            try:
                tube = _made(world, row, pipeline, sample, "followup", raw)
            except RefusedError:
                for mode in ("with diagnosis", "without"):
                    yield {**facts, "level": level, "setting": mode, **_refused(raw)}
                continue
            for mode, laip in (("with diagnosis", pipeline.laip(name)), ("without", None)):
                pipeline.judge(sample, laip)
                yield {**facts, "level": level, "setting": mode, **_judged(pipeline, sample, tube)}
            shutil.rmtree(pipeline.work(sample, ""))


def exchanged(world: World, row: Row, folder: Path) -> Iterator[Record]:
    """Yield a record per patient and level: the tube judged with the diagnosis of the next patient."""
    pipeline = _prepared(world, row, folder)
    numbers = [number for number, kind in enumerate(KINDS) if kind in world.sizes.leukaemias]
    for number in numbers:
        _diagnosis(world, row, pipeline, number)
    for place, number in enumerate(numbers):
        other = f"P{numbers[(place + 1) % len(numbers)]:02d}"
        for index, level in enumerate(world.sizes.levels):
            sample = f"P{number:02d}-{index}"
            tube = _made(world, row, pipeline, sample, "followup", world.tube(number, level))
            pipeline.judge(sample, pipeline.laip(other))
            yield {"leukaemia": KINDS[number], "level": level, **_judged(pipeline, sample, tube)}
            shutil.rmtree(pipeline.work(sample, ""))


def _diagnosis(world: World, row: Row, pipeline: Pipeline, number: int) -> Record:
    name = f"P{number:02d}"
    kept = pipeline.run / f"{name}-diagnosis.json"
    unchanged = "diagnosis" not in row.on
    if unchanged and kept.is_file():
        return dict(read_json(kept))
    tube = _made(world, row, pipeline, f"{name}-dx", "diagnosis", world.tube(number, None))
    pipeline.learn_laip(name, f"{name}-dx")
    pipeline.judge(f"{name}-dx", pipeline.laip(name))
    judged = _judged(pipeline, f"{name}-dx", tube)
    judged["laip_share"] = read_json(pipeline.laip(name)).get("share", 0.0)
    judged["true_share"] = float(tube.leukaemic.sum() / tube.nucleated.sum())
    judged["share"] = judged["called"] / max(judged["nucleated"], 1)
    if unchanged:
        write_json(kept, judged)
    else:
        kept.unlink(missing_ok=True)
    return judged


def _prepared(world: World, row: Row, folder: Path) -> Pipeline:
    """The run directory with its reference; rows that leave the controls alone share one."""
    words = row.shares or row.name
    slug = "".join(c if c.isalnum() else "-" for c in words) if row.own_controls else "controls"
    directory = folder / f"{world.panel}-{slug}"
    names = tuple(f"C{i:02d}" for i in range(row.n_controls or world.sizes.controls))
    panel = world.panel
    if row.panel_change is not None:
        panel = "panel"
    pipeline = Pipeline(directory, panel, names)
    stamp = f"{code_digest()} {world.sizes!r}"
    marker = directory / "stamp"
    if marker.is_file() and marker.read_text(encoding="utf-8") == stamp:
        return pipeline
    shutil.rmtree(directory, ignore_errors=True)
    pipeline.prepare(_sheet(world, names))
    if row.panel_change is not None:
        facts = yaml.safe_load((PANELS / f"{world.panel}.yaml").read_text(encoding="utf-8"))
        row.panel_change(facts)
        facts["name"] = panel
        write_text(directory / "panels" / f"{panel}.yaml", yaml.safe_dump(facts, sort_keys=False))
    for number, name in enumerate(names):
        tube = world.control(number)
        if "control" in row.on and number in row.controls and row.change is not None:
            row.change(tube, np.random.default_rng([world.sizes.seed, 4, number]))
        tube.write(directory / "fcs" / f"{name}.fcs")
    pipeline.gate_controls()
    pipeline.learn()
    write_text(marker, stamp)
    return pipeline


def _sheet(world: World, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    given = PriorTherapy.CD22 if world.panel == "ino10" else PriorTherapy.NONE
    blank = controls(1, 1, world.sizes.seed)[0]
    plans: list[TubePlan] = [replace(blank, sample=name, patient=name) for name in names]
    for number in range(len(KINDS)):
        patient = f"P{number:02d}"
        plans.append(replace(blank, sample=f"{patient}-dx", patient=patient, role=Role.DIAGNOSIS))
        for index in range(len(world.sizes.levels)):
            sample = f"{patient}-{index}"
            plans.append(replace(blank, sample=sample, patient=patient, role=Role.FOLLOWUP, prior_therapy=given))
    return sheet_of(plans)


def _made(world: World, row: Row, pipeline: Pipeline, sample: str, role: str, tube: RawTube) -> RawTube:
    """Change a tube as the row says, write it and take it to gated events."""
    if role in row.on and row.change is not None:
        row.change(tube, np.random.default_rng([world.sizes.seed, 5, zlib.crc32(sample.encode())]))
    path = pipeline.run / "fcs" / f"{sample}.fcs"
    tube.write(path)
    pipeline.gate(sample)
    path.unlink()
    return tube


def _judged(pipeline: Pipeline, sample: str, tube: RawTube) -> Record:
    """What the product said of a tube, beside its truth."""
    result = read_json(pipeline.result(sample))
    return {
        "true": int(tube.leukaemic.sum()),
        "true_nucleated": int(tube.nucleated.sum()),
        "true_b_lineage": int(tube.b_lineage.sum()),
        "b_lineage": result["counts"]["b_lineage"],
        "detected": result["verdict"]["class"] in DETECTED,
        **outcome(pipeline, sample, tube.leukaemic),
    }


def _refused(tube: RawTube) -> Record:
    """A tube that the product refuses with a reason: no answer."""
    return {
        "true": int(tube.leukaemic.sum()),
        "true_nucleated": int(tube.nucleated.sum()),
        "nucleated": None,
        "detected": False,
        "hit": 0,
        "false": 0,
        "class": "REFUSED",
        "mrd_negative": None,
        "reasons": [],
    }


def code_digest() -> str:
    """SHA-256 over the sources and panels that decide the results: records of other sources are made again."""
    sha = hashlib.sha256()
    for folder, kind in ((REPOSITORY / "src" / "flowmrd", "*.py"), (PANELS, "*.yaml")):
        for path in sorted(folder.rglob(kind)):
            if not {"report", "trial", "review", "engine"} & set(path.parts):
                sha.update(path.read_bytes())
    return sha.hexdigest()[:16]

"""One condition of the experiment: who are controls, backgrounds and blasts, and what every method says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.acquire import Gated, acquire, gate, learn_gates
from benchmarks.accuracy.baselines import GaussianOutlier, PooledBoosting
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw
from benchmarks.accuracy.oracle import oracle_recall
from flowmrd.laip import (
    Library,
    NormalReference,
    PatientLaip,
    Settings,
    build_reference,
    classify_tube,
    find_laip,
)
from flowmrd.laip.tube import Tube
from flowmrd.panel import PanelModel

Bools = npt.NDArray[np.bool_]
LEVELS = (1e-2, 1e-3, 1e-4, 3e-5, 0.0)
DETECT = 20
"""Events that count as detected, as in the pipeline's default."""
DIAGNOSIS_CELLS = 100_000
CONTROL_CELLS = 300_000


@dataclass(frozen=True)
class Condition:
    """One row of the tables.

    Attributes
    ----------
    mode
        ``patient``, ``library`` or ``different_from_normal``.
    drift
        Standard deviation per marker between diagnosis tube and follow-up, decades.
    diagnosis_marrow
        Whose normal cells the diagnosis tube holds: the follow-up's (``follow-up``) or the blasts' own patient's
        (``own``), which lie elsewhere.
    backgrounds, controls_from
        Cohorts of the follow-up marrows and blasts, and of the controls.
    therapy
        ``none``, ``cd19 lost``.
    """

    name: str
    mode: str = "patient"
    pairs: int = 30
    events: int = 450_000
    controls: int = 8
    drift: float = 0.15
    diagnosis_marrow: str = "follow-up"
    diagnosis_share: float = 0.4
    backgrounds: str = "VIE"
    controls_from: str = "VIE"
    therapy: str = "none"
    levels: tuple[float, ...] = LEVELS
    baselines: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Cast:
    """Who plays what; persons never appear twice."""

    controls: list[Patient]
    backgrounds: list[Patient]
    blasts: list[Patient]
    library: list[Patient]


def cast(patients: list[Patient], condition: Condition) -> Cast:
    """Deal persons: a marrow used as a control is never a background, and no person is on two sides."""
    rng = np.random.default_rng(condition.seed)
    order = [patients[i] for i in rng.permutation(len(patients))]
    used: set[str] = set()

    def take(number: int, cohort: str, *, blasts: bool) -> list[Patient]:
        out: list[Patient] = []
        for patient in order:
            fits = patient.cohort == cohort and patient.has_blasts == blasts and patient.b_group_ok
            if fits and patient.person not in used and len(out) < number:
                out.append(patient)
                used.add(patient.person)
        return out

    controls = take(condition.controls, condition.controls_from, blasts=False)
    backgrounds = take(condition.pairs, condition.backgrounds, blasts=False)
    blasts = take(condition.pairs, condition.backgrounds, blasts=True)
    library = take(15, condition.controls_from, blasts=True) if condition.mode == "library" else []
    return Cast(controls, backgrounds, blasts, library)


def _with_therapy(
    cells: npt.NDArray[np.float32], condition: Condition, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    if condition.therapy == "cd19 lost":
        cells = cells.copy()
        cells[:, FEATURES.index("CD19")] = rng.normal(0.9, 0.25, len(cells))
    return cells


def _diagnosis(
    blasts: Patient, marrow: Patient, condition: Condition, panel: PanelModel, gates: Any, rng: np.random.Generator
) -> Gated:
    n_blasts = round(condition.diagnosis_share * DIAGNOSIS_CELLS)
    normal = draw(
        (blasts if condition.diagnosis_marrow == "own" else marrow).normal_mixture(), DIAGNOSIS_CELLS - n_blasts, rng
    )
    cells = np.concatenate([normal, draw(blasts.groups["blast"], n_blasts, rng)])
    drift = rng.normal(0.0, condition.drift, cells.shape[1])
    code = np.r_[np.full(len(normal), -1), np.zeros(n_blasts)].astype(np.int8)
    return gate("diagnosis", acquire(np.clip(cells + drift, 0, 4.45).astype(np.float32), code, rng), panel, gates)


def run(patients: list[Patient], panel: PanelModel, condition: Condition) -> Iterator[dict[str, Any]]:
    """Yield one record per tube and method."""
    actors = cast(patients, condition)
    rng = np.random.default_rng([condition.seed, 99])
    nobody = np.full(CONTROL_CELLS, -1, dtype=np.int8)
    raw = {p.name: acquire(draw(p.normal_mixture(), CONTROL_CELLS, rng), nobody, rng) for p in actors.controls}
    gates = learn_gates(raw, panel)
    controls = [gate(name, events, panel, gates).tube for name, events in raw.items()]
    start = process_time()
    reference = build_reference(panel.name, controls, seed=1)
    yield {"condition": condition.name, "method": "reference", "seconds": process_time() - start}
    library = _library(actors, condition, panel, gates, reference, rng)
    outlier = GaussianOutlier(controls) if condition.baselines else None
    for number, (marrow, blasts) in enumerate(zip(actors.backgrounds, actors.blasts, strict=False)):
        own = np.random.default_rng([condition.seed, 7, number])
        laip: PatientLaip | None = None
        boosting: PooledBoosting | None = None
        if condition.mode == "patient":
            diagnosis = _diagnosis(blasts, marrow, condition, panel, gates, own)
            laip = find_laip(blasts.name, diagnosis.tube, reference, min_cells=200, seed=1)
            if condition.baselines:
                boosting = PooledBoosting(diagnosis.tube, diagnosis.level >= 0, controls)
        counts = [int(own.poisson(level * condition.events)) for level in condition.levels]
        cells = [draw(marrow.normal_mixture(), condition.events, own)]
        cells += [_with_therapy(draw(blasts.groups["blast"], count, own), condition, own) for count in counts]
        code = np.concatenate([np.full(len(part), i - 1) for i, part in enumerate(cells)]).astype(np.int8)
        pool = gate("follow-up", acquire(np.concatenate(cells), code, own), panel, gates)
        oracle = oracle_recall(marrow, blasts, own)
        for i, level in enumerate(condition.levels):
            keep = (pool.level < 0) | (pool.level == i)
            n_true = counts[i]
            truth = pool.level[keep] == i
            whole = pool.tube
            tube = replace(
                whole,
                values=whole.values[keep],
                window=whole.window[keep],
                denominator=whole.denominator - int((~keep).sum()),
            )
            start = process_time()
            settings = Settings(unreliable=frozenset({"CD19"} if condition.therapy == "cd19 lost" else ()))
            result = classify_tube(tube, reference, laip=laip, library=library, settings=settings)
            seconds = process_time() - start
            background = result.background
            record = {
                "condition": condition.name,
                "marrow": marrow.name,
                "blasts": blasts.name,
                "level": level,
                "true": n_true,
                "denominator": tube.denominator,
                "in_window": int((truth & tube.window).sum()),
                "oracle": oracle,
            }
            yield record | {
                "method": "flowmrd",
                **_counts(result.mrd, truth),
                "mode": result.mode,
                "cut": result.cut,
                "background": None if background is None else background.per_million,
                "spike": None if result.spike_in is None else result.spike_in.detected,
                "novelty": result.novelty,
                "flags": [flag.code for flag in result.flags],
                "gain": [round(target.gain, 1) for target in result.targets],
                "seconds": seconds,
            }
            if boosting is not None:
                yield record | {"method": "boosting", **_counts(boosting.called(tube), truth)}
            if outlier is not None:
                yield record | {"method": "outlier", **_counts(outlier.called(tube), truth)}


def _counts(called: Bools, truth: Bools) -> dict[str, Any]:
    return {
        "called": int(called.sum()),
        "hit": int((called & truth).sum()),
        "false": int((called & ~truth).sum()),
        "detected": bool(called.sum() >= DETECT),
    }


def _library(
    actors: Cast,
    condition: Condition,
    panel: PanelModel,
    gates: Any,
    reference: NormalReference,
    rng: np.random.Generator,
) -> Library | None:
    if condition.mode != "library":
        return None
    entries = []
    for blasts in actors.library:
        diagnosis: Tube = _diagnosis(blasts, blasts, condition, panel, gates, rng).tube
        laip = find_laip(blasts.name, diagnosis, reference, min_cells=200, seed=1)
        if laip is not None:
            entries.append(laip)
    return Library(tuple(entries))


def facts(condition: Condition) -> dict[str, Any]:
    """The condition as plain data."""
    return asdict(condition)

"""One condition of the experiment: tubes are written as FCS files and go through every stage of the product."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.acquire import DOUBLET, NORMAL, Spillover, acquire
from benchmarks.accuracy.baselines import GaussianOutlier, PooledBoosting
from benchmarks.accuracy.cast import ODD_NUMBER, ODD_SHARE, Cast, Condition, cast
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw
from benchmarks.accuracy.oracle import oracle_recall
from benchmarks.accuracy.pipeline import Pipeline
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.config import RunConfig
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.store import open_columns, read_json
from flowmrd.tube.files import TubeFiles, tube_from_files

Floats32 = npt.NDArray[np.float32]
Record = dict[str, Any]
DIAGNOSIS_CELLS = 100_000
CONTROL_CELLS = 300_000
WITHOUT = ", no diagnosis tube"
"""Added to the name of a condition for its tubes judged without their diagnosis tube."""
TOP = 4.45
"""Cells moved beyond the instrument's range are recorded at its end, decades."""


@dataclass(frozen=True)
class Scene:
    """What every tube of a condition needs to know."""

    condition: Condition
    panel: PanelModel
    pipeline: Pipeline
    spill: Spillover
    keep: bool
    again: bool


def run(
    patients: list[Patient],
    panel: PanelModel,
    spill: Spillover,
    condition: Condition,
    folder: Path,
    *,
    jobs: int = 1,
    keep: bool = False,
) -> Iterator[Record]:
    """Yield one record per tube and method.

    Parameters
    ----------
    folder
        Where the run directory of the condition is made; removed at the end unless ``keep``. Gated tubes that an
        earlier call has kept there are not made again: only the classifier's stages run.
    jobs
        Pairs of patients at a time.
    """
    actors = cast(patients, condition)
    directory = folder / condition.slug
    again = keep and (directory / "truth").is_dir()
    if directory.exists() and not again:
        shutil.rmtree(directory)
    pipeline = Pipeline(directory, panel.name, tuple(f"C{i:02d}" for i in range(len(actors.controls))))
    scene = Scene(condition, panel, pipeline, spill, keep, again)
    if not again:
        _write_sheet(scene, actors)
        rng = np.random.default_rng([condition.seed, 99])
        for number, (name, patient) in enumerate(zip(pipeline.controls, actors.controls, strict=True)):
            cells = draw(patient.normal_mixture(), CONTROL_CELLS, rng)
            if actors.odd and number == ODD_NUMBER:
                strange = draw(actors.odd[0].groups["blast"], round(ODD_SHARE * CONTROL_CELLS), rng)
                cells = np.concatenate([cells, strange])
            acquire(_fcs(scene, name), cells, np.full(len(cells), NORMAL, dtype=np.int8), spill, rng)
        pipeline.gate_controls()
    learned = {"method": "reference", "seconds": pipeline.learn(), **controls_told(pipeline)}
    for name in (condition.name, *((condition.name + WITHOUT,) if condition.without_diagnosis else ())):
        yield {"condition": name, **learned}
    for number, patient in enumerate(actors.library):
        own = np.random.default_rng([2, number])
        _diagnosis(scene, f"L{number:02d}", f"L{number:02d}_dx", patient, patient, own)
    work = [(scene, actors, number) for number in range(min(len(actors.backgrounds), len(actors.blasts)))]
    if jobs > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            for records in pool.map(_pair, work):
                yield from records
    else:
        for one in work:
            yield from _pair(one)
    if not keep:
        shutil.rmtree(directory)


def groups_told(pipeline: Pipeline, sample: str, truth: npt.NDArray[np.int8]) -> Record:
    """What was said of a tube, and what the cells of every group that was counted or left open are.

    Parameters
    ----------
    truth
        Shape (events of the file,): code of every event.
    """
    result = read_json(pipeline.result(sample))
    with open_columns(pipeline.work(sample, "classified.arrow")) as columns:
        members = np.asarray(columns["group"])
    told = []
    for group in result["groups"]:
        own = np.zeros(0) if group["cluster"] is None else truth[members == group["cluster"]]
        told.append(
            {name: group[name] for name in ("events", "call", "phenotype", "nearest_normal", "evidence", "medians")}
            | {"leukaemic": int((own >= 0).sum()), "doublets": int((own == DOUBLET).sum()), "cells": len(own)}
        )
    messages = [reason["message"] for reason in result["verdict"]["reasons"]]
    spike = result["sensitivity"]["spike_in"]
    kinds = [] if spike is None else spike["kinds"]
    return {"groups": told, "messages": messages, "counts": result["counts"], "kinds": kinds}


def controls_told(pipeline: Pipeline) -> Record:
    """How many controls the reference calls clean, of how many."""
    judged = read_json(pipeline.reference / "reference.json")["control_judgements"]
    return {
        "controls_clean": sum(one["verdict"] == "CONTROL_CLEAN" for one in judged),
        "controls": len(judged),
        "judgements": {one["name"]: [one["verdict"], [r["message"] for r in one["reasons"]]] for one in judged},
    }


def _fcs(scene: Scene, sample: str) -> Path:
    return scene.pipeline.run / "fcs" / f"{sample}.fcs"


def _write_sheet(scene: Scene, actors: Cast) -> None:
    condition = scene.condition
    rows = [("sample", "patient", "role", "fcs", "prior_therapy")]
    rows += [(name, name, "control", f"../fcs/{name}.fcs", "none") for name in scene.pipeline.controls]
    for i in range(len(actors.library)):
        rows.append((f"L{i:02d}_dx", f"L{i:02d}", "diagnosis", f"../fcs/L{i:02d}_dx.fcs", "none"))
    given = "cd19" if condition.therapy == "cd19 lost" else "none"
    for i in range(len(actors.backgrounds)):
        if condition.mode == "patient":
            rows.append((f"P{i:02d}_dx", f"P{i:02d}", "diagnosis", f"../fcs/P{i:02d}_dx.fcs", "none"))
        for j in range(len(condition.levels)):
            rows.append((f"P{i:02d}_{j}", f"P{i:02d}", "followup", f"../fcs/P{i:02d}_{j}.fcs", given))
    scene.pipeline.prepare(rows)
    (scene.pipeline.run / "truth").mkdir()


def _diagnosis(
    scene: Scene, patient: str, sample: str, blasts: Patient, marrow: Patient, rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """Write and learn a diagnosis tube; the code of every event comes back."""
    if scene.again:
        scene.pipeline.learn_laip(patient, sample)
        return _stored_truth(scene, sample)
    condition = scene.condition
    n_blasts = round(condition.diagnosis_share * DIAGNOSIS_CELLS)
    normal = draw(marrow.normal_mixture(), DIAGNOSIS_CELLS - n_blasts, rng)
    cells = np.concatenate([normal, draw(blasts.groups["blast"], n_blasts, rng)])
    cells = np.clip(cells + rng.normal(0.0, condition.drift, cells.shape[1]), 0, TOP).astype(np.float32)
    codes = np.r_[np.full(len(normal), NORMAL), np.zeros(n_blasts)].astype(np.int8)
    truth = _make(scene, sample, cells, codes, rng)
    scene.pipeline.learn_laip(patient, sample)
    return truth


def _make(
    scene: Scene, sample: str, cells: Floats32, codes: npt.NDArray[np.int8], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """Write a tube and take it to gated events."""
    truth = acquire(_fcs(scene, sample), cells, codes, scene.spill, rng)
    scene.pipeline.gate(sample)
    if scene.keep:
        np.save(scene.pipeline.run / "truth" / f"{sample}.npy", truth)
        _fcs(scene, sample).unlink()
        scene.pipeline.work(sample, "events.arrow").unlink()
    return truth


def _stored_truth(scene: Scene, sample: str) -> npt.NDArray[np.int8]:
    stored: npt.NDArray[np.int8] = np.load(scene.pipeline.run / "truth" / f"{sample}.npy", allow_pickle=False)
    return stored


def _pair(work: tuple[Scene, Cast, int]) -> list[Record]:
    """All tubes of one background marrow and one patient's blasts."""
    scene, actors, number = work
    condition, pipeline = scene.condition, scene.pipeline
    marrow, blasts = actors.backgrounds[number], actors.blasts[number]
    rng = np.random.default_rng([condition.seed, 7, number])
    patient = f"P{number:02d}"
    laip: Path | None = None
    methods: dict[str, PooledBoosting | GaussianOutlier] = {}
    if condition.mode == "patient":
        source = blasts if condition.diagnosis_marrow == "own" else marrow
        truth = _diagnosis(scene, patient, f"{patient}_dx", blasts, source, rng)
        laip = pipeline.laip(patient)
        if condition.baselines:
            controls = [_tube(scene, name)[0] for name in pipeline.controls]
            diagnosis, rows = _tube(scene, f"{patient}_dx")
            methods = {
                "boosting": PooledBoosting(diagnosis, truth[rows] >= 0, controls),
                "outlier": GaussianOutlier(controls),
            }
    library = [pipeline.laip(f"L{i:02d}") for i in range(len(actors.library))]
    oracle = oracle_recall(marrow, blasts, np.random.default_rng([condition.seed, 8, number]))
    normal = np.empty((0, len(FEATURES)), dtype=np.float32)
    if not scene.again:
        normal = draw(marrow.normal_mixture(), condition.events, rng)
    records: list[Record] = []
    for index, level in enumerate(condition.levels):
        sample = f"{patient}_{index}"
        if scene.again:
            truth = _stored_truth(scene, sample)
        else:
            count = int(rng.poisson(level * condition.events))
            leukaemia = _with_therapy(draw(blasts.groups["blast"], count, rng), condition, rng)
            codes = np.r_[np.full(len(normal), NORMAL), np.zeros(count)].astype(np.int8)
            truth = _make(scene, sample, np.concatenate([normal, leukaemia]), codes, rng)
        record = {
            "condition": condition.name,
            "tube": sample,
            "marrow": marrow.name,
            "blasts": blasts.name,
            "level": level,
            "true": int((truth >= 0).sum()),
            "oracle": oracle,
        }
        if condition.without_diagnosis:
            seconds = pipeline.judge(sample, None, library)
            alone = record | {"condition": condition.name + WITHOUT, "method": "flowmrd", "seconds": seconds}
            records.append(alone | outcome(pipeline, sample, truth >= 0) | groups_told(pipeline, sample, truth))
        seconds = pipeline.judge(sample, laip, library)
        judged = record | {"method": "flowmrd", "seconds": seconds, **outcome(pipeline, sample, truth >= 0)}
        records.append(judged | groups_told(pipeline, sample, truth))
        for name, method in methods.items():
            tube, rows = _tube(scene, sample)
            called, real = method.called(tube), truth[rows] >= 0
            records.append(
                record
                | {
                    "method": name,
                    "nucleated": tube.denominator,
                    "called": int(called.sum()),
                    "hit": int((called & real).sum()),
                    "false": int((called & ~real).sum()),
                }
            )
        if not scene.keep:
            _fcs(scene, sample).unlink()
            shutil.rmtree(pipeline.work(sample, ""))
    return records


def _with_therapy(cells: Floats32, condition: Condition, rng: np.random.Generator) -> Floats32:
    if condition.therapy == "cd19 lost":
        cells = cells.copy()
        cells[:, FEATURES.index("CD19")] = rng.normal(1.1, 0.2, len(cells))
    return cells


def _tube(scene: Scene, sample: str) -> tuple[CandidateCells, npt.NDArray[np.intp]]:
    files = TubeFiles(
        sample,
        scene.pipeline.work(sample, "preprocessed.arrow"),
        scene.pipeline.work(sample, "gated.arrow"),
    )
    found = candidates(tube_from_files(files, scene.panel, RunConfig(panel="", samples="")))
    return found.cells, found.rows


def outcome(pipeline: Pipeline, sample: str, real: npt.NDArray[np.bool_]) -> Record:
    """What the product said of a tube, beside the truth of its events.

    Parameters
    ----------
    real
        Shape (events of the file,): single leukaemic cells.
    """
    work = pipeline.work
    files = TubeFiles(sample, *(work(sample, f"{name}.arrow") for name in ("preprocessed", "gated", "classified")))
    panel = load_panel(find_panel(pipeline.panel, run_directory=pipeline.run))
    tube = tube_from_files(files, panel, RunConfig(panel="", samples=""))
    counted = tube.analysable() & tube.gate("nucleated")
    window = tube.gate("possible_b_lineage")
    called = np.asarray(tube.mrd) & counted
    result = read_json(pipeline.result(sample))
    facts = read_json(work(sample, "classification.json"))
    limits, spike = result["sensitivity"], result["sensitivity"]["spike_in"]
    return {
        "nucleated": result["counts"]["nucleated"],
        "called": result["counts"]["mrd_events"],
        "hit": int((called & real).sum()),
        "false": int((called & ~real).sum()),
        "in_denominator": int((real & counted).sum()),
        "in_window": int((real & counted & window).sum()),
        "class": result["verdict"]["class"],
        "mrd_negative": result["verdict"]["mrd_negative"],
        "reasons": [reason["code"] for reason in result["verdict"]["reasons"]],
        "achieved": limits["achieved"],
        "lod95": limits["lod95"],
        "background": limits["background_per_million"],
        "spike": None if spike is None else spike["detected"],
        "spike_recovery": None if spike is None else spike["recovery"],
        "mode": facts["mode"],
        "cut": facts["cut"],
        "novelty": facts["novelty"]["score"],
        "calibration": facts["calibration"],
    }

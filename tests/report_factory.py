"""Files of small invented samples, as the stages before the report write them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.config import RunConfig
from flowmrd.flags import Flag, flag
from flowmrd.home import PANELS
from flowmrd.mrd.limits import events_needed, limits, poisson_interval
from flowmrd.mrd.reported import report_level
from flowmrd.mrd.result import (
    CellGroup,
    Cluster,
    Counts,
    Laip,
    Level,
    MarkerShift,
    MrdResult,
    Provenance,
    Sensitivity,
    SpikeIn,
    Target,
)
from flowmrd.mrd.verdict import Evidence, decide
from flowmrd.panel.load import load_panel
from flowmrd.panel.model import PanelModel
from flowmrd.records.quality import QualityFile
from flowmrd.stages.gate import gate
from flowmrd.store import open_columns, write_columns, write_json

MARKERS = ("CD66b", "CD22", "CD24", "CD34", "CD19", "CD10", "CD38", "CD20", "CD58", "CD45")
LEVELS = (0.19, 0.40, 0.53, 0.66, 0.80)
# share of nucleated cells, FSC, SSC, then levels 0..4 in the order of MARKERS
POPULATIONS: dict[str, tuple[float, float, float, tuple[float, ...]]] = {
    "granulocytes": (0.62, 0.50, 0.62, (4, 0, 4, 0, 0, 2, 1, 0, 2, 3)),
    "monocytes": (0.06, 0.52, 0.38, (0, 0, 0, 0, 0, 0, 2, 0, 3, 4)),
    "t_cells": (0.20, 0.34, 0.13, (0, 0, 0, 0, 0, 0, 1, 0, 2.5, 4)),
    "erythroblasts": (0.08, 0.25, 0.12, (0, 0, 0, 0, 0, 0, 0.5, 0, 2, 0)),
    "mature_b": (0.02, 0.33, 0.12, (0, 4, 2, 0, 3, 0, 0.5, 4, 1.5, 4)),
    "haematogones": (0.015, 0.32, 0.11, (0, 1.5, 4, 0, 3, 3, 4, 0, 1, 2)),
    "plasma": (0.005, 0.40, 0.22, (0, 0, 0.5, 0, 1.5, 0, 4.4, 0, 3, 1)),
}
BLASTS = (0.40, 0.15, (0.0, 1.2, 3.0, 3.2, 2.6, 4.1, 2.2, 0.0, 3.8, 1.0))
RANGE = 262144.0


@dataclass(frozen=True)
class MadeSample:
    """Where one invented sample lies."""

    run: Path
    sample: str
    sample_dir: Path
    work_dir: Path
    result: MrdResult


def ino10() -> PanelModel:
    """The default panel."""
    return load_panel(PANELS / "ino10.yaml")


def config() -> RunConfig:
    """A configuration with every default."""
    return RunConfig(panel="ino10", samples="config/samples.tsv")


def _events(n: int, blasts: int, seed: int) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    shares = np.array([entry[0] for entry in POPULATIONS.values()])
    counts = rng.multinomial(n - blasts, shares / shares.sum())
    rows: list[npt.NDArray[Any]] = []
    for (_, fsc, ssc, levels), count in zip(POPULATIONS.values(), counts, strict=True):
        rows.append(_cells(rng, int(count), fsc, ssc, levels))
    rows.append(_cells(rng, blasts, *BLASTS))
    cells = np.concatenate(rows)
    is_blast = np.arange(n) >= n - blasts
    order = rng.permutation(n)
    cells, is_blast = cells[order], is_blast[order]
    doublet = rng.random(n) < 0.02
    fsc_h = cells[:, 0] * rng.normal(0.97, 0.012, n)
    cells[doublet, 0] = np.minimum(cells[doublet, 0] * 1.8, 0.999)
    columns = {"FSC-A": cells[:, 0], "FSC-H": fsc_h, "SSC-A": cells[:, 1]}
    columns |= {marker: cells[:, 2 + index] for index, marker in enumerate(MARKERS)}
    result: dict[str, npt.NDArray[Any]] = {name: values.astype(np.float32) for name, values in columns.items()}
    result["Time"] = np.sort(rng.uniform(0, n / 3000, n)).astype(np.float32)
    return result, is_blast & ~doublet


def _cells(
    rng: np.random.Generator, n: int, fsc: float, ssc: float, levels: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    centres = [float(np.interp(level, [0, 1, 2, 3, 4, 4.5], [*LEVELS, 0.87])) for level in levels]
    spread = [0.05 if level < 0.5 else 0.045 for level in levels]
    scatter = np.stack([rng.normal(fsc, 0.05, n), rng.normal(ssc, 0.05 if ssc > 0.3 else 0.03, n)])
    return np.concatenate([np.clip(scatter, 0.02, 0.99).T, rng.normal(centres, spread, (n, len(centres)))], axis=1)


def transforms() -> dict[str, dict[str, Any]]:
    """Scales as the preprocess stage records them."""
    logicle = {"kind": "logicle", "T": RANGE, "M": 4.5, "W": 0.75, "A": 0.0, "cofactor": 150.0}
    linear = logicle | {"kind": "linear"}
    sources = {"T_source": "file", "W_source": "controls"}
    return dict.fromkeys(("FSC-A", "FSC-H", "SSC-A"), linear | sources) | dict.fromkeys(MARKERS, logicle | sources)


def qc_record(sample: str, n: int, medians: dict[str, float], *, disturbed: bool = True) -> dict[str, Any]:
    """``qc.json`` as the preprocess stage documents it."""
    removed = {"nonfinite": 0, "margin": n // 200, "time": n // 40 if disturbed else 0, "dead": 0}
    removed |= {"doublet": n // 50, "debris": n // 40}
    attrition = [{"step": "acquired", "masked": 0, "removed": 0, "remaining": n}]
    left = n
    for step, lost in removed.items():
        left -= lost
        attrition.append({"step": step, "masked": lost, "removed": lost, "remaining": left})
    bins = [
        {
            "first": index * n // 80,
            "last": (index + 1) * n // 80 - 1,
            "seconds": round((index + 1) * n / 3000 / 80, 3),
            "rate": 3000.0 + 160 * math.sin(index),
            "score": 9.4 if disturbed and index in (41, 42) else 1.2 + 0.8 * math.sin(index * 1.7) ** 2,
            "worst": "CD10",
            "shift": 0.0,
            "shifted": False,
            "bad": disturbed and index in (41, 42),
            "medians": [],
        }
        for index in range(80)
    ]
    pairs = [
        {
            "source": a,
            "target": b,
            "ratio": 0.034 if (a, b) == ("CD24", "CD34") else round(0.004 * math.sin(i * 3 + j), 4),
            "slope": 0.0,
            "n_bright": 900,
            "state": "under" if (a, b) == ("CD24", "CD34") else "ok",
        }
        for i, a in enumerate(MARKERS)
        for j, b in enumerate(MARKERS)
        if a != b
    ]
    flags = [
        {
            "code": "OVERCOMPENSATED",
            "level": "warn",
            "message": "Bright cells lie above dim ones by more than 2 % of their signal: CD24 into CD34 (+3.4 %).",
        }
    ]
    if disturbed:
        flags.append(flag("SIGNAL_SHIFT", share=0.025, decades=0.11, channel="CD45").as_record())
    return {
        "schema_version": 1,
        "sample": sample,
        "panel": "ino10",
        "panel_version": "1",
        "events": n,
        "analysable": {"with_time_mask": left, "without_time_mask": left + removed["time"], "time_mask_applied": True},
        "attrition": attrition,
        "flags": flags,
        "compensation": {
            "source": "file",
            "condition": 3.7,
            "notes": [],
            "channels": list(MARKERS),
            "matrix": np.eye(len(MARKERS)).tolist(),
            "uncompensated": [],
            "residuals": pairs,
        },
        "transforms": transforms(),
        "saturation": dict.fromkeys(transforms(), 0.0004),
        "time": {
            "checked": True,
            "reason": "",
            "limit": 6.0,
            "channels": [],
            "steps_back": 0,
            "bins": bins,
            "drift": [{"channel": "CD58", "rho": 0.31, "range": 0.01}],
        },
        "offscale": {},
        "margins": {},
        "doublets": {
            "kind": "ratio", "x": "FSC-A", "y": "FSC-H", "low": 0.9, "high": 1.1, "centre": 1.0, "spread": 0.03,
            "method": "mad", "n_events": n, "reason": "",
        },
        "debris": {"fsc": 0.11, "ssc": 0.2, "cd45": None, "anchor": 0.2, "method": "valley", "reason": ""},
        "dyes": [],
        "channels": [
            {"column": name, "marker": name, "kind": "antibody", "pnn": f"FL{i}-A", "pns": name, "range": RANGE,
             "voltage": 480.0 + 7 * i, "matched_by": "pns", "gain": None, "log": None, "time": False,
             "compensated": False}
            for i, name in enumerate(transforms())
        ],
        "medians": medians,
        "instrument": {"$CYT": "Simulated", "CST SETUP STATUS": "SUCCESS WITH WARNING"},
        "acquisition": {"date": None, "begin": None, "end": None},
    }  # fmt: skip


def ingest_record(sample: str, **changes: Any) -> dict[str, Any]:
    """``ingest.json`` of a file that was read without a remark."""
    return {
        "schema": "flowmrd-ingest/1", "sample": sample, "sha256": "a" * 64, "bytes": 1000, "data_set": 0,
        "n_data_sets": 1, "fcs_version": "FCS3.1", "n_events": 10, "findings": [],
        "second_reader": {"status": "agree", "reason": ""}, "channels": [], "spillover": None,
        "export": {"by": "", "transform": ""}, "nonfinite": {}, "missing": [], "timestep": None, "instrument": {},
        "acquisition": {}, "keywords": {},
    } | changes  # fmt: skip


def classification_record(sample: str, **changes: Any) -> dict[str, Any]:
    """``classification.json`` of a tube in which nothing was found."""
    return {
        "format": "flowmrd-classification/1", "sample": sample, "patient": "P01", "seen_without_cd19": None,
        "mode": "patient", "features": [], "cut": 2.0, "clusters": [], "uncounted": [], "offscale": [],
        "staining_control": [], "markers": [], "background": None, "n_controls": 6,
        "novelty": {"score": 0.1, "flag": False}, "calibration": {}, "staining_shift": {}, "spike_in": None,
        "flags": [], "reference_digest": "d" * 64, "laip_sha256": None, "library_sha256": None,
    } | changes  # fmt: skip


def quality(sample: str, **changes: Any) -> QualityFile:
    """Quality of a tube as a model."""
    return QualityFile.model_validate(qc_record(sample, 1000, {}) | changes)


def make_result(
    sample: str,
    *,
    patient: str = "P01",
    role: str = "followup",
    timepoint: str | None = "day21",
    nucleated: int = 331_204,
    mrd: int = 12,
    b_lineage: int = 9120,
    background: float | None = 2.1e-6,
    spiked: bool = True,
    extra: tuple[Flag, ...] = (),
    failures: tuple[Flag, ...] = (),
    blind_spots: tuple[Flag, ...] = (),
    shifts: tuple[MarkerShift, ...] | None = None,
    clusters: tuple[Cluster, ...] | None = None,
    groups: tuple[CellGroup, ...] = (),
    further: Mapping[str, Any] | None = None,
) -> MrdResult:
    """A result whose limits, interval and verdict come from the real arithmetic."""
    found = None if background is None else limits(nucleated, background=background)
    interval = tuple(value / nucleated for value in poisson_interval(mrd))
    spike = SpikeIn(
        level=1e-4, expected=nucleated * 1e-4, recovered=nucleated * 0.93e-4, detected=spiked, replicates=5,
        detected_replicates=5 if spiked else 2, recovery=0.93, recovery_ci95=(0.84, 0.98), source="patient",
    )  # fmt: skip
    fraction = mrd / nucleated
    level = Level(
        fraction=fraction, percent=100 * fraction, log10=math.log10(fraction) if mrd else None,
        ci95=(interval[0], interval[1]),
    )  # fmt: skip
    evidence = Evidence(
        mrd_events=mrd, denominator=nucleated, interval=(interval[0], interval[1]), limits=found, target=1e-4,
        spike_in_detected=spiked, failures=failures, remarks=extra, blind_spots=blind_spots, role=role,
        laip_found=role == "diagnosis",
    )  # fmt: skip
    verdict = decide(replace(evidence, **(further or {})))
    if shifts is None:
        shifts = (
            MarkerShift(marker="CD58", shift_decades=1.1, direction="over"),
            MarkerShift(marker="CD38", shift_decades=-0.8, direction="under"),
            MarkerShift(marker="CD34", shift_decades=0.9, direction="over"),
            MarkerShift(marker="CD45", shift_decades=-0.5, direction="under"),
            MarkerShift(marker="CD19", shift_decades=-0.1, direction="same"),
        )
    if clusters is None:
        clusters = (
            Cluster(
                id=0, events=mrd, nearest_normal="haematogones_2", markers=shifts,
                medians=dict.fromkeys(MARKERS, 0.5),
            ),
        ) if mrd else ()  # fmt: skip
    return MrdResult(
        sample=sample,
        patient=patient,
        role=role,
        timepoint=timepoint,
        panel="ino10",
        counts=Counts(
            total=int(nucleated * 1.14), analysable=int(nucleated * 1.09), singlets=int(nucleated * 1.05),
            nucleated=nucleated, mononuclear=int(nucleated * 0.34), b_lineage=b_lineage, mrd_events=mrd,
        ),
        denominator="nucleated",
        mrd=report_level(level, verdict.class_, found, mrd),
        mrd_without_time_mask=level,
        sensitivity=Sensitivity(
            target=1e-4,
            background_per_million=None if background is None else background * 1e6,
            background_ci95=None if background is None else (0.4, 5.2),
            lob_events=None if found is None else found.lob_events,
            detect_events=None if found is None else found.detect_events,
            quantify_events=None if found is None else found.quantify_events,
            lod_nominal=None if found is None else found.lod_nominal,
            lod95=None if found is None else found.lod95,
            loq=None if found is None else found.loq,
            achieved=found is not None and found.lod95 <= 1e-4 and spiked,
            events_needed=None if background is None else events_needed(1e-4, background=background),
            spike_in=spike,
        ),
        verdict=verdict,
        groups=groups,
        laip=Laip(mode="patient", markers=shifts, clusters=clusters),
        targets={
            "CD19": Target(
                percent_positive=97.2, median_ratio_to_reference=0.62, status="present", population="mrd", note=""
            ),
            "CD22": Target(
                percent_positive=21.0, median_ratio_to_reference=0.08, status="dim", population="mrd",
                note="After anti-CD22 therapy dim CD22 may be masking or loss; the antibody does not compete with it.",
            ),
        },
        targets_b_lineage={
            name: Target(
                percent_positive=23.0, median_ratio_to_reference=0.101, status="not_evaluable",
                population="possible_b_lineage",
                note=f"5449 cells, 23.0 % above the {name} cut. {name} not assessable: too many cells of other kinds "
                "in the gate (up to 11283 in normal marrow of this size).",
            )
            for name in ("CD19", "CD22")
        },
        provenance=Provenance(
            fcs_sha256="a" * 64, config_sha256="b" * 64, panel_sha256="c" * 64, reference_sha256="d" * 64,
            laip_sha256="e" * 64, flowmrd_version="0.1.0",
        ),
    )  # fmt: skip


def make_sample(
    run: Path, sample: str = "P01_d21", *, n: int = 12_000, blasts: int = 60, seed: int = 7, **changes: Any
) -> MadeSample:
    """Write every file that the report stage reads, for one invented tube."""
    work, folder = run / "results/work" / sample, run / "results/samples" / sample
    columns, is_blast = _events(n, blasts, seed)
    masks = {f"mask_{step}": np.zeros(n, dtype=np.bool_) for step in ("nonfinite", "time", "dead")}
    masks["mask_margin"] = columns["FSC-A"] >= 0.985
    masks["mask_doublet"] = columns["FSC-H"] / columns["FSC-A"] < 0.8
    masks["mask_debris"] = columns["FSC-A"] < 0.11
    write_columns(work / "preprocessed.arrow", {**columns, **masks}, {"transforms": json.dumps(transforms())})
    gate(
        work / "preprocessed.arrow",
        panel=ino10(),
        config=config(),
        reference=None,
        out=work / "gated.arrow",
        populations=folder / "populations.tsv",
        gatingml=folder / "gates.xml",
        record=work / "gates.json",
    )
    mrd = is_blast & ~masks["mask_margin"]
    score = np.where(mrd, 2.1, np.float32(-99)).astype(np.float32)
    cluster = np.where(mrd, 0, -1).astype(np.int32)
    excluded = np.zeros(n, dtype=np.bool_)
    excluded[np.flatnonzero(masks["mask_doublet"])[:7]] = True
    write_columns(work / "classified.arrow", {"mrd_score": score, "mrd": mrd, "cluster": cluster, "excluded": excluded})
    medians = {name: round(float(np.median(columns[name])), 4) for name in transforms()}
    write_json(folder / "qc.json", qc_record(sample, n, medians))
    with open_columns(work / "gated.arrow") as store:
        names = json.loads(store.metadata["gates"])
        inside = {name: int(((store["gates"] >> np.uint64(i)) & np.uint64(1)).sum()) for i, name in enumerate(names)}
    changes.setdefault("nucleated", inside["nucleated"])
    changes.setdefault("b_lineage", inside["b_lineage"])
    result = make_result(sample, mrd=int(mrd.sum()), **changes)
    write_json(folder / "mrd.json", result.to_json_dict())
    write_json(
        run / "results/laip" / result.patient / "laip.json",
        {
            "format": "flowmrd-laip/2",
            "patient": result.patient,
            "found": True,
            "arrays_sha256": "f" * 64,
            "diagnosis": "P01_dx",
            "seen_without_cd19": 1.0,
            "flags": [],
            "components": [
                {"share": 1.0, "nearest_normal": "haematogones_2", "markers": [],
                 "medians": {name: float(np.interp(level, [0, 1, 2, 3, 4, 4.5], [*LEVELS, 0.87])) + 0.02
                             for name, level in zip(MARKERS, BLASTS[2], strict=True)}}
            ],
        },
    )  # fmt: skip
    return MadeSample(run, sample, folder, work, result)

"""Stage ``classify``: which events are leukaemic, and what the same code finds in controls and in spiked copies.

``classified.arrow``
    ``mrd_score`` float32 (log10 of phenotype over normal density; -99 for events outside the B-lineage window),
    ``mrd`` bool, ``cluster`` int32 (-1 = none). One row per event of the file. Masked events are scored too: applying
    masks is left to the stage that counts.

``classification.json`` (format ``flowmrd-classification/1``)::

    format, sample, patient
    seen_without_cd19                              # of laip.json: share of the blasts that routes take without CD19
    mode                                           # patient | library | different_from_normal | none
    features
    cut                                            # on the scale of mrd_score
    clusters: [mrd.result.Cluster]                 # id as in the cluster column
    uncounted: [{events, why, nearest_normal, markers, medians, sd}]   # groups that are told and not counted; 0..1
    markers:  [mrd.result.MarkerShift]             # of the largest cluster, else of the patient's LAIP
    background: {per_million, ci95: [low, high], worst_per_million, n_controls} | null
    n_controls
    novelty:  {score, flag}                        # 1 = as far from the controls as allowed
    calibration: {strays, displacement, spot_gain_limit}
    staining_shift: {marker: decades}              # this tube against the reference
    spike_in: {level, replicates, expected, recovered, spiked_total, recovered_total, detected_replicates, detected,
               source} | null
    flags: [{code, message}]
        NO_CONTROLS            fewer controls than reference.min_controls: result provisional   (doubt)
        TUBE_UNLIKE_CONTROLS   normal cells of this tube lie outside what controls show          (doubt)
        PHENOTYPE_LIKE_NORMAL  the diagnosis cells cannot be told from normal ones               (doubt)
        UNRESOLVED_CLUSTER     a strange group that is not the known phenotype            (no negative)
        HIGH_BACKGROUND        controls show many such cells even at the strictest cut           (remark)
        EMPTY_WINDOW           no event in the B-lineage window                                  (remark)
        NO_LAIP                the diagnosis tube gave no phenotype                       (no negative)
    reference_digest, laip_sha256
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classification import Classification, Uncounted
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import NormalReference, digest
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype import nearest_stage, shifts
from flowmrd.classifier.storage import load_laip, load_reference
from flowmrd.config import PriorTherapy, RunConfig
from flowmrd.flags import flag
from flowmrd.mrd.result import Cluster, MarkerShift
from flowmrd.panel import PanelModel
from flowmrd.stages.tubes import TubeFiles, load_tube
from flowmrd.store import digest_file, read_json, write_columns, write_json
from flowmrd.units import LOGICLE_M

__all__ = ["FORMAT", "classify"]

FORMAT = "flowmrd-classification/1"


def markers_after(panel: PanelModel, therapies: frozenset[str]) -> frozenset[str]:
    """Markers that the panel calls unreliable after any of these therapies."""
    return frozenset(channel.marker for channel in panel.channels if set(channel.unreliable_after) & therapies)


def classify(
    files: TubeFiles,
    *,
    patient: str,
    therapy: PriorTherapy,
    reference_json: Path,
    laip_json: Path | None,
    library_json: Sequence[Path],
    panel: PanelModel,
    config: RunConfig,
    out_columns: Path,
    out_json: Path,
) -> None:
    """Judge one tube and write events and summary.

    Parameters
    ----------
    reference_json
        ``reference.json``; its ``.npz`` lies beside it.
    laip_json
        The patient's ``laip.json``, where there is a diagnosis tube.
    library_json
        ``laip.json`` of other patients; the patient's own is ignored here.
    """
    loaded = load_tube(files, panel)
    reference = load_reference(reference_json)
    laip = load_laip(laip_json) if laip_json is not None else None
    entries = [entry for entry in (load_laip(path) for path in sorted(library_json)) if entry is not None]
    settings = ClassifierParameters(
        background_per_million=config.laip.background_per_million,
        target=config.mrd.target,
        detect_events=config.mrd.min_detect_events,
        replicates=config.mrd.spike_in_replicates,
        unreliable=markers_after(panel, therapy.targets),
        # Steroids are part of every course of B-ALL.
        shifted=markers_after(panel, frozenset({"steroid"})),
        seed=config.laip.seed,
    )
    result = classify_tube(
        loaded.tube,
        reference,
        laip=laip,
        library=Library(tuple(entries)).without(patient),
        settings=settings,
    )
    score = np.full(loaded.n_events, -99.0, dtype=np.float32)
    mrd = np.zeros(loaded.n_events, dtype=bool)
    cluster = np.full(loaded.n_events, -1, dtype=np.int32)
    score[loaded.rows], mrd[loaded.rows], cluster[loaded.rows] = result.score, result.mrd, result.cluster
    write_columns(out_columns, {"mrd_score": score, "mrd": mrd, "cluster": cluster})
    facts = summarise(result, loaded.tube, reference, laip)
    if laip_json is not None and laip is None:
        facts["flags"].append(flag("NO_LAIP", least=config.laip.min_diagnosis_cells).as_record())
    write_json(
        out_json,
        {
            "format": FORMAT,
            "sample": files.sample,
            "patient": patient,
            "seen_without_cd19": None if laip_json is None else read_json(laip_json).get("seen_without_cd19"),
            **facts,
            "reference_digest": digest(reference),
            "laip_sha256": digest_file(laip_json) if laip_json is not None else None,
        },
    )


def summarise(
    result: Classification, tube: CandidateCells, reference: NormalReference, laip: PatientLaip | None
) -> dict[str, Any]:
    """The part of ``classification.json`` that follows from the result alone."""
    tube = tube.select(result.features)
    clusters = _clusters(result, tube, reference)
    markers: tuple[MarkerShift, ...] = ()
    if clusters:
        markers = max(clusters, key=lambda cluster: cluster.events).markers
    elif laip is not None:
        own = laip.select(result.features)
        heaviest = own.mixture.mean[int(own.mixture.weight.argmax())] - own.staining
        markers = _markers(heaviest, result.features, reference)[1]
    background, spike = result.background, result.spike_in
    return {
        "mode": result.mode,
        "features": list(result.features),
        "cut": round(result.cut, 6),
        "clusters": [cluster.model_dump(mode="json") for cluster in clusters],
        "uncounted": [_uncounted(group, result, reference) for group in result.uncounted],
        "markers": [marker.model_dump(mode="json") for marker in markers],
        "background": None
        if background is None
        else {
            "per_million": background.per_million,
            "ci95": list(background.ci95),
            "worst_per_million": background.worst_per_million,
            "n_controls": background.n_controls,
        },
        "n_controls": 0 if reference.provisional else len(reference.controls),
        "novelty": {"score": round(result.novelty, 4), "flag": result.novel},
        "calibration": {key: round(value, 6) for key, value in result.calibration.items()},
        "staining_shift": {
            marker: round(float(value), 4) for marker, value in zip(result.features, result.shift, strict=True)
        },
        "spike_in": None
        if spike is None
        else {
            "level": spike.level,
            "replicates": spike.replicates,
            "expected": spike.expected,
            "recovered": spike.recovered,
            "spiked_total": spike.spiked_total,
            "recovered_total": spike.recovered_total,
            "detected_replicates": spike.detected_replicates,
            "detected": spike.detected,
            "source": spike.source,
        },
        "flags": [item.as_record() for item in result.flags],
    }


def _markers(
    mean: np.ndarray, features: tuple[str, ...], reference: NormalReference
) -> tuple[str, tuple[MarkerShift, ...]]:
    name, centre = nearest_stage(mean, features, reference)
    return name, tuple(
        MarkerShift(marker=s.marker, shift_decades=round(s.shift_decades, 4), direction=s.direction)
        for s in shifts(mean, centre, features)
    )


def _uncounted(group: Uncounted, result: Classification, reference: NormalReference) -> dict[str, Any]:
    mixture = group.mixture
    mean = mixture.weight @ mixture.mean
    variance = mixture.weight @ (np.diagonal(mixture.covariance, axis1=1, axis2=2) + (mixture.mean - mean) ** 2)
    name, markers = _markers(mean - result.shift, result.features, reference)

    def by_marker(decades: np.ndarray) -> dict[str, float]:
        return {
            marker: round(float(value) / LOGICLE_M, 5) for marker, value in zip(result.features, decades, strict=True)
        }

    return {
        "events": round(group.events),
        "why": group.why,
        "nearest_normal": name,
        "markers": [marker.model_dump(mode="json") for marker in markers],
        "medians": by_marker(mean),
        "sd": by_marker(np.sqrt(variance)),
    }


def _clusters(result: Classification, tube: CandidateCells, reference: NormalReference) -> list[Cluster]:
    out: list[Cluster] = []
    for number, probability in enumerate(result.probabilities):
        cells = tube.values[result.mrd & (result.cluster == number)]
        if len(cells) == 0:
            continue
        median = np.median(cells, axis=0).astype(np.float64)
        name, markers = _markers(median - result.shift, result.features, reference)
        out.append(
            Cluster(
                id=number,
                events=len(cells),
                probability=round(probability, 4),
                nearest_normal=name,
                markers=markers,
                medians={
                    marker: round(float(value) / LOGICLE_M, 5)
                    for marker, value in zip(result.features, median, strict=True)
                },
            )
        )
    return out

"""Judging one tube: which events are leukaemic, and the summary of how that was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.carry_over import name_carry_over
from flowmrd.classifier.catalogue import off_scale_call
from flowmrd.classifier.classification import Classification, SpikedKind, UncountedGroup
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.excluded_cells import find_excluded
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype import marker_levels, nearest_stage, phenotype_in_words
from flowmrd.classifier.raw_chain import RawChain
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.config import PriorTherapy, RunConfig
from flowmrd.flags import Flag, flag
from flowmrd.panel import PanelModel
from flowmrd.panel.model import ChannelKind
from flowmrd.threads import one_thread
from flowmrd.tube import Tube
from flowmrd.units import LOGICLE_M

__all__ = ["classifier_parameters", "classify", "markers_after", "summarise"]


STEP_WORDS: Final = {
    "scale": "compensation and scales",
    "masks": "quality masks",
    "singlets": "single cells",
    "nucleated": "nucleated cells",
    "window": "B-lineage window",
    "counted": "classifier",
}
"""Steps of :data:`flowmrd.classifier.raw_chain.STEPS` in words."""


def markers_after(panel: PanelModel, therapies: frozenset[str]) -> frozenset[str]:
    """Markers that the panel calls unreliable after any of these therapies."""
    return frozenset(channel.marker for channel in panel.channels if set(channel.unreliable_after) & therapies)


def classifier_parameters(panel: PanelModel, config: RunConfig, therapy: PriorTherapy) -> ClassifierParameters:
    """Parameters of the classifier as the configuration and the therapy before the tube ask for."""
    return ClassifierParameters(
        background_per_million=config.laip.background_per_million,
        target=config.mrd.target,
        detect_events=config.mrd.min_detect_events,
        replicates=config.mrd.spike_in_replicates,
        unreliable=markers_after(panel, therapy.targets),
        # Steroids are part of every course of B-ALL.
        shifted=markers_after(panel, frozenset({"steroid"})),
        seed=config.laip.seed,
    )


@one_thread()
def classify(
    tube: Tube,
    reference: ReferenceModel,
    *,
    laip: PatientLaip | None = None,
    library: Sequence[PatientLaip] = (),
    patient: str = "",
    therapy: PriorTherapy = PriorTherapy.NONE,
    config: RunConfig | None = None,
    parameters: ClassifierParameters | None = None,
    no_phenotype: bool = False,
) -> Tube:
    """Look for leukaemic cells in a gated tube.

    Parameters
    ----------
    reference
        Normal marrow as learned from the controls.
    laip
        The patient's phenotype, where there is one.
    library
        Phenotypes of other patients; the patient's own is ignored here.
    patient
        Whose tube it is.
    therapy
        Therapy before the tube.
    config, parameters
        Settings; ``parameters`` replaces what ``config`` and ``therapy`` ask for.
    no_phenotype
        The patient's diagnosis tube gave no phenotype, which is told.

    Returns
    -------
    Tube
        With ``mrd_score``, ``mrd``, ``cluster``, ``group``, ``excluded`` (shape (n_events,); masked events are judged
        too) and
        ``classification``, the part of ``classification.json`` that follows from the result.
    """
    settings = config or RunConfig(panel=tube.panel.name, samples="")
    found = candidates(tube)
    chosen = parameters or classifier_parameters(tube.panel, settings, therapy)
    # Tubes put together by hand have no record of their thresholds: their spiked cells start in the window.
    chain = RawChain(tube, chosen) if tube.qc is not None and tube.gates is not None else None
    result = classify_tube(
        found.cells,
        reference,
        laip=laip,
        library=Library(tuple(library)).without(patient),
        parameters=chosen,
        chain=chain,
    )
    score = np.full(tube.n_events, -99.0, dtype=np.float32)
    mrd = np.zeros(tube.n_events, dtype=bool)
    cluster = np.full(tube.n_events, -1, dtype=np.int32)
    group = np.full(tube.n_events, -1, dtype=np.int32)
    if result.group is not None:
        group[found.rows] = result.group
    if result.offscale_group is not None:
        group[found.offscale_rows] = result.offscale_group
    score[found.rows], mrd[found.rows], cluster[found.rows] = result.score, result.mrd, result.cluster
    if result.offscale_score is not None and result.offscale_cluster is not None:
        rows = found.offscale_rows
        score[rows], cluster[rows], mrd[rows] = (
            result.offscale_score,
            result.offscale_cluster,
            result.offscale_cluster >= 0,
        )
    facts = summarise(result, found.cells, reference, laip)
    name_carry_over(facts, group, _clock(tube), chosen)
    usable = group[tube.analysable()]
    for entry in facts["uncounted"]:
        entry["cells"] = int(np.count_nonzero(usable == entry["id"]))
    facts["flags"] += [item.as_record() for item in _lossy_steps(result, chosen.spike_step_loss)]
    facts["excluded"] = {}
    excluded = np.zeros(tube.n_events, dtype=bool)
    if result.tube_model is not None and result.places:
        swept = find_excluded(
            tube, result.features, result.places, result.tube_model, result.cut * float(np.log(10.0)), chosen
        )
        facts["excluded"] = dict(swept.events)
        excluded[swept.rows] = True
        if swept.total >= chosen.detect_events:
            why = ", ".join(f"{events:,} as {reason}" for reason, events in swept.events.items())
            facts["flags"].append(flag("EXCLUDED_PHENOTYPE", events=swept.total, why=why).as_record())
    facts["flags"] += _as_control(tube.name, reference, settings)
    if no_phenotype:
        facts["flags"].append(flag("NO_LAIP", least=settings.laip.min_diagnosis_cells).as_record())
    return replace(
        tube,
        mrd_score=score,
        mrd=mrd,
        cluster=cluster,
        group=group,
        excluded=excluded,
        classification=facts,
    )


def _as_control(name: str, reference: ReferenceModel, config: RunConfig) -> list[dict[str, Any]]:
    """What the reference says of a control tube, or the laboratory of one it has excluded; nothing of other tubes."""
    if name in config.controls.excluded:
        return [flag("CONTROL_EXCLUDED", reason=config.controls.excluded[name]).as_record()]
    found = [dict(reason) for one in reference.judgements if one["name"] == name for reason in one["reasons"]]
    if name in config.controls.accepted:
        found.append(flag("CONTROL_ACCEPTED", reason=config.controls.accepted[name]).as_record())
    elif found:
        left_out = any(one["name"] == name and not one["used"] for one in reference.judgements)
        found += [flag("CONTROL_LEFT_OUT").as_record()] if left_out else []
    return found


def _clock(tube: Tube) -> npt.NDArray[np.float32] | None:
    """Time of every event, shape (n_events,); None where the panel or the file has no time channel."""
    times = [channel.marker for channel in tube.panel.channels if channel.kind is ChannelKind.TIME]
    return next((tube.columns[name] for name in times if name in tube.columns), None)


def _lossy_steps(result: Classification, allowed: float) -> list[Flag]:
    """A message for every step that loses more than this part of the spiked cells."""
    steps = result.spike_in.steps if result.spike_in is not None else ()
    return [
        flag(
            "SPIKE_IN_STEP_LOSES",
            step=STEP_WORDS[one.step],
            share=1.0 - one.kept / one.spiked,
            kept=one.kept,
            spiked=one.spiked,
        )
        for one in steps
        if one.spiked and one.kept < (1.0 - allowed) * one.spiked
    ]


def summarise(
    result: Classification, tube: CandidateCells, reference: ReferenceModel, laip: PatientLaip | None
) -> dict[str, Any]:
    """The part of ``classification.json`` that follows from the result alone."""
    tube = tube.select(result.features)
    clusters = _clusters(result, tube, reference)
    markers: list[dict[str, Any]] = []
    if clusters:
        markers = max(clusters, key=lambda cluster: cluster["events"])["markers"]
    elif laip is not None:
        own = laip.select(result.features)
        heaviest = own.mixture.mean[int(own.mixture.weight.argmax())] - own.staining
        markers = _markers(heaviest, result.features, reference)[1]
    background, spike = result.background, result.spike_in
    return {
        "mode": result.mode,
        "features": list(result.features),
        "cut": round(result.cut, 6),
        "clusters": clusters,
        "uncounted": [
            {"id": number, **_uncounted(group, result, reference)}
            for number, group in enumerate(result.uncounted, start=len(result.counted))
        ],
        "offscale": [
            {
                "detector": one.detector,
                "events": one.events,
                "joined": one.joined,
                "call": off_scale_call(one.detector),
            }
            for one in result.offscale
        ],
        "markers": markers,
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
        "staining_control": [finding.as_record() for finding in result.staining],
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
            "recovered_counts": list(spike.recovered_counts),
            "kinds": [_kind(kind, result, reference) for kind in spike.kinds],
            "steps": [{"step": one.step, "spiked": one.spiked, "kept": one.kept} for one in spike.steps],
        },
        "flags": [item.as_record() for item in result.flags],
    }


def _markers(
    mean: np.ndarray, features: tuple[str, ...], reference: ReferenceModel
) -> tuple[str, list[dict[str, Any]]]:
    name, centre = nearest_stage(mean, features, reference)
    return name, [
        {"marker": s.marker, "shift_decades": round(s.shift_decades, 4), "direction": s.direction}
        for s in marker_levels(mean, centre, features)
    ]


def _kind(kind: SpikedKind, result: Classification, reference: ReferenceModel) -> dict[str, Any]:
    """A kind of leukaemia that was spiked in, in words, and what became of its cells."""
    mean = kind.mixture.weight @ kind.mixture.mean - result.shift
    return {
        "phenotype": phenotype_in_words(mean, result.features, reference),
        "nearest_normal": nearest_stage(mean, result.features, reference)[0],
        "spiked": kind.spiked,
        "recovered": kind.recovered,
        "noticed": kind.noticed,
    }


def _uncounted(group: UncountedGroup, result: Classification, reference: ReferenceModel) -> dict[str, Any]:
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
        **({"detector": group.detector} if group.detector else {}),
        "call": group.call,
        "evidence": _evidence(group.evidence),
        "nearest_normal": name,
        "markers": markers,
        "medians": by_marker(mean),
        "sd": by_marker(np.sqrt(variance)),
    }


def _evidence(evidence: EvidenceOnGroup) -> dict[str, Any]:
    """Evidence on a group as results hold it."""
    return {
        "gain": None if evidence.gain is None else round(evidence.gain, 2),
        "false_groups": None if evidence.false_groups is None else round(evidence.false_groups, 6),
        "fit": round(evidence.fit, 4),
        "said": evidence.said,
    }


def _clusters(result: Classification, tube: CandidateCells, reference: ReferenceModel) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for number in range(len(result.counted)):
        cells = tube.values[result.mrd & (result.cluster == number)]
        if len(cells) == 0:
            continue
        median = np.median(cells, axis=0).astype(np.float64)
        name, markers = _markers(median - result.shift, result.features, reference)
        out.append(
            {
                "id": number,
                "events": len(cells),
                "nearest_normal": name,
                "evidence": _evidence(result.counted[number].evidence),
                "markers": markers,
                "medians": {
                    marker: round(float(value) / LOGICLE_M, 5)
                    for marker, value in zip(result.features, median, strict=True)
                },
            }
        )
    return out

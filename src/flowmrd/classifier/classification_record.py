"""The result of a classification as a record: the part of ``classification.json`` that follows from it alone."""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.catalogue import off_scale_call
from flowmrd.classifier.classification import Background, Classification, SpikedKind, UncountedGroup
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype import marker_levels, nearest_stage, phenotype_in_words
from flowmrd.records.base import FlagEntry, MarkerShift
from flowmrd.records.classification import (
    BackgroundEntry,
    CountedEntry,
    EvidenceEntry,
    NoveltyEntry,
    OffScaleCells,
    SpikedKindEntry,
    SpikeInEntry,
    SpikeInStepEntry,
    TubeJudgement,
    UncountedEntry,
)
from flowmrd.units import LOGICLE_M

__all__ = ["summarise"]


def summarise(
    result: Classification, tube: CandidateCells, reference: ReferenceModel, laip: PatientLaip | None
) -> TubeJudgement:
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
    shifts = zip(result.features, result.shift, strict=True)
    return TubeJudgement(
        seen_without_cd19=None,
        mode=result.mode,
        features=result.features,
        cut=round(result.cut, 6),
        clusters=clusters,
        uncounted=tuple(
            _uncounted(number, group, result, reference)
            for number, group in enumerate(result.uncounted, start=len(result.counted))
        ),
        offscale=tuple(
            OffScaleCells(
                detector=one.detector, events=one.events, joined=one.joined, call=off_scale_call(one.detector)
            )
            for one in result.offscale
        ),
        markers=markers,
        background=_background(result.background),
        n_controls=0 if reference.provisional else len(reference.controls),
        novelty=NoveltyEntry(score=round(result.novelty, 4), flag=result.novel),
        calibration={key: round(value, 6) for key, value in result.calibration.items()},
        staining_shift={marker: round(float(value), 4) for marker, value in shifts},
        staining_control=tuple(finding.as_record() for finding in result.staining),
        spike_in=_spike_in(result, reference),
        flags=tuple(map(FlagEntry.of, result.flags)),
    )


def _background(found: Background | None) -> BackgroundEntry | None:
    if found is None:
        return None
    return BackgroundEntry(
        per_million=found.per_million,
        ci95=found.ci95,
        worst_per_million=found.worst_per_million,
        n_controls=found.n_controls,
    )


def _spike_in(result: Classification, reference: ReferenceModel) -> SpikeInEntry | None:
    spike = result.spike_in
    if spike is None:
        return None
    return SpikeInEntry(
        level=spike.level,
        replicates=spike.replicates,
        expected=spike.expected,
        recovered=spike.recovered,
        spiked_total=spike.spiked_total,
        recovered_total=spike.recovered_total,
        detected_replicates=spike.detected_replicates,
        detected=spike.detected,
        source=spike.source,
        recovered_counts=tuple(spike.recovered_counts),
        least_spiked=spike.least_spiked,
        least_recovered=spike.least_recovered,
        kinds=tuple(_kind(kind, result, reference) for kind in spike.kinds),
        steps=tuple(SpikeInStepEntry(step=one.step, spiked=one.spiked, kept=one.kept) for one in spike.steps),
    )


def _markers(
    mean: np.ndarray, features: tuple[str, ...], reference: ReferenceModel
) -> tuple[str, tuple[MarkerShift, ...]]:
    name, centre = nearest_stage(mean, features, reference)
    return name, tuple(
        MarkerShift(marker=s.marker, shift_decades=round(s.shift_decades, 4), direction=s.direction)
        for s in marker_levels(mean, centre, features)
    )


def _kind(kind: SpikedKind, result: Classification, reference: ReferenceModel) -> SpikedKindEntry:
    """A kind of leukaemia that was spiked in, described in words, and the fate of its cells."""
    mean = kind.mixture.weight @ kind.mixture.mean - result.shift
    return SpikedKindEntry(
        phenotype=phenotype_in_words(mean, result.features, reference),
        nearest_normal=nearest_stage(mean, result.features, reference)[0],
        spiked=kind.spiked,
        recovered=kind.recovered,
        noticed=kind.noticed,
        share=round(kind.share, 6),
    )


def _uncounted(number: int, group: UncountedGroup, result: Classification, reference: ReferenceModel) -> UncountedEntry:
    mixture = group.mixture
    mean = mixture.weight @ mixture.mean
    variance = mixture.weight @ (np.diagonal(mixture.covariance, axis1=1, axis2=2) + (mixture.mean - mean) ** 2)
    name, markers = _markers(mean - result.shift, result.features, reference)

    def by_marker(decades: np.ndarray) -> dict[str, float]:
        return {
            marker: round(float(value) / LOGICLE_M, 5) for marker, value in zip(result.features, decades, strict=True)
        }

    entry = UncountedEntry(
        id=number,
        events=round(group.events),
        why=group.why,
        call=group.call,
        evidence=_evidence(group.evidence),
        nearest_normal=name,
        markers=markers,
        medians=by_marker(mean),
        sd=by_marker(np.sqrt(variance)),
    )
    return entry.model_copy(update={"detector": group.detector}) if group.detector else entry


def _evidence(evidence: EvidenceOnGroup) -> EvidenceEntry:
    """Evidence on a group as a record."""
    return EvidenceEntry(
        gain=None if evidence.gain is None else round(evidence.gain, 2),
        false_groups=None if evidence.false_groups is None else round(evidence.false_groups, 6),
        fit=round(evidence.fit, 4),
        share_of_controls=evidence.share_of_controls,
        said=evidence.said,
    )


def _clusters(result: Classification, tube: CandidateCells, reference: ReferenceModel) -> tuple[CountedEntry, ...]:
    out: list[CountedEntry] = []
    for number in range(len(result.counted)):
        cells = tube.values[result.mrd & (result.cluster == number)]
        if len(cells) == 0:
            continue
        median = np.median(cells, axis=0).astype(np.float64)
        name, markers = _markers(median - result.shift, result.features, reference)
        out.append(
            CountedEntry(
                id=number,
                events=len(cells),
                nearest_normal=name,
                evidence=_evidence(result.counted[number].evidence),
                markers=markers,
                medians={
                    marker: round(float(value) / LOGICLE_M, 5)
                    for marker, value in zip(result.features, median, strict=True)
                },
            )
        )
    return tuple(out)

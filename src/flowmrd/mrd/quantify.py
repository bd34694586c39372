"""Counts, intervals, limits, the sensitivity check and the verdict of one judged tube."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd import __version__
from flowmrd.config import RunConfig, Sample
from flowmrd.errors import ArtefactError
from flowmrd.flags import Flag, flag
from flowmrd.gating.marrow import STAGES, assess_regeneration
from flowmrd.gating.targets import MIN_CELLS, TARGETS, assess_targets, positive_shape
from flowmrd.mrd.counts import COUNTED_GATES, count_events, finite_or_none, level
from flowmrd.mrd.limits import Limits, binomial_interval, events_needed, limits
from flowmrd.mrd.reasons import covered_blind_spots, sort_flags
from flowmrd.mrd.result import (
    Cluster,
    Counts,
    Laip,
    MarkerShift,
    MrdResult,
    Provenance,
    Regeneration,
    Sensitivity,
    SpikeIn,
    Target,
)
from flowmrd.mrd.verdict import Evidence, decide
from flowmrd.tube import Tube

__all__ = ["Digests", "quantify"]


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Digests:
    """SHA-256 of what made the result, besides the FCS file."""

    config: str
    panel: str
    reference: str | None
    laip: str | None


def quantify(tube: Tube, config: RunConfig | None = None, *, sample: Sample, digests: Digests) -> MrdResult:
    """Count, give intervals and limits, and judge.

    Parameters
    ----------
    tube
        After :func:`flowmrd.classifier.judge_tube.classify`, with ``facts``, ``qc``, ``gates`` and ``classification``.
    config
        Counting rules and the reportable denominator; the defaults where absent.
    sample
        The tube's row of the sheet: whose it is, its role, and therapy before it.

    Raises
    ------
    ArtefactError
        If the tube has not been through the steps before.
    """
    config = config or RunConfig(panel=tube.panel.name, samples="")
    qc, gates, classification = tube.qc, tube.gates, tube.classification
    if qc is None or gates is None or classification is None or tube.mrd is None:
        raise ArtefactError(
            f"tube {tube.name}",
            found="a tube that has not been preprocessed, gated and classified",
            expected="all three",
            todo="run these steps first",
        )
    counts, without_time = _count(tube, tube.mrd, config)
    chosen = config.mrd.denominator
    denominator = int(getattr(counts, chosen))
    found = level(counts.mrd_events, denominator)
    background = _background(classification, counts, denominator)
    tube_limits = None if background is None else _limits(denominator, background, config)
    spike_in = _spike_in(classification)
    sorted_flags = sort_flags(
        map(Flag.from_record, [*qc["flags"], *gates.get("flags", []), *classification["flags"]]),
        excused=covered_blind_spots(classification.get("seen_without_cd19")),
    )
    if counts.total < config.quality.min_events:
        few = flag("TOO_FEW_EVENTS_ACQUIRED", events=counts.total, least=config.quality.min_events)
        sorted_flags.failures += [] if few in sorted_flags.failures else [few]
    evidence = Evidence(
        mrd_events=counts.mrd_events,
        denominator=denominator,
        interval=found.ci95,
        limits=tube_limits,
        target=config.mrd.target,
        spike_in_detected=None if spike_in is None else spike_in.detected,
        failures=sorted_flags.failures,
        doubts=sorted_flags.doubts,
        blind_spots=sorted_flags.blind_spots,
        remarks=sorted_flags.remarks,
    )
    return MrdResult(
        sample=sample.sample,
        patient=sample.patient,
        role=sample.role.value,
        timepoint=sample.timepoint,
        panel=tube.panel.name,
        counts=counts,
        denominator=chosen,
        mrd=found,
        mrd_without_time_mask=level(without_time.mrd_events, int(getattr(without_time, chosen))),
        sensitivity=_sensitivity(evidence, background, counts, denominator, spike_in, classification, config),
        verdict=decide(evidence),
        laip=_laip(classification),
        targets=_targets(tube, tube.mrd, gates, config, sample) or _b_lineage_targets(gates),
        targets_b_lineage=_b_lineage_targets(gates),
        regeneration=_regeneration(tube, tube.mrd, config),
        provenance=Provenance(
            fcs_sha256=tube.facts.get("sha256", ""),
            config_sha256=digests.config,
            panel_sha256=digests.panel,
            reference_sha256=digests.reference,
            laip_sha256=digests.laip,
            flowmrd_version=__version__,
        ),
    )


def _count(tube: Tube, mrd: Mask, config: RunConfig) -> tuple[Counts, Counts]:
    """Counts as configured, and the same with events of unstable stretches of the run left in."""
    members = {name: tube.gate_or_none(name) for name in COUNTED_GATES}
    without_time = config.quality.model_copy(update={"time_mask": False})
    return (
        count_events(tube.analysable(config.quality), members, mrd),
        count_events(tube.analysable(without_time), members, mrd),
    )


def _b_lineage_targets(gates: Mapping[str, Any]) -> dict[str, Target]:
    return {name: Target.model_validate(facts) for name, facts in (gates.get("targets") or {}).items()}


def _targets(tube: Tube, mrd: Mask, gates: Mapping[str, Any], config: RunConfig, sample: Sample) -> dict[str, Target]:
    """State of CD19 and CD22 on the MRD cells; empty where there are too few of them to say anything."""
    cells = mrd & tube.analysable(config.quality)
    if np.count_nonzero(cells) < MIN_CELLS or not gates.get("gates"):
        return {}
    found = assess_targets(
        tube.measured,
        cells,
        {marker: positive_shape(gates, marker) for marker in TARGETS},
        tube.panel,
        population="mrd",
        scales=tube.scales,
        normal=gates.get("normal_b") or {},
        prior_therapy=sample.prior_therapy.value,
    )
    return {name: Target.model_validate(facts) for name, facts in found.items()}


def _regeneration(tube: Tube, mrd: Mask, config: RunConfig) -> Regeneration | None:
    """Haematogone spectrum without the events called MRD."""
    usable = tube.analysable(config.quality)
    nucleated = tube.gate_or_none("nucleated")
    if nucleated is None:
        return None
    normal = usable & ~mrd
    inside = {name: tube.gate_or_none(name) for name in STAGES}
    stages = {name: None if bits is None else int(np.count_nonzero(bits & normal)) for name, bits in inside.items()}
    found = assess_regeneration(stages, int(np.count_nonzero(nucleated & usable)), leukaemic_left_out=True)
    return Regeneration(verdict=found["verdict"], statement=found["statement"])


def _background(classification: Mapping[str, Any], counts: Counts, denominator: int) -> float | None:
    """Background rate per event of the reportable denominator; controls give it per nucleated event."""
    found = classification["background"]
    if found is None or denominator == 0:
        return None
    return float(found["per_million"]) / 1e6 * counts.nucleated / denominator


def _limits(denominator: int, background: float, config: RunConfig) -> Limits:
    rules = config.mrd
    return limits(
        denominator,
        background=background,
        min_detect_events=rules.min_detect_events,
        min_quantify_events=rules.min_quantify_events,
        alpha=rules.alpha,
        power=rules.power,
    )


def _spike_in(classification: Mapping[str, Any]) -> SpikeIn | None:
    facts = classification["spike_in"]
    if facts is None:
        return None
    spiked, recovered = int(facts["spiked_total"]), int(facts["recovered_total"])
    return SpikeIn(
        level=facts["level"],
        expected=facts["expected"],
        recovered=facts["recovered"],
        detected=facts["detected"],
        replicates=facts["replicates"],
        detected_replicates=facts["detected_replicates"],
        recovery=recovered / spiked if spiked else None,
        recovery_ci95=binomial_interval(recovered, spiked) if spiked else None,
        source=facts["source"],
    )


def _sensitivity(
    evidence: Evidence,
    background: float | None,
    counts: Counts,
    denominator: int,
    spike_in: SpikeIn | None,
    classification: Mapping[str, Any],
    config: RunConfig,
) -> Sensitivity:
    target, found = config.mrd.target, evidence.limits
    interval = (classification["background"] or {}).get("ci95")
    factor = counts.nucleated / denominator if denominator else 1.0
    return Sensitivity(
        target=target,
        background_per_million=None if background is None else background * 1e6,
        background_ci95=None if interval is None else (interval[0] * factor, interval[1] * factor),
        lob_events=None if found is None else found.lob_events,
        lod_nominal=None if found is None else finite_or_none(found.lod_nominal),
        lod95=None if found is None else finite_or_none(found.lod95),
        loq=None if found is None else finite_or_none(found.loq),
        achieved=found is not None and found.lod95 <= target and spike_in is not None and spike_in.detected,
        events_needed=None
        if background is None
        else events_needed(
            target,
            background=background,
            min_detect_events=config.mrd.min_detect_events,
            alpha=config.mrd.alpha,
            power=config.mrd.power,
        ),
        spike_in=spike_in,
    )


def _laip(classification: Mapping[str, Any]) -> Laip:
    return Laip(
        mode=classification["mode"],
        markers=tuple(MarkerShift.model_validate(item) for item in classification["markers"]),
        clusters=tuple(Cluster.model_validate(item) for item in classification["clusters"]),
    )

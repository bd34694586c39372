"""Sensitivity of a tube: limits from the controls' background, and the spike-in judged with the same count."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.config.run import MrdConfig
from flowmrd.flags import Flag, flag
from flowmrd.mrd.counts import finite_or_none
from flowmrd.mrd.limits import Limits, binomial_interval, chance_of, events_needed, limits
from flowmrd.mrd.result import KindOutcome, Sensitivity, SpikeIn, SpikeInStep
from flowmrd.records.classification import BackgroundEntry, SpikedKindEntry, SpikeInEntry


@dataclass(frozen=True)
class BackgroundRate:
    """False MRD events per event of the reportable denominator, estimated from the controls.

    Attributes
    ----------
    rate
        Mean over the controls.
    low, high
        95 % interval. The upper end is used for the limits, because few controls leave the rate uncertain.
    """

    rate: float
    low: float
    high: float


def background_rate(found: BackgroundEntry | None, nucleated: int, denominator: int) -> BackgroundRate | None:
    """Background over the reportable denominator; controls give it per million nucleated events.

    Returns
    -------
    BackgroundRate or None
        None where no controls are known or the denominator is empty.
    """
    if found is None or denominator == 0:
        return None
    per = nucleated / denominator / 1e6
    low, high = found.ci95
    return BackgroundRate(found.per_million * per, low * per, high * per)


def tube_limits(denominator: int, background: BackgroundRate, rules: MrdConfig) -> Limits:
    """Limits of a tube by the rules of its configuration."""
    return limits(
        denominator,
        background=background.high,
        min_detect_events=rules.min_detect_events,
        min_quantify_events=rules.min_quantify_events,
        alpha=rules.alpha,
        power=rules.power,
    )


def judge_spike_in(
    facts: SpikeInEntry | None, found: Limits | None, power: float = MrdConfig().power
) -> SpikeIn | None:
    """The spike-in of a classification, judged by the detection count of the tube's own verdict.

    Parameters
    ----------
    facts
        ``spike_in`` of ``classification.json``; ``recovered_counts`` are the cells found in every replicate. Of a
        patient's cells, the sensitivity rests on the replicates of which the smaller part was counted (without drift,
        or all).
    found
        Limits of the tube; without them the counting rule of the classifier is used.
    power
        Probability with which the detection count must be reached at the target level, given the share of a patient's
        cells that was recovered. The limit of detection covers the number of events; this covers the loss of cells in
        the tube.
    """
    if facts is None:
        return None
    spiked, recovered = facts.spiked_total, facts.recovered_total
    if facts.least_spiked:
        spiked, recovered = facts.least_spiked, facts.least_recovered
    recovery = recovered / spiked if spiked else None
    detected, replicates = facts.detected_replicates, facts.replicates
    least = found.detect_events if found is not None else MrdConfig().min_detect_events
    kinds = tuple(_kind(kind, least) for kind in facts.kinds)
    rules = ClassifierParameters()
    if kinds:
        detected = sum(kind.outcome != "missed" for kind in kinds)
        recovery = _recovery_of_kinds(kinds)
        enough = kinds_share_found(kinds) >= rules.spike_kinds_found_share
    else:
        if found is not None:
            detected = sum(count >= found.detect_events for count in facts.recovered_counts)
        enough = detected >= math.ceil(rules.spike_detected_share * replicates)
        enough = enough and chance_of(least, facts.expected * recovered / max(spiked, 1)) >= power
    return SpikeIn(
        level=facts.level,
        expected=facts.expected,
        recovered=facts.recovered,
        detected=enough,
        replicates=replicates,
        detected_replicates=detected,
        recovery=recovery,
        recovery_ci95=binomial_interval(recovered, spiked) if spiked and not kinds else None,
        source=facts.source,
        steps=tuple(SpikeInStep.model_validate(step.model_dump()) for step in facts.steps),
        kinds=kinds,
    )


def kinds_share_found(kinds: Sequence[KindOutcome]) -> float:
    """Share of the leukaemias whose kinds would not have been overlooked."""
    from flowmrd.classifier.spike_in import share_found  # the whole search, which counting does not need

    return share_found([kind.share for kind in kinds], [kind.outcome != "missed" for kind in kinds])


def _recovery_of_kinds(kinds: Sequence[KindOutcome]) -> float | None:
    """Part of the spiked cells that is counted, by the share of the leukaemias that each kind stands for.

    Kinds near normal cells are tried more often than their share; all cells together would tell too small a part.
    """
    parts = [(kind.share, kind.recovered / kind.spiked) for kind in kinds if kind.spiked]
    whole = sum(share for share, _ in parts)
    return sum(share * part for share, part in parts) / whole if whole else None


def _kind(kind: SpikedKindEntry, least: int) -> KindOutcome:
    """Outcome of one kind of leukaemia, by the detection count of the tube."""
    outcome = "counted" if kind.recovered >= least else "reported" if kind.noticed >= least else "missed"
    return KindOutcome.model_validate({**kind.model_dump(), "outcome": outcome})


def recovery_of_patient(spike_in: SpikeIn | None) -> float | None:
    """Smallest part of the patient's own cells that may be counted: the lower end of the interval of the spiked ones.

    None where other kinds of leukaemia were tried.
    """
    if spike_in is None or spike_in.kinds:
        return None
    return spike_in.recovery if spike_in.recovery_ci95 is None else spike_in.recovery_ci95[0]


def partial_sensitivity(spike_in: SpikeIn | None) -> Flag | None:
    """Flag that names the kinds of leukaemia that would be missed; None where all would be found or the patient's own
    is known.
    """
    missed = [kind for kind in spike_in.kinds if kind.outcome == "missed"] if spike_in is not None else []
    if spike_in is None or not missed:
        return None
    words = Counter(f"{kind.phenotype} (most like {kind.nearest_normal.replace('_', ' ')})" for kind in missed)
    return flag(
        "KINDS_MISSED",
        found=len(spike_in.kinds) - len(missed),
        tried=len(spike_in.kinds),
        level=spike_in.level,
        share=kinds_share_found(spike_in.kinds),
        missed="; ".join(word if n == 1 else f"{n} × {word}" for word, n in words.items()),
    )


def sensitivity(
    found: Limits | None,
    background: BackgroundRate | None,
    spike_in: SpikeIn | None,
    rules: MrdConfig,
    *,
    overruled: bool = False,
) -> Sensitivity:
    """The block ``sensitivity`` of ``mrd.json``; ``achieved`` requires the target both by counting and by the spike-in.

    Parameters
    ----------
    overruled
        Whether a reviewer called cells with the phenotype of the patient's leukaemia something else; the spike-in of
        such cells is then not valid.
    """
    return Sensitivity(
        target=rules.target,
        background_per_million=None if background is None else background.rate * 1e6,
        background_ci95=None if background is None else (background.low * 1e6, background.high * 1e6),
        lob_events=None if found is None else found.lob_events,
        detect_events=None if found is None else found.detect_events,
        quantify_events=None if found is None else found.quantify_events,
        lod_nominal=None if found is None else finite_or_none(found.lod_nominal),
        lod95=None if found is None else finite_or_none(found.lod95),
        loq=None if found is None else finite_or_none(found.loq),
        achieved=found is not None
        and found.lod95 <= rules.target
        and spike_in is not None
        and spike_in.detected
        and not overruled,
        events_needed=None
        if background is None
        else events_needed(
            rules.target,
            background=background.high,
            min_detect_events=rules.min_detect_events,
            alpha=rules.alpha,
            power=rules.power,
        ),
        spike_in=spike_in,
    )

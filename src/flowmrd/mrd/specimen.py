"""Several acquisitions of one specimen judged together: two tubes, or one tube in two files.

Counts and denominators add up, and the limits are those of the pool: 5 million events in all can say less than 1 in
100,000 where each tube alone cannot. A doubt about one tube is a doubt about the pool. If the tubes' rates differ more
than counting statistics explain, they may not be of one specimen, and a negative answer is forbidden.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.config.run import MrdConfig
from flowmrd.errors import InternalError
from flowmrd.flags import Effect, Flag, flag
from flowmrd.mrd.calls import calls_in_result
from flowmrd.mrd.counts import level
from flowmrd.mrd.limits import chance_of
from flowmrd.mrd.reasons import sort_flags
from flowmrd.mrd.reported import report_level
from flowmrd.mrd.result import KindOutcome, Mrd, MrdResult, ResultPart, Sensitivity, SpikeIn, Verdict, VerdictClass
from flowmrd.mrd.sensitivity import (
    BackgroundRate,
    kinds_share_found,
    partial_sensitivity,
    recovery_of_patient,
    sensitivity,
    tube_limits,
)
from flowmrd.mrd.verdict import PHENOTYPE_UNKNOWN, Evidence, decide

DIFFER = 0.001
"""Probability below which tubes of one specimen are said to differ, which happens by chance in one of a thousand
specimens.
"""


class SpecimenTube(ResultPart):
    """One acquisition of the specimen."""

    sample: str
    mrd_events: int
    denominator: int
    fraction: float | None
    verdict: VerdictClass
    counted: bool = Field(description="Whether it counts in the pool; a tube that could not be evaluated does not.")


class SpecimenResult(ResultPart):
    """The acquisitions of one specimen judged together: counts, limits and verdict of the pool."""

    schema_version: Literal["1"] = "1"
    specimen_id: str
    patient: str
    timepoint: str | None
    denominator_name: str
    mrd_events: int
    denominator: int
    mrd: Mrd
    sensitivity: Sensitivity
    verdict: Verdict
    more_tubes_needed: int | None = Field(
        description="Acquisitions like these that the target still asks for; 0 where it is reached, null where none "
        "suffice."
    )
    same_rate_probability: float | None = Field(
        description="Probability that tubes of one specimen differ as much as these; null for one tube."
    )
    tubes: tuple[SpecimenTube, ...]


def pool_specimen(specimen_id: str, results: Sequence[MrdResult], rules: MrdConfig) -> SpecimenResult:
    """Judge the acquisitions of one specimen together.

    Parameters
    ----------
    results
        Results of its tubes: of one patient and one time point, at least one.

    Raises
    ------
    InternalError
        If the results are of several patients, or there is none.
    """
    if len({result.patient for result in results}) != 1:
        raise InternalError(f"specimen {specimen_id}: results of {len({r.patient for r in results})} patients")
    counted = [result for result in results if result.verdict.class_ is not VerdictClass.NOT_EVALUABLE]
    sizes = [_denominator(result) for result in counted]
    events, total = sum(result.counts.mrd_events for result in counted), sum(sizes)
    background = _pooled_background(counted, sizes)
    limits = None if background is None or total == 0 else tube_limits(total, background, rules)
    probability = same_rate_probability([result.counts.mrd_events for result in counted], sizes)
    flags = _flags(results, counted, probability)
    spike_in = _pooled_spike_in(counted, None if limits is None else limits.detect_events, rules.power)
    found = level(events, total)
    role = results[0].role
    verdict = decide(
        Evidence(
            mrd_events=events,
            denominator=total,
            interval=found.ci95,
            limits=limits,
            target=rules.target,
            spike_in_detected=None if spike_in is None else spike_in.detected,
            kinds_missed=partial_sensitivity(spike_in),
            recovery=recovery_of_patient(spike_in),
            role=role,
            laip_found=any(result.laip.mode == "patient" for result in counted),
            phenotype_unknown=any(result.laip.mode in PHENOTYPE_UNKNOWN for result in counted),
            counted_by_reviewer=any(calls_in_result(result).has_leukaemia for result in counted),
            **vars(sort_flags(flags, role=role)),
        )
    )
    limit = sensitivity(limits, background, spike_in, rules)
    return SpecimenResult(
        specimen_id=specimen_id,
        patient=results[0].patient,
        timepoint=results[0].timepoint,
        denominator_name=results[0].denominator,
        mrd_events=events,
        denominator=total,
        mrd=report_level(found, verdict.class_, limits, events),
        sensitivity=limit,
        verdict=verdict,
        more_tubes_needed=more_tubes(limit.events_needed, sizes),
        same_rate_probability=probability,
        tubes=tuple(_tube(result, counted=result in counted) for result in results),
    )


def _tube(result: MrdResult, *, counted: bool) -> SpecimenTube:
    return SpecimenTube(
        sample=result.sample,
        mrd_events=result.counts.mrd_events,
        denominator=_denominator(result),
        fraction=result.mrd.fraction,
        verdict=result.verdict.class_,
        counted=counted,
    )


def _flags(results: Sequence[MrdResult], counted: Sequence[MrdResult], probability: float | None) -> list[Flag]:
    """What is said of the tubes, and of the pool."""
    flags = [reason for result in counted for reason in result.verdict.reasons if reason.effect is not Effect.ANSWER]
    left_out = [result.sample for result in results if result not in counted]
    if left_out:
        flags.append(flag("TUBE_LEFT_OUT_OF_SPECIMEN", tubes=", ".join(left_out)))
    if probability is not None and probability < DIFFER:
        flags.append(flag("TUBES_OF_SPECIMEN_DIFFER", probability=probability))
    return flags


def more_tubes(events_needed: int | None, sizes: Sequence[int]) -> int | None:
    """Number of further acquisitions of the mean size that are needed; ``None`` where no number suffices."""
    if events_needed is None or not sum(sizes):
        return None
    missing = events_needed - sum(sizes)
    return max(math.ceil(missing / (sum(sizes) / len(sizes))), 0)


def same_rate_probability(counts: Sequence[int], sizes: Sequence[int]) -> float | None:
    """Probability that tubes with one rate differ as much as these; ``None`` for fewer than two tubes.

    Given their sum, the count of each tube is binomial with its share of the denominator. The smallest of the two-sided
    probabilities, each twice the smaller tail, times the number of tubes (Bonferroni).
    """
    if len(counts) < 2:
        return None
    events, total = sum(counts), sum(sizes)
    if events == 0 or total == 0:
        return 1.0
    from scipy.special import bdtr, bdtrc

    smallest = 1.0
    for count, size in zip(counts, sizes, strict=True):
        share = size / total
        below = float(bdtr(count, events, share))
        above = 1.0 if count == 0 else float(bdtrc(count - 1, events, share))
        smallest = min(smallest, 2.0 * min(below, above))
    return min(smallest * len(counts), 1.0)


def _denominator(result: MrdResult) -> int:
    return result.denominator_count or 0


def _pooled_background(counted: Sequence[MrdResult], sizes: Sequence[int]) -> BackgroundRate | None:
    """Background of the pool: the tubes' own, weighted by their denominators; ``None`` where a tube has none."""
    rates = []
    for result in counted:
        rate, interval = result.sensitivity.background_per_million, result.sensitivity.background_ci95
        if rate is None or interval is None:
            return None
        rates.append((rate, *interval))
    if not rates or not sum(sizes):
        return None
    mean, low, high = (
        sum(rate[position] * size for rate, size in zip(rates, sizes, strict=True)) / sum(sizes) / 1e6
        for position in range(3)
    )
    return BackgroundRate(mean, low, high)


def _pooled_spike_in(counted: Sequence[MrdResult], detect_events: int | None, power: float) -> SpikeIn | None:
    """Spiked cells of all tubes together; ``None`` where a tube could not be spiked.

    The pool counts as found where the detection count is reached with this power, for a Poisson count whose mean is the
    cells at the target level in all tubes, each tube's times the part that it recovered. Where kinds of leukaemia were
    tried, those are found whose cells in all tubes together reach the detection count, and the kinds found must stand
    for as many patients as in a single tube.
    """
    spikes = [result.sensitivity.spike_in for result in counted]
    known = [spike for spike in spikes if spike is not None]
    if not known or len(known) != len(spikes):
        return None
    recovered, expected = sum(spike.recovered for spike in known), sum(spike.expected for spike in known)
    needed = detect_events if detect_events is not None else 1
    rules = ClassifierParameters()
    likely = sum(spike.expected * (spike.recovery or 0.0) for spike in known)
    kinds = _pooled_kinds(known, needed)
    if kinds:
        found = sum(kind.outcome != "missed" for kind in kinds)
        detected = kinds_share_found(kinds) >= rules.spike_kinds_found_share
    else:
        detected = chance_of(needed, likely) >= power
        found = min(spike.replicates for spike in known) if detected else 0
    return SpikeIn(
        level=known[0].level,
        expected=expected,
        recovered=recovered,
        detected=detected,
        replicates=min(spike.replicates for spike in known),
        detected_replicates=found,
        recovery=likely / expected if expected else None,
        recovery_ci95=None,
        source=known[0].source,
        kinds=kinds,
    )


def _pooled_kinds(known: Sequence[SpikeIn], needed: int) -> tuple[KindOutcome, ...]:
    """Kinds of leukaemia with the cells of all tubes together; none where the tubes tried different ones."""
    tried = [spike.kinds for spike in known]
    if not all(len(kinds) == len(tried[0]) for kinds in tried):
        return ()
    pooled = []
    for same in zip(*tried, strict=True):
        spiked, recovered, noticed = (
            sum(getattr(kind, name) for kind in same) for name in ("spiked", "recovered", "noticed")
        )
        outcome = "counted" if recovered >= needed else "reported" if noticed >= needed else "missed"
        changes = {"spiked": spiked, "recovered": recovered, "noticed": noticed, "outcome": outcome}
        pooled.append(same[0].model_copy(update=changes))
    return tuple(pooled)

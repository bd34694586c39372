"""From counts, limits and doubts to one verdict.

The classes follow the ELN 2024 recommendations for adult ALL (Gökbuget et al., Blood 2024): complete MRD response needs
a minimum sensitivity of 1e-4; a negative without it, and a positive that cannot be quantified, are classes of their
own.
Rules are tried from the one that forbids most to the one that allows most, so a weak answer never comes out as a
negative one:

1. ``NOT_EVALUABLE``: the tube failed quality control or has no denominator.
2. ``INDETERMINATE``: something makes the count itself untrustworthy (no controls, a tube unlike the controls,
   cells that cannot be told from regenerating precursors); or nothing was detected although leukaemic cells may have
   been overlooked (a diagnosis tube without a phenotype, a strange group that is not the known phenotype).
3. Fewer events than the detection count: ``NEGATIVE`` if the tube could have seen the target by counting *and* by
   experiment, else ``NEGATIVE_INSUFFICIENT_SENSITIVITY``. Enough events for the counting rule, but no more than
   controls show as background, are neither: ``INDETERMINATE``.
4. Detected: ``DETECTED_NOT_QUANTIFIABLE`` below the quantification count; else ``POSITIVE`` or
   ``POSITIVE_BELOW_THRESHOLD`` where the whole 95 % interval lies on one side of the target, and ``INDETERMINATE``
   (MRD is there, its side of the threshold is not known) where the interval straddles it.

``mrd_negative`` answers the trial's question (MRD < target) separately: true, false, or null when the tube could not
have told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowmrd.flags import Flag, flag
from flowmrd.mrd.limits import Limits
from flowmrd.mrd.result import Verdict, VerdictClass


@dataclass(frozen=True)
class Evidence:
    """Everything the verdict depends on.

    Attributes
    ----------
    mrd_events, denominator
        Clustered MRD events and the events of the reportable denominator.
    interval
        95 % interval of the MRD fraction.
    limits
        Limits of this tube; ``None`` where no background is known.
    target
        Threshold of the protocol as a fraction.
    spike_in_detected
        Whether cells spiked into this tube at the target level were found; ``None`` where it could not be tried.
    failures
        Reasons why the tube cannot be evaluated at all.
    doubts
        Reasons why its count cannot be trusted in either direction.
    blind_spots
        Reasons why leukaemic cells may have been overlooked: they forbid a negative and nothing else.
    remarks
        Reasons that change nothing but must be read with the result.
    """

    mrd_events: int
    denominator: int
    interval: tuple[float, float] | None
    limits: Limits | None
    target: float
    spike_in_detected: bool | None
    failures: Sequence[Flag] = ()
    doubts: Sequence[Flag] = ()
    blind_spots: Sequence[Flag] = ()
    remarks: Sequence[Flag] = ()


def decide(evidence: Evidence) -> Verdict:
    """Apply the rules in order and name every reason that counted."""
    remarks = (*evidence.blind_spots, *evidence.remarks)
    if evidence.failures or evidence.denominator == 0 or evidence.interval is None:
        reasons = tuple(evidence.failures) or (flag("NO_DENOMINATOR"),)
        return _verdict(VerdictClass.NOT_EVALUABLE, None, (*reasons, *evidence.doubts, *remarks))
    if evidence.limits is None:
        doubts = tuple(evidence.doubts) or (flag("BACKGROUND_UNKNOWN"),)
        return _verdict(VerdictClass.INDETERMINATE, None, (*doubts, *remarks))
    if evidence.doubts:
        return _verdict(VerdictClass.INDETERMINATE, None, (*evidence.doubts, *remarks))
    if evidence.mrd_events < evidence.limits.detect_events:
        if evidence.mrd_events >= evidence.limits.min_detect_events:
            return _within_background(evidence, evidence.limits)
        if evidence.blind_spots:
            return _verdict(VerdictClass.INDETERMINATE, None, remarks)
        return _not_detected(evidence, evidence.limits)
    return _detected(evidence, evidence.limits, evidence.interval)


def _within_background(evidence: Evidence, limits: Limits) -> Verdict:
    """A background of a few bad controls must not explain away cells that the counting rule would call detected."""
    hidden = flag("WITHIN_BACKGROUND", events=evidence.mrd_events, limit=limits.lob_events)
    return _verdict(VerdictClass.INDETERMINATE, None, (hidden, *evidence.blind_spots, *evidence.remarks))


def _not_detected(evidence: Evidence, limits: Limits) -> Verdict:
    reasons: list[Flag] = []
    if limits.lod95 > evidence.target:
        reasons.append(flag("TOO_FEW_EVENTS", events=evidence.denominator, lod95=limits.lod95, target=evidence.target))
    if evidence.spike_in_detected is None:
        reasons.append(flag("SPIKE_IN_NOT_TRIED"))
    elif not evidence.spike_in_detected:
        reasons.append(flag("SPIKE_IN_MISSED"))
    if reasons:
        return _verdict(VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY, None, (*reasons, *evidence.remarks))
    found = flag("BELOW_DETECTION", events=evidence.mrd_events, least=limits.detect_events, lod95=limits.lod95)
    return _verdict(VerdictClass.NEGATIVE, True, (found, *evidence.remarks))


def _detected(evidence: Evidence, limits: Limits, interval: tuple[float, float]) -> Verdict:
    low, high = interval
    sensitive = limits.lod95 <= evidence.target
    straddle = flag("INTERVAL_STRADDLES_THRESHOLD", low=low, high=high, target=evidence.target)
    insufficient = flag("TOO_FEW_EVENTS", events=evidence.denominator, lod95=limits.lod95, target=evidence.target)
    straddles = low < evidence.target <= high
    if low >= evidence.target:
        negative: bool | None = False
    elif straddles:
        negative = None
    else:
        negative = True if sensitive and not evidence.blind_spots else None
    notes: list[Flag] = list(evidence.blind_spots)
    if straddles:
        notes.append(straddle)
    if not sensitive and low < evidence.target:
        notes.append(insufficient)
    if evidence.mrd_events < limits.quantify_events:
        few = flag(
            "BELOW_QUANTIFICATION",
            events=evidence.mrd_events,
            least=limits.detect_events,
            quantify=limits.quantify_events,
        )
        return _verdict(VerdictClass.DETECTED_NOT_QUANTIFIABLE, negative, (few, *notes, *evidence.remarks))
    counted = flag("QUANTIFIED", events=evidence.mrd_events, denominator=evidence.denominator, low=low, high=high)
    if straddles:
        return _verdict(VerdictClass.INDETERMINATE, None, (counted, *notes, *evidence.remarks))
    kind = VerdictClass.POSITIVE if negative is False else VerdictClass.POSITIVE_BELOW_THRESHOLD
    return _verdict(kind, negative, (counted, *notes, *evidence.remarks))


def _verdict(kind: VerdictClass, negative: bool | None, reasons: Sequence[Flag]) -> Verdict:
    return Verdict(class_=kind, mrd_negative=negative, reasons=tuple(reasons))

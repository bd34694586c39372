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

from flowmrd.mrd.limits import Limits
from flowmrd.mrd.result import Reason, Verdict, VerdictClass


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
    failures: Sequence[Reason] = ()
    doubts: Sequence[Reason] = ()
    blind_spots: Sequence[Reason] = ()
    remarks: Sequence[Reason] = ()


def decide(evidence: Evidence) -> Verdict:
    """Apply the rules in order and name every reason that counted."""
    remarks = (*evidence.blind_spots, *evidence.remarks)
    if evidence.failures or evidence.denominator == 0 or evidence.interval is None:
        reasons = tuple(evidence.failures) or (
            Reason(
                code="NO_DENOMINATOR", message="No event passed the gates of the denominator, so no fraction exists."
            ),
        )
        return _verdict(VerdictClass.NOT_EVALUABLE, None, (*reasons, *evidence.doubts, *remarks))
    if evidence.limits is None:
        unknown = Reason(
            code="BACKGROUND_UNKNOWN",
            message="Without a background rate from control tubes no limit of detection is known.",
        )
        doubts = tuple(evidence.doubts) or (unknown,)
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
    hidden = Reason(
        code="WITHIN_BACKGROUND",
        message=f"{evidence.mrd_events} clustered events would count as detected, but controls show up to "
        f"{limits.lob_events} such events in a tube of this size.",
    )
    return _verdict(VerdictClass.INDETERMINATE, None, (hidden, *evidence.blind_spots, *evidence.remarks))


def _not_detected(evidence: Evidence, limits: Limits) -> Verdict:
    reasons: list[Reason] = []
    if limits.lod95 > evidence.target:
        reasons.append(
            Reason(
                code="TOO_FEW_EVENTS",
                message=f"{evidence.denominator:,} events give a 95 %-power limit of detection of {limits.lod95:.2g}, "
                f"above the target of {evidence.target:.0e}.",
            )
        )
    if evidence.spike_in_detected is None:
        reasons.append(
            Reason(code="SPIKE_IN_NOT_TRIED", message="The in-silico spike-in check could not be run on this tube.")
        )
    elif not evidence.spike_in_detected:
        reasons.append(
            Reason(
                code="SPIKE_IN_MISSED",
                message="Leukaemic cells spiked into a copy of this tube at the target level were not found reliably.",
            )
        )
    if reasons:
        return _verdict(VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY, None, (*reasons, *evidence.remarks))
    found = Reason(
        code="BELOW_DETECTION",
        message=f"{evidence.mrd_events} clustered events, fewer than the {limits.detect_events} that count as "
        f"detected; this tube would have shown {limits.lod95:.2g} with 95 % power.",
    )
    return _verdict(VerdictClass.NEGATIVE, True, (found, *evidence.remarks))


def _detected(evidence: Evidence, limits: Limits, interval: tuple[float, float]) -> Verdict:
    low, high = interval
    sensitive = limits.lod95 <= evidence.target
    straddle = Reason(
        code="INTERVAL_STRADDLES_THRESHOLD",
        message=f"MRD was detected, but its 95 % interval {low:.2g} to {high:.2g} contains the threshold "
        f"{evidence.target:.0e}.",
    )
    insufficient = Reason(
        code="TOO_FEW_EVENTS",
        message=f"The tube's 95 %-power limit of detection of {limits.lod95:.2g} is above the target of "
        f"{evidence.target:.0e}.",
    )
    straddles = low < evidence.target <= high
    if low >= evidence.target:
        negative: bool | None = False
    elif straddles:
        negative = None
    else:
        negative = True if sensitive and not evidence.blind_spots else None
    notes: list[Reason] = list(evidence.blind_spots)
    if straddles:
        notes.append(straddle)
    if not sensitive and low < evidence.target:
        notes.append(insufficient)
    if evidence.mrd_events < limits.quantify_events:
        few = Reason(
            code="BELOW_QUANTIFICATION",
            message=f"{evidence.mrd_events} clustered events: detected (at least {limits.detect_events}), "
            f"but fewer than the {limits.quantify_events} needed to quantify.",
        )
        return _verdict(VerdictClass.DETECTED_NOT_QUANTIFIABLE, negative, (few, *notes, *evidence.remarks))
    counted = Reason(
        code="QUANTIFIED",
        message=f"{evidence.mrd_events} clustered events among {evidence.denominator:,}; 95 % interval "
        f"{low:.2g} to {high:.2g}.",
    )
    if straddles:
        return _verdict(VerdictClass.INDETERMINATE, None, (counted, *notes, *evidence.remarks))
    kind = VerdictClass.POSITIVE if negative is False else VerdictClass.POSITIVE_BELOW_THRESHOLD
    return _verdict(kind, negative, (counted, *notes, *evidence.remarks))


def _verdict(kind: VerdictClass, negative: bool | None, reasons: Sequence[Reason]) -> Verdict:
    return Verdict(class_=kind, mrd_negative=negative, reasons=tuple(reasons))

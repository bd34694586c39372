"""Deciding the verdict from counts, limits and flags.

The classes follow the ELN 2024 recommendations for adult ALL (Gökbuget et al., Blood 2024): complete MRD response needs
a minimum sensitivity of 1e-4; a negative without it, and a positive that cannot be quantified, are classes of their
own. Detection and the side of the threshold are two statements: the class says whether leukaemia was found and how
much, ``mrd_negative`` says whether the fraction lies below the threshold (true, false, or null when the tube could not
have told).

For a follow-up tube the rules are applied in this order:

1. ``NOT_EVALUABLE``: a failure (quality, gates), or nothing in the denominator.
2. ``INDETERMINATE``: no limits are known, or a doubt makes the count untrustworthy in both directions.
3. Fewer events than the detection count n. ``INDETERMINATE`` if the counting rule is met and only the controls'
   background explains the events, if leukaemia may have been overlooked, or if the tube may hold n cells, given the
   part of spiked cells that it loses. ``NEGATIVE_INSUFFICIENT_SENSITIVITY`` if the tube could not have seen the
   target, by counting or by experiment. Else ``NEGATIVE``.
4. Detected. ``INDETERMINATE`` if a flag says that the counted cells may not be leukaemia, if an antibody is absent, or
   if no phenotype is known and no cell verifies an antibody. Else ``DETECTED_NOT_QUANTIFIABLE`` below the
   quantification count, ``POSITIVE`` or ``POSITIVE_BELOW_THRESHOLD`` by the point estimate. Where the 95 % interval
   holds the threshold, ``INTERVAL_STRADDLES_THRESHOLD`` is added and ``mrd_negative`` is null; the class stays.

A diagnosis tube whose LAIP was found reports that leukaemia; flags that would be doubts at follow-up are remarks.

A control gets no patient's verdict: ``CONTROL_ODD`` if it holds what no other control shows, ``NOT_EVALUABLE`` if it
failed or there are no others to compare it with, else ``CONTROL_CLEAN``.

``INDETERMINATE`` means that it is not known whether leukaemia is there. Its first reason is the one that decided, and
``question`` is the question whose answer ends the doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowmrd import units
from flowmrd.flags import ODD_IN_CONTROLS, Flag, by_rank, flag
from flowmrd.mrd.limits import Limits, may_hold
from flowmrd.mrd.result import Verdict, VerdictClass

NOTHING_TO_COMPARE: Final = frozenset({"NO_CONTROLS", "ONE_CONTROL"})
"""Doubts that are no finding about a control itself."""
PHENOTYPE_UNKNOWN: Final = frozenset({"different_from_normal", "library"})
"""Modes in which the patient's own leukaemia is not known: leukaemia like regular precursors is not excluded."""


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
    recovery
        Smallest part of the patient's own cells that may be counted, by the spiked ones; None where the phenotype is
        not known.
    kinds_missed
        Kinds of leukaemia that the spike-in did not find, where the patient's own is not known.
    failures, doubts, not_positive, blind_spots, not_sensitive, remarks
        Flags by their effect (:class:`flowmrd.flags.Effect`): failure, doubt, no_positive, no_negative, not_sensitive,
        and the rest.
    role
        ``followup``, ``diagnosis`` or ``control``.
    laip_found
        Whether this diagnosis tube gave the patient's phenotype.
    oddities
        Findings that only this control has.
    phenotype_unknown
        Whether leukaemia of any kind was searched for, because there is no diagnosis tube.
    counted_by_reviewer
        Whether a reviewer called a group of this tube leukaemia.
    """

    mrd_events: int
    denominator: int
    interval: tuple[float, float] | None
    limits: Limits | None
    target: float
    spike_in_detected: bool | None
    kinds_missed: Flag | None = None
    recovery: float | None = None
    failures: Sequence[Flag] = ()
    doubts: Sequence[Flag] = ()
    not_positive: Sequence[Flag] = ()
    blind_spots: Sequence[Flag] = ()
    not_sensitive: Sequence[Flag] = ()
    remarks: Sequence[Flag] = ()
    role: str = "followup"
    laip_found: bool = False
    oddities: Sequence[Flag] = ()
    phenotype_unknown: bool = False
    counted_by_reviewer: bool = False

    @property
    def notes(self) -> tuple[Flag, ...]:
        """Flags that are reported with any answer."""
        return (*by_rank([*self.not_positive, *self.blind_spots, *self.not_sensitive]), *self.remarks)

    @property
    def fraction(self) -> float:
        """Point estimate."""
        return self.mrd_events / self.denominator


def decide(evidence: Evidence) -> Verdict:
    """Apply the rules in order and collect the reasons.

    Parameters
    ----------
    evidence
        Counts, limits and flags of one tube.

    Returns
    -------
    Verdict
        At least one reason; a question where the class is ``INDETERMINATE``.
    """
    if evidence.failures or evidence.denominator == 0 or evidence.interval is None:
        reasons = by_rank(evidence.failures) or [flag("NO_DENOMINATOR")]
        return _verdict(VerdictClass.NOT_EVALUABLE, None, (*reasons, *by_rank(evidence.doubts), *evidence.notes))
    if evidence.role == "control":
        return _control(evidence)
    doubts = by_rank(evidence.doubts)
    if evidence.limits is None:
        return _indeterminate((*(doubts or [flag("BACKGROUND_UNKNOWN")]), *evidence.notes))
    detected = evidence.mrd_events >= evidence.limits.detect_events
    if evidence.role == "diagnosis" and evidence.laip_found:
        if not detected:
            lost = flag("DIAGNOSIS_NOT_COUNTED", events=evidence.mrd_events)
            return _indeterminate((lost, *doubts, *evidence.notes))
        return _detected(evidence, evidence.limits, evidence.interval, (*doubts, *evidence.notes))
    if doubts:
        return _indeterminate((*doubts, *evidence.notes))
    if not detected:
        return _not_detected(evidence, evidence.limits)
    not_positive = [*evidence.not_positive, *_antibodies_at_fault(evidence)]
    if not_positive:
        first = by_rank(not_positive)
        return _indeterminate((*first, *(note for note in evidence.notes if note not in first)))
    return _detected(evidence, evidence.limits, evidence.interval, evidence.notes)


def _antibodies_at_fault(evidence: Evidence) -> list[Flag]:
    """Antibodies that may have made the counted cells: without them normal cells have another phenotype.

    An absent antibody takes its marker from normal cells, so they can lie where the leukaemia of this patient does.
    Where no phenotype is known, cells are counted because they are unlike normal; an antibody that no cell verifies is
    enough, and so is a marker that the controls have and the tube lacks. A reviewer who calls the cells leukaemia has
    answered the question.
    """
    if evidence.counted_by_reviewer:
        return []
    codes = {"ANTIBODY_ABSENT"}
    if not evidence.laip_found:
        codes |= {"ANTIBODY_NOT_VERIFIED", "ANTIBODY_NOT_SHOWN", "MARKER_MISSING", "CD19_NOT_MEASURED"}
    return [item for item in (*evidence.blind_spots, *evidence.remarks) if item.code in codes]


def _control(evidence: Evidence) -> Verdict:
    """A control is compared with the other controls, and its cells are nobody's MRD.

    The same findings make it odd as for :func:`flowmrd.classifier.control_judgement.judge_control`.
    """
    doubts = [item for item in evidence.doubts if item.code not in NOTHING_TO_COMPARE]
    other_cells = [item for item in evidence.blind_spots if item.code in ODD_IN_CONTROLS]
    odd = by_rank([*evidence.oddities, *doubts, *other_cells])
    if odd:
        return _verdict(VerdictClass.CONTROL_ODD, None, (*odd, *evidence.notes))
    if evidence.limits is None:
        unknown = by_rank(evidence.doubts) or [flag("BACKGROUND_UNKNOWN")]
        return _verdict(VerdictClass.NOT_EVALUABLE, None, (*unknown, *evidence.notes))
    if evidence.mrd_events >= evidence.limits.detect_events:
        called = flag("CONTROL_HAS_CELLS", events=evidence.mrd_events, limit=evidence.limits.detect_events - 1)
        return _verdict(VerdictClass.CONTROL_ODD, None, (called, *evidence.notes))
    clean = flag("CONTROL_LIKE_OTHERS", events=evidence.mrd_events, limit=evidence.limits.detect_events - 1)
    return _verdict(VerdictClass.CONTROL_CLEAN, None, (clean, *evidence.notes))


def _not_detected(evidence: Evidence, limits: Limits) -> Verdict:
    if evidence.mrd_events >= limits.min_detect_events:
        # The background of a few bad controls must not hide cells that the counting rule would call detected.
        hidden = flag("WITHIN_BACKGROUND", events=evidence.mrd_events, limit=limits.lob_events)
        return _indeterminate((hidden, *evidence.notes))
    if evidence.blind_spots:
        first = by_rank(evidence.blind_spots)
        return _indeterminate((*first, *(note for note in evidence.notes if note not in first)))
    part = 1.0 if evidence.recovery is None else evidence.recovery
    if evidence.mrd_events and may_hold(evidence.mrd_events, limits.detect_events, part):
        facts = {"events": evidence.mrd_events, "least": limits.detect_events, "part": part}
        return _indeterminate((flag("NEAR_DETECTION", **facts), *evidence.notes))
    reasons: list[Flag] = []
    if limits.lod95 > evidence.target:
        reasons.append(_too_few_events(evidence, limits))
    if evidence.spike_in_detected is None:
        reasons.append(flag("SPIKE_IN_NOT_TRIED"))
    elif not evidence.spike_in_detected:
        reasons.append(evidence.kinds_missed or flag("SPIKE_IN_MISSED"))
    reasons += evidence.not_sensitive
    if reasons:
        rest = (note for note in evidence.notes if note not in reasons)
        return _verdict(VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY, None, (*by_rank(reasons), *rest))
    found = flag(
        "BELOW_DETECTION", events=evidence.mrd_events, least=limits.detect_events, lod95=units.level(limits.lod95)
    )
    partial = [] if evidence.kinds_missed is None else [evidence.kinds_missed]
    if evidence.phenotype_unknown:
        partial.append(flag("PRECURSOR_LIKE_NOT_EXCLUDED"))
    return _verdict(VerdictClass.NEGATIVE, True, (found, *partial, *evidence.notes))


def _detected(evidence: Evidence, limits: Limits, interval: tuple[float, float], notes: Sequence[Flag]) -> Verdict:
    (low, high), said = interval, dict(zip(("low", "high"), units.ends(interval), strict=True))
    straddles = low < evidence.target <= high
    sensitive = limits.lod95 <= evidence.target
    whole = sensitive and evidence.spike_in_detected is True and not (*evidence.blind_spots, *evidence.not_sensitive)
    negative: bool | None = None
    if low >= evidence.target:
        negative = False
    elif not straddles and whole:
        negative = True
    reasons: list[Flag] = []
    if evidence.mrd_events < limits.quantify_events:
        kind = VerdictClass.DETECTED_NOT_QUANTIFIABLE
        reasons.append(
            flag(
                "BELOW_QUANTIFICATION",
                events=evidence.mrd_events,
                least=limits.detect_events,
                quantify=limits.quantify_events,
            )
        )
    else:
        above = evidence.fraction >= evidence.target
        kind = VerdictClass.POSITIVE if above else VerdictClass.POSITIVE_BELOW_THRESHOLD
        reasons.append(flag("QUANTIFIED", events=evidence.mrd_events, denominator=evidence.denominator, **said))
    if straddles:
        reasons.append(flag("INTERVAL_STRADDLES_THRESHOLD", target=units.level(evidence.target, 1), **said))
    if not sensitive and low < evidence.target:
        reasons.append(_too_few_events(evidence, limits))
    return _verdict(kind, negative, (*reasons, *notes))


def _too_few_events(evidence: Evidence, limits: Limits) -> Flag:
    return flag(
        "TOO_FEW_EVENTS",
        events=evidence.denominator,
        lod95=units.level(limits.lod95),
        target=units.level(evidence.target, 1),
    )


def _indeterminate(reasons: Sequence[Flag]) -> Verdict:
    """The first reason decided; its question is the one to answer."""
    return _verdict(VerdictClass.INDETERMINATE, None, reasons, question=reasons[0].kind.question)


def _verdict(
    kind: VerdictClass, negative: bool | None, reasons: Sequence[Flag], question: str | None = None
) -> Verdict:
    return Verdict(class_=kind, mrd_negative=negative, question=question, reasons=tuple(dict.fromkeys(reasons)))

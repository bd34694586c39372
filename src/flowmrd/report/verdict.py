"""The verdict in the words of a clinician.

Class wording follows the ELN 2024 recommendations for adult ALL (Gökbuget et al., Blood 2024; the same table stands in
PMC8824253): "MRD-negative with a minimum sensitivity of 0.01 %" and "negative with insufficient sensitivity" are
different answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowmrd.flags import Effect
from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.report import formatting


@dataclass(frozen=True)
class Wording:
    """How a verdict is said.

    Attributes
    ----------
    tone
        ``pass``, ``warn``, ``fail``, ``info`` or ``none``: sign and colour of the banner.
    headline, sentence
        The answer, and what it rests on.
    eln
        Class of the ELN 2024 recommendations, empty where they do not apply.
    """

    tone: str
    headline: str
    sentence: str
    eln: str


SHORT: Final = {
    VerdictClass.NEGATIVE: ("pass", "MRD negative"),
    VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY: ("warn", "Not detected, sensitivity insufficient"),
    VerdictClass.DETECTED_NOT_QUANTIFIABLE: ("fail", "MRD detected, not quantifiable"),
    VerdictClass.POSITIVE_BELOW_THRESHOLD: ("warn", "MRD positive below target"),
    VerdictClass.POSITIVE: ("fail", "MRD positive"),
    VerdictClass.INDETERMINATE: ("warn", "Indeterminate"),
    VerdictClass.NOT_EVALUABLE: ("none", "Not evaluable"),
    VerdictClass.CONTROL_CLEAN: ("none", "Control like the others"),
    VerdictClass.CONTROL_ODD: ("warn", "Odd control"),
}
"""Tone and short words of every class, for tables."""


def wording(result: MrdResult) -> Wording:
    """Say the verdict of one tube, for what the tube is: a control or a diagnosis has no MRD."""
    said = _wording(result)
    if result.role == "control":
        return Wording(said.tone, f"Control tube: {said.headline}", said.sentence, "")
    if result.role == "diagnosis":
        if result.mrd.detected:
            sentence = "The leukaemic burden before therapy; this tube shows what the leukaemia looks like."
            headline = f"Leukaemia at diagnosis: {result.mrd.reported} of {result.denominator} cells"
            return Wording("info", headline, sentence, "")
        return Wording(said.tone, f"Diagnosis tube: {said.headline}", said.sentence, "")
    return said


def _wording(result: MrdResult) -> Wording:
    kind = result.verdict.class_
    tone = SHORT[kind][0]
    target = formatting.scientific(result.sensitivity.target)
    level = formatting.percent(result.mrd.fraction)
    interval = span(result.mrd.ci95)
    events = formatting.count(result.counts.mrd_events)
    lod = formatting.scientific(result.sensitivity.lod95)
    of = f"of {result.denominator} cells"
    if kind is VerdictClass.NEGATIVE:
        few = f": {events} events, fewer than count as a detection" if result.counts.mrd_events else ""
        return Wording(
            tone,
            "MRD not detected",
            f"No residual leukaemia above the limit of detection{few}. With 95 % probability this tube would have "
            f"shown {lod} {of} or more; the target is {target}.",
            "Complete MRD response: MRD-negative with the required minimum sensitivity",
        )
    if kind is VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY:
        return Wording(
            tone,
            f"Not detected, but MRD at {target} is not excluded",
            f"This is not a negative result. The tube was not good enough to say “less than {target}” "
            f"(limit of detection {lod}).",
            "MRD negative with insufficient sensitivity (intermediate)",
        )
    if kind is VerdictClass.DETECTED_NOT_QUANTIFIABLE:
        return Wording(
            tone,
            "MRD detected, too few cells to quantify",
            f"{events} clustered leukaemic events, {level} {of} (95 % interval {interval}).",
            "MRD positive, not quantifiable (intermediate)",
        )
    if kind in {VerdictClass.POSITIVE, VerdictClass.POSITIVE_BELOW_THRESHOLD}:
        below = kind is VerdictClass.POSITIVE_BELOW_THRESHOLD
        if straddles(result):
            where = f"contains {target}: above or below it is not certain"
            eln = (
                f"MRD positive, quantifiable; {'below' if below else 'at or above'} {target} by the point estimate only"
            )
        elif below:
            where, eln = f"lies below {target}", f"MRD positive, quantifiable below {target} (intermediate)"
        else:
            where, eln = f"lies above {target}", f"MRD failure (positive at or above {target})"
        return Wording(
            tone,
            f"MRD positive below {target}: {level}" if below else f"MRD positive: {level}",
            f"{events} leukaemic events, {level} {of}; the 95 % interval ({interval}) {where}.",
            eln,
        )
    if kind is VerdictClass.CONTROL_CLEAN:
        return Wording(tone, "like the other controls", f"{_because(result)}", "")
    if kind is VerdictClass.CONTROL_ODD:
        return Wording(
            tone,
            "unlike the other controls",
            f"{_because(result)} The laboratory decides whether it stays among the controls.",
            "",
        )
    if kind is VerdictClass.INDETERMINATE:
        reasons = result.verdict.reasons
        if not result.counts.mrd_events:
            counted = "No event was called leukaemic, but leukaemic cells may have been overlooked."
        elif reasons and reasons[0].effect is Effect.NO_NEGATIVE:
            counted = f"{events} events were called leukaemic, too few to count, and others may have been overlooked."
        else:
            counted = f"{events} events look leukaemic, but the count cannot be trusted."
        question = result.verdict.question
        return Wording(
            tone,
            f"Indeterminate: {question[0].lower()}{question[1:]}" if question else "Indeterminate",
            f"Neither positive nor negative. {counted} {_because(result)}",
            "No class can be given",
        )
    return Wording(
        tone,
        "Not evaluable",
        f"This is not a negative result: the tube failed a condition for any answer. {_because(result)}",
        "No class can be given",
    )


def _because(result: MrdResult) -> str:
    """The reason that decided, in its own words."""
    reasons = result.verdict.reasons
    return formatting.clip(formatting.readable(reasons[0].message), 240) if reasons else ""


ROLE_NOTES: Final = {
    "control": "It was judged by a reference built without it and compared with the other controls; it has no MRD.",
    "diagnosis": "",
    "followup": "",
}
"""What the role of a tube changes about reading its verdict."""


def trial_flag(result: MrdResult) -> tuple[str, str] | None:
    """Tone and words of the trial's own question; None for tubes it is not asked of."""
    if result.role != "followup":
        return None
    target = formatting.scientific(result.sensitivity.target)
    if result.verdict.mrd_negative is None:
        return "warn", f"MRD < {target}: cannot be told"
    return ("pass", f"MRD < {target}: yes") if result.verdict.mrd_negative else ("fail", f"MRD < {target}: no")


def span(interval: tuple[float, float] | None) -> str:
    """An interval of fractions as percentages, with digits enough to tell its ends from each other."""
    if interval is None:
        return formatting.NOT_AVAILABLE
    for digits in (2, 3, 4):
        low, high = (formatting.percent(end, digits) for end in interval)
        if low != high:
            break
    return f"{low} to {high}"


def level(result: MrdResult) -> str:
    """The level as it is reported: below the limit of detection where nothing was detected."""
    return result.mrd.reported


def short(result: MrdResult) -> tuple[str, str]:
    """Tone and words for a table; at diagnosis leukaemia is no alarm, and in a control it is background."""
    kind = result.verdict.class_
    if result.role == "diagnosis" and result.mrd.detected:
        return "info", "Leukaemia"
    return SHORT[kind]


def sensitivity_words(result: MrdResult) -> list[tuple[str, str]]:
    """The two halves of the sensitivity check as (tone, sentence)."""
    facts = result.sensitivity
    target = formatting.scientific(facts.target)
    lines: list[tuple[str, str]] = []
    if facts.lod95 is None:
        lines.append(("warn", "By counting: the limit of detection is not known, because no background rate is."))
    elif facts.lod95 <= facts.target:
        lines.append(
            (
                "pass",
                f"By counting: the 95 %-power limit of detection {formatting.scientific(facts.lod95)} is at or "
                f"below {target}.",
            )
        )
    else:
        lines.append(
            (
                "fail",
                f"By counting: the 95 %-power limit of detection {formatting.scientific(facts.lod95)} is "
                f"above {target}.",
            )
        )
    spike = facts.spike_in
    if spike is None:
        lines.append(("warn", "By experiment: no cells could be spiked into this tube in silico."))
    else:
        tried = "kinds of leukaemia" if spike.kinds else "replicates"
        share = f"{spike.detected_replicates} of {spike.replicates} {tried}"
        found = f"{formatting.number(spike.recovered)} of {formatting.number(spike.expected)} spiked cells "
        "recovered on average"
        source = {"patient": "this patient's diagnosis", "library": "other leukaemias", "simulated": "a simulation"}
        origin = source.get(spike.source, spike.source)
        lines.append(
            (
                "pass" if spike.detected else "fail",
                f"By experiment: cells of {origin} put into a copy of this tube at "
                f"{formatting.scientific(spike.level)} were {'detected' if spike.detected else 'missed'} "
                f"({share}; {found}).",
            )
        )
    return lines


def summary_line(result: MrdResult, first_step: str) -> str:
    """The whole answer in one line, for the page's description."""
    said = wording(result)
    return f"{said.headline}. {said.sentence} {first_step}".strip()


def review_state(signatures: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Tone and words of where the review of the result stands, for the top of its page.

    Parameters
    ----------
    signatures
        Entries of :func:`flowmrd.review.signatures_of`.
    """
    decisions = [entry for entry in signatures if entry["decision"] != "comment"]
    if not decisions:
        return "none", "Review: commented, not decided" if signatures else "Review: not reviewed yet"
    entry = decisions[-1]
    who = formatting.clip(entry["name"], 60)
    if not entry["valid"]:
        return "warn", f"Review by {who} is void: {entry['reason']}"
    tone, said = ("pass", "accepted") if entry["decision"] == "accept" else ("fail", "rejected")
    return tone, f"Review: {said} by {who}"


def straddles(result: MrdResult) -> bool:
    """Whether the 95 % interval holds the target."""
    return "INTERVAL_STRADDLES_THRESHOLD" in {reason.code for reason in result.verdict.reasons}


def is_result(result: MrdResult) -> bool:
    """Whether the fraction may be read as an answer; otherwise it is only what was counted."""
    return result.mrd.detected or result.verdict.class_ is VerdictClass.NEGATIVE

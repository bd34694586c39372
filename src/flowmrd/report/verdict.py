"""The verdict in the words of a clinician, and what to do next.

Class wording follows the ELN 2024 recommendations for adult ALL (Gökbuget et al., Blood 2024; the same table stands in
PMC8824253): "MRD-negative with a minimum sensitivity of 0.01 %" and "negative with insufficient sensitivity" are
different answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.report import words


@dataclass(frozen=True)
class Wording:
    """How a verdict is said.

    Attributes
    ----------
    tone
        ``pass``, ``warn``, ``fail`` or ``info``: sign and colour of the banner.
    headline, sentence
        The answer, and what it rests on.
    eln
        Class of the ELN 2024 recommendations, where it applies.
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
}
"""Tone and short words of every class, for tables."""


def wording(result: MrdResult) -> Wording:
    """Say the verdict of one tube."""
    kind = result.verdict.class_
    tone = SHORT[kind][0]
    target = words.scientific(result.sensitivity.target)
    level = words.percent(result.mrd.fraction)
    interval = span(result.mrd.ci95)
    events = words.count(result.counts.mrd_events)
    lod = words.scientific(result.sensitivity.lod95)
    of = f"of {result.denominator} cells"
    if kind is VerdictClass.NEGATIVE:
        return Wording(
            tone,
            "MRD not detected",
            f"No residual leukaemia above the limit of detection. With 95 % probability this tube would have shown "
            f"{lod} {of} or more; the target is {target}.",
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
    if kind is VerdictClass.POSITIVE_BELOW_THRESHOLD:
        return Wording(
            tone,
            f"MRD positive below {target}: {level}",
            f"{events} leukaemic events, {level} {of}; the whole 95 % interval ({interval}) lies below {target}.",
            "MRD positive, quantifiable below 10⁻⁴ (intermediate)",
        )
    if kind is VerdictClass.POSITIVE:
        return Wording(
            tone,
            f"MRD positive: {level}",
            f"{events} leukaemic events, {level} {of}; the whole 95 % interval ({interval}) lies above {target}.",
            "MRD failure (positive at or above 10⁻⁴)",
        )
    if kind is VerdictClass.INDETERMINATE:
        codes = {reason.code for reason in result.verdict.reasons}
        if "INTERVAL_STRADDLES_THRESHOLD" in codes:
            return Wording(
                tone,
                f"MRD detected; above or below {target} cannot be told",
                f"{events} leukaemic events, {level} {of}; the 95 % interval ({interval}) contains {target}.",
                "MRD positive, side of the threshold not established",
            )
        return Wording(
            tone,
            "Indeterminate: neither positive nor negative",
            "Something makes the count untrustworthy in both directions; see the reasons.",
            "No class can be given",
        )
    return Wording(
        tone,
        "Not evaluable",
        "The tube failed a condition for any answer. This is not a negative result.",
        "No class can be given",
    )


ROLE_NOTES: Final = {
    "control": "This is a control tube. It was judged by a reference built without it; events called MRD here are "
    "background.",
    "diagnosis": "This is a diagnosis tube: the fraction is the leukaemic burden, not residual disease.",
    "followup": "",
}
"""What the role of a tube changes about reading its verdict."""


def trial_flag(result: MrdResult) -> tuple[str, str]:
    """Tone and words of the trial's own question."""
    target = words.scientific(result.sensitivity.target)
    if result.verdict.mrd_negative is None:
        return "warn", f"MRD < {target}: cannot be told"
    return ("pass", f"MRD < {target}: yes") if result.verdict.mrd_negative else ("fail", f"MRD < {target}: no")


def span(interval: tuple[float, float] | None) -> str:
    """An interval of fractions as percentages."""
    if interval is None:
        return words.NOT_AVAILABLE
    return f"{words.percent(interval[0])} to {words.percent(interval[1])}"


def sensitivity_words(result: MrdResult) -> list[tuple[str, str]]:
    """The two halves of the sensitivity check as (tone, sentence)."""
    facts = result.sensitivity
    target = words.scientific(facts.target)
    lines: list[tuple[str, str]] = []
    if facts.lod95 is None:
        lines.append(("warn", "By counting: the limit of detection is not known, because no background rate is."))
    elif facts.lod95 <= facts.target:
        lines.append(
            (
                "pass",
                f"By counting: the 95 %-power limit of detection {words.scientific(facts.lod95)} is at or "
                f"below {target}.",
            )
        )
    else:
        lines.append(
            (
                "fail",
                f"By counting: the 95 %-power limit of detection {words.scientific(facts.lod95)} is above {target}.",
            )
        )
    spike = facts.spike_in
    if spike is None:
        lines.append(("warn", "By experiment: no cells could be spiked into this tube in silico."))
    else:
        share = f"{spike.detected_replicates} of {spike.replicates} replicates"
        found = f"{words.number(spike.recovered)} of {words.number(spike.expected)} spiked cells recovered on average"
        source = {"patient": "this patient's diagnosis", "library": "other leukaemias", "simulated": "a simulation"}
        origin = source.get(spike.source, spike.source)
        lines.append(
            (
                "pass" if spike.detected else "fail",
                f"By experiment: cells of {origin} put into a copy of this tube at "
                f"{words.scientific(spike.level)} were {'detected' if spike.detected else 'missed'} "
                f"({share}; {found}).",
            )
        )
    return lines


_STEPS: Final = {
    "BACKGROUND_UNKNOWN": "Run at least three control marrows with this panel; without them "
    "no limit of detection is known.",
    "SPIKE_IN_MISSED": "Do not report a negative. Look at the MRD plots for a region where leukaemic and normal cells "
    "overlap; repeat with a fresh sample.",
    "SPIKE_IN_NOT_TRIED": "Acquire a diagnosis tube, or build a library, so that the spike-in check can be run.",
    "INTERVAL_STRADDLES_THRESHOLD": "Repeat the marrow in 2 to 4 weeks, or acquire more events of the same sample to "
    "narrow the interval.",
    "BELOW_QUANTIFICATION": "Report as detected, not quantifiable; confirm the cluster by back-gating and repeat in "
    "2 to 4 weeks.",
    "NO_DENOMINATOR": "Look at the first gate plots: no event passed them. Check panel, compensation and the file.",
}


def next_steps(result: MrdResult) -> list[str]:
    """What the reader can do, most useful first."""
    steps: list[str] = []
    facts, codes = result.sensitivity, [reason.code for reason in result.verdict.reasons]
    have = int(getattr(result.counts, result.denominator))
    if facts.lod95 is not None and facts.lod95 > facts.target:
        if facts.events_needed is None:
            steps.append(
                "More events alone will not reach the target: the background of the controls is too high for it. "
                "Lower the background (more controls, cleaner staining)."
            )
        elif facts.events_needed > have:
            steps.append(
                f"Acquire at least {words.count(facts.events_needed - have)} more {result.denominator} events of "
                f"this sample (now {words.count(have)}, needed {words.count(facts.events_needed)}), or repeat "
                "the marrow."
            )
    steps += [_STEPS[code] for code in codes if code in _STEPS]
    kind = result.verdict.class_
    if kind is VerdictClass.NOT_EVALUABLE and not steps:
        steps.append("Correct what the reasons name and repeat the tube; do not report this one.")
    if kind is VerdictClass.INDETERMINATE and not steps:
        steps.append("Let a second reviewer gate the tube by hand, and repeat the marrow in 2 to 4 weeks.")
    if kind in {VerdictClass.POSITIVE, VerdictClass.POSITIVE_BELOW_THRESHOLD}:
        steps.append(
            "Confirm by back-gating that the MRD cells form one cluster away from normal precursors, then sign."
        )
    if kind is VerdictClass.NEGATIVE:
        steps.append("Check the quality section and the gate plots, then sign.")
    return list(dict.fromkeys(steps))


def summary_line(result: MrdResult, steps: Sequence[str]) -> str:
    """The whole answer in one line, for the page's description."""
    said = wording(result)
    return f"{said.headline}. {said.sentence} {steps[0] if steps else ''}".strip()


def detected(result: MrdResult) -> bool:
    """Whether MRD was detected, by the tube's own limit."""
    kind = result.verdict.class_
    if kind in {VerdictClass.POSITIVE, VerdictClass.POSITIVE_BELOW_THRESHOLD, VerdictClass.DETECTED_NOT_QUANTIFIABLE}:
        return True
    codes = {reason.code for reason in result.verdict.reasons}
    return kind is VerdictClass.INDETERMINATE and "INTERVAL_STRADDLES_THRESHOLD" in codes

"""The verdict in the words of a clinician.

Class wording follows the ELN 2024 recommendations for adult ALL (Gökbuget et al., Blood 2024; the same table stands in
PMC8824253): "MRD-negative with a minimum sensitivity of 0.01 %" and "negative with insufficient sensitivity" are
different answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flowmrd import units
from flowmrd.flags import REGISTRY, Effect
from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.records.classification import SPIKE_IN_STEPS
from flowmrd.report import formatting
from flowmrd.report.carry_over import Arrival
from flowmrd.report.page_inputs import PageInputs


@dataclass(frozen=True)
class VerdictInWords:
    """A verdict in words.

    Attributes
    ----------
    tone
        ``pass``, ``warn``, ``fail``, ``info`` or ``none``: sign and colour of the banner.
    headline, sentence
        The answer, and the facts on which it rests.
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
    VerdictClass.CONTROL_CLEAN: ("pass", "Control like the others"),
    VerdictClass.CONTROL_ODD: ("warn", "Odd control"),
}
"""Tone and short words of every class, for tables."""


def wording(result: MrdResult) -> VerdictInWords:
    """The verdict of one tube in words, by the role of the tube; a control or diagnosis tube has no MRD.

    A follow-up's banner has one of four forms: not detected (with the limit of detection), below the limit of detection
    (with the count), detected (with percentage and interval), not answered (with the one question).
    """
    said = _wording(result)
    called = [reason.message for reason in result.verdict.reasons if reason.code == "CALLED_BY_REVIEWER"]
    return replace(said, sentence=" ".join([said.sentence, *(formatting.clip(text, 400) for text in called)]))


def _wording(result: MrdResult) -> VerdictInWords:
    """The same, before reviewers' calls."""
    kind = result.verdict.class_
    if result.role == "control":
        return _of_control(result)
    if kind is VerdictClass.NOT_EVALUABLE:
        return VerdictInWords(
            "none", "Not evaluable", f"The tube failed a condition for any answer. {_because(result)}", NO_CLASS
        )
    if result.role == "diagnosis":
        return _of_diagnosis(result)
    if result.mrd.detected:
        return _detected(result)
    if kind is VerdictClass.INDETERMINATE:
        return _not_answered(result)
    return _not_detected(result)


NO_CLASS: Final = "no class"
"""ELN chip where the recommendations give no class."""


def _of_control(result: MrdResult) -> VerdictInWords:
    kind = result.verdict.class_
    if finding := _finding(result):
        return VerdictInWords("warn", "Control with a finding", f"{_because(result)} {finding}", "")
    if kind is VerdictClass.CONTROL_CLEAN:
        return VerdictInWords("pass", "Control: like the other controls", _because(result), "")
    if kind is VerdictClass.CONTROL_ODD:
        sentence = f"{_because(result)} The laboratory decides whether it stays among the controls."
        return VerdictInWords("warn", "Odd control: unlike the others", sentence, "")
    return VerdictInWords(SHORT[kind][0], "Control: not judged", _because(result), "")


def _finding(result: MrdResult) -> str:
    """What a reviewer must look at in a control whose cells are those of the others; empty where there is nothing.

    Such a finding (a shifted colour) would rule out a negative answer of a patient's tube.
    """
    if result.verdict.class_ is not VerdictClass.CONTROL_CLEAN:
        return ""
    found = [
        reason
        for reason in result.verdict.reasons
        if (kind := REGISTRY.get(reason.code)) is not None
        and kind.effect is Effect.NO_NEGATIVE
        and result.role in kind.roles
    ]
    return formatting.clip(formatting.readable(found[0].message), 400) if found else ""


def _of_diagnosis(result: MrdResult) -> VerdictInWords:
    events = formatting.count(result.counts.mrd_events)
    if result.mrd.detected:
        sentence = (
            f"{events} events, {span(result.mrd.ci95)} of {result.denominator} cells (95 % interval). "
            "Follow-up tubes are searched for this phenotype."
        )
        return VerdictInWords("info", f"Leukaemia at diagnosis: {result.mrd.reported}", sentence, "")
    question = result.verdict.question or "What does this patient's leukaemia look like?"
    return VerdictInWords("warn", "Diagnosis: leukaemia not established", f"{question} {_because(result)}", "")


def _detected(result: MrdResult) -> VerdictInWords:
    kind = result.verdict.class_
    target = formatting.level(result.sensitivity.target, 1)
    few = kind is VerdictClass.DETECTED_NOT_QUANTIFIABLE
    needed = result.sensitivity.quantify_events
    sentence = (
        f"{formatting.count(result.counts.mrd_events)} clustered events; 95 % interval {span(result.mrd.ci95)} of "
        f"{result.denominator} cells"
    )
    negative = result.verdict.mrd_negative
    side = {True: f"below {target}", False: f"at or above {target}", None: f"either side of {target} is possible"}
    sentence += f"; {side[negative]}."
    if few:
        enough = f" of {needed}" if needed else ""
        sentence += f" Fewer events than the limit of quantification{enough} asks for: the percentage is approximate."
        eln = "intermediate (positive, not quantifiable)"
    elif kind is VerdictClass.POSITIVE_BELOW_THRESHOLD:
        eln = f"intermediate (positive below {target})" if negative else "positive, side of the threshold open"
    else:
        eln = (
            f"MRD failure (positive at or above {target})"
            if negative is False
            else ("positive, side of the threshold open")
        )
    about = "about " if few else ""
    return VerdictInWords(SHORT[kind][0], f"MRD detected: {about}{result.mrd.reported}", sentence, eln)


def _not_detected(result: MrdResult) -> VerdictInWords:
    events, facts = result.counts.mrd_events, result.sensitivity
    target = formatting.level(facts.target, 1)
    sensitive = result.verdict.class_ is VerdictClass.NEGATIVE
    limit = f"Limit of detection {formatting.level(facts.lod95)}, 95 % power."
    if events:
        headline = f"Below the limit of detection: {result.mrd.reported}"
        limit = (
            f"{formatting.count(events)} clustered event{'' if events == 1 else 's'}, fewer than the "
            f"{formatting.count(facts.detect_events)} that count as a detection. {limit}"
        )
    else:
        headline = f"MRD not detected: {result.mrd.reported}"
    if sensitive:
        eln = "complete MRD response (none detected, required sensitivity reached)"
        if events:
            eln = "complete MRD response (below the limit of detection, required sensitivity reached)"
        return VerdictInWords("warn" if events else "pass", headline, limit, eln)
    headline = f"Not detected, sensitivity insufficient: {result.mrd.reported}"
    missing = f" MRD at {target} is not excluded: {_too_few_events(result) or _because(result)}"
    return VerdictInWords("warn", headline, limit + missing, "intermediate (sensitivity insufficient)")


EVIDENT: Final = 0.01
"""Fraction from which leukaemia is evident although nothing validates the figure (a display choice)."""


def _not_answered(result: MrdResult) -> VerdictInWords:
    code = result.verdict.reasons[0].code if result.verdict.reasons else ""
    if code in {"NO_CONTROLS", "ONE_CONTROL", "BACKGROUND_UNKNOWN"} and (result.mrd.fraction or 0.0) >= EVIDENT:
        return VerdictInWords(
            "warn",
            f"Leukaemia evident, about {formatting.percent(result.mrd.fraction)}: not validated",
            f"{formatting.count(result.counts.mrd_events)} events look leukaemic. {_because(result)}",
            NO_CLASS,
        )
    events = result.counts.mrd_events
    counted = (
        f"{formatting.count(events)} event{' was' if events == 1 else 's were'} counted; the count is not a result."
        if events
        else "No event was counted, and leukaemia may have been overlooked."
    )
    question = result.verdict.question or "is leukaemia there?"
    headline = (
        f"Not answered: {question[:1].lower()}{question[1:]}"
        if question[1:2].islower()
        else f"Not answered: {question}"
    )
    return VerdictInWords("warn", headline, f"{counted} {_because(result)}", NO_CLASS)


def _because(result: MrdResult) -> str:
    """The reason that decided, in its own words."""
    reasons = result.verdict.reasons
    return formatting.clip(formatting.readable(reasons[0].message), 400) if reasons else ""


def _too_few_events(result: MrdResult) -> str:
    """The sentence about too few events, where these alone explain that the spike-in was not detected; else empty."""
    if not spike_in_too_small(result):
        return ""
    reasons = result.verdict.reasons
    return next((formatting.readable(reason.message) for reason in reasons if reason.code == "TOO_FEW_EVENTS"), "")


KEPT: Final = 0.5
"""Share of the spiked cells that must have been found for the size of the tube alone to explain a failed spike-in."""


def spike_in_too_small(result: MrdResult) -> bool:
    """Whether the spike-in failed because the tube is small: its spiked cells were found, and are fewer than count as a
    detection.
    """
    facts, spike = result.sensitivity, result.sensitivity.spike_in
    if spike is None or spike.detected or facts.detect_events is None:
        return False
    return spike.expected < facts.detect_events and spike.recovered >= KEPT * spike.expected


ROLE_NOTES: Final = {
    "control": "It was judged by a reference built without it and compared with the other controls; it has no MRD.",
    "diagnosis": "",
    "followup": "",
}
"""How the role of a tube changes the reading of its verdict."""


def trial_flag(result: MrdResult) -> tuple[str, str] | None:
    """Tone and words of the answer to the trial's question; None for tubes to which it does not apply."""
    if result.role != "followup":
        return None
    target = formatting.level(result.sensitivity.target, 1)
    if result.verdict.mrd_negative is None:
        return "warn", f"MRD < {target}: not assessable"
    return ("pass", f"MRD < {target}: yes") if result.verdict.mrd_negative else ("fail", f"MRD < {target}: no")


def span(interval: tuple[float, float] | None) -> str:
    """An interval of fractions as percentages, with enough digits to show that its ends differ."""
    if interval is None:
        return formatting.NOT_AVAILABLE
    low, high = units.ends(interval)
    return f"{low} to {high}"


def level(result: MrdResult) -> str:
    """The level as it is reported: below the limit of detection where nothing was detected."""
    return result.mrd.reported


def short(result: MrdResult) -> tuple[str, str]:
    """Tone and words for a table. Leukaemia at diagnosis is no alarm, and in a control it is background."""
    kind = result.verdict.class_
    if result.role == "diagnosis" and result.mrd.detected:
        return "info", "Leukaemia"
    tone, words = SHORT[kind]
    if _finding(result):
        tone, words = "warn", "Control with a finding"
    if kind is VerdictClass.NEGATIVE and result.counts.mrd_events:
        tone, words = "warn", "MRD negative, cells below detection"
    if any(group.called_by == "reviewer" for group in result.groups):
        words += ", by reviewer"
    return tone, words


def sensitivity_state(result: MrdResult) -> tuple[str, str]:
    """Tone and words of the sensitivity check; plain "passed" only where nothing else casts doubt on the target."""
    if not result.sensitivity.achieved:
        return "fail", "not passed"
    blind = {Effect.FAILURE, Effect.DOUBT, Effect.NO_NEGATIVE, Effect.NOT_SENSITIVE}
    unanswered = result.verdict.class_ in {VerdictClass.INDETERMINATE, VerdictClass.NOT_EVALUABLE}
    effects = {REGISTRY[reason.code].effect for reason in result.verdict.reasons if reason.code in REGISTRY}
    short = result.verdict.class_ is VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY
    if short or (unanswered and effects & blind):
        return "warn", "reached, but see the reasons"
    return "pass", "passed"


def sensitivity_words(result: MrdResult) -> list[tuple[str, str]]:
    """The two halves of the sensitivity check as (tone, sentence)."""
    facts = result.sensitivity
    target = formatting.level(facts.target, 1)
    lines: list[tuple[str, str]] = []
    if facts.lod95 is None:
        lines.append(("warn", "Limit of detection unknown: no background rate of controls."))
    else:
        reached = facts.lod95 <= facts.target
        words = "reaches" if reached else "above"
        lines.append(
            (
                "pass" if reached else "fail",
                f"Limit of detection {formatting.level(facts.lod95)} (95 % power), {words} the target of {target}.",
            )
        )
    spike = facts.spike_in
    if spike is None:
        lines.append(("warn", "No in-silico spike-in for this tube."))
        return lines
    source = {"patient": "the patient's diagnosis", "library": "other leukaemias", "simulated": "simulated leukaemias"}
    recovered, expected = formatting.number(spike.recovered), formatting.number(spike.expected)
    lines.append(
        (
            "pass" if spike.detected else "fail",
            f"In-silico spike-in at {formatting.percent(spike.level, 1)} with cells of "
            f"{source.get(spike.source, spike.source)}: detected in {spike.detected_replicates} of {spike.replicates} "
            f"{'kinds of leukaemia' if spike.kinds else 'tubes'}; on average {recovered} cells counted, "
            f"{expected} expected.",
        )
    )
    if spike_in_too_small(result):
        enough = formatting.count(facts.detect_events)
        lines.append(("warn", f"The spiked cells are fewer than the {enough} that count as a detection."))
    lost = [step for step in spike.steps if step.spiked and step.kept < (1 - MUCH_LOST) * step.spiked]
    lines += [
        (
            "warn",
            f"The step '{SPIKE_IN_STEPS.get(step.step, step.step)}' lost {step.spiked - step.kept} of {step.spiked} "
            "spiked cells.",
        )
        for step in lost
    ]
    missed = Counter(kind.phenotype for kind in spike.kinds if kind.outcome == "missed")
    if missed and missed.total() == len(spike.kinds):
        lines.append(("warn", f"Every one of these {missed.total()} kinds of leukaemia would have been overlooked."))
    elif missed:
        # Kinds that differ in brightness alone have the same words.
        named = [f"{n} × {words}" if n > 1 else words for words, n in missed.items()]
        lines.append(("warn", f"Kinds of leukaemia that would have been overlooked: {'; '.join(named)}."))
    return lines


MUCH_LOST: Final = 0.1
"""Share of the spiked cells that a step may lose without being reported."""


def summary_line(result: MrdResult, first_step: str) -> str:
    """The whole answer in one line, for the page's description."""
    said = wording(result)
    return f"{said.headline}. {said.sentence} {first_step}".strip()


def review_state(signatures: Sequence[Mapping[str, object]], required: int = 1) -> tuple[str, str]:
    """Tone and words for the state of the result's review, shown at the top of its page.

    Parameters
    ----------
    signatures
        Entries of :func:`flowmrd.review.signatures_of`.
    required
        Number of different persons who must accept the result.
    """
    decisions = [entry for entry in signatures if entry["decision"] != "comment"]
    if not decisions:
        return "none", "Review: commented, not decided" if signatures else "Review: not reviewed yet"
    standing = [entry for entry in decisions if entry["valid"] and not entry.get("replaced_by")]
    if not standing:
        entry = decisions[-1]
        return "warn", f"Review by {formatting.clip(entry['name'], 60)} is void: {entry['reason']}"
    who = " and ".join(dict.fromkeys(formatting.clip(entry["name"], 60) for entry in standing))
    if any(entry["decision"] == "reject" for entry in standing):
        rejecting = [entry for entry in standing if entry["decision"] == "reject"]
        return "fail", f"Review: rejected by {formatting.clip(rejecting[-1]['name'], 60)}"
    if len(standing) < required:
        return "info", f"Review: signed by {who}, {required - len(standing)} more needed"
    return "pass", f"Review: accepted by {who}"


def rejected(signatures: Sequence[Mapping[str, object]]) -> str:
    """Name of the person who rejected the result; empty where no rejection is valid."""
    names = [
        entry["name"]
        for entry in signatures
        if entry["decision"] == "reject" and entry["valid"] and not entry.get("replaced_by")
    ]
    return formatting.clip(names[-1], 60) if names else ""


def straddles(result: MrdResult) -> bool:
    """Whether the 95 % interval holds the target."""
    return "INTERVAL_STRADDLES_THRESHOLD" in {reason.code for reason in result.verdict.reasons}


def is_result(result: MrdResult) -> bool:
    """Whether the fraction may be read as an answer; otherwise it is only a count."""
    return result.mrd.detected or result.verdict.class_ is VerdictClass.NEGATIVE


def banner_notes(
    inputs: PageInputs, *, arrival: Arrival | None, beyond: Sequence[str], carried: Sequence[str]
) -> list[tuple[str, str]]:
    """Further facts that the signer must see beside the verdict, as (sentence, id of the place on the page).

    Parameters
    ----------
    arrival
        When the MRD cells came during the run.
    beyond
        Channels beyond 3 SD of the controls.
    carried
        Sentences about carry-over from the tube before.
    """
    notes = [(sentence, "quality") for sentence in carried]
    if arrival is not None and arrival.uneven:
        notes.append((arrival.sentence(), "stability"))
    if beyond and inputs.result.role != "diagnosis":  # there the medians are those of the leukaemia
        notes.append((f"Beyond 3 SD of the controls: {', '.join(beyond)}.", "position"))
    drift = [entry.channel for entry in (() if inputs.qc is None else inputs.qc.time.drift)]
    if drift:
        notes.append((f"Drift during the run: {', '.join(drift)}.", "stability"))
    expiry = "" if inputs.sample is None else inputs.sample.expiry or ""
    acquired = "" if inputs.qc is None else inputs.qc.acquisition.date or ""
    if expiry and acquired[:10] > expiry[:10]:
        notes.append((f"A reagent had expired on {expiry[:10]}, before the tube was acquired ({acquired}).", "record"))
    odd = inputs.odd_controls
    if odd:
        notes.append((f"Odd control{'s' if len(odd) > 1 else ''} in this batch: {', '.join(odd)}.", "position"))
    return notes

"""What the reader of a result can do next, computed from the same facts as the verdict.

Every step names where on the page to look, so that a reviewer is one click from the plot that matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flowmrd.mrd.reasons import BLIND_SPOTS
from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.report import formatting
from flowmrd.report.verdict import straddles


@dataclass(frozen=True)
class Step:
    """One thing to do; ``place`` is what to look at (see :class:`Places`), empty where there is nothing on the page."""

    text: str
    place: str = ""


Places = Mapping[str, tuple[str, str]]
"""Name of a place (``mrd``, ``first``, ``time``, ``compensation``, ``controls``, ``gates``) to the id of the element
and its title."""

BY_CODE: Final = {
    "NO_DENOMINATOR": Step("No event passed the gates of the denominator: check panel, compensation, file.", "first"),
    "NO_NUCLEATED_CELLS": Step("No nucleated cell was found: check panel, compensation and the file.", "first"),
    "REQUIRED_GATE_UNAVAILABLE": Step("A gate that the result needs has no channel: check panel and file.", "first"),
    "TOO_FEW_EVENTS_ACQUIRED": Step("Acquire the tube again; this file holds too few events for any answer."),
    "TIME_UNSTABLE": Step("Acquire the tube again; look where the run was disturbed.", "time"),
    "NO_CONTROLS": Step(
        "Run at least three control marrows with this panel and build a reference; until then the count is provisional."
    ),
    "BACKGROUND_UNKNOWN": Step(
        "Run at least three control marrows with this panel; without them no limit of detection is known."
    ),
    "TUBE_UNLIKE_CONTROLS": Step(
        "The normal cells of this tube lie elsewhere than in the controls: check voltages, compensation and staining, "
        "then stain and acquire again. Cells that fit no normal population may be leukaemia: gate them by hand.",
        "controls",
    ),
    "PHENOTYPE_LIKE_NORMAL": Step(
        "Look whether such cells follow normal maturation. Stain a diagnosis tube if there is material; repeat the "
        "marrow in 2 to 4 weeks, or use another method (molecular MRD).",
        "mrd",
    ),
    "UNRESOLVED_CLUSTER": Step(
        "Gate by hand the group of cells that was not counted (A in the plots of the MRD cells): it may be leukaemia, "
        "or leukaemia that changed. Repeat the marrow in 2 to 4 weeks, or use another method (molecular MRD).",
        "mrd",
    ),
    "CD19_LOSS_UNSEEN": Step(
        "Stain a tube with CD22 and CD24, or use another method (molecular MRD): blasts without CD19 may be hidden.",
        "gates",
    ),
    "NO_LAIP": Step(
        "The diagnosis tube gave no phenotype to look for: gate it by hand, stain another specimen of the diagnosis, "
        "or use another method (molecular MRD)."
    ),
    "WITHIN_BACKGROUND": Step(
        "Controls show as many such events: look at them by hand, repeat the marrow in 2 to 4 weeks, and find out why "
        "the controls' background is high.",
        "mrd",
    ),
    "SPIKE_IN_MISSED": Step(
        "Do not report a negative. Look for a region where leukaemic and normal cells overlap; repeat with a fresh "
        "sample.",
        "mrd",
    ),
    "SPIKE_IN_NOT_TRIED": Step(
        "Acquire a diagnosis tube, or build a library of leukaemias, so that the spike-in check can be run."
    ),
    "EMPTY_WINDOW": Step("No cell lies in the B-lineage window: check the markers that open it.", "mrd"),
    "INTERVAL_STRADDLES_THRESHOLD": Step(
        "Acquire more events of the same sample to narrow the interval, or repeat the marrow in 2 to 4 weeks."
    ),
    "BELOW_QUANTIFICATION": Step(
        "Report as detected, not quantifiable. Confirm that the cells form one cluster away from normal precursors; "
        "repeat the marrow in 2 to 4 weeks.",
        "mrd",
    ),
    "SIGNAL_DRIFT": Step("A channel drifts over the run: look whether the MRD cells sit in one stretch of it.", "time"),
    "SIGNAL_SHIFT": Step("A channel jumps during the run: look whether the MRD cells sit in one stretch.", "time"),
    "TIME_DISTURBED": Step("Part of the run was disturbed and is masked: compare the result with it included.", "time"),
    "GATE_SHIFT_AT_BOUND": Step("Some gates could not follow this tube's cells all the way: check them.", "gates"),
    "GATES_SET_BY_HAND": Step("A reviewer placed gates by hand: check them and who did.", "gates"),
    "HIGH_BACKGROUND": Step(
        "Controls show many such cells: look at the charts of the controls, and take more controls into the reference.",
        "controls",
    ),
    "UNDERCOMPENSATED": Step("Check the pairs with residual compensation against the MRD plots.", "compensation"),
    "OVERCOMPENSATED": Step("Check the pairs with residual compensation against the MRD plots.", "compensation"),
    "SPILLOVER_IDENTITY": Step("Nothing was compensated: give the run a spillover matrix.", "compensation"),
}
"""Steps by reason code, in the order in which they are useful."""

_CLASS_STEPS: Final = {
    VerdictClass.NEGATIVE: Step("Check the quality section and the B-lineage plots, then sign.", "mrd"),
    VerdictClass.POSITIVE: Step(
        "Confirm by back-gating that the MRD cells form one cluster away from normal precursors, then sign.", "mrd"
    ),
    VerdictClass.POSITIVE_BELOW_THRESHOLD: Step(
        "Confirm by back-gating that the MRD cells form one cluster away from normal precursors, then sign.", "mrd"
    ),
    VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY: Step(
        "Report as not evaluable for MRD negativity, with the sensitivity that was reached."
    ),
}


def next_steps(result: MrdResult, flags: Sequence[str] = ()) -> list[Step]:
    """What the reader can do, most useful first.

    Parameters
    ----------
    flags
        Codes of quality flags that are not among the verdict's reasons.
    """
    codes = [*(reason.code for reason in result.verdict.reasons), *flags]
    if result.role != "followup":
        return list(dict.fromkeys(_not_a_patients_answer(result, codes)))
    steps = _more_events(result)
    kind = result.verdict.class_
    if kind is VerdictClass.NEGATIVE:
        # Blind spots that are answered for: with others the verdict would not be negative.
        codes = [code for code in codes if code not in BLIND_SPOTS]
    steps += [step for code, step in BY_CODE.items() if code in codes]
    # Paper shows the first five only.
    if kind is VerdictClass.NOT_EVALUABLE:
        steps.insert(0, Step("Do not report this tube as negative. Correct what the reasons name and repeat it."))
    if kind is VerdictClass.INDETERMINATE and not straddles(result):
        steps.insert(1, Step("Let a second reviewer gate the tube by hand before anything is reported.", "mrd"))
    if kind in _CLASS_STEPS:
        steps.append(_CLASS_STEPS[kind])
    return list(dict.fromkeys(steps))


_OF_THE_ANSWER: Final = frozenset(
    {
        "SPIKE_IN_MISSED",
        "SPIKE_IN_NOT_TRIED",
        "INTERVAL_STRADDLES_THRESHOLD",
        "BELOW_QUANTIFICATION",
        "WITHIN_BACKGROUND",
        "UNRESOLVED_CLUSTER",
    }
)
"""Codes that speak of a patient's MRD, which a control or a diagnosis tube does not have."""


def _not_a_patients_answer(result: MrdResult, codes: Sequence[str]) -> list[Step]:
    """Steps for a control or a diagnosis tube."""
    without = _OF_THE_ANSWER | ({"PHENOTYPE_LIKE_NORMAL"} if result.role == "control" else set())
    steps = [step for code, step in BY_CODE.items() if code in codes and code not in without]
    if result.role == "control" and result.counts.mrd_events:
        steps.append(
            Step("Look what these cells are: they raise the background by which every patient is judged.", "mrd")
        )
    if result.role == "diagnosis":
        steps.append(
            Step("Check that the cells are the leukaemia: follow-up tubes are searched for this phenotype.", "mrd")
        )
    return steps


def _more_events(result: MrdResult) -> list[Step]:
    """How many events are missing for the target, or that no number would do."""
    facts = result.sensitivity
    have = int(getattr(result.counts, result.denominator))
    if facts.lod95 is None or facts.lod95 <= facts.target:
        return []
    if facts.events_needed is None:
        return [
            Step(
                "More events alone will not reach the target: the background of the controls is too high for it. "
                "Lower the background (more controls, cleaner staining)."
            )
        ]
    missing = facts.events_needed - have
    if missing <= 0:
        return []
    share = have / result.counts.total if result.counts.total else 0.0
    in_file = f", about {formatting.count(missing / share)} in the file" if share else ""
    return [
        Step(
            f"Acquire at least {formatting.count(missing)} more {result.denominator} events of this sample{in_file} "
            f"(now {formatting.count(have)}, needed {formatting.count(facts.events_needed)}), or repeat the marrow."
        )
    ]

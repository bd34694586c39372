"""Next steps for the reader of a result, computed from the same facts as the verdict.

Every step links to the relevant place of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flowmrd.flags import JUDGE_CONTROL, REGISTRY, Effect
from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.report import formatting
from flowmrd.report.verdict import spike_in_too_small


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes
    ----------
    place
        What to look at (see :data:`Places`); empty where there is nothing on the page.
    signs
        Whether the step ends with the signature, so that it is done once the result is accepted or rejected.
    """

    text: str
    place: str = ""
    signs: bool = False


Places = Mapping[str, tuple[str, str]]
"""Name of a place (``mrd``, ``first``, ``time``, ``compensation``, ``controls``, ``gates``) to the id of the element
and its title."""

BY_CODE: Final = {code: Step(kind.step, kind.section) for code, kind in REGISTRY.items() if kind.step}
"""Steps by reason code, in the order in which they are useful."""
_WITHOUT_CELLS: Final = {
    code: Step(kind.step_without_cells, kind.section) for code, kind in REGISTRY.items() if kind.step_without_cells
}
"""The same for a tube in which no cell was counted, where it differs."""

_CONFIRM: Final = Step(
    "Confirm by back-gating that the MRD cells form one cluster away from normal precursors, then sign.",
    "mrd",
    signs=True,
)
_CLASS_STEPS: Final = {
    VerdictClass.NEGATIVE: Step("Check the quality section and the B-lineage plots, then sign.", "mrd", signs=True),
    VerdictClass.POSITIVE: _CONFIRM,
    VerdictClass.POSITIVE_BELOW_THRESHOLD: _CONFIRM,
    VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY: Step(
        "Report as not evaluable for MRD negativity, with the sensitivity that was reached."
    ),
}


CARRIED: Final = Step(
    "Rinse and run this tube again before it is signed: a leukaemic tube of the same patient ran just before it.",
    "time",
)
UNEVEN: Final = Step(
    "The MRD cells did not come evenly over the run: check when they came, rinse and run the tube again.", "time"
)


def next_steps(
    result: MrdResult, flags: Sequence[str] = (), *, carried: bool = False, uneven: bool = False
) -> list[Step]:
    """Next steps, the most useful first.

    Parameters
    ----------
    flags
        Codes of quality flags that are not among the verdict's reasons.
    carried
        Whether a leukaemic tube of the same patient ran just before this one.
    uneven
        Whether the MRD cells are spread unevenly over the run.
    """
    codes = [*(reason.code for reason in result.verdict.reasons), *flags]
    if result.role != "followup":
        return list(dict.fromkeys(_not_a_patients_answer(result, codes)))
    steps = _more_events(result)
    kind = result.verdict.class_
    if spike_in_too_small(result):
        codes = [code for code in codes if code != "SPIKE_IN_MISSED"]  # more events are what it needs
    if kind is VerdictClass.NEGATIVE:
        # These blind spots are covered by other checks; with any other one the verdict would not be negative.
        codes = [code for code in codes if REGISTRY[code].effect is not Effect.NO_NEGATIVE]
    coded = {code: step for code, step in _steps_by_code(result).items() if code in codes}
    if kind is VerdictClass.NOT_EVALUABLE:
        # What failed comes before the number of cells that a good tube would need.
        steps[:0] = [step for code, step in coded.items() if REGISTRY[code].effect is Effect.FAILURE]
    steps += coded.values()
    # Paper shows the first five only.
    steps[:0] = [step for step, holds in ((CARRIED, carried), (UNEVEN, uneven)) if holds]
    if kind is VerdictClass.NOT_EVALUABLE:
        steps.insert(0, Step("Do not report this tube as negative. Correct what the reasons name and repeat it."))
    if kind is VerdictClass.INDETERMINATE:
        steps.insert(1, Step("Let a second reviewer gate the tube by hand before anything is reported.", "mrd"))
    if kind in _CLASS_STEPS:
        steps.append(_CLASS_STEPS[kind])
    return list(dict.fromkeys(steps))


def _steps_by_code(result: MrdResult) -> dict[str, Step]:
    """Steps by reason code for this tube."""
    return BY_CODE if result.counts.mrd_events else BY_CODE | _WITHOUT_CELLS


def _not_a_patients_answer(result: MrdResult, codes: Sequence[str]) -> list[Step]:
    """Steps for a control or a diagnosis tube."""
    told = _steps_by_code(result).items()
    steps = [step for code, step in told if code in codes and result.role in REGISTRY[code].roles]
    if result.verdict.class_ is VerdictClass.CONTROL_ODD and not any(
        REGISTRY[code].effect is Effect.ODD for code in codes if code in REGISTRY
    ):
        steps.insert(0, Step(JUDGE_CONTROL, "controls"))
    if result.role == "control" and result.counts.mrd_events:
        steps.append(
            Step("Find out what these cells are: they raise the background by which every patient is judged.", "mrd")
        )
    if result.role == "diagnosis":
        steps.append(
            Step("Check that the cells are the leukaemia: follow-up tubes are searched for this phenotype.", "mrd")
        )
    return steps


def _more_events(result: MrdResult) -> list[Step]:
    """How many events are missing for the target, or that more events will not help."""
    facts = result.sensitivity
    have = result.denominator_count or 0
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

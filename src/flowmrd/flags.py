"""The registry of coded messages: effect on the verdict, sentence, next step, and place on the page.

Adding a message takes one entry below, in one of the groups of which :data:`REGISTRY` is made (``_DOUBTS``, ``_GATES``,
...), and one call where the fact is known::

    FlagKind(
        "STAINING_SWAPPED",                                     # the stable code
        Effect.DOUBT,                                           # what it does to the verdict
        "{first} and {second} look exchanged in this tube.",    # str.format template of its sentence
        step="Check the order of the antibodies on the worklist.",   # what the reader can do
        section="gates",                                        # part of the page that the step points to
        question="Are the antibodies of this tube exchanged?",  # only for effects that can end in INDETERMINATE
    )

    from flowmrd.flags import flag
    flags.append(flag("STAINING_SWAPPED", first="CD10", second="CD20"))

The verdict, the page, the cohort and the summary read the registry. ``tests/test_flags.py`` finds every call in the
sources and checks that its code is here and that its values are those of the template. The texts are translated in
``report/languages/*.po``; one without a translation stays English, and ``tests/report/test_language.py`` lists it.
An entry's place in the registry is its rank: of several reasons the first here is named first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal

from flowmrd.errors import InternalError

__all__ = [
    "JUDGE_CONTROL",
    "MEANINGS",
    "ODD_IN_CONTROLS",
    "REGISTRY",
    "Effect",
    "Flag",
    "FlagKind",
    "Place",
    "UnknownCodeError",
    "by_rank",
    "flag",
    "kind_of",
]


class Effect(StrEnum):
    """What a message does to the verdict of its tube; :data:`MEANINGS` has a sentence for each."""

    FAILURE = "failure"
    DOUBT = "doubt"
    NO_POSITIVE = "no_positive"
    NO_NEGATIVE = "no_negative"
    NOT_SENSITIVE = "not_sensitive"
    ODD = "odd"
    ANSWER = "answer"
    REMARK = "remark"
    INFO = "info"


MEANINGS: Final[Mapping[Effect, str]] = {
    Effect.FAILURE: "The tube cannot be evaluated: NOT_EVALUABLE.",
    Effect.DOUBT: "The count can be trusted in neither direction: INDETERMINATE.",
    Effect.NO_POSITIVE: "Cells that were counted may not be leukaemia: a detection becomes INDETERMINATE.",
    Effect.NO_NEGATIVE: "Leukaemia may have been overlooked, and one question decides it: no detection becomes "
    "INDETERMINATE.",
    Effect.NOT_SENSITIVE: "The tube cannot vouch for the target: no detection becomes "
    "NEGATIVE_INSUFFICIENT_SENSITIVITY.",
    Effect.ODD: "A control shows what no other control does: CONTROL_ODD.",
    Effect.ANSWER: "A sentence of the verdict itself; only the rules of the verdict say it.",
    Effect.REMARK: "It changes nothing and must be read with the verdict.",
    Effect.INFO: "It changes nothing and is kept with the quality of the tube, the file or the trial.",
}


Place = Literal["banner", "reasons", "quality", "cohort", "file", "trial"]
"""Where a message shows: the banner and the reasons of a tube's page, its quality section, its line in the cohort, the
findings about its file, the trial's page."""

_PLACES: Final[Mapping[Effect, frozenset[Place]]] = {
    Effect.FAILURE: frozenset({"banner", "reasons", "quality", "cohort"}),
    Effect.DOUBT: frozenset({"banner", "reasons", "quality", "cohort"}),
    Effect.NO_POSITIVE: frozenset({"banner", "reasons", "quality", "cohort"}),
    Effect.NO_NEGATIVE: frozenset({"banner", "reasons", "quality", "cohort"}),
    Effect.NOT_SENSITIVE: frozenset({"banner", "reasons", "quality", "cohort"}),
    Effect.ODD: frozenset({"banner", "reasons", "quality", "cohort"}),
    Effect.REMARK: frozenset({"reasons", "quality", "cohort"}),
    Effect.INFO: frozenset({"quality"}),
    Effect.ANSWER: frozenset({"reasons"}),
}

ALL_ROLES: Final = frozenset({"control", "diagnosis", "followup"})


@dataclass(frozen=True)
class FlagKind:
    """One entry of the registry.

    Attributes
    ----------
    code
        Stable name; never used again for something else.
    effect
        What it does to the verdict.
    sentence
        ``str.format`` template of one English sentence for the reviewer.
    step
        What the reader can do; empty where there is nothing to do.
    step_without_cells
        The same for a tube in which no cell was counted; ``step`` unless given.
    section
        Part of the page that the step points to: mrd, first, time, compensation, controls, gates.
    question
        The question to answer, where the message can make a tube INDETERMINATE.
    shows
        Where it shows; by its effect unless given.
    roles
        Roles of the tubes that the message concerns; on other tubes it changes nothing and gives no step.
    """

    code: str
    effect: Effect
    sentence: str
    step: str = ""
    step_without_cells: str = ""
    section: str = ""
    question: str = ""
    shows: frozenset[Place] | None = None
    roles: frozenset[str] = ALL_ROLES

    @property
    def places(self) -> frozenset[Place]:
        """Where the message shows."""
        return _PLACES[self.effect] if self.shows is None else self.shows

    @property
    def tone(self) -> Literal["fail", "warn", "info"]:
        """Severity that a page shows."""
        if self.effect is Effect.FAILURE:
            return "fail"
        return "info" if self.effect in {Effect.INFO, Effect.ANSWER} else "warn"


class UnknownCodeError(InternalError, ValueError):
    """A code without an entry; also a ValueError, so that a model that reads a file reports it as a wrong field."""


@dataclass(frozen=True, order=True)
class Flag:
    """One message about one tube, file or patient: a code of the registry and its sentence.

    Make one with :func:`flag`; the constructor takes a finished sentence, as a stored file holds it.

    Raises
    ------
    UnknownCodeError
        If the code has no entry in :data:`REGISTRY`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    code: str
    message: str

    def __post_init__(self) -> None:
        """Refuse an unknown code."""
        kind_of(self.code)

    @property
    def kind(self) -> FlagKind:
        """The entry of its code."""
        return REGISTRY[self.code]

    @property
    def effect(self) -> Effect:
        """What it does to the verdict."""
        return self.kind.effect

    def as_record(self) -> dict[str, str]:
        """Plain values for JSON: code, level (fail, warn or info) and message."""
        return {"code": self.code, "level": self.kind.tone, "message": self.message}


def flag(code: str, **values: Any) -> Flag:
    """Make a message from its code and the values of its sentence.

    Raises
    ------
    UnknownCodeError
        If the code has no entry.
    InternalError
        If the values are not those of the sentence.
    """
    try:
        return Flag(code, kind_of(code).sentence.format(**values))
    except (KeyError, IndexError) as error:
        raise InternalError(f"the sentence of {code} needs the value {error}") from error


def kind_of(code: str) -> FlagKind:
    """Look up the entry of a code.

    Raises
    ------
    UnknownCodeError
        If there is none.
    """
    found = REGISTRY.get(code)
    if found is None:
        raise UnknownCodeError(f"the code {code[:80]!r} has no entry in flowmrd.flags.REGISTRY")
    return found


def by_rank(flags: Iterable[Flag]) -> list[Flag]:
    """Sort flags by their rank in the registry; each sentence comes once."""
    return sorted(dict.fromkeys(flags), key=lambda item: _RANK[item.code])


_FOLLOWUP: Final = frozenset({"followup"})
_PATIENT: Final = frozenset({"followup", "diagnosis"})
_COHORT_ONLY: Final[frozenset[Place]] = frozenset({"cohort"})
_QUALITY: Final[frozenset[Place]] = frozenset({"quality", "cohort"})
_FILE: Final[frozenset[Place]] = frozenset({"file"})
_TRIAL: Final[frozenset[Place]] = frozenset({"trial"})
_REPEAT_GATED: Final = "Repeat the marrow in 2 to 4 weeks, or use another method (molecular MRD)."


def _file(code: str, sentence: str = "{text}") -> FlagKind:
    return FlagKind(code, Effect.INFO, sentence, shows=_FILE)


def _trial(code: str, sentence: str) -> FlagKind:
    return FlagKind(code, Effect.INFO, sentence, shows=_TRIAL)


_TUBE_FAILURES: Final = (
    FlagKind(
        "NO_DENOMINATOR",
        Effect.FAILURE,
        "No event passed the gates of the denominator, so no fraction exists.",
        step="No event passed the gates of the denominator: check panel, compensation, file.",
        section="first",
    ),
    FlagKind(
        "NO_NUCLEATED_CELLS",
        Effect.FAILURE,
        "No analysable event is a nucleated cell by the gates.",
        step="No nucleated cell was found: check panel, compensation and the file.",
        section="first",
    ),
    FlagKind(
        "REQUIRED_GATE_UNAVAILABLE",
        Effect.FAILURE,
        "The gate {gate} is unavailable: {why}.",
        step="A gate that the result needs has no channel: check panel and file.",
        section="first",
    ),
    FlagKind(
        "TOO_FEW_EVENTS_ACQUIRED",
        Effect.FAILURE,
        "The file holds {events:,} events, fewer than the {least:,} required.",
        step="Acquire the tube again; this file holds too few events for any answer.",
    ),
    FlagKind(
        "SCALE_OF_ANOTHER_INSTRUMENT",
        Effect.FAILURE,
        "The file's range is {own:,.0f} and that of the controls {controls:,.0f}, and {share:.0%} of the events lie "
        "beyond the latter: the numbers are those of another instrument, and gates and controls do not apply.",
        step="Judge the tube with controls of its own instrument.",
        section="controls",
    ),
    FlagKind(
        "TIME_UNSTABLE",
        Effect.FAILURE,
        "The signal was disturbed in {share:.1%} of the run; acquire the tube again.",
        step="Acquire the tube again; look where the run was disturbed.",
        section="time",
    ),
)

_DOUBTS: Final = (
    FlagKind(
        "NO_CONTROLS",
        Effect.DOUBT,
        "This panel has too few control tubes: simulated marrows are used instead, no background rate is known, and "
        "the result is provisional.",
        step="Run at least three control marrows with this panel and build a reference; until then the count is "
        "provisional.",
        question="What does marrow without leukaemia look like in this panel?",
    ),
    FlagKind(
        "ONE_CONTROL",
        Effect.DOUBT,
        "One control marrow alone stands for this panel: what others would show is not known, so there is no "
        "background rate, and the result is provisional.",
        step="Run at least three control marrows with this panel and build a reference; until then the count is "
        "provisional.",
        question="What does marrow without leukaemia look like in this panel?",
    ),
    FlagKind(
        "MARKERS_NOT_SIMULATED",
        Effect.DOUBT,
        "The simulated marrows that replace the controls lack {markers}: these markers are not used.",
        step="Run control marrows with this panel; simulated ones lack some of its markers.",
        question="What does marrow without leukaemia look like in these markers?",
    ),
    FlagKind(
        "PANEL_TOO_WEAK",
        Effect.DOUBT,
        "The tube lacks {markers}, which the controls have; of the markers that distinguish leukaemia from normal "
        "cells only these are left: {left}.",
        step="Stain a tube with all markers of the panel: without these, leukaemia and normal precursors look alike.",
        section="gates",
        question="What do the missing markers show?",
        roles=_PATIENT,
    ),
    FlagKind(
        "BACKGROUND_UNKNOWN",
        Effect.DOUBT,
        "Without a background rate from control tubes no limit of detection is known.",
        step="Run at least three control marrows with this panel; without them no limit of detection is known.",
        question="How many such events does marrow without leukaemia show?",
    ),
    FlagKind(
        "TUBE_UNLIKE_CONTROLS",
        Effect.DOUBT,
        "The tube is unlike the controls: {why}.",
        step="The normal cells of this tube lie elsewhere than in the controls: check voltages, compensation and "
        "staining, then stain and acquire again. Cells that fit no normal population may be leukaemia: gate them by "
        "hand.",
        section="controls",
        question="Was this tube stained and measured like the controls?",
    ),
    FlagKind(
        "TUBE_UNLIKE_IN_ONE_MARKER",
        Effect.NO_NEGATIVE,
        "The tube is unlike the controls: {why}. The leukaemia is recognised without {marker} as well: {same:,} of "
        "{events:,} counted cells are counted then.",
        step="Check voltage, compensation and staining of this marker. What was counted does not rest on it; a "
        "negative answer of this tube would.",
        section="controls",
        question="Was this tube stained and measured like the controls?",
        roles=_PATIENT,
    ),
    FlagKind(
        "PHENOTYPE_LIKE_NORMAL",
        Effect.NO_NEGATIVE,
        "A compact group of {events:,} cells is not distinguishable from {what}.",
        step="Look whether such cells follow normal maturation. Stain a diagnosis tube if there is material; repeat "
        "the marrow in 2 to 4 weeks, or use another method (molecular MRD).",
        section="mrd",
        question="Are these cells leukaemia, or normal precursors?",
        roles=_PATIENT,
    ),
    FlagKind(
        "DIAGNOSIS_LIKE_NORMAL",
        Effect.DOUBT,
        "The cells found at diagnosis are not distinguishable from cells of the control tubes.",
        step="Look whether the cells at diagnosis are leukaemia: gate the diagnosis tube by hand, or use another "
        "method (molecular MRD).",
        section="mrd",
        question="Are the cells found at diagnosis leukaemia?",
        roles=_PATIENT,
    ),
    FlagKind(
        "UNRESOLVED_CLUSTER",
        Effect.NO_NEGATIVE,
        "A compact group of {events:,} cells {what}; it is not counted.",
        step="Gate by hand the group of cells that was not counted (A in the plots of the MRD cells): it may be "
        "leukaemia, or leukaemia that changed. " + _REPEAT_GATED,
        section="mrd",
        question="Is the group that was not counted leukaemia, a normal population or an artefact?",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "REVIEWERS_DISAGREE",
        Effect.DOUBT,
        "Reviewers call the same cells differently: {what}. Neither call is counted.",
        step="Look at the group together, and sign again with one call.",
        section="mrd",
        question="Which of the reviewers' calls holds for these cells?",
        roles=_PATIENT,
    ),
    FlagKind(
        "CALLED_CELLS_TOO_FEW",
        Effect.NO_NEGATIVE,
        "Reviewer {name} calls {events:,} cells leukaemia, fewer than the {least:,} that count as a detection.",
        step="Acquire the rest of the sample, or repeat the marrow: so few cells are neither a detection nor none.",
        section="mrd",
        question="Do more cells of this sample show the leukaemia that the reviewer sees?",
        roles=_PATIENT,
    ),
    FlagKind(
        "PHENOTYPE_OVERRULED",
        Effect.NOT_SENSITIVE,
        "Cells that fit the patient's own leukaemia were called {call} by reviewer {name}: the spike-in adds its "
        "cells in the same place, so it does not show that leukaemia could be distinguished from them.",
        step="Confirm by another method (molecular MRD): this patient's leukaemia looks like these cells.",
        section="mrd",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "COUNTED_CAME_FIRST",
        Effect.NO_POSITIVE,
        "Almost all of the {events:,} counted cells came in the first {start:.0%} of the run, like cells that the "
        "tube before left in the line.",
        step="Rinse and acquire the sample again: cells of its own come evenly. The cohort page says what ran before.",
        section="time",
        question="Are these cells the sample's own, or left in the line by the tube before?",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "COUNTED_BY_SHIFTED_STAINING",
        Effect.NO_POSITIVE,
        "Without {markers}, whose staining is unlike the controls, {events:,} counted cells are not unlike normal "
        "cells.",
        step="Check voltage and titration of this colour, then acquire or stain again.",
        section="controls",
        question="Was this colour stained and measured as in the controls?",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "CAME_FIRST",
        Effect.REMARK,
        "Almost all of the {events:,} cells of a group that is not counted came in the first {start:.0%} of the run,"
        " like cells that the tube before left in the line.",
        step="Rinse longer after tubes with much leukaemia. The cohort page says what ran before.",
        section="time",
        roles=_PATIENT,
    ),
    FlagKind(
        "PART_CAME_FIRST",
        Effect.REMARK,
        "{events:,} cells of a counted group came in the first {start:.0%} of the run, far more than of cells that "
        "come evenly; they are not counted, like cells that the tube before left in the line.",
        step="Rinse longer after tubes with much leukaemia. The cohort page says what ran before.",
        section="time",
        roles=_PATIENT,
    ),
    FlagKind(
        "CALLED_BY_REVIEWER",
        Effect.REMARK,
        "Counted by reviewer {name}: {what}.",
        roles=_PATIENT,
    ),
    FlagKind(
        "CD19_LOSS_UNSEEN",
        Effect.NO_NEGATIVE,
        "After therapy against CD19, blasts may have lost it, and this tube cannot find B-lineage cells by CD22 or "
        "CD24: such blasts are seen only if they carry another B-lineage marker.",
        step="Stain a tube with CD22 and CD24, or use another method (molecular MRD): blasts without CD19 may be "
        "hidden.",
        section="gates",
        question="Did the leukaemia lose CD19?",
        roles=_PATIENT,
    ),
    FlagKind(
        "EXCLUDED_PHENOTYPE",
        Effect.NO_NEGATIVE,
        "{events:,} cells of this phenotype were excluded and are not counted: {why}.",
        step="Look at these events in the plots of the gates: they may be leukaemia that a mask or gate took away.",
        section="gates",
        question="Are the excluded cells of this phenotype leukaemia?",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "NO_LAIP",
        Effect.NO_NEGATIVE,
        "The diagnosis tube held fewer than {least:,} cells unlike normal marrow.",
        step="The diagnosis tube gave no phenotype to look for: gate it by hand, stain another specimen of the "
        "diagnosis, or use another method (molecular MRD).",
        question="What does this patient's leukaemia look like?",
        roles=_PATIENT,
    ),
    FlagKind(
        "DIAGNOSIS_NOT_EVALUABLE",
        Effect.NO_NEGATIVE,
        "The diagnosis tube {tube} cannot be evaluated ({codes}), so no phenotype was learned from it.",
        step="The result of the diagnosis tube says what is wrong with it: mend that, or stain another specimen of the "
        "diagnosis. This tube was searched without the phenotype.",
        section="first",
        question="What does this patient's leukaemia look like?",
        roles=_PATIENT,
    ),
    FlagKind(
        "DIAGNOSIS_TUBE_LEFT_OUT",
        Effect.REMARK,
        "The diagnosis tube {tube} cannot be evaluated ({codes}) and was left out; the patient's other diagnosis tubes "
        "were searched for the phenotype.",
        step="Look whether the leukaemia of the other diagnosis tubes is that of the tube that was left out.",
        section="mrd",
        roles=_PATIENT,
    ),
    FlagKind(
        "DIAGNOSIS_DISAGREES",
        Effect.REMARK,
        "The phenotype was learned from {learned:.1%} of this tube's cells, but {counted:.1%} match it.",
        step="Compare the groups of this tube with the phenotype before it is used for follow-up tubes: the larger of "
        "the two shares may hold normal cells, the smaller one may have lost leukaemia.",
        section="mrd",
        roles=frozenset({"diagnosis"}),
    ),
    FlagKind(
        "DIAGNOSIS_NOT_COUNTED",
        Effect.ANSWER,
        "The diagnosis gave a phenotype, but only {events:,} events of this diagnosis tube match it.",
        step="Gate the diagnosis tube by hand and compare it with the phenotype that was found.",
        section="mrd",
        question="Is the phenotype found at diagnosis the leukaemia of this tube?",
        roles=frozenset({"diagnosis"}),
    ),
    FlagKind(
        "WITHIN_BACKGROUND",
        Effect.ANSWER,
        "{events:,} clustered events would count as detected, but controls show up to {limit:,} such events in a tube "
        "of this size.",
        step="Controls show as many such events: look at them by hand, repeat the marrow in 2 to 4 weeks, and find "
        "out why the controls' background is high.",
        section="mrd",
        question="Are these cells leukaemia, or what the controls show as well?",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "NEAR_DETECTION",
        Effect.ANSWER,
        "{events:,} clustered events are fewer than the {least:,} that count as detected, but perhaps only {part:.0%} "
        "of this tube's leukaemic cells are counted, as cells spiked into a copy of it show: it may hold {least:,} or "
        "more.",
        step="Look at the cells by hand, and acquire more events of the specimen.",
        section="mrd",
        question="Does the tube hold enough of these cells for a detection?",
        roles=_FOLLOWUP,
    ),
)

JUDGE_CONTROL: Final = "Look at the tube: accept it or exclude it under 'controls' in config.yaml, with the reason."
"""What the laboratory does about an odd control."""
ODD_IN_CONTROLS: Final = frozenset({"UNKNOWN_POPULATION", "ANTIBODY_ABSENT", "EMPTY_WINDOW"})
"""Findings that rule out a negative of a patient's tube and make a control odd: its cells are not those of the other
controls. A shifted colour (``STAINING_SHIFTED``) is told and leaves the control in the reference, because healthy
persons differ as much, and a reference without them would know too little of what is normal.
"""

_CONTROLS: Final = (
    FlagKind(
        "CONTROL_LEUKAEMIC",
        Effect.ODD,
        "{share:.1%} of the nucleated cells of this control ({events:,}) look like leukaemia.",
        step=f"Marrow with leukaemia must not be a control. {JUDGE_CONTROL}",
        section="mrd",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_GROUP",
        Effect.ODD,
        "This control holds a compact group of {events:,} cells that no other control shows; marrow without "
        "leukaemia shows a group this unusual in less than one of {tubes:,.0f} tubes.",
        step=JUDGE_CONTROL,
        section="mrd",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_STAINING",
        Effect.ODD,
        "This control is unlike the others: {why}.",
        step=JUDGE_CONTROL,
        section="controls",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_CELLS_LOST",
        Effect.ODD,
        "{share:.0%} of the events of this control are nucleated cells, where the others have {usual:.0%}.",
        step=JUDGE_CONTROL,
        section="controls",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_EXCLUDED",
        Effect.ODD,
        "The laboratory has excluded this control: {reason}.",
        step="It sets no limit for any tube. Accept it again in the configuration if the reason no longer holds.",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_ACCEPTED",
        Effect.REMARK,
        "The laboratory has accepted this control: {reason}. It is part of the reference.",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_LEFT_OUT",
        Effect.REMARK,
        "It is left out of the normal reference; scales and gates are medians over all controls that are not excluded.",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_HAS_CELLS",
        Effect.ODD,
        "{events:,} cells of this control were called leukaemic; the other controls explain {limit:,} at most.",
        step="Find out what these cells are: marrow with leukaemia must not be a control. "
        "Accept the control or exclude it.",
        section="mrd",
        roles=frozenset({"control"}),
    ),
    FlagKind(
        "CONTROL_LIKE_OTHERS",
        Effect.ANSWER,
        "{events:,} cells of this control were called leukaemic, no more than the other controls explain ({limit:,}).",
        roles=frozenset({"control"}),
    ),
)

_ANSWERS: Final = (
    FlagKind(
        "SPIKE_IN_MISSED",
        Effect.ANSWER,
        "Leukaemic cells spiked into a copy of this tube at the target level were not found reliably.",
        step="Do not report a negative. Look for a region where leukaemic and normal cells overlap; repeat with a "
        "fresh sample.",
        section="mrd",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "KINDS_MISSED",
        Effect.ANSWER,
        "{found} of {tried} kinds of leukaemia, which stand for {share:.1%} of the patients, would have been found in "
        "this tube at {level:.0e}; not: {missed}.",
        step="A negative answer covers only the kinds that would have been found. Stain a diagnosis tube if there is"
        " material, so that the patient's own leukaemia is looked for.",
        section="mrd",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "SPIKE_IN_STEP_LOSES",
        Effect.REMARK,
        "The step '{step}' lost {share:.0%} of the leukaemic cells that were added to this tube as raw events: "
        "{kept:,} of {spiked:,} are left.",
        step="Look at the gate or mask of that step: leukaemia of this tube is lost there as well.",
        section="gates",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "SPIKE_IN_NOT_TRIED",
        Effect.ANSWER,
        "The in-silico spike-in check could not be run on this tube.",
        step="Acquire a diagnosis tube, or build a library of leukaemias, so that the spike-in check can be run.",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "HIGH_BACKGROUND",
        Effect.NOT_SENSITIVE,
        "Controls show {per_million:.0f} such cells per million even at the strictest cut.",
        step="Controls show many such cells: look at the charts of the controls, and take more controls into the "
        "reference.",
        section="controls",
        roles=_PATIENT,
    ),
    FlagKind(
        "PRECURSOR_LIKE_NOT_EXCLUDED",
        Effect.ANSWER,
        "No phenotype of a diagnosis tube is known: leukaemia that looks like this marrow's regular B-cell precursors, "
        "or is brighter than the range of a detector, could be overlooked, even 1 cell in 1,000.",
        step="Use the diagnosis tube, or another method (molecular MRD), where such a leukaemia is possible.",
        section="mrd",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "CONTROL_SET_ASIDE",
        Effect.REMARK,
        "The control {control} alone holds cells that match this phenotype; no other control does, so they are not "
        "background of this tube. A match nearer to them than to the leukaemia at diagnosis is not counted.",
        step="Look at the charts of that control: it may be odd.",
        section="controls",
        roles=_PATIENT,
    ),
    FlagKind(
        "TOO_FEW_EVENTS",
        Effect.ANSWER,
        "{events:,} events give a 95 %-power limit of detection of {lod95}, above the target of {target}.",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "TUBES_OF_SPECIMEN_DIFFER",
        Effect.NO_NEGATIVE,
        "The tubes of this specimen differ more than counting explains (probability {probability:.1g}).",
        step="Check that all tubes hold the same specimen, then look at each tube's own page.",
        question="Do all tubes of this specimen hold the same cells?",
    ),
    FlagKind(
        "TUBE_LEFT_OUT_OF_SPECIMEN",
        Effect.REMARK,
        "Left out of the pool, because it could not be evaluated: {tubes}.",
        step="Look at the page of the tube that was left out.",
    ),
    FlagKind(
        "FEW_CONTROLS",
        Effect.REMARK,
        "This result rests on only {count} control marrows: one odd control decides its cut and its limits.",
        step="Add control marrows, a regenerating one among them, until there are at least eight.",
        section="controls",
    ),
    FlagKind(
        "EMPTY_WINDOW",
        Effect.NO_NEGATIVE,
        "No event lies in the B-lineage window of this tube; even marrow without B cells has progenitors there.",
        step="No cell lies in the B-lineage window: check the antibodies that open it, then stain and acquire again.",
        section="mrd",
        question="Were the antibodies of the B lineage in this tube?",
    ),
    FlagKind(
        "ANTIBODY_ABSENT",
        Effect.NO_NEGATIVE,
        "{marker} stained no cell: none of the {carriers:,} cells that should carry it whatever the disease, where "
        "controls show it on at least {expected:.0%}.",
        step="An antibody did not stain: check whether it was in the tube, then stain and acquire again.",
        section="controls",
        question="Was this antibody in the tube?",
    ),
    FlagKind(
        "STAINING_SHIFTED",
        Effect.NO_NEGATIVE,
        "{marker} is {decades:.1f} decades ({factor:.1f} times) {way} on normal cells than in the controls; ordinary "
        "tubes differ by up to {limit:.1f}.",
        step="Check voltage and titration of this colour, then acquire or stain again.",
        section="controls",
        question="Was this colour stained and measured as in the controls?",
    ),
    FlagKind(
        "CD19_NOT_MEASURED",
        Effect.NO_NEGATIVE,
        "The tube lacks {markers}, which the controls have: B cells are looked for by {left} alone, and leukaemia that "
        "these markers do not show is missed.",
        step="Stain a tube with CD19, or use another method (molecular MRD).",
        section="gates",
        question="What does CD19 show?",
        roles=_PATIENT,
    ),
    FlagKind(
        "MARKER_MISSING",
        Effect.REMARK,
        "The tube lacks {markers}, which the controls have: leukaemia that differs from normal cells mainly in this "
        "marker is missed; {left} are used.",
        step="Stain a tube with all markers of the panel if the leukaemia at diagnosis was abnormal in the missing "
        "one.",
        question="What do the missing markers show?",
    ),
    FlagKind(
        "UNKNOWN_POPULATION",
        Effect.NO_NEGATIVE,
        "{share:.0%} of the cells belong to a population that makes up at most {most:.1%} in the controls: {what}.",
        step="Look at this population by hand: it may be another leukaemia, or a leukaemia that changed its lineage "
        "under therapy. Stain a tube with myeloid and T-cell markers.",
        section="gates",
        question="What is this population?",
    ),
    FlagKind(
        "OFFSCALE_LIKE_BLASTS",
        Effect.NO_NEGATIVE,
        "Of {events:,} cells off scale in {detector}, about {excess:,} more look like blasts than a fault of the "
        "detector and normal cells explain; their other markers are not measured.",
        step="Acquire the tube again with a lower voltage of this detector, or use the diagnosis tube: leukaemia may "
        "be brighter than the range of the detector.",
        section="controls",
        question="Are the cells off scale in this detector leukaemia?",
        roles=_FOLLOWUP,
    ),
    FlagKind(
        "ANTIBODY_NOT_VERIFIED",
        Effect.NO_NEGATIVE,
        "No cell of this tube shows that these antibodies stained: {markers}.",
        step="Show that the antibodies stain, for example on normal B cells added to the tube, and acquire again; "
        "or use another method (molecular MRD).",
        section="controls",
        question="Were these antibodies in the tube?",
        roles=_PATIENT,
    ),
    FlagKind(
        "ANTIBODY_WITHOUT_CELLS",
        Effect.REMARK,
        "No cell of this tube shows that {markers} stained; the other antibodies did.",
        step="This tube holds no normal cell with this antigen, as after therapy; its antibody is not verified.",
    ),
    FlagKind(
        "ANTIBODY_NOT_SHOWN",
        Effect.NO_NEGATIVE,
        "No cell of this tube shows that {markers} stained, although other cells than B cells carry it in marrow.",
        step="Check whether the antibody was in the tube; cells that are unlike normal may be normal cells without it.",
        section="controls",
        question="Was this antibody in the tube?",
        roles=_PATIENT,
    ),
    FlagKind(
        "MARKER_HIDDEN",
        Effect.REMARK,
        "{marker} stained none of the {carriers:,} cells that carry it in controls (at least {expected:.0%}): "
        "therapy before this tube removed or covers the antigen, or the antibody was forgotten.",
        step="The tube cannot tell a covered antigen from an antibody that was forgotten: check the pipetting record.",
    ),
    FlagKind(
        "BELOW_DETECTION",
        Effect.ANSWER,
        "{events:,} clustered events, fewer than the {least:,} that count as detected; limit of detection "
        "{lod95} (95 % power).",
    ),
    FlagKind(
        "QUANTIFIED",
        Effect.ANSWER,
        "{events:,} clustered events among {denominator:,}; 95 % interval {low} to {high}.",
    ),
    FlagKind(
        "BELOW_QUANTIFICATION",
        Effect.ANSWER,
        "{events:,} clustered events: detected (at least {least:,}), but fewer than the {quantify:,} needed to "
        "quantify.",
        step="Report as detected, not quantifiable. Confirm that the cells form one cluster away from normal "
        "precursors; repeat the marrow in 2 to 4 weeks.",
        section="mrd",
        roles=_PATIENT,
    ),
    FlagKind(
        "INTERVAL_STRADDLES_THRESHOLD",
        Effect.ANSWER,
        "MRD was detected, but its 95 % interval {low} to {high} contains the threshold {target}.",
        step="Acquire more events of the same sample to narrow the interval, or repeat the marrow in 2 to 4 weeks.",
        roles=_PATIENT,
    ),
)

_GATES: Final = (
    FlagKind(
        "NEGATIVE_WITHOUT_ODD_MARKERS",
        Effect.REMARK,
        "Normal cells are stained unlike those of the controls in {markers}. The answer does not rest on it: without "
        "{markers} nothing is found either, and spiked leukaemic cells are.",
        step="Check lot, titration and voltage of this colour. If the laboratory changed them, stain new controls.",
        section="controls",
        roles=_PATIENT,
    ),
    FlagKind(
        "GATE_SHIFT_AT_BOUND",
        Effect.REMARK,
        "Anchor cells lie further away than a gate may be moved: {shifts}.",
        step="Some gates could not follow this tube's cells all the way: check them.",
        section="gates",
    ),
    FlagKind(
        "GATES_AT_BOUNDS",
        Effect.REMARK,
        "{held} of {estimated} estimated thresholds ended at a bound of the panel: the bounds are those of another "
        "instrument or staining.",
        step="Most gates ended at a bound of the panel: adapt the bounds to this instrument (flowmrd panel show).",
        section="gates",
    ),
    FlagKind(
        "BOUNDS_FOLLOW_INSTRUMENT",
        Effect.REMARK,
        "Colours of this instrument are {factor} times as bright as those that the panel's bounds were written for; "
        "the bounds were moved accordingly.",
        step="The bounds of the gates were moved by one factor for all colours: look at the gates.",
        section="gates",
    ),
    FlagKind(
        "GATES_SET_BY_HAND",
        Effect.REMARK,
        "Set by a reviewer: {gates}.",
        step="A reviewer placed gates by hand: check them and who did.",
        section="gates",
    ),
    FlagKind("GATE_PARENT_TOO_SMALL", Effect.REMARK, "Too few events to place some gates: {stand_ins}."),
    FlagKind("GATE_ANCHOR_TOO_SMALL", Effect.REMARK, "Gates could not be anchored on {channels}."),
    FlagKind("GATES_WITHOUT_CONTROLS", Effect.INFO, "No control marrows: gates were placed on this tube alone."),
    FlagKind("GATES_MISSING", Effect.REMARK, "gates.json was not found.", shows=_QUALITY),
    FlagKind("ROUTE_MISSING", Effect.REMARK, "B lineage without {route}: {why}", shows=frozenset({"quality"})),
    FlagKind(
        "NUCLEATED_BY_SCATTER",
        Effect.INFO,
        "This tube has no nucleic acid dye: all events but debris count as nucleated, and anucleate events of a "
        "cell's size are among them.",
    ),
)

_CHECK_PAIRS: Final = "Check the pairs with residual compensation against the MRD plots."

_QUALITY_FLAGS: Final = (
    FlagKind(
        "SIGNAL_DRIFT",
        Effect.REMARK,
        "{channel} drifts over the run by {decades:.2f} decades (rank correlation with time {rho:+.2f}).",
        step="A channel drifts over the run: look whether the counted cells sit in one stretch of it.",
        step_without_cells="A channel drifts over the run: check the fluidics and the lasers of the cytometer.",
        section="time",
    ),
    FlagKind(
        "SIGNAL_SHIFT",
        Effect.INFO,
        "In {share:.1%} of the run the signal is shifted by up to {decades:.2f} decades ({channel}): too little to "
        "mask events.",
        step="A channel jumps during the run: look whether the counted cells sit in one stretch.",
        step_without_cells="A channel jumps during the run: check the fluidics and the lasers of the cytometer.",
        section="time",
    ),
    FlagKind(
        "TIME_DISTURBED",
        Effect.REMARK,
        "The signal was disturbed in {share:.1%} of the run.",
        step="Part of the run was disturbed and is masked: compare the result with it included.",
        section="time",
    ),
    FlagKind(
        "TIME_STEPS_BACK",
        Effect.REMARK,
        "Time runs backwards {steps:,} times: the clock overflowed, runs were joined, or events are not in order.",
    ),
    FlagKind("TIME_NOT_CHECKED", Effect.INFO, "Stability over the run could not be judged: {why}."),
    FlagKind("NO_TIME_CHANNEL", Effect.INFO, "The file has no time channel; the order of events is used instead."),
    FlagKind(
        "FLOW_RATE_UNEVEN",
        Effect.INFO,
        "The flow rate is more than five-fold off its median in {share:.1%} of the events; events are masked only "
        "where the signal is disturbed as well.",
    ),
    FlagKind(
        "RESIDUAL_SPILLOVER",
        Effect.DOUBT,
        "Spillover is left after compensation: {pairs} of the signal. The matrix is not that of this acquisition.",
        step="Give the run the matrix of this acquisition, and make the result again.",
        section="compensation",
        question="Does the spillover matrix belong to this acquisition?",
    ),
    FlagKind(
        "OVERCOMPENSATED_MARKERS",
        Effect.DOUBT,
        "Cells bright in the first channel lie far below zero in a marker that the result rests on: {pairs}.",
        step="Give the run the matrix of this acquisition, and make the result again.",
        section="compensation",
        question="Does the spillover matrix belong to this acquisition?",
    ),
    FlagKind(
        "OVERCOMPENSATED",
        Effect.REMARK,
        "Cells bright in the first channel lie below zero in the second: {pairs}.",
        step=_CHECK_PAIRS,
        section="compensation",
    ),
    FlagKind(
        "UNDERCOMPENSATED",
        Effect.INFO,
        "The second channel rises in proportion to the first (spillover, or antigens that go together): {pairs}.",
        step=_CHECK_PAIRS,
        section="compensation",
    ),
    FlagKind(
        "SPILLOVER_IDENTITY",
        Effect.DOUBT,
        "The spillover matrix is the identity: nothing was compensated.",
        step="Give the run a spillover matrix, or say 'compensation: none' where the values need none.",
        section="compensation",
        question="Were these values compensated?",
    ),
    FlagKind(
        "SPILLOVER_ILL_CONDITIONED",
        Effect.REMARK,
        "The spillover matrix has condition number {condition:.3g} (limit {limit:g}): compensation amplifies noise "
        "that much.",
    ),
    FlagKind(
        "SPILLOVER_ABOVE_ONE",
        Effect.REMARK,
        "A dye gives more signal in another detector than in its own: {pairs}. The matrix may be partly written in "
        "percent.",
    ),
    FlagKind(
        "CHANNELS_NOT_IN_SPILLOVER",
        Effect.REMARK,
        "Not compensated because the matrix does not name them: {channels}.",
    ),
    FlagKind("SPILLOVER_RESCALED", Effect.INFO, "Spillover matrix: {note}."),
    FlagKind("NOT_COMPENSATED", Effect.INFO, "The configuration says that these data need no compensation."),
    FlagKind(
        "RANGE_DIFFERS_FROM_CONTROLS",
        Effect.REMARK,
        "The range is {own:g}, not {controls:g} as in the controls, for {channels}: another instrument or setting?",
    ),
    FlagKind(
        "RANGE_NOT_SOUND", Effect.INFO, "$PnR is not a plausible range for {channels}; T = {top:g} was used instead."
    ),
    FlagKind("LOGICLE_WIDTH_DEFAULT", Effect.INFO, "W is the default for {channels}: {why}."),
    FlagKind("NONFINITE_EVENTS", Effect.INFO, "{events:,} events with NaN or infinity are masked."),
    FlagKind(
        "DETECTOR_SATURATED",
        Effect.REMARK,
        "Events at the top of the range: {channels}; the voltage of the detector may be too high.",
        step="Compare its voltage with that of the controls; cells off scale are judged by their other channels only.",
    ),
    FlagKind("SIDE_SCATTER_SATURATED", Effect.INFO, "Events at the top of the range: {channels}."),
    FlagKind(
        "SCATTER_SATURATED",
        Effect.REMARK,
        "{share:.1%} of events are clipped in forward scatter, and {lost:.1%} are left out because they may be no "
        "single cells; lower its voltage.",
    ),
    FlagKind(
        "HEIGHT_WIDTH_EXCHANGED",
        Effect.INFO,
        "The names of height and width of {detectors} are exchanged in the file; each was read by its values.",
    ),
    FlagKind(
        "DOUBLETS_NOT_CHECKED",
        Effect.REMARK,
        "Doublets could not be excluded: {why}. They are among the nucleated cells, which are a few percent too many.",
    ),
    FlagKind("DEBRIS_NOT_CHECKED", Effect.INFO, "Debris could not be excluded: {why}."),
)

_COHORT: Final = (
    FlagKind("QC_MISSING", Effect.REMARK, "qc.json was not found for this sample.", shows=_COHORT_ONLY),
    FlagKind(
        "CARRY_OVER",
        Effect.REMARK,
        "The tube run just before may have left cells; see batch quality.",
        shows=_COHORT_ONLY,
    ),
    FlagKind("NO_RESULT", Effect.INFO, "The tube has no result; see the cohort page for the reason.", shows=_TRIAL),
)

_FILE_FINDINGS: Final = tuple(
    _file(code)
    for code in [
        "amplification_ignored",
        "amplification_unreadable",
        "amplification_zero",
        "begin_off_by_one",
        "bit_packed",
        "blank_events_at_end",
        "data_padded",
        "date_unreadable",
        "data_set_chosen",
        "doubled_end",
        "duplicate_keywords",
        "empty_values",
        "end_by_count",
        "end_off_by_one",
        "float_width",
        "further_data_set",
        "gain_ignored",
        "histograms_skipped",
        "integers_above_range",
        "mode_missing",
        "name_missing",
        "names_from_twin",
        "next_data_set_missing",
        "no_clock",
        "no_events",
        "no_final_delimiter",
        "odd_tail",
        "offsets_disagree",
        "offsets_from_file_start",
        "offsets_in_text_only",
        "padded_words",
        "range_not_positive",
        "scatter_substitute",
        "several_clocks",
        "spillover_malformed_beside",
        "stray_delimiter",
        "supplemental_text_unusable",
        "text_end_long",
        "text_end_short",
        "timestep_missing",
        "timestep_unreadable",
        "tot_missing",
        "unescaped_delimiter",
        "value_missing",
    ]
)
"""Oddities of a file that was still read truthfully; :mod:`flowmrd.fcs` writes their sentences."""

_TRIAL_CODES: Final = (
    _trial("NO_TUBE", "No follow-up tube after cycle 1 is in the sample sheet."),
    _trial("REVIEW_REJECTED", "The reviewer rejected this result."),
    _trial("NO_ASSESSMENT", "No marrow was assessed after treatment."),
    _trial("EXTRAMEDULLARY_DISEASE", "Extramedullary disease is present."),
    _trial("CIRCULATING_BLASTS", "Blasts circulate in the blood."),
    _trial("BLASTS_NOT_BELOW_LIMIT", "{blasts:g} % marrow blasts; CR needs less than {limit:g} %."),
    _trial("EXTRAMEDULLARY_UNKNOWN", "Extramedullary disease was not recorded as present or absent."),
    _trial("CIRCULATING_BLASTS_UNKNOWN", "Circulating blasts were not recorded as present or absent."),
    _trial("BLASTS_BELOW_LIMIT", "{blasts:g} % marrow blasts, below {limit:g} %."),
    _trial("COUNTS_MISSING", "No count of {missing}: recovery cannot be judged."),
    _trial("NEUTROPHILS_NOT_RECOVERED", "{count:g} x 10⁹/L, below {limit:g}."),
    _trial("PLATELETS_NOT_RECOVERED", "{count:g} x 10⁹/L, below {limit:g}."),
    _trial("PLATELETS_TRANSFUSED", "The platelet count was reached with transfusion."),
    _trial("RECOVERED", "Neutrophils and platelets have recovered."),
    _trial("BASELINE_MISSING", "No marrow blasts before treatment: a partial response is not assessable."),
    _trial("BLASTS_HALVED", "From {before:g} % to {after:g} %."),
    _trial("DIFFERS_FROM_REPORTED", "The investigator reported {reported}; the rule set gives {found}."),
    _trial("RELAPSE_SITE_MISSING", "The site of the relapse is not recorded."),
    _trial("RELAPSE_BLASTS_MISSING", "A marrow relapse without its blast percentage."),
    _trial("RELAPSE_BELOW_LIMIT", "{blasts:g} % marrow blasts at relapse; the rule asks for {limit:g} %."),
    _trial("SMALL_SAMPLE", "{patients} patients: read counts and intervals, not percentages; no p-value is given."),
    _trial(
        "EVALUABLE_WITHOUT_RESPONSE",
        "{patient}: evaluable, but the response is not assessable; counted as no response.",
    ),
    _trial(
        "EARLY_DEATH_LEFT_OUT",
        "{patient}: died before any assessment and is left out as not evaluable; where the protocol counts early "
        "death as failure, write evaluable yes.",
    ),
    _trial("MRD_NOT_EVALUABLE", "{patient}: MRD after cycle 1 not evaluable ({codes})."),
    _trial(
        "EVENT_OUTSIDE_SAFETY_POPULATION",
        "{patient}: has adverse events but is not in the safety population ({population}).",
    ),
    _trial("FATAL_EVENT_MISSING", "{patient}: died of toxicity, but no grade 5 event is listed."),
    _trial("NO_ADVERSE_EVENTS", "No adverse events were given: none can be reported."),
)

REGISTRY: Final[Mapping[str, FlagKind]] = {
    kind.code: kind
    for kind in (
        *_TUBE_FAILURES,
        *_DOUBTS,
        *_CONTROLS,
        *_ANSWERS,
        *_GATES,
        *_QUALITY_FLAGS,
        *_COHORT,
        *_FILE_FINDINGS,
        *_TRIAL_CODES,
    )
}
"""Every code, by rank."""

_RANK: Final = {code: rank for rank, code in enumerate(REGISTRY)}

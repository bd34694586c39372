"""One truth on the page: no two statements about a result may disagree, whatever its class, flags and role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from flowmrd.flags import REGISTRY, Effect, Flag, flag
from flowmrd.mrd.calls import GroupCall, ReviewerCalls, flags_of_calls
from flowmrd.mrd.result import MRD_NEGATIVE_OF, CellGroup, GroupEvidence, KindOutcome, MrdResult, VerdictClass
from flowmrd.records.classification import ClassificationFile
from flowmrd.report import verdict
from flowmrd.report.answer import context_of, scale
from flowmrd.report.formatting import readable
from flowmrd.report.guidance import next_steps
from flowmrd.report.numbers import share_of
from flowmrd.report.page import environment
from flowmrd.report.page_inputs import Visit
from flowmrd.report.trend import trend_rows
from flowmrd.report.verdict import span
from report_factory import classification_record, make_result

FORBIDDEN = (
    (r"MRD not detected", r"MRD detected"),
    (r"MRD not detected", r"MRD failure|positive, not quantifiable|positive below"),
    (r"MRD not detected|Below the limit of detection", r"95 % interval"),
    (r"MRD not detected|Below the limit of detection", r"log10"),
    (r"MRD detected", r"< 0\.\d+ %(?! \()(?=</dd>)"),
    (r"MRD detected", r"complete MRD response"),
    (r"MRD detected", r"no result"),
    (r"MRD failure", r"Trial endpoint MRD &lt; [^<]*: (yes|not assessable)"),
    (r"complete MRD response", r"Trial endpoint MRD &lt; [^<]*: (no\b|not)"),
    (r"complete MRD response", r"is not excluded"),
    (r"intermediate \(positive below", r"Trial endpoint MRD &lt; [^<]*: (no\b|not)"),
    (r"sensitivity insufficient", r"Trial endpoint MRD &lt; [^<]*: (yes|no\b(?!t))"),
    (r"Not answered|Not evaluable", r"Trial endpoint MRD &lt; [^<]*: (yes|no\b(?!t))"),
    (r"Not answered|Not evaluable|evident", r"complete MRD response|MRD failure|intermediate"),
    (r"Not answered|Not evaluable", r"MRD not detected|MRD detected"),
    (r"Not answered|Not evaluable", r"<dd>(<|&lt;)"),
    (r"Rejected by", r"Trial endpoint|ELN 2024|accepted by"),
    (r"Control:|Odd control|Control with", r"Trial endpoint|ELN 2024|MRD of |overlooked|MRD not detected|MRD detected"),
    (r"at diagnosis: |Diagnosis: ", r"Trial endpoint|ELN 2024|passed|MRD not detected|overlooked"),
    (r"Odd control|Control with a finding", r"[Cc]ontrol:? like the other"),
    (r"Control: like the other controls", r"belong to a population|stained no cell|Odd control|than in the controls"),
    (r"Carry-over possible", r"no sign of carry-over"),
    (r"negative result", r"negative"),
    (r"cannot be told|beyond doubt|[Ss]econd reader|Smaller than cells|would have shown", r""),
)
"""Pairs of statements that exclude each other: a page that says the first must not say the second."""

REJECTED = {
    "decision": "reject", "name": "Dr Reject", "valid": True, "replaced_by": None, "reason": None, "comment": "no",
    "meaning": "review", "signed_at": "2026-01-01T00:00:00+00:00", "seq": 1,
}  # fmt: skip


PAGE = environment().from_string('{% import "parts.html.j2" as parts %}{% include "verdict.html.j2" %}')


def said(result: MrdResult, signatures: tuple[dict[str, Any], ...] = (), notes: tuple[str, ...] = ()) -> str:
    """The page's answer as HTML."""
    context = context_of(
        result,
        notes=[(note, "") for note in notes],
        steps=[],
        signatures=signatures,
        signature_problem=None,
        required=1,
    )
    return PAGE.render(context | {"scale": None})


def contradictions(html: str) -> list[tuple[str, str]]:
    """Forbidden pairs that stand in a text."""
    return [
        (first, second)
        for first, second in FORBIDDEN
        if re.search(first, html) and re.search(second, re.sub(first, "", html, count=1))
    ]


def of_class(kind: VerdictClass, negative: bool | None, flags: tuple[Flag, ...], role: str) -> MrdResult:
    """A result of this class with these reasons; counts that go with it."""
    events = {
        VerdictClass.POSITIVE: 400, VerdictClass.POSITIVE_BELOW_THRESHOLD: 60,
        VerdictClass.DETECTED_NOT_QUANTIFIABLE: 30, VerdictClass.NEGATIVE: 0,
    }.get(kind, 5)  # fmt: skip
    base = make_result("P01_d21", mrd=events, nucleated=1_000_000, role="followup")
    detected = kind in {
        VerdictClass.POSITIVE, VerdictClass.POSITIVE_BELOW_THRESHOLD, VerdictClass.DETECTED_NOT_QUANTIFIABLE
    }  # fmt: skip
    reported = base.mrd.reported if detected == base.mrd.detected else ("0.04 %" if detected else "< 0.0028 %")
    if kind is VerdictClass.INDETERMINATE:
        reported = "not established"
    if kind is VerdictClass.NOT_EVALUABLE:
        reported = "not evaluable"
    changed = base.model_dump(by_alias=True) | {
        "role": role,
        "mrd": base.mrd.model_dump() | {"detected": detected, "reported": reported},
        "verdict": {
            "class": kind, "mrd_negative": negative, "question": "Is leukaemia there?",
            "reasons": [{"code": flag.code, "message": flag.message} for flag in flags],
        },
    }  # fmt: skip
    return MrdResult.model_validate(changed)


def everything() -> Iterator[tuple[VerdictClass, bool | None, Flag, str]]:
    """Every class with every answer it allows, every flag and every role it is given to."""
    for kind in VerdictClass:
        control = kind in {VerdictClass.CONTROL_CLEAN, VerdictClass.CONTROL_ODD}
        for negative in MRD_NEGATIVE_OF[kind]:
            for code, entry in REGISTRY.items():
                if "reasons" not in entry.places and entry.effect is not Effect.ANSWER:
                    continue
                for role in ("control",) if control else ("followup", "diagnosis"):
                    yield kind, negative, Flag(code, f"The sentence of {code}."), role


@pytest.mark.parametrize("kind", list(VerdictClass))
def test_no_two_statements_disagree_for_any_class_flag_and_role(kind: VerdictClass) -> None:
    found = {}
    for case in everything():
        if case[0] is kind:
            result = of_class(kind, case[1], (case[2],), case[3])
            wrong = contradictions(said(result))
            if wrong:
                found[case[3], case[1], case[2].code] = wrong
    assert found == {}


CALLS = ("counted", "normal:mature_b", "artefact:dying_cells")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", [kind for kind in VerdictClass if not kind.value.startswith("CONTROL")])
def test_a_reviewers_call_beside_the_answer_contradicts_no_class(kind: VerdictClass, call: str) -> None:
    for negative in MRD_NEGATIVE_OF[kind]:
        for role in ("followup", "diagnosis"):
            base = of_class(kind, negative, (Flag("QUANTIFIED", "x"),), role)
            if call == "counted" and kind.value.startswith("NEGATIVE"):
                with pytest.raises(ValueError, match="a reviewer calls leukaemia"):
                    called_by_reviewer(base, call)
                continue
            result = called_by_reviewer(base, call)
            html = said(result)
            assert contradictions(html) == []
            assert "by reviewer Dr Ada" in html
            assert contradictions(said(result, (REJECTED,))) == []


def test_the_index_says_that_a_reviewer_called() -> None:
    result = of_class(VerdictClass.POSITIVE, False, (Flag("QUANTIFIED", "x"),), "followup")
    assert verdict.short(called_by_reviewer(result, "counted")) == ("fail", "MRD positive, by reviewer")
    assert verdict.short(result) == ("fail", "MRD positive")


def called_by_reviewer(result: MrdResult, call: str) -> MrdResult:
    """The same result with one group that a reviewer called, as :func:`flowmrd.mrd.quantify.quantify` says it."""
    group = CellGroup(
        events=result.counts.mrd_events, phenotype="CD10 over", nearest_normal="haematogones_2",
        evidence=GroupEvidence(), call=call, called_by="reviewer", reviewer="Dr Ada", markers=(), medians={}, cluster=0,
    )  # fmt: skip
    made = flags_of_calls(
        [group],
        ReviewerCalls((GroupCall(0, call, "Dr Ada"),)),
        ClassificationFile.model_validate(classification_record("S")),
        400,
        20,
    )
    reasons = (*result.verdict.reasons, *made)
    made_so = result.model_copy(
        update={"groups": (group,), "verdict": result.verdict.model_copy(update={"reasons": reasons})}
    )
    return MrdResult.model_validate(made_so.to_json_dict())


@pytest.mark.parametrize("kind", [VerdictClass.POSITIVE, VerdictClass.NEGATIVE, VerdictClass.INDETERMINATE])
def test_a_rejection_takes_the_place_of_the_answer(kind: VerdictClass) -> None:
    negative = next(iter(MRD_NEGATIVE_OF[kind]))
    html = said(of_class(kind, negative, (Flag("QUANTIFIED", "x"),), "followup"), (REJECTED,))
    assert "Rejected by" in html
    assert contradictions(html) == []
    assert 'class="card verdict none"' in html


@pytest.mark.parametrize(
    ("events", "nucleated", "headline"),
    [
        (0, 1_000_000, "MRD not detected: < 0.0028 %"),
        (11, 1_000_000, "Below the limit of detection: < 0.0028 %"),
        (950, 1_000_000, "MRD detected: 0.095 %"),
        (30, 1_000_000, "MRD detected: about 0.0030 %"),
    ],
)
def test_the_banner_has_one_of_four_forms(events: int, nucleated: int, headline: str) -> None:
    result = make_result("P01_d21", mrd=events, nucleated=nucleated)
    assert verdict.wording(result).headline == headline
    assert contradictions(said(result)) == []


def test_an_unanswered_tube_asks_its_one_question() -> None:
    result = of_class(
        VerdictClass.INDETERMINATE, None, (Flag("UNRESOLVED_CLUSTER", "A group of 51 cells."),), "followup"
    )
    assert verdict.wording(result).headline == "Not answered: is leukaemia there?"


def test_below_the_limit_with_cells_is_amber_and_gives_the_count() -> None:
    result = make_result("P01_d21", mrd=11, nucleated=1_000_000)
    said_now = verdict.wording(result)
    assert said_now.tone == "warn"
    assert "11 clustered events" in said_now.sentence


@pytest.mark.parametrize("code", ["SIGNAL_DRIFT", "SIGNAL_SHIFT"])
def test_a_tube_without_counted_cells_is_given_no_step_about_them(code: str) -> None:
    for role in ("control", "followup", "diagnosis"):
        without, some = (make_result("x", role=role, mrd=n, extra=(Flag(code, "CD22 moves."),)) for n in (0, 40))
        assert not [step for step in next_steps(without) if "counted cells" in step.text]
        assert [step for step in next_steps(some) if "counted cells" in step.text]


def test_a_control_with_cells_that_no_other_control_has_is_odd_everywhere_on_its_page() -> None:
    cells = flag("UNKNOWN_POPULATION", share=0.46, most=0.005, what="CD45 dim, CD34+")
    plain, odd = (make_result("C1", role="control", mrd=0, blind_spots=found) for found in ((), (cells,)))
    assert [one.verdict.class_ for one in (plain, odd)] == [VerdictClass.CONTROL_CLEAN, VerdictClass.CONTROL_ODD]
    assert verdict.wording(plain).headline == "Control: like the other controls"
    words = verdict.wording(odd)
    assert (words.tone, words.headline) == ("warn", "Odd control: unlike the others")
    assert readable(cells.message) in words.sentence
    assert verdict.short(odd) == ("warn", "Odd control")
    assert contradictions(said(odd)) == []
    assert any("accept it or exclude it" in step.text for step in next_steps(odd))


def test_a_control_with_a_shifted_colour_stays_a_control_and_is_not_called_like_the_others() -> None:
    moved = flag("STAINING_SHIFTED", marker="CD34", decades=0.5, factor=3.2, way="brighter", limit=0.4)
    result = make_result("C1", role="control", mrd=0, blind_spots=(moved,))
    assert result.verdict.class_ is VerdictClass.CONTROL_CLEAN
    words = verdict.wording(result)
    assert (words.tone, words.headline) == ("warn", "Control with a finding")
    assert readable(moved.message) in words.sentence
    assert verdict.short(result) == ("warn", "Control with a finding")
    assert contradictions(said(result)) == []


def test_a_tube_that_is_too_small_is_said_to_be_small_and_not_to_overlap_with_normal_cells() -> None:
    small = make_result("P01_d21", mrd=0, nucleated=27_930, spiked=False)
    assert "27 930 events" in verdict.wording(small).sentence.replace("\u202f", " ").replace(",", " ")
    assert not [step for step in next_steps(small) if "overlap" in step.text]
    large = make_result("P01_d21", mrd=0, nucleated=600_000, spiked=False)
    assert [step for step in next_steps(large) if "overlap" in step.text]


def test_a_tube_that_failed_is_first_told_what_failed() -> None:
    """A file of 900 events was first told that more events do not help."""
    few = flag("TOO_FEW_EVENTS_ACQUIRED", events=900, least=1000)
    result = make_result("P01_d21", mrd=0, nucleated=843, background=9.4e-4, failures=(few,))
    assert result.verdict.class_ is VerdictClass.NOT_EVALUABLE
    texts = [step.text for step in next_steps(result)]
    assert texts[0].startswith("Do not report this tube as negative")
    assert "too few events for any answer" in texts[1]
    assert len(set(texts)) == len(texts)


def test_the_kinds_that_would_have_been_overlooked_are_named_once_each() -> None:
    base = make_result("P01_d21", mrd=0)

    def told(missed: int) -> str:
        kinds = tuple(
            KindOutcome(
                phenotype=words, nearest_normal="haematogones_1", spiked=30, recovered=0, noticed=0, share=0.2,
                outcome="missed" if at < missed else "counted",
            )
            for at, words in enumerate(("CD10+", "CD10+", "CD10-", "CD34+"))
        )  # fmt: skip
        assert base.sensitivity.spike_in is not None
        spike = base.sensitivity.spike_in.model_copy(update={"kinds": kinds})
        facts = base.sensitivity.model_copy(update={"spike_in": spike})
        return verdict.sensitivity_words(base.model_copy(update={"sensitivity": facts}))[-1][1]

    assert told(3) == "Kinds of leukaemia that would have been overlooked: 2 × CD10+; CD10-."
    assert told(4) == "Every one of these 4 kinds of leukaemia would have been overlooked."


def test_only_a_follow_up_has_its_mrd_on_a_scale() -> None:
    for role in ("followup", "diagnosis", "control"):
        assert (scale(make_result("x", role=role, mrd=400)) is not None) is (role == "followup")


def test_no_share_of_a_denominator_exceeds_all_of_its_cells() -> None:
    result = make_result("P01_d21", mrd=0, nucleated=331_204, b_lineage=4)
    assert share_of(result, 4) == "too few cells"
    assert share_of(result, 331_204).startswith("< 0.0")


def test_a_control_and_a_diagnosis_tube_get_their_own_next_steps() -> None:
    odd = of_class(VerdictClass.CONTROL_ODD, None, (Flag("CONTROL_HAS_CELLS", "57 cells."),), "control")
    assert any("Accept the control or exclude it" in step.text for step in next_steps(odd))
    first = of_class(VerdictClass.POSITIVE, False, (Flag("QUANTIFIED", "x"),), "diagnosis")
    assert [step.text for step in next_steps(first)][-1].startswith("Check that the cells are the leukaemia")


def test_an_evident_leukaemia_without_controls_is_said_to_be_there() -> None:
    base = make_result("P01_d15", mrd=400_000, nucleated=900_000, background=None)
    assert base.verdict.class_ is VerdictClass.INDETERMINATE
    assert verdict.wording(base).headline == "Leukaemia evident, about 44 %: not validated"


def test_statements_that_contradict_each_other_would_be_found() -> None:
    assert contradictions("<h2>MRD not detected</h2><p>95 % interval 0 % to 0.0011 %</p>")
    assert contradictions("MRD failure ... Trial endpoint MRD &lt; 0.01 %: yes")
    assert not contradictions("MRD detected: 0.095 %, 95 % interval 0.09 % to 0.1 %")


def test_no_share_below_the_limit_of_detection_is_printed_as_a_result() -> None:
    """The same number of events is the limit of every denominator; what is not established has no share."""
    found, below = make_result("a", mrd=400), make_result("b", mrd=5)
    opened = make_result("c", mrd=12, blind_spots=(Flag("UNRESOLVED_CLUSTER", "A group is not counted."),))
    assert share_of(found, found.counts.nucleated) == found.mrd.reported
    assert share_of(below, below.counts.nucleated) == below.mrd.reported.partition(" (")[0]
    half = (below.counts.nucleated or 0) // 2
    limit = float(share_of(below, below.counts.nucleated).strip("< %"))
    assert float(share_of(below, half).strip("< %")) == pytest.approx(2 * limit, rel=0.03)
    assert share_of(opened, opened.counts.nucleated) == "–"
    assert share_of(found, None) == share_of(found, 0) == "not available"
    shown = {row.sample: row.interval for row in trend_rows([Visit(found), Visit(below), Visit(opened)], "a")}
    assert shown == {"a": span(found.mrd.ci95), "b": "–", "c": "–"}

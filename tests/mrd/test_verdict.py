"""The state machine: a weak answer is never a negative one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmrd.flags import REGISTRY, Effect, Flag, flag
from flowmrd.mrd.limits import limits, poisson_interval
from flowmrd.mrd.reasons import SortedFlags, sort_flags
from flowmrd.mrd.reported import report_level
from flowmrd.mrd.result import DETECTED_CLASSES, MRD_NEGATIVE_OF, Level, Verdict, VerdictClass
from flowmrd.mrd.sensitivity import judge_spike_in, kinds_share_found, partial_sensitivity
from flowmrd.mrd.verdict import Evidence, decide
from flowmrd.records.classification import SpikeInEntry

DOUBT = flag("TUBE_UNLIKE_CONTROLS", why="x")
FAILURE = flag("NO_NUCLEATED_CELLS")


def evidence(events: int, denominator: int, *, background: float | None = 1e-6, spike: bool | None = True) -> Evidence:
    low, high = poisson_interval(events)
    return Evidence(
        mrd_events=events,
        denominator=denominator,
        interval=(low / denominator, high / denominator) if denominator else None,
        limits=None if background is None else limits(denominator, background=background),
        target=1e-4,
        spike_in_detected=spike,
    )


def changed(base: Evidence, **kwargs: object) -> Evidence:
    return Evidence(**{**base.__dict__, **kwargs})


@pytest.mark.parametrize(
    ("events", "denominator", "kind", "negative"),
    [
        (3, 500_000, VerdictClass.NEGATIVE, True),
        (3, 200_000, VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY, None),
        (30, 300_000, VerdictClass.DETECTED_NOT_QUANTIFIABLE, None),
        (25, 1_000_000, VerdictClass.DETECTED_NOT_QUANTIFIABLE, True),
        (40, 20_000, VerdictClass.DETECTED_NOT_QUANTIFIABLE, False),
        (60, 4_000_000, VerdictClass.POSITIVE_BELOW_THRESHOLD, True),
        (100, 1_000_000, VerdictClass.POSITIVE, None),
        (95, 1_000_000, VerdictClass.POSITIVE_BELOW_THRESHOLD, None),
        (400, 400_000, VerdictClass.POSITIVE, False),
        (0, 0, VerdictClass.NOT_EVALUABLE, None),
    ],
)
def test_counts_lead_to_the_published_classes(
    events: int, denominator: int, kind: VerdictClass, negative: bool | None
) -> None:
    verdict = decide(evidence(events, denominator))
    assert (verdict.class_, verdict.mrd_negative) == (kind, negative)
    assert verdict.reasons


@pytest.mark.parametrize("spike", [False, None])
def test_a_tube_whose_spike_in_was_missed_is_never_negative(spike: bool | None) -> None:
    verdict = decide(evidence(0, 1_000_000, spike=spike))
    assert verdict.class_ is VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY
    assert verdict.mrd_negative is None


def test_without_controls_every_answer_is_indeterminate() -> None:
    for events in (0, 30, 5000):
        verdict = decide(evidence(events, 1_000_000, background=None))
        assert (verdict.class_, verdict.mrd_negative) == (VerdictClass.INDETERMINATE, None)


@given(
    st.integers(0, 3000),
    st.integers(0, 5_000_000),
    st.one_of(st.none(), st.floats(0, 1e-3)),
    st.sampled_from([True, False, None]),
    st.booleans(),
    st.booleans(),
)
def test_true_is_said_only_by_a_sensitive_trusted_tube_with_the_interval_below_the_threshold(
    events: int, denominator: int, background: float | None, spike: bool | None, doubt: bool, failure: bool
) -> None:
    base = evidence(events, denominator, background=background, spike=spike)
    case = changed(base, doubts=(DOUBT,) if doubt else (), failures=(FAILURE,) if failure else ())
    verdict = decide(case)
    if verdict.mrd_negative is True or verdict.class_ is VerdictClass.NEGATIVE:
        assert not doubt and not failure and case.limits is not None
        assert case.limits.lod95 <= 1e-4
        if verdict.class_ is VerdictClass.NEGATIVE:
            assert spike is True and events < min(20, case.limits.detect_events)
        else:
            assert case.interval is not None and case.interval[1] < 1e-4
    if verdict.mrd_negative is False:
        assert case.interval is not None and case.interval[0] >= 1e-4


@pytest.mark.parametrize(
    ("events", "recovery", "kind"),
    [
        (19, 0.95, VerdictClass.INDETERMINATE),
        (17, 0.95, VerdictClass.INDETERMINATE),
        (16, 0.95, VerdictClass.NEGATIVE),
        (13, 0.8, VerdictClass.INDETERMINATE),
        (12, 0.8, VerdictClass.NEGATIVE),
        (19, None, VerdictClass.NEGATIVE),
        (3, 0.95, VerdictClass.NEGATIVE),
    ],
)
def test_events_that_would_be_a_detection_but_for_the_cells_that_the_tube_loses_are_no_negative(
    events: int, recovery: float | None, kind: VerdictClass
) -> None:
    verdict = decide(changed(evidence(events, 400_000), recovery=recovery))
    assert verdict.class_ is kind
    assert (verdict.reasons[0].code == "NEAR_DETECTION") is (kind is VerdictClass.INDETERMINATE)


def test_events_that_only_the_background_explains_are_neither_negative_nor_positive() -> None:
    verdict = decide(evidence(32, 400_000, background=87e-6))
    assert (verdict.class_, verdict.mrd_negative) == (VerdictClass.INDETERMINATE, None)
    assert verdict.reasons[0].code == "WITHIN_BACKGROUND"


def test_doubts_and_failures_are_named_in_the_reasons() -> None:
    base = evidence(0, 1_000_000)
    assert decide(changed(base, doubts=(DOUBT,))).reasons[0].code == "TUBE_UNLIKE_CONTROLS"
    assert decide(changed(base, failures=(FAILURE,), doubts=(DOUBT,))).reasons[0].code == "NO_NUCLEATED_CELLS"


@pytest.mark.parametrize("code", ["NO_LAIP", "UNRESOLVED_CLUSTER", "CD19_LOSS_UNSEEN"])
def test_what_may_have_been_overlooked_forbids_a_negative_but_not_a_positive(code: str) -> None:
    blind = [Flag(code, "overlooked")]
    clean = decide(changed(evidence(0, 500_000), blind_spots=blind))
    assert (clean.class_, clean.mrd_negative) == (VerdictClass.INDETERMINATE, None)
    assert clean.reasons[0].code == code
    found = decide(changed(evidence(400, 400_000), blind_spots=blind))
    assert (found.class_, found.mrd_negative) == (VerdictClass.POSITIVE, False)
    assert code in [reason.code for reason in found.reasons]


FORBIDDING = [
    kind.code
    for kind in REGISTRY.values()
    if kind.effect in {Effect.FAILURE, Effect.DOUBT, Effect.NO_NEGATIVE, Effect.NOT_SENSITIVE}
    and "followup" in kind.roles
]


def with_codes(base: Evidence, codes: list[str], role: str = "followup") -> Evidence:
    """The evidence with these flags, sorted as the result sorts them."""
    return changed(base, role=role, **vars(sort_flags((Flag(code, "said") for code in codes), role=role)))


any_evidence = st.builds(
    evidence,
    st.integers(0, 3000),
    st.integers(0, 5_000_000),
    background=st.one_of(st.none(), st.floats(0, 1e-3)),
    spike=st.sampled_from([True, False, None]),
)
any_codes = st.lists(st.sampled_from([code for code in REGISTRY if code.isupper()]), max_size=5)


@given(any_evidence, st.lists(st.sampled_from(FORBIDDING), min_size=1, max_size=4), any_codes)
def test_no_tube_with_a_forbidding_flag_is_negative_or_below_the_threshold(
    base: Evidence, forbidding: list[str], others: list[str]
) -> None:
    verdict = decide(with_codes(base, [*others, *forbidding]))
    assert verdict.class_ is not VerdictClass.NEGATIVE
    assert verdict.mrd_negative is not True


@given(any_evidence, any_codes, st.sampled_from(["followup", "diagnosis", "control"]), st.booleans())
def test_every_answer_has_a_reason_and_agrees_with_itself(
    base: Evidence, codes: list[str], role: str, laip: bool
) -> None:
    verdict = decide(changed(with_codes(base, codes, role), laip_found=laip))
    assert verdict.reasons
    assert len(set(verdict.reasons)) == len(verdict.reasons)
    assert verdict.mrd_negative in MRD_NEGATIVE_OF[verdict.class_]
    assert (verdict.question is not None) is (verdict.class_ is VerdictClass.INDETERMINATE)
    assert (verdict.question or "?").endswith("?")
    controls = {VerdictClass.CONTROL_CLEAN, VerdictClass.CONTROL_ODD, VerdictClass.NOT_EVALUABLE}
    assert (verdict.class_ in controls) or role != "control"
    assert role == "control" or verdict.class_ not in controls - {VerdictClass.NOT_EVALUABLE}


TRUST = [
    VerdictClass.NOT_EVALUABLE,
    VerdictClass.INDETERMINATE,
    VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY,
    VerdictClass.NEGATIVE,
]
"""From the class that says least about absence to the one that says most."""


@given(any_evidence, any_codes, st.sampled_from(FORBIDDING))
def test_one_more_flag_never_makes_an_absence_more_certain(base: Evidence, codes: list[str], more: str) -> None:
    before, after = decide(with_codes(base, codes)), decide(with_codes(base, [*codes, more]))
    if before.class_ in TRUST and after.class_ in TRUST:
        assert TRUST.index(after.class_) <= TRUST.index(before.class_)
    assert after.class_ not in DETECTED_CLASSES or before.class_ in DETECTED_CLASSES


@given(any_evidence, st.integers(1, 500))
def test_more_events_never_turn_a_detection_into_none(base: Evidence, more: int) -> None:
    ranks = [*TRUST[2:], VerdictClass.DETECTED_NOT_QUANTIFIABLE]
    ranks += [VerdictClass.POSITIVE_BELOW_THRESHOLD, VerdictClass.POSITIVE]
    if base.limits is None or base.denominator == 0:
        return
    larger = changed(
        evidence(base.mrd_events + more, base.denominator), limits=base.limits, spike_in_detected=base.spike_in_detected
    )
    first, second = decide(base), decide(larger)
    if first.class_ in DETECTED_CLASSES:
        assert second.class_ in DETECTED_CLASSES
        if VerdictClass.DETECTED_NOT_QUANTIFIABLE not in {first.class_, second.class_}:
            assert ranks.index(second.class_) >= ranks.index(first.class_)


def test_a_detection_whose_interval_holds_the_threshold_keeps_its_class() -> None:
    for events, kind in ((30, VerdictClass.DETECTED_NOT_QUANTIFIABLE), (60, VerdictClass.POSITIVE)):
        verdict = decide(evidence(events, events * 10_000))
        assert (verdict.class_, verdict.mrd_negative, verdict.question) == (kind, None, None)
        assert "INTERVAL_STRADDLES_THRESHOLD" in [reason.code for reason in verdict.reasons]


def test_a_diagnosis_tube_whose_phenotype_was_found_reports_that_leukaemia() -> None:
    base = with_codes(evidence(46_000, 100_000), ["TUBE_UNLIKE_CONTROLS", "PHENOTYPE_LIKE_NORMAL"], "diagnosis")
    found = decide(changed(base, laip_found=True))
    assert (found.class_, found.mrd_negative) == (VerdictClass.POSITIVE, False)
    assert "TUBE_UNLIKE_CONTROLS" in [reason.code for reason in found.reasons]
    missed = decide(changed(evidence(3, 500_000), role="diagnosis", laip_found=True))
    assert missed.class_ is VerdictClass.INDETERMINATE
    assert missed.reasons[0].code == "DIAGNOSIS_NOT_COUNTED"
    unknown = decide(with_codes(evidence(3, 500_000), ["NO_LAIP"], "diagnosis"))
    assert (unknown.class_, unknown.reasons[0].code) == (VerdictClass.INDETERMINATE, "NO_LAIP")


def test_a_control_is_clean_or_odd_and_never_a_patient() -> None:
    clean = decide(with_codes(evidence(3, 500_000), ["UNRESOLVED_CLUSTER", "NO_LAIP"], "control"))
    assert (clean.class_, clean.mrd_negative) == (VerdictClass.CONTROL_CLEAN, None)
    assert [reason.code for reason in clean.reasons] == ["CONTROL_LIKE_OTHERS"]
    for codes, events in (([], 2_069), (["TUBE_UNLIKE_CONTROLS"], 0), (["CONTROL_HAS_CELLS"], 0)):
        assert decide(with_codes(evidence(events, 500_000), codes, "control")).class_ is VerdictClass.CONTROL_ODD
    for code in (code for code, kind in REGISTRY.items() if kind.effect is Effect.NO_NEGATIVE):
        found = decide(with_codes(evidence(0, 500_000), [code], "control"))
        odd = code in {"UNKNOWN_POPULATION", "ANTIBODY_ABSENT", "EMPTY_WINDOW"}
        assert found.class_ is (VerdictClass.CONTROL_ODD if odd else VerdictClass.CONTROL_CLEAN), code
    for code in ("NO_CONTROLS", "ONE_CONTROL"):
        alone = decide(with_codes(evidence(0, 500_000, background=None), [code], "control"))
        assert alone.class_ is VerdictClass.NOT_EVALUABLE


def test_cells_that_may_not_be_leukaemia_are_no_detection() -> None:
    doubted = changed(evidence(400, 400_000), not_positive=(flag("PHENOTYPE_LIKE_NORMAL", events=400, what="x"),))
    verdict = decide(doubted)
    assert (verdict.class_, verdict.mrd_negative) == (VerdictClass.INDETERMINATE, None)
    assert verdict.question == "Are these cells leukaemia, or normal precursors?"


@pytest.mark.parametrize(
    ("events", "denominator", "background", "detected", "reported"),
    [
        (0, 336_000, 1e-7, False, "< 0.0083 %"),
        (3, 366_842, 1e-7, False, "< 0.0076 %"),
        (380, 400_000, 1e-7, True, "0.095 %"),
        (28, 28_000_000, 1e-7, True, "0.00010 %"),
        (32, 400_000, 87e-6, False, "not established"),
        (400, 400_000, None, False, "not established (counted 0.10 %, no limit of detection known)"),
    ],
)
def test_what_is_reported_is_a_percentage_or_less_than_the_limit_of_detection(
    events: int, denominator: int, background: float | None, detected: bool, reported: str
) -> None:
    base = evidence(events, denominator, background=background)
    assert base.interval is not None
    level = Level(fraction=base.fraction, percent=None, log10=None, ci95=base.interval)
    mrd = report_level(level, decide(base).class_, base.limits, events)
    assert (mrd.detected, mrd.reported) == (detected, reported)


def test_a_tube_with_an_open_question_is_not_below_the_limit_of_detection() -> None:
    base = evidence(3, 366_842)
    assert base.interval is not None
    level = Level(fraction=base.fraction, percent=None, log10=None, ci95=base.interval)
    assert report_level(level, VerdictClass.INDETERMINATE, base.limits, 3).reported == "not established"


def test_a_count_that_its_verdict_doubts_is_no_percentage() -> None:
    unstained = flag("ANTIBODY_ABSENT", marker="CD20", carriers=52_000, expected=0.97)
    base = changed(evidence(50_329, 300_000), blind_spots=(unstained,))
    level = Level(fraction=base.fraction, percent=None, log10=None, ci95=base.interval)
    verdict = decide(base)
    assert [verdict.class_, verdict.reasons[0].code] == [VerdictClass.INDETERMINATE, "ANTIBODY_ABSENT"]
    assert report_level(level, verdict.class_, base.limits, 50_329).reported == "not established"


def test_a_tube_that_failed_reports_no_limit() -> None:
    base = changed(evidence(3, 366_842), failures=(FAILURE,))
    level = Level(fraction=base.fraction, percent=None, log10=None, ci95=base.interval)
    mrd = report_level(level, decide(base).class_, base.limits, 3)
    assert (mrd.detected, mrd.reported) == (False, "not evaluable")


def test_a_class_that_contradicts_the_trials_flag_cannot_be_stored() -> None:
    reasons = (flag("NO_DENOMINATOR"),)
    for kind, negative in ((VerdictClass.NEGATIVE, False), (VerdictClass.INDETERMINATE, True)):
        with pytest.raises(ValueError, match="cannot go with"):
            Verdict(class_=kind, mrd_negative=negative, reasons=reasons)


def test_flags_are_sorted_by_their_effect_alone() -> None:
    kinds = list(REGISTRY.values())
    found = sort_flags(Flag(kind.code, "x") for kind in kinds)
    assert isinstance(found, SortedFlags)
    assert {item.effect for item in found.doubts} == {Effect.DOUBT}
    assert {item.effect for item in found.blind_spots} == {Effect.NO_NEGATIVE}
    assert not [item for item in found.remarks if item.effect is Effect.INFO]


def spiked_kinds(*recovered: int, noticed: int = 0, shares: tuple[float, ...] | None = None) -> SpikeInEntry:
    kinds = [
        {
            "phenotype": f"CD10+ CD34{'+' if number % 2 else '-'}",
            "nearest_normal": "haematogones_1",
            "spiked": 45,
            "recovered": count,
            "noticed": max(count, noticed),
            "share": 1 / len(recovered) if shares is None else shares[number],
        }
        for number, count in enumerate(recovered)
    ]
    return SpikeInEntry.model_validate(
        {
            "level": 1e-4,
            "expected": 45.0,
            "recovered": sum(recovered) / len(recovered),
            "spiked_total": 45 * len(recovered),
            "recovered_total": sum(recovered),
            "replicates": len(recovered),
            "detected_replicates": 0,
            "source": "simulated",
            "recovered_counts": list(recovered),
            "detected": False,
            "kinds": kinds,
        }
    )


@pytest.mark.parametrize(("missed", "negative"), [(0, True), (1, True), (2, None), (5, None)])
def test_without_a_diagnosis_tube_a_negative_asks_for_nine_in_ten_kinds_and_names_those_that_are_missed(
    missed: int, negative: bool | None
) -> None:
    spike = judge_spike_in(spiked_kinds(*[44] * (10 - missed), *[3] * missed), None)
    assert spike is not None
    base = replace(evidence(0, 450_000, spike=spike.detected), kinds_missed=partial_sensitivity(spike))
    verdict = decide(base)
    assert verdict.mrd_negative is negative
    said = [reason.message for reason in verdict.reasons if reason.code == "KINDS_MISSED"]
    assert bool(said) == (missed > 0)
    if said:
        assert said[0].startswith(f"{10 - missed} of 10 kinds of leukaemia, which stand for {1 - missed / 10:.1%} of")
        assert "CD10+ CD34+ (most like haematogones 1)" in said[0]


@pytest.mark.parametrize(
    ("counts", "share", "detected"), [((44, 44, 3), 0.99, True), ((44, 3, 44), 0.905, True), ((44, 3, 3), 0.895, False)]
)
def test_a_kind_counts_by_the_patients_that_it_stands_for(
    counts: tuple[int, ...], share: float, detected: bool
) -> None:
    spike = judge_spike_in(spiked_kinds(*counts, shares=(0.895, 0.095, 0.01)), None)
    assert spike is not None
    assert kinds_share_found(spike.kinds) == pytest.approx(share)
    assert spike.detected is detected
    said = partial_sensitivity(spike)
    assert said is not None
    assert f"stand for {share:.1%} of the patients" in said.message


def test_kinds_with_the_same_markers_are_told_with_their_number() -> None:
    said = partial_sensitivity(judge_spike_in(spiked_kinds(44, 3, 44, 3), None))
    assert said is not None
    assert "2 of 4 kinds" in said.message
    assert "not: 2 × " in said.message


def test_a_kind_that_would_be_put_before_the_reviewer_is_not_overlooked() -> None:
    spike = judge_spike_in(spiked_kinds(*[44] * 7, *[0] * 3, noticed=40), None)
    assert spike is not None
    assert spike.detected
    assert [kind.outcome for kind in spike.kinds] == ["counted"] * 7 + ["reported"] * 3
    assert partial_sensitivity(spike) is None


def test_a_negative_answer_without_a_known_phenotype_says_what_it_does_not_exclude() -> None:
    known = decide(evidence(0, 450_000))
    unknown = decide(replace(evidence(0, 450_000), phenotype_unknown=True))
    assert unknown.class_ is known.class_ is VerdictClass.NEGATIVE
    assert "PRECURSOR_LIKE_NOT_EXCLUDED" in [reason.code for reason in unknown.reasons]
    assert "PRECURSOR_LIKE_NOT_EXCLUDED" not in [reason.code for reason in known.reasons]


def test_cells_unlike_normal_are_no_result_where_an_antibody_is_absent() -> None:
    absent = flag("ANTIBODY_ABSENT", marker="CD19", carriers=900, expected=0.9)
    found = replace(evidence(150, 300_000), blind_spots=[absent])
    assert decide(found).class_ is VerdictClass.INDETERMINATE
    assert decide(found).reasons[0].code == "ANTIBODY_ABSENT" and decide(found).question
    known = decide(replace(found, laip_found=True))
    assert known.class_ is VerdictClass.INDETERMINATE, "normal cells without a marker can lie where this leukaemia does"
    called = decide(replace(found, counted_by_reviewer=True))
    assert called.class_ is VerdictClass.POSITIVE, "the reviewer has answered the question"


@pytest.mark.parametrize(
    "seen",
    [
        {"blind_spots": [flag("ANTIBODY_NOT_SHOWN", markers="CD34")]},
        {"remarks": [flag("MARKER_MISSING", markers="CD38", left="CD19, CD10")]},
        {"blind_spots": [flag("ANTIBODY_NOT_VERIFIED", markers="CD19, CD20")]},
    ],
)
def test_cells_unlike_normal_are_no_result_where_an_antibody_is_not_verified_or_not_in_the_tube(
    seen: dict[str, list[Flag]],
) -> None:
    found = replace(evidence(150, 300_000), **seen)  # type: ignore[arg-type]
    assert decide(found).class_ is VerdictClass.INDETERMINATE and decide(found).question
    known = decide(replace(found, laip_found=True))
    assert known.class_ is VerdictClass.POSITIVE, "the patient's phenotype was found by the other markers"


def test_an_antibody_that_no_cell_shows_forbids_a_negative_where_every_marrow_has_its_cells() -> None:
    for code, expected in (
        ("ANTIBODY_NOT_SHOWN", VerdictClass.INDETERMINATE),
        ("ANTIBODY_WITHOUT_CELLS", VerdictClass.NEGATIVE),
    ):
        seen = flag(code, markers="CD34")
        kind = "blind_spots" if seen.effect is Effect.NO_NEGATIVE else "remarks"
        assert decide(replace(evidence(0, 450_000), **{kind: [seen]})).class_ is expected  # type: ignore[arg-type]


def test_an_antibody_of_b_cells_alone_needs_no_cells_after_therapy() -> None:
    found = replace(evidence(150, 300_000), remarks=[flag("ANTIBODY_WITHOUT_CELLS", markers="CD20")])
    assert decide(found).class_ is VerdictClass.POSITIVE


@pytest.mark.parametrize(
    ("nucleated", "recovered", "enough"),
    [
        (300_000, (23, 24, 22, 21, 22), False),
        (300_000, (29, 30, 28, 29, 30), True),
        (500_000, (37, 38, 36, 37, 39), True),
    ],
)
def test_a_tube_that_loses_a_quarter_of_the_patients_cells_is_sensitive_only_with_more_events(
    nucleated: int, recovered: tuple[int, ...], enough: bool
) -> None:
    """Every replicate reached 20 cells; whether the next 1e-4 would with 95 % power is what the tube promises."""
    expected = nucleated * 1e-4
    facts = SpikeInEntry(
        level=1e-4,
        replicates=5,
        expected=expected,
        recovered=sum(recovered) / 5,
        spiked_total=round(5 * expected),
        recovered_total=sum(recovered),
        detected_replicates=5,
        detected=True,
        source="patient",
        recovered_counts=recovered,
        kinds=(),
        steps=(),
    )
    spike = judge_spike_in(facts, limits(nucleated, background=0.0))
    assert spike is not None
    assert spike.detected_replicates == 5
    assert spike.detected is enough


def test_leukaemia_beside_an_unknown_population_is_found_and_never_below_the_threshold() -> None:
    """Whether leukaemia is there is answered; how much there is of the other population is a reason beside it."""
    unknown = flag("UNKNOWN_POPULATION", share=0.46, most=0.005, what="CD45 dim, CD34+")
    for events, kind in ((400, VerdictClass.POSITIVE), (60, VerdictClass.POSITIVE_BELOW_THRESHOLD)):
        found = decide(changed(evidence(events, 2_000_000 if events == 60 else 400_000), blind_spots=(unknown,)))
        assert found.class_ is kind
        assert found.mrd_negative is not True
        assert "UNKNOWN_POPULATION" in [reason.code for reason in found.reasons]
    assert decide(changed(evidence(0, 2_000_000), blind_spots=(unknown,))).class_ is VerdictClass.INDETERMINATE

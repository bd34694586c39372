"""The state machine: a weak answer is never a negative one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmrd.flags import Flag, flag
from flowmrd.mrd.limits import limits, poisson_interval
from flowmrd.mrd.result import VerdictClass
from flowmrd.mrd.verdict import Evidence, decide

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
        (100, 1_000_000, VerdictClass.INDETERMINATE, None),
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


def test_without_controls_nothing_is_called() -> None:
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

"""Several tubes of one specimen judged together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from flowmrd.config import read_sheet
from flowmrd.config.run import MrdConfig
from flowmrd.errors import InternalError
from flowmrd.flags import Flag, flag
from flowmrd.mrd.counts import level
from flowmrd.mrd.reported import report_level
from flowmrd.mrd.result import Counts, KindOutcome, Laip, MrdResult, Provenance, SpikeIn, VerdictClass
from flowmrd.mrd.sensitivity import BackgroundRate, sensitivity, tube_limits
from flowmrd.mrd.specimen import more_tubes, pool_specimen, same_rate_probability
from flowmrd.mrd.verdict import Evidence, decide

RULES = MrdConfig(target=1e-5)


@dataclasses.dataclass(frozen=True)
class Made:
    """What one tube shows."""

    sample: str
    mrd: int
    cells: int = 1_000_000
    blind_spots: tuple[Flag, ...] = ()
    failures: tuple[Flag, ...] = ()
    patient: str = "P01"


def result(made: Made) -> MrdResult:
    background = BackgroundRate(0.0, 0.0, 1e-7)
    limits = tube_limits(made.cells, background, RULES)
    found = level(made.mrd, made.cells)
    spike = SpikeIn(
        level=1e-5, expected=1e-5 * made.cells, recovered=0.98e-5 * made.cells, detected=False, replicates=5,
        detected_replicates=0, recovery=0.98, recovery_ci95=(0.9, 1.0), source="patient",
    )  # fmt: skip
    verdict = decide(
        Evidence(
            mrd_events=made.mrd, denominator=made.cells, interval=found.ci95, limits=limits, target=RULES.target,
            spike_in_detected=spike.detected, blind_spots=made.blind_spots, failures=made.failures,
        )
    )  # fmt: skip
    return MrdResult(
        sample=made.sample, patient=made.patient, role="followup", timepoint="day21", panel="ino10",
        counts=Counts(
            total=made.cells, analysable=made.cells, singlets=made.cells, nucleated=made.cells, mononuclear=made.cells,
            b_lineage=0, mrd_events=made.mrd,
        ),
        denominator="nucleated", mrd=report_level(found, verdict.class_, limits, made.mrd), mrd_without_time_mask=found,
        sensitivity=sensitivity(limits, background, spike, RULES), verdict=verdict,
        laip=Laip(mode="patient", markers=(), clusters=()), targets={},
        provenance=Provenance(
            fcs_sha256="a", config_sha256="b", panel_sha256="c", reference_sha256=None, laip_sha256=None,
            flowmrd_version="0",
        ),
    )  # fmt: skip


def test_five_million_pooled_cells_say_less_than_1_in_100000_where_no_tube_can() -> None:
    tubes = [result(Made(f"T{number}", 0)) for number in range(5)]
    assert {tube.verdict.class_ for tube in tubes} == {VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY}
    pooled = pool_specimen("S1", tubes, RULES)
    assert pooled.verdict.class_ is VerdictClass.NEGATIVE
    assert pooled.verdict.mrd_negative is True
    assert pooled.denominator == 5_000_000
    assert pooled.sensitivity.achieved
    assert pooled.sensitivity.lod95 is not None
    assert pooled.sensitivity.lod95 < 1e-5
    assert pooled.more_tubes_needed == 0


def test_too_few_pooled_cells_say_how_many_more_tubes_are_needed() -> None:
    pooled = pool_specimen("S1", [result(Made("T1", 0)), result(Made("T2", 0))], RULES)
    assert pooled.verdict.class_ is VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY
    assert pooled.more_tubes_needed == 1
    assert pool_specimen("S1", [result(Made(f"T{n}", 0)) for n in range(3)], RULES).more_tubes_needed == 0


def test_cells_that_no_tube_alone_detects_are_detected_in_the_pool() -> None:
    tubes = [result(Made(f"T{number}", 9)) for number in range(4)]
    assert not any(tube.mrd.detected for tube in tubes)
    pooled = pool_specimen("S1", tubes, RULES)
    assert pooled.mrd.detected
    assert pooled.mrd_events == 36


def test_a_tube_that_failed_is_left_out_and_named() -> None:
    few = flag("TOO_FEW_EVENTS_ACQUIRED", events=10, least=1000)
    pooled = pool_specimen("S1", [result(Made("T1", 0)), result(Made("T2", 400, failures=(few,)))], RULES)
    assert pooled.mrd_events == 0
    assert any(
        reason.code == "TUBE_LEFT_OUT_OF_SPECIMEN" and "T2" in reason.message for reason in pooled.verdict.reasons
    )


def test_what_forbids_a_negative_in_one_tube_forbids_it_in_the_pool() -> None:
    doubt = flag("UNRESOLVED_CLUSTER", events=40, what="is unlike normal marrow")
    tubes = [result(Made(f"T{number}", 0)) for number in range(4)] + [result(Made("T5", 0, blind_spots=(doubt,)))]
    pooled = pool_specimen("S1", tubes, RULES)
    assert pooled.verdict.class_ is VerdictClass.INDETERMINATE
    assert pooled.verdict.question


def test_tubes_that_differ_more_than_counting_explains_are_no_negative_pool() -> None:
    pooled = pool_specimen("S1", [result(Made("T1", 0, 3_000_000)), result(Made("T2", 18, 1_000_000))], RULES)
    assert pooled.same_rate_probability is not None
    assert pooled.same_rate_probability < 1e-6
    assert pooled.verdict.mrd_negative is None
    assert any(reason.code == "TUBES_OF_SPECIMEN_DIFFER" for reason in pooled.verdict.reasons)


def test_results_of_two_patients_are_no_specimen() -> None:
    with pytest.raises(InternalError, match="2 patients"):
        pool_specimen("S1", [result(Made("T1", 0)), result(Made("T2", 0, patient="P02"))], RULES)


@given(st.integers(0, 60), st.integers(0, 60))
def test_probability_of_two_equal_tubes_is_near_the_exact_binomial_test(one: int, two: int) -> None:
    found = same_rate_probability([one, two], [1000, 1000])
    assert found is not None
    exact = 1.0 if one + two == 0 else binomtest(one, one + two, 0.5).pvalue
    assert exact - 1e-12 <= found <= min(2.0 * exact, 1.0) + 1e-12


def test_more_tubes_are_counted_in_whole_ones() -> None:
    assert more_tubes(2_800_000, [1_000_000]) == 2
    assert more_tubes(900_000, [1_000_000]) == 0
    assert more_tubes(None, [1_000_000]) is None


def test_a_sheet_whose_specimen_is_of_two_time_points_is_reported(tmp_path: Path) -> None:
    sheet = tmp_path / "samples.tsv"
    sheet.write_text(
        "sample\tpatient\trole\tfcs\ttimepoint\tspecimen_id\n"
        "A\tP1\tfollowup\ta.fcs\tday21\tS1\nB\tP1\tfollowup\tb.fcs\tday42\tS1\nC\tP1\tfollowup\tc.fcs\tday21\tS2\n"
    )
    rows, problems = read_sheet(sheet)
    assert [row.specimen_id for row in rows] == ["S1", "S1", "S2"]
    assert len(problems) == 1
    assert "line 3" in str(problems[0])
    assert "one patient, role and time point" in str(problems[0])


KIND = {"phenotype": "CD10+ CD20+ CD34-", "nearest_normal": "haematogones_3", "recovered": 0, "outcome": "missed"}


def unknown(sample: str, noticed: int) -> MrdResult:
    """A negative tube without a diagnosis tube whose second kind of leukaemia left so many of 24 cells in a group."""
    kinds = (
        KindOutcome.model_validate({**KIND, "phenotype": "CD10+ CD34+", "spiked": 24, "noticed": 24, "share": 0.98}),
        KindOutcome.model_validate({**KIND, "spiked": 24, "noticed": noticed, "share": 0.02}),
    )
    made = result(Made(sample, 0))
    assert made.sensitivity.spike_in is not None
    spike = made.sensitivity.spike_in.model_copy(update={"kinds": kinds, "source": "simulated"})
    return made.model_copy(
        update={
            "laip": Laip(mode="different_from_normal", markers=(), clusters=()),
            "sensitivity": made.sensitivity.model_copy(update={"spike_in": spike}),
        }
    )


@pytest.mark.parametrize(("noticed", "missed"), [(0, True), (12, False)])
def test_a_negative_pool_without_a_diagnosis_tube_says_what_it_does_not_exclude(noticed: int, missed: bool) -> None:
    pooled = pool_specimen("S1", [unknown(f"T{number}", noticed) for number in range(5)], RULES)
    assert pooled.verdict.class_ is VerdictClass.NEGATIVE
    said = {reason.code: reason.message for reason in pooled.verdict.reasons}
    assert "PRECURSOR_LIKE_NOT_EXCLUDED" in said
    assert ("KINDS_MISSED" in said) is missed
    if missed:
        assert "CD10+ CD20+ CD34-" in said["KINDS_MISSED"]
    known = pool_specimen("S1", [result(Made(f"T{number}", 0)) for number in range(5)], RULES)
    assert "PRECURSOR_LIKE_NOT_EXCLUDED" not in {reason.code for reason in known.verdict.reasons}

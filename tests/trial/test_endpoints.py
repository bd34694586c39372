"""The re-enacted trial gives the published figures, and weak MRD answers never count as negative."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.published_trial import FIGURES, figures_of
from trial_results import result

from flowmrd.config.run import MrdConfig, TrialConfig
from flowmrd.config.sheet import Role, Sample
from flowmrd.errors import ArtefactError
from flowmrd.mrd.result import SpikeIn
from flowmrd.store import write_json
from flowmrd.trial.endpoints import analyse
from flowmrd.trial.mrd_calls import calls_of, choose_samples, mrd_call, result_of
from flowmrd.trial.proportion import Proportion
from flowmrd.trial.reenactment import read_tubes
from flowmrd.trial.result import MrdCall, TrialResult
from flowmrd.trial.tables import AdverseEvent, Patient, enrolment_dates, read_adverse_events, read_patients

FOLDER = Path(__file__).resolve().parents[2] / "test_data" / "trial"
TARGET = 1e-4


def tables() -> tuple[list[Patient], list[AdverseEvent]]:
    sheet = FOLDER / "patients.tsv"
    patients, problems = read_patients(sheet)
    events, more = read_adverse_events(FOLDER / "adverse_events.tsv", patients, enrolment_dates(sheet))
    assert not problems
    assert not more
    return patients, events


def tube(patient: str, name: str | None = None, timepoint: str = "day21") -> Sample:
    return Sample(name or f"{patient}-day21", patient, Role.FOLLOWUP, Path("x.fcs"), timepoint=timepoint)


def call_at(patient: str, level: float | None) -> MrdCall:
    """The call that an error-free analysis of a tube at this true level would give."""
    if level is None:
        return mrd_call(None, None, "not_reviewed")
    sample = tube(patient)
    return mrd_call(sample, result(sample.sample, patient, level < TARGET, level), "not_reviewed")


@pytest.fixture(scope="module")
def reenacted() -> TrialResult:
    patients, events = tables()
    levels = {row.patient: row.level for row in read_tubes()}
    calls = {p.patient: call_at(p.patient, levels.get(p.patient)) for p in patients}
    return analyse(patients, events, calls, TrialConfig())


def shown(rate: Proportion) -> tuple[float, ...]:
    assert rate.percent is not None
    assert rate.ci95_percent is not None
    return (rate.successes, rate.total, *(round(value, 1) for value in (rate.percent, *rate.ci95_percent)))


def test_every_published_figure_is_reproduced(reenacted: TrialResult) -> None:
    assert figures_of(reenacted) == FIGURES


def test_one_wrongly_negative_tube_makes_the_published_figures_differ() -> None:
    patients, events = tables()
    levels = {row.patient: row.level for row in read_tubes()} | {"T05": 0.0}
    calls = {p.patient: call_at(p.patient, levels.get(p.patient)) for p in patients}
    assert figures_of(analyse(patients, events, calls, TrialConfig())) != FIGURES


def test_complete_remission_is_11_of_12(reenacted: TrialResult) -> None:
    assert shown(reenacted.rates["cr"].primary) == (11, 12, 91.7, 61.5, 99.8)


def test_mrd_negativity_is_9_of_12(reenacted: TrialResult) -> None:
    assert shown(reenacted.rates["mrd_negative"].primary) == (9, 12, 75.0, 42.8, 94.5)


def test_every_denominator_is_printed(reenacted: TrialResult) -> None:
    found = {other.population: (other.successes, other.total) for other in reenacted.rates["mrd_negative"].others}
    assert found == {
        "patients in CR or CRi": (9, 11),
        "evaluable patients whose tube could tell": (9, 12),
        "treated patients": (9, 13),
        "enrolled patients": (9, 13),
    }


def test_enrolment_is_8_men_and_5_women(reenacted: TrialResult) -> None:
    assert reenacted.demographics.sex == {"female": 5, "male": 8}


def test_the_trial_reports_severe_cytopenias_in_82_73_and_64_percent_of_11(reenacted: TrialResult) -> None:
    lines = {line.term: line for line in reenacted.adverse_events}
    found = {term: shown(lines[term].grade_3_4)[:3] for term in ("Neutropenia", "Thrombocytopenia", "Anaemia")}
    assert found == {"Neutropenia": (9, 11, 81.8), "Thrombocytopenia": (8, 11, 72.7), "Anaemia": (7, 11, 63.6)}


def test_the_trial_reports_one_tumour_lysis_one_fatal_sepsis_no_vod_and_no_crs(reenacted: TrialResult) -> None:
    lines = {line.term: line for line in reenacted.adverse_events}
    assert lines["Tumour lysis syndrome"].any_grade.successes == 1
    assert (lines["Sepsis"].fatal, lines["Sepsis"].grade_3_4.successes) == (1, 0)
    assert lines["Veno-occlusive disease"].any_grade.successes == 0
    assert lines["Cytokine release syndrome"].any_grade.successes == 0


def test_follow_up_is_8_months_and_medians_are_not_reached(reenacted: TrialResult) -> None:
    assert reenacted.follow_up_months.value is not None
    assert round(reenacted.follow_up_months.value, 1) == 8.0
    for name in ("os", "pfs", "rfs", "dor"):
        median = reenacted.endpoints[name].median
        assert median is not None
        assert median.days is None


def test_10_of_11_responders_are_alive_in_remission(reenacted: TrialResult) -> None:
    assert shown(reenacted.rates["in_remission"].primary)[:2] == (10, 11)


def test_death_in_remission_is_non_relapse_mortality(reenacted: TrialResult) -> None:
    assert (reenacted.endpoints["nrm"].events, reenacted.endpoints["cir"].events) == (1, 0)


def test_the_patient_flow_accounts_for_every_patient(reenacted: TrialResult) -> None:
    assert [step.patients for step in reenacted.flow] == [13, 13, 12, 11, 9]
    assert reenacted.flow[2].lost == ("withdrew consent before the first marrow (n = 1)",)
    assert reenacted.flow[4].lost == ("MRD positive (n = 2)",)


def test_no_date_enters_the_result(reenacted: TrialResult) -> None:
    assert "2024-" not in reenacted.model_dump_json()


def test_same_tables_give_the_same_bytes(reenacted: TrialResult) -> None:
    patients, events = tables()
    calls = {line.patient: line.mrd for line in reenacted.patients}
    assert analyse(patients, events, calls, TrialConfig()).model_dump_json() == reenacted.model_dump_json()


def test_result_that_could_not_have_told_is_never_negative() -> None:
    patients, events = tables()
    calls = {p.patient: call_at(p.patient, 0.0) for p in patients}
    weak = tube("T01")
    calls["T01"] = mrd_call(weak, result("T01-day21", "T01", None), "not_reviewed")
    calls["T02"] = mrd_call(tube("T02"), None, "not_reviewed")
    found = analyse(patients, events, calls, TrialConfig())
    rate = found.rates["mrd_negative"]
    assert (rate.primary.successes, rate.primary.total) == (10, 12)
    told = next(other for other in rate.others if "could tell" in other.population)
    assert (told.successes, told.total) == (10, 10)
    assert [w.message[:3] for w in found.warnings if w.code == "MRD_NOT_EVALUABLE"] == ["T01", "T02"]


def test_rejected_result_is_not_evaluable() -> None:
    call = mrd_call(tube("T01"), result("T01-day21", "T01", True), "rejected")
    assert (call.status, call.reasons[0].code) == ("not_evaluable", "REVIEW_REJECTED")


def test_tube_is_chosen_by_timepoint_whatever_its_spelling() -> None:
    patients, _ = tables()
    samples = [tube("T01", "a", "C1 D21"), tube("T01", "b", "day42"), tube("T02", "c", "DAY-21")]
    found, problems = choose_samples(patients, samples, TrialConfig().mrd_timepoints, Path("patients.tsv"))
    assert not problems
    assert {patient: [one.sample for one in tubes] for patient, tubes in found.items()} == {"T01": ["a"], "T02": ["c"]}


def test_two_tubes_after_cycle_1_are_a_problem_until_one_is_named() -> None:
    patients, _ = tables()
    samples = [tube("T01", "a"), tube("T01", "b")]
    _, problems = choose_samples(patients, samples, ["day21"], Path("patients.tsv"))
    assert "2 tubes after cycle 1 (a, b)" in str(problems[0])
    named = [replace(p, mrd_sample="b") if p.patient == "T01" else p for p in patients]
    found, problems = choose_samples(named, samples, ["day21"], Path("patients.tsv"))
    assert not problems
    assert [one.sample for one in found["T01"]] == ["b"]


def test_tubes_of_one_specimen_are_judged_together_and_no_problem(tmp_path: Path) -> None:
    patients, _ = tables()
    samples = [replace(tube("T01", name), specimen_id="S1") for name in ("a", "b", "c")]
    found, problems = choose_samples(patients, samples, ["day21"], Path("patients.tsv"))
    assert not problems
    assert [one.sample for one in found["T01"]] == ["a", "b", "c"]
    spike = SpikeIn(
        level=4e-5, expected=14.0, recovered=13.9, detected=False, replicates=5, detected_replicates=0, recovery=0.99,
        recovery_ci95=(0.9, 1.0), source="patient",
    )  # fmt: skip
    for one in samples:
        made = result(one.sample, "T01", None)
        made = made.model_copy(update={"sensitivity": made.sensitivity.model_copy(update={"spike_in": spike})})
        write_json(tmp_path / one.sample / "mrd.json", made.to_json_dict())
    first = patients[:1]
    assert first[0].patient == "T01"
    rules = MrdConfig(target=4e-5)
    alone = calls_of(first, {"T01": (samples[0],)}, tmp_path, {}, rules)["T01"]
    pooled = calls_of(first, found, tmp_path, {}, rules)["T01"]
    assert (alone.sample, alone.status) == ("a", "not_evaluable")
    assert (pooled.sample, pooled.status, pooled.klass) == ("S1", "negative", "NEGATIVE")
    assert pooled.lod95 == pytest.approx(27.88 / 1_050_000, rel=0.02)
    reviews = {"a": "accepted", "b": "accepted", "c": "rejected"}
    assert calls_of(first, found, tmp_path, reviews, rules)["T01"].status == "not_evaluable"
    named = [replace(p, mrd_sample="S1") if p.patient == "T01" else p for p in patients]
    again, problems = choose_samples(named, [*samples, tube("T01", "d")], ["day21"], Path("patients.tsv"))
    assert not problems
    assert again["T01"] == found["T01"]


def test_tubes_of_two_specimens_after_cycle_1_are_a_problem() -> None:
    patients, _ = tables()
    samples = [replace(tube("T01", name), specimen_id=specimen) for name, specimen in (("a", "S1"), ("b", "S2"))]
    _, problems = choose_samples(patients, samples, ["day21"], Path("patients.tsv"))
    assert "one tube or specimen that decides" in str(problems[0])


def test_named_tube_of_another_patient_is_refused() -> None:
    patients, _ = tables()
    named = [replace(p, mrd_sample="b") if p.patient == "T01" else p for p in patients]
    _, problems = choose_samples(named, [tube("T02", "b")], ["day21"], Path("patients.tsv"))
    assert "not a follow-up tube of this patient" in str(problems[0])


def test_result_moved_from_another_sample_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mrd.json"
    write_json(path, result("other", "T01", True).to_json_dict())
    with pytest.raises(ArtefactError, match="result of sample other"):
        result_of(path, tube("T01"))


def test_early_death_left_out_of_the_evaluable_is_warned_about() -> None:
    patients, events = tables()
    last = patients[-1]
    dead = replace(last, evaluable=None, not_evaluable_reason=None, alive=False, death=last.last_contact)
    calls = {p.patient: call_at(p.patient, 0.0) for p in patients}
    found = analyse([*patients[:-1], dead], events, calls, TrialConfig())
    assert "EARLY_DEATH_LEFT_OUT" in [warning.code for warning in found.warnings]


def test_transplanted_patients_get_a_censored_sensitivity_analysis() -> None:
    patients, events = tables()
    moved = [replace(p, transplant=60) if p.patient == "T09" else p for p in patients]
    calls = {p.patient: call_at(p.patient, 0.0) for p in patients}
    endpoints = analyse(moved, events, calls, TrialConfig()).endpoints
    assert endpoints["os"].events == 2
    assert endpoints["os_transplant_censored"].events == 1


def test_first_dose_as_origin_leaves_out_the_untreated() -> None:
    patients, _ = tables()
    untreated = replace(patients[-1], first_dose=None, safety_evaluable=None)
    calls = {p.patient: call_at(p.patient, 0.0) for p in patients}
    found = analyse([*patients[:-1], untreated], [], calls, TrialConfig(origin="first_dose"))
    assert (found.endpoints["os"].patients, found.endpoints["os"].population) == (12, "treated patients")


def test_no_patient_at_all_gives_empty_populations_not_a_crash() -> None:
    found = analyse([], [], {}, TrialConfig())
    assert found.rates["cr"].primary.percent is None
    assert found.endpoints["os"].patients == 0

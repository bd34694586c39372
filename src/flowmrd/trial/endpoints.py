"""The trial's answer from its checked tables and the MRD calls: populations, rates with every denominator, flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import flowmrd
from flowmrd.config.run import TrialConfig
from flowmrd.flags import Flag, flag
from flowmrd.trial.events import survival_endpoints
from flowmrd.trial.proportion import SMALL_N, Proportion, proportion
from flowmrd.trial.response import Response, classify, relapse_reasons, rule_set
from flowmrd.trial.result import Demographics, FlowStep, MrdCall, PatientLine, Rate, TrialResult, months
from flowmrd.trial.safety import SAFETY, TREATED, in_safety_population, tabulate
from flowmrd.trial.survival import reverse_kaplan_meier
from flowmrd.trial.tables import AdverseEvent, Patient

EVALUABLE = "evaluable patients"
ENROLLED = "enrolled patients"
RESPONDERS = "patients in CR or CRi"
WITH_TUBE = "evaluable patients whose tube could tell"


def analyse(
    patients: Sequence[Patient],
    events: Sequence[AdverseEvent],
    calls: Mapping[str, MrdCall],
    config: TrialConfig,
) -> TrialResult:
    """All endpoints.

    Parameters
    ----------
    patients, events
        Rows of the clinical tables without problems (:func:`flowmrd.trial.tables.check_tables`).
    calls
        MRD after cycle 1 by patient; every patient must be a key.

    Raises
    ------
    ConfigError
        For an unknown rule set.
    """
    rules = rule_set(config.rules)
    responses = {p.patient: classify(p, rules) for p in patients}
    lines = tuple(_line(p, responses[p.patient], calls[p.patient]) for p in patients)
    responders = [p for p in patients if responses[p.patient].remission]
    warnings = [
        *_population_warnings(patients, lines),
        *_mrd_warnings(lines),
        *_event_warnings(patients, events),
        *(
            Flag(reason.code, f"{p.patient}: {reason.message}")
            for p in patients
            for reason in (
                *relapse_reasons(p, rules),
                *(given for given in responses[p.patient].reasons if given.code == "DIFFERS_FROM_REPORTED"),
            )
        ),
    ]
    deaths = [p.death is not None for p in patients]
    times = [p.last_contact if p.death is None else p.death for p in patients]
    return TrialResult(
        rules=rules.name,
        rules_source=rules.source,
        mrd_timepoints=config.mrd_timepoints,
        origin=config.origin,
        demographics=_demographics(patients),
        flow=_flow(lines),
        rates=_rates(lines),
        mrd_of_evaluable={
            state: sum(line.evaluable and line.mrd.status == state for line in lines)
            for state in ("negative", "positive", "not_evaluable")
        },
        follow_up_months=months(reverse_kaplan_meier(times, deaths)),
        endpoints=survival_endpoints(patients, responders, config.origin),
        adverse_events=tabulate(patients, events, config.events_of_interest),
        warnings=tuple(warnings),
        patients=lines,
        flowmrd_version=flowmrd.__version__,
    )


def _line(p: Patient, response: Response, call: MrdCall) -> PatientLine:
    evaluable = (p.blasts is not None) if p.evaluable is None else p.evaluable
    reason = p.not_evaluable_reason
    if not evaluable and reason is None:
        reason = "no marrow after treatment"
    safety = in_safety_population(p)
    return PatientLine(
        patient=p.patient,
        sex=p.sex,
        age=p.age,
        treated=p.treated,
        evaluable=evaluable,
        not_evaluable_reason=None if evaluable else reason,
        response=response.klass,
        response_reasons=response.reasons,
        response_day=p.response_day,
        blasts_before_percent=p.baseline_blasts,
        blasts_after_percent=p.blasts,
        mrd=call,
        progression_day=p.progression,
        relapse_day=p.relapse,
        transplant_day=p.transplant,
        death_day=p.death,
        death_cause=p.death_cause,
        last_contact_day=p.last_contact,
        safety_evaluable=safety,
        safety_not_evaluable_reason=None if safety else (p.safety_reason or "no first dose"),
    )


def _remission(line: PatientLine) -> bool:
    return line.response in ("CR", "CRi")


def _negative(line: PatientLine) -> bool:
    return line.mrd.status == "negative"


def _rates(lines: Sequence[PatientLine]) -> dict[str, Rate]:
    evaluable = [line for line in lines if line.evaluable]
    treated = [line for line in lines if line.treated]
    told = [line for line in evaluable if line.mrd.status != "not_evaluable"]
    responders = [line for line in evaluable if _remission(line)]

    def count(population: str, among: Sequence[PatientLine], outcome: str) -> Proportion:
        tests: dict[str, Callable[[PatientLine], bool]] = {
            "cr": lambda line: line.response == "CR",
            "remission": _remission,
            "mrd_negative": _negative,
            "mrd_negative_remission": lambda line: _remission(line) and _negative(line),
            "in_remission": lambda line: line.death_day is None and line.relapse_day is None,
        }
        return proportion(population, sum(tests[outcome](line) for line in among), len(among))

    def rate(name: str, title: str, *, mrd: bool, note: str = "") -> Rate:
        others = [count(TREATED, treated, name), count(ENROLLED, lines, name)]
        if mrd:
            others = [count(RESPONDERS, responders, name), count(WITH_TUBE, told, name), *others]
        return Rate(name=name, title=title, primary=count(EVALUABLE, evaluable, name), others=tuple(others), note=note)

    weak = "A tube that could not have told counts as not negative, except where the denominator leaves it out."
    return {
        "cr": rate("cr", "Complete remission (CR)", mrd=False),
        "remission": rate("remission", "CR or CRi", mrd=False),
        "mrd_negative": rate("mrd_negative", "MRD negative after cycle 1", mrd=True, note=weak),
        "mrd_negative_remission": rate(
            "mrd_negative_remission", "CR or CRi and MRD negative after cycle 1", mrd=True, note=weak
        ),
        "in_remission": Rate(
            name="in_remission",
            title="Responders alive without relapse at last contact",
            primary=count(RESPONDERS, responders, "in_remission"),
            others=(),
        ),
    }


def _flow(lines: Sequence[PatientLine]) -> tuple[FlowStep, ...]:
    treated = [line for line in lines if line.treated]
    evaluable = [line for line in treated if line.evaluable]
    responders = [line for line in evaluable if _remission(line)]
    negative = [line for line in responders if _negative(line)]

    def tally(reasons: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{reason} (n = {number})" for reason, number in sorted(Counter(reasons).items()))

    return (
        FlowStep(title="Enrolled", patients=len(lines), lost=()),
        FlowStep(
            title="Treated", patients=len(treated), lost=tally(["no first dose" for line in lines if not line.treated])
        ),
        FlowStep(
            title="Evaluable for response",
            patients=len(evaluable),
            lost=tally([line.not_evaluable_reason or "" for line in treated if not line.evaluable]),
        ),
        FlowStep(
            title="In CR or CRi",
            patients=len(responders),
            lost=tally([f"response {line.response}" for line in evaluable if not _remission(line)]),
        ),
        FlowStep(
            title="In CR or CRi and MRD negative after cycle 1",
            patients=len(negative),
            lost=tally(
                [
                    "MRD positive" if line.mrd.status == "positive" else "MRD not evaluable"
                    for line in responders
                    if not _negative(line)
                ]
            ),
        ),
    )


def _demographics(patients: Sequence[Patient]) -> Demographics:
    ages = [p.age for p in patients if p.age is not None]
    sexes = Counter(p.sex or "not recorded" for p in patients)
    return Demographics(
        sex=dict(sorted(sexes.items())),
        age_median=median(ages) if ages else None,
        age_range=(min(ages), max(ages)) if ages else None,
        age_known=len(ages),
    )


def _population_warnings(patients: Sequence[Patient], lines: Sequence[PatientLine]) -> list[Flag]:
    found = []
    if len(patients) < SMALL_N:
        found.append(flag("SMALL_SAMPLE", patients=len(patients)))
    for p, line in zip(patients, lines, strict=True):
        if line.evaluable and line.response == "NE":
            found.append(flag("EVALUABLE_WITHOUT_RESPONSE", patient=p.patient))
        if p.evaluable is None and not line.evaluable and p.death is not None:
            found.append(flag("EARLY_DEATH_LEFT_OUT", patient=p.patient))
    return found


def _mrd_warnings(lines: Sequence[PatientLine]) -> list[Flag]:
    return [
        flag(
            "MRD_NOT_EVALUABLE",
            patient=line.patient,
            codes=", ".join(reason.code for reason in line.mrd.reasons) or "no reason given",
        )
        for line in lines
        if line.evaluable and line.mrd.status == "not_evaluable"
    ]


def _event_warnings(patients: Sequence[Patient], events: Sequence[AdverseEvent]) -> list[Flag]:
    found = []
    outside = {p.patient for p in patients if not in_safety_population(p)}
    for name in sorted({event.patient for event in events} & outside):
        found.append(flag("EVENT_OUTSIDE_SAFETY_POPULATION", patient=name, population=SAFETY))
    fatal = {event.patient for event in events if event.grade == 5}
    for p in patients:
        if p.death_cause == "toxicity" and p.patient not in fatal:
            found.append(flag("FATAL_EVENT_MISSING", patient=p.patient))
    if not events:
        found.append(flag("NO_ADVERSE_EVENTS"))
    return found

"""Time-to-event endpoints of a trial, each with its population, origin and event spelt out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flowmrd.trial.result import DAYS_PER_MONTH, Endpoint, Observation, SurvivalAt, months
from flowmrd.trial.survival import aalen_johansen, kaplan_meier, median_time, numbers_at_risk
from flowmrd.trial.tables import Patient

LANDMARKS = (3, 6, 12, 24, 36, 60)
RISK_STEPS = (1, 2, 3, 6, 12, 24, 60)
RELAPSE, DEATH = 1, 2

Timing = Callable[[Patient], tuple[int, int]]
"""Days from the origin, and the code of their end: 0 for censored, otherwise the event."""


def survival_endpoints(patients: Sequence[Patient], responders: Sequence[Patient], origin: str) -> dict[str, Endpoint]:
    """OS, PFS, RFS, duration of response, and competing relapse and death in remission.

    Parameters
    ----------
    responders
        Those in CR or CRi by the rule set, with a response day.
    origin
        ``enrolment`` or ``first_dose``: the start of OS and PFS. With ``first_dose``, untreated patients are left out.
    """
    if origin == "first_dose":
        started = [patient for patient in patients if patient.treated]
        population = "treated patients"
    else:
        started, population = list(patients), "enrolled patients"

    def start(p: Patient) -> int:
        return (p.first_dose or 0) if origin == "first_dose" else 0

    def since_response(p: Patient) -> int:
        return p.response_day or 0

    origin_text = "first dose" if origin == "first_dose" else "enrolment"
    any_transplant = any(p.transplant is not None for p in started)
    found = {
        "os": _estimate("os", "Overall survival", started, population, origin_text, "death from any cause", _os(start)),
        "pfs": _estimate(
            "pfs",
            "Progression-free survival",
            started,
            population,
            origin_text,
            "progression, relapse or death, whichever is first",
            _first_of(start, with_progression=True),
        ),
        "rfs": _estimate(
            "rfs",
            "Relapse-free survival",
            responders,
            "patients in CR or CRi",
            "response",
            "relapse or death, whichever is first",
            _first_of(since_response, with_progression=False),
        ),
        "dor": _estimate(
            "dor",
            "Duration of response",
            responders,
            "patients in CR or CRi",
            "response",
            "relapse",
            _relapse_only(since_response),
            note="Deaths in remission are censored (Cheson et al., J Clin Oncol 2003;21:4642-4649); "
            "the cumulative incidence of relapse treats them as competing.",
        ),
    }
    if any_transplant:
        for name in ("os", "pfs"):
            timing = _os(start) if name == "os" else _first_of(start, with_progression=True)
            plain = found[name]
            found[f"{name}_transplant_censored"] = _estimate(
                f"{name}_transplant_censored",
                f"{plain.title}, censored at transplantation",
                started,
                population,
                origin_text,
                plain.event,
                _censored_at_transplant(timing, start),
                note="Sensitivity analysis: follow-up ends at the transplantation.",
            )
    for name, title, event, cause in (
        ("cir", "Cumulative incidence of relapse", "relapse; death in remission competes", RELAPSE),
        ("nrm", "Non-relapse mortality", "death in remission; relapse competes", DEATH),
    ):
        found[name] = _incidence(name, title, responders, event, cause, since_response)
    return found


def _os(start: Callable[[Patient], int]) -> Timing:
    def timing(p: Patient) -> tuple[int, int]:
        return (p.last_contact if p.death is None else p.death) - start(p), int(p.death is not None)

    return timing


def _first_of(start: Callable[[Patient], int], *, with_progression: bool) -> Timing:
    def timing(p: Patient) -> tuple[int, int]:
        days = [day for day in (p.relapse, p.progression if with_progression else None, p.death) if day is not None]
        return (min(days) if days else p.last_contact) - start(p), int(bool(days))

    return timing


def _relapse_only(start: Callable[[Patient], int]) -> Timing:
    def timing(p: Patient) -> tuple[int, int]:
        return (p.last_contact if p.relapse is None else p.relapse) - start(p), int(p.relapse is not None)

    return timing


def _competing(start: Callable[[Patient], int]) -> Timing:
    def timing(p: Patient) -> tuple[int, int]:
        if p.relapse is not None:
            return p.relapse - start(p), RELAPSE
        if p.death is not None:
            return p.death - start(p), DEATH
        return p.last_contact - start(p), 0

    return timing


def _censored_at_transplant(timing: Timing, start: Callable[[Patient], int]) -> Timing:
    def cut(p: Patient) -> tuple[int, int]:
        days, event = timing(p)
        if p.transplant is not None and p.transplant - start(p) < days:
            return p.transplant - start(p), 0
        return days, event

    return cut


def _estimate(
    name: str,
    title: str,
    patients: Sequence[Patient],
    population: str,
    origin: str,
    event: str,
    timing: Timing,
    note: str = "",
) -> Endpoint:
    pairs = [timing(patient) for patient in patients]
    times, events = [days for days, _ in pairs], [code != 0 for _, code in pairs]
    curve = kaplan_meier(times, events)
    median = median_time(curve)
    grid = risk_grid(times)
    return Endpoint(
        name=name,
        title=title,
        population=population,
        origin=origin,
        event=event,
        patients=len(patients),
        events=curve.events,
        median=median,
        median_months=months(median),
        landmarks=tuple(_landmark(curve.value_at, times, at, 1.0) for at in LANDMARKS),
        risk_months=tuple(grid),
        risk_patients=tuple(numbers_at_risk(times, [round(at * DAYS_PER_MONTH) for at in grid])),
        curve=curve,
        observations=_observations(patients, [(days, int(code != 0)) for days, code in pairs]),
        note=note,
    )


def _incidence(
    name: str,
    title: str,
    patients: Sequence[Patient],
    event: str,
    cause: int,
    start: Callable[[Patient], int],
) -> Endpoint:
    pairs = [_competing(start)(patient) for patient in patients]
    times = [days for days, _ in pairs]
    curve = aalen_johansen(times, [code for _, code in pairs], cause)
    grid = risk_grid(times)
    return Endpoint(
        name=name,
        title=title,
        population="patients in CR or CRi",
        origin="response",
        event=event,
        patients=len(patients),
        events=curve.events,
        median=None,
        median_months=None,
        landmarks=tuple(_landmark(curve.value_at, times, at, 0.0) for at in LANDMARKS),
        risk_months=tuple(grid),
        risk_patients=tuple(numbers_at_risk(times, [round(at * DAYS_PER_MONTH) for at in grid])),
        curve=curve,
        observations=_observations(
            patients, [(days, 0 if code == 0 else 1 if code == cause else 2) for days, code in pairs]
        ),
        note="Aalen-Johansen estimate; one minus Kaplan-Meier would overstate it.",
    )


def _observations(patients: Sequence[Patient], pairs: Sequence[tuple[int, int]]) -> tuple[Observation, ...]:
    return tuple(
        Observation.model_validate({"patient": patient.patient, "days": days, "code": code})
        for patient, (days, code) in zip(patients, pairs, strict=True)
    )


def _landmark(
    value_at: Callable[[int, float], tuple[float, tuple[float, float] | None]],
    times: Sequence[int],
    at: int,
    initial: float,
) -> SurvivalAt:
    day = round(at * DAYS_PER_MONTH)
    if not times or max(times) < day:
        return SurvivalAt(months=at, percent=None, ci95_percent=None)
    value, interval = value_at(day, initial)
    limits = None if interval is None else (100 * interval[0], 100 * interval[1])
    return SurvivalAt(months=at, percent=100 * value, ci95_percent=limits)


def risk_grid(times: Sequence[int]) -> list[int]:
    """Months under the axis: at most nine, evenly spaced, from 0 to the last observation."""
    longest = max(times, default=0) / DAYS_PER_MONTH
    step = next((step for step in RISK_STEPS if longest / step <= 8), RISK_STEPS[-1])
    return [step * i for i in range(int(longest // step) + 1)]

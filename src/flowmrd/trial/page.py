"""``trial.html``: the same numbers as ``trial.json``, in words, tables and drawings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup

from flowmrd.report import formatting
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.page import environment, read_asset, render_page
from flowmrd.trial.charts import blast_change, curve_chart, swimmer_chart, waterfall_chart
from flowmrd.trial.csv_files import NAMES
from flowmrd.trial.patient_flow import flow_figure
from flowmrd.trial.proportion import Proportion
from flowmrd.trial.result import Endpoint, EventLine, Months, PatientLine, TrialResult

TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
SHOWN_MONTHS: Final = (3, 6, 12, 24)
RISING: Final = ("cir", "nrm")


def render_trial(result: TrialResult, laboratory: str = "", *, language: Language = ENGLISH) -> str:
    """The page as one self-contained HTML text."""
    context = {
        "trial": result.trial,
        "tables": NAMES,
        "laboratory": laboratory,
        "summary": summary(result),
        "headline": headline(result),
        "rates": _rate_rows(result),
        "rate_notes": list(dict.fromkeys(rate.note for rate in result.rates.values() if rate.note)),
        "warnings": result.warnings,
        "flow": flow_figure(result.flow),
        "flow_summary": "; ".join(f"{step.title}: {step.patients}" for step in result.flow) + ".",
        "flow_rows": [(step.title, step.patients, "; ".join(step.lost) or "–") for step in result.flow],
        "demographics": _demographics(result),
        "follow_up": months_text(result.follow_up_months),
        "survival": [_survival_row(endpoint) for endpoint in result.endpoints.values()],
        "curves": [_curve(endpoint) for endpoint in result.endpoints.values()],
        "swimmer": to_svg(swimmer_chart(result.patients), css=""),
        "swimmer_summary": f"One bar for each of {len(result.patients)} patients from enrolment to last contact; "
        "the table below has the same days.",
        "waterfall": to_svg(waterfall_chart(result.patients), css=""),
        "waterfall_summary": _waterfall_summary(result.patients),
        "waterfall_note": "Filled: CR or CRi; hatched: other. The response is written under each bar.",
        "patients": [_patient_row(line) for line in result.patients],
        "events": [_event_row(line) for line in result.adverse_events],
        "safety_note": _safety_note(result),
        "methods": methods(result),
        "method_facts": [
            ("Rule set", result.rules),
            ("Source of the rules", result.rules_source),
            ("Timepoints taken as after cycle 1", ", ".join(result.mrd_timepoints)),
            ("Survival counted from", result.origin.replace("_", " ")),
            ("flowmrd", result.flowmrd_version),
        ],
    }
    return render_page(
        "trial.html.j2", context, env=environment(TEMPLATES), styles=[read_asset("trial.css")], language=language
    )


def rate_text(rate: Proportion) -> str:
    """``11/12 (91.7 %, 95 % interval 61.5–99.8 %)``; an empty population has no percentage."""
    if rate.percent is None or rate.ci95_percent is None:
        return f"{rate.successes}/{rate.total} (no percentage)"
    low, high = rate.ci95_percent
    return f"{rate.successes}/{rate.total} ({rate.percent:.1f} %, 95 % interval {low:.1f}–{high:.1f} %)"


def months_text(months: Months, unit: str = " months") -> str:
    """``8.0 months (95 % interval 5.2 to not reached)``."""

    def one(value: float | None) -> str:
        return "not reached" if value is None else f"{value:.1f}"

    if months.value is None and months.ci95 == (None, None):
        return "not reached"
    unit = "" if months.value is None else unit
    return f"{one(months.value)}{unit} (95 % interval {one(months.ci95[0])} to {one(months.ci95[1])})"


def summary(result: TrialResult) -> str:
    """The answer in two sentences."""
    cr, mrd = result.rates["cr"].primary, result.rates["mrd_negative"].primary
    enrolled = result.flow[0].patients
    return (
        f"Of {enrolled} enrolled and {cr.total} evaluable patients, complete remission was reached in "
        f"{rate_text(cr)} and MRD negativity after cycle 1 in {rate_text(mrd)}. "
        f"Median follow-up was {months_text(result.follow_up_months)}."
    )


def headline(result: TrialResult) -> list[tuple[str, str, str]]:
    """(title, number, interval or denominator) of the main results."""

    def rate(title: str, one: Proportion) -> tuple[str, str, str]:
        percent, interval = _percent_cells(one)
        return title, percent, f"{one.successes}/{one.total} {one.population}, 95 % interval {interval}"

    cr, mrd, alive = (result.rates[name].primary for name in ("cr", "mrd_negative", "in_remission"))
    states = result.mrd_of_evaluable
    told = f"{states['negative']} negative, {states['positive']} positive, {states['not_evaluable']} not assessable"
    title, percent, detail = rate("MRD negative after cycle 1", mrd)
    median = result.endpoints["os"].median_months
    return [
        rate("Complete remission", cr),
        (title, percent, f"{detail}; {told}"),
        ("Responders alive in remission", f"{alive.successes}/{alive.total}", f"at last contact; {alive.population}"),
        (
            "Median overall survival",
            "not reached" if median is None or median.value is None else f"{median.value:.1f} months",
            f"median follow-up {months_text(result.follow_up_months)}",
        ),
    ]


def methods(result: TrialResult) -> list[str]:
    """Methods in sentences for a publication."""
    return [
        f"Response was classified from the recorded measurements by the rule set {result.rules} "
        f"({result.rules_source}); the investigator's word did not decide.",
        "MRD negativity is the flag mrd_negative of the tube after cycle 1, as computed from its FCS file; a tube that "
        "could not have told, a missing tube and a result rejected by its reviewer are not evaluable.",
        "Proportions have exact intervals (Clopper & Pearson 1934). Overall, progression-free and relapse-free "
        "survival and duration of response are Kaplan-Meier estimates with Greenwood's variance and log-log intervals, "
        "medians with Brookmeyer-Crowley limits, follow-up by reverse Kaplan-Meier (Schemper & Smith 1996).",
        "Relapse and non-relapse mortality compete and are Aalen-Johansen estimates with the variance of Dinse & "
        "Larson (1986); tied times are not moved.",
        "Months are days / 30.4375. No hypothesis was tested.",
    ]


def _rate_rows(result: TrialResult) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for rate in result.rates.values():
        for number, one in enumerate((rate.primary, *rate.others)):
            percent, interval = _percent_cells(one)
            mark = " (protocol)" if number == 0 and rate.others else ""
            title = rate.title if number == 0 else Markup('<span class="unseen">{}</span>').format(rate.title)
            rows.append((title, one.population + mark, f"{one.successes}/{one.total}", percent, interval))
    return rows


def _percent_cells(one: Proportion) -> tuple[str, str]:
    if one.percent is None or one.ci95_percent is None:
        return "–", "–"
    return f"{one.percent:.1f} %", f"{one.ci95_percent[0]:.1f}–{one.ci95_percent[1]:.1f} %"


def _demographics(result: TrialResult) -> list[tuple[str, str]]:
    facts = result.demographics
    by_number = sorted(facts.sex.items(), key=lambda item: (-item[1], item[0]))
    age = "not recorded"
    if facts.age_median is not None and facts.age_range is not None:
        low, high = facts.age_range
        age = f"median {facts.age_median:g} years ({low:g} to {high:g}), known for {facts.age_known}"
    return [("Sex", ", ".join(f"{number} {sex}" for sex, number in by_number) or "–"), ("Age", age)]


def _survival_row(endpoint: Endpoint) -> tuple[str, ...]:
    months = endpoint.median_months
    median = "not defined" if months is None else months_text(months, "").replace("95 % interval ", "")
    cells = []
    for landmark in endpoint.landmarks:
        if landmark.months in SHOWN_MONTHS:
            if landmark.percent is None:
                cells.append("beyond follow-up")
            elif landmark.ci95_percent is None:
                cells.append(f"{landmark.percent:.1f} %")
            else:
                low, high = landmark.ci95_percent
                cells.append(f"{landmark.percent:.1f} % ({low:.1f}–{high:.1f})")
    return (endpoint.title, str(endpoint.patients), str(endpoint.events), median, *cells)


def _curve(endpoint: Endpoint) -> dict[str, object]:
    who = endpoint.population[:1].upper() + endpoint.population[1:]
    definition = f"{who}, from {endpoint.origin} to {endpoint.event}. {endpoint.note}"
    months = endpoint.median_months
    median = "" if months is None else f" Median {months_text(months)}."
    return {
        "name": endpoint.name,
        "title": endpoint.title,
        "note": definition,
        "summary": f"{endpoint.events} events in {endpoint.patients} patients.{median}",
        "drawing": to_svg(curve_chart(endpoint, rising=endpoint.name in RISING), css=""),
        "risk_head": ["Month", *(str(month) for month in endpoint.risk_months)],
        "risk_row": ["At risk", *endpoint.risk_patients],
    }


def _waterfall_summary(patients: Sequence[PatientLine]) -> str:
    changes = [change for line in patients if (change := blast_change(line)) is not None]
    if not changes:
        return "No patient has marrow blasts before and after treatment."
    return f"{len(changes)} patients, from {min(changes):.0f} % to {max(changes):+.0f} %."


def _not_evaluable(reason: str) -> Markup:
    """``no`` with the reason as the trial wrote it, which no language changes."""
    return Markup('no: <bdi class="outside" dir="auto">{}</bdi>').format(reason)


def _patient_row(line: PatientLine) -> tuple[str, ...]:
    def day(value: int | None) -> str:
        return "–" if value is None else str(value)

    ended = line.relapse_day if line.relapse_day is not None else line.progression_day
    why = " ".join(reason.message for reason in line.response_reasons)
    mrd = {"not_evaluable": "not assessable"}.get(line.mrd.status, line.mrd.status)
    level = line.mrd.reported or "–"
    if line.mrd.status == "not_evaluable":
        mrd += f": {line.mrd.reasons[0].message}" if line.mrd.reasons else ""
    return (
        line.patient,
        "yes" if line.evaluable else _not_evaluable(formatting.clip(line.not_evaluable_reason, 80)),
        line.response,
        formatting.clip(formatting.readable(why), 240),
        formatting.clip(formatting.readable(mrd), 240),
        level,
        "–" if line.mrd.lod95 is None else formatting.percent(line.mrd.lod95),
        line.mrd.review.replace("_", " "),
        day(ended),
        day(line.death_day),
        day(line.last_contact_day),
    )


def _event_row(line: EventLine) -> tuple[str, ...]:
    def with_percent(one: Proportion) -> str:
        percent = "" if one.percent is None else f" ({one.percent:.0f} %)"
        return f"{one.successes}/{one.total}{percent}"

    return (
        formatting.clip(line.term, 120),
        *(str(line.by_grade[grade]) for grade in range(1, 6)),
        with_percent(line.any_grade),
        with_percent(line.grade_3_4),
        _percent_cells(line.grade_3_4)[1],
        with_percent(line.treated_grade_3_plus),
    )


def _safety_note(result: TrialResult) -> str:
    outside = [line for line in result.patients if not line.safety_evaluable]
    inside = len(result.patients) - len(outside)
    reasons = "; ".join(f"{line.patient}: {line.safety_not_evaluable_reason}" for line in outside)
    return f"Safety population: {inside} patients." + (
        f" Outside it: {formatting.clip(reasons, 500)}." if reasons else ""
    )

"""``trial.json`` as a typed model. Times are days since enrolment or since response; no date enters it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flowmrd.flags import Flag
from flowmrd.trial.proportion import Proportion
from flowmrd.trial.survival import Curve, Median

DAYS_PER_MONTH = 365.25 / 12


class TrialPart(BaseModel):
    """Base of all parts."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class MrdCall(TrialPart):
    """MRD after cycle 1, as the pipeline gave it in ``mrd.json``."""

    sample: str | None = Field(description="The tube; the specimen, where several tubes of it were judged together.")
    status: Literal["negative", "positive", "not_evaluable"]
    klass: str | None = Field(alias="class")
    fraction: float | None = None
    reported: str | None = Field(
        None, description="As the tube's result reports it; < the limit of detection below it."
    )
    lod95: float | None = None
    review: str = Field("not_reviewed", description="not_reviewed, accepted, rejected, commented or void.")
    reasons: tuple[Flag, ...] = ()


class PatientLine(TrialPart):
    """One patient in the terms of the endpoints."""

    patient: str
    sex: str | None = None
    age: float | None = None
    treated: bool
    evaluable: bool
    not_evaluable_reason: str | None
    response: str
    response_reasons: tuple[Flag, ...]
    response_day: int | None
    blasts_before_percent: float | None
    blasts_after_percent: float | None
    mrd: MrdCall
    progression_day: int | None
    relapse_day: int | None
    transplant_day: int | None
    death_day: int | None
    death_cause: str | None
    last_contact_day: int
    safety_evaluable: bool
    safety_not_evaluable_reason: str | None


class Rate(TrialPart):
    """One outcome with every denominator; the first is the protocol's."""

    name: str
    title: str
    primary: Proportion
    others: tuple[Proportion, ...]
    note: str = ""


class SurvivalAt(TrialPart):
    """An estimate at a fixed time; null beyond the last observation."""

    months: int
    percent: float | None
    ci95_percent: tuple[float, float] | None


class Months(TrialPart):
    """A median in months (days / 30.4375); null is "not reached"."""

    value: float | None
    ci95: tuple[float | None, float | None]


class Observation(TrialPart):
    """One patient of an endpoint: days from its origin, and the code of their end (0 censored, 1
    event, 2 competing).
    """

    patient: str
    days: int
    code: Literal[0, 1, 2]


class Endpoint(TrialPart):
    """A time-to-event endpoint with its definition."""

    name: str
    title: str
    population: str
    origin: str
    event: str
    patients: int
    events: int
    median: Median | None
    median_months: Months | None
    landmarks: tuple[SurvivalAt, ...]
    risk_months: tuple[int, ...]
    risk_patients: tuple[int, ...]
    curve: Curve
    observations: tuple[Observation, ...]
    note: str = ""


class EventLine(TrialPart):
    """One adverse event term; every patient counts once, with the worst grade."""

    term: str
    by_grade: dict[int, int] = Field(description="Worst grade to number of patients of the safety population.")
    any_grade: Proportion
    grade_3_4: Proportion
    grade_3_plus: Proportion
    fatal: int
    treated_grade_3_plus: Proportion = Field(description="The same over all treated patients.")
    worst: dict[str, int] = Field(description="Patient to worst grade, also of those outside the safety population.")


class FlowStep(TrialPart):
    """One box of the patient flow, and the patients lost before it."""

    title: str
    patients: int
    lost: tuple[str, ...] = Field(description="Reason and number of those who did not reach this box.")


class Demographics(TrialPart):
    """Sex and age of the enrolled."""

    sex: dict[str, int]
    age_median: float | None
    age_range: tuple[float, float] | None
    age_known: int


class TrialResult(TrialPart):
    """``trial.json``: populations, rates, survival and safety of a trial, with every patient's line."""

    schema_version: Literal["1"] = "1"
    trial: str = Field("", description="Name from the configuration (report.trial).")
    rules: str
    rules_source: str
    mrd_timepoints: tuple[str, ...]
    origin: str
    demographics: Demographics
    flow: tuple[FlowStep, ...]
    rates: dict[str, Rate]
    mrd_of_evaluable: dict[str, int] = Field(
        description="MRD after cycle 1 of the evaluable: negative, positive, not_evaluable."
    )
    follow_up_months: Months
    endpoints: dict[str, Endpoint]
    adverse_events: tuple[EventLine, ...]
    warnings: tuple[Flag, ...]
    patients: tuple[PatientLine, ...]
    flowmrd_version: str

    def to_json_dict(self) -> dict[str, object]:
        """Plain data, ready for :func:`flowmrd.store.write_json`."""
        return self.model_dump(mode="json", by_alias=True)


def months(median: Median) -> Months:
    """A median in months."""

    def convert(days: int | None) -> float | None:
        return None if days is None else days / DAYS_PER_MONTH

    return Months(value=convert(median.days), ci95=(convert(median.ci95_days[0]), convert(median.ci95_days[1])))

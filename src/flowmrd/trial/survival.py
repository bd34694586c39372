"""Time to event: Kaplan-Meier, its median, follow-up by reverse Kaplan-Meier, and Aalen-Johansen for competing risks.

No library is used at run time, for two reasons. The Aalen-Johansen fitter of lifelines adds random jitter to tied times
(issues 1521 and 629), so the same patients do not give the same bytes, and it miscounts an event at the first time
(pull request 1699). scikit-survival refuses data in which one of the risks has no event, which is normal in a small
trial without relapses. Both estimators are a few lines of arithmetic. The tests compare them with published tables, and
with both libraries where these are right.

Conventions: times are in days and may be 0; at a tied time events come before censorings; the median is the smallest
time at which the curve is at or below one half; a limit that is never crossed is ``None`` ("not reached").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from flowmrd.errors import InternalError

Z975: Final = 1.959963984540054
"""97.5 % quantile of the normal distribution."""

TIE: Final = 1e-12
"""Tolerance for one half: a product of fractions that equals one half may miss it by rounding."""

CENSORED: Final = 0


class CurveStep(BaseModel):
    """The curve from ``time`` until the next step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: int = Field(description="Days since the origin.")
    at_risk: int = Field(description="Patients at risk just before this time.")
    events: int
    censored: int
    value: float = Field(description="Survival, or cumulative incidence.")
    ci95: tuple[float, float] | None = Field(description="Pointwise log-log interval; null where it is undefined.")


class Curve(BaseModel):
    """An estimated curve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patients: int
    events: int
    steps: tuple[CurveStep, ...]

    def value_at(self, time: int, initial: float) -> tuple[float, tuple[float, float] | None]:
        """Value and limits at a time; ``initial`` (1 for survival, 0 for incidence) before the first step."""
        value, interval = initial, None
        for step in self.steps:
            if step.time > time:
                break
            value, interval = step.value, step.ci95
        return value, interval


class Median(BaseModel):
    """Median time in days; ``None`` is "not reached"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int | None
    ci95_days: tuple[int | None, int | None]


def kaplan_meier(times: Sequence[int], events: Sequence[bool]) -> Curve:
    """Product-limit estimate with Greenwood's variance and the log-log interval.

    S(t) = prod (1 - d/n) (Kaplan & Meier, JASA 1958;53:457-481); Var S = S^2 sum d / (n (n - d)) (Greenwood 1926);
    limits S ** exp(+-z sqrt(Var) / (S |log S|)) (Kalbfleisch & Prentice, The Statistical Analysis of Failure Time
    Data), which stay within 0..1. The interval is undefined (``None``) where S is 1 or 0.

    Parameters
    ----------
    times
        Days from the origin, one per patient, not negative.
    events
        True where the event was seen at that time, False where follow-up ended.

    Raises
    ------
    InternalError
        If the lengths differ or a time is negative.
    """
    steps = []
    survival, greenwood = 1.0, 0.0
    for time, at_risk, counts in _table(times, [int(bool(event)) for event in events]):
        died = counts.get(1, 0)
        survival *= (at_risk - died) / at_risk
        if died and died < at_risk:
            greenwood += died / (at_risk * (at_risk - died))
        interval = None
        if TIE < survival < 1 - TIE:
            shift = Z975 * math.sqrt(greenwood) / abs(math.log(survival))
            interval = (survival ** math.exp(shift), survival ** math.exp(-shift))
        elif survival <= TIE:
            survival = 0.0
        steps.append(
            CurveStep(
                time=time,
                at_risk=at_risk,
                events=died,
                censored=counts.get(CENSORED, 0),
                value=survival,
                ci95=interval,
            )
        )
    return Curve(patients=len(times), events=sum(step.events for step in steps), steps=tuple(steps))


def median_time(curve: Curve) -> Median:
    """Median survival with the interval of Brookmeyer & Crowley (Biometrics 1982;38:29-41).

    The limits are the times at which the lower and the upper pointwise log-log limit fall to one half.
    """
    median = low = high = None
    for step in curve.steps:
        # Pointwise limits exist only where the curve is inside (0, 1).
        if median is None and step.value <= 0.5 + TIE:
            median = step.time
        if step.events and step.ci95 is not None:
            if low is None and step.ci95[0] <= 0.5 + TIE:
                low = step.time
            if high is None and step.ci95[1] <= 0.5 + TIE:
                high = step.time
    if low is None:
        low = median
    return Median(days=median, ci95_days=(low, high))


def reverse_kaplan_meier(times: Sequence[int], events: Sequence[bool]) -> Median:
    """Median potential follow-up: Kaplan-Meier with the roles of event and censoring exchanged.

    Schemper & Smith, Control Clin Trials 1996;17:343-346. At a tied time the deaths leave the risk set first, because
    a patient who died then was followed no longer than that.
    """
    _check(times, events)
    order = sorted(range(len(times)), key=lambda i: (times[i], not events[i]))
    # Rank times so that deaths precede the censorings they are tied with.
    ranks: dict[tuple[int, bool], int] = {}
    for i in order:
        ranks.setdefault((times[i], not events[i]), len(ranks))
    back = {rank: time for (time, _), rank in ranks.items()}
    ranked = [ranks[(times[i], not events[i])] for i in range(len(times))]
    found = median_time(kaplan_meier(ranked, [not event for event in events]))

    def days(rank: int | None) -> int | None:
        return None if rank is None else back[rank]

    return Median(days=days(found.days), ci95_days=(days(found.ci95_days[0]), days(found.ci95_days[1])))


def aalen_johansen(times: Sequence[int], causes: Sequence[int], cause: int) -> Curve:
    """Cumulative incidence of one cause among competing ones, without jitter.

    F_j(t) = sum S(t-) d_j / n with S the survival from all causes (Aalen & Johansen, Scand J Stat 1978;5:141-150).
    One minus Kaplan-Meier with the other causes censored would overstate it and is not offered. Variance: the
    delta-method estimator of Dinse & Larson (Biometrika 1986;73:379-386, eq. 6), which is the binomial variance where
    nobody is censored; limits on the log(-log) scale.

    Parameters
    ----------
    times
        Days from the origin, one per patient, not negative.
    causes
        0 = censored, otherwise the code of the cause.
    cause
        The code whose incidence is wanted; it may have no event.

    Raises
    ------
    InternalError
        If the lengths differ, or a time or code is negative.
    """
    if any(code < 0 for code in causes) or cause <= CENSORED:
        raise InternalError("causes are 0 for censored and positive codes otherwise")
    table = _table(times, causes)
    survival, incidence = 1.0, 0.0
    steps: list[CurveStep] = []
    history: list[tuple[float, float, int, int, int]] = []  # F(t), S(t-), n, all events, events of this cause
    for time, at_risk, counts in table:
        mine = counts.get(cause, 0)
        any_cause = sum(count for code, count in counts.items() if code != CENSORED)
        incidence += survival * mine / at_risk
        history.append((incidence, survival, at_risk, any_cause, mine))
        steps.append(
            CurveStep(
                time=time,
                at_risk=at_risk,
                events=mine,
                censored=counts.get(CENSORED, 0),
                value=min(incidence, 1.0),
                ci95=_incidence_limits(incidence, history),
            )
        )
        survival *= (at_risk - any_cause) / at_risk
    return Curve(patients=len(times), events=sum(step.events for step in steps), steps=tuple(steps))


def _incidence_limits(
    incidence: float, history: Sequence[tuple[float, float, int, int, int]]
) -> tuple[float, float] | None:
    if not TIE < incidence < 1 - TIE:
        return None
    variance = 0.0
    for past, survival, n, every, mine in history:
        gap = incidence - past
        # Where everybody at risk has an event the first term's denominator vanishes; the gap is 0 there as well.
        if every < n:
            variance += gap**2 * every / (n * (n - every))
        variance += survival**2 * mine * (n - mine) / n**3
        variance -= 2 * gap * survival * mine / n**2
    spread = Z975 * math.sqrt(max(variance, 0.0)) / (incidence * abs(math.log(incidence)))
    return incidence ** math.exp(spread), incidence ** math.exp(-spread)


def numbers_at_risk(times: Sequence[int], grid: Sequence[int]) -> list[int]:
    """Patients still under observation just before each time of the grid."""
    return [sum(time >= point for time in times) for point in grid]


def _check(times: Sequence[int], codes: Sequence[int] | Sequence[bool]) -> None:
    if len(times) != len(codes) or any(time < 0 for time in times):
        raise InternalError("survival times must match the events and not be negative")


def _table(times: Sequence[int], codes: Sequence[int]) -> list[tuple[int, int, dict[int, int]]]:
    """Distinct times in order with the number at risk and the count of each code."""
    _check(times, codes)
    at: dict[int, dict[int, int]] = {}
    for time, code in zip(times, codes, strict=True):
        counts = at.setdefault(time, {})
        counts[code] = counts.get(code, 0) + 1
    left = len(times)
    table = []
    for time in sorted(at):
        table.append((time, left, at[time]))
        left -= sum(at[time].values())
    return table

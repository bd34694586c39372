"""Monitoring over many runs: measures by month, control limits from the other months, tubes to review again.

Every month is judged by the *other* months (or by the months of a locked earlier file), so that no month widens its own
limits. The limits are two-sided 0.27 % prediction limits, which are those of 3 SD for a normal measure (Shewhart 1931):

- a share of tubes: beta-binomial prediction with Jeffreys' prior, the other months' tubes as data (Gelman et al.,
  Bayesian Data Analysis, 3rd ed., section 2.4; the u and p charts of small counts: Bayarri and Garcia-Donato,
  Technometrics 2005;47:142). Fewer than :data:`ENOUGH_TUBES` other tubes: too few to judge.
- any other measure: prediction interval of one further value, mean +- t(n - 1) SD sqrt(1 + 1/n) (Hahn and Meeker,
  Statistical Intervals, section 4.7), on a scale on which it is about even: square root for counts, logarithm for
  events. Fewer than :data:`ENOUGH_MONTHS` other months: too few to judge.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Final, Literal

from flowmrd.mrd.result import DETECTED_CLASSES, MrdResult, VerdictClass
from flowmrd.records.monitoring import MeasureEntry, MonitoringFile, MonthEntry, ReReviewEntry

ENOUGH_TUBES: Final = 20
"""Number of tubes in the other months from which a share is judged (CLSI C24-A3 asks for 20 values)."""
ENOUGH_MONTHS: Final = 5
"""Number of other months from which a mean is judged, because an SD of fewer means little."""
TAIL: Final = 0.00135
"""Probability beyond each limit, as for 3 SD."""
SD_FLOOR: Final = 0.03
"""Smallest SD of months that is used, on the scale of the limits (7 % of the events), a display choice. Months that
happen to agree closely must not make the next one look unusual.
"""
UNDATED: Final = "undated"

Kind = Literal["share", "per_million", "events", "days"]


@dataclass(frozen=True)
class MonitoredTube:
    """What is known of one tube.

    Attributes
    ----------
    result
        None where the run gave no result.
    mrd_sha256
        Digest of its ``mrd.json``; empty without a result.
    month
        Month of acquisition, YYYY-MM, or :data:`UNDATED`.
    overruled
        Whether a reviewer rejected the result or called a group differently from the classifier.
    days
        Days from reception, or else aspiration, to the signature that accepted the result; None where either date is
        not known.
    """

    run: str
    sample: str
    patient: str
    role: str
    result: MrdResult | None
    mrd_sha256: str
    month: str
    review: str
    overruled: bool
    days: float | None

    @property
    def decided(self) -> bool:
        """Whether a person accepted or rejected the result."""
        return self.review in {"accepted", "rejected", "signed_once"}


def monitor(
    tubes: Sequence[MonitoredTube], *, locked: MonitoringFile | None, seed: int, again: int
) -> tuple[tuple[MeasureEntry, ...], int, tuple[ReReviewEntry, ...]]:
    """Compute every measure, the number of negative tubes, and the tubes to review again.

    Parameters
    ----------
    locked
        Earlier monitoring whose months set the limits; without it all months of these tubes do.
    seed, again
        Seed of the random sample, and the number of negative tubes in it.
    """
    followups = [tube for tube in tubes if tube.role == "followup"]
    controls = [tube for tube in tubes if tube.role == "control" and tube.result is not None]
    months = sorted({tube.month for tube in tubes})
    earlier = {} if locked is None else {entry.id: entry.months for entry in locked.measures}
    measures = [
        _share("not_answered", "Tubes not answered", followups, months, earlier, _not_answered),
        _share("detected", "Tubes with MRD detected", followups, months, earlier, _detected),
        _share(
            "overruled", "Reviewed tubes overruled", [t for t in followups if t.decided], months, earlier, _overruled
        ),
        _share(
            "lod_reached",
            "Tubes whose limit of detection reached the target",
            [tube for tube in followups if tube.result is not None],
            months,
            earlier,
            _lod_reached,
        ),
        _values("background", "Background of the controls", "per_million", _background(controls, months), earlier),
        _values("events", "Events acquired per follow-up tube, median", "events", _events(followups, months), earlier),
        _values("days", "Turn-around, median", "days", _days(followups, months), earlier),
    ]
    negatives = [t for t in followups if t.result is not None and t.result.verdict.class_ is VerdictClass.NEGATIVE]
    return tuple(measures), len(negatives), drawn(negatives, seed, again)


def drawn(negatives: Sequence[MonitoredTube], seed: int, n: int) -> tuple[ReReviewEntry, ...]:
    """Random sample of negative tubes: the first n by the digest of seed and result.

    The same seed draws the same tubes whatever the folders are called. A tube that is added later replaces at most one
    other.
    """

    def place(tube: MonitoredTube) -> str:
        return hashlib.sha256(f"{seed}:{tube.mrd_sha256}".encode()).hexdigest()

    chosen = sorted(sorted(negatives, key=place)[:n], key=lambda tube: (tube.month, tube.run, tube.sample))
    return tuple(
        ReReviewEntry(
            run=tube.run,
            sample=tube.sample,
            patient=tube.patient,
            month=tube.month,
            reported="" if tube.result is None else tube.result.mrd.reported,
            review=tube.review,
            mrd_sha256=tube.mrd_sha256,
        )
        for tube in chosen
    )


def _not_answered(tube: MonitoredTube) -> bool:
    """Whether a tube has no answer: no result, not evaluable or indeterminate. An insufficiently sensitive negative is
    one.
    """
    unanswered = {VerdictClass.INDETERMINATE, VerdictClass.NOT_EVALUABLE}
    return tube.result is None or tube.result.verdict.class_ in unanswered


def _detected(tube: MonitoredTube) -> bool:
    return tube.result is not None and tube.result.verdict.class_ in DETECTED_CLASSES


def _overruled(tube: MonitoredTube) -> bool:
    return tube.overruled


def _lod_reached(tube: MonitoredTube) -> bool:
    assert tube.result is not None  # noqa: S101 - only tubes with a result are asked
    facts = tube.result.sensitivity
    return facts.lod95 is not None and facts.lod95 <= facts.target


Earlier = Mapping[str, Sequence[MonthEntry]]


def _share(
    name: str,
    title: str,
    tubes: Sequence[MonitoredTube],
    months: Sequence[str],
    earlier: Earlier,
    counts: Callable[[MonitoredTube], bool],
) -> MeasureEntry:
    """A share of tubes by month."""
    by_month = {
        month: (sum(counts(tube) for tube in mine), len(mine))
        for month in months
        for mine in [[tube for tube in tubes if tube.month == month]]
    }
    base = {entry.month: (entry.hits or 0, entry.tubes) for entry in earlier.get(name, ())} or by_month
    entries = []
    for month, (hits, n) in by_month.items():
        others = [pair for other, pair in base.items() if other != month]
        limits = share_limits(n, sum(k for k, _ in others), sum(m for _, m in others)) if n else None
        value = hits / n if n else None
        entries.append(_month(month, n, hits, value, limits))
    total = sum(n for _, n in base.values())
    centre = sum(hits for hits, _ in base.values()) / total if total else None
    return MeasureEntry(id=name, title=title, kind="share", centre=centre, months=tuple(entries))


def share_limits(n: int, hits: int, tubes: int) -> tuple[float, float] | None:
    """Control limits of a share in ``n`` tubes, from ``hits`` of ``tubes`` in the other months; None from too few
    tubes.
    """
    if tubes < ENOUGH_TUBES:
        return None
    from scipy.stats import betabinom  # takes as long to import as everything else of this command

    expected = betabinom(n, hits + 0.5, tubes - hits + 0.5)
    return float(expected.ppf(TAIL)) / n, float(expected.ppf(1 - TAIL)) / n


Found = Mapping[str, tuple[int, int | None, float | None]]
"""Month to the number of tubes, the events where these are counted, and the value."""


def _background(controls: Sequence[MonitoredTube], months: Sequence[str]) -> Found:
    """Events called leukaemic in controls, per million of their denominators."""
    found = {}
    for month in months:
        results = [tube.result for tube in controls if tube.month == month and tube.result is not None]
        events = sum(result.counts.mrd_events for result in results)
        cells = sum(result.denominator_count or 0 for result in results)
        found[month] = (len(results), events, 1e6 * events / cells if cells else None)
    return found


def _events(followups: Sequence[MonitoredTube], months: Sequence[str]) -> Found:
    found = {}
    for month in months:
        totals = [t.result.counts.total for t in followups if t.month == month and t.result is not None]
        found[month] = (len(totals), None, float(median(totals)) if totals else None)
    return found


def _days(followups: Sequence[MonitoredTube], months: Sequence[str]) -> Found:
    found = {}
    for month in months:
        days = [tube.days for tube in followups if tube.month == month and tube.days is not None]
        found[month] = (len(days), None, float(median(days)) if days else None)
    return found


_SCALES: Final[Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]]] = {
    "per_million": (math.sqrt, lambda x: max(x, 0.0) ** 2),
    "events": (lambda x: math.log10(max(x, 1.0)), lambda x: float(10**x)),
    "days": (lambda x: math.sqrt(max(x, 0.0)), lambda x: max(x, 0.0) ** 2),
}
"""For each kind of measure: the transform to a scale on which its months scatter evenly, and its inverse."""


def _values(name: str, title: str, kind: Kind, by_month: Found, earlier: Earlier) -> MeasureEntry:
    """A measure that is not a share, by month."""
    there, back = _SCALES[kind]
    base = {e.month: e.value for e in earlier.get(name, ())} or {month: found[2] for month, found in by_month.items()}
    entries = []
    for month, (n, events, value) in by_month.items():
        others = [there(other) for key, other in base.items() if key != month and other is not None]
        limits = None if value is None else prediction_limits(others)
        entries.append(_month(month, n, events, value, None if limits is None else (back(limits[0]), back(limits[1]))))
    known = [value for value in base.values() if value is not None]
    return MeasureEntry(id=name, title=title, kind=kind, centre=fmean(known) if known else None, months=tuple(entries))


def prediction_limits(others: Sequence[float]) -> tuple[float, float] | None:
    """Interval that holds one further value with 99.73 % probability; None from fewer than :data:`ENOUGH_MONTHS`
    values.
    """
    n = len(others)
    if n < ENOUGH_MONTHS:
        return None
    from scipy.special import stdtrit

    reach = float(stdtrit(n - 1, 1 - TAIL)) * max(stdev(others), SD_FLOOR) * math.sqrt(1 + 1 / n)
    return fmean(others) - reach, fmean(others) + reach


def _month(month: str, n: int, hits: int | None, value: float | None, limits: tuple[float, float] | None) -> MonthEntry:
    low, high = (None, None) if limits is None else limits
    beyond = value is not None and low is not None and high is not None
    slack = 1e-9 * abs(value or 0.0)
    outside = beyond and not ((low or 0.0) - slack <= (value or 0.0) <= (high or 0.0) + slack)
    return MonthEntry(month=month, tubes=n, hits=hits, value=value, low=low, high=high, outside=outside)

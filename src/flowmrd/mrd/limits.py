"""Counting statistics: intervals, limits of blank, detection and quantification.

All counts are taken as Poisson: events of a rare population in a tube of N denominator events with rate t arrive as
X ~ Poisson(N t). P(X >= k) for mean mu is the regularised lower incomplete gamma function P(k, mu), so every limit
below has a closed form in its inverse (Garwood 1936, Biometrika 28:437 for the interval; Currie 1968, Anal Chem 40:586
for the idea of separate decision and detection limits).

Background is the rate b of false MRD events in marrow without leukaemia, here the upper end of the controls' interval.
It raises the detection count. It is not added to the rate of the tube, which may have no background: with X ~ Poisson(N
(b + t)), a reference with more background would appear more sensitive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import bdtr, betaincinv, gammainc, gammaincinv

from flowmrd.errors import InternalError

QUANTIFY_FACTOR = 2.5
"""Quantification count over detection count: 50 over 20, the counting rule of flow MRD."""
MAX_DENOMINATOR = 10**9
"""Search limit of :func:`events_needed`; no cytometer acquires a billion events of one tube."""


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Garwood) two-sided interval of a Poisson mean.

    Parameters
    ----------
    confidence
        Two-sided confidence; 0.95 gives 0 -> 0..3.69, 10 -> 4.80..18.39, 20 -> 12.22..30.89.
        At 0 events the upper limit stays the two-sided 97.5 % one (3.69), as tabulated, not the one-sided 3.00.

    Raises
    ------
    InternalError
        If the count is negative.
    """
    if count < 0:
        raise InternalError(f"a count of {count} events is impossible")
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(gammaincinv(count, tail))
    return low, float(gammaincinv(count + 1, 1 - tail))


def blank_threshold(mean_background: float, alpha: float = 0.05) -> int:
    """Smallest count k with P(X >= k | mean_background) < alpha.

    Counts of k and more are not explained by background at the one-sided level alpha; k - 1 is the limit of blank in
    events. 1 at a background of exactly 0.

    Raises
    ------
    InternalError
        If the background is negative.
    """
    if mean_background < 0:
        raise InternalError(f"a background of {mean_background} events is impossible")
    if mean_background == 0:
        return 1
    low, high = 1, max(2, math.ceil(mean_background))
    while gammainc(high, mean_background) >= alpha:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if gammainc(middle, mean_background) < alpha:
            high = middle
        else:
            low = middle + 1
    return low


def chance_of(count: int, mean: float) -> float:
    """Chance of at least ``count`` events where ``mean`` are expected: P(X >= count) of a Poisson count."""
    return float(gammainc(count, mean))


def may_hold(count: int, least: int, part: float, alpha: float = 0.05) -> bool:
    """Whether a tube in which ``count`` cells were counted may hold ``least`` of them, at the one-sided level alpha.

    Parameters
    ----------
    part
        Part of the cells that is counted. Of ``least`` cells, X ~ Binomial(least, part) are; they are excluded where
        P(X <= count) is below alpha.
    """
    return bool(bdtr(min(count, least), least, part) >= alpha)


def quantification_count(detect_events: int, min_quantify_events: int = 50) -> int:
    """Count from which a detection is quantified: 2.5 times the detection count, at least 50 (coefficient of variation
    of a Poisson count of 50: 14 %)."""
    return max(min_quantify_events, math.ceil(QUANTIFY_FACTOR * detect_events))


@dataclass(frozen=True)
class Limits:
    """Limits of one tube. Rates are fractions of the denominator; ``inf`` where the denominator is 0.

    Attributes
    ----------
    min_detect_events
        m, the count rule without regard to background.
    lob_events
        Limit of blank: the largest count still explained by background at level alpha.
    detect_events
        n = max(m, lob_events + 1): a clustered count from here on is a detection.
    quantify_events
        max(50, 2.5 n): a detection from here on is quantified.
    lod_nominal
        m / N, the limit that many reports print; a true MRD at this rate is missed every other time.
    lod95
        Smallest rate t with P(X >= n | N t) >= power.
    loq
        The same for ``quantify_events``.
    """

    min_detect_events: int
    lob_events: int
    detect_events: int
    quantify_events: int
    lod_nominal: float
    lod95: float
    loq: float


def limits(
    denominator: int,
    *,
    background: float,
    min_detect_events: int = 20,
    min_quantify_events: int = 50,
    alpha: float = 0.05,
    power: float = 0.95,
) -> Limits:
    """Limits of a tube with ``denominator`` events.

    With n = 20 (no background to speak of) lod95 = 27.88 / N, so that 1e-4 needs 278,793 events, and loq = 62.17 / N.

    Parameters
    ----------
    background
        Upper end of the controls' background interval, false MRD events per denominator event.

    Raises
    ------
    InternalError
        If the denominator is negative.
    """
    if denominator < 0:
        raise InternalError(f"a denominator of {denominator} events is impossible")
    lob = blank_threshold(denominator * background, alpha) - 1
    detect = max(min_detect_events, lob + 1)
    quantify = quantification_count(detect, min_quantify_events)
    if denominator == 0:
        return Limits(min_detect_events, lob, detect, quantify, math.inf, math.inf, math.inf)
    return Limits(
        min_detect_events=min_detect_events,
        lob_events=lob,
        detect_events=detect,
        quantify_events=quantify,
        lod_nominal=min_detect_events / denominator,
        lod95=float(gammaincinv(detect, power)) / denominator,
        loq=float(gammaincinv(quantify, power)) / denominator,
    )


def events_needed(
    target: float, *, background: float, min_detect_events: int = 20, alpha: float = 0.05, power: float = 0.95
) -> int | None:
    """Smallest denominator from which on lod95 stays at or below ``target``; ``None`` above a billion events.

    The detection count steps up by whole events as background grows with N, so lod95 is a saw-tooth in N. The answer
    is safe to acquire towards: more events never undo it.
    """

    def reached(denominator: int) -> bool:
        # Worst case: the detection count, a step function of N, is one event higher.
        step = blank_threshold(denominator * background, alpha)
        detect = max(min_detect_events, step if background == 0 else step + 1)
        return float(gammaincinv(detect, power)) / denominator <= target

    if background == 0:
        return math.ceil(float(gammaincinv(min_detect_events, power)) / target)
    low, high = 1, 1024
    while not reached(high):
        low, high = high, 2 * high
        if high > MAX_DENOMINATOR:
            return None
    while low < high:
        middle = (low + high) // 2
        if reached(middle):
            high = middle
        else:
            low = middle + 1
    return low


def binomial_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper & Pearson 1934, Biometrika 26:404) two-sided interval of a proportion.

    11 of 12 gives 0.6152..0.9979, 9 of 12 gives 0.4281..0.9451; (0, 1) where nothing was tried.

    Raises
    ------
    InternalError
        If a number is negative, or there are more successes than trials.
    """
    if not 0 <= successes <= trials:
        raise InternalError(f"{successes} of {trials} is impossible")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high

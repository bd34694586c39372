"""Agreement of two methods: calls at a threshold, and differences of levels on the log10 scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from flowmrd.compare.measurement import MeasuredPair
from flowmrd.compare.regression import Z975
from flowmrd.mrd.limits import binomial_interval

Floats = npt.NDArray[np.float64]

HALF_LOG = 0.5
"""Two levels agree where they differ by at most this much on the log10 scale (Leukemia 2012: 69 % of pairs of flow
cytometry and PCR)."""
COVERED = 0.9
"""Share of the differences that the total deviation index covers (Lin LI, Stat Med 2000;19:255)."""


class ComparisonPart(BaseModel):
    """Base of the figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Share(ComparisonPart):
    """A count of a total with its exact (Clopper-Pearson) 95 % interval."""

    hits: int
    of: int
    ci95: tuple[float, float] | None = Field(description="null where the total is 0.")


class CallsAtThreshold(ComparisonPart):
    """Positive and negative calls of two methods at one threshold; agreement refers to the first method."""

    threshold: float
    positive_agreement: Share = Field(description="Positive by both, of those positive by the first method.")
    negative_agreement: Share = Field(description="Negative by both, of those negative by the first method.")
    overall_agreement: Share
    kappa: float | None = Field(description="Cohen's kappa; null where both methods give one call only.")
    kappa_ci95: tuple[float, float] | None
    not_comparable: int = Field(description="Pairs in which 'not detected' has a limit above the threshold.")
    discordant: tuple[str, ...] = Field(description="Specimens called differently.")


class LevelAgreement(ComparisonPart):
    """Differences of log10 levels, second minus first, of the pairs in which both methods give a level."""

    pairs: int
    within_half_log: Share
    r_squared: float | None
    mean_difference: float | None = Field(description="Bland-Altman bias, log10.")
    mean_difference_ci95: tuple[float, float] | None
    limits_of_agreement: tuple[float, float] | None = Field(description="Mean difference -/+ 1.96 SD.")
    limits_ci95: tuple[tuple[float, float], tuple[float, float]] | None
    total_deviation_index: float | None = Field(
        description="log10; 90 % of the differences are smaller, were they normal."
    )
    difference_90: float | None = Field(description="log10; 90 % of the observed differences are at most this large.")


class Censored(ComparisonPart):
    """Pairs without a difference of levels, because one method says 'not detected'."""

    both_not_detected: int
    only_first_detected: int
    only_second_detected: int
    second_per_million_where_first_negative: tuple[float, float, float] | None = Field(
        description="Median, smallest and largest events per million of the second method in specimens in which the "
        "first found nothing and the second did."
    )
    statement: str


def share(hits: int, of: int) -> Share:
    """A :class:`Share`; an empty total has no interval."""
    return Share(hits=hits, of=of, ci95=binomial_interval(hits, of) if of else None)


def calls_at(pairs: Sequence[MeasuredPair], threshold: float) -> CallsAtThreshold:
    """Compare the calls at one threshold (a fraction)."""
    table = np.zeros((2, 2), dtype=np.int64)  # [first, second]; 1 = positive
    discordant, unknown = [], 0
    for pair in pairs:
        one, two = pair.first.is_positive(threshold), pair.second.is_positive(threshold)
        if one is None or two is None:
            unknown += 1
            continue
        table[int(one), int(two)] += 1
        if one != two:
            discordant.append(pair.name)
    kappa, interval = cohens_kappa(table)
    return CallsAtThreshold(
        threshold=threshold,
        positive_agreement=share(int(table[1, 1]), int(table[1].sum())),
        negative_agreement=share(int(table[0, 0]), int(table[0].sum())),
        overall_agreement=share(int(np.trace(table)), int(table.sum())),
        kappa=kappa,
        kappa_ci95=interval,
        not_comparable=unknown,
        discordant=tuple(discordant),
    )


def cohens_kappa(table: npt.NDArray[np.int64]) -> tuple[float | None, tuple[float, float] | None]:
    """Cohen's kappa and its 95 % interval, of a table of counts of shape (2, 2).

    Variance for large samples: Fleiss JL, Cohen J, Everitt BS, Psychol Bull 1969;72:323. ``None`` where chance alone
    would give full agreement.
    """
    total = table.sum()
    if total == 0:
        return None, None
    p = table / total
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = float(np.trace(p)), float(rows @ columns)
    if chance >= 1.0:
        return None, None
    kappa = (observed - chance) / (1.0 - chance)
    both = rows[:, None] + columns[None, :]  # [i, j]: rows_i + columns_j
    diagonal = sum(p[i, i] * (1.0 - (rows[i] + columns[i]) * (1.0 - kappa)) ** 2 for i in range(2))
    across = (1.0 - kappa) ** 2 * sum(p[i, j] * both.T[i, j] ** 2 for i in range(2) for j in range(2) if i != j)
    spread = kappa - chance * (1.0 - kappa)
    variance = max((diagonal + across - spread**2) / (total * (1.0 - chance) ** 2), 0.0)
    half = Z975 * math.sqrt(variance)
    return kappa, (max(kappa - half, -1.0), min(kappa + half, 1.0))


def log_levels(pairs: Sequence[MeasuredPair]) -> tuple[Floats, Floats]:
    """log10 of both levels, shape (n,) each, of the pairs in which both methods give a level."""
    both = [pair for pair in pairs if pair.first.detected and pair.second.detected]
    return (
        np.log10([pair.first.fraction for pair in both] or np.empty(0)),
        np.log10([pair.second.fraction for pair in both] or np.empty(0)),
    )


def level_agreement(pairs: Sequence[MeasuredPair]) -> LevelAgreement:
    """Bland-Altman, total deviation index and the share within half a log of pairs with two levels.

    Limits of agreement and their intervals: Bland JM, Altman DG, Stat Methods Med Res 1999;8:135.
    """
    x, y = log_levels(pairs)
    difference = y - x
    n = len(difference)
    close = share(int(np.count_nonzero(np.abs(difference) <= HALF_LOG + 1e-12)), n)
    if n < 3:
        return LevelAgreement(
            pairs=n, within_half_log=close, r_squared=None, mean_difference=None, mean_difference_ci95=None,
            limits_of_agreement=None, limits_ci95=None, total_deviation_index=None, difference_90=None,
        )  # fmt: skip
    from scipy.special import stdtrit

    mean, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stdtrit(n - 1, 0.975))
    half_mean = t * sd / math.sqrt(n)
    half_limit = t * sd * math.sqrt(1.0 / n + Z975**2 / (2.0 * (n - 1)))
    low, high = mean - Z975 * sd, mean + Z975 * sd
    varies = bool(x.std() > 0.0 and y.std() > 0.0)
    return LevelAgreement(
        pairs=n,
        within_half_log=close,
        r_squared=float(np.corrcoef(x, y)[0, 1] ** 2) if varies else None,
        mean_difference=mean,
        mean_difference_ci95=(mean - half_mean, mean + half_mean),
        limits_of_agreement=(low, high),
        limits_ci95=((low - half_limit, low + half_limit), (high - half_limit, high + half_limit)),
        total_deviation_index=total_deviation_index(mean, sd),
        difference_90=float(np.quantile(np.abs(difference), COVERED, method="higher")),
    )


def total_deviation_index(mean: float, sd: float, covered: float = COVERED) -> float:
    """Half width around 0 that holds a share of differences that are normal with this mean and SD.

    The exact solution of P(|D| < t) = ``covered``, which Lin (Stat Med 2000;19:255) approximates.
    """
    if sd == 0.0:
        return abs(mean)
    from scipy.special import ndtr

    low, high = 0.0, abs(mean) + 10.0 * sd
    for _ in range(100):
        middle = (low + high) / 2
        inside = float(ndtr((middle - mean) / sd) - ndtr((-middle - mean) / sd))
        low, high = (middle, high) if inside < covered else (low, middle)
    return (low + high) / 2


def censored(pairs: Sequence[MeasuredPair]) -> Censored:
    """Facts about the pairs in which a method gives no level."""
    neither = [pair for pair in pairs if not pair.first.detected and not pair.second.detected]
    first = [pair for pair in pairs if pair.first.detected and not pair.second.detected]
    second = [pair for pair in pairs if not pair.first.detected and pair.second.detected]
    rates = sorted(1e6 * pair.second.fraction for pair in second)
    left = len(neither) + len(first) + len(second)
    return Censored(
        both_not_detected=len(neither),
        only_first_detected=len(first),
        only_second_detected=len(second),
        second_per_million_where_first_negative=(float(np.median(rates)), rates[0], rates[-1]) if rates else None,
        statement=f"{left} of {len(pairs)} pairs hold a level below a limit of detection. They count in the calls at "
        "each threshold, and are left out of differences and lines.",
    )

"""Measured validation series: linearity, precision, limits from blanks and low samples, stability, carry-over.

``config/validation.tsv`` gives the series of each tube of the run; the levels are those that the run measured. The
laboratory's acceptance limits are data (a named rule set), and the document says which were met.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowmrd.compare.tables import read_rows
from flowmrd.config.yaml_file import read_yaml
from flowmrd.errors import ConfigError, SheetError

Floats = npt.NDArray[np.float64]
FACTORS = ("operator", "instrument", "lot", "day")
COLUMNS = ("sample", "series", "material", "level", "hours", *FACTORS)
REQUIRED = ("sample", "series")
BLANK_QUANTILE = 0.95
"""Share of blanks at or below the limit of blank (CLSI EP17)."""
Z95 = 1.6448536269514722
"""One-sided 95 % point of the standard normal distribution, which EP17 uses for both errors."""
ENOUGH_BLANKS = 20
"""With at least this many blanks the limit of blank is their own 95th percentile, with fewer that of a normal."""


class Series(StrEnum):
    """Series to which a tube belongs in the validation."""

    LINEARITY = "linearity"
    PRECISION = "precision"
    BLANK = "blank"
    LOW = "low"
    STABILITY = "stability"
    CARRY_OVER = "carry_over"


class SeriesPart(BaseModel):
    """Base of the figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Measured:
    """One tube of a series.

    Attributes
    ----------
    fraction
        MRD that the run measured; 0 where no event was called.
    material
        Material that was measured; tubes of one material have one true level.
    level
        Target level of the material; ``None`` where it is not known.
    hours
        Age of the specimen at acquisition, for stability.
    factors
        Operator, instrument, lot and day, as far as the table names them.
    order
        Place of the row in the table: the order of acquisition, for carry-over.
    """

    sample: str
    series: Series
    fraction: float
    material: str
    level: float | None
    hours: float | None
    factors: Mapping[str, str]
    order: int


class AcceptanceRules(SeriesPart):
    """A laboratory's acceptance limits as a named set; a figure without a limit is reported without a judgement."""

    name: str = Field(description="Name and version of the set, as it stands on the document.")
    slope: tuple[float, float] | None = Field(None, description="Range of the slope of log10 measured on log10 made.")
    r_squared: float | None = Field(None, description="Least R² of the same line.")
    repeatability_cv: float | None = Field(None, gt=0, description="Largest coefficient of variation of repeats.")
    reproducibility_cv: float | None = Field(None, gt=0, description="The same with all factors varied.")
    lob: float | None = Field(None, ge=0, description="Largest limit of blank, fraction.")
    lod: float | None = Field(None, gt=0, description="Largest limit of detection, fraction.")
    loq: float | None = Field(None, gt=0, description="Largest limit of quantification, fraction.")
    loq_cv: float = Field(0.30, gt=0, description="Coefficient of variation up to which a level counts as quantified.")
    stability_log10: float | None = Field(None, gt=0, description="Largest change of log10 of the level within time.")
    carry_over: float | None = Field(
        None, ge=0, description="Largest share of a high tube found in the blank after it."
    )


class Judgement(SeriesPart):
    """One figure beside the laboratory's limit."""

    figure: str
    found: float | None
    limit: str
    met: bool | None = Field(description="null where the figure or the limit is absent.")


class Linearity(SeriesPart):
    """Line of log10 measured on log10 made, over the tubes in which MRD was measured."""

    tubes: int
    not_measured: int = Field(description="Tubes with a level above 0 in which no event was called.")
    slope: float
    slope_ci95: tuple[float, float]
    intercept: float
    r_squared: float
    largest_deviation: float = Field(description="Largest distance of a level's mean from the line, log10.")


class VarianceComponent(SeriesPart):
    """Spread that one source contributes, as a coefficient of variation of the mean."""

    source: str = Field(description="repeat, or a factor.")
    groups: int
    cv: float


class Precision(SeriesPart):
    """Spread of one material."""

    material: str
    tubes: int
    mean: float
    repeatability_cv: float | None = Field(description="Tubes with all factors alike; null without repeats.")
    reproducibility_cv: float = Field(description="Repeats and all factors together.")
    components: tuple[VarianceComponent, ...]


class MeasuredLimits(SeriesPart):
    """Limits from measured blanks and low samples (CLSI EP17)."""

    blanks: int
    lob: float | None
    lob_method: Literal["percentile", "normal"] | None
    low_tubes: int
    lod: float | None
    loq: float | None = Field(description="Lowest level with the wanted coefficient of variation; null where none.")


class Stability(SeriesPart):
    """Change of the level with the age of the specimen."""

    hours: float
    tubes: int
    change_log10: float = Field(description="Mean log10 less that of the youngest tubes.")


class CarryOver(SeriesPart):
    """A blank just after a high tube."""

    high: str
    blank: str
    share: float = Field(description="Level of the blank less that of the other blanks, as a share of the high tube.")


class MeasuredValidation(SeriesPart):
    """``measured.json``: figures of merit from the laboratory's own tubes."""

    schema_version: Literal["1"] = "1"
    rules: str | None
    tubes: int
    linearity: Linearity | None
    precision: tuple[Precision, ...]
    limits: MeasuredLimits
    stability: tuple[Stability, ...]
    carry_over: tuple[CarryOver, ...]
    judgements: tuple[Judgement, ...]


def read_series(table: Path, fractions: Mapping[str, float]) -> list[Measured]:
    """Read ``validation.tsv``.

    Parameters
    ----------
    table
        Columns ``sample``, ``series``, and where they apply ``material``, ``level``, ``hours``, ``operator``,
        ``instrument``, ``lot``, ``day``.
    fractions
        Sample to the MRD fraction of the run.

    Raises
    ------
    SheetError
        If a column or word is not known, a number cannot be read, or a tube has no result.
    """
    rows = read_rows(table)
    header = list(rows[0][1]) if rows else []
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown:
        raise SheetError(
            f"{table}, line 1",
            found=f"no column {missing[0]}" if missing else f"the unknown column {unknown[0]!r}",
            expected=f"the columns {', '.join(COLUMNS)}",
            todo="correct the header; docs/methods/validation.md describes it",
        )
    return [_measured(table, line, row, fractions, order) for order, (line, row) in enumerate(rows)]


def _measured(table: Path, line: int, row: Mapping[str, str], fractions: Mapping[str, float], order: int) -> Measured:
    where = f"{table}, line {line}"
    sample = row["sample"]
    if row["series"] not in list(Series):
        raise SheetError(
            where,
            found=f"the series {row['series'][:40]!r}",
            expected=f"one of {', '.join(Series)}",
            todo="correct the word",
        )
    if sample not in fractions:
        raise SheetError(
            where,
            found=f"the tube {sample[:64]!r}, which has no result",
            expected="a tube of this run with a measured level",
            todo="run the tube first, or remove the row",
        )
    return Measured(
        sample=sample,
        series=Series(row["series"]),
        fraction=fractions[sample],
        material=row.get("material") or row.get("level") or sample,
        level=_number(where, row, "level"),
        hours=_number(where, row, "hours"),
        factors={name: row[name] for name in FACTORS if row.get(name)},
        order=order,
    )


def _number(where: str, row: Mapping[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise SheetError(
            where, found=f"{column} {text[:40]!r}", expected="a number from 0 on", todo="write it as 0.0001 or 1e-4"
        )
    return value


def read_rules(path: Path) -> AcceptanceRules:
    """Read a laboratory's acceptance limits (YAML).

    Raises
    ------
    ConfigError
        If the file is missing or a key is not known.
    """
    expected = f"a mapping with name and any of {', '.join(list(AcceptanceRules.model_fields)[1:])}"
    data = read_yaml(path, ConfigError, expected=expected, if_missing="correct --rules").data
    try:
        return AcceptanceRules.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            str(path),
            found=f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}",
            expected=expected,
            todo="correct the key",
        ) from error


def judge_series(tubes: Sequence[Measured], rules: AcceptanceRules | None) -> MeasuredValidation:
    """Compute every figure that the tubes allow, and compare it with the laboratory's limits."""
    line = linearity([tube for tube in tubes if tube.series is Series.LINEARITY])
    precision = tuple(_precision(tubes))
    limits = measured_limits(tubes, loq_cv=(rules or AcceptanceRules(name="")).loq_cv)
    steady, carried = tuple(_stability(tubes)), tuple(_carry_over(tubes))
    return MeasuredValidation(
        rules=None if rules is None else rules.name,
        tubes=len(tubes),
        linearity=line,
        precision=precision,
        limits=limits,
        stability=steady,
        carry_over=carried,
        judgements=() if rules is None else tuple(_judgements(rules, line, precision, limits, steady, carried)),
    )


def linearity(tubes: Sequence[Measured]) -> Linearity | None:
    """Least-squares line of log10 measured on log10 made; ``None`` with fewer than 3 measured tubes or 2 levels."""
    made = [tube for tube in tubes if tube.level]
    seen = [tube for tube in made if tube.fraction > 0]
    x = np.log10([tube.level or 1.0 for tube in seen] or np.empty(0))
    y = np.log10([tube.fraction for tube in seen] or np.empty(0))
    if len(seen) < 3 or len(set(x)) < 2:
        return None
    from scipy.special import stdtrit

    slope, intercept = np.polyfit(x, y, 1)
    residual = y - (slope * x + intercept)
    error = math.sqrt(float(residual @ residual) / (len(x) - 2) / float(((x - x.mean()) ** 2).sum()))
    half = float(stdtrit(len(x) - 2, 0.975)) * error
    deviation = max(abs(float(y[x == at].mean() - (slope * at + intercept))) for at in set(x))
    return Linearity(
        tubes=len(seen),
        not_measured=len(made) - len(seen),
        slope=float(slope),
        slope_ci95=(float(slope) - half, float(slope) + half),
        intercept=float(intercept),
        r_squared=float(np.corrcoef(x, y)[0, 1] ** 2) if y.std() > 0 else 0.0,
        largest_deviation=deviation,
    )


def variance_components(values: Floats, groups: Sequence[str]) -> tuple[float, float]:
    """Variance within and between groups of a one-way layout with unequal groups, by analysis of variance.

    Searle SR, Casella G, McCulloch CE, Variance Components (1992), section 3.6: the expected mean squares give
    within = MSW and between = (MSB - MSW) / n0, at least 0, with n0 = (N - sum n_i^2 / N) / (k - 1).

    Parameters
    ----------
    values
        Shape (N,).
    groups
        Group of each value, N names.
    """
    names = sorted(set(groups))
    members = [values[[group == name for group in groups]] for name in names]
    total, k = len(values), len(names)
    within_squares = sum(float(((member - member.mean()) ** 2).sum()) for member in members)
    within = within_squares / (total - k) if total > k else 0.0
    if k < 2:
        return within, 0.0
    between_squares = sum(len(member) * float((member.mean() - values.mean()) ** 2) for member in members)
    size = (total - sum(len(member) ** 2 for member in members) / total) / (k - 1)
    return within, max((between_squares / (k - 1) - within) / size, 0.0)


def _precision(tubes: Iterable[Measured]) -> list[Precision]:
    """Repeatability, reproducibility and the share of every factor, per material."""
    chosen = [tube for tube in tubes if tube.series is Series.PRECISION]
    found = []
    for material in dict.fromkeys(tube.material for tube in chosen):
        own = [tube for tube in chosen if tube.material == material]
        values = np.array([tube.fraction for tube in own])
        mean = float(values.mean())
        if len(own) < 3 or mean == 0.0:
            continue
        conditions = ["/".join(tube.factors.get(name, "") for name in FACTORS) for tube in own]
        within, between = variance_components(values, conditions)
        repeats = len(own) > len(set(conditions))
        parts = [VarianceComponent(source="repeat", groups=len(own), cv=math.sqrt(within) / mean)] if repeats else []
        for name in FACTORS:
            groups = [tube.factors.get(name, "") for tube in own]
            if len(set(groups)) > 1:
                share = variance_components(values, groups)[1]
                parts.append(VarianceComponent(source=name, groups=len(set(groups)), cv=math.sqrt(share) / mean))
        spread = within + between if repeats else float(values.var(ddof=1))
        found.append(
            Precision(
                material=material,
                tubes=len(own),
                mean=mean,
                repeatability_cv=math.sqrt(within) / mean if repeats else None,
                reproducibility_cv=math.sqrt(spread) / mean,
                components=tuple(parts),
            )
        )
    return found


def measured_limits(tubes: Sequence[Measured], *, loq_cv: float) -> MeasuredLimits:
    """Limit of blank from blanks, limit of detection from low samples, limit of quantification from repeated levels.

    LOB is the 95th percentile of at least 20 blanks, else mean + 1.645 SD. LOD = LOB + 1.645 SD of the low samples,
    pooled over the materials, with EP17's correction for few tubes: 1.645 / (1 - 1 / (4 (L - J))).
    """
    blanks = np.array([tube.fraction for tube in tubes if tube.series is Series.BLANK])
    lob: float | None = None
    method: Literal["percentile", "normal"] | None = None
    if len(blanks) >= ENOUGH_BLANKS:
        lob, method = float(np.quantile(blanks, BLANK_QUANTILE, method="hazen")), "percentile"
    elif len(blanks) >= 2:
        lob, method = float(blanks.mean() + Z95 * blanks.std(ddof=1)), "normal"
    low = [tube for tube in tubes if tube.series is Series.LOW]
    by_material = _by_material(low)
    freedom = sum(len(values) - 1 for values in by_material.values())
    lod = None
    if lob is not None and freedom > 0:
        pooled = sum(
            float(values.var(ddof=1)) * (len(values) - 1) for values in by_material.values() if len(values) > 1
        )
        lod = lob + Z95 / (1.0 - 1.0 / (4.0 * freedom)) * math.sqrt(pooled / freedom)
    repeated = _by_material([t for t in tubes if t.series in (Series.LOW, Series.PRECISION, Series.LINEARITY)])
    good = [
        float(values.mean())
        for values in repeated.values()
        if len(values) > 2 and values.mean() > 0 and values.std(ddof=1) / values.mean() <= loq_cv
    ]
    return MeasuredLimits(
        blanks=len(blanks), lob=lob, lob_method=method, low_tubes=len(low), lod=lod, loq=min(good) if good else None
    )


def _by_material(tubes: Iterable[Measured]) -> dict[str, Floats]:
    found: dict[str, list[float]] = {}
    for tube in tubes:
        found.setdefault(tube.material, []).append(tube.fraction)
    return {name: np.array(values) for name, values in found.items()}


def _stability(tubes: Iterable[Measured]) -> list[Stability]:
    """Change since the youngest tubes of the same material, averaged over materials, per age."""
    chosen = [t for t in tubes if t.series is Series.STABILITY and t.hours is not None and t.fraction > 0]
    changes: dict[float, list[float]] = {}
    for material in dict.fromkeys(tube.material for tube in chosen):
        own = [tube for tube in chosen if tube.material == material]
        youngest = min(tube.hours or 0.0 for tube in own)
        start = float(np.mean([math.log10(tube.fraction) for tube in own if tube.hours == youngest]))
        for tube in own:
            changes.setdefault(tube.hours or 0.0, []).append(math.log10(tube.fraction) - start)
    return [
        Stability(hours=hours, tubes=len(values), change_log10=float(np.mean(values)))
        for hours, values in sorted(changes.items())
    ]


def _carry_over(tubes: Iterable[Measured]) -> list[CarryOver]:
    """Every blank of the carry-over series that follows a high tube."""
    chosen = sorted((t for t in tubes if t.series is Series.CARRY_OVER), key=lambda tube: tube.order)
    high = [tube for tube in chosen if tube.level]
    after = {b.sample: a for a, b in pairwise(chosen) if a.level and not b.level}
    others = [t.fraction for t in chosen if not t.level and t.sample not in after]
    base = float(np.mean(others)) if others else 0.0
    return [
        CarryOver(high=before.sample, blank=tube.sample, share=max(tube.fraction - base, 0.0) / before.fraction)
        for tube in chosen
        if (before := after.get(tube.sample)) is not None and before in high and before.fraction > 0
    ]


def _judgements(
    rules: AcceptanceRules,
    line: Linearity | None,
    precision: Sequence[Precision],
    limits: MeasuredLimits,
    steady: Sequence[Stability],
    carried: Sequence[CarryOver],
) -> list[Judgement]:
    """Every limit of the rule set with the figure that was found."""
    low, high = rules.slope or (None, None)
    slope, r_squared = (None, None) if line is None else (line.slope, line.r_squared)
    return [
        _judgement("slope of the dilution series", [slope], low, high),
        _judgement("R² of the dilution series", [r_squared], rules.r_squared, None),
        _judgement("largest CV of repeats", [one.repeatability_cv for one in precision], None, rules.repeatability_cv),
        _judgement(
            "largest CV with all factors", [one.reproducibility_cv for one in precision], None, rules.reproducibility_cv
        ),
        _judgement("limit of blank", [limits.lob], None, rules.lob),
        _judgement("limit of detection", [limits.lod], None, rules.lod),
        _judgement("limit of quantification", [limits.loq], None, rules.loq),
        _judgement(
            "largest change with time, log10", [abs(one.change_log10) for one in steady], None, rules.stability_log10
        ),
        _judgement("largest carry-over", [one.share for one in carried], None, rules.carry_over),
    ]


def _judgement(figure: str, values: Sequence[float | None], low: float | None, high: float | None) -> Judgement:
    """The largest known value with its bounds; not judged without a value or a bound."""
    known = [value for value in values if value is not None]
    found = max(known) if known else None
    words = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    bounded = low is not None or high is not None
    met = None
    if found is not None and bounded:
        met = (low is None or found >= low) and (high is None or found <= high)
    return Judgement(figure=figure, found=found, limit=", ".join(filter(None, words)) or "not set", met=met)

"""The page of an assay validation: performance in the laboratory's own tubes, found by dilution in silico.

The page shows the figures of :func:`flowmrd.validate.figures`. Only positions on paper are computed here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from flowmrd.compare.comparison import Comparison
from flowmrd.records.validation import BlankEntry, DilutionFigures, HitsEntry, KindEntry, LevelEntry, PatientEntry
from flowmrd.report import formatting
from flowmrd.report.axes import Axis, level_axis
from flowmrd.report.charts.description import Chart, Interval, Layer, Mark, Outline, Points, equality, half_log_band
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.page import read_asset, render_page
from flowmrd.validate.series import MeasuredValidation

POWER: Final = 0.95
"""Share of tubes in which a level must be found to be called detectable."""
_LOW: Final = -7
_SIZE: Final = (430.0, 230.0)


def render(
    figures: DilutionFigures,
    *,
    detect_events: int,
    target: float,
    warnings: Sequence[str],
    panel: str,
    version: str,
    measured: MeasuredValidation | None = None,
    comparison: Comparison | None = None,
    language: Language = ENGLISH,
) -> str:
    """The page as one self-contained HTML text.

    Parameters
    ----------
    detect_events
        Clustered events that count as detected.
    warnings
        Limits of the validation, in sentences.
    measured
        Figures from the laboratory's measured series, where there are any.
    comparison
        Agreement with another method, where one was made.
    """
    levels = figures.levels
    return render_page(
        "validation.html.j2",
        {
            "panel": panel,
            "version": version,
            "warnings": warnings,
            "summary": _summary(figures, target),
            "headline": _headline(figures, target),
            "design": f"Cells of {_number(len(figures.patients), 'diagnosis tube')} were put, in Poisson numbers, "
            f"into {_number(len(figures.controls), 'control tube')}, "
            f"{formatting.count(figures.tubes)} diluted tubes "
            "in all, and judged by the code that judges patients. No control helped to build the reference that judged "
            f"it. Detected means at least {detect_events} clustered events.",
            "detection": _drawn(detection_chart(levels, target)),
            "agreement": _drawn(agreement_chart(levels)),
            "level_rows": [_level_row(row) for row in levels],
            "patient_rows": [_patient_row(row) for row in figures.by_patient],
            "kind_rows": [_kind_row(row) for row in figures.by_kind],
            "event_rows": [(_range(row.least, row.below), *_share(row.ppa_at_1e_4)) for row in figures.by_events],
            "blank_rows": _blank_rows(figures.blank),
            "measured": None if measured is None else _measured(measured),
            "comparison": None if comparison is None else _comparison(comparison),
        },
        styles=[read_asset("trial.css")],
        language=language,
    )


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _share(share: HitsEntry) -> tuple[str, str, str]:
    """Hits of tubes, percent, exact 95 % interval."""
    if not share.of:
        return "0 / 0", "–", "–"
    low, high = share.ci95
    return (
        f"{share.hits} / {share.of}",
        f"{100 * share.hits / share.of:.1f} %",
        f"{100 * low:.1f}–{100 * high:.1f} %",
    )


def _level(value: float | None) -> str:
    return "not reached" if value is None else formatting.scientific(value)


def _summary(figures: DilutionFigures, target: float) -> str:
    lod = figures.lod
    asked = formatting.scientific(target)
    if lod is None:
        return f"No level was found in at least 95 % of the diluted tubes; {asked} is not shown to be detectable."
    lowest = f"{formatting.scientific(lod)} is the lowest level found in at least 95 % of the diluted tubes"
    if lod <= target:
        return f"{lowest}: the target {asked} is detectable in tubes and leukaemias like these."
    return f"{lowest}: the target {asked} is not shown to be detectable."


def _headline(figures: DilutionFigures, target: float) -> list[tuple[str, str, str, str]]:
    """(tone, title, number, detail)."""
    blank, linear = figures.blank, figures.linearity
    reached = figures.lod is not None and figures.lod <= target
    negative = blank.npa
    return [
        (
            "pass" if reached else "fail",
            "Limit of detection",
            _level(figures.lod),
            f"lowest level found in at least 95 % of tubes; target {formatting.scientific(target)}",
        ),
        ("info", "Limit of quantification", _level(figures.loq), "the same, and a coefficient of variation ≤ 30 %"),
        (
            "pass" if negative.of and negative.hits == negative.of else "warn",
            "Negative agreement",
            _share(negative)[1],
            f"{_share(negative)[0]} blank tubes called not detected, 95 % interval {_share(negative)[2]}",
        ),
        (
            "info",
            "Linearity",
            "not available" if linear is None else f"R² {linear.r_squared:.3f}",
            "too few diluted tubes with MRD"
            if linear is None
            else f"slope {linear.slope:.2f} of log10 measured on log10 true, {linear.points} tubes",
        ),
    ]


def _level_row(row: LevelEntry) -> tuple[str, ...]:
    hits, percent, interval = _share(HitsEntry(hits=row.hits, of=row.tubes, ci95=row.ci95))
    return (
        formatting.scientific(row.level),
        hits,
        percent,
        interval,
        formatting.scientific(row.mean_measured),
        "–" if row.cv is None else formatting.percent(row.cv),
        "–" if row.recovery is None else formatting.percent(row.recovery),
        "{} ({})".format(*_share(row.within_half_log)[:2]),
    )


def _patient_row(row: PatientEntry) -> tuple[str, ...]:
    return (
        row.patient,
        "; ".join(row.kinds) or ("like normal precursors" if row.like_normal else "distinct"),
        *_share(row.ppa_at_1e_4),
        _share(row.ppa_at_1e_3)[0],
        formatting.number(row.blank_per_million),
    )


def _kind_row(row: KindEntry) -> tuple[str, ...]:
    return (
        row.kind,
        str(len(row.patients)),
        *_share(row.ppa_at_1e_4),
        _share(row.ppa_at_1e_3)[0],
        formatting.number(row.blank_per_million),
    )


def _blank_rows(blank: BlankEntry) -> list[tuple[str, str]]:
    return [
        ("Blank tubes", formatting.count(blank.tubes)),
        ("Events called leukaemic, mean", f"{formatting.number(blank.mean_per_million)} per million"),
        ("Limit of blank (95th percentile)", f"{formatting.number(blank.lob_per_million)} per million"),
        ("Worst blank tube", f"{formatting.number(blank.worst_per_million)} per million"),
    ]


def _cv(value: float | None) -> str:
    return "–" if value is None else formatting.percent(value)


def _measured(found: MeasuredValidation) -> dict[str, object]:
    """Rows of the measured series."""
    line, limits = found.linearity, found.limits
    facts = [("Tubes in the series", str(found.tubes))]
    if line is not None:
        low, high = line.slope_ci95
        facts += [
            ("Slope of log10 measured on log10 made", f"{line.slope:.3f} ({low:.3f} to {high:.3f})"),
            ("R²", f"{line.r_squared:.3f}"),
            ("Largest deviation of a level from the line, log10", f"{line.largest_deviation:.3f}"),
            ("Tubes with a level in which nothing was called", str(line.not_measured)),
        ]
    how = {"percentile": "95th percentile", "normal": "mean + 1.645 SD, fewer than 20 blanks", None: "no blanks"}
    facts += [
        ("Limit of blank", f"{_level(limits.lob)} ({limits.blanks} blanks, {how[limits.lob_method]})"),
        ("Limit of detection", f"{_level(limits.lod)} ({limits.low_tubes} low tubes)"),
        ("Limit of quantification", _level(limits.loq)),
    ]
    return {
        "rules": found.rules,
        "facts": facts,
        "judgements": [
            (
                {True: "pass", False: "fail", None: "none"}[one.met],
                {True: "met", False: "not met", None: "not judged"}[one.met],
                one.figure,
                "–" if one.found is None else f"{one.found:.3g}",
                one.limit,
            )
            for one in found.judgements
        ],
        "precision": [
            (
                one.material,
                str(one.tubes),
                _level(one.mean),
                _cv(one.repeatability_cv),
                _cv(one.reproducibility_cv),
                ", ".join(f"{part.source} {_cv(part.cv)}" for part in one.components) or "–",
            )
            for one in found.precision
        ],
        "stability": [(f"{one.hours:g} h", str(one.tubes), f"{one.change_log10:+.3f}") for one in found.stability],
        "carry_over": [(one.high, one.blank, f"{one.share:.2g}") for one in found.carry_over],
    }


def _comparison(found: Comparison) -> dict[str, object]:
    """Agreement with another method in short; its own page has all figures."""
    return {
        "first": found.first,
        "second": found.second,
        "rows": [
            (
                formatting.scientific(call.threshold),
                f"{call.positive_agreement.hits} / {call.positive_agreement.of}",
                f"{call.negative_agreement.hits} / {call.negative_agreement.of}",
                "–" if call.kappa is None else f"{call.kappa:.2f}",
            )
            for call in found.calls
        ],
        "close": f"{found.levels.within_half_log.hits} of {found.levels.within_half_log.of} pairs with two levels "
        "agree within half a log.",
    }


def _range(start: int, end: int | None) -> str:
    return (
        f"{formatting.count(start)} and more"
        if end is None
        else f"{formatting.count(start)} to {formatting.count(end)}"
    )


def _log(level: float) -> float:
    return math.log10(level)


def detection_chart(levels: Sequence[LevelEntry], target: float) -> Chart | None:
    """Share of tubes in which each level was found, with its exact interval, against 95 % and the target."""
    if not levels:
        return None
    x = level_axis("level put into the tube", _LOW)
    y = Axis("share", "tubes in which it was found", tuple((n / 4, f"{25 * n} %") for n in range(5)), 0.0, 1.0)
    at = tuple((_log(row.level), row.hits / row.tubes) for row in levels)
    layers: list[Layer] = [
        Outline(
            ((x.low, POWER), (x.high, POWER)),
            False,
            "95 %",
            mark=Mark("95 %", (x.low + 0.1, POWER - 0.06), "start"),
            role="reference",
        ),
        Outline(
            ((_log(target), 0.0), (_log(target), 1.0)),
            False,
            "target",
            mark=Mark("target", (_log(target) + 0.08, 0.05), "start"),
            role="target",
        ),
    ]
    layers += [Interval(_log(row.level), *row.ci95, "measured", "exact 95 % interval") for row in levels]
    said = tuple(f"{formatting.scientific(row.level)}: {row.hits} of {row.tubes}" for row in levels)
    layers.append(Points("level", "measured", at, said))
    return Chart("detection-chart", "Detection by level", x, y, tuple(layers), size=_SIZE)


def agreement_chart(levels: Sequence[LevelEntry]) -> Chart | None:
    """Mean measured level against the true level of the dilution, with the band of half a log."""
    shown = [row for row in levels if row.mean_measured > 0]
    if not shown:
        return None
    x, y = level_axis("level put into the tube", _LOW), level_axis("mean level measured", _LOW)
    at = tuple((_log(row.level), _log(row.mean_measured)) for row in shown)
    said = tuple(f"{formatting.scientific(row.level)}: {formatting.scientific(row.mean_measured)}" for row in shown)
    layers = (half_log_band(x), equality(x), Points("level", "measured", at, said))
    return Chart("agreement-chart", "Measured against diluted level", x, y, layers, size=_SIZE)


def _drawn(chart: Chart | None) -> Markup | None:
    return None if chart is None else to_svg(chart, css="")

"""The page of a comparison: how well two methods agree that measured the same specimens.

The page shows the figures of :class:`flowmrd.compare.Comparison`. Only positions on paper are computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from flowmrd.compare.agreement import Share
from flowmrd.compare.comparison import Comparison, PairRow
from flowmrd.compare.regression import RegressionLine
from flowmrd.report import formatting
from flowmrd.report.axes import Axis, level_axis
from flowmrd.report.charts.description import Chart, Layer, Outline, Points, Role, equality, half_log_band
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.page import read_asset, render_page

LOW: Final = -7
"""log10 level at the lower end of the axes, where levels that were not detected are drawn."""
_SIZE: Final = (380.0, 306.0)
_FIT: Final[Role] = "fit"
_LIMIT: Final[Role] = "target"
MAX_LISTED: Final = 100
"""Discordant pairs in the table of the page; all are in ``agreement.json``."""


def render(comparison: Comparison, *, links: Mapping[str, str], version: str, language: Language = ENGLISH) -> str:
    """The page as one self-contained HTML text.

    Parameters
    ----------
    links
        Specimen to the page of its tube, where there is one.
    """
    rows = {row.name: row for row in comparison.rows}
    discordant = [(call.threshold, rows[name]) for call in comparison.calls for name in call.discordant]
    return render_page(
        "comparison.html.j2",
        {
            "first": comparison.first,
            "second": comparison.second,
            "version": version,
            "summary": _summary(comparison),
            "call_rows": [
                (
                    formatting.scientific(call.threshold),
                    *(
                        Markup("{}<br>{}").format(*_share(share))
                        for share in (call.positive_agreement, call.negative_agreement, call.overall_agreement)
                    ),
                    "–" if call.kappa is None else f"{call.kappa:.2f}{_interval(call.kappa_ci95)}",
                    str(call.not_comparable),
                )
                for call in comparison.calls
            ],
            "level_rows": _level_rows(comparison),
            "lines": [
                ("Deming", *_line(comparison.deming)),
                ("Passing-Bablok", *_line(comparison.passing_bablok)),
            ],
            "below": comparison.below_limits.statement,
            "without_partner": comparison.without_partner[:MAX_LISTED],
            "discordant": [
                (formatting.scientific(threshold), row.name, links.get(row.name), _level(row, 0), _level(row, 1))
                for threshold, row in discordant[:MAX_LISTED]
            ],
            "more_discordant": max(len(discordant) - MAX_LISTED, 0),
            "scatter": to_svg(scatter_chart(comparison), css=""),
            "differences": None if (apart := differences_chart(comparison)) is None else to_svg(apart, css=""),
        },
        styles=[read_asset("trial.css")],
        language=language,
    )


def _share(share: Share) -> tuple[str, str]:
    if share.ci95 is None:
        return f"{share.hits} / {share.of}", "–"
    low, high = share.ci95
    return f"{share.hits} / {share.of}", f"{100 * share.hits / share.of:.1f} % ({100 * low:.1f}–{100 * high:.1f} %)"


def _interval(interval: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if interval is None else _signed(f" ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})")


def _signed(text: str) -> str:
    """Numbers with the sign that is as wide as a plus."""
    return text.replace("-", "−")


def _summary(comparison: Comparison) -> str:
    close = comparison.levels.within_half_log
    return (
        f"Specimens measured by both methods: {comparison.pairs}; with a level by both: {close.of}; of these within "
        f"half a log: {close.hits}. {comparison.below_limits.statement}"
    )


def _level_rows(comparison: Comparison) -> list[tuple[str, str]]:
    levels, below = comparison.levels, comparison.below_limits
    rows = [
        ("Pairs with two levels", str(levels.pairs)),
        ("Within half a log", " = ".join(_share(levels.within_half_log))),
    ]
    if levels.mean_difference is not None and levels.limits_of_agreement is not None:
        rows += [
            ("R² of log10 levels", "–" if levels.r_squared is None else f"{levels.r_squared:.3f}"),
            (
                "Mean difference, log10 (second less first)",
                _signed(f"{levels.mean_difference:+.3f}") + f"{_interval(levels.mean_difference_ci95, 3)}",
            ),
            ("95 % limits of agreement, log10", _signed("{:+.3f} to {:+.3f}".format(*levels.limits_of_agreement))),
            ("Total deviation index, 90 %, log10", f"{levels.total_deviation_index:.3f}"),
            ("90 % of the observed differences, log10", f"at most {levels.difference_90:.3f}"),
        ]
    rows += [
        ("Not detected by both", str(below.both_not_detected)),
        ("Detected by the first only", str(below.only_first_detected)),
        ("Detected by the second only", str(below.only_second_detected)),
    ]
    if below.second_per_million_where_first_negative is not None:
        median, least, most = below.second_per_million_where_first_negative
        rows.append(
            (
                "Second method where the first found nothing",
                f"median {median:.1f} per million ({least:.1f} to {most:.1f})",
            )
        )
    return rows


def _line(line: RegressionLine | None) -> tuple[str, str]:
    if line is None:
        return "too few pairs", "–"
    return (
        _signed(f"{line.slope:.3f}{_interval(line.slope_ci95, 3)}"),
        _signed(f"{line.intercept:+.3f}") + f"{_interval(line.intercept_ci95, 3)}",
    )


def _level(row: PairRow, which: int) -> str:
    level, limit = ((row.first, row.first_limit), (row.second, row.second_limit))[which]
    if level > 0:
        return formatting.scientific(level)
    return "not detected" if limit is None else f"< {formatting.scientific(limit)}"


def _place(value: float) -> float:
    return min(max(math.log10(value), LOW), 0.0) if value > 0 else float(LOW)


def scatter_chart(comparison: Comparison) -> Chart:
    """Second level against first, with the line of equality and the band of half a log."""
    x = level_axis(formatting.clip(comparison.first, 40), LOW, none="n.d.")
    y = level_axis(formatting.clip(comparison.second, 40), LOW, none="n.d.")
    layers: list[Layer] = [half_log_band(x), equality(x)]
    if comparison.passing_bablok is not None:
        line = comparison.passing_bablok
        ends = tuple((at, line.intercept + line.slope * at) for at in (x.low, x.high))
        layers.append(Outline(ends, False, "Passing-Bablok", role="fit"))
    measured = [row for row in comparison.rows if row.first > 0 and row.second > 0]
    below = [row for row in comparison.rows if row.first == 0.0 or row.second == 0.0]
    layers += [_pairs("both measured", "measured", measured), _pairs("not detected by a method", "below", below)]
    return Chart("scatter-chart", "Second against first", x, y, tuple(layers), size=_SIZE)


def _pairs(name: str, role: Role, rows: Sequence[PairRow]) -> Points:
    at = tuple((_place(row.first), _place(row.second)) for row in rows)
    return Points(name, role, at, tuple(f"{row.name}: {_level(row, 0)}, {_level(row, 1)}" for row in rows))


def differences_chart(comparison: Comparison) -> Chart | None:
    """Bland-Altman plot of log10 levels."""
    levels = comparison.levels
    if levels.mean_difference is None or levels.limits_of_agreement is None:
        return None
    both = [row for row in comparison.rows if row.first > 0 and row.second > 0]
    values = [math.log10(row.second) - math.log10(row.first) for row in both]
    reach = max(1, math.ceil(max(abs(value) for value in (*values, *levels.limits_of_agreement))))
    x = level_axis("mean of both levels", LOW)
    ticks = tuple((float(at), _signed(f"{at:+d}") if at else "0") for at in range(-reach, reach + 1))
    y = Axis("difference", "log10 second less first", ticks, -float(reach), float(reach))
    lines = [
        Outline(((x.low, value), (x.high, value)), False, label, role=role)
        for value, label, role in (
            (levels.mean_difference, "mean difference", _FIT),
            (levels.limits_of_agreement[0], "95 % limit of agreement", _LIMIT),
            (levels.limits_of_agreement[1], "95 % limit of agreement", _LIMIT),
        )
    ]
    at = tuple(((_place(row.first) + _place(row.second)) / 2, value) for row, value in zip(both, values, strict=True))
    said = tuple(f"{row.name}: {_signed(format(value, '+.2f'))}" for row, value in zip(both, values, strict=True))
    layers: tuple[Layer, ...] = (*lines, Points("both measured", "measured", at, said))
    return Chart("differences-chart", "Differences", x, y, layers, size=_SIZE)

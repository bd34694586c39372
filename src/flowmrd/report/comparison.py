"""The page of a comparison: how two methods agree that measured the same specimens.

Shows the figures of :class:`flowmrd.compare.Comparison`; nothing is computed here but positions on paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from markupsafe import Markup

from flowmrd.compare import Comparison
from flowmrd.compare.agreement import Share
from flowmrd.compare.comparison import PairRow
from flowmrd.compare.regression import Line
from flowmrd.report import formatting, svg
from flowmrd.report.page import read_asset, render_page

LOW, HIGH = -7.0, 0.0
"""log10 levels at the ends of the axes; levels that were not detected stand on the lower end."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 444.0, 14.0, 320.0
Ticks = list[tuple[float, str]]
MAX_LISTED: Final = 100
"""Discordant pairs in the table of the page; all are in ``agreement.json``."""


def render(comparison: Comparison, *, links: Mapping[str, str], version: str) -> str:
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
                    " = ".join(_share(call.positive_agreement)),
                    " = ".join(_share(call.negative_agreement)),
                    " = ".join(_share(call.overall_agreement)),
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
            "scatter": _scatter(comparison),
            "differences": _differences(comparison),
        },
        styles=[read_asset("trial.css")],
    )


def _share(share: Share) -> tuple[str, str]:
    if share.ci95 is None:
        return f"{share.hits} / {share.of}", "–"
    low, high = share.ci95
    return f"{share.hits} / {share.of}", f"{100 * share.hits / share.of:.1f} % ({100 * low:.1f}–{100 * high:.1f} %)"


def _interval(interval: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if interval is None else f" ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def _summary(comparison: Comparison) -> str:
    close = comparison.levels.within_half_log
    return (
        f"{comparison.pairs} specimens were measured by both methods. {close.of} have a level by both, and "
        f"{close.hits} of these agree within half a log. {comparison.below_limits.statement}"
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
                f"{levels.mean_difference:+.3f}{_interval(levels.mean_difference_ci95, 3)}",
            ),
            ("95 % limits of agreement, log10", "{:+.3f} to {:+.3f}".format(*levels.limits_of_agreement)),
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


def _line(line: Line | None) -> tuple[str, str]:
    if line is None:
        return "too few pairs", "–"
    return (
        f"{line.slope:.3f}{_interval(line.slope_ci95, 3)}",
        f"{line.intercept:+.3f}{_interval(line.intercept_ci95, 3)}",
    )


def _level(row: PairRow, which: int) -> str:
    level, limit = ((row.first, row.first_limit), (row.second, row.second_limit))[which]
    if level > 0:
        return formatting.scientific(level)
    return "not detected" if limit is None else f"< {formatting.scientific(limit)}"


def _place(value: float) -> float:
    return min(max(math.log10(value), LOW), HIGH) if value > 0 else LOW


def _x(at: float) -> float:
    return _LEFT + (at - LOW) / (HIGH - LOW) * (_RIGHT - _LEFT)


def _frame(
    parts: list[str], y_of: Callable[[float], float], ticks: list[tuple[float, str]], below: str, up: str
) -> None:
    for at, label in ticks:
        parts.append(svg.line(_LEFT, y_of(at), _RIGHT, y_of(at)))
        parts.append(svg.text(_LEFT - 8, y_of(at) + 4, label, anchor="end", css="faint"))
    for power in range(int(LOW), int(HIGH) + 1):
        label = "n.d." if power == LOW else "1" if power == 0 else "10" + formatting.superscript(power)
        parts.append(svg.line(_x(power), _BOTTOM, _x(power), _BOTTOM + 5, stroke="var(--ink)"))
        parts.append(svg.text(_x(power), _BOTTOM + 20, label, anchor="middle", css="faint"))
    parts.append(svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 40, below, anchor="middle", css="faint"))
    parts.append(svg.turned(14, (_TOP + _BOTTOM) / 2, -90, svg.text(0, 0, up, anchor="middle", css="faint")))


def _dot(x: float, y: float, *, hollow: bool) -> str:
    fill = "var(--paper)" if hollow else "var(--gate)"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="var(--gate)"/>'


def _scatter(comparison: Comparison) -> Markup:
    """Second level against first, with the line of equality and the band of half a log."""

    def up(at: float) -> float:
        return _BOTTOM - (at - LOW) / (HIGH - LOW) * (_BOTTOM - _TOP)

    parts: list[str] = []
    ticks = [
        (float(power), "n.d." if power == LOW else "1" if power == 0 else "10" + formatting.superscript(power))
        for power in range(int(LOW), int(HIGH) + 1)
    ]
    _frame(parts, up, ticks, formatting.clip(comparison.first, 40), formatting.clip(comparison.second, 40))
    band = [(LOW, LOW + 0.5), (HIGH - 0.5, HIGH), (HIGH, HIGH), (HIGH, HIGH - 0.5), (LOW + 0.5, LOW), (LOW, LOW)]
    path = "L".join(f"{_x(x):.1f} {up(y):.1f}" for x, y in band)
    parts.insert(0, f'<path d="M{path}z" fill="var(--pass-wash)"/>')
    parts.append(svg.line(_x(LOW), up(LOW), _x(HIGH), up(HIGH), stroke="var(--soft)", dash="5 3"))
    if comparison.passing_bablok is not None:
        line = comparison.passing_bablok
        ends = [(at, line.intercept + line.slope * at) for at in (LOW, HIGH)]
        shown = [(x, min(max(y, LOW), HIGH)) for x, y in ends]
        parts.append(svg.line(_x(shown[0][0]), up(shown[0][1]), _x(shown[1][0]), up(shown[1][1]), stroke="var(--mrd)"))
    for row in comparison.rows:
        hollow = row.first == 0.0 or row.second == 0.0
        parts.append(_dot(_x(_place(row.first)), up(_place(row.second)), hollow=hollow))
    return svg.drawing(_RIGHT + 16, _BOTTOM + 50, parts)


def _differences(comparison: Comparison) -> Markup | None:
    """Bland-Altman plot of log10 levels."""
    levels = comparison.levels
    if levels.mean_difference is None or levels.limits_of_agreement is None:
        return None
    both = [row for row in comparison.rows if row.first > 0 and row.second > 0]
    values = [math.log10(row.second) - math.log10(row.first) for row in both]
    reach = max(1.0, math.ceil(max(abs(value) for value in (*values, *levels.limits_of_agreement))))

    def up(at: float) -> float:
        return (_TOP + _BOTTOM) / 2 - at / reach * (_BOTTOM - _TOP) / 2

    parts: list[str] = []
    ticks = [(float(at), f"{at:+d}" if at else "0") for at in range(-int(reach), int(reach) + 1)]
    _frame(parts, up, ticks, "mean of both levels", "log10 second less first")
    parts.append(svg.line(_LEFT, up(levels.mean_difference), _RIGHT, up(levels.mean_difference), stroke="var(--mrd)"))
    for limit in levels.limits_of_agreement:
        parts.append(svg.line(_LEFT, up(limit), _RIGHT, up(limit), stroke="var(--mrd)", dash="5 3"))
    for row, value in zip(both, values, strict=True):
        parts.append(_dot(_x((_place(row.first) + _place(row.second)) / 2), up(value), hollow=False))
    return svg.drawing(_RIGHT + 16, _BOTTOM + 50, parts)

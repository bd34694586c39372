"""Drawings of the trial page as inline SVG: survival curves, swimmer, waterfall, patient flow.

Every drawing has the same numbers in a table beside it; colour never carries a meaning alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowmrd.report import svg
from flowmrd.trial.result import DAYS_PER_MONTH, Endpoint, FlowStep, PatientLine

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH = 720.0
LEFT, RIGHT = 64.0, 700.0


def _path(points: Sequence[tuple[float, float]], style: str) -> str:
    steps = " ".join(f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return f'<path d="{steps}" {style}/>'


def curve_figure(endpoint: Endpoint, *, rising: bool = False) -> Markup:
    """Step curve with its pointwise interval, censoring ticks and the numbers at risk.

    Parameters
    ----------
    rising
        A cumulative incidence, which starts at 0, instead of a survival curve, which starts at 1.
    """
    top, bottom, left, right = 14.0, 234.0, 74.0, 506.0
    steps = endpoint.curve.steps
    last = steps[-1].time if steps else 0
    scale = (right - left) / max(1.0, last / DAYS_PER_MONTH)

    def x(days: float) -> float:
        return left + days / DAYS_PER_MONTH * scale

    def y(value: float) -> float:
        return bottom - value * (bottom - top)

    parts = []
    for tenth in range(0, 11, 2):
        parts.append(svg.line(left, y(tenth / 10), right, y(tenth / 10)))
        parts.append(svg.text(left - 8, y(tenth / 10) + 4, f"{tenth * 10} %", anchor="end", css="faint"))
    initial = 0.0 if rising else 1.0
    line, low, high = [(x(0), y(initial))], [], []
    value, band = initial, None
    for step in steps:
        at = x(step.time)
        line.append((at, y(value)))
        if band is not None:
            low.append((at, y(band[0])))
            high.append((at, y(band[1])))
        value, band = step.value, step.ci95
        line.append((at, y(value)))
        if band is not None:
            low.append((at, y(band[0])))
            high.append((at, y(band[1])))
    if low:
        parts.append(_path([*high, *reversed(low)], 'fill="var(--accent)" fill-opacity="0.13" stroke="none"'))
    parts.append(_path(line, 'fill="none" stroke="var(--accent)" stroke-width="2.2"'))
    for step in steps:
        if step.censored:
            parts.append(
                svg.line(x(step.time), y(step.value) - 6, x(step.time), y(step.value) + 6, stroke="var(--ink)")
            )
    parts.append(svg.line(left, bottom, right, bottom, stroke="var(--ink)"))
    parts.append(svg.text(left - 20, bottom + 58, "At risk", anchor="end", css="faint"))
    for month, patients in zip(endpoint.risk_months, endpoint.risk_patients, strict=True):
        at = left + month * scale
        parts.append(svg.line(at, bottom, at, bottom + 5, stroke="var(--ink)"))
        parts.append(svg.text(at, bottom + 20, month, anchor="middle"))
        parts.append(svg.text(at, bottom + 58, patients, anchor="middle"))
    parts.append(
        svg.text((left + right) / 2, bottom + 38, f"months since {endpoint.origin}", anchor="middle", css="faint")
    )
    return svg.drawing(520, bottom + 68, parts)


def swimmer_figure(patients: Sequence[PatientLine]) -> Markup:
    """One bar a patient from enrolment to last contact, longest first, with the events written as letters."""
    row, top = 25.0, 12.0
    ordered = sorted(patients, key=lambda line: (-line.last_contact_day, line.patient))
    left = 120.0
    end = max(1.0, max((line.last_contact_day for line in ordered), default=0) / DAYS_PER_MONTH)
    scale = (RIGHT - 50 - left) / end  # room for the word at the end of the longest bar

    def x(days: float) -> float:
        return left + days / DAYS_PER_MONTH * scale

    parts = []
    for number, line in enumerate(ordered):
        y = top + number * row
        name = line.patient if len(line.patient) <= 14 else line.patient[:13] + "…"
        parts.append(svg.text(left - 10, y + 13, name, anchor="end"))
        width = max(x(line.last_contact_day) - left, 1.0)
        parts.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="16" fill="var(--wash)" '
            'stroke="var(--line)"/>'
        )
        remission_end = min(day for day in (line.relapse_day, line.death_day, line.last_contact_day) if day is not None)
        if line.response in ("CR", "CRi") and line.response_day is not None:
            start = x(line.response_day)
            parts.append(
                f'<rect x="{start:.1f}" y="{y:.1f}" width="{max(x(remission_end) - start, 1.0):.1f}" height="16" '
                'fill="var(--pass)" fill-opacity="0.35"/>'
            )
        taken = left
        if line.response_day is not None:
            mrd = {"negative": "MRD−", "positive": "MRD+"}.get(line.mrd.status, "MRD?")
            label = f"{line.response} {mrd}"
            parts.append(svg.text(x(line.response_day) + 2, y + 12, label, size=11))
            taken = x(line.response_day) + 2 + 7.2 * len(label)
        later = ((line.progression_day, "P"), (line.relapse_day, "R"), (line.transplant_day, "T"))
        for day, letter in sorted((day, letter) for day, letter in later if day is not None):
            parts.append(svg.line(x(day), y - 2, x(day), y + 18, stroke="var(--ink)", width=1.6))
            at = max(x(day) + 3, taken)
            parts.append(svg.text(at, y + 12, letter, size=11, css="strong"))
            taken = at + 12
        ending = "† died" if line.death_day is not None else "→"
        parts.append(svg.text(x(line.last_contact_day) + 5, y + 12, ending, size=11))
    base = top + len(ordered) * row
    step = max(1, math.ceil(end / 8))
    for month in range(0, int(end) + 1, step):
        parts.append(svg.line(left + month * scale, base, left + month * scale, base + 5, stroke="var(--ink)"))
        parts.append(svg.text(left + month * scale, base + 19, month, anchor="middle"))
    parts.append(svg.line(left, base, RIGHT, base, stroke="var(--ink)"))
    parts.append(svg.text((left + RIGHT) / 2, base + 38, "months since enrolment", anchor="middle", css="faint"))
    return svg.drawing(WIDTH, base + 46, parts)


def blast_change(line: PatientLine) -> float | None:
    """Change of the marrow blasts from before treatment, in percent; None where either is unknown."""
    if not line.blasts_before_percent or line.blasts_after_percent is None:
        return None
    return 100 * (line.blasts_after_percent - line.blasts_before_percent) / line.blasts_before_percent


def waterfall_figure(patients: Sequence[PatientLine]) -> Markup:
    """Change of marrow blasts from before treatment, worst first; a rise beyond 100 % is cut and written."""
    known = [(change, line) for line in patients if (change := blast_change(line)) is not None]
    ordered = sorted(known, key=lambda item: (-item[0], item[1].patient))
    top, zero, bottom = 16.0, 76.0, 256.0
    parts = [
        '<defs><pattern id="other" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="7" height="7" fill="var(--warn-wash)"/><path d="M0 0v7" stroke="var(--warn)" stroke-width="2.4"/>'
        "</pattern></defs>"
    ]
    for percent in (100, 50, 0, -50, -100):
        y = zero - percent * (bottom - zero) / 100 if percent < 0 else zero - percent * (zero - top) / 100
        parts.append(svg.line(LEFT, y, RIGHT, y, stroke="var(--ink)" if percent == 0 else "var(--line)"))
        label = f"{percent:+d} %".replace("-", "−") if percent else "0 %"
        parts.append(svg.text(LEFT - 8, y + 4, label, anchor="end", css="faint"))
    slot = (RIGHT - LEFT) / max(len(ordered), 1)
    for number, (change, line) in enumerate(ordered):
        at = LEFT + (number + 0.12) * slot
        shown = min(change, 100.0)
        end = zero - shown * ((bottom - zero) if shown < 0 else (zero - top)) / 100
        fill = "var(--pass)" if line.response in ("CR", "CRi") else "url(#other)"
        parts.append(
            f'<rect x="{at:.1f}" y="{min(zero, end):.1f}" width="{slot * 0.76:.1f}" '
            f'height="{max(abs(end - zero), 1.0):.1f}" fill="{fill}" fill-opacity="0.75"/>'
        )
        middle = at + slot * 0.38
        parts.append(svg.text(middle, bottom + 16, line.response, anchor="middle", size=11))
        if len(ordered) <= 30:
            parts.append(svg.text(middle, bottom + 31, line.patient[:7], anchor="middle", css="faint", size=10.5))
    return svg.drawing(WIDTH, bottom + 40, parts)


def flow_figure(flow: Sequence[FlowStep]) -> Markup:
    """Boxes from enrolment to MRD negative remission, with those lost at each step beside them."""
    height, gap, width = 44.0, 46.0, 300.0
    parts = []
    for number, step in enumerate(flow):
        y = 4 + number * (height + gap)
        parts.append(
            f'<rect x="20" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" fill="var(--wash)" '
            'stroke="var(--soft)"/>'
        )
        middle = 20 + width / 2
        parts.append(svg.text(middle, y + 19, step.title, anchor="middle"))
        parts.append(svg.text(middle, y + 36, f"n = {step.patients}", anchor="middle"))
        if number:
            parts.append(svg.line(middle, y - gap, middle, y, stroke="var(--soft)", width=1.5))
        for place, reason in enumerate(step.lost[:3]):
            text = reason if len(reason) <= 62 else reason[:61] + "…"
            if place == 2 and len(step.lost) > 3:
                text = f"and {len(step.lost) - 2} further reasons, see the table"
            parts.append(svg.line(middle, y - gap / 2, 340, y - gap / 2, stroke="var(--soft)"))
            parts.append(svg.text(346, y - gap / 2 + 4 + place * 14, text, css="faint", size=11.5))
    return svg.drawing(WIDTH, max(len(flow), 1) * (height + gap) - gap + 8, parts)

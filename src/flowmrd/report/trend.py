"""The patient's visits: MRD with its interval and the limit of detection, visit by visit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from flowmrd.report import formatting, svg, verdict
from flowmrd.report.inputs import Visit


def trend_rows(history: Sequence[Visit], current: str) -> list[Mapping[str, Any]]:
    """Table beside the figure."""
    rows: list[Mapping[str, Any]] = []
    for visit in history:
        result = visit.result
        tone, short = verdict.short(result)
        rows.append(
            {
                "sample": result.sample,
                "timepoint": result.timepoint or result.role,
                "current": result.sample == current,
                "tone": tone,
                "short": short,
                "level": verdict.level(result),
                "interval": verdict.span(result.mrd.ci95),
                "lod": formatting.level(result.sensitivity.lod95),
            }
        )
    return rows


def trend_figure(history: Sequence[Visit], target: float) -> Markup:
    """MRD on a log axis; hollow diamonds where fewer events than detectable were found, bars for the intervals."""
    width, height, left, right, top, bottom = 560.0, 220.0, 62.0, 16.0, 14.0, 44.0
    low, high = -6.0, 0.0
    step = (width - left - right) / max(1, len(history))

    def y(value: float) -> float:
        level = (min(max(math.log10(max(value, 1e-12)), low), high) - low) / (high - low)
        return height - bottom - level * (height - top - bottom)

    parts = []
    for power in range(int(low), int(high) + 1):
        at = y(10.0**power)
        parts.append(svg.line(left, at, width - right, at))
        parts.append(svg.text(left - 8, at + 4, formatting.percent(10.0**power, 1), anchor="end", css="faint", size=11))
    parts.append(svg.line(left, y(target), width - right, y(target), stroke="var(--ink)", width=1.4, dash="5 3"))
    places = []
    for index, visit in enumerate(history):
        result = visit.result
        x = left + (index + 0.5) * step
        label = formatting.clip(result.timepoint or result.role, 16)
        parts.append(svg.text(x, height - bottom + 18, label, anchor="middle", size=11.5))
        parts.append(
            svg.text(
                x, height - bottom + 34, formatting.clip(result.sample, 18), anchor="middle", css="faint", size=10.5
            )
        )
        if result.sensitivity.lod95:
            lod = y(result.sensitivity.lod95)
            parts.append(svg.line(x - 16, lod, x + 16, lod, stroke="var(--gate)", width=2.4))
        if result.mrd.fraction is None or result.mrd.ci95 is None:
            parts.append(svg.text(x, height - bottom - 8, "no result", anchor="middle", css="faint", size=11))
            continue
        parts.append(svg.line(x, y(result.mrd.ci95[0]), x, y(result.mrd.ci95[1]), stroke="var(--mrd)", width=2.5))
        places.append((x, y(result.mrd.fraction), result.mrd.detected))
    if len(places) > 1:
        path = "M" + "L".join(f"{x:.1f} {at:.1f}" for x, at, _ in places)
        parts.append(f'<path d="{path}" fill="none" stroke="var(--dens)" stroke-width="1.2"/>')
    for x, at, detected in places:
        fill = "var(--mrd)" if detected else "var(--paper)"
        parts.append(
            f'<path d="M{x:.1f} {at - 7:.1f}l7 7l-7 7l-7 -7z" fill="{fill}" stroke="var(--mrd)" stroke-width="1.6"/>'
        )
    return svg.drawing(width, height, parts, css="trend")

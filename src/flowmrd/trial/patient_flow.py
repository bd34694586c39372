"""The flow of patients as inline SVG; it has boxes and arrows but no axes, so it is not a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowmrd.report import svg
from flowmrd.trial.result import FlowStep

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["flow_figure"]

WIDTH = 720.0


def flow_figure(flow: Sequence[FlowStep]) -> Markup:
    """Boxes from enrolment to MRD-negative remission, with the patients lost at each step beside them."""
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

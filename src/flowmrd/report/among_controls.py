"""One tube among the control tubes: channel medians in SD of the controls, Levey-Jennings charts, voltages.

The controls' own sequence is judged by Westgard's rules (:mod:`flowmrd.report.levey_jennings`). A patient's marrow is
not a control: beyond 3 SD it is named, but it breaks no rule, because its composition differs too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from flowmrd.records.quality import QualityFile
from flowmrd.report import formatting, svg
from flowmrd.report.batch import BatchTube, channel_charts, in_order, voltage_changes
from flowmrd.report.inputs import Inputs
from flowmrd.report.levey_jennings import MIN_CONTROLS, RULES
from flowmrd.report.report_file import AmongControlsRow, BrokenRow

BEYOND = 3.0


@dataclass(frozen=True)
class AmongControls:
    """The two cards.

    Attributes
    ----------
    charts
        As of :func:`flowmrd.report.batch.channel_charts`.
    order
        What the order of the tubes rests on.
    voltages
        Channel, usual voltage, other voltages; None without controls.
    """

    rows: tuple[AmongControlsRow, ...]
    figure: Markup | None
    summary: str
    charts: Sequence[Mapping[str, Any]]
    order: str
    rules: Mapping[str, str]
    findings: list[str]
    voltages: list[tuple[str, str, str]] | None


def build(inputs: Inputs) -> AmongControls:
    """Context of the two cards: this tube against the controls, and the controls over time."""
    sample = inputs.result.sample
    tubes = [_tube(facts, inputs.panel.name) for facts in inputs.controls_qc if facts.sample != sample]
    n_controls = len(tubes)
    if inputs.qc is not None:
        tubes.append(_tube(inputs.qc, inputs.panel.name, role="control" if inputs.result.role == "control" else ""))
    ordered, source = in_order(tubes)
    charts = channel_charts(ordered, this=sample, locked=inputs.control_limits)
    rows = tuple(
        AmongControlsRow(
            channel=entry["channel"],
            z=entry["this"],
            mean=entry["mean"],
            sd=entry["sd"],
            controls=entry["controls"],
            beyond=abs(entry["this"]) > BEYOND,
            broken=tuple(BrokenRow(sample=name, rules=tuple(rules)) for name, rules in entry["broken"]),
        )
        for entry in charts
        if entry["this"] is not None
    )
    voltages = [
        (row["channel"], row["usual"], row["other"]) for row in voltage_changes(ordered) if sample in row["samples"]
    ]
    return AmongControls(
        rows=rows,
        figure=_figure(rows),
        summary=_summary(rows, n_controls),
        charts=charts,
        order=source,
        rules=RULES,
        findings=[
            f"{entry['channel']}: {name} breaks {', '.join(rules)}"
            for entry in charts
            for name, rules in entry["broken"]
        ],
        voltages=voltages if n_controls else None,
    )


def _tube(facts: QualityFile, panel: str, role: str = "control") -> BatchTube:
    return BatchTube(
        sample=facts.sample,
        patient="",
        role=role,
        panel=panel,
        result=None,
        qc=facts,
        acquisition=facts.acquisition,
    )


def _summary(rows: Sequence[AmongControlsRow], n_controls: int) -> str:
    """The figure in one sentence."""
    if not rows:
        return (
            f"Not available: limits need at least {MIN_CONTROLS} control tubes, {n_controls} are at hand."
            if n_controls < MIN_CONTROLS + 1
            else "Not available: no channel medians were recorded."
        )
    out = [row.channel for row in rows if row.beyond]
    found = f"Beyond 3 SD: {', '.join(out)}." if out else "No channel lies beyond 3 SD."
    return (
        f"{found} Medians of single cells against {rows[0].controls} control tubes; a marrow after therapy differs "
        "in composition too."
    )


def _figure(rows: Sequence[AmongControlsRow]) -> Markup | None:
    if not rows:
        return None
    width, left, gap = 560.0, 84.0, 21.0
    reach = (width - left - 24) / 2
    middle, scale = left + reach, reach / 6
    height = 26 + len(rows) * gap + 18
    parts = [svg.rect(middle - 2 * scale, 20, 4 * scale, height - 40, "var(--pass-wash)")]
    for z in (-6, -3, 0, 3, 6):
        parts.append(svg.line(middle + z * scale, 20, middle + z * scale, height - 20, stroke="var(--line)"))
        label = "mean" if z == 0 else f"{z:+d} SD".replace("-", "−")
        parts.append(svg.text(middle + z * scale, height - 5, label, anchor="middle", css="faint", size=11))
    for index, row in enumerate(rows):
        y = 34 + index * gap
        across = max(-6.0, min(6.0, row.z))
        parts.append(svg.text(left - 8, y + 4, formatting.clip(row.channel, 12), anchor="end", size=11.5))
        x = middle + across * scale
        colour = "var(--fail)" if row.beyond else "var(--gate)"
        shape = (
            f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"
            if row.beyond
            else f"M{x - 5:.1f} {y:.1f}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0"
        )
        parts.append(svg.line(middle, y, x, y, stroke=colour, width=1.5))
        parts.append(f'<path d="{shape}" fill="{colour}"/>')
        if abs(row.z) > 6:
            side = "end" if row.z > 0 else "start"
            at = x - 10 if row.z > 0 else x + 10
            parts.append(
                svg.text(at, y + 4, f"{row.z:+.0f}".replace("-", "−"), anchor=side, css="faint halo", size=10.5)
            )
    return svg.drawing(width, height, parts)

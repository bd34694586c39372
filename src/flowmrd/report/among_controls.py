"""One tube among the control tubes: channel medians in SD of the controls, Levey-Jennings charts, voltages.

The controls' own sequence is judged by Westgard's rules (:mod:`flowmrd.report.levey_jennings`). The rules do not apply
to a patient's marrow, because its composition differs too. A channel beyond 3 SD is only reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from flowmrd.records.quality import QualityFile
from flowmrd.report import formatting
from flowmrd.report.axes import Axis
from flowmrd.report.batch import BatchTube, ChannelChart, channel_charts, in_order, voltage_changes
from flowmrd.report.charts.description import Bar, Chart, Label, Layer, Outline, Points, Room, row_axis
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.levey_jennings import MIN_CONTROLS, RULES
from flowmrd.report.page_inputs import PageInputs
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
        Basis of the order of the tubes: time of acquisition or the sample sheet.
    voltages
        Channel, usual voltage, other voltages; None without controls.
    """

    rows: tuple[AmongControlsRow, ...]
    figure: Markup | None
    summary: str
    charts: Sequence[ChannelChart]
    order: str
    rules: Mapping[str, str]
    findings: list[str]
    voltages: list[tuple[str, str, str]] | None


def build(inputs: PageInputs) -> AmongControls:
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
            channel=entry.channel,
            z=entry.this,
            mean=entry.mean,
            sd=entry.sd,
            controls=entry.controls,
            beyond=abs(entry.this) > BEYOND,
            broken=tuple(BrokenRow(sample=name, rules=rules) for name, rules in entry.broken),
        )
        for entry in charts
        if entry.this is not None
    )
    voltages = [(row.channel, row.usual, row.other) for row in voltage_changes(ordered) if sample in row.samples]
    return AmongControls(
        rows=rows,
        figure=to_svg(control_chart(rows), css="") if rows else None,
        summary=_summary(rows, n_controls),
        charts=charts,
        order=source,
        rules=RULES,
        findings=[
            f"{entry.channel}: {name} breaks {', '.join(rules)}" for entry in charts for name, rules in entry.broken
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
    """The chart in one sentence."""
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


def control_chart(rows: Sequence[AmongControlsRow]) -> Chart:
    """Distance of each channel's median from the mean of the controls, in standard deviations; one row per channel."""
    n = len(rows)
    ends = (-6.0, 6.0)
    axis = Axis("z", "", tuple((z, f"{z:+d} SD".replace("-", "−") if z else "mean") for z in (-6, -3, 0, 3, 6)), *ends)
    layers: list[Layer] = [Bar((-2.0, 2.0), (0.0, float(n)), "expected")]
    layers += [Outline(((at, 0.0), (at, float(n))), False, role="grid") for at, _ in axis.ticks]
    for index, row in enumerate(rows):
        at, role = (max(-6.0, min(6.0, row.z)), n - index - 0.5), "beyond" if row.beyond else "measured"
        layers.append(Outline(((0.0, at[1]), at), False, role="beyond" if row.beyond else "rate"))
        layers.append(Points(row.channel, role, (at,)))  # type: ignore[arg-type]
        if abs(row.z) > 6:
            side, away = ("end", -10.0) if row.z > 0 else ("start", 10.0)
            number = f"{row.z:+.0f}".replace("-", "−")
            layers.append(Label(number, at, side, (away, 0.0), "faint halo", 10.5))  # type: ignore[arg-type]
    names = [formatting.clip(row.channel, 12) for row in rows]
    return Chart(
        "among-controls", "Among the controls", axis, row_axis(names), tuple(layers),
        size=(452.0, 21.0 * n), room=Room(84.0, 20.0, 24.0, 24.0),
    )  # fmt: skip

"""The quality section: masked events and reasons, stability, compensation, instrument, place among the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final

from markupsafe import Markup

from flowmrd.flags import kind_of
from flowmrd.records.quality import AttritionEntry, CompensationEntry, QualityFile, ResidualEntry, TimeEntry
from flowmrd.report import formatting
from flowmrd.report.axes import Axis
from flowmrd.report.carry_over import Arrival, arrival
from flowmrd.report.charts.description import (
    Bar,
    Chart,
    Label,
    Layer,
    Outline,
    Points,
    Role,
    Room,
    row_axis,
)
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.page_tube import PageTube
from flowmrd.report.report_file import ArrivalRow, QualityNumbers, ResidualRow, StretchRow

STEP_WORDS = {
    "acquired": "Acquired",
    "nonfinite": "NaN or infinite value",
    "margin": "At the edge of the scatter range",
    "time": "Unstable stretch of the run",
    "dead": "Dead, by dye",
    "doublet": "Doublets",
    "debris": "Debris",
}
CST_MAX_DAYS = 31
"""A set-up older than this at acquisition is reported (a default, since laboratories run the set-up daily)."""


@dataclass(frozen=True)
class ShownFlag:
    """One flag of ``qc.json`` with its severity."""

    code: str
    tone: str
    message: str


@dataclass(frozen=True)
class AttritionRow:
    """One step that events are lost at; ``share`` is that of the acquired events which are left after it."""

    step: str
    masked: int
    removed: int
    remaining: int
    share: float | None


@dataclass(frozen=True)
class QualityView:
    """The quality section; where there is no ``qc.json``, ``missing`` says so and the rest is empty.

    Attributes
    ----------
    codes
        Codes of the flags that a reviewer must see.
    time_figure, matrix
        None where there is nothing to draw.
    residuals
        Pairs beyond the tolerance, the largest first; at most :data:`MOST_PAIRS`.
    pairs, undecided
        Number of pairs of channels, and of those that could not be judged.
    instrument
        Facts about the cytometer by name.
    cst
        Tone and words of the set-up status.
    reader
        What the second reader of the file found.
    numbers
        What ``report.json`` holds of the section.
    """

    missing: str | None = None
    flags: tuple[ShownFlag, ...] = ()
    codes: tuple[str, ...] = ()
    attrition: tuple[AttritionRow, ...] = ()
    attrition_figure: Markup | None = None
    time_figure: Markup | None = None
    time_summary: str = ""
    arrival: Arrival | None = None
    compensation: CompensationEntry | None = None
    residuals: tuple[ResidualEntry, ...] = ()
    pairs: int = 0
    undecided: int = 0
    matrix: Markup | None = None
    record: QualityFile | None = None
    instrument: tuple[tuple[str, str], ...] = ()
    cst: tuple[str, str] = ("none", "")
    reader: str = ""
    numbers: QualityNumbers | None = None


MOST_PAIRS: Final = 8
"""Pairs with residual compensation that are listed."""


def build(inputs: PageInputs, tube: PageTube) -> QualityView:
    """Everything that the quality section shows."""
    qc = inputs.qc
    if qc is None:
        return QualityView("qc.json was not found for this sample, so nothing can be said about its quality.")
    residuals = qc.compensation.residuals
    beyond = sorted(
        (pair for pair in residuals if pair.state in {"over", "under"}), key=lambda pair: -abs(pair.ratio or 0.0)
    )
    came = arrival(tube)
    steps = _attrition_rows(qc.attrition, dyes=bool(qc.dyes))
    run, left = time_chart(qc.time, came), matrix_chart(qc.compensation)
    return QualityView(
        flags=tuple(ShownFlag(flag.code, kind_of(flag.code).tone, flag.message) for flag in qc.flags),
        codes=tuple(flag.code for flag in qc.flags if kind_of(flag.code).tone != "info"),
        attrition=steps,
        attrition_figure=to_svg(attrition_chart(steps), css=""),
        time_figure=None if run is None else to_svg(run, css=""),
        time_summary=_time_summary(qc.time),
        arrival=came,
        compensation=qc.compensation,
        residuals=tuple(beyond[:MOST_PAIRS]),
        pairs=len(residuals),
        undecided=sum(pair.state == "undecided" for pair in residuals),
        matrix=None if left is None else to_svg(left, css="matrix"),
        record=qc,
        instrument=tuple(sorted(qc.instrument.items())),
        cst=cst_status(inputs),
        reader=_reader(inputs),
        numbers=_numbers(qc, came),
    )


def _numbers(qc: QualityFile, came: Arrival) -> QualityNumbers:
    """The section's numbers for ``report.json``."""
    return QualityNumbers(
        flags=qc.flags,
        attrition=qc.attrition,
        analysable=qc.analysable,
        residuals=tuple(
            ResidualRow(**{key: getattr(pair, key) for key in ResidualRow.model_fields})
            for pair in qc.compensation.residuals
        ),
        condition=qc.compensation.condition,
        time=tuple(
            StretchRow(**{key: getattr(entry, key) for key in StretchRow.model_fields}) for entry in qc.time.bins
        ),
        drift=qc.time.drift,
        mrd_cells_over_the_run=ArrivalRow(**asdict(came), uneven=came.uneven),
    )


def cst_status(inputs: PageInputs) -> tuple[str, str]:
    """Tone and words of the cytometer set-up (``CST SETUP STATUS`` of BD headers) and its age at acquisition."""
    facts = (inputs.qc.instrument if inputs.qc is not None else {}) | (
        inputs.ingest.keywords if inputs.ingest is not None else {}
    )
    status = next((str(facts[key]) for key in sorted(facts) if "CST" in key.upper() and "STATUS" in key.upper()), None)
    if status is None:
        return "none", "the file's header holds no bead or set-up status"
    tone = "pass" if status.strip().upper() == "SUCCESS" else "fail" if "FAIL" in status.upper() else "warn"
    made = next((str(facts[key]) for key in ("CST SETUP DATE", "CST BASELINE DATE") if key in facts), None)
    acquired = inputs.ingest.acquisition.date if inputs.ingest is not None else None
    if not made or not acquired:
        return tone, f"{status}; age of the set-up not known"
    try:
        days = (date.fromisoformat(str(acquired)) - date.fromisoformat(made)).days
    except ValueError:
        return tone, f"{status}; age of the set-up not known"
    old = days > CST_MAX_DAYS or days < 0
    return ("warn" if old and tone == "pass" else tone), f"{status}; set up {days} days before acquisition"


def _attrition_rows(steps: Sequence[AttritionEntry], *, dyes: bool) -> tuple[AttritionRow, ...]:
    """Rows of the figure and the table; a step that needs a dye which the tube lacks is marked."""
    acquired = steps[0].remaining if steps else 0
    return tuple(
        AttritionRow(
            step=STEP_WORDS.get(entry.step, entry.step) + (" (no dye)" if not dyes and entry.step == "dead" else ""),
            masked=entry.masked,
            removed=entry.removed,
            remaining=entry.remaining,
            share=entry.remaining / acquired if acquired else None,
        )
        for entry in steps
    )


def attrition_chart(rows: Sequence[AttritionRow]) -> Chart:
    """Shares of the acquired events that each step left and removed; one row per step."""
    n, across = len(rows), 236.0
    layers: list[Layer] = []
    for index, row in enumerate(rows):
        share = row.share or 0.0
        lost = row.removed / max(1, row.remaining / share if share else 1)
        middle = n - index - 0.5
        edges = (middle - 0.385, middle + 0.385)
        layers.append(Bar((0.0, share), edges, "remaining", 0.55, text=f"{row.step}: {row.remaining} left"))
        if lost > 0:
            end = share + max(1.5 / across, lost)
            layers.append(Bar((share, end), edges, "lost", 0.8, text=f"{row.step}: {row.removed} removed"))
        left = formatting.count(row.remaining)
        layers.append(Label(left, (1.0, middle), "end", (72.0, 0.0), size=11.5))
        percent = formatting.percent(row.share, 3)
        layers.append(Label(percent, (1.0, middle), "end", (126.0, 0.0), "faint", 11.0))
    return Chart(
        "attrition", "Events left after each step", Axis("share", "", (), 0.0, 1.0),
        row_axis([formatting.clip(row.step, 34) for row in rows]), tuple(layers),
        size=(across, 26.0 * n), room=Room(236.0, 3.0, 128.0, 9.0),
    )  # fmt: skip


_RATE, _SIGNAL, _ARRIVAL = (0.61, 0.94), (0.155, 0.535), 0.06
"""Lanes of the stability chart, as shares of its height: flow rate, signal, MRD cells."""


def time_chart(time: TimeEntry, came: Arrival) -> Chart | None:
    """Flow rate, distance of the signal from its usual level, MRD cells; masked stretches are hatched."""
    bins = time.bins
    if not bins:
        return None
    end = float(len(bins))
    rates = [entry.rate for entry in bins]
    top_rate = max((rate for rate in rates if rate is not None), default=0.0)
    top_score = max([time.limit * 1.6, *(min(entry.score, 4 * time.limit) for entry in bins)])

    def rate_at(rate: float) -> float:
        return _RATE[0] + (_RATE[1] - _RATE[0]) * rate / top_rate

    def score_at(score: float) -> float:
        return _SIGNAL[0] + (_SIGNAL[1] - _SIGNAL[0]) * min(score, top_score) / top_score

    def beside(text: str, at: float, css: str = "", size: float = 11.5) -> Label:
        return Label(text, (0.0, at), "end", (-8.0, 0.0), css, size)

    layers: list[Layer] = [
        Bar((float(index), index + 1.0), (_SIGNAL[0], 0.97), "masked", hatched=True, text="masked")
        for index, entry in enumerate(bins)
        if entry.bad
    ]
    if top_rate > 0:
        line = tuple((index + 0.5, rate_at(rate)) for index, rate in enumerate(rates) if rate is not None)
        layers += [
            Outline(line, False, "flow rate", role="rate"),
            beside(f"{formatting.number(top_rate, 2)}/s", 0.92, "faint", 11.0),
            beside("0", _RATE[0], "faint", 11.0),
        ]
    else:
        layers.append(Label("no time channel: flow rate unknown", (0.0, 0.78), "start", (6.0, 0.0), "faint"))
    layers += [
        beside("flow rate", 0.77),
        Outline(((0.0, _RATE[0]), (end, _RATE[0])), False, role="base"),
        Outline(((0.0, score_at(time.limit)), (end, score_at(time.limit))), False, "limit", role="disturbed"),
        beside(f"limit {formatting.number(time.limit)}", score_at(time.limit), "faint", 11.0),
        Outline(
            tuple((i + 0.5, score_at(entry.score)) for i, entry in enumerate(bins)), False, "signal", role="signal"
        ),
        beside("signal", 0.195),
        Outline(((0.0, _SIGNAL[0]), (end, _SIGNAL[0])), False, role="base"),
        beside("MRD cells", _ARRIVAL),
        Points("MRD cells", "arrival", tuple((place * end, _ARRIVAL) for place in came.places))
        if came.places
        else Label("none", (0.0, _ARRIVAL), "start", (6.0, 0.0), "faint", 11.0),
        Outline(((0.0, 0.0), (end, 0.0)), False, role="axis"),
    ]
    seconds = bins[-1].seconds
    last = f"{seconds:.0f} s" if seconds is not None else f"event {formatting.count(bins[-1].last)}"
    layers += [
        Label("start", (0.0, 0.0), "start", (0.0, 12.0), "faint", 11.0),
        Label(last, (end, 0.0), "end", (0.0, 12.0), "faint", 11.0),
    ]
    return Chart(
        "stability", "Stability over the run", Axis("stretch", "", (), 0.0, end), Axis("lane", "", (), 0.0, 1.0),
        tuple(layers), size=(512.0, 184.0), room=Room(74.0, 0.0, 14.0, 22.0),
    )  # fmt: skip


def _time_summary(time: TimeEntry) -> str:
    if not time.checked:
        return f"Stability over time was not checked: {time.reason or 'no reason recorded'}."
    bad = sum(entry.bad for entry in time.bins)
    drifting = [entry.channel for entry in time.drift]
    slow = f" Slow drift in {', '.join(drifting)}." if drifting else " No slow drift."
    back = f" Time ran backwards {time.steps_back} times." if time.steps_back else ""
    return f"{bad} of {len(time.bins)} stretches of the run are disturbed and masked.{slow}{back}"


def matrix_chart(compensation: CompensationEntry) -> Chart | None:
    """Residual spillover by pair in percent of the bright signal; bold and shaded where beyond the tolerance."""
    pairs, names = compensation.residuals, compensation.channels
    named = {pair.source for pair in pairs} | {pair.target for pair in pairs}
    order = [name for name in names if name in named] + sorted(named - set(names))
    if not order:
        return None
    cell, n = 38.0, len(order)
    inside = 1 - 1 / cell
    layers: list[Layer] = []
    place = {name: index for index, name in enumerate(order)}

    def bar(column: int, row: int, role: Role, opacity: float = 1.0, text: str = "") -> Bar:
        return Bar((column, column + inside), (n - row - inside, float(n - row)), role, opacity, text=text)

    for name, index in place.items():
        short = formatting.clip(name, 11)
        layers += [
            Label(short, (0.0, n - index - 0.5), "end", (-6.0, 0.0), size=11.0),
            Label(short, (float(index), float(n)), "start", (22.0, -6.0), size=11.0, angle=-60.0),
            bar(index, index, "within"),
        ]
    for pair in pairs:
        if pair.ratio is None:  # not measured: too few bright cells
            continue
        ratio, state = pair.ratio, pair.state
        beyond = state in {"over", "under"}
        role: Role = "over" if state == "over" else "under" if state == "under" else "remaining"
        strength = min(0.5, 0.12 + abs(ratio) * 4) if beyond else min(0.22, abs(ratio) * 3)
        column, row = place[pair.target], place[pair.source]
        shown = f"{100 * ratio:+.0f}" if abs(ratio) >= 0.095 else f"{100 * ratio:+.1f}"
        label = {"+0.0": "0", "-0.0": "0"}.get(shown, shown).replace("-", "−")
        layers.append(bar(column, row, role, strength, f"{pair.source} in {pair.target}: {label} %"))
        css = "strong" if beyond else "faint"
        layers.append(Label(label, (column + inside / 2, n - row - inside / 2), "middle", css=css, size=10.5))
    return Chart(
        "compensation", "Residual spillover", Axis("target", "", (), 0.0, float(n)), row_axis(order, named=False),
        tuple(layers), size=(n * cell, n * cell), room=Room(76.0, 66.0, 26.0, 4.0),
    )  # fmt: skip


def channel_rows(quality: QualityView) -> list[tuple[str, ...]]:
    """Table of the channels as the file recorded them."""
    qc = quality.record
    rows: list[tuple[str, ...]] = []
    for entry in () if qc is None else qc.channels:
        assert qc is not None  # noqa: S101 - there are channels only of a record
        marker = entry.marker or entry.column
        scale = qc.transforms.get(marker)
        how: str = "none" if scale is None else scale.kind
        if scale is not None and how == "logicle":
            how += f", W {formatting.number(scale.W)} ({scale.W_source})"
        rows.append(
            (
                marker,
                entry.pnn or "–",
                entry.pns or "–",
                formatting.number(entry.voltage) if entry.voltage is not None else "not recorded",
                formatting.number(entry.range) if entry.range is not None else "not recorded",
                _off_scale(qc, marker),
                how,
            )
        )
    return rows


def _off_scale(qc: QualityFile, marker: str) -> str:
    """Events at the top of a channel's range: their share, and for fluorescence their number."""
    found = qc.offscale.get(marker)
    if found is None:
        return formatting.percent(qc.saturation.get(marker))
    return f"{formatting.percent(found.share)} ({found.events:,})"


def instrument_facts(quality: QualityView) -> list[tuple[str, str]]:
    """Instrument, set-up status and the cuts for single cells and debris."""
    qc = quality.record
    if qc is None:
        return []
    doublets, debris = qc.doublets, qc.debris
    rows = [
        ("Set-up status (beads, CST)", quality.cst[1]),
        ("FCS parsing cross-check", quality.reader),
        (
            "Doublets told by",
            f"{doublets.y or doublets.kind or 'nothing'} ({doublets.method or doublets.reason or 'not recorded'})",
        ),
        (
            "Debris cut",
            f"FSC-A below {formatting.number(debris.fsc)} of the range"
            if debris.fsc is not None
            else f"none: {debris.reason or 'not recorded'}",
        ),
        ("Time steps backwards", formatting.count(qc.time.steps_back)),
    ]
    names = {
        "model": "Model",
        "serial_digest": "Serial number (digest)",
        "configuration_digest": "Name of the set-up (digest)",
    }
    return rows + [(names.get(key, key), formatting.clip(value, 120)) for key, value in quality.instrument]


def _reader(inputs: PageInputs) -> str:
    if inputs.ingest is None:
        return formatting.NOT_AVAILABLE
    found = inputs.ingest.second_reader
    reason = f" ({found.reason})" if found.reason else ""
    return {"agree": "agrees", "cannot_read": "cannot read this file"}.get(found.status, "differs") + reason

"""The quality section: what was masked and why, stability, compensation, instrument, place among the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from markupsafe import Markup

from flowmrd.flags import kind_of
from flowmrd.records.quality import AttritionEntry, CompensationEntry, QualityFile, TimeEntry
from flowmrd.report import formatting, svg
from flowmrd.report.carry_over import Arrival, arrival
from flowmrd.report.inputs import Inputs
from flowmrd.report.report_file import ArrivalRow, QualityNumbers, ResidualRow, StretchRow
from flowmrd.report.tube import PageTube

STEP_WORDS = {
    "acquired": "Acquired",
    "nonfinite": "NaN or infinite value",
    "margin": "At the edge of the scatter range",
    "time": "Unstable stretch of the run",
    "dead": "Dead, by dye",
    "anucleate": "Not nucleated, by dye",
    "doublet": "Doublets",
    "debris": "Debris",
}
CST_MAX_DAYS = 31
"""A set-up older than this at acquisition is named (a default: laboratories set up daily)."""


def build(inputs: Inputs, tube: PageTube) -> dict[str, Any]:
    """Context of the quality section; ``missing`` says why where there is no ``qc.json``."""
    qc = inputs.qc
    if qc is None:
        return {
            "missing": "qc.json was not found for this sample, so nothing can be said about its quality.",
            "flags": [],
            "codes": [],
            "numbers": None,
        }
    residuals = qc.compensation.residuals
    came = arrival(tube)
    return {
        "missing": None,
        "flags": [
            {"code": flag.code, "tone": tone, "level": tone, "message": flag.message}
            for flag in qc.flags
            for tone in (kind_of(flag.code).tone,)
        ],
        "codes": [flag.code for flag in qc.flags if kind_of(flag.code).tone != "info"],
        "attrition": (steps := _attrition_rows(qc.attrition, dyes=bool(qc.dyes))),
        "attrition_figure": _attrition_figure(steps),
        "time_figure": _time_figure(qc.time, came),
        "time_summary": _time_summary(qc.time),
        "arrival": came,
        "compensation": qc.compensation,
        "residuals": sorted(
            (pair for pair in residuals if pair.state in {"over", "under"}), key=lambda pair: -abs(pair.ratio or 0.0)
        )[:8],
        "pairs": len(residuals),
        "undecided": sum(pair.state == "undecided" for pair in residuals),
        "matrix": _matrix_figure(qc.compensation),
        "record": qc,
        "instrument": sorted(qc.instrument.items()),
        "cst": cst_status(inputs),
        "reader": _reader(inputs),
        "numbers": _numbers(qc, came),
    }


def _numbers(qc: QualityFile, came: Arrival) -> QualityNumbers:
    """What ``report.json`` holds of the section."""
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


def cst_status(inputs: Inputs) -> tuple[str, str]:
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


def _attrition_rows(steps: Sequence[AttritionEntry], *, dyes: bool) -> list[dict[str, Any]]:
    """Rows of figure and table; a step that needs a dye the tube does not have is said to be without one."""
    acquired = steps[0].remaining if steps else 0
    return [
        {
            "step": STEP_WORDS.get(entry.step, entry.step)
            + (" (no dye)" if not dyes and entry.step in {"dead", "anucleate"} else ""),
            "masked": entry.masked,
            "removed": entry.removed,
            "remaining": entry.remaining,
            "share": entry.remaining / acquired if acquired else None,
        }
        for entry in steps
    ]


def _attrition_figure(rows: Sequence[Mapping[str, Any]]) -> Markup:
    width, left, right, bar = 600.0, 236.0, 128.0, 20.0
    parts = []
    for index, row in enumerate(rows):
        y = 6 + index * (bar + 6)
        share = row["share"] or 0.0
        lost = (row["removed"] or 0) / max(1, (row["remaining"] or 0) / share if share else 1)
        length = width - left - right
        parts.append(svg.text(left - 8, y + 14, formatting.clip(row["step"], 34), anchor="end"))
        parts.append(svg.rect(left, y, share * length, bar, "var(--dens)", opacity=0.55))
        if lost > 0:
            parts.append(svg.rect(left + share * length, y, max(1.5, lost * length), bar, "var(--fail)", opacity=0.8))
        parts.append(svg.text(width - 56, y + 14, formatting.count(row["remaining"]), anchor="end", size=11.5))
        parts.append(
            svg.text(width - 2, y + 14, formatting.percent(row["share"], 3), anchor="end", css="faint", size=11)
        )
    return svg.drawing(width, 12 + len(rows) * (bar + 6), parts)


def _time_figure(time: TimeEntry, came: Arrival) -> Markup | None:
    """Flow rate, distance of the signal from its usual level, MRD cells; masked stretches are hatched."""
    bins = time.bins
    if not bins:
        return None
    width, left, lane = 600.0, 74.0, 178.0
    span = width - left - 14
    step = span / len(bins)
    limit = time.limit
    rates = [entry.rate for entry in bins]
    top_rate = max((rate for rate in rates if rate is not None), default=0.0)
    top_score = max([limit * 1.6, *(min(entry.score, 4 * limit) for entry in bins)])
    parts = [
        '<defs><pattern id="masked" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" fill="var(--fail-wash)"/>'
        '<path d="M0 0v6" stroke="var(--fail)" stroke-width="1.6"/></pattern></defs>'
    ]
    for index, entry in enumerate(bins):
        if entry.bad:
            parts.append(svg.rect(left + index * step, 6, step, 150, "url(#masked)"))
    if top_rate > 0:
        points = [
            f"{left + (index + 0.5) * step:.1f} {70 - 60 * rate / top_rate:.1f}"
            for index, rate in enumerate(rates)
            if rate is not None
        ]
        parts.append(f'<path d="M{"L".join(points)}" fill="none" stroke="var(--gate)" stroke-width="1.4"/>')
        parts.append(svg.text(left - 8, 18, f"{formatting.number(top_rate, 2)}/s", anchor="end", css="faint", size=11))
        parts.append(svg.text(left - 8, 74, "0", anchor="end", css="faint", size=11))
    else:
        parts.append(svg.text(left + 6, 44, "no time channel: flow rate unknown", css="faint"))
    parts.append(svg.text(left - 8, 46, "flow rate", anchor="end", size=11.5))
    parts.append(svg.line(left, 72, width - 14, 72, stroke="var(--soft)"))
    scores = [
        f"{left + (index + 0.5) * step:.1f} {154 - 70 * min(entry.score, top_score) / top_score:.1f}"
        for index, entry in enumerate(bins)
    ]
    at = 154 - 70 * limit / top_score
    parts.append(svg.line(left, at, width - 14, at, stroke="var(--fail)", dash="5 3"))
    parts.append(svg.text(left - 8, at + 4, f"limit {formatting.number(limit)}", anchor="end", css="faint", size=11))
    parts.append(f'<path d="M{"L".join(scores)}" fill="none" stroke="var(--ink)" stroke-width="1.3"/>')
    parts.append(svg.text(left - 8, 152, "signal", anchor="end", size=11.5))
    parts.append(svg.line(left, 156, width - 14, 156, stroke="var(--soft)"))
    parts.append(svg.text(left - 8, lane, "MRD cells", anchor="end", size=11.5))
    ticks = "".join(f"M{left + place * span:.1f} {lane - 12:.1f}v14" for place in came.places)
    parts.append(
        f'<path d="{ticks}" stroke="var(--mrd)" stroke-width="1.2"/>'
        if ticks
        else svg.text(left + 6, lane, "none", css="faint", size=11)
    )
    parts.append(svg.line(left, lane + 6, width - 14, lane + 6, stroke="var(--ink)"))
    seconds = bins[-1].seconds
    end = f"{seconds:.0f} s" if seconds is not None else f"event {formatting.count(bins[-1].last)}"
    parts.append(svg.text(left, lane + 22, "start", css="faint", size=11))
    parts.append(svg.text(width - 14, lane + 22, end, anchor="end", css="faint", size=11))
    return svg.drawing(width, lane + 28, parts)


def _time_summary(time: TimeEntry) -> str:
    if not time.checked:
        return f"Stability over time was not checked: {time.reason or 'no reason recorded'}."
    bad = sum(entry.bad for entry in time.bins)
    drifting = [entry.channel for entry in time.drift]
    slow = f" Slow drift in {', '.join(drifting)}." if drifting else " No slow drift."
    back = f" Time ran backwards {time.steps_back} times." if time.steps_back else ""
    return f"{bad} of {len(time.bins)} stretches of the run are disturbed and masked.{slow}{back}"


def _matrix_figure(compensation: CompensationEntry) -> Markup | None:
    """Residual spillover by pair in percent of the bright signal; bold and shaded where beyond the tolerance."""
    pairs, names = compensation.residuals, compensation.channels
    named = {pair.source for pair in pairs} | {pair.target for pair in pairs}
    order = [name for name in names if name in named] + sorted(named - set(names))
    if not order:
        return None
    cell, left, top = 38.0, 76.0, 66.0
    parts = []
    place = {name: index for index, name in enumerate(order)}
    for name, index in place.items():
        parts.append(svg.text(left - 6, top + index * cell + 23, formatting.clip(name, 11), anchor="end", size=11))
        parts.append(
            svg.turned(left + index * cell + 22, top - 6, -60, svg.text(0, 0, formatting.clip(name, 11), size=11))
        )
        parts.append(svg.rect(left + index * cell, top + index * cell, cell - 1, cell - 1, "var(--wash)"))
    for pair in pairs:
        x = left + place[pair.target] * cell
        y = top + place[pair.source] * cell
        if pair.ratio is None:  # not measured: too few bright cells
            continue
        ratio, state = pair.ratio, pair.state
        beyond = state in {"over", "under"}
        colour = {"over": "var(--gate)", "under": "var(--mrd)"}.get(state, "var(--dens)")
        strength = min(0.5, 0.12 + abs(ratio) * 4) if beyond else min(0.22, abs(ratio) * 3)
        parts.append(svg.rect(x, y, cell - 1, cell - 1, colour, opacity=strength))
        shown = f"{100 * ratio:+.0f}" if abs(ratio) >= 0.095 else f"{100 * ratio:+.1f}"
        label = {"+0.0": "0", "-0.0": "0"}.get(shown, shown).replace("-", "−")
        css = "strong" if beyond else "faint"
        parts.append(svg.text(x + (cell - 1) / 2, y + 23, label, anchor="middle", css=css, size=10.5))
    return svg.drawing(left + len(order) * cell + 26, top + len(order) * cell + 4, parts, css="matrix")


def channel_rows(quality: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Table of the channels as the file recorded them."""
    qc: QualityFile | None = quality.get("record")
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


def instrument_facts(quality: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Instrument, set-up status and the cuts for single cells and debris."""
    if quality.get("missing"):
        return []
    qc: QualityFile = quality["record"]
    doublets, debris = qc.doublets, qc.debris
    rows = [
        ("Set-up status (beads, CST)", quality["cst"][1]),
        ("FCS parsing cross-check", quality["reader"]),
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
    names = {"model": "Model", "serial_digest": "Serial number (digest)"}
    return rows + [(names.get(key, key), formatting.clip(value, 120)) for key, value in quality["instrument"]]


def _reader(inputs: Inputs) -> str:
    if inputs.ingest is None:
        return formatting.NOT_AVAILABLE
    found = inputs.ingest.second_reader
    reason = f" ({found.reason})" if found.reason else ""
    return {"agree": "agrees", "cannot_read": "cannot read this file"}.get(found.status, "differs") + reason

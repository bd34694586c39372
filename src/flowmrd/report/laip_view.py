"""Phenotype of the MRD cells: every marker against the nearest normal stage and the diagnosis; clusters; targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from flowmrd.mrd.result import Cluster, Target
from flowmrd.panel.model import ChannelKind
from flowmrd.records.references import LaipComponent
from flowmrd.report import formatting, svg
from flowmrd.report.density import HIGH, LOW
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.page_tube import PageTube
from flowmrd.units import LOGICLE_M, to_decades

MODES: Final = {
    "patient": "this patient's own diagnosis (LAIP)",
    "library": "leukaemias of other patients (library), because this patient has no usable diagnosis tube",
    "different_from_normal": "difference from normal alone, because there is no usable diagnosis tube",
    "none": "nothing: no reference was available",
}
TARGET_TONES: Final = {
    "present": "pass",
    "dim": "warn",
    "lost": "fail",
    "masked_or_lost": "fail",
    "not_evaluable": "none",
}
MIN_CELLS: Final = 5
"""Fewer cells than this are not summarised by quantiles; the plots show them one by one."""
MIN_NORMAL: Final = 50
"""Fewer normal precursors than this are not shown for comparison, since stray cells would look like a population."""

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class MarkerRow:
    """One marker. Levels are on the 0..1 scale; quantiles are 5, 25, 50, 75 and 95 %.

    Attributes
    ----------
    mrd, normal
        Quantiles of the MRD cells and of normal precursors of the same tube, or ``None`` where there are too few.
    stage
        Level of the nearest normal stage in the reference, from which ``shift`` is measured.
    diagnosis
        Median of the leukaemia at diagnosis.
    shift
        Decades between the largest cluster of MRD cells and its nearest normal stage; without a cluster, between the
        leukaemia at diagnosis and its nearest normal stage.
    """

    marker: str
    mrd: tuple[float, ...] | None
    normal: tuple[float, ...] | None
    normal_name: str
    stage: float | None
    diagnosis: float | None
    shift: float | None
    direction: str


def marker_rows(inputs: PageInputs, tube: PageTube) -> list[MarkerRow]:
    """Every antibody channel of the tube, in panel order."""
    mrd = np.flatnonzero(tube.mrd)
    normal_name, normal = _normal_cells(inputs, tube)
    component = _diagnosis_component(inputs)
    diagnosis = {} if component is None else component.medians
    largest = max(inputs.result.laip.clusters, key=lambda cluster: cluster.events, default=None)
    # Where nothing was found, the leukaemia that was searched for is shown instead.
    compared = component if largest is None else largest
    shifts = {} if compared is None else {entry.marker: entry for entry in compared.markers}
    stage = {} if compared is None else _nearest_stage(compared)
    rows = []
    for channel in tube.panel.channels:
        marker = channel.marker
        if marker not in tube.channels or channel.kind is not ChannelKind.ANTIBODY:
            continue
        values = tube.events[marker]
        shift = shifts.get(marker)
        rows.append(
            MarkerRow(
                marker=marker,
                mrd=_quantiles(values[mrd]),
                normal=_quantiles(values[normal]),
                normal_name=normal_name,
                stage=stage.get(marker),
                diagnosis=diagnosis.get(marker),
                shift=shift.shift_decades if shift else None,
                direction=shift.direction if shift else "",
            )
        )
    return rows


def _nearest_stage(of: LaipComponent | Cluster) -> dict[str, float]:
    """Levels of the nearest normal stage: medians of a cluster, or of a component at diagnosis, minus its shifts."""
    return {
        shift.marker: round(of.medians[shift.marker] - shift.shift_decades / LOGICLE_M, 4)
        for shift in of.markers
        if shift.marker in of.medians
    }


def by_shift(rows: Sequence[MarkerRow]) -> list[MarkerRow]:
    """Rows sorted by size of the shift, the largest first."""

    def size(row: MarkerRow) -> float:
        if row.shift is not None:
            return abs(row.shift)
        if row.mrd and row.normal:
            return abs(to_decades(row.mrd[2] - row.normal[2]))
        return -1.0

    return sorted(rows, key=lambda row: -size(row))


def _quantiles(values: npt.NDArray[Any]) -> tuple[float, ...] | None:
    finite = values[np.isfinite(values)]
    if len(finite) < MIN_CELLS:
        return None
    return tuple(round(float(value), 4) for value in np.quantile(finite, _QUANTILES))


def _normal_cells(inputs: PageInputs, tube: PageTube) -> tuple[str, npt.NDArray[np.intp]]:
    """Normal precursors of this tube: cells gated as a haematogone stage and not called MRD."""
    titles = tube.titles
    nearest = [cluster.nearest_normal for cluster in inputs.result.laip.clusters]
    for name in [*nearest, "haematogones_1", "haematogones_2", "haematogones_3"]:
        key = name.lower().replace(" ", "_").replace("-", "_")
        if key in tube.gate_names:
            rows = np.flatnonzero(tube.gate(key) & ~tube.mrd & tube.analysable)
            if len(rows) >= MIN_NORMAL:
                return f"{titles.get(key, key)} of this tube, not MRD", rows
    return "", np.empty(0, dtype=np.intp)


def _diagnosis_component(inputs: PageInputs) -> LaipComponent | None:
    """Largest component of the leukaemia at diagnosis; None where there is none."""
    components = () if inputs.diagnosis is None else inputs.diagnosis.components
    return max(components, key=lambda entry: entry.share, default=None)


_ROMAN: Final = {"1": "I", "2": "II", "3": "III"}


def stage_name(name: str, tube: PageTube) -> str:
    """A normal stage as the panel titles its gate; ``haematogones_2`` becomes ``haematogone stage II``."""
    titles = {gate.name: gate.title for gate in tube.panel.gates if gate.title}
    if name in titles:
        return formatting.within(titles[name])
    stem, _, number = name.rpartition("_")
    if stem in {"haematogone", "haematogones"} and number in _ROMAN:
        return f"haematogone stage {_ROMAN[number]}"
    return name.replace("_", " ")


def build(inputs: PageInputs, tube: PageTube, rows: Sequence[MarkerRow]) -> dict[str, object]:
    """Context of the section."""
    laip = inputs.result.laip
    largest = max(laip.clusters, key=lambda cluster: cluster.events, default=None)
    known = largest or _diagnosis_component(inputs)
    nearest = "" if known is None else known.nearest_normal
    return {
        "mode": _mode(inputs),
        "figure": _figure(rows, tube),
        "has_cells": any(row.mrd for row in rows),
        "nothing_to_draw": not any(row.mrd or row.normal or row.stage or row.diagnosis for row in rows),
        "rows": rows,
        "has_stage": any(row.stage is not None for row in rows),
        "nearest": stage_name(str(nearest), tube) if nearest else "",
        "of_diagnosis": largest is None,
        "normal_name": next((row.normal_name for row in rows if row.normal_name), ""),
        "has_diagnosis": any(row.diagnosis is not None for row in rows),
        "clusters": laip.clusters,
        "targets": [
            {
                "name": name,
                "tone": TARGET_TONES.get(target.status, "none"),
                "status": target.status.replace("_", " "),
                "percent": target.percent_positive,
                "ratio": target.median_ratio_to_reference,
                "population": {"mrd": "MRD cells", "possible_b_lineage": "possible B-lineage cells"}.get(
                    target.population, target.population
                ),
                "note": target.note,
                "beside": beside,
            }
            for name, target, beside in _told_targets(inputs)
        ],
        "phenotype": phenotype([(row.marker, row.shift, row.direction) for row in rows if row.shift is not None]),
        "summary": _summary(rows),
    }


def _mode(inputs: PageInputs) -> str:
    """How the cells were recognised. A control is only tested, since it has no leukaemia to recognise."""
    mode = inputs.result.laip.mode
    if inputs.result.role == "control":
        return {"library": "a test against the library of leukaemias", "none": MODES["none"]}.get(
            mode, "a test against what the other controls hold"
        )
    return MODES.get(mode, mode)


def _told_targets(inputs: PageInputs) -> list[tuple[str, Target, bool]]:
    """Targets of therapy on the MRD cells (on the B lineage where these are too few), then on the B lineage beside
    them.
    """
    result = inputs.result
    told = [(name, entry, False) for name, entry in result.targets.items()]
    lineage = result.targets_b_lineage.items()
    return told + [(name, entry, True) for name, entry in lineage if entry != result.targets.get(name)]


def phenotype(shifts: Sequence[tuple[str, float, str]]) -> str:
    """A LAIP as a haematologist writes it: ``CD58 bright (+0.7 log), CD38 dim (−0.5 log)``, decades in brackets."""
    told = [entry for entry in shifts if entry[2] in LEVELS]
    told.sort(key=lambda entry: -abs(entry[1]))
    return ", ".join(f"{marker} {LEVELS[way]} ({shift:+.1f} log)".replace("-", "−") for marker, shift, way in told)


LEVELS: Final = {"over": "bright", "under": "dim"}
"""Word of a direction against the nearest normal stage."""


def cluster_phenotype(cluster: Cluster) -> str:
    """Phenotype of one cluster."""
    return phenotype([(entry.marker, entry.shift_decades, entry.direction) for entry in cluster.markers])


def _summary(rows: Sequence[MarkerRow]) -> str:
    parts = [
        f"{row.marker} {row.direction} by {abs(row.shift):.1f} decades"
        for row in by_shift(rows)
        if row.shift is not None and row.direction in {"over", "under"}
    ]
    return "Against the nearest normal stage: " + ("; ".join(parts) if parts else "no marked shift") + "."


def _figure(rows: Sequence[MarkerRow], tube: PageTube) -> Markup:
    """One line per marker: a grey bar for normal cells, a filled bar for MRD, a hollow diamond for the diagnosis.

    Where all channels share one scale there is one axis below; else every line has its own ticks.
    """
    width, left, right, top = 640.0, 126.0, 66.0, 6.0
    span = width - left - right
    axes = {row.marker: tube.axis(row.marker) for row in rows}
    shared = len({axis.ticks for axis in axes.values()}) == 1
    gap = 30.0 if shared else 42.0
    bottom = top + len(rows) * gap

    def x(value: float) -> float:
        return left + (min(max(value, LOW), HIGH) - LOW) / (HIGH - LOW) * span

    parts = []
    if shared and rows:
        for at, label in axes[rows[0].marker].ticks:
            if label:
                parts.append(svg.line(x(at), top, x(at), bottom))
                parts.append(svg.text(x(at), bottom + 16, label, anchor="middle", css="faint", size=11.5))
    for index, row in enumerate(rows):
        y = top + index * gap + 14
        axis = axes[row.marker]
        parts.append(svg.text(left - 12, y + 4, axis.label if len(axis.label) < 20 else row.marker, anchor="end"))
        parts.append(svg.line(left, top + (index + 1) * gap, left + span, top + (index + 1) * gap))
        if not shared:
            for at, label in axis.ticks:
                if label:
                    parts.append(svg.line(x(at), y + 15, x(at), y + 18, stroke="var(--soft)"))
                    parts.append(svg.text(x(at), y + 26, label, anchor="middle", css="faint", size=9))
        if row.normal:
            parts.append(_box(x, row.normal, y - 9, "var(--dens)", 0.5))
        if row.mrd:
            parts.append(_box(x, row.mrd, y + 2, "var(--mrd)", 0.8))
        if row.stage is not None:
            at = x(row.stage)
            parts.append(f'<path d="M{at - 4:.1f} {y - 10:.1f}h8m-4 0v20m-4 0h8" stroke="var(--ink)" fill="none"/>')
        if row.diagnosis is not None:
            at = x(row.diagnosis)
            shape = f"M{at:.1f} {y - 7:.1f}l6 7l-6 7l-6 -7z"
            parts.append(f'<path d="{shape}" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.6"/>')
        if row.shift is not None:
            arrow = {"over": "▲", "under": "▼"}.get(row.direction, "=")
            label = f"{arrow} {row.shift:+.2f}".replace("-", "−")
            parts.append(svg.text(width - 4, y + 4, label, anchor="end", css="faint" if arrow == "=" else ""))
    return svg.drawing(width, bottom + (24 if shared else 2), parts, css="markers")


def _box(x: Any, quantiles: Sequence[float], y: float, colour: str, opacity: float) -> str:
    low, first, middle, third, high = (x(value) for value in quantiles)
    return (
        svg.line(low, y + 3, high, y + 3, stroke=colour, width=1.4)
        + f'<rect x="{first:.1f}" y="{y - 1:.1f}" width="{max(2.0, third - first):.1f}" height="8" fill="{colour}" '
        + f'opacity="{opacity}"/><path d="M{middle:.1f} {y - 2:.1f}v10" stroke="var(--ink)" stroke-width="1.8"/>'
    )


def legend_rows(rows: Sequence[MarkerRow], tube: PageTube) -> list[dict[str, str]]:
    """The same numbers as a table, in raw units of the instrument."""
    table = []
    for row in rows:
        table.append(
            {
                "marker": row.marker,
                "mrd": formatting.number(tube.raw(row.marker, row.mrd[2])) if row.mrd else formatting.NOT_AVAILABLE,
                "normal": formatting.number(tube.raw(row.marker, row.normal[2]))
                if row.normal
                else formatting.NOT_AVAILABLE,
                "diagnosis": formatting.number(tube.raw(row.marker, row.diagnosis))
                if row.diagnosis is not None
                else "–",
                "shift": f"{row.shift:+.2f} {row.direction}".replace("-", "−") if row.shift is not None else "–",
            }
        )
    return table

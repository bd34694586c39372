"""Naming every event and counting every gate.

An event's population is the *last* gate of the panel file with ``population: true`` that contains it, so a tree lists
general populations before special ones (possible_b_lineage before b_lineage, and that before mature_b). Codes are fixed
for the names below and start at 100 for a laboratory's own names; code 0 is an event in no such gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.gating.density import thinned
from flowmrd.gating.shapes import Columns
from flowmrd.gating.tree import GateResult
from flowmrd.panel.gates import ROOT, Gate, window_gate
from flowmrd.preprocess.transform import ChannelScale

__all__ = ["CODES", "DENOMINATORS", "assign", "code_table", "population_table", "route_bits", "route_names"]

Mask = npt.NDArray[np.bool_]

UNASSIGNED: Final = "unassigned"

CODES: Final[dict[str, int]] = {
    UNASSIGNED: 0,
    "granulocytes": 1,
    "monocytes": 2,
    "t_nk": 3,
    "erythroblasts": 4,
    "cd34_myeloid": 5,
    "basophil_pdc": 6,
    "b_lineage": 7,
    "early_cd34_cd22": 8,
    "haematogones_1": 9,
    "haematogones_2": 10,
    "haematogones_3": 11,
    "mature_b": 12,
    "plasma_cells": 13,
    "possible_b_lineage": 14,
}
"""Codes of the ``population`` column. Frozen: never renumber."""

FIRST_OWN_CODE: Final = 100

DENOMINATORS: Final = ("total", "analysable", "singlets", "nucleated", "mononuclear", "b_lineage")
"""Counts that percentages are given of, besides the gate's parent."""


def code_table(gates: Sequence[Gate]) -> dict[str, int]:
    """Population name to code for a tree, unassigned included."""
    table = {UNASSIGNED: 0}
    own = FIRST_OWN_CODE
    for gate in gates:
        if not gate.population:
            continue
        if gate.name in CODES:
            table[gate.name] = CODES[gate.name]
        else:
            table[gate.name] = own
            own += 1
    return table


def assign(result: GateResult, gates: Sequence[Gate]) -> npt.NDArray[np.int16]:
    """Population code of every event, int16, shape (n_events,)."""
    table = code_table(gates)
    codes = np.zeros(len(result.bits), dtype=np.int16)
    for gate in gates:
        if gate.population:
            codes[result.inside(gate.name)] = table[gate.name]
    return codes


def route_names(gates: Sequence[Gate]) -> tuple[str, ...]:
    """Gates that are routes into the window of the search, in the order of their bits."""
    return tuple(gate.name for gate in gates if gate.route)


def route_bits(result: GateResult, gates: Sequence[Gate]) -> npt.NDArray[np.uint8]:
    """Routes by which every event entered the window of the search, uint8, shape (n_events,); 0 outside it."""
    bits = np.zeros(len(result.bits), dtype=np.uint8)
    for index, name in enumerate(route_names(gates)):
        bits |= result.inside(name).astype(np.uint8) << np.uint8(index)
    window = window_gate(result.names)
    if window in result.names:
        bits[~result.inside(window)] = 0
    return bits


@dataclass(frozen=True)
class GateCounts:
    """One gate of ``populations.tsv``.

    Attributes
    ----------
    count, analysable_count
        Cells among all events and among analysable ones; None where the gate is unavailable.
    percents
        ``parent`` and every denominator to the percentage of it.
    medians, mfi
        Marker to its median on the 0..1 scale and in raw units.
    others_at_most, b_stage
        Of a normal B stage: upper limit of the number of other cells in its place, and whether that leaves any
        (``present``, ``too_few``, ``not_evaluable``, ``unavailable``); None for every other gate.
    """

    population: str
    title: str
    parent: str
    state: str
    source: str
    count: int | None
    analysable_count: int | None
    percents: Mapping[str, float | None]
    medians: Mapping[str, float | None]
    mfi: Mapping[str, float | None]
    others_at_most: float | None = None
    b_stage: str | None = None

    @property
    def fields(self) -> dict[str, str | int | float | None]:
        """Column to value, in the order of the file."""
        return {
            "population": self.population,
            "title": self.title,
            "parent": self.parent,
            "state": self.state,
            "source": self.source,
            "count": self.count,
            "analysable_count": self.analysable_count,
            **{f"percent_of_{label}": value for label, value in self.percents.items()},
            **{f"median_{marker}": value for marker, value in self.medians.items()},
            **{f"mfi_{marker}": value for marker, value in self.mfi.items()},
            "others_at_most": self.others_at_most,
            "b_stage": self.b_stage,
        }


def population_table(
    result: GateResult,
    gates: Sequence[Gate],
    columns: Columns,
    analysable: Mask,
    markers: Sequence[str],
    scales: Mapping[str, ChannelScale] | None = None,
) -> list[GateCounts]:
    """One row per gate: counts, percentages of every denominator and medians, on the 0..1 scale and in raw units.

    ``count`` is the gate among all events, as other software shows it; every other number is of analysable events. A
    percentage or median that has nothing to be computed from is None, never 0. Medians rest on at most 100,000 evenly
    spaced events; raw units need the channel's scale.

    Parameters
    ----------
    analysable
        True for analysable events, shape (n_events,).
    """
    n_analysable = int(np.count_nonzero(analysable))
    counts = {"total": len(analysable), "analysable": n_analysable, ROOT: n_analysable}
    counts_with_masked: dict[str, int] = {}
    medians: dict[str, dict[str, float | None]] = {}
    stored = [marker for marker in markers if marker in columns]
    for name in result.names:
        inside = result.inside(name)
        counts_with_masked[name] = int(np.count_nonzero(inside))
        inside &= analysable
        counts[name] = int(np.count_nonzero(inside))
        medians[name] = {**dict.fromkeys(markers), **_medians(columns, stored, inside)}
    rows = []
    for gate in gates:
        placement = result.placement(gate.name)
        unavailable = placement.state == "unavailable"
        n = counts[gate.name]
        sizes = {"parent": counts[gate.parent], **{name: counts.get(name, 0) for name in DENOMINATORS}}
        row = GateCounts(
            population=gate.name,
            title=gate.title or gate.name,
            parent=gate.parent,
            state=placement.state,
            source=placement.source,
            count=None if unavailable else counts_with_masked[gate.name],
            analysable_count=None if unavailable else n,
            percents={
                label: None if unavailable or size == 0 else round(100.0 * n / size, 6) for label, size in sizes.items()
            },
            medians=medians[gate.name],
            mfi={m: _raw((scales or {}).get(m), middle) for m, middle in medians[gate.name].items()},
        )
        rows.append(row)
    return rows


def _raw(scale: ChannelScale | None, value: float | None) -> float | None:
    """Raw units at four digits: more than an intensity is worth; None without a value or a scale."""
    return None if scale is None or value is None else float(f"{float(scale.inverse(value)):.4g}")


def _medians(columns: Columns, markers: Sequence[str], chosen: Mask) -> dict[str, float | None]:
    """Median of every marker over some events; None where no value is finite."""
    rows = thinned(np.flatnonzero(chosen))
    if not markers or len(rows) == 0:
        return {}
    values = np.array([columns[marker][rows] for marker in markers])
    finite = np.isfinite(values)
    if finite.all():
        return {marker: round(float(m), 5) for marker, m in zip(markers, _finite_medians(values), strict=True)}
    known = [value[is_finite] for value, is_finite in zip(values, finite, strict=True)]
    return {m: round(float(np.median(v)), 5) if len(v) else None for m, v in zip(markers, known, strict=True)}


def _finite_medians(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Median of every row, as ``np.median`` gives it. That looks for NaN too and takes seven times as long."""
    half = values.shape[1] // 2
    ordered = np.partition(values, half, axis=1)
    if values.shape[1] % 2:
        return ordered[:, half]
    return np.asarray(np.mean([ordered[:, :half].max(axis=1), ordered[:, half]], axis=0))


def as_tsv(rows: Sequence[GateCounts]) -> str:
    """Rows as tab-separated text with a header; None is an empty field."""
    if not rows:
        return ""
    lines = ["\t".join(rows[0].fields)]
    lines += ["\t".join("" if value is None else str(value) for value in row.fields.values()) for row in rows]
    return "\n".join(lines) + "\n"

"""State of the therapy targets CD19 and CD22 on a population: present, dim, lost, or possibly masked.

A cell is positive above the panel's own ``cd19_pos`` or ``cd22_pos`` cut, as placed on this tube. Brightness is the
ratio of median linear signals to the normal B lineage of the control marrows. Of the B lineage, only cells that entered
by at least two routes are used, because most false cells enter by one marker alone.

The limits below are general knowledge, not from a guideline. INO-VATE reported CD22 positivity from 90 % of
blasts on; nothing is called present here below 70 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.gating.panel_scale import panel_channel_scale
from flowmrd.gating.reference import GateReference
from flowmrd.gating.shapes import (
    Columns,
    Combination,
    Everything,
    Nothing,
    Shape,
    shape_channels,
    shape_from_record,
)
from flowmrd.panel.gates import Gate
from flowmrd.panel.model import Channel, PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.base import TargetState
from flowmrd.records.gates import GateEntry

__all__ = [
    "AGREED_WITHOUT",
    "MIN_CELLS",
    "NORMAL_B",
    "TARGETS",
    "agreed_b_lineage",
    "assess_target",
    "assess_targets",
    "expected_others",
    "positive_shape",
]

Mask = npt.NDArray[np.bool_]

TARGETS: Final = ("CD19", "CD22")
MIN_CELLS: Final = 20
"""Fewer cells than this say nothing about a marker."""

LOST_PERCENT: Final = 10.0
PRESENT_PERCENT: Final = 70.0
DIM_RATIO: Final = 0.25
ASSUMED_OTHERS: Final = 0.03
"""Share of nucleated cells that may be of another lineage although two routes agree, where no control tells it."""
OTHERS_FACTOR: Final = 3.0
"""Factor on the controls' largest share, because treated marrow holds more dying and immature cells than theirs."""
AGREED_WITHOUT: Final = "agreed_without_"
"""Key of the controls' share of nucleated cells that two routes agree on without the marker named after it."""
NORMAL_B: Final = "normal_b"
"""Key of the controls' levels on B-lineage cells of at least two routes."""


def agreed_b_lineage(routes: npt.NDArray[np.uint8], gates: Sequence[Gate]) -> Mask:
    """Cells that entered the B lineage by two or more routes with different markers.

    ``routes`` as the column of that name, shape (n_events,). Of a panel with one such route its cells.
    """
    witnesses = [1 << i for i, gate in enumerate(gate for gate in gates if gate.route) if gate.witness]
    return np.asarray(np.bitwise_count(routes & np.uint8(sum(witnesses))) >= min(2, len(witnesses) or 1))


def expected_others(learned: GateReference | None, marker: str, nucleated: int) -> float:
    """Expected number of normal cells without a marker among those that entered by two routes.

    :data:`OTHERS_FACTOR` times the largest share of the controls; :data:`ASSUMED_OTHERS` without them.
    """
    known = learned.fraction_range(f"{AGREED_WITHOUT}{marker}") if learned is not None else None
    return nucleated * (ASSUMED_OTHERS if known is None else OTHERS_FACTOR * known[2])


def positive_shape(gates: Sequence[GateEntry], marker: str) -> Shape | None:
    """The marker's positive cut from the ``gates`` of ``gates.json``, or None where it is unavailable."""
    for entry in gates:
        if entry.name == f"{marker.lower()}_pos" and entry.state != "unavailable":
            return shape_from_record(entry.shape)
    return None


def assess_target(
    marker: str,
    columns: Columns,
    cells: Mask,
    positive: Shape | None,
    panel: PanelModel,
    *,
    population: str,
    scale: ChannelScale | None,
    normal: float | None,
    others: float = 0.0,
    prior_therapy: str = "none",
) -> TargetState:
    """Status of one marker.

    Parameters
    ----------
    cells
        Cells to judge, shape (n_events,).
    positive
        Cut above which a cell is positive; a rectangle or leaning line as placed on this tube.
    scale
        Transform of the channel, to take ratios of linear signals.
    normal
        Level of the control marrows' normal B lineage on the panel scale; None without controls.
    others
        Number of cells without the marker that may be normal cells of another lineage. If no more cells lack it, their
        lack says nothing.
    prior_therapy
        ``none``, ``cd19``, ``cd22`` or ``cd19+cd22``.
    """
    found = TargetState(
        percent_positive=None,
        median_ratio_to_reference=None,
        status="not_evaluable",
        population=population,
        note="",
    )
    rows = np.flatnonzero(cells)
    if marker not in columns or marker not in panel.markers:
        return _noted(found, f"{marker} was not measured in this tube.")
    if positive is None or isinstance(positive, Combination | Everything | Nothing):
        return _noted(found, f"The panel has no gate {marker.lower()}_pos that could be placed.")
    if len(rows) < MIN_CELLS:
        return _noted(found, f"{len(rows)} cells, fewer than the {MIN_CELLS} that a statement needs.")
    taken = {channel: columns[channel][rows] for channel in shape_channels(positive)}
    n_positive = int(np.count_nonzero(positive.inside(taken)))
    percent = 100.0 * n_positive / len(rows)
    ratio = _ratio(panel.channel(marker), columns[marker][rows], scale, normal)
    status = _status(percent, ratio)
    notes = [f"{len(rows):,} cells, {percent:.1f} % above the {marker} cut."]
    if ratio is None:
        notes.append("No control marrow to compare brightness with.")
    measured = found.model_copy(
        update={
            "percent_positive": round(percent, 3),
            "median_ratio_to_reference": None if ratio is None else round(ratio, 4),
        }
    )
    if percent < PRESENT_PERCENT and len(rows) - n_positive <= others:
        notes.append(
            f"{marker} not assessable: too many cells of other kinds in the gate (up to {others:,.0f} in normal marrow "
            "of this size)."
        )
        return _noted(measured, " ".join(notes))
    therapies = set(prior_therapy.split("+"))
    channel = panel.channel(marker)
    maskers = sorted(therapies & set(channel.masked_by))
    if status == "lost" and maskers:
        status = "masked_or_lost"
        clone = f"clone {channel.clone}" if channel.clone else "an antibody of unknown clone"
        epitope = f", epitope: {channel.epitope}" if channel.epitope else ""
        notes.append(
            f"After therapy against {', '.join(m.upper() for m in maskers)} the drug may cover the antigen: the panel "
            f"uses {clone}{epitope}. Loss and masking are not distinguishable in this tube."
        )
    elif status == "dim" and maskers:
        notes.append(
            f"Dim signal after therapy against {', '.join(m.upper() for m in maskers)} may be partial masking."
        )
    return _noted(measured, " ".join(notes)).model_copy(update={"status": status})


def assess_targets(
    columns: Columns,
    cells: Mask,
    positives: Mapping[str, Shape | None],
    panel: PanelModel,
    *,
    population: str,
    scales: Mapping[str, ChannelScale],
    normal: Mapping[str, float],
    others: Mapping[str, float] | None = None,
    prior_therapy: str = "none",
) -> dict[str, TargetState]:
    """Status of CD19 and CD22 on ``cells``, shape (n_events,); see :func:`assess_target`."""
    return {
        marker: assess_target(
            marker,
            columns,
            cells,
            positives.get(marker),
            panel,
            population=population,
            scale=scales.get(marker),
            normal=normal.get(marker),
            others=(others or {}).get(marker, 0.0),
            prior_therapy=prior_therapy,
        )
        for marker in TARGETS
    }


def _noted(state: TargetState, note: str) -> TargetState:
    return state.model_copy(update={"note": note})


def _ratio(
    channel: Channel,
    values: npt.NDArray[np.floating[Any]],
    scale: ChannelScale | None,
    normal: float | None,
) -> float | None:
    """Ratio of median linear signals; None without a scale or a positive reference level; never below 0."""
    if scale is None or normal is None:
        return None
    expected = float(panel_channel_scale(channel, scale).inverse(normal))
    return max(float(scale.inverse(float(np.median(values)))), 0.0) / expected if expected > 0 else None


def _status(percent: float, ratio: float | None) -> str:
    if percent < LOST_PERCENT:
        return "lost"
    return "dim" if percent < PRESENT_PERCENT or (ratio is not None and ratio < DIM_RATIO) else "present"

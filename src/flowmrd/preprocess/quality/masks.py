"""All masks of one tube, in the order of the attrition table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import QualityConfig
from flowmrd.flags import Flag, flag
from flowmrd.panel.gates import SingletGate
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.quality.clipped_singles import clipped_margin, find_single_bands
from flowmrd.preprocess.quality.debris import DebrisCut, find_debris_cut
from flowmrd.preprocess.quality.doublets import DoubletBand, find_doublet_band
from flowmrd.preprocess.quality.dyes import DyeCut, find_dye_cut
from flowmrd.preprocess.quality.margins import PILE_UP_WARN, margin_edges, scatter_margin
from flowmrd.preprocess.quality.time import TimeCheck, check_time
from flowmrd.records.quality import AttritionEntry
from flowmrd.units import LOGICLE_M

__all__ = ["STEPS", "MaskSet", "analysable_events", "attrition", "build_masks"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

STEPS: Final = ("nonfinite", "margin", "time", "dead", "doublet", "debris")
"""Masks in the order in which the attrition table subtracts them; columns are called ``mask_<step>``."""

ALWAYS: Final = ("nonfinite", "margin", "dead")
"""Masks that make an event not analysable whatever the configuration says; ``time`` joins them by configuration."""


@dataclass(frozen=True)
class MaskSet:
    """Masks by step (True = masked) and how each was placed.

    ``margins``: clip value by forward scatter channel; ``margin_singles``: bands by which a clipped event is one cell.
    """

    masks: dict[str, Mask]
    time: TimeCheck
    doublets: DoubletBand
    debris: DebrisCut
    dyes: tuple[DyeCut, ...]
    flags: tuple[Flag, ...]
    margins: Mapping[str, float]
    margin_singles: tuple[DoubletBand, ...] = ()

    def analysable(self, *, with_time: bool) -> Mask:
        """True for events that enter the analysis, shape (n_events,)."""
        return analysable_events(self.masks, len(self.masks["nonfinite"]), time_mask=with_time)


def analysable_events(masks: Mapping[str, Mask], n_events: int, *, time_mask: bool) -> Mask:
    """True for events that enter the analysis, shape (n_events,).

    Parameters
    ----------
    masks
        Step to its mask (True = masked), shape (n_events,); an absent step masks nothing.
    time_mask
        Whether events of unstable stretches of the acquisition are left out (``quality.time_mask``).
    """
    keep = np.ones(n_events, dtype=np.bool_)
    for step in (*ALWAYS, *(("time",) if time_mask else ())):
        if step in masks:
            keep &= ~masks[step]
    return keep


def build_masks(
    columns: Mapping[str, Values],
    kinds: Mapping[str, ChannelKind],
    nonfinite: Mask,
    config: QualityConfig,
    *,
    singlets: SingletGate | None = None,
) -> MaskSet:
    """Build all masks of a tube.

    Parameters
    ----------
    columns
        The panel's channels on the 0..1 scale, time in seconds; each of shape (n_events,).
    kinds
        Kind of each column.
    nonfinite
        True for events with a NaN or infinity in any column.
    singlets
        The panel's singlet gate at the root, so that gate and mask agree; defaults where the panel has none.
    """
    n = len(nonfinite)
    flags: list[Flag] = []
    edges = margin_edges(columns)
    margin = scatter_margin(columns, edges) & ~nonfinite if n else np.zeros(0, dtype=np.bool_)
    usable = ~(nonfinite | margin)
    dyes: list[DyeCut] = []
    masks: dict[str, Mask] = {"nonfinite": nonfinite, "margin": margin}
    signal = {
        name: values
        for name, values in columns.items()
        if kinds[name] in (ChannelKind.ANTIBODY, ChannelKind.NUCLEIC_ACID, ChannelKind.VIABILITY, ChannelKind.SCATTER)
        and not name.endswith(("-W", "-H"))
    }
    clock = next((values for name, values in columns.items() if kinds[name] is ChannelKind.TIME), None)
    scatter = [name for name in signal if kinds[name] is ChannelKind.SCATTER]
    time = check_time(signal, clock, scatter=scatter, usable=usable)
    masks["time"] = time.mask
    flags.extend(_time_flags(time, config, has_clock=clock is not None))
    # A nucleic acid dye has no mask: the gate of nucleated cells is the only place of its threshold.
    masks["dead"] = np.zeros(n, dtype=np.bool_)
    for name in columns:
        if kinds[name] is ChannelKind.VIABILITY:
            cut = find_dye_cut(name, columns[name], masked_side="above", usable=usable)
            dyes.append(cut)
            masks["dead"] |= cut.masked(columns[name])
    # The gates are placed on analysable events, debris among single cells: masks look at the same events, and agree.
    usable = analysable_events(masks, n, time_mask=config.time_mask)
    band = _singlet_band(columns, usable, singlets)
    singles: tuple[DoubletBand, ...] = ()
    clipped = float(margin.mean()) if n else 0.0
    if margin.any():
        singles = find_single_bands(columns, edges, usable, band)
        masks["margin"] = clipped_margin(columns, edges, singles) & ~nonfinite
        usable = analysable_events(masks, n, time_mask=config.time_mask)
        band = _singlet_band(columns, usable, singlets)
    masks["doublet"] = ~band.inside(columns) if n else np.zeros(0, dtype=np.bool_)
    if band.kind == "none":
        flags.append(flag("DOUBLETS_NOT_CHECKED", why=band.reason))
    debris = find_debris_cut(columns, usable=usable & ~masks["doublet"])
    masks["debris"] = debris.inside(columns) if "FSC-A" in columns else np.zeros(n, dtype=np.bool_)
    if debris.method == "none":
        flags.append(flag("DEBRIS_NOT_CHECKED", why=debris.reason))
    if clipped > PILE_UP_WARN:
        lost = float(masks["margin"].mean())
        flags.append(flag("SCATTER_SATURATED", share=clipped, lost=lost))
    return MaskSet({step: masks[step] for step in STEPS}, time, band, debris, tuple(dyes), tuple(flags), edges, singles)


def _singlet_band(columns: Mapping[str, Values], usable: Mask, singlets: SingletGate | None) -> DoubletBand:
    """The band of single cells as the panel's gate places it."""
    if singlets is None:
        return find_doublet_band(columns, within=usable)
    return find_doublet_band(
        columns,
        within=usable,
        area=singlets.area,
        partners=singlets.partners,
        n_mad=singlets.n_mad,
        min_events=singlets.min_events,
    )


def attrition(masks: MaskSet) -> tuple[AttritionEntry, ...]:
    """Events masked by each step alone, removed beyond the steps before, and left after."""
    n = len(masks.masks["nonfinite"])
    kept = np.ones(n, dtype=np.bool_)
    rows = [AttritionEntry(step="acquired", masked=0, removed=0, remaining=n)]
    remaining = n
    for step in STEPS:
        mask = masks.masks[step]
        kept &= ~mask
        left = int(np.count_nonzero(kept))
        masked = int(np.count_nonzero(mask))
        rows.append(AttritionEntry(step=step, masked=masked, removed=remaining - left, remaining=left))
        remaining = left
    return tuple(rows)


def _time_flags(time: TimeCheck, config: QualityConfig, *, has_clock: bool) -> list[Flag]:
    flags: list[Flag] = []
    if not time.checked:
        return [flag("TIME_NOT_CHECKED", why=time.reason)]
    share = float(time.mask.mean())
    if share > config.time_max_removed_fail:
        flags.append(flag("TIME_UNSTABLE", share=share))
    elif share > config.time_max_removed_warn:
        flags.append(flag("TIME_DISTURBED", share=share))
    mild = time.shifted & ~time.bad
    if mild.any():
        most = int(np.argmax(np.where(mild, np.abs(time.shift), 0.0)))
        flags.append(
            flag(
                "SIGNAL_SHIFT",
                share=float(np.mean(mild)),
                decades=abs(time.shift[most]) * LOGICLE_M,
                channel=time.worst[most],
            )
        )
    if not has_clock:
        flags.append(flag("NO_TIME_CHANNEL"))
    if time.time_steps_back:
        flags.append(flag("TIME_STEPS_BACK", steps=time.time_steps_back))
    if len(time.rate):
        usual = float(np.median(time.rate))
        odd = float(np.mean((time.rate < usual / 5) | (time.rate > usual * 5))) if usual > 0 else 0.0
        if odd > 0:
            flags.append(flag("FLOW_RATE_UNEVEN", share=odd))
    for channel, (rho, extent) in time.drift.items():
        flags.append(flag("SIGNAL_DRIFT", channel=channel, decades=extent * LOGICLE_M, rho=rho))
    return flags

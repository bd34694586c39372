"""Single cells among the events whose forward scatter is clipped.

A detector at too high a voltage clips large cells, and a leukaemia of large blasts can be nearly all of them. They are
cells: without them the denominator is too small, and the leukaemia is not counted. What speaks against a clipped event
is that it may be an aggregate, and the ratio of area to height, which tells these elsewhere, may be clipped too. So an
event is kept where the pulse is still known to be that of one cell:

* by its width, if the instrument measured the width and did not compute it from clipped values;
* by area over height, if the height alone is clipped: the true ratio is lower still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.quality.doublets import DoubletBand, find_doublet_band
from flowmrd.preprocess.quality.margins import scatter_margin

__all__ = ["clipped_margin", "find_single_bands"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

WIDTH: Final = "FSC-W"

COMPUTED_SHARE: Final = 0.2
"""Share of the clipped pulses at one width from which the width was computed from clipped values: where area and height
are both at the top, it is the same for all. In two real tubes it was 0.256 for most of them; measured widths of single
cells vary by 2 to 5 %, and less than a twentieth of them share a value."""

SAME_WIDTH: Final = 0.001
"""Relative difference up to which widths are one value."""

JUDGED_LEAST: Final = 20
"""Clipped events from which the width is examined; fewer are no part of a denominator."""


def find_single_bands(
    columns: Mapping[str, Values], edges: Mapping[str, float], usable: Mask, band: DoubletBand
) -> tuple[DoubletBand, ...]:
    """Bands of single cells that also hold for events with clipped forward scatter.

    Parameters
    ----------
    columns
        Scatter columns on the 0..1 scale, each of shape (n_events,).
    edges
        Forward scatter channel to the value from which its events are clipped.
    usable
        Events that a band may be placed on, none of them clipped; shape (n_events,).
    band
        The tube's band of single cells, placed on these events.
    """
    width = band if band.kind == "width" else DoubletBand("none")
    if band.kind == "ratio" and WIDTH in columns:
        width = find_doublet_band(columns, area=band.x, partners=(WIDTH,), within=usable)
    measured = width.kind == "width" and not _is_computed(columns, edges, width.y)
    return tuple(one for one in (width if measured else None, band if band.kind == "ratio" else None) if one)


def clipped_margin(columns: Mapping[str, Values], edges: Mapping[str, float], singles: tuple[DoubletBand, ...]) -> Mask:
    """True for margin events, shape (n_events,): clipped forward scatter without a pulse of one cell, or none above 0.

    Parameters
    ----------
    edges
        Forward scatter channel to the value from which its events are clipped.
    singles
        Result of :func:`find_single_bands` for this tube or another.
    """
    margin = scatter_margin(columns, edges)
    rows = np.flatnonzero(margin)
    here = {
        name: columns[name][rows]
        for name in {*edges, *(name for one in singles for name in (one.x, one.y))}
        if name in columns
    }
    single = np.zeros(len(rows), dtype=np.bool_)
    for band in singles:
        if band.y not in here or band.x not in here:
            continue
        told = band.inside(here)
        if band.kind == "ratio":
            told &= here[band.x] < edges.get(band.x, np.inf)
        single |= told
    for name in edges:
        if name in here:
            single &= here[name] > 0
    margin[rows[single]] = False
    return margin


def _is_computed(columns: Mapping[str, Values], edges: Mapping[str, float], width: str) -> bool:
    """Whether the width of clipped pulses follows from their clipped area and height, or nobody can tell."""
    clipped = np.ones(len(columns[width]), dtype=np.bool_)
    for name, edge in edges.items():
        clipped &= columns[name] >= edge
    values = np.sort(columns[width][clipped].astype(np.float64))
    if len(values) < JUDGED_LEAST:
        return True
    same = np.searchsorted(values, values * (1.0 + SAME_WIDTH), side="right") - np.arange(len(values))
    return int(same.max()) >= COMPUTED_SHARE * len(values)

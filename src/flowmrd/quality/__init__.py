"""Masks of events that are no sound single cells. A mask never deletes; True means masked."""

from flowmrd.quality.doublets import DoubletBand, estimate_doublet_band, find_doublet_band
from flowmrd.quality.margins import saturated_share, scatter_margin

__all__ = [
    "DoubletBand",
    "estimate_doublet_band",
    "find_doublet_band",
    "saturated_share",
    "scatter_margin",
]

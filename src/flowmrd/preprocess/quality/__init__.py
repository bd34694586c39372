"""Quality masks: events that are not intact single cells. A mask deletes nothing; True means masked."""

from flowmrd.preprocess.quality.debris import DebrisCut, find_debris_cut
from flowmrd.preprocess.quality.doublets import DoubletBand, estimate_doublet_band, find_doublet_band
from flowmrd.preprocess.quality.dyes import DyeCut, find_dye_cut
from flowmrd.preprocess.quality.margins import PILE_UP_WARN, saturated_share, scatter_margin
from flowmrd.preprocess.quality.time import TimeCheck, check_time

__all__ = [
    "PILE_UP_WARN",
    "DebrisCut",
    "DoubletBand",
    "DyeCut",
    "TimeCheck",
    "check_time",
    "estimate_doublet_band",
    "find_debris_cut",
    "find_doublet_band",
    "find_dye_cut",
    "saturated_share",
    "scatter_margin",
]

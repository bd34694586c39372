"""Single-stain tubes: the stained channel, and the cells used for the spillover matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import CompensationError
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.compensation.matrix import normal_name
from flowmrd.preprocess.quality import find_doublet_band, scatter_margin
from flowmrd.preprocess.scaling import FLUORESCENT
from flowmrd.preprocess.transform import choose_top, upper_value
from flowmrd.store import ColumnStore

__all__ = ["SCATTER", "UNSTAINED", "Float32", "single_cells", "stained_column"]

UNSTAINED: Final = frozenset({"unstained", "none", "blank", "negative"})
"""What a sheet may call the tube without a stain."""

SCATTER: Final = ("FSC-A", "SSC-A")

Float32 = npt.NDArray[np.float32]


def stained_column(tube: str, stain: str, panel: PanelModel, detectors: Mapping[str, str | None]) -> str:
    """The panel's channel that is stained in a single-stain tube.

    Parameters
    ----------
    stain
        Marker, dye or detector, as the sheet has it.
    detectors
        Column to ``$PnN``.

    Raises
    ------
    CompensationError
        If the panel has no such channel.
    """
    wanted = normal_name(stain)
    for channel in panel.channels:
        if channel.kind in FLUORESCENT:
            names = [channel.marker, channel.fluorochrome or "", *channel.aliases]
            names.append(detectors.get(channel.marker) or "")
            names += [f"{channel.marker}{channel.fluorochrome or ''}", f"{channel.fluorochrome or ''}{channel.marker}"]
            if wanted in {normal_name(name) for name in names if name}:
                return channel.marker
    raise CompensationError(
        tube,
        found=f"the stain {stain[:60]!r}",
        expected="a marker, dye or detector of the panel, or 'unstained'",
        todo="correct the column 'stain' of the sample sheet",
    )


def single_cells(store: ColumnStore, ranges: Mapping[str, float | None], channels: Sequence[str]) -> dict[str, Float32]:
    """Raw fluorescence of single cells or beads inside the scatter range, without events saturated in a detector.

    Parameters
    ----------
    store
        Stored columns of the tube, each of shape (n_events,).
    ranges
        Column to the top of its range (:func:`flowmrd.preprocess.scaling.stored_ranges`).
    channels
        Fluorescence columns that are wanted.

    Returns
    -------
    dict
        These columns and forward and side scatter, each of shape (n_kept,).
    """
    n = store.n_events
    keep = np.ones(n, dtype=np.bool_)
    scatter: dict[str, Float32] = {}
    for name in ("FSC-A", "FSC-H", "FSC-W"):
        if name in store:
            top = choose_top(ranges.get(name), upper_value([store[name]]))[0]
            scatter[name] = np.asarray(store[name] / np.float32(top), dtype=np.float32)
    if scatter and n:
        keep &= ~scatter_margin(scatter)
        keep &= find_doublet_band(scatter, within=keep).inside(scatter)
    for name in channels:
        values = store[name]
        top = choose_top(ranges.get(name), upper_value([values]))[0]
        keep &= np.isfinite(values) & (values < 0.98 * top)
    return {name: np.array(store[name][keep]) for name in (*channels, *SCATTER) if name in store}

"""What gating reads of a preprocessed file: the panel's columns and which events are analysable."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import QualityConfig
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.preprocess.quality.masks import ALWAYS
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.store import ColumnStore

__all__ = ["analysable_mask", "panel_columns", "stored_scales"]


def analysable_mask(store: ColumnStore, quality: QualityConfig) -> npt.NDArray[np.bool_]:
    """True for events that no excluding mask hides; ``mask_time`` counts where the configuration says so."""
    steps = [*ALWAYS, *(["time"] if quality.time_mask else [])]
    keep = np.ones(store.n_events, dtype=np.bool_)
    for step in steps:
        if f"mask_{step}" in store:
            keep &= ~store[f"mask_{step}"]
    return keep


def panel_columns(store: ColumnStore, panel: PanelModel) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """The panel's channels that the file has, time left out."""
    return {
        channel.marker: store[channel.marker]
        for channel in panel.channels
        if channel.marker in store and channel.kind is not ChannelKind.TIME
    }


def stored_scales(store: ColumnStore) -> dict[str, ChannelScale]:
    """Channel to the transform its column is stored with; empty for a file that does not say."""
    records = json.loads(store.metadata.get("transforms", "{}"))
    return {name: ChannelScale.from_record(record) for name, record in records.items()}

"""Converting bounds that a panel file gives in raw units to the panel scale of one tube."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flowmrd.gating.panel_scale import PANEL_WIDTH, PanelScale
from flowmrd.panel.gates import CutGate, Gate
from flowmrd.panel.model import Channel, PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.units import LOGICLE_M, LOGICLE_T

__all__ = ["resolved_gates"]


def resolved_gates(panel: PanelModel, panel_scale: PanelScale, scales: Mapping[str, ChannelScale]) -> tuple[Gate, ...]:
    """The gates of a panel with every bound and fallback on the panel scale.

    Parameters
    ----------
    panel_scale, scales
        Conversion of the tube's columns to the panel scale, and the transforms that they are stored with.
    """
    if not any(isinstance(gate, CutGate) and gate.units == "raw" for gate in panel.gates):
        return panel.gates
    return tuple(_resolved(gate, panel, panel_scale, scales) for gate in panel.gates)


def _resolved(gate: Gate, panel: PanelModel, panel_scale: PanelScale, scales: Mapping[str, ChannelScale]) -> Gate:
    if not isinstance(gate, CutGate) or gate.units != "raw":
        return gate
    scale = scales.get(gate.channel) or _as_the_panel_has_it(panel.channel(gate.channel))

    def placed(raw: float) -> float:
        stored = scale.apply(np.array([raw], dtype=np.float32))
        return float(panel_scale.to_panel(gate.channel, stored)[0])

    low, high, fallback = (placed(value) for value in (*gate.bounds, gate.fallback))
    return gate.model_copy(update={"bounds": (low, high), "fallback": fallback, "units": "scale"})


def _as_the_panel_has_it(channel: Channel) -> ChannelScale:
    wanted = channel.transform
    if wanted.kind == "linear":
        return ChannelScale("linear", wanted.T or LOGICLE_T, LOGICLE_M, 0.0, 0.0)
    width = PANEL_WIDTH if wanted.W is None else wanted.W
    return ChannelScale("logicle", wanted.T or LOGICLE_T, wanted.M, width, wanted.A)

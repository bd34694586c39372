"""Staining panels: channels, aliases, roles and the gate tree."""

from flowmrd.panel.load import find_panel, load_panel
from flowmrd.panel.model import Channel, ChannelKind, PanelModel

__all__ = ["Channel", "ChannelKind", "PanelModel", "find_panel", "load_panel"]

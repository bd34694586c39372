"""``control-limits.json``: limits of the Levey-Jennings charts, locked from the controls of a finished run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.records.base import Artefact

__all__ = ["ChannelLimits", "ControlLimitsFile", "PanelLimits"]


class ChannelLimits(Artefact):
    """Mean and spread of one channel's medians over the controls, 0..1 scale."""

    mean: float
    sd: float = Field(gt=0)
    n: int = Field(ge=2, description="Controls that they come from.")


class PanelLimits(Artefact):
    """Limits of one panel on one cytometer."""

    panel: str
    instrument: str = Field(description="Digest of the serial number, else the model; empty where no file says it.")
    controls: tuple[str, ...]
    channels: dict[str, ChannelLimits]


class ControlLimitsFile(Artefact):
    """What ``flowmrd reference limits`` writes and ``report.control_limits`` names."""

    format: Literal["flowmrd-control-limits/1"] = "flowmrd-control-limits/1"
    limits: tuple[PanelLimits, ...]

    def of(self, panel: str, instrument: str) -> PanelLimits | None:
        """Limits of a panel on a cytometer."""
        return next((one for one in self.limits if (one.panel, one.instrument) == (panel, instrument)), None)

"""The standard plots of a report: the usual displays of a B-ALL MRD laboratory, in the same order for every tube.

The list follows the displays of COG and EuroFlow protocols (Borowitz et al., Cytometry B 2005;68:18-24; Theunissen et
al., Blood 2017;129:347-357): gates first, then the B lineage on the pairs of markers that separate leukaemia from
haematogones.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

ChannelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$")]


class Plot(BaseModel):
    """One plot: two channels of the panel and the gate whose events it shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x: ChannelName = Field(description="Channel of the horizontal axis.")
    y: ChannelName = Field(description="Channel of the vertical axis.")
    parent: str = Field("b_lineage", description="Gate whose events are shown; root for all analysable events.")
    title: str = Field("", max_length=60, description="Words for the report; the channels where empty.")


MATURATION: Final = ("haematogones_1", "haematogones_2", "haematogones_3", "mature_b")

STANDARD: Final = (
    Plot(x="CD45", y="SSC-A", parent="nucleated", title="Blast gate"),
    Plot(x="CD19", y="SSC-A", parent="nucleated", title="CD19 gate"),
    Plot(x="FSC-A", y="FSC-H", parent="root", title="Single cells"),
    Plot(x="Time", y="SSC-A", parent="root", title="Stability over the run"),
    Plot(x="CD20", y="CD10"),
    Plot(x="CD38", y="CD10"),
    Plot(x="CD38", y="CD34"),
    Plot(x="CD34", y="CD10"),
    Plot(x="CD58", y="CD10"),
    Plot(x="CD22", y="CD19"),
)
"""Plots of panels that declare none, as far as the channels go."""


def standard_plots(channels: set[str], gates: set[str]) -> tuple[Plot, ...]:
    """Plots of :data:`STANDARD` for which the panel has both channels and the gate."""
    have = {"root", *gates}
    return tuple(plot for plot in STANDARD if {plot.x, plot.y} <= channels and plot.parent in have)

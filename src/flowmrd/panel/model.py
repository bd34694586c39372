"""The panel file as a typed model: channels, how files name them, and the gate tree.

A panel is data that a laboratory edits without Python. The JSON schema under ``workflow/schemas`` is generated from
these models.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowmrd.errors import GateError, PanelError
from flowmrd.panel.gates import BooleanGate, Gate, check_tree
from flowmrd.panel.plots import MATURATION, Plot, standard_plots

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$")]


class Strict(BaseModel):
    """Base of all panel models: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChannelKind(StrEnum):
    """What a channel measures; decides whether it is compensated and how it is scaled."""

    SCATTER = "scatter"
    TIME = "time"
    ANTIBODY = "antibody"
    NUCLEIC_ACID = "nucleic_acid"
    VIABILITY = "viability"
    EMPTY = "empty"


class ChannelTransform(Strict):
    """How one channel is transformed to the 0..1 scale."""

    kind: Literal["logicle", "asinh", "linear"] = Field("logicle", description="Transform of the compensated value.")
    T: float | None = Field(
        None, ge=1, le=1e12, description="Top of the scale in raw units; the channel's range where absent."
    )
    M: float = Field(4.5, gt=0, le=10, description="Decades of the logicle display.")
    A: float = Field(0.0, ge=0, le=10, description="Additional negative decades.")
    W: float | None = Field(
        None,
        ge=0,
        le=10,
        description="Linearisation width in decades; estimated from the batch's controls where absent.",
    )
    cofactor: float = Field(150.0, ge=1e-3, le=1e9, description="Cofactor of the asinh transform.")

    @model_validator(mode="after")
    def _possible(self) -> ChannelTransform:
        if self.W is not None and (2 * self.W > self.M or self.A > self.M - 2 * self.W):
            raise ValueError(f"W={self.W:g} and A={self.A:g} do not fit M={self.M:g}: 0 <= W <= M/2, A <= M - 2W")
        return self


class Channel(Strict):
    """One measured channel of the panel."""

    marker: Name = Field(description="Marker or signal name: CD19, FSC-A, Time. Names the column in every later stage.")
    kind: ChannelKind = Field(ChannelKind.ANTIBODY, description="What the channel measures.")
    fluorochrome: str | None = Field(None, description="Dye, for example PE-Cy7.")
    clone: str | None = Field(None, description="Antibody clone.")
    epitope: str | None = Field(
        None, description="Epitope, where masking by a therapeutic antibody matters (CD22: that of inotuzumab or not)."
    )
    masked_by: tuple[Literal["cd19", "cd22"], ...] = Field(
        (), description="Therapies whose drug may sit on this antibody's epitope, so that low signal may be masking."
    )
    aliases: tuple[str, ...] = Field(
        (), description="Other names of the marker in $PnS, compared without case or punctuation."
    )
    detectors: tuple[str, ...] = Field(
        (),
        description="Regular expressions for $PnN, tried after the marker names; of scatter before them, so that an "
        "odd pulse name can be given.",
    )
    required: bool = Field(True, description="True for backbone channels: a file without it stops that sample.")
    feature: bool = Field(False, description="True for the channels that the classifier uses.")
    unreliable_after: tuple[Literal["cd19", "cd22", "steroid"], ...] = Field(
        (), description="Therapies after which the marker may be lost or shifted and is down-weighted."
    )
    transform: ChannelTransform = Field(ChannelTransform(), description="Scaling to 0..1.")

    @field_validator("detectors")
    @classmethod
    def _readable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return patterns


class PanelModel(Strict):
    """A staining panel and the gate tree that belongs to it."""

    name: Name = Field(description="Short name used in the configuration, equal to the file's stem.")
    version: str = Field(description="Changed whenever the file changes; a panel in use is never edited in place.")
    title: str = Field(description="One line for the report.")
    source: str = Field("", description="Where the panel comes from.")
    channels: tuple[Channel, ...] = Field(min_length=3, description="All channels, scatter and time included.")
    landmark: dict[str, Annotated[float, Field(ge=0.001, lt=1)]] = Field(
        {},
        description="Scatter channel to the place of lymphocytes in the numbers of the gates: a tube whose lymphocytes "
        "lie elsewhere has its scatter multiplied accordingly before thresholds are looked for. Without it numbers are "
        "taken as they stand.",
    )
    gates: tuple[Gate, ...] = Field(description="The gate tree, parents before children.")
    plots: tuple[Plot, ...] = Field(
        (),
        max_length=24,
        description="The standard plots of every report, in order. Where the section is absent, those of "
        "flowmrd.panel.plots that the panel has the channels for.",
    )
    maturation: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="Gates of normal B-cell maturation, earliest first: their contours lie under the standard plots. "
        f"Where absent, those of {', '.join(MATURATION)} that the gate tree has.",
    )

    def __repr__(self) -> str:
        parts = f"{len(self.channels)} channels, {len(self.gates)} gates"
        return f"PanelModel({self.name!r}, version {self.version}, {parts})"

    @model_validator(mode="after")
    def _consistent(self) -> PanelModel:
        markers = [channel.marker for channel in self.channels]
        twice = sorted({marker for marker in markers if markers.count(marker) > 1})
        if twice:
            raise ValueError(f"markers defined twice: {', '.join(twice)}")
        kinds = {channel.marker: channel.kind for channel in self.channels}
        wrong = [name for name in self.landmark if kinds.get(name) is not ChannelKind.SCATTER]
        if wrong:
            raise ValueError(f"landmark names {', '.join(wrong)}, which is not a scatter channel of the panel")
        check_tree(self.gates, set(markers))
        stored = {gate.name for gate in self.gates if not gate.helper}
        for plot in self.plots:
            absent = [name for name in (plot.x, plot.y) if name not in kinds]
            if absent:
                raise ValueError(f"plots: {plot.x} / {plot.y} names {', '.join(absent)}, not a channel of the panel")
            if plot.parent not in {"root", *stored}:
                raise ValueError(f"plots: {plot.x} / {plot.y} is of {plot.parent}, not a stored gate of the panel")
        stray = [name for name in self.maturation if name not in stored]
        if stray:
            raise ValueError(f"maturation names {', '.join(stray)}, not a stored gate of the panel")
        return self

    @property
    def standard_plots(self) -> tuple[Plot, ...]:
        """The standard plots of every report: the panel's own, else flowmrd's for the channels of the panel."""
        return self.plots or standard_plots(set(self.markers), {gate.name for gate in self.gates if not gate.helper})

    @property
    def maturation_gates(self) -> tuple[str, ...]:
        """Gates of normal B-cell maturation, earliest first."""
        stored = {gate.name for gate in self.gates if not gate.helper}
        return self.maturation or tuple(name for name in MATURATION if name in stored)

    @property
    def markers(self) -> tuple[str, ...]:
        """Marker names in panel order."""
        return tuple(channel.marker for channel in self.channels)

    @property
    def features(self) -> tuple[str, ...]:
        """Markers that the classifier uses, in panel order."""
        return tuple(channel.marker for channel in self.channels if channel.feature)

    def routes_without(self, marker: str) -> list[str]:
        """Routes into the B lineage that require no gate on this marker; gates that they exclude may use it."""
        gates = {gate.name: gate for gate in self.gates}

        def uses(name: str) -> bool:
            gate = gates[name]
            asked = (*gate.all_of, *gate.any_of) if isinstance(gate, BooleanGate) else ()
            return marker in gate.dimensions() or any(map(uses, asked))

        return [gate.name for gate in self.gates if gate.route and not uses(gate.name)]

    def gate(self, name: str, where: str) -> Gate:
        """Return a gate by its name.

        Parameters
        ----------
        name
            As it stands in the panel file.
        where
            File that uses the name, for the message.

        Raises
        ------
        GateError
            If the panel has no such gate; the message gives the most similar name.
        """
        for gate in self.gates:
            if gate.name == name:
                return gate
        names = [gate.name for gate in self.gates]
        near = get_close_matches(name, names, n=1)
        raise GateError(
            where,
            found=f"a gate {name[:60]!r}",
            expected=f"a gate of panel {self.name}",
            todo=f"did you mean {near[0]}?" if near else f"use one of the panel's gates: {', '.join(names)}",
        )

    def channel(self, marker: str) -> Channel:
        """Return the channel of a marker.

        Raises
        ------
        PanelError
            If the panel has no such channel; the message gives the most similar name.
        """
        for channel in self.channels:
            if channel.marker == marker:
                return channel
        near = get_close_matches(marker, self.markers, n=1)
        raise PanelError(
            f"panel {self.name}",
            found=f"no channel {marker[:60]!r}",
            expected=f"one of {', '.join(self.markers)}",
            todo=f"did you mean {near[0]}?" if near else "use one of these",
        )

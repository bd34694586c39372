"""Compensated columns of a tube and the scale of each channel, for preprocessing and for the transform reference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import RunConfig
from flowmrd.panel.model import Channel, ChannelKind, PanelModel
from flowmrd.preprocess.compensation import Spillover, compensate_columns
from flowmrd.preprocess.compensation.source import find_spillover
from flowmrd.preprocess.transform import ChannelScale, choose_top, estimate_width, negative_reference, upper_value
from flowmrd.records.ingest import ChannelEntry, Facts
from flowmrd.records.references import FrozenScale

__all__ = [
    "CompensatedTube",
    "choose_scales",
    "compensate_tube",
    "find_spillover",
    "fluorescence",
    "scales_as_text",
    "stored_ranges",
]

Float32 = npt.NDArray[np.float32]

FLUORESCENT = frozenset({ChannelKind.ANTIBODY, ChannelKind.NUCLEIC_ACID, ChannelKind.VIABILITY})


@dataclass(frozen=True)
class CompensatedTube:
    """A tube after compensation.

    Attributes
    ----------
    columns
        The panel's channels that the file has, in panel order. Fluorescence: compensated raw units, always writeable.
        Scatter and time: the stored columns.
    channels
        Panel channel of each column.
    ranges
        ``$PnR`` of each column as ingest recorded it, or None.
    spillover
        The matrix that was applied, or None where the configuration says none.
    uncompensated
        Fluorescence channels that the matrix does not name.
    upper
        Largest of the fluorescence channels' 99.9th percentiles, raw units before compensation.
    """

    columns: dict[str, Float32]
    channels: dict[str, Channel]
    ranges: dict[str, float | None]
    spillover: Spillover | None
    uncompensated: tuple[str, ...]
    upper: float


def fluorescence(tube: CompensatedTube) -> list[str]:
    """Fluorescence columns of a tube, in panel order."""
    return [name for name, channel in tube.channels.items() if channel.kind in FLUORESCENT]


def compensate_tube(
    stored: Mapping[str, Float32], record: Facts, panel: PanelModel, spillover: Spillover | None
) -> CompensatedTube:
    """Compensate the panel's fluorescence columns of one tube, in place where the arrays are writeable.

    Parameters
    ----------
    stored
        Columns as stored, raw units, each of shape (n_events,).
    record
        Facts about the file, which hold its channels.
    spillover
        Matrix to apply; None where the values stay as they are.
    """
    present = [channel for channel in panel.channels if channel.marker in stored]
    channels = {channel.marker: channel for channel in present}
    recorded = stored_ranges(record.channels)
    dyes = [name for name, channel in channels.items() if channel.kind in FLUORESCENT]
    inside = [] if spillover is None else [name for name in dyes if name in spillover.names]
    outside = [name for name in dyes if name not in inside]
    columns: dict[str, Float32] = {name: stored[name] for name in channels}
    upper = upper_value([columns[name] for name in dyes], stride=max(len(next(iter(stored.values()))) // 100_000, 1))
    if inside and spillover is not None:
        raw = {name: stored[name] for name in spillover.names}
        target = {name: _writeable(columns[name]) for name in inside}
        columns.update(compensate_columns(raw, spillover.names, spillover.inverse(), inside, out=target))
    columns.update({name: columns[name] if columns[name].flags.writeable else columns[name].copy() for name in outside})
    return CompensatedTube(
        columns=columns,
        channels=channels,
        ranges={name: recorded.get(name) for name in channels},
        spillover=spillover,
        uncompensated=() if spillover is None else tuple(outside),
        upper=upper,
    )


def _writeable(values: Float32) -> Float32:
    return values if values.flags.writeable else np.empty_like(values)


def stored_ranges(channels: Sequence[ChannelEntry]) -> dict[str, float | None]:
    """Top of each stored column: ``$PnR`` on the scale of the events, that is after gain or log amplification."""
    ranges: dict[str, float | None] = {}
    for channel in channels:
        if channel.log is not None:
            decades, offset = channel.log
            ranges[channel.column] = offset * 10.0**decades
        else:
            ranges[channel.column] = None if channel.range is None else float(channel.range) / (channel.gain or 1.0)
    return ranges


def choose_scales(
    tube: CompensatedTube, config: RunConfig, frozen: Mapping[str, FrozenScale] | None, *, estimate: bool
) -> dict[str, ChannelScale]:
    """Scale of every column of a tube but time.

    Parameters
    ----------
    frozen
        ``channels`` of the transform reference, or None.
    estimate
        Whether to estimate W from this tube where neither panel nor ``frozen`` gives it; without it the default width
        is used.
    """
    scales: dict[str, ChannelScale] = {}
    for name, channel in tube.channels.items():
        if channel.kind is ChannelKind.TIME:
            continue
        settings = channel.transform
        if frozen is not None and name in frozen:
            scales[name] = ChannelScale.from_record(frozen[name])
            continue
        kind = "linear" if channel.kind is ChannelKind.SCATTER else settings.kind
        top, top_source = (settings.T, "panel") if settings.T is not None else (None, "")
        if top is None:
            upper = tube.upper
            if channel.kind is ChannelKind.SCATTER:
                stride = max(len(tube.columns[name]) // 100_000, 1)
                upper = upper_value([tube.columns[name]], stride=stride)
            top, top_source = choose_top(tube.ranges[name], upper)
        width, width_source = settings.W, "panel"
        if width is None and kind == "logicle":
            width, width_source = config.transform.default_width, "default"
            if config.transform.width == "fixed":
                width_source = "fixed"
            elif estimate:
                reference = negative_reference(tube.columns[name])
                if reference is not None:
                    width, width_source = estimate_width(reference, top, settings.M), "sample"
        scales[name] = ChannelScale(
            kind=kind,
            T=top,
            M=settings.M,
            W=width if width is not None else 0.0,
            A=settings.A,
            cofactor=settings.cofactor,
            T_source=top_source,
            W_source=width_source if kind == "logicle" else "none",
        )
    return scales


def scales_as_text(scales: Mapping[str, ChannelScale]) -> str:
    """Scales as JSON, for the metadata of a column file."""
    return json.dumps({name: scale.as_record().as_json() for name, scale in scales.items()})
